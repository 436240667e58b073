//! What the leader does by itself: alerts open incidents and end them, and levels are paged
//! as their minutes pass.
//!
//! A part of a round is one transaction, and what it did stands in the rows. So a leader may
//! be killed at any line: the next one finds all of a part or nothing of it.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use sqlx::PgConnection;
use streamspace_core::incident::{IncidentId, Severity};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    change::{self, Change, Hit},
    open::{self, New},
    store::{self, Event, Joined, Record},
    tell::{ALERTMANAGER, Teller},
    tickets,
};
use crate::{
    alerts::{self, Seen},
    db::{Database, Leadership, Scope, lease},
    maintenance::{Labels, Quiet},
    notify::{self, Channels, InboundAlert},
    rpc::{Clock, ends::ACTOR, errors::RpcResult},
};

const PERIOD: Duration = Duration::from_secs(1);
/// After so many failures in a row it is told again.
const OFTEN: u32 = 60;
/// So many alerts of Alertmanagers are taken in a round.
const TAKEN: i64 = 100;
/// So many alerts open or join an incident in a round: a region where all burns at once must
/// not hold the pages of the first ones up.
const OPENED: usize = 200;

/// The leader's loop.
#[derive(Clone)]
pub struct Engine {
    db: Database,
    clock: Clock,
    tell: Teller,
}

impl Engine {
    /// Follows the incidents of a region, and tells people by `channels`.
    pub fn new(db: Database, clock: Clock, region: &str, channels: Channels) -> Self {
        Self { db, clock, tell: Teller { region: region.to_owned(), channels } }
    }

    /// Does so while this replica leads, until it is stopped.
    pub async fn run(self, leadership: watch::Receiver<Leadership>, stop: CancellationToken) {
        let mut failures = 0_u32;
        while stop.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_some() {
            let now = leadership.borrow().clone();
            if !now.leads {
                continue;
            }
            match self.round(&now).await {
                Ok(_) => failures = 0,
                Err(error) => {
                    if failures == 0 {
                        tracing::warn!(%error, "incidents are not followed; it is tried again");
                    } else if failures.is_multiple_of(OFTEN) {
                        tracing::error!(
                            %error, failures,
                            "incidents are not followed: what pages may reach nobody"
                        );
                    }
                    failures = failures.saturating_add(1);
                }
            }
        }
    }

    /// One round. How many things it did.
    pub(super) async fn round(&self, leadership: &Leadership) -> RpcResult<usize> {
        let mut done = RpcResult::Ok(0_usize);
        // What one part meets holds up no other: an alert that cannot be read keeps no
        // level from being paged.
        for part in [Part::Own, Part::Foreign, Part::Tickets] {
            done = both(done, self.part(leadership, part).await);
        }
        let mut tx = self.db.begin(&Scope::Region).await?;
        let waiting = store::paging(&mut tx).await?;
        drop(tx);
        for id in waiting {
            done = both(done, self.part(leadership, Part::Page(id)).await);
        }
        done
    }

    /// One part of a round, as one transaction.
    async fn part(&self, leadership: &Leadership, part: Part) -> RpcResult<usize> {
        let now = (self.clock)();
        let mut tx = self.db.begin(&Scope::Region).await?;
        if !lease::still_leads(&mut tx, leadership).await? {
            return Ok(0);
        }
        let done = match part {
            Part::Own => self.own(&mut tx, now).await?,
            Part::Foreign => self.foreign(&mut tx, now).await?,
            Part::Tickets => tickets::tell(&mut tx, &self.tell, now).await?,
            Part::Page(id) => self.page(&mut tx, id, now).await?,
        };
        if done > 0 {
            tx.commit().await.map_err(crate::db::DbError::from)?;
        }
        Ok(done)
    }

