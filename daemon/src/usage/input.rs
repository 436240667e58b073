//! From what a request says of usage to checked values. Pure.

use jiff::tz::{self, TimeZone};
use streamspace_core::{
    ids::TenantId,
    suggest, text,
    usage::{BUCKET_SECONDS, Second, Span},
    violation::Violations,
};
use streamspace_proto::v1::{self, UsageGroup};

use crate::rpc::errors::{RpcError, RpcResult};

pub(super) const HOUR: i64 = 3_600;
pub(super) const DAY: i64 = 86_400;
const QUERY_DAYS: i64 = 400;
const EXPLAIN_DAYS: i64 = 31;
const VERIFY_DAYS: i64 = 31;
/// The last second that the contract's instants have: of the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;
const LIVE_DEFAULT: i64 = 20;
const LIVE_MAXIMUM: i32 = 1000;
/// No name in the cluster is longer.
const NAME_MAXIMUM: usize = 253;
const ZONE_MAXIMUM: usize = 64;
/// All tenants that the caller sees.
const ALL: &str = "tenants/-";

/// Whose usage is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Of every tenant that the caller sees.
    All,
    /// Of the newest tenant of this name.
    One(TenantId),
}

/// A checked `QueryUsageRequest`.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) whose: Whose,
    pub(super) span: Span,
    pub(super) group: UsageGroup,
    pub(super) zone: TimeZone,
}

/// A checked `ExportUsageRequest`.
#[derive(Clone, Debug)]
pub(super) struct Export {
    pub(super) whose: Whose,
    pub(super) span: Span,
    /// Days of UTC and not hours.
    pub(super) days: bool,
}

/// What live usage is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Cpu,
    Memory,
    Sessions,
}

impl Order {
    const ALL: [Self; 3] = [Self::Cpu, Self::Memory, Self::Sessions];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Sessions => "sessions",
        }
    }
}

/// A checked `ListLiveUsageRequest`.
#[derive(Clone, Debug)]
pub(super) struct Live {
    pub(super) whose: Whose,
    pub(super) order: Order,
    pub(super) size: i64,
}

/// A checked `ExplainUsageRequest`. An empty text is no condition.
#[derive(Clone, Debug)]
pub(super) struct Explain {
    pub(super) tenant: TenantId,
    pub(super) span: Span,
    pub(super) user: String,
    pub(super) template: String,
    pub(super) session: String,
}

/// A checked `VerifyUsageRequest`.
#[derive(Clone, Debug)]
pub(super) struct Verify {
    pub(super) whose: Whose,
    pub(super) span: Span,
}

/// Reads a `QueryUsageRequest`.
pub(super) fn query(request: &v1::QueryUsageRequest) -> RpcResult<Query> {
    let mut faults = Violations::new();
    let whose = whose(&mut faults, &request.parent);
    let group = UsageGroup::try_from(request.group).ok();
    if group.is_none() {
        faults.add("group", "is no group: write USER, TEMPLATE, DAY or HOUR, or leave it out");
    }
    let zone = faults.check("time_zone", zone(&request.time_zone));
    let judge = zone.clone().unwrap_or(TimeZone::UTC);
    let span = span(&mut faults, request.start_time.as_ref(), request.end_time.as_ref(), |at| {
        is_whole_hour(at, &judge).then_some(()).ok_or("must be a whole hour, for example 10:00:00")
    });
    not_longer(&mut faults, span, QUERY_DAYS);
    let read = whose.zip(group).zip(zone).zip(span);
    let read = read.map(|(((whose, group), zone), span)| Query { whose, span, group, zone });
    finish(faults, read)
}

/// Reads an `ExportUsageRequest`.
pub(super) fn export(request: &v1::ExportUsageRequest) -> RpcResult<Export> {
    let mut faults = Violations::new();
    let whose = whose(&mut faults, &request.parent);
    let days = match UsageGroup::try_from(request.group) {
        Ok(UsageGroup::Day) => Some(true),
        Ok(UsageGroup::Hour) => Some(false),
        _ => {
            faults.add("group", "must be DAY or HOUR: how long the time of a row is");
            None
        }
    };
    let span =
        span(
            &mut faults,
            request.start_time.as_ref(),
            request.end_time.as_ref(),
            |at| match days {
                Some(true) if !is_multiple(at, DAY) => {
                    Err("must be a whole day of UTC where rows are days, for example 00:00:00Z")
                }
                _ if !is_multiple(at, HOUR) => Err("must be a whole hour, for example 10:00:00"),
                _ => Ok(()),
            },
        );
    let read = whose.zip(days).zip(span);
    finish(faults, read.map(|((whose, days), span)| Export { whose, span, days }))
}

