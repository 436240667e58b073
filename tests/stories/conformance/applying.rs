//! Server-side apply.

use kube::{
    Client,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::support::{
    apply, behaviours, configuration, force, label, labels, managers, namespaces, refusal, unique,
    version,
};

behaviours![
    an_apply_creates,
    the_same_apply_again_writes_nothing,
    what_is_no_longer_applied_goes,
    what_another_still_owns_stays,
    another_managers_value_is_a_conflict,
    many_conflicts_are_all_named,
    force_takes_the_field_over,
    drift_is_a_conflict_and_force_repairs_it,
    annotations_and_finalizers_are_owned_too,
    taking_shared_ownership_is_a_write,
    fields_without_an_owner_get_one_at_the_first_apply,
    a_dry_apply_changes_nothing,
    an_apply_can_want_a_version,
    many_appliers_lose_nothing,
];

fn owned(section: &str, names: &[&str]) -> Value {
    let leaves: serde_json::Map<_, _> =
        names.iter().map(|name| (format!("f:{name}"), json!({}))).collect();
    json!({ "f:metadata": { format!("f:{section}"): leaves } })
}

async fn an_apply_creates(client: Client) {
    let name = unique();
    let made = apply(&client, "one", &name, json!({ "a": "1" })).await.unwrap();
    assert_eq!(labels(&made), json!({ "a": "1" }));
    assert_eq!(managers(&made), json!([["one", "Apply", owned("labels", &["a"])]]));
    assert_eq!(made.status.as_ref().unwrap().phase.as_deref(), Some("Active"));
    let entry = &made.metadata.managed_fields.as_ref().unwrap()[0];
    assert_eq!(
        (entry.api_version.as_deref(), entry.fields_type.as_deref()),
        (Some("v1"), Some("FieldsV1"))
    );
    let (written, made_at) =
        (entry.time.clone().unwrap(), made.metadata.creation_timestamp.clone().unwrap());
    assert!(written.0.duration_since(made_at.0).as_secs().abs() <= 1, "{written:?} {made_at:?}");
    assert_eq!(namespaces(&client).get(&name).await.unwrap(), made);
}

async fn the_same_apply_again_writes_nothing(client: Client) {
    let name = unique();
    let first = apply(&client, "one", &name, json!({ "a": "1" })).await.unwrap();
    for _ in 0..3 {
        assert_eq!(apply(&client, "one", &name, json!({ "a": "1" })).await.unwrap(), first);
        assert_eq!(force(&client, "one", &name, json!({ "a": "1" })).await.unwrap(), first);
    }
    // Nor does it once a second of the clock has passed.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(apply(&client, "one", &name, json!({ "a": "1" })).await.unwrap(), first);
}

async fn what_is_no_longer_applied_goes(client: Client) {
    let name = unique();
    apply(&client, "one", &name, json!({ "a": "1", "b": "2" })).await.unwrap();
    label(&client, "hand", &name, json!({ "c": "3" })).await.unwrap();
    let after = apply(&client, "one", &name, json!({ "a": "1" })).await.unwrap();
    assert_eq!(labels(&after), json!({ "a": "1", "c": "3" }));
    let bare = Patch::Apply(
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } }),
    );
    let after = namespaces(&client).patch(&name, &PatchParams::apply("one"), &bare).await.unwrap();
    assert_eq!(labels(&after), json!({ "c": "3" }));
    assert_eq!(managers(&after), json!([["hand", "Update", owned("labels", &["c"])]]));
}

async fn what_another_still_owns_stays(client: Client) {
    let name = unique();
    apply(&client, "one", &name, json!({ "a": "1", "b": "2" })).await.unwrap();
    apply(&client, "two", &name, json!({ "b": "2" })).await.unwrap();
    let after = apply(&client, "one", &name, json!({ "a": "1" })).await.unwrap();
    assert_eq!(labels(&after), json!({ "a": "1", "b": "2" }));
    let after = apply(&client, "two", &name, json!({})).await.unwrap();
    assert_eq!(labels(&after), json!({ "a": "1" }));
    let wanted =
        json!([["one", "Apply", owned("labels", &["a"])], ["two", "Apply", owned("labels", &[])]]);
    assert_eq!(managers(&after), wanted);
}

