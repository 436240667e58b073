//! What admission adds to pods and claims.

use serde_json::{Value, json};

use crate::{
    objects::Place,
    schema::{Object, edit},
};

/// How long a pod stays on a node that is not ready or not reached.
const TOLERATION: u32 = 300;
/// Keeps a claim as long as a pod uses it.
pub(crate) const CLAIM_PROTECTION: &str = "kubernetes.io/pvc-protection";

pub(super) fn fill(place: &Place, object: &mut Object) {
    let resource = &place.resource;
    if resource.is("", "pods") {
        edit(object, "spec", pod);
    } else if resource.is("", "persistentvolumeclaims") {
        edit(object, "metadata", |metadata| {
            let list = metadata.entry("finalizers").or_insert_with(|| json!([]));
            if let Value::Array(list) = list
                && !list.iter().any(|finalizer| finalizer == CLAIM_PROTECTION)
            {
                list.push(CLAIM_PROTECTION.into());
            }
        });
    }
}

fn pod(spec: &mut Object) {
    let account = spec.get("serviceAccountName").or(spec.get("serviceAccount"));
    let account = account.and_then(Value::as_str).filter(|name| !name.is_empty());
    let account = account.unwrap_or("default").to_owned();
    spec.insert("serviceAccountName".to_owned(), account.as_str().into());
    spec.insert("serviceAccount".to_owned(), account.into());
    spec.entry("priority").or_insert_with(|| 0.into());
    spec.entry("preemptionPolicy").or_insert_with(|| "PreemptLowerPriority".into());
    let tolerations = spec.entry("tolerations").or_insert_with(|| json!([]));
    let Value::Array(tolerations) = tolerations else {
        return;
    };
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let has = |toleration: &Value| {
            let field = |name: &str| toleration.get(name).and_then(Value::as_str);
            matches!(field("key"), Some(present) if present == key || present.is_empty())
                && matches!(field("effect"), None | Some("" | "NoExecute"))
        };
        if !tolerations.iter().any(has) {
            tolerations.push(json!({
                "key": key, "operator": "Exists", "effect": "NoExecute",
                "tolerationSeconds": TOLERATION,
            }));
        }
    }
}