/// Reads a `ListLiveUsageRequest`.
pub(super) fn live(request: &v1::ListLiveUsageRequest) -> RpcResult<Live> {
    let mut faults = Violations::new();
    let whose = whose(&mut faults, &request.parent);
    let order = faults.check("order_by", order(&request.order_by));
    let size = match request.page_size {
        0 => Some(LIVE_DEFAULT),
        size @ 1..=LIVE_MAXIMUM => Some(i64::from(size)),
        _ => {
            faults.add("page_size", "must be 1 to 1000, or 0 for 20");
            None
        }
    };
    let read = whose.zip(order).zip(size);
    finish(faults, read.map(|((whose, order), size)| Live { whose, order, size }))
}

/// Reads an `ExplainUsageRequest`.
pub(super) fn explain(request: &v1::ExplainUsageRequest) -> RpcResult<Explain> {
    let mut faults = Violations::new();
    let tenant = faults.check("tenant", TenantId::from_name(&request.tenant));
    let span = span(&mut faults, request.start_time.as_ref(), request.end_time.as_ref(), |at| {
        let is_whole = is_multiple(at, BUCKET_SECONDS);
        is_whole.then_some(()).ok_or("must be whole five minutes, for example 10:05:00")
    });
    not_longer(&mut faults, span, EXPLAIN_DAYS);
    for (field, value) in
        [("user", &request.user), ("template", &request.template), ("session", &request.session)]
    {
        faults.check(field, text::check(value, NAME_MAXIMUM));
    }
    let read = tenant.zip(span).map(|(tenant, span)| Explain {
        tenant,
        span,
        user: request.user.clone(),
        template: request.template.clone(),
        session: request.session.clone(),
    });
    finish(faults, read)
}

/// Reads a `VerifyUsageRequest`.
pub(super) fn verify(request: &v1::VerifyUsageRequest) -> RpcResult<Verify> {
    let mut faults = Violations::new();
    let whose = whose(&mut faults, &request.parent);
    let span = span(&mut faults, request.start_time.as_ref(), request.end_time.as_ref(), |at| {
        let is_whole = is_multiple(at, DAY);
        is_whole.then_some(()).ok_or("must be a whole day of UTC, for example 00:00:00Z")
    });
    not_longer(&mut faults, span, VERIFY_DAYS);
    finish(faults, whose.zip(span).map(|(whose, span)| Verify { whose, span }))
}

/// Reads the tenant of a request that names one.
pub(super) fn tenant(name: &str) -> RpcResult<TenantId> {
    TenantId::from_name(name).map_err(|error| RpcError::field("tenant", error.to_string()))
}

fn finish<T>(faults: Violations, read: Option<T>) -> RpcResult<T> {
    faults.into_result().map_err(RpcError::Invalid)?;
    // What could not be read has said so.
    read.ok_or_else(|| RpcError::Internal("a request was refused without a reason".into()))
}

fn whose(faults: &mut Violations, parent: &str) -> Option<Whose> {
    if parent == ALL {
        return Some(Whose::All);
    }
    if parent.is_empty() {
        faults.add("parent", "is missing: write `tenants/NAME`, or `tenants/-` for all");
        return None;
    }
    faults.check("parent", TenantId::from_name(parent)).map(Whose::One)
}

fn order(word: &str) -> Result<Order, String> {
    let meant = if word.is_empty() { Order::Cpu.as_str() } else { word };
    Order::ALL.into_iter().find(|order| order.as_str() == meant).ok_or_else(|| {
        let remedy = match suggest::nearest(word, Order::ALL.map(Order::as_str)) {
            Some(meant) => format!("`{meant}`"),
            None => "`cpu`, `memory` or `sessions`".to_owned(),
        };
        format!("`{}` is nothing to sort by: write {remedy}", text::excerpt(word))
    })
}