    /// The daemon's own alerts.
    async fn own(&self, tx: &mut PgConnection, now: Timestamp) -> RpcResult<usize> {
        let known = store::joined(tx, &[]).await?;
        let ids: Vec<Uuid> = known
            .iter()
            .filter_map(|it| Uuid::try_parse(it.alert.strip_prefix("alerts/")?).ok())
            .collect();
        let seen = alerts::paging(tx, &ids).await?;
        let names: Vec<String> = seen.iter().map(Seen::name).collect();
        let joined: BTreeMap<String, Joined> =
            store::joined(tx, &names).await?.into_iter().map(|it| (it.alert.clone(), it)).collect();
        let mut quiet = None;
        let mut done = 0;
        for alert in &seen {
            if done >= OPENED {
                break;
            }
            done += match joined.get(&alert.name()) {
                Some(it) if alert.ended && it.firing => {
                    self.over(tx, &alert.name(), &alert.summary, now).await?
                }
                Some(it) if !alert.acknowledged_by.is_empty() => {
                    self.acknowledge(tx, it.id, &alert.acknowledged_by, now).await?
                }
                None if !alert.ended => {
                    let quiet = match &quiet {
                        Some(quiet) => quiet,
                        None => quiet.insert(Quiet::read(tx, now).await?),
                    };
                    if quiet.hushes(&labels(alert)) {
                        0
                    } else {
                        let id = self.open(tx, of_own(alert), &alert.name(), now).await?;
                        if !alert.acknowledged_by.is_empty() {
                            self.acknowledge(tx, id, &alert.acknowledged_by, now).await?;
                        }
                        1
                    }
                }
                Some(_) | None => 0,
            };
        }
        Ok(done)
    }

    /// The alerts of Alertmanagers.
    async fn foreign(&self, tx: &mut PgConnection, now: Timestamp) -> RpcResult<usize> {
        let taken = notify::take_inbound(tx, TAKEN).await?;
        let done = taken.len();
        let mut quiet = None;
        for alert in taken {
            let name = format!("{ALERTMANAGER}/{}/{}", alert.fingerprint, alert.starts.as_second());
            if !alert.firing {
                self.over(tx, &name, &summary(&alert), now).await?;
                continue;
            }
            let quiet = match &quiet {
                Some(quiet) => quiet,
                None => quiet.insert(Quiet::read(tx, now).await?),
            };
            let is_known = store::joined(tx, std::slice::from_ref(&name))
                .await?
                .iter()
                .any(|it| it.alert == name);
            if is_known {
                continue;
            }
            if quiet.hushes(&alert.labels) {
                // It is told once; what still fires when the silence ends must page then.
                notify::leave_inbound(tx, &alert).await?;
            } else {
                self.open(tx, of_foreign(&alert), &name, now).await?;
            }
        }
        Ok(done)
    }

    /// Joins an alert to the open incident about the same, opens the one again that ended
    /// with its alert a while ago, or opens a new one.
    async fn open(
        &self,
        tx: &mut PgConnection,
        new: New,
        alert: &str,
        now: Timestamp,
    ) -> RpcResult<IncidentId> {
        let key = new.dedup_key.clone().unwrap_or_default();
        let mut last = store::lock_open(tx, &key).await?;
        if last.is_none() {
            let closed = store::last(tx, &key).await?;
            last = follow(tx, closed).await?;
        }
        let change = match &last {
            Some(record) if record.state.is_open() => Some(Change::Alert {
                summary: new.title.clone(),
                start: new.start,
                hit: new.hit.clone(),
            }),
            Some(record) if change::returns(record, now) => {
                Some(Change::Return { summary: new.title.clone(), hit: new.hit.clone() })
            }
            _ => None,
        };
        let id = if let (Some(record), Some(change)) = (&last, change) {
            let changed = change::apply(record, &change, ACTOR, now)?;
            self.tell.keep(tx, &changed, now).await?;
            record.id
        } else {
            let made = open::record(tx, new, ACTOR, now).await?;
            let record = open::write(tx, &self.tell, made, now).await?;
            if let Some(event) = last.as_ref().and_then(|last| former(last, now)) {
                store::add_event(tx, record.id, &event).await?;
            }
            record.id
        };
        store::claim(tx, id, alert, true).await?;
        Ok(id)
    }

    /// An alert is over.
    async fn over(
        &self,
        tx: &mut PgConnection,
        alert: &str,
        summary: &str,
        now: Timestamp,
    ) -> RpcResult<usize> {
        let Some(id) = store::over(tx, alert).await? else { return Ok(0) };
        let Some(record) = store::lock(tx, id).await? else { return Ok(0) };
        let last = store::alerts_of(tx, id).await?.iter().all(|it| !it.firing);
        let over = Change::AlertOver { summary: summary.to_owned(), last };
        let changed = change::apply(&record, &over, ACTOR, now)?;
        self.tell.keep(tx, &changed, now).await?;
        Ok(1)
    }

    /// Who has an alert in hand has its incident, where nobody has.
    async fn acknowledge(
        &self,
        tx: &mut PgConnection,
        id: IncidentId,
        actor: &str,
        now: Timestamp,
    ) -> RpcResult<usize> {
        let Some(record) = store::lock(tx, id).await? else { return Ok(0) };
        if record.acknowledged.is_some() || !record.state.is_open() {
            return Ok(0);
        }
        let changed = change::apply(&record, &Change::Acknowledge, actor, now)?;
        self.tell.keep(tx, &changed, now).await?;
        Ok(1)
    }

