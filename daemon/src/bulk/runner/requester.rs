//! In whose name an operation is worked on, from what its row keeps of them.

use std::net::SocketAddr;

use jiff::Timestamp;
use streamspace_core::access::{Audience, Role, may_break_glass};
use tonic::{Code, Status};
use uuid::Uuid;

use super::{CallNotes, Caller, CertificateStatus, Scope, Standing, status};
use crate::operations::bulk::{BulkRecord, REQUESTER_BARRED, Requester};

/// Why this person may do nothing any more: they were locked, or their certificate was
/// revoked. That a certificate ran out since ends nothing, since it proved who asked.
pub(super) fn standing(
    known: &dyn CertificateStatus,
    requester: &Requester,
    now: Timestamp,
) -> Option<Status> {
    let Requester { actor, serial, .. } = requester;
    let (code, words) = match known.standing(serial, actor, now) {
        Standing::Good => return None,
        Standing::Locked { reason, .. } => {
            (Code::PermissionDenied, format!("{actor} was locked meanwhile ({reason})"))
        }
        Standing::Revoked { since, reason } => (
            Code::Unauthenticated,
            format!(
                "the certificate with which {actor} asked for it was revoked at {since} ({reason})"
            ),
        ),
    };
    let words = format!(
        "{words}: nothing more of it is done in that name; somebody else can go on with `ssctl \
         operation resume`"
    );
    Some(status(code, REQUESTER_BARRED, words, &[]))
}

/// The caller that each item has, as it is now.
pub(super) fn caller(known: &dyn CertificateStatus, record: &BulkRecord, now: Timestamp) -> Caller {
    let Requester { actor, role, serial } = &record.requester;
    let own = Role::parse(role);
    let grant = known.break_glass(actor, now).filter(|_| may_break_glass(own));
    Caller {
        operator: actor.clone(),
        role: if grant.is_some() { Some(Role::Admin) } else { own },
        role_name: role.clone(),
        serial: serial.clone(),
        // Only a scope of the region may ask for it.
        scope: Scope::Region,
        expires: Timestamp::MAX,
        peer: SocketAddr::from(([0, 0, 0, 0], 0)),
        call_id: Uuid::nil(),
        audience: Audience::Operator,
        break_glass: grant,
        notes: CallNotes::of_incident(&record.incident),
        item: None,
    }
}