async fn another_managers_value_is_a_conflict(client: Client) {
    let name = unique();
    let before = apply(&client, "one", &name, json!({ "a": "1" })).await.unwrap();
    let status = refusal(apply(&client, "two", &name, json!({ "a": "2", "b": "3" })).await);
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert_eq!(
        status.message,
        "Apply failed with 1 conflict: conflict with \"one\": .metadata.labels.a"
    );
    let causes = status.details.unwrap().causes;
    assert_eq!(causes.len(), 1);
    assert_eq!(causes[0].reason, "FieldManagerConflict");
    assert_eq!(causes[0].field, ".metadata.labels.a");
    assert_eq!(namespaces(&client).get(&name).await.unwrap(), before);
}

async fn many_conflicts_are_all_named(client: Client) {
    let name = unique();
    apply(&client, "one", &name, json!({ "a": "1", "b": "1" })).await.unwrap();
    apply(&client, "two", &name, json!({ "c": "1" })).await.unwrap();
    let status =
        refusal(apply(&client, "three", &name, json!({ "a": "2", "b": "2", "c": "2" })).await);
    assert_eq!(
        status.message,
        "Apply failed with 3 conflicts: conflicts with \"one\":\n- .metadata.labels.a\n- .metadata.labels.b\nconflicts with \"two\":\n- .metadata.labels.c"
    );
    assert_eq!(status.details.unwrap().causes.len(), 3);
}

async fn force_takes_the_field_over(client: Client) {
    let name = unique();
    apply(&client, "one", &name, json!({ "a": "1", "b": "1" })).await.unwrap();
    let after = force(&client, "two", &name, json!({ "a": "2" })).await.unwrap();
    assert_eq!(labels(&after), json!({ "a": "2", "b": "1" }));
    let wanted = json!([
        ["one", "Apply", owned("labels", &["b"])],
        ["two", "Apply", owned("labels", &["a"])]
    ]);
    assert_eq!(managers(&after), wanted);
}

async fn drift_is_a_conflict_and_force_repairs_it(client: Client) {
    let name = unique();
    let wanted = json!({ "a": "1", "b": "2" });
    apply(&client, "daemon", &name, wanted.clone()).await.unwrap();
    label(&client, "hand", &name, json!({ "a": "drift", "extra": "kept" })).await.unwrap();
    let status = refusal(apply(&client, "daemon", &name, wanted.clone()).await);
    assert_eq!(
        status.message,
        "Apply failed with 1 conflict: conflict with \"hand\" using v1: .metadata.labels.a"
    );
    let repaired = force(&client, "daemon", &name, wanted.clone()).await.unwrap();
    assert_eq!(labels(&repaired), json!({ "a": "1", "b": "2", "extra": "kept" }));
    // A field that was removed comes back without force: nobody else owns it.
    label(&client, "hand", &name, json!({ "b": null })).await.unwrap();
    let repaired = apply(&client, "daemon", &name, wanted).await.unwrap();
    assert_eq!(labels(&repaired), json!({ "a": "1", "b": "2", "extra": "kept" }));
    let owners = json!([
        ["daemon", "Apply", owned("labels", &["a", "b"])],
        ["hand", "Update", owned("labels", &["extra"])]
    ]);
    assert_eq!(managers(&repaired), owners);
}

async fn annotations_and_finalizers_are_owned_too(client: Client) {
    let name = unique();
    let full = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "name": name, "annotations": { "note": "x" }, "finalizers": ["stream.space/test"] },
    });
    let params = PatchParams::apply("one");
    let made = namespaces(&client).patch(&name, &params, &Patch::Apply(full)).await.unwrap();
    assert_eq!(made.metadata.finalizers.as_deref(), Some(&["stream.space/test".to_owned()][..]));
    let fields = json!({ "f:metadata": {
        "f:annotations": { "f:note": {} },
        "f:finalizers": { "v:\"stream.space/test\"": {} },
    } });
    assert_eq!(managers(&made), json!([["one", "Apply", fields]]));
    let bare = Patch::Apply(configuration(&name, &json!({ "a": "1" })));
    let after = namespaces(&client).patch(&name, &params, &bare).await.unwrap();
    assert_eq!(after.metadata.finalizers, None);
    assert_eq!(after.metadata.annotations, None);
}

