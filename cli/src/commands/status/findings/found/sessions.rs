//! What sessions and their metering need of a person, or are worth knowing.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use streamspace_proto::v1::{Session, UsageGap, UsageStatus};

use super::{Finding, Found};
use crate::{
    commands::session::tenant,
    time::{instant, local},
};

/// Facts are stored within seconds and five minutes are closed soon after they end. What is
/// later than this does not come by itself.
const LAG: SignedDuration = SignedDuration::from_mins(15);
/// A gap is told this long.
const GAPS: SignedDuration = SignedDuration::from_hours(24);
/// A shorter gap is no news: a leader that begins, or an API server that is restarted. All of
/// them are in `ssctl usage status`.
const GAP_SECONDS: i64 = 60;
/// So many sessions of a tenant are named.
const NAMED: usize = 3;

const NEXT: &str = "ssctl usage status";

impl Found {
    /// Whether usage is counted as it should be.
    pub(in super::super) fn metering(&mut self, status: &UsageStatus) {
        if status.begin_time.is_none() {
            self.note(Finding {
                kind: "metering",
                reason: "NotBegun".into(),
                message: "metering has not begun: nothing is counted".into(),
                next: NEXT.into(),
                ..Finding::default()
            });
            return;
        }
        // Before the first of them, it cannot be later than its beginning.
        let begin = status.begin_time.as_ref();
        for (reason, what, time) in [
            ("Incomplete", "facts are known", status.complete_through_time.as_ref()),
            ("NotClosed", "five minutes are closed", status.closed_through_time.as_ref()),
        ] {
            let time = time.or(begin);
            let floor = self.now.checked_sub(LAG).unwrap_or(self.now);
            if instant(time).is_some_and(|time| time < floor) {
                self.needs(Finding {
                    kind: "metering",
                    reason: reason.into(),
                    message: format!("{what} through {} only", local(time)),
                    since: instant(time),
                    next: format!("{NEXT}, then ssctl region show"),
                    ..Finding::default()
                });
                // The one that is behind holds up the other.
                break;
            }
        }
        self.gaps(&status.gaps);
    }

    fn gaps(&mut self, gaps: &[UsageGap]) {
        let floor = self.now.checked_sub(GAPS).unwrap_or(self.now);
        let late = |gap: &&UsageGap| instant(gap.end_time.as_ref()).is_some_and(|end| end > floor);
        for gap in gaps.iter().filter(late) {
            let (start, end) = (instant(gap.start_time.as_ref()), instant(gap.end_time.as_ref()));
            let seconds = match (start, end) {
                (Some(start), Some(end)) => end.as_second().saturating_sub(start.as_second()),
                _ => 0,
            };
            if seconds < GAP_SECONDS {
                continue;
            }
            self.note(Finding {
                kind: "metering",
                reason: "Gap".into(),
                message: format!(
                    "nobody watched the cluster for {seconds} s from {}; what is not proved of \
                     it is not billed",
                    local(gap.start_time.as_ref())
                ),
                since: start,
                next: NEXT.into(),
                ..Finding::default()
            });
        }
    }

    /// Sessions that cannot run, one finding a tenant.
    pub(in super::super) fn sessions(&mut self, failed: &[Session]) {
        let mut tenants: BTreeMap<&str, Vec<&Session>> = BTreeMap::new();
        for session in failed {
            tenants.entry(tenant(&session.name)).or_default().push(session);
        }
        for (tenant, sessions) in tenants {
            let names = sessions.iter().take(NAMED).map(|session| own_name(&session.name));
            let names = names.collect::<Vec<_>>().join(", ");
            let dots = if sessions.len() > NAMED { ", …" } else { "" };
            let count = match sessions.len() {
                1 => "1 session".to_owned(),
                many => format!("{many} sessions"),
            };
            let why = sessions.iter().map(|session| session.message.as_str());
            let why = why.into_iter().find(|why| !why.is_empty());
            let why = why.map(|why| format!(": {why}")).unwrap_or_default();
            self.needs(Finding {
                kind: "session",
                name: format!("tenants/{tenant}"),
                reason: "Failed".into(),
                message: format!("{count} cannot run ({names}{dots}){why}"),
                next: format!("ssctl session list {tenant} --phase failed"),
                ..Finding::default()
            });
        }
    }
}

/// The last part of a session's full name.
fn own_name(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}
