//! What came in, in the database.

use std::collections::BTreeMap;

use sqlx::{PgConnection, Row as _, postgres::PgRow, types::Json};

use super::InboundAlert;
use crate::db::DbError;

/// How long what was taken is kept, so that what comes again is known.
const KEPT_DAYS: i32 = 30;

/// Keeps an alert. What came before changes nothing; that one ended makes it new again, and
/// is not undone by what comes late.
pub(super) async fn keep(tx: &mut PgConnection, alert: &InboundAlert) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO inbound_alerts AS known \
             (fingerprint, start_time, firing, labels, annotations, end_time, generator_url) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (fingerprint, start_time) DO UPDATE SET \
             firing = excluded.firing, labels = excluded.labels, \
             annotations = excluded.annotations, end_time = excluded.end_time, \
             generator_url = excluded.generator_url, handled = false, receive_time = now() \
         WHERE known.firing AND NOT excluded.firing",
    )
    .bind(&alert.fingerprint)
    .bind(jiff_sqlx::Timestamp::from(alert.starts))
    .bind(alert.firing)
    .bind(Json(&alert.labels))
    .bind(Json(&alert.annotations))
    .bind(alert.ends.map(jiff_sqlx::Timestamp::from))
    .bind(&alert.generator_url)
    .execute(tx)
    .await?;
    Ok(())
}

/// Takes up to `limit` alerts that nobody has taken, the oldest first. They count as taken
/// once the transaction commits. Of two who take at once each gets others.
pub async fn take_inbound(tx: &mut PgConnection, limit: i64) -> Result<Vec<InboundAlert>, DbError> {
    let rows = sqlx::query(
        "WITH taken AS ( \
             SELECT fingerprint, start_time FROM inbound_alerts WHERE NOT handled \
             ORDER BY receive_time, fingerprint, start_time LIMIT $1 FOR UPDATE SKIP LOCKED \
         ), done AS ( \
             UPDATE inbound_alerts SET handled = true FROM taken \
             WHERE inbound_alerts.fingerprint = taken.fingerprint \
               AND inbound_alerts.start_time = taken.start_time \
             RETURNING inbound_alerts.* \
         ) SELECT * FROM done ORDER BY receive_time, fingerprint, start_time",
    )
    .bind(limit)
    .fetch_all(tx)
    .await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// Leaves one that was taken in this transaction for a later time, behind those that wait.
pub async fn leave_inbound(tx: &mut PgConnection, alert: &InboundAlert) -> Result<(), DbError> {
    sqlx::query(
        "UPDATE inbound_alerts SET handled = false, receive_time = clock_timestamp() \
         WHERE fingerprint = $1 AND start_time = $2",
    )
    .bind(&alert.fingerprint)
    .bind(jiff_sqlx::Timestamp::from(alert.starts))
    .execute(tx)
    .await?;
    Ok(())
}

fn read(row: &PgRow) -> Result<InboundAlert, sqlx::Error> {
    let Json(labels) = row.try_get::<Json<BTreeMap<String, String>>, _>("labels")?;
    let Json(annotations) = row.try_get::<Json<BTreeMap<String, String>>, _>("annotations")?;
    let ends: Option<jiff_sqlx::Timestamp> = row.try_get("end_time")?;
    Ok(InboundAlert {
        fingerprint: row.try_get("fingerprint")?,
        firing: row.try_get("firing")?,
        labels,
        annotations,
        starts: row.try_get::<jiff_sqlx::Timestamp, _>("start_time")?.to_jiff(),
        ends: ends.map(jiff_sqlx::Timestamp::to_jiff),
        generator_url: row.try_get("generator_url")?,
    })
}

/// Takes away what was taken long ago.
pub(in crate::notify) async fn prune(tx: &mut PgConnection) -> Result<(), DbError> {
    sqlx::query(
        "DELETE FROM inbound_alerts \
         WHERE handled AND receive_time < now() - make_interval(days => $1)",
    )
    .bind(KEPT_DAYS)
    .execute(tx)
    .await?;
    Ok(())
}
