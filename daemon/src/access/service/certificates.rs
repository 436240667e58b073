//! Lists certificates and revokes them.

use std::time::Duration;

use jiff::SignedDuration;
use streamspace_core::{
    filter::{Filter, vocabulary},
    page::Query,
};
use streamspace_proto::v1;

use super::{Access, sentence};
use crate::{
    access::{
        ca::Kind,
        certificates::{self, At, CertificateRecord},
        store,
    },
    db::Scope,
    rpc::{
        Caller,
        errors::{RpcError, RpcResult},
        listing::Paging,
        once::Once,
        summary::NO_CHANGE,
        time,
    },
};

/// Longer than any certificate lives.
const LONGEST_LOOK: Duration = Duration::from_hours(24 * 366);

impl Access {
    pub(super) async fn certificates(
        &self,
        request: &v1::ListCertificatesRequest,
    ) -> RpcResult<v1::ListCertificatesResponse> {
        let filter = Filter::parse(&request.filter, &vocabulary::CERTIFICATE)
            .map_err(|error| RpcError::field("filter", error.to_string()))?;
        let now = (self.parts.clock)();
        let within = request.expiring_within.as_ref().map(time::duration);
        let until = match within {
            None => None,
            Some(within) if !within.is_zero() && within <= LONGEST_LOOK => {
                let within = SignedDuration::try_from(within).unwrap_or(SignedDuration::MAX);
                now.checked_add(within).ok()
            }
            Some(_) => {
                let text = "must be more than nothing and at most 366 days";
                return Err(RpcError::field("expiring_within", text));
            }
        };
        // A page belongs to the whole query, and to this part of it as well.
        let filter_and_time =
            format!("{} {}", within.unwrap_or_default().as_secs(), request.filter);
        let query = Query {
            method: "ListCertificates",
            filter: &filter_and_time,
            order_by: "",
            show_deleted: false,
        };
        let paging = Paging { size: request.page_size, token: &request.page_token, query };
        let mut tx = self.parts.database.begin(&Scope::Region).await?;
        let mut records = certificates::list(&mut tx).await?;
        drop(tx);
        records.retain(|record| {
            let ends_soon = until.is_none_or(|until| {
                record.expire_time <= until && record.state(now) == v1::CertificateState::Valid
            });
            ends_soon && filter.matches(&At(record, now))
        });
        let (page, next_page_token) = paging.cut(records, |record| record.serial.clone())?;
        let mut certificates = Vec::with_capacity(page.len());
        for record in &page {
            let tenants = self.parts.tenants.names(&record.tenants).await?;
            certificates.push(record.to_proto(tenants, now));
        }
        Ok(v1::ListCertificatesResponse { certificates, next_page_token })
    }

    pub(super) async fn revoke(
        &self,
        caller: &Caller,
        request: &v1::RevokeCertificateRequest,
    ) -> RpcResult<v1::Certificate> {
        let serial = serial_of(&request.name)?;
        let reason = sentence("reason", &request.reason)?;
        let once = Once::of(caller, "RevokeCertificate", &request.request_id, request)?;
        let mut tx = self.parts.database.begin(&Scope::Region).await?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        // A renewal that is under way either comes before and is revoked with the rest, or
        // comes after and finds its device revoked.
        store::lock_devices(&mut tx, serial).await?;
        let gone = || RpcError::NotFound(request.name.clone());
        let before = certificates::by_serial(&mut tx, serial).await?.ok_or_else(gone)?;
        let whole_family = request.family || before.kind == Kind::Device;
        let ended = if whole_family {
            store::revoke_family(&mut tx, before.family, reason, &caller.operator).await?
        } else {
            store::revoke_one(&mut tx, serial, reason, &caller.operator).await?;
            u64::from(!before.is_revoked())
        };
        let own = certificates::by_serial(&mut tx, &caller.serial).await?;
        let ends_own = own.is_some_and(|own| own.is_revoked());
        let others = store::other_ways_in(&mut tx, &caller.operator, before.family).await?;
        let after = certificates::by_serial(&mut tx, serial).await?.ok_or_else(gone)?;
        let tenants = self.parts.tenants.names(&after.tenants).await?;
        let mut reply = after.to_proto(tenants, (self.parts.clock)());
        reply.consequences = consequences(&before, whole_family, ended);
        if ends_own {
            reply.consequences.push(ends_own_access(whole_family, others));
        }
        if request.validate_only {
            return Ok(reply);
        }
        once.remember(&mut tx, &reply).await?;
        let what = if whole_family {
            format!("all {ended} certificates of an enrolment of {} revoked", after.operator)
        } else {
            format!("certificate of {} revoked", after.operator)
        };
        caller.notes.changes(if ended == 0 { NO_CHANGE.to_owned() } else { what });
        self.enforce(tx).await?;
        Ok(reply)
    }
}

fn consequences(
    certificate: &CertificateRecord,
    whole_family: bool,
    ended: u64,
) -> Vec<v1::Consequence> {
    let operator = &certificate.operator;
    let consequence = |code: &str, message: String| v1::Consequence { code: code.into(), message };
    if whole_family {
        let message = format!(
            "all certificates of this enrolment end, {ended} of them were good until now: \
             {operator} logs in again on that device with a new token"
        );
        vec![consequence("REVOKES_FAMILY", message)]
    } else {
        let message = format!(
            "the device of {operator} can still make another certificate: revoke with `--family` \
             to end that too"
        );
        vec![consequence("DEVICE_RENEWS", message)]
    }
}

fn ends_own_access(whole_family: bool, others: i64) -> v1::Consequence {
    let rest = match (whole_family, others) {
        (false, _) => "; your device makes another one at the next renewal",
        (true, 0) => {
            ", and it is your last way in: another admin, or `streamspaced token create` on the \
             host, makes you a new token"
        }
        (true, _) => "; your other devices go on",
    };
    v1::Consequence {
        code: "ENDS_OWN_ACCESS".into(),
        message: format!("this is the certificate that you call with{rest}"),
    }
}

/// The serial number in a name, as the region writes it.
fn serial_of(name: &str) -> RpcResult<&str> {
    let serial = name.strip_prefix("certificates/").unwrap_or_default();
    let is_hexadecimal = serial.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if serial.is_empty() || serial.len() > 40 || !is_hexadecimal {
        let text = "must be `certificates/` and a serial number in lower-case hexadecimal, as \
                    `ssctl cert list` shows them";
        return Err(RpcError::field("name", text));
    }
    Ok(serial)
}