/// The zone of an IANA name; UTC where it is empty.
fn zone(name: &str) -> Result<TimeZone, String> {
    if name.is_empty() {
        return Ok(TimeZone::UTC);
    }
    let known = (name.len() <= ZONE_MAXIMUM).then(|| TimeZone::get(name).ok()).flatten();
    known.ok_or_else(|| {
        let names: Vec<String> = tz::db().available().map(|zone| zone.to_string()).collect();
        let remedy = match suggest::nearest(name, names) {
            Some(meant) => format!("write `{meant}`"),
            None => "write its IANA name, for example `America/New_York`".to_owned(),
        };
        format!("`{}` is no time zone that is known here: {remedy}", text::excerpt(name))
    })
}

fn is_multiple(second: Second, of: i64) -> bool {
    second.0.rem_euclid(of) == 0
}

/// Whether it is a whole hour, of UTC or on the clocks of the zone. Zones off by half an
/// hour have days that begin at no whole hour of UTC.
fn is_whole_hour(second: Second, zone: &TimeZone) -> bool {
    let there = i64::from(zone.to_offset(second.timestamp()).seconds());
    let of_zone = is_multiple(second, BUCKET_SECONDS) && is_multiple(second.plus(there), HOUR);
    is_multiple(second, HOUR) || of_zone
}

/// The time of a request: both ends there, right, and in their order.
fn span(
    faults: &mut Violations,
    start: Option<&prost_types::Timestamp>,
    end: Option<&prost_types::Timestamp>,
    check: impl Fn(Second) -> Result<(), &'static str>,
) -> Option<Span> {
    let mut read = |field: &str, time: Option<&prost_types::Timestamp>| {
        let second = time.ok_or("is missing").and_then(|time| {
            let is_instant = (0..=LAST_SECOND).contains(&time.seconds);
            let second = Second(time.seconds);
            match () {
                () if !is_instant => Err("must be an instant of the years 1970 to 9999"),
                () if time.nanos != 0 => Err("must be a whole second"),
                () => check(second).map(|()| second),
            }
        });
        faults.check(field, second)
    };
    let (from, to) = (read("start_time", start), read("end_time", end));
    let span = from.zip(to).map(|(from, to)| Span::new(from, to))?;
    if span.is_empty() {
        faults.add("end_time", "must be after start_time; it is not part of the time itself");
        return None;
    }
    Some(span)
}

