//! Managed namespaces that no row wishes. They are told of, and never deleted: a row
//! that is absent may be absent because the database was lost.

use std::collections::BTreeMap;

use super::ledger::Stray;
use crate::db::{Database, DbError, Leadership, Scope, lease};

/// Makes the table of orphans hold just these.
pub(super) async fn write(
    db: &Database,
    leadership: &Leadership,
    strays: &BTreeMap<Box<str>, Stray>,
) -> Result<(), DbError> {
    let namespaces: Vec<String> = strays.keys().map(ToString::to_string).collect();
    let tenants: Vec<&str> = strays.values().map(|stray| stray.tenant.as_str()).collect();
    let uids: Vec<&str> = strays.values().map(|stray| stray.uid.as_str()).collect();
    let mut tx = db.begin(&Scope::Region).await?;
    if !lease::still_leads(&mut tx, leadership).await? {
        return Ok(());
    }
    sqlx::query("DELETE FROM orphans WHERE namespace <> ALL ($1)")
        .bind(&namespaces)
        .execute(&mut *tx)
        .await?;
    let new: Vec<(String, String, String)> = sqlx::query_as(
        "INSERT INTO orphans (namespace, tenant_label, tenant_uid_label) \
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) \
         ON CONFLICT DO NOTHING RETURNING namespace, tenant_label, tenant_uid_label",
    )
    .bind(&namespaces)
    .bind(&tenants)
    .bind(&uids)
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    for (namespace, tenant, tenant_uid) in new {
        tracing::warn!(
            namespace,
            tenant,
            tenant_uid,
            "a managed namespace has no tenant in the database; it is left alone"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::TestDatabase;

    #[tokio::test]
    async fn the_table_holds_what_is_found_and_since_when() {
        let test = TestDatabase::create().await;
        let db = test.database();
        sqlx::query("UPDATE leader SET leader_term = 1, replica = 'a'")
            .execute(db.operator())
            .await
            .unwrap();
        let leadership = Leadership { replica: "a".into(), leader_term: 1, leads: true };
        let found = |names: &[&str]| -> BTreeMap<Box<str>, Stray> {
            let stray = Stray { tenant: "t".into(), uid: "u".into() };
            names.iter().map(|name| ((*name).into(), stray.clone())).collect()
        };
        let rows = || async {
            let rows: Vec<(String, jiff_sqlx::Timestamp)> =
                sqlx::query_as("SELECT namespace, first_seen FROM orphans ORDER BY namespace")
                    .fetch_all(db.operator())
                    .await
                    .unwrap();
            rows.into_iter().map(|(name, time)| (name, time.to_jiff())).collect::<Vec<_>>()
        };
        write(db, &leadership, &found(&["a", "b"])).await.unwrap();
        let before = rows().await;
        assert_eq!(before.len(), 2);
        write(db, &leadership, &found(&["b", "c"])).await.unwrap();
        let after = rows().await;
        assert_eq!(after[0], before[1], "seen first when it was");
        assert_eq!(after[1].0, "c");
        let replaced = Leadership { leader_term: 0, ..leadership.clone() };
        write(db, &replaced, &found(&[])).await.unwrap();
        assert_eq!(rows().await.len(), 2, "a replica that leads no more writes nothing");
        write(db, &leadership, &found(&[])).await.unwrap();
        assert!(rows().await.is_empty());
    }
}
