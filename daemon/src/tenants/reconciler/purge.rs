//! Deletes what the cluster holds of a tenant, because an operator asked for it.

use super::{LOOK_AGAIN, Next, Read, StepError, Term, seen::Seen};
use crate::{
    kube::{DeleteOptions, Kind},
    tenants::decide::{self, Obstacle, Purge},
};

impl Term {
    pub(super) async fn purge(&self, read: &Read) -> Result<Next, StepError> {
        let tenant = &read.tenant;
        let live = self.cluster.get(Kind::Namespace, "", &tenant.namespace).await?;
        match decide::purge(tenant, live.as_ref()) {
            Purge::Empty => {
                self.note(read, Seen::Empty).await?;
                self.ledger.forget(tenant.uid);
                Ok(Next::Done)
            }
            Purge::Wait(obstacle) => self.wait(read, obstacle).await,
            Purge::Delete => {
                if let Some(hold) = &read.pause {
                    return self.wait(read, Obstacle::new("Paused", hold.words.clone())).await;
                }
                if let Some(message) = &read.breaker {
                    return self.wait(read, Obstacle::new("BreakerOpen", message.clone())).await;
                }
                if let Some(live) = &live {
                    let which = DeleteOptions {
                        uid: live.metadata.uid.clone().unwrap_or_default(),
                        resource_version: live
                            .metadata
                            .resource_version
                            .clone()
                            .unwrap_or_default(),
                    };
                    self.acting.delete(Kind::Namespace, "", &tenant.namespace, &which).await?;
                }
                let words = "the namespace is being deleted by the cluster";
                self.wait(read, Obstacle::new("NamespaceTerminating", words)).await
            }
        }
    }

    async fn wait(&self, read: &Read, obstacle: Obstacle) -> Result<Next, StepError> {
        self.note(read, Seen::InTheWay(obstacle)).await?;
        Ok(Next::LookAgain(LOOK_AGAIN))
    }
}