fn not_longer(faults: &mut Violations, span: Option<Span>, days: i64) {
    if span.is_some_and(|span| span.seconds() > days * DAY) {
        faults.add("end_time", format!("must be at most {days} days after start_time"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOVEMBER: i64 = 1_793_491_200;

    #[expect(clippy::unnecessary_wraps, reason = "the field is optional")]
    fn at(seconds: i64) -> Option<prost_types::Timestamp> {
        Some(prost_types::Timestamp { seconds: NOVEMBER + seconds, nanos: 0 })
    }

    fn a_query() -> v1::QueryUsageRequest {
        v1::QueryUsageRequest {
            parent: "tenants/acme".into(),
            start_time: at(0),
            end_time: at(DAY),
            ..Default::default()
        }
    }

    /// The fields that a request is refused for, with the words.
    fn refused<T: std::fmt::Debug>(result: RpcResult<T>) -> Vec<String> {
        let RpcError::Invalid(faults) = result.unwrap_err() else { panic!("another error") };
        faults.into_iter().map(|fault| format!("{}: {}", fault.field, fault.description)).collect()
    }

    #[test]
    fn each_wrong_field_is_named_with_the_remedy() {
        let good = query(&a_query()).unwrap();
        assert_eq!((good.span.seconds(), good.group), (DAY, UsageGroup::Unspecified));
        let all = v1::QueryUsageRequest { parent: "tenants/-".into(), ..a_query() };
        assert_eq!(query(&all).unwrap().whose, Whose::All);

        let nanos = Some(prost_types::Timestamp { seconds: NOVEMBER, nanos: 1 });
        let cases = [
            (v1::QueryUsageRequest { parent: String::new(), ..a_query() }, "parent: is missing"),
            (v1::QueryUsageRequest { parent: "Acme".into(), ..a_query() }, "parent: "),
            (v1::QueryUsageRequest { group: 9, ..a_query() }, "group: "),
            (v1::QueryUsageRequest { start_time: None, ..a_query() }, "start_time: is missing"),
            (
                v1::QueryUsageRequest { start_time: at(60), ..a_query() },
                "start_time: must be a whole hour",
            ),
            (
                v1::QueryUsageRequest { start_time: nanos, ..a_query() },
                "start_time: must be a whole second",
            ),
            (
                v1::QueryUsageRequest { start_time: at(-NOVEMBER - HOUR), ..a_query() },
                "start_time: must be an instant",
            ),
            (
                v1::QueryUsageRequest { end_time: at(i64::MAX - NOVEMBER), ..a_query() },
                "end_time: must be an instant",
            ),
            (
                v1::QueryUsageRequest { end_time: at(0), ..a_query() },
                "end_time: must be after start_time",
            ),
            (
                v1::QueryUsageRequest { end_time: at(401 * DAY), ..a_query() },
                "end_time: must be at most 400 days",
            ),
            (
                v1::QueryUsageRequest { time_zone: "America/New_Yrok".into(), ..a_query() },
                "time_zone: `America/New_Yrok` is no time zone that is known here: write `America/New_York`",
            ),
            (
                v1::QueryUsageRequest { time_zone: "../../etc/passwd\u{1b}".into(), ..a_query() },
                "time_zone: `../../etc/passwd\\u{1b}` is no time zone",
            ),
            (v1::QueryUsageRequest { time_zone: "x".repeat(70_000), ..a_query() }, "time_zone: "),
        ];
        for (request, words) in cases {
            let found = refused(query(&request));
            assert!(found.len() == 1 && found[0].starts_with(words), "{words}: {found:?}");
        }
        let nothing = v1::QueryUsageRequest { time_zone: "Mars".into(), ..Default::default() };
        assert_eq!(refused(query(&nothing)).len(), 4, "all at once");
    }

    #[test]
    fn an_hour_is_whole_on_the_clocks_of_its_zone() {
        let half = v1::QueryUsageRequest { start_time: at(-HOUR / 2), ..a_query() };
        assert_eq!(refused(query(&half)).len(), 1);
        let there = v1::QueryUsageRequest { time_zone: "Asia/Kolkata".into(), ..half };
        assert!(query(&there).is_ok());
    }

    #[test]
    fn the_other_requests_name_their_fields_too() {
        let export_of = |group: UsageGroup, start| v1::ExportUsageRequest {
            parent: "tenants/acme".into(),
            start_time: at(start),
            end_time: at(DAY),
            group: group.into(),
        };
        assert!(export(&export_of(UsageGroup::Day, 0)).unwrap().days);
        assert!(!export(&export_of(UsageGroup::Hour, HOUR)).unwrap().days);
        assert!(refused(export(&export_of(UsageGroup::Day, HOUR)))[0].starts_with("start_time"));
        assert!(refused(export(&export_of(UsageGroup::User, 0)))[0].starts_with("group"));

        let live_of = |order: &str, size| v1::ListLiveUsageRequest {
            parent: "tenants/-".into(),
            order_by: order.into(),
            page_size: size,
        };
        assert_eq!(live(&live_of("", 0)).unwrap().size, 20);
        assert_eq!(
            refused(live(&live_of("memroy", -1))),
            [
                "order_by: `memroy` is nothing to sort by: write `memory`",
                "page_size: must be 1 to 1000, or 0 for 20"
            ]
        );

        let explain_of = |start, end, user: &str| v1::ExplainUsageRequest {
            tenant: "tenants/acme".into(),
            start_time: at(start),
            end_time: at(end),
            user: user.into(),
            ..Default::default()
        };
        assert!(explain(&explain_of(300, 600, "ada")).is_ok());
        assert!(refused(explain(&explain_of(0, 61, "")))[0].starts_with("end_time: must be whole"));
        assert!(refused(explain(&explain_of(0, 32 * DAY, "")))[0].contains("31 days"));
        assert!(refused(explain(&explain_of(0, 300, "a\0")))[0].starts_with("user"));

        let verify_of = |end| v1::VerifyUsageRequest {
            parent: "tenants/acme".into(),
            start_time: at(0),
            end_time: at(end),
        };
        assert!(verify(&verify_of(DAY)).is_ok());
        assert!(refused(verify(&verify_of(HOUR)))[0].starts_with("end_time: must be a whole day"));
    }
}
