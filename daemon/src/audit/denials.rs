//! Denials: the first ten a second of each peer as they are, the rest as one entry
//! with a count. Whoever knocks a million times fills a line, not a disk.

use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use crate::rpc::{audit::AuditRecord, limits::peer_key};

/// So many denials a second of one peer stand for themselves.
const SINGLE: u32 = 10;
const WINDOW: Duration = Duration::from_secs(1);
/// Beyond this many that wait to be written (the database is away), all are summed.
const WAITING: usize = 10_000;
/// Beyond this many peers in one second, the rest share a sum.
const PEERS: usize = 1_000;
/// What stands in a field where the summed denials differ.
const SEVERAL: &str = "(several)";

/// One denial, or several that were summed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Denial {
    pub(super) record: AuditRecord,
    pub(super) code: i32,
    pub(super) message: String,
    pub(super) count: i32,
}

impl Denial {
    /// Adds another denial; what the two do not share is no longer told.
    fn absorb(&mut self, other: Denial) {
        self.count = self.count.saturating_add(other.count);
        let merge = |own: &mut String, other: String| {
            if *own != other {
                SEVERAL.clone_into(own);
            }
        };
        let (own, other_record) = (&mut self.record, other.record);
        merge(&mut own.actor, other_record.actor);
        merge(&mut own.certificate_serial, other_record.certificate_serial);
        merge(&mut own.role, other_record.role);
        merge(&mut own.method, other_record.method);
        merge(&mut own.resource, other_record.resource);
        merge(&mut own.reason, other_record.reason);
        merge(&mut own.incident, other_record.incident);
        merge(&mut own.rule, other_record.rule);
        merge(&mut own.peer, other_record.peer);
        if own.request_sha256 != other_record.request_sha256 {
            own.request_sha256.clear();
        }
        merge(&mut self.message, other.message);
    }
}

/// Counts denials by peer. Pure: the time is passed in.
#[derive(Debug, Default)]
pub(super) struct Tally {
    waiting: VecDeque<Denial>,
    /// `None` stands for the peers beyond those that are told apart.
    windows: HashMap<Option<IpAddr>, Window>,
}

#[derive(Debug)]
struct Window {
    start: Instant,
    singles: u32,
    sum: Option<Denial>,
}

impl Tally {
    /// Notes a denial.
    pub(super) fn note(&mut self, denial: Denial, now: Instant) {
        let peer = denial.record.peer.parse::<SocketAddr>().ok().map(|a| peer_key(a.ip()));
        let known = self.windows.contains_key(&peer) || self.windows.len() < PEERS;
        let key = if known { peer } else { None };
        let crowded = self.waiting.len() >= WAITING;
        let window =
            self.windows.entry(key).or_insert(Window { start: now, singles: 0, sum: None });
        if now.saturating_duration_since(window.start) >= WINDOW && window.sum.is_none() {
            (window.start, window.singles) = (now, 0);
        }
        if window.singles < SINGLE && window.sum.is_none() && !crowded {
            window.singles += 1;
            self.waiting.push_back(denial);
            return;
        }
        match &mut window.sum {
            Some(sum) => sum.absorb(denial),
            none => *none = Some(denial),
        }
    }

    /// Takes what can be written: the single ones, and the sums of seconds that are
    /// over.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Denial> {
        let mut due: Vec<Denial> = self.waiting.drain(..).collect();
        self.windows.retain(|_, window| {
            let over = now.saturating_duration_since(window.start) >= WINDOW;
            if over {
                due.extend(window.sum.take());
            }
            !over
        });
        due
    }

    /// Takes everything, at the end of the process.
    pub(super) fn rest(&mut self) -> Vec<Denial> {
        let mut rest: Vec<Denial> = self.waiting.drain(..).collect();
        rest.extend(self.windows.drain().filter_map(|(_, window)| window.sum));
        rest
    }

    /// Gives back what could not be written.
    pub(super) fn give_back(&mut self, denials: impl DoubleEndedIterator<Item = Denial>) {
        for denial in denials.rev() {
            self.waiting.push_front(denial);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn denial(peer: &str, method: &str) -> Denial {
        let record = AuditRecord {
            call_id: Uuid::now_v7(),
            actor: "ada".into(),
            certificate_serial: String::new(),
            role: "viewer".into(),
            method: method.into(),
            resource: String::new(),
            request_sha256: Vec::new(),
            reason: String::new(),
            incident: String::new(),
            rule: "least-role".into(),
            peer: peer.into(),
        };
        Denial { record, code: 7, message: "no".into(), count: 1 }
    }

    fn total(denials: &[Denial]) -> i32 {
        denials.iter().map(|d| d.count).sum()
    }

    #[test]
    fn the_first_ten_of_a_second_stand_alone_and_the_rest_are_one() {
        let mut tally = Tally::default();
        let start = Instant::now();
        for port in 1..=200 {
            tally.note(denial(&format!("192.0.2.1:{port}"), "A/B"), start);
        }
        tally.note(denial("192.0.2.2:1", "A/B"), start);
        let first = tally.due(start);
        assert_eq!(first.len(), 11, "ten of the one and one of the other");
        assert!(first.iter().all(|d| d.count == 1));

        let later = tally.due(start + WINDOW);
        assert_eq!(later.len(), 1);
        assert_eq!(later[0].count, 190);
        assert_eq!(later[0].record.method, "A/B", "what they share");
        assert_eq!(later[0].record.peer, SEVERAL, "what they do not");
        assert!(tally.windows.is_empty(), "nothing is kept of a second that is over");

        tally.note(denial("192.0.2.1:9", "A/B"), start + WINDOW);
        assert_eq!(tally.due(start + WINDOW).len(), 1, "a new second");
    }

    #[test]
    fn a_flood_from_everywhere_is_bounded_and_counted() {
        let mut tally = Tally::default();
        let start = Instant::now();
        for i in 0..20_000_u32 {
            let address = std::net::Ipv4Addr::from(i);
            tally.note(denial(&format!("{address}:1"), "A/B"), start);
        }
        assert!(tally.windows.len() <= PEERS + 1);
        let mut all = tally.due(start);
        assert!(all.len() < 2_000, "{}", all.len());
        all.extend(tally.due(start + WINDOW));
        assert_eq!(total(&all), 20_000, "none is lost");
    }

    #[test]
    fn what_cannot_be_written_comes_again() {
        let mut tally = Tally::default();
        let now = Instant::now();
        for _ in 0..3 {
            tally.note(denial("192.0.2.1:1", "A/B"), now);
        }
        let due = tally.due(now);
        tally.give_back(due.clone().into_iter());
        assert_eq!(tally.due(now), due);
        tally.give_back(due.into_iter());
        assert_eq!(total(&tally.rest()), 3);
    }
}
