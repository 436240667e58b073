use jiff::Timestamp;
use streamspace_core::admission::Place;

use super::{
    templates::{TemplateRecord, keep_only},
    *,
};
use crate::db::{Database, Scope, testing::TestDatabase};

fn session(tenant: TenantUid, id: &str, name: &str) -> SessionRecord {
    SessionRecord {
        tenant,
        name: name.to_owned(),
        uid: SessionUid(Uuid::new_v4()),
        resource_version: 7,
        generation: 2,
        user: "ada".into(),
        template: "firefox".into(),
        state: SessionState::Running,
        phase: SessionPhase::Pending,
        deleting: false,
        place: Place {
            sessions: 1,
            pods: 2,
            cpu: Millicores(500),
            cpu_limit: Millicores(1000),
            memory: Bytes(1 << 30),
            memory_limit: Bytes(2 << 30),
        },
        node: "n1".into(),
        last_activity: Some(Timestamp::from_second(1_790_000_000).unwrap()),
        create_time: Timestamp::from_second(1_780_000_000).unwrap(),
        resource: v1::Session {
            name: format!("tenants/{id}/sessions/{name}"),
            ..v1::Session::default()
        },
    }
}

async fn write(db: &Database, records: &[SessionRecord]) {
    let mut tx = db.begin(&Scope::Region).await.unwrap();
    upsert(&mut tx, &records.iter().collect::<Vec<_>>()).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn rows_are_read_as_they_were_written_in_the_order_of_their_names() {
    let test = TestDatabase::create().await;
    let db = test.database();
    // Made in the other order, so that the order of their identities is not that of the names.
    let (zeta, alpha) = (test.insert_tenant("zeta").await, test.insert_tenant("alpha").await);
    let rows = [
        session(alpha, "alpha", "a"),
        session(alpha, "alpha", "b"),
        session(zeta, "zeta", "a"),
        session(zeta, "zeta", "c"),
    ];
    write(db, &rows).await;
    let mut tx = db.begin(&Scope::Region).await.unwrap();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = page(&mut tx, None, after.take(), 3).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.tenant, last.name.clone()));
        found.extend(page);
    }
    assert_eq!(found, rows);
    assert_eq!(of_tenant(&mut tx, zeta).await.unwrap(), rows[2..]);
    let of_zeta = page(&mut tx, Some(zeta), Some((zeta, "a".into())), 10).await.unwrap();
    assert_eq!(of_zeta, rows[3..]);
    assert_eq!(by_name(&mut tx, alpha, "b").await.unwrap().as_ref(), Some(&rows[1]));
    assert_eq!(by_name(&mut tx, alpha, "c").await.unwrap(), None);
    assert_eq!(count(&mut tx).await.unwrap(), 4);
}

#[tokio::test]
async fn a_row_is_replaced_and_removed_as_long_as_it_is_of_the_object() {
    let test = TestDatabase::create().await;
    let db = test.database();
    let tenant = test.insert_tenant("acme").await;
    let old = session(tenant, "acme", "a");
    let new =
        SessionRecord { resource_version: 9, last_activity: None, ..session(tenant, "acme", "a") };
    write(db, std::slice::from_ref(&old)).await;
    write(db, std::slice::from_ref(&new)).await;
    let mut tx = db.begin(&Scope::Region).await.unwrap();
    delete(&mut tx, &[&old]).await.unwrap();
    assert_eq!(by_name(&mut tx, tenant, "a").await.unwrap().as_ref(), Some(&new));
    let kept = lock_unlisted(&mut tx, &[new.uid.0], 10).await.unwrap();
    assert_eq!(kept, []);
    assert_eq!(lock_unlisted(&mut tx, &[old.uid.0], 10).await.unwrap().len(), 1);
    delete(&mut tx, &[&new]).await.unwrap();
    assert_eq!(count(&mut tx).await.unwrap(), 0);
}

#[tokio::test]
async fn a_tenants_login_sees_its_own_and_the_catalogue() {
    let test = TestDatabase::create().await;
    let db = test.database();
    let (acme, other) = (test.insert_tenant("acme").await, test.insert_tenant("other").await);
    write(db, &[session(acme, "acme", "a"), session(other, "other", "b")]).await;
    let template = |tenant: Option<TenantUid>, name: &str| TemplateRecord {
        tenant,
        name: name.to_owned(),
        uid: Uuid::new_v4(),
        resource_version: 1,
        resource: v1::Template { name: name.to_owned(), ..v1::Template::default() },
    };
    let all =
        [template(None, "firefox"), template(Some(acme), "gimp"), template(Some(other), "vlc")];
    let mut tx = db.begin(&Scope::Region).await.unwrap();
    templates::upsert(&mut tx, &all).await.unwrap();
    tx.commit().await.unwrap();

    let scope = Scope::Tenants(vec![acme]);
    let mut tx = db.begin(&scope).await.unwrap();
    let seen = page(&mut tx, None, None, 10).await.unwrap();
    assert_eq!(seen.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["a"]);
    assert_eq!(of_tenant(&mut tx, other).await.unwrap(), []);
    assert_eq!(templates_of(&mut tx, Some(other)).await.unwrap(), []);
    assert_eq!(templates_of(&mut tx, None).await.unwrap().len(), 1);
    assert!(super::template(&mut tx, Some(acme), "gimp").await.unwrap().is_some());
    assert!(upsert(&mut tx, &[&session(acme, "acme", "c")]).await.is_err());
    drop(tx);

    let mut tx = db.begin(&Scope::Region).await.unwrap();
    keep_only(&mut tx, &[all[1].uid]).await.unwrap();
    assert_eq!(templates_of(&mut tx, None).await.unwrap(), []);
    assert_eq!(templates_of(&mut tx, Some(acme)).await.unwrap().len(), 1);
    templates::delete(&mut tx, &[all[1].uid]).await.unwrap();
    assert_eq!(templates_of(&mut tx, Some(acme)).await.unwrap(), []);
}
