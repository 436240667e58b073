//! Questions that are answered and not kept: who one is, and what one may do.

use serde_json::{Value, json};

use crate::{
    access::{Snapshot, Wish},
    apply::{self, Writer},
    objects::{Place, served},
    schema::{Object, normalize},
    status::Failure,
    store::Store,
    user::User,
};

/// Answers a review.
pub(crate) fn answer(
    store: &Store,
    user: &User,
    place: &Place,
    mut review: Object,
    writer: &Writer,
) -> Result<Value, Failure> {
    let resource = &*place.resource;
    let spec = review.get("spec").cloned().unwrap_or_default();
    let status = match &*resource.plural {
        "selfsubjectreviews" => json!({ "userInfo": about(user) }),
        "selfsubjectaccessreviews" => judged(store, user, &spec),
        "subjectaccessreviews" => judged(store, &named(&spec)?, &spec),
        "localsubjectaccessreviews" => {
            if text(spec.get("resourceAttributes"), "namespace") != place.namespace {
                let namespace = &place.namespace;
                return Err(Failure::bad_request(format!(
                    "spec.resourceAttributes.namespace must match namespace: {namespace}"
                )));
            }
            judged(store, &named(&spec)?, &spec)
        }
        _ => return Err(Failure::unknown_path()),
    };
    normalize(&mut review, &resource.schema, true);
    apply::update(resource, None, &mut review, writer);
    review.insert("status".to_owned(), status);
    Ok(served(resource, review))
}

fn about(user: &User) -> Value {
    let mut info = json!({ "username": user.name, "groups": user.groups });
    if let (Value::Object(info), false) = (&mut info, user.extra.is_empty()) {
        info.insert("extra".to_owned(), json!(user.extra));
    }
    info
}

fn text(value: Option<&Value>, field: &str) -> String {
    let text = value.and_then(|value| value.get(field)).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

/// The user whom a review is about.
fn named(spec: &Value) -> Result<User, Failure> {
    let groups = spec.get("groups").and_then(Value::as_array).into_iter().flatten();
    let groups: Vec<String> = groups.filter_map(Value::as_str).map(str::to_owned).collect();
    let name = text(Some(spec), "user");
    if name.is_empty() && groups.is_empty() {
        let fault = crate::status::Fault::invalid(
            "spec.user",
            "",
            "at least one of user or group must be specified",
        );
        // The API server leaves the kind out.
        return Err(Failure::invalid("authorization.k8s.io", "", "", &[fault]));
    }
    Ok(User { name, groups, extra: std::collections::BTreeMap::new() })
}

fn judged(store: &Store, user: &User, spec: &Value) -> Value {
    let attributes = spec.get("resourceAttributes");
    let path = spec.get("nonResourceAttributes");
    let field = |name: &str| text(attributes, name);
    let wish = Wish {
        verb: if path.is_some() { text(path, "verb") } else { field("verb") },
        group: field("group"),
        resource: field("resource"),
        subresource: field("subresource"),
        namespace: field("namespace"),
        name: field("name"),
        path: path.map(|_| text(path, "path")),
    };
    match Snapshot::of(store).allows(user, &wish) {
        Some(reason) if reason.is_empty() => json!({ "allowed": true }),
        Some(reason) => json!({ "allowed": true, "reason": reason }),
        None => json!({ "allowed": false }),
    }
}
