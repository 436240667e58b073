//! A database in memory. Each method is one transaction.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

pub(super) struct Store {
    pub(super) transitions: BTreeMap<(SessionUid, Order), Transition>,
    gaps: Vec<Gap>,
    pub(super) ledger: Ledger,
    pub(super) watermark: Watermark,
    pub(super) intervals: BTreeMap<(SessionUid, Bucket), Interval>,
    pub(super) corrections: BTreeMap<(SessionUid, Bucket), Vec<Correction>>,
    late: Vec<(SessionUid, Span)>,
}

impl Store {
    pub(super) fn new(begin: Second) -> Self {
        Self {
            transitions: BTreeMap::new(),
            gaps: Vec::new(),
            ledger: Ledger::new([], Watermark::beginning(begin).metered()),
            watermark: Watermark::beginning(begin),
            intervals: BTreeMap::new(),
            corrections: BTreeMap::new(),
            late: Vec::new(),
        }
    }

    pub(super) fn history(&self, session: SessionUid) -> History {
        let all = (session, Order(0))..=(session, Order(u64::MAX));
        History::new(self.transitions.range(all).map(|(_, transition)| *transition))
    }

    pub(super) fn histories(&self) -> Vec<History> {
        let sessions: BTreeSet<_> = self.transitions.keys().map(|(session, _)| *session).collect();
        sessions.into_iter().map(|session| self.history(session)).collect()
    }

    /// Facts are facts, whoever brings them.
    pub(super) fn append(&mut self, transitions: impl IntoIterator<Item = Transition>) {
        for transition in transitions {
            let key = (transition.session, transition.order);
            if self.transitions.contains_key(&key) {
                continue;
            }
            let end = self.history(transition.session).unlisted(&transition, &self.ledger);
            self.insert(transition);
            if let Some(end) = end {
                self.insert(end);
            }
        }
    }

    fn insert(&mut self, transition: Transition) {
        let key = (transition.session, transition.order);
        self.transitions.entry(key).or_insert(transition);
        let span = late(transition.at, &self.ledger);
        self.late.extend(span.map(|span| (transition.session, span)));
    }

    fn set(&mut self, watermark: Watermark, gap: Option<Gap>) {
        self.watermark = watermark;
        self.gaps.extend(gap);
        self.ledger = Ledger::new(self.gaps.iter().copied(), watermark.metered());
    }

    pub(super) fn lead(&mut self) -> LeaderTerm {
        let term = LeaderTerm(self.watermark.leader_term.0 + 1);
        self.watermark = self.watermark.lead(term).unwrap();
        term
    }

    /// How many sessions the list ended.
    pub(super) fn listed(
        &mut self,
        term: LeaderTerm,
        listing: Listing,
        listed: &BTreeSet<SessionUid>,
    ) -> Result<u64, Refusal> {
        let (watermark, gap) = self.watermark.listed(term, listing)?;
        let ends = vanished(&self.histories(), listed, listing);
        let count = ends.len() as u64;
        self.append(ends);
        self.set(watermark, Some(gap));
        Ok(count)
    }

    pub(super) fn confirmed(&mut self, term: LeaderTerm, at: Second) -> Result<(), Refusal> {
        let watermark = self.watermark.confirmed(term, at)?;
        assert_eq!(term, self.watermark.leader_term, "a deposed leader confirmed");
        self.set(watermark, None);
        Ok(())
    }

    pub(super) fn commit(&mut self, commit: &Commit, rows: &[Interval]) -> Result<(), Refusal> {
        let watermark = self.watermark.advance(commit)?;
        assert_eq!(commit.leader_term, self.watermark.leader_term, "a deposed leader closed");
        for row in rows {
            // `ON CONFLICT DO NOTHING`.
            self.intervals.entry((row.session, row.bucket)).or_insert_with(|| row.clone());
        }
        self.set(watermark, None);
        Ok(())
    }

    /// Corrects what is late and closed; how many corrections that took.
    pub(super) fn correct(&mut self, term: LeaderTerm) -> Result<u64, Refusal> {
        self.watermark.confirmed(term, self.watermark.complete_through)?;
        let closed = self.watermark.closed_through;
        let is_closed = |(_, span): &(SessionUid, Span)| span.to <= closed;
        let (due, open) = std::mem::take(&mut self.late).into_iter().partition(is_closed);
        self.late = open;
        let due: Vec<_> = due;
        let mut count = 0;
        for (session, span) in due {
            count += self.correct_session(session, span);
        }
        Ok(count)
    }

    fn correct_session(&mut self, session: SessionUid, span: Span) -> u64 {
        let now = intervals(&self.history(session), &self.ledger, span);
        let now: BTreeMap<_, _> = now.into_iter().map(|row| (row.bucket, row)).collect();
        let first = Bucket::holding(span.from);
        let rows = (session, first)..(session, Bucket::holding(span.to.plus(299)));
        let stored = self.intervals.range(rows.clone()).map(|((_, bucket), _)| *bucket);
        let corrected = self.corrections.range(rows).map(|((_, bucket), _)| *bucket);
        let buckets: BTreeSet<_> = now.keys().copied().chain(stored).chain(corrected).collect();
        let closed = self.watermark.closed_through;
        let mut count = 0;
        for bucket in buckets.into_iter().filter(|bucket| bucket.span().to <= closed) {
            let key = (session, bucket);
            let earlier = self.corrections.get(&key).map_or(&[][..], Vec::as_slice);
            let committed = self.intervals.get(&key);
            let correction = correct(session, bucket, committed, earlier, now.get(&bucket));
            if let Some(correction) = correction {
                self.corrections.entry(key).or_default().push(correction);
                count += 1;
            }
        }
        count
    }

    pub(super) fn is_settled(&self, end: Second) -> bool {
        self.watermark.closed_through >= end && self.late.is_empty()
    }

    /// What stands for a session: its intervals with their corrections.
    pub(super) fn stands(&self, session: SessionUid) -> BTreeMap<Bucket, Interval> {
        let of_session = |(key, _): &(&(SessionUid, Bucket), _)| key.0 == session;
        let rows = self.intervals.iter().filter(|(key, _)| key.0 == session);
        let mut stands: BTreeMap<_, _> =
            rows.map(|((_, bucket), row)| (*bucket, row.clone())).collect();
        for ((_, bucket), more) in self.corrections.iter().filter(of_session) {
            let row = stands.remove(bucket).unwrap_or_else(|| Interval::empty(session, *bucket));
            stands.insert(*bucket, corrected(row, more));
        }
        stands.retain(|bucket, row| *row != Interval::empty(session, *bucket));
        stands
    }
}
