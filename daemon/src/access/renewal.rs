//! Renewal of a device credential.
//!
//! Each renewal hands out the next device certificate and supersedes the one that
//! asked. Since an answer can be lost, the old one stays good until the next one is
//! first used. After that its use means that two hold the same lineage: the whole
//! family is revoked, and the person enrols again.

use sqlx::PgConnection;

use super::store::{self, DeviceRow};
use crate::db::DbError;

/// What a device certificate may have.
#[derive(Clone, Debug)]
pub(super) enum Renewal {
    /// The next certificates of this device.
    Granted(DeviceRow),
    /// Nothing: it is not known here.
    Unknown,
    /// Nothing: it was revoked.
    Revoked,
    /// Nothing, and the family was revoked just now: it was superseded before.
    Reused(DeviceRow),
}

/// Why a family is revoked when a superseded certificate comes back.
pub(super) const REUSED: &str = "a superseded device certificate was used";

/// Who revokes then.
const DAEMON: &str = "streamspaced";

/// Decides about the device certificate with this serial number, under the lock of
/// its family.
pub(super) async fn decide(tx: &mut PgConnection, serial: &str) -> Result<Renewal, DbError> {
    let devices = store::lock_devices(tx, serial).await?;
    let Some(device) = devices.iter().find(|d| d.serial == serial) else {
        return Ok(Renewal::Unknown);
    };
    if device.revoked {
        return Ok(Renewal::Revoked);
    }
    if is_reuse(device, &devices) {
        store::revoke_family(tx, device.family, REUSED, DAEMON).await?;
        return Ok(Renewal::Reused(device.clone()));
    }
    Ok(Renewal::Granted(device.clone()))
}

/// A superseded certificate may come back only where it asked for its successor
/// itself and nobody has used that yet: then the answer was lost on the way.
fn is_reuse(device: &DeviceRow, family: &[DeviceRow]) -> bool {
    let Some(successor) = &device.superseded_by else { return false };
    let successor_used = family.iter().any(|d| &d.serial == successor && d.first_used);
    successor_used || !device.first_used
}

/// Puts `next` after `device`, and after every other certificate of the family that
/// was handed out and never used.
pub(super) async fn advance(
    tx: &mut PgConnection,
    device: &DeviceRow,
    next: &str,
) -> Result<(), DbError> {
    if let Some(lost) = &device.superseded_by {
        store::supersede(tx, lost, next, false).await?;
    }
    store::supersede(tx, &device.serial, next, true).await
}
