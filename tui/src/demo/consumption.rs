//! What tenants of the story use.

use streamspace_core::load::random::Random;
use streamspace_proto::v1::{
    self, QueryUsageResponse, Session, SessionPhase, UsageAmounts, UsageRow, UsageStatus,
};

use super::{BEGIN, time};
use crate::state::{LiveUsage, TenantUsage};

const HOUR: i64 = 3600;

/// Amounts of so many sessions over so many seconds.
fn amounts(sessions: u64, seconds: u64) -> UsageAmounts {
    let seconds = u128::from(sessions) * u128::from(seconds);
    UsageAmounts {
        cpu_millicore_seconds: (seconds * 3100).to_string(),
        memory_byte_seconds: (seconds * (6 << 30)).to_string(),
        storage_byte_seconds: (seconds * (20 << 30)).to_string(),
        session_seconds: seconds.to_string(),
        measured_seconds: seconds.to_string(),
        ..UsageAmounts::default()
    }
}

/// People work by day, with a valley at noon.
fn at_work(hour: i64, random: &mut Random) -> u64 {
    const DAY: [u64; 24] =
        [1, 1, 0, 0, 0, 1, 3, 9, 17, 22, 25, 24, 18, 23, 26, 25, 21, 14, 8, 6, 4, 3, 2, 1];
    let of_day = usize::try_from(hour.rem_euclid(24)).unwrap_or(0);
    DAY.get(of_day).copied().unwrap_or(0) + random.below(3)
}

pub(super) fn usage(tenant: &str, second: i64) -> TenantUsage {
    let mut random = Random::of(tenant.bytes().map(u64::from));
    let this_hour = (BEGIN + second).div_euclid(HOUR);
    let row = |start: i64, length: i64, amounts: UsageAmounts| UsageRow {
        tenant: tenant.into(),
        start_time: time(start * HOUR - BEGIN),
        end_time: time((start + length) * HOUR - BEGIN),
        amounts: Some(amounts),
        ..UsageRow::default()
    };
    let hours = (this_hour - 47..this_hour)
        .map(|hour| row(hour, 1, amounts(at_work(hour, &mut random), 3600)))
        .collect();
    let of = |share: u64| Some(amounts(share, 40_000));
    let by = |names: &[(&str, u64)], is_user: bool| QueryUsageResponse {
        rows: names
            .iter()
            .map(|(name, share)| UsageRow {
                user: if is_user { (*name).into() } else { String::new() },
                template: if is_user { String::new() } else { (*name).into() },
                amounts: of(*share),
                ..UsageRow::default()
            })
            .collect(),
        total: of(names.iter().map(|(_, share)| share).sum()),
        ..QueryUsageResponse::default()
    };
    let closed = time(this_hour * HOUR - BEGIN);
    TenantUsage {
        hours: QueryUsageResponse {
            rows: hours,
            closed_through_time: closed,
            ..QueryUsageResponse::default()
        },
        days: QueryUsageResponse { total: of(168), ..QueryUsageResponse::default() },
        users: by(&[("ada", 61), ("ben", 40), ("hana", 33), ("cyd", 21), ("finn", 13)], true),
        templates: by(
            &[("vscode", 74), ("ubuntu-desktop", 52), ("firefox-browser", 30), ("blender", 12)],
            false,
        ),
        status: status(second),
    }
}

fn status(second: i64) -> UsageStatus {
    UsageStatus {
        begin_time: time(-90 * 86_400),
        complete_through_time: time(second - 3),
        closed_through_time: time(second - second.rem_euclid(300) - 127),
        leader_term: 12,
        ..UsageStatus::default()
    }
}

pub(super) fn live(sessions: &[Session], second: i64) -> LiveUsage {
    let mut tenants: Vec<v1::LiveUsage> = Vec::new();
    let mut total = v1::LiveUsage::default();
    for session in sessions {
        let name = session.name.split("/sessions/").next().unwrap_or_default();
        let place = tenants.iter().position(|it| it.tenant == name).unwrap_or_else(|| {
            tenants.push(v1::LiveUsage { tenant: name.into(), ..v1::LiveUsage::default() });
            tenants.len() - 1
        });
        let runs = session.phase() == SessionPhase::Running;
        for sum in tenants.get_mut(place).into_iter().chain([&mut total]) {
            sum.total_sessions += 1;
            if runs {
                sum.running_sessions += 1;
                sum.cpu_millicores += 3100;
                sum.memory_bytes += 6 << 30;
            }
        }
    }
    tenants.sort_by_key(|it| std::cmp::Reverse(it.cpu_millicores));
    tenants.truncate(50);
    let live =
        v1::ListLiveUsageResponse { tenants, total: Some(total), as_of_time: time(second - 3) };
    LiveUsage { live, status: status(second) }
}
