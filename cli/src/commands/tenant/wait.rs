//! Waiting until the cluster has a tenant.

use std::collections::HashMap;

use streamspace_client::{Connection, WatchEvent};
use streamspace_proto::v1::{
    Condition, ResourceKind, Tenant, TenantState, WatchRequest, resource::Resource as Kind,
};
use tokio::time::{Instant, timeout_at};

use super::{
    super::operation::PATIENCE,
    noun::{message, state_word, told},
};
use crate::{
    errors::{Doing as _, Failure, Outcome},
    shell::Shell,
};

/// Follows a tenant until the cluster has the generation and nothing is on its way
/// any more, and tells its conditions meanwhile.
pub(crate) async fn until_settled(
    shell: &Shell,
    connection: &Connection,
    tenant: Tenant,
) -> Outcome<Tenant> {
    let end = Instant::now() + shell.global.timeout.unwrap_or(PATIENCE);
    let mut watch = connection.watch(WatchRequest {
        kinds: vec![ResourceKind::Tenant.into()],
        names: vec![tenant.name.clone()],
        ..WatchRequest::default()
    });
    let wished = tenant.generation;
    let mut last = tenant;
    let mut told = Told::default();
    loop {
        let Ok(Some(event)) = timeout_at(end, watch.next()).await else {
            return Err(waited(&last));
        };
        let resource = match event {
            WatchEvent::Item(resource) => *resource,
            WatchEvent::Change(change) => change.resource.unwrap_or_default(),
            WatchEvent::Lost { error, .. } => {
                told.tell(shell, &last.name, "connection", &format!("{error}; still trying"));
                continue;
            }
            WatchEvent::Failed(error) => {
                return Err(error).doing(|| format!("follow {}", last.name));
            }
            // After a gap the tenant comes again as it is now.
            WatchEvent::Gap { .. }
            | WatchEvent::Connected { .. }
            | WatchEvent::Snapshot { .. }
            | WatchEvent::Synced { .. }
            | WatchEvent::Bookmark { .. } => continue,
        };
        let Some(Kind::Tenant(tenant)) = resource.resource else { continue };
        if tenant.name != last.name || tenant.uid != last.uid {
            continue;
        }
        told.conditions(shell, &tenant);
        last = tenant;
        match last.state() {
            TenantState::Purging | TenantState::Gone => return Err(deleted(&last)),
            TenantState::Provisioning | TenantState::Unspecified => {}
            _ if last.observed_generation >= wished => return Ok(last),
            _ => {}
        }
    }
}

fn waited(tenant: &Tenant) -> Failure {
    let name = &tenant.name;
    let message = match message(tenant) {
        none if none.is_empty() => format!("{name} is still {}", state_word(tenant)),
        why => format!("{name} is still {}: {why}", state_word(tenant)),
    };
    let next = format!("it goes on; `ssctl tenant watch {name}` follows it");
    Failure::Waited { message, next }
}

fn deleted(tenant: &Tenant) -> Failure {
    Failure::Local {
        message: format!("{} was deleted meanwhile", tenant.name),
        next: "`ssctl audit list` tells by whom".into(),
    }
}

/// What was told already, so that nothing is told twice.
#[derive(Default)]
struct Told {
    by_topic: HashMap<String, String>,
}

impl Told {
    fn conditions(&mut self, shell: &Shell, tenant: &Tenant) {
        self.tell(shell, &tenant.name, "state", &state_word(tenant));
        for condition in &tenant.conditions {
            self.condition(shell, &tenant.name, condition);
        }
    }

    fn condition(&mut self, shell: &Shell, name: &str, condition: &Condition) {
        self.tell(shell, name, &condition.r#type, &told(condition));
    }

    fn tell(&mut self, shell: &Shell, name: &str, topic: &str, news: &str) {
        let old = self.by_topic.insert(topic.to_owned(), news.to_owned());
        if old.as_deref() != Some(news) {
            shell.talk(&format!("{name}: {news}"));
        }
    }
}
