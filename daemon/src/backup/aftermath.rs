//! What a restore sets right in the database: it is older than the world around it.
//!
//! | what | without | so |
//! |--|--|--|
//! | the database's own uid | the lost daemon, if it lives after all, and this one would both lead the cluster | it is a new one: the cluster takes it only once a person has accepted it (`streamspaced cluster pin`), and the other is refused from then on |
//! | the region | the leader would make what was deleted since anew, before anybody looked | it is paused, until a person resumes it |
//! | revisions | a client would go on behind revisions that are lost, or hold what never was | the next are far ahead, and who saw a lost one begins anew |
//! | generations | an etag of the lost time could fit another tenant's wish | they are far ahead too |
//! | tokens, approvals, break-glass | could be used a second time | they have ended |
//! | changes of many | would be done a second time | they are cancelled, and can be resumed |
//! | notices that wait | would page for what is long over | they are refused, are shown, and can be sent by hand |
//! | escalations | all levels would be paged at once | the minutes since do not count |
//! | the leader's term | the cluster refuses a lower one | nothing: the leader goes beyond what the cluster says ([`crate::platform`]) |

use sqlx::{Connection as _, PgConnection, Postgres, Transaction};
use uuid::Uuid;

use super::{BackupError, Manifest};
use crate::{config::host_name, db::dump::DumpError};

/// How far revisions and generations leap. Nobody gives so many between two backups.
const REVISIONS: i64 = 1_000_000_000;
const GENERATIONS: i64 = 1_000_000;

/// Who did it, in the audit log and everywhere else.
const ACTOR: &str = "host";

/// What was set right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Aftermath {
    /// Tokens that nobody had used.
    pub(super) tokens: u64,
    /// Approvals that nobody had used.
    pub(super) approvals: u64,
    /// Grants of break-glass.
    pub(super) grants: u64,
    /// Operations over many that were under way.
    pub(super) operations: u64,
    /// Notices that waited.
    pub(super) notices: u64,
    /// Certificates that are good no more.
    pub(super) certificates: u64,
}

/// Sets everything right, once: whoever finds it done does nothing.
pub(super) async fn settle(
    connection: &mut PgConnection,
    manifest: &Manifest,
    new_authority: bool,
) -> Result<Aftermath, BackupError> {
    Ok(settled(connection, manifest, new_authority).await.map_err(DumpError::from)?)
}

async fn settled(
    connection: &mut PgConnection,
    manifest: &Manifest,
    new_authority: bool,
) -> Result<Aftermath, sqlx::Error> {
    let mut tx = connection.begin().await?;
    let first =
        sqlx::query("UPDATE public.restore_under_way SET phase = 'settled' WHERE phase = 'loaded'")
            .execute(&mut *tx)
            .await?;
    let mut done = Aftermath::default();
    if first.rows_affected() == 0 {
        return Ok(done);
    }
    let opening = &manifest.opening;
    let reason = format!("restored from backup {} of {}", opening.backup_id, opening.time);
    stand_still(&mut tx, &reason).await?;
    leap(&mut tx).await?;
    done.tokens = count(
        &mut tx,
        "UPDATE enrolment_tokens SET revoke_time = now(), revoke_actor = 'restore'
         WHERE use_time IS NULL AND revoke_time IS NULL AND expire_time > now()",
    )
    .await?;
    done.approvals = count(
        &mut tx,
        "UPDATE approvals SET expire_time = now()
         WHERE use_time IS NULL AND expire_time > now() AND decision IS DISTINCT FROM 'rejected'",
    )
    .await?;
    done.grants = count(
        &mut tx,
        "UPDATE break_glass SET end_time = now() WHERE end_time IS NULL AND expire_time > now()",
    )
    .await?;
    done.operations = count(
        &mut tx,
        "UPDATE bulk_operations SET cancel_time = now(), cancel_actor = 'restore'
         WHERE end_time IS NULL AND cancel_time IS NULL",
    )
    .await?;
    done.notices = count(
        &mut tx,
        "UPDATE notify_outbox SET state = 'refused', settle_time = now(), claim_term = NULL,
             problem = 'the region was restored from a backup, and whether this was sent meanwhile is not known'
         WHERE state = 'waiting'",
    )
    .await?;
    if new_authority {
        done.certificates = count(
            &mut tx,
            "UPDATE certificates SET revoke_time = now(), revoke_actor = 'restore',
                 revoke_reason = 'the region was restored with a new authority'
             WHERE revoke_time IS NULL AND expire_time > now()",
        )
        .await?;
    }
    // The time since then did not pass for those who wait to be paged.
    let since = jiff_sqlx::Timestamp::from(opening.time);
    sqlx::query(
        "UPDATE incidents SET page_time = page_time + greatest(now() - $1, interval '0')
         WHERE page_time IS NOT NULL AND state IN ('declared', 'triaged', 'mitigated')",
    )
    .bind(since)
    .execute(&mut *tx)
    .await?;
    tell_the_audit_log(&mut tx, manifest, &reason).await?;
    tx.commit().await?;
    Ok(done)
}

async fn count(
    tx: &mut Transaction<'_, Postgres>,
    statement: &'static str,
) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query(statement).execute(&mut **tx).await?.rows_affected())
}

/// Nobody leads, the region is paused, and the cluster does not know the database.
async fn stand_still(tx: &mut Transaction<'_, Postgres>, reason: &str) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE leader SET replica = '', lease_until = '-infinity'")
        .execute(&mut **tx)
        .await?;
    // A pause has an end; this one is a person's.
    sqlx::query(
        "UPDATE region_controls SET pause_time = now(), pause_until = now() + interval '10 years',
             pause_actor = $1, pause_reason = $2",
    )
    .bind(ACTOR)
    .bind(reason)
    .execute(&mut **tx)
    .await?;
    sqlx::query("UPDATE cluster_pin SET instance_uid = $1")
        .bind(Uuid::now_v7())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

async fn leap(tx: &mut Transaction<'_, Postgres>) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE change_sequence
         SET lost_after = least(lost_after, revision), lost_until = revision + $1,
             revision = revision + $1",
    )
    .bind(REVISIONS)
    .execute(&mut **tx)
    .await?;
    sqlx::query(
        "UPDATE tenants SET generation = generation + $1,
             observed_generation = observed_generation + $1
         WHERE state <> 'gone'",
    )
    .bind(GENERATIONS)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn tell_the_audit_log(
    tx: &mut Transaction<'_, Postgres>,
    manifest: &Manifest,
    reason: &str,
) -> Result<(), sqlx::Error> {
    let opening = &manifest.opening;
    let summary = format!(
        "restored as of revision {} and position {} of the audit log",
        manifest.revision, manifest.audit_position
    );
    for (phase, decision, summary) in
        [("intent", "allowed", ""), ("outcome", "succeeded", summary.as_str())]
    {
        sqlx::query(
            "INSERT INTO audit_entries
                 (entry_id, call_id, replica, region, phase, actor, certificate_serial, role,
                  method, resource, request_sha256, reason, decision, rule, status_code,
                  status_message, peer, summary)
             VALUES ($1, $2, $3, $4, $5, $6, '', 'admin', 'RestoreRegion', $7, '', $8, $9, 'host',
                     0, '', '', $10)",
        )
        .bind(Uuid::now_v7())
        .bind(opening.backup_id)
        .bind(host_name())
        .bind(&opening.region)
        .bind(phase)
        .bind(ACTOR)
        .bind(format!("regions/{}", opening.region))
        .bind(reason)
        .bind(decision)
        .bind(summary)
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}