async fn taking_shared_ownership_is_a_write(client: Client) {
    let name = unique();
    let first = apply(&client, "one", &name, json!({ "a": "1" })).await.unwrap();
    let shared = apply(&client, "two", &name, json!({ "a": "1" })).await.unwrap();
    assert_ne!(version(&first), version(&shared));
    let entries = shared.metadata.managed_fields.unwrap();
    let times: Vec<_> = entries
        .iter()
        .map(|entry| (entry.manager.as_deref().unwrap(), entry.time.is_some()))
        .collect();
    // The second manager has changed nothing, so it has no time.
    assert_eq!(times, [("two", false), ("one", true)]);
}

async fn fields_without_an_owner_get_one_at_the_first_apply(client: Client) {
    let name = unique();
    apply(&client, "one", &name, json!({ "a": "1" })).await.unwrap();
    let bare = Patch::Apply(
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } }),
    );
    let ownerless =
        namespaces(&client).patch(&name, &PatchParams::apply("one"), &bare).await.unwrap();
    assert_eq!(ownerless.metadata.managed_fields, None);
    let untracked = label(&client, "hand", &name, json!({ "b": "2" })).await.unwrap();
    assert_eq!(untracked.metadata.managed_fields, None);
    let after = apply(&client, "two", &name, json!({ "c": "3" })).await.unwrap();
    let before_first = json!({
        "f:metadata": { "f:labels": { ".": {}, "f:b": {}, "f:kubernetes.io/metadata.name": {} } },
        "f:spec": { "f:finalizers": {} },
    });
    let wanted = json!([
        ["before-first-apply", "Update", before_first],
        ["two", "Apply", owned("labels", &["c"])]
    ]);
    assert_eq!(managers(&after), wanted);
}

async fn a_dry_apply_changes_nothing(client: Client) {
    let name = unique();
    let dry = PatchParams::apply("one").dry_run();
    let patch = Patch::Apply(configuration(&name, &json!({ "a": "1" })));
    let made = namespaces(&client).patch(&name, &dry, &patch).await.unwrap();
    assert_eq!(labels(&made), json!({ "a": "1" }));
    assert!(namespaces(&client).get_opt(&name).await.unwrap().is_none());
    let before = apply(&client, "one", &name, json!({ "a": "1" })).await.unwrap();
    let patch = Patch::Apply(configuration(&name, &json!({ "a": "2" })));
    let changed = namespaces(&client).patch(&name, &dry, &patch).await.unwrap();
    assert_eq!(labels(&changed), json!({ "a": "2" }));
    assert_eq!(version(&changed), version(&before));
    assert_eq!(namespaces(&client).get(&name).await.unwrap(), before);
}

async fn an_apply_can_want_a_version(client: Client) {
    let name = unique();
    let first = apply(&client, "one", &name, json!({ "a": "1" })).await.unwrap();
    let second = apply(&client, "one", &name, json!({ "a": "2" })).await.unwrap();
    let at = |version: String| {
        let mut wanted = configuration(&name, &json!({ "a": "3" }));
        wanted["metadata"]["resourceVersion"] = version.into();
        Patch::Apply(wanted)
    };
    let params = PatchParams::apply("one");
    let status = refusal(namespaces(&client).patch(&name, &params, &at(version(&first))).await);
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    let third = namespaces(&client).patch(&name, &params, &at(version(&second))).await.unwrap();
    assert_eq!(labels(&third), json!({ "a": "3" }));
}

async fn many_appliers_lose_nothing(client: Client) {
    let name = unique();
    apply(&client, "first", &name, json!({})).await.unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|index| {
            let (client, name) = (client.clone(), name.clone());
            tokio::spawn(async move {
                let key = format!("key-{index}");
                apply(&client, &format!("manager-{index}"), &name, json!({ key: "x" }))
                    .await
                    .unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let all: serde_json::Map<_, _> =
        (0..8).map(|index| (format!("key-{index}"), json!("x"))).collect();
    assert_eq!(labels(&namespaces(&client).get(&name).await.unwrap()), json!(all));
}