    /// Pages the levels of an incident whose minutes are over.
    async fn page(
        &self,
        tx: &mut PgConnection,
        id: IncidentId,
        now: Timestamp,
    ) -> RpcResult<usize> {
        let Some(record) = store::lock(tx, id).await? else { return Ok(0) };
        let changed = change::apply(&record, &Change::Page, ACTOR, now)?;
        if changed.record == record {
            return Ok(0);
        }
        self.tell.keep(tx, &changed, now).await?;
        Ok(1)
    }
}

/// The incident in which one goes on that was joined to another, as it is now; nobody else
/// changes it meanwhile.
async fn follow(tx: &mut PgConnection, found: Option<Record>) -> RpcResult<Option<Record>> {
    // Who is joined to another is older or younger than it, but never twice: a few steps do.
    const STEPS: usize = 8;
    let Some(mut record) = found else { return Ok(None) };
    for _ in 0..STEPS {
        let Some(into) = record.merged_into else { break };
        let Some(next) = store::get(tx, into).await? else { break };
        record = next;
    }
    Ok(store::lock(tx, record.id).await?)
}

/// What a new incident says of the last one about the same.
fn former(last: &Record, now: Timestamp) -> Option<Event> {
    let resolved = last.resolved?;
    let by = if last.self_resolved { "ended with its alert" } else { "was resolved" };
    let text = format!("{} was about the same, and {by} at {resolved:.0}", last.id);
    Some(Event { time: now, actor: ACTOR.to_owned(), kind: "note".to_owned(), text })
}

/// A part of a round.
#[derive(Clone, Copy, Debug)]
enum Part {
    Own,
    Foreign,
    Tickets,
    Page(IncidentId),
}

/// What two parts did; where one failed, the first that did.
fn both(one: RpcResult<usize>, two: RpcResult<usize>) -> RpcResult<usize> {
    Ok(one?.saturating_add(two?))
}

/// What silences see of an alert.
pub(super) fn labels(alert: &Seen) -> Labels {
    let labels = [
        ("alertname", &alert.kind),
        ("rule", &alert.rule),
        ("subject", &alert.subject),
        ("tenant", &alert.tenant),
        ("severity", &alert.severity),
    ];
    labels.map(|(name, value)| (name.to_owned(), value.clone())).into()
}

/// What an alert says, as an incident about it.
pub(super) fn of_own(alert: &Seen) -> New {
    let slo = alert.subject.strip_prefix("slos/");
    let tenant = (!alert.tenant.is_empty()).then(|| alert.tenant.clone());
    New {
        title: title(&alert.summary),
        severity: Severity::P2,
        dedup_key: Some(format!("{}/{}", alert.kind, alert.subject)),
        hit: Hit {
            tenants: tenant.into_iter().collect(),
            slos: slo.map(str::to_owned).into_iter().collect(),
        },
        start: alert.start,
        acknowledged: false,
        policy: None,
    }
}

fn of_foreign(alert: &InboundAlert) -> New {
    let label = |name: &str| alert.labels.get(name).map(String::as_str).unwrap_or_default();
    let pages = matches!(label("severity"), "page" | "critical");
    New {
        title: title(&summary(alert)),
        severity: if pages { Severity::P2 } else { Severity::P3 },
        // One that wakes somebody does not join what waits for the morning, which wakes nobody.
        dedup_key: Some(if pages {
            format!("{ALERTMANAGER}/{}", label("alertname"))
        } else {
            format!("{ALERTMANAGER}/{}/ticket", label("alertname"))
        }),
        hit: Hit::default(),
        start: alert.starts,
        acknowledged: false,
        policy: None,
    }
}

fn summary(alert: &InboundAlert) -> String {
    let annotated = ["summary", "description"].into_iter();
    let found = annotated.filter_map(|name| alert.annotations.get(name)).find(|it| !it.is_empty());
    let named = || alert.labels.get("alertname");
    found.or_else(named).cloned().unwrap_or_else(|| "an alert without a name".to_owned())
}

/// The longest title of an incident, in characters.
pub(super) const TITLE_MAXIMUM: usize = 200;

/// A text of anybody as a title: one line, not too long.
fn title(text: &str) -> String {
    let shown = streamspace_core::text::escape(text);
    if shown.chars().count() <= TITLE_MAXIMUM {
        return shown;
    }
    shown.chars().take(TITLE_MAXIMUM.saturating_sub(1)).chain(['…']).collect()
}
