//! Maintenances and silences as the contract has them.

use streamspace_core::ids::{SloId, TenantId};
use streamspace_proto::v1;

use super::store::{MaintenanceRecord, Matcher, SilenceRecord};
use crate::rpc::{
    errors::{RpcError, RpcResult},
    input::{line_or_nothing, named},
    time::timestamp,
};

/// The most names of a maintenance.
const NAMES_MAXIMUM: usize = 1_000;
/// The most matchers of a silence.
const MATCHERS_MAXIMUM: usize = 20;
/// The longest value of a label.
const VALUE_MAXIMUM: usize = 256;

/// The number of a name of a collection, which ends with a slash.
pub(super) fn number(collection: &str, name: &str) -> RpcResult<i32> {
    let digits = name.strip_prefix(collection).unwrap_or_default();
    let number: Option<i32> = digits.parse().ok().filter(|number| *number > 0);
    number.filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit())).ok_or_else(|| {
        RpcError::field("name", format!("must be {collection} and a number, as its list shows"))
    })
}

/// The ids of `slos/…` names.
pub(super) fn slos(names: &[String]) -> RpcResult<Vec<String>> {
    ids("slos", names, |name| SloId::from_name(name).map(|id| id.as_str().to_owned()))
}

/// The ids of `tenants/…` names.
pub(super) fn tenants(names: &[String]) -> RpcResult<Vec<String>> {
    ids("tenants", names, |name| TenantId::from_name(name).map(|id| id.as_str().to_owned()))
}

fn ids(
    field: &str,
    names: &[String],
    read: impl Fn(&str) -> Result<String, streamspace_core::ids::IdError>,
) -> RpcResult<Vec<String>> {
    if names.len() > NAMES_MAXIMUM {
        return Err(RpcError::field(field, "must be at most 1,000"));
    }
    let each = |(index, name): (usize, &String)| {
        let field = format!("{field}[{index}]");
        read(name).map_err(|error| RpcError::field(&field, error.to_string()))
    };
    let mut ids = names.iter().enumerate().map(each).collect::<RpcResult<Vec<_>>>()?;
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

pub(super) fn to_proto(record: &MaintenanceRecord) -> v1::Maintenance {
    v1::Maintenance {
        name: format!("maintenances/{}", record.number),
        title: record.title.clone(),
        slos: record.slos.iter().map(|id| format!("slos/{id}")).collect(),
        tenants: record.tenants.iter().map(|id| format!("tenants/{id}")).collect(),
        start_time: timestamp(record.start),
        end_time: timestamp(record.end),
        actor: record.actor.clone(),
        ended: record.ended,
        ended_by: record.ended_by.clone(),
    }
}

pub(super) fn matchers(given: &[v1::SilenceMatcher]) -> RpcResult<Vec<Matcher>> {
    if given.is_empty() || given.len() > MATCHERS_MAXIMUM {
        return Err(RpcError::field("matchers", "must be 1 to 20"));
    }
    if given.iter().all(|matcher| matcher.negative) {
        return Err(RpcError::field(
            "matchers",
            "at least one must say what a label is, and not what it is not",
        ));
    }
    let read = |(index, matcher): (usize, &v1::SilenceMatcher)| {
        let field = |part: &str| format!("matchers[{index}].{part}");
        named(&field("label"), &matcher.label)?;
        line_or_nothing(&field("value"), &matcher.value, VALUE_MAXIMUM)?;
        let (label, value) = (matcher.label.clone(), matcher.value.clone());
        Ok(Matcher { label, value, negative: matcher.negative })
    };
    given.iter().enumerate().map(read).collect()
}

pub(super) fn silence_to_proto(record: &SilenceRecord) -> v1::Silence {
    let matcher = |matcher: &Matcher| v1::SilenceMatcher {
        label: matcher.label.clone(),
        value: matcher.value.clone(),
        negative: matcher.negative,
    };
    v1::Silence {
        name: format!("silences/{}", record.number),
        matchers: record.matchers.iter().map(matcher).collect(),
        comment: record.comment.clone(),
        start_time: timestamp(record.start),
        end_time: timestamp(record.end),
        actor: record.actor.clone(),
        ended: record.ended,
    }
}

/// A silence's rules for people: `alertname=ApiLatency, tenant!=acme`.
pub(super) fn rules(matchers: &[Matcher]) -> String {
    let rule = |matcher: &Matcher| {
        let sign = if matcher.negative { "!=" } else { "=" };
        format!("{}{sign}{}", matcher.label, matcher.value)
    };
    matchers.iter().map(rule).collect::<Vec<_>>().join(", ")
}
