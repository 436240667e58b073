//! Certificates as they are listed and revoked.

use jiff::Timestamp;
use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};
use streamspace_core::{
    filter::{FieldValue, Record},
    ids::TenantUid,
};
use streamspace_proto::v1;
use uuid::Uuid;

use super::ca::Kind;
use crate::{db::DbError, rpc::time::timestamp};

/// A certificate as the database holds it.
#[derive(Clone, Debug)]
pub(super) struct CertificateRecord {
    pub(super) serial: String,
    pub(super) kind: Kind,
    pub(super) operator: String,
    pub(super) family: Uuid,
    pub(super) tenants: Vec<TenantUid>,
    pub(super) expire_time: Timestamp,
    role: String,
    device_name: String,
    issue_time: Timestamp,
    is_superseded: bool,
    revocation: Option<(Timestamp, String)>,
}

impl FromRow<'_, PgRow> for CertificateRecord {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let kind = match row.try_get::<&str, _>("kind")? {
            "device" => Kind::Device,
            _ => Kind::Client,
        };
        let tenants: Vec<Uuid> = row.try_get("tenant_uids")?;
        let revoke_time: Option<jiff_sqlx::Timestamp> = row.try_get("revoke_time")?;
        let reason: Option<String> = row.try_get("revoke_reason")?;
        Ok(Self {
            serial: row.try_get("serial")?,
            kind,
            operator: row.try_get("operator")?,
            family: row.try_get("family_id")?,
            tenants: tenants.into_iter().map(TenantUid).collect(),
            expire_time: row.try_get::<jiff_sqlx::Timestamp, _>("expire_time")?.to_jiff(),
            role: row.try_get("role")?,
            device_name: row.try_get("device_name")?,
            issue_time: row.try_get::<jiff_sqlx::Timestamp, _>("issue_time")?.to_jiff(),
            is_superseded: row.try_get("is_superseded")?,
            revocation: revoke_time.map(|time| (time.to_jiff(), reason.unwrap_or_default())),
        })
    }
}

impl CertificateRecord {
    pub(super) fn name(&self) -> String {
        format!("certificates/{}", self.serial)
    }

    pub(super) fn is_revoked(&self) -> bool {
        self.revocation.is_some()
    }

    /// How it stands at `now`.
    pub(super) fn state(&self, now: Timestamp) -> v1::CertificateState {
        if self.is_revoked() {
            v1::CertificateState::Revoked
        } else if now >= self.expire_time {
            v1::CertificateState::Expired
        } else if self.is_superseded {
            v1::CertificateState::Superseded
        } else {
            v1::CertificateState::Valid
        }
    }

    /// The certificate as it is at `now`, with the names of its tenants.
    pub(super) fn to_proto(&self, tenants: Vec<String>, now: Timestamp) -> v1::Certificate {
        let kind = match self.kind {
            Kind::Device => v1::CertificateKind::Device,
            Kind::Client => v1::CertificateKind::Client,
        };
        let (revoke_time, revoke_reason) = self.revocation.clone().unzip();
        v1::Certificate {
            name: self.name(),
            kind: kind.into(),
            operator: self.operator.clone(),
            role_name: self.role.clone(),
            tenants,
            device_name: self.device_name.clone(),
            state: self.state(now).into(),
            issue_time: timestamp(self.issue_time),
            expire_time: timestamp(self.expire_time),
            revoke_time: revoke_time.and_then(timestamp),
            revoke_reason: revoke_reason.unwrap_or_default(),
            family: self.family.to_string(),
            consequences: Vec::new(),
        }
    }
}

/// A certificate at a moment, as a filter sees it.
pub(super) struct At<'a>(pub(super) &'a CertificateRecord, pub(super) Timestamp);

impl Record for At<'_> {
    fn field(&self, name: &str) -> Option<FieldValue> {
        let Self(certificate, now) = self;
        match name {
            "name" => Some(certificate.name().as_str().into()),
            "kind" => Some(match certificate.kind {
                Kind::Device => "device".into(),
                Kind::Client => "client".into(),
            }),
            "operator" => Some(certificate.operator.as_str().into()),
            "role" => Some(certificate.role.as_str().into()),
            "device_name" => Some(certificate.device_name.as_str().into()),
            "family" => Some(certificate.family.to_string().as_str().into()),
            "state" => Some(match certificate.state(*now) {
                v1::CertificateState::Valid => "valid".into(),
                v1::CertificateState::Superseded => "superseded".into(),
                v1::CertificateState::Expired => "expired".into(),
                v1::CertificateState::Revoked => "revoked".into(),
                v1::CertificateState::Unspecified => "".into(),
            }),
            _ => None,
        }
    }
}

/// `certificates` with all columns that a record reads.
macro_rules! with_columns {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " serial, kind, operator, family_id, tenant_uids, expire_time, role, device_name, \
             issue_time, superseded_by IS NOT NULL AS is_superseded, revoke_time, revoke_reason ",
            $after
        )
    };
}

/// Certificates, newest first.
pub(super) async fn list(tx: &mut PgConnection) -> Result<Vec<CertificateRecord>, DbError> {
    let query = sqlx::query_as(with_columns!(
        "SELECT",
        "FROM certificates ORDER BY issue_time DESC, serial"
    ));
    Ok(query.fetch_all(tx).await?)
}

/// One certificate.
pub(super) async fn by_serial(
    tx: &mut PgConnection,
    serial: &str,
) -> Result<Option<CertificateRecord>, DbError> {
    let query = sqlx::query_as(with_columns!("SELECT", "FROM certificates WHERE serial = $1"));
    Ok(query.bind(serial).fetch_optional(tx).await?)
}
