//! Begins and ends maintenances at their times, and ends silences.
//!
//! Both hold by their instants and need nobody to begin or to stop holding. The leader tells
//! the status page and the audit log.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    store,
    tell::{Stage, Teller},
};
use crate::{
    db::{Database, Leadership, Scope, lease},
    notify::Channels,
    rpc::{
        Clock,
        ends::{End, EndError, EndLog, id_of},
    },
};

const PERIOD: Duration = Duration::from_secs(1);

/// What ends maintenances.
#[derive(Clone)]
pub struct Ends {
    db: Database,
    log: EndLog,
    clock: Clock,
    tell: Teller,
}

impl Ends {
    /// Ends those of a region.
    pub fn new(db: Database, log: EndLog, clock: Clock, region: &str, channels: Channels) -> Self {
        Self { db, log, clock, tell: Teller { region: region.to_owned(), channels } }
    }

    /// Does so while this replica leads, until it is stopped.
    pub async fn run(self, leadership: watch::Receiver<Leadership>, stop: CancellationToken) {
        let mut failing = false;
        while stop.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_some() {
            let now = leadership.borrow().clone();
            if !now.leads {
                continue;
            }
            match self.round(&now).await {
                Ok(_) => failing = false,
                Err(error) => {
                    if !failing {
                        tracing::warn!(
                            %error,
                            "maintenances are not begun and ended; it is tried again"
                        );
                    }
                    failing = true;
                }
            }
        }
    }

    /// Tells of what began or ended. Returns how many ended.
    pub(super) async fn round(&self, leadership: &Leadership) -> Result<usize, EndError> {
        let now = (self.clock)();
        let mut tx = self.db.begin(&Scope::Region).await?;
        if !lease::still_leads(&mut tx, leadership).await? {
            return Ok(0);
        }
        let mut ended = Vec::new();
        let mut changes = store::end_silences(&mut tx, now).await? > 0;
        for mut record in store::due(&mut tx, now).await? {
            changes = true;
            if !record.begun {
                record.begun = true;
                self.tell.maintenance(&mut tx, &record, Stage::Begun).await?;
            }
            if record.end <= now {
                record.ended = true;
                let end = End {
                    id: id_of(&["maintenance", &record.number.to_string()]),
                    method: "EndMaintenance",
                    resource: format!("maintenances/{}", record.number),
                    setter: record.actor.clone(),
                    reason: record.reason.clone(),
                    summary: "maintenance ended".to_owned(),
                };
                let end = self.log.begin(end).await?;
                self.tell.maintenance(&mut tx, &record, Stage::Over).await?;
                end.keep(&mut tx).await?;
                ended.push(end);
            }
            store::update(&mut tx, &record).await?;
        }
        if changes {
            tx.commit().await?;
        }
        let count = ended.len();
        for end in ended {
            end.done().await;
        }
        Ok(count)
    }
}
