//! How the objects of a tenant are in the cluster at this moment, read from it.

use super::{TenantRecord, decide::Wish};
use crate::kube::{
    Cluster, ClusterError, INSTANCE_LABEL, Kind, MANAGED_BY, MANAGED_BY_LABEL, Object,
    TENANT_UID_LABEL, compare,
};

/// How an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectState {
    /// As wished.
    InSync,
    /// Not as wished.
    Drifted,
    /// Not there.
    Missing,
    /// There, and not wished.
    Extra,
    /// It cannot be told.
    Unknown,
}

/// One object of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectStatus {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The namespace that it is in; empty for the namespace itself.
    pub namespace: String,
    /// How it is.
    pub state: ObjectState,
    /// How it differs, or why that cannot be told; empty where it is as wished.
    pub message: String,
}

/// Reads every object that is wished of a tenant, and every other that carries its
/// labels. A kind that cannot be read shows as unknown and hides no other.
pub async fn objects_of(
    cluster: &Cluster,
    instance: &str,
    tenant: &TenantRecord,
    wishes: &[Wish],
) -> Result<Vec<ObjectStatus>, ClusterError> {
    let namespace = tenant.namespace.as_str();
    let selector = format!(
        "{MANAGED_BY_LABEL}={MANAGED_BY},{INSTANCE_LABEL}={instance},{TENANT_UID_LABEL}={}",
        tenant.uid.0
    );
    let mut found = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_namespaced()) {
        // What is wished of a kind that cannot be listed says so by itself, below.
        if let Ok(listed) = cluster.list(kind, Some(namespace), &selector).await {
            found.extend(listed.into_iter().map(|live| (kind, live)));
        }
    }
    let mut statuses = Vec::with_capacity(wishes.len());
    for wish in wishes {
        let listed = found
            .iter()
            .position(|(kind, live)| *kind == wish.kind && live.name() == wish.name)
            .map(|index| found.swap_remove(index).1);
        // One without its labels is in no list.
        let live = match listed {
            Some(live) => Ok(Some(live)),
            None => cluster.get(wish.kind, namespace, &wish.name).await,
        };
        statuses.push(wished_status(namespace, wish, live));
    }
    found.sort_by(|(kind, live), (other, second)| {
        (*kind, live.name()).cmp(&(*other, second.name()))
    });
    statuses.extend(found.iter().map(|(kind, live)| extra_status(namespace, *kind, live)));
    Ok(statuses)
}

fn wished_status(
    namespace: &str,
    wish: &Wish,
    live: Result<Option<Object>, ClusterError>,
) -> ObjectStatus {
    let (state, message) = match live {
        Err(error) => (ObjectState::Unknown, error.to_string()),
        Ok(None) => (ObjectState::Missing, "it is not there".to_owned()),
        Ok(Some(live)) if live.is_terminating() => {
            (ObjectState::Drifted, "the cluster is deleting it".to_owned())
        }
        Ok(Some(live)) => {
            let difference = compare(wish.kind, &live, &wish.value);
            let state =
                if difference.is_none() { ObjectState::InSync } else { ObjectState::Drifted };
            (state, difference.to_string())
        }
    };
    ObjectStatus {
        kind: wish.kind,
        name: wish.name.clone(),
        namespace: if wish.kind.is_namespaced() { namespace.to_owned() } else { String::new() },
        state,
        message,
    }
}

fn extra_status(namespace: &str, kind: Kind, live: &Object) -> ObjectStatus {
    let message = if live.is_applied_by_us() {
        "the daemon wrote it and it is no longer wished"
    } else {
        "it carries the daemon's labels and the daemon did not write it"
    };
    ObjectStatus {
        kind,
        name: live.name().to_owned(),
        namespace: namespace.to_owned(),
        state: ObjectState::Extra,
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wish() -> Wish {
        Wish::new(json!({"kind": "Role", "metadata": {"name": "r"}, "rules": [{"verbs": ["get"]}]}))
            .unwrap()
    }

    fn live(rules: &serde_json::Value) -> Object {
        serde_json::from_value(json!({
            "metadata": {
                "name": "r",
                "managedFields": [{
                    "manager": "streamspaced", "operation": "Apply", "fieldsV1": {"f:rules": {}},
                }],
            },
            "rules": rules,
        }))
        .unwrap()
    }

    #[test]
    fn each_way_an_object_can_be_is_told() {
        let refused =
            ClusterError::Refused { reason: "Forbidden".into(), message: "no".into(), code: 403 };
        let cases = [
            (Ok(Some(live(&json!([{"verbs": ["get"]}])))), ObjectState::InSync, ""),
            (
                Ok(Some(live(&json!([{"verbs": ["*"]}])))),
                ObjectState::Drifted,
                "rules[0].verbs[0] is \"*\", wished \"get\"",
            ),
            (Ok(None), ObjectState::Missing, "it is not there"),
            (Err(refused), ObjectState::Unknown, "no"),
        ];
        for (read, state, message) in cases {
            let status = wished_status("tenant-a", &wish(), read);
            assert_eq!((status.state, status.message.as_str()), (state, message));
        }
    }
}
