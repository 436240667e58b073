//! What error budgets cost: an SLO with a budget for each of ten thousand tenants, evaluated
//! each half minute as the leader does, against the time that passes meanwhile. Every tenant
//! has events in every minute.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use streamspaced::slo::{Evaluator, EvaluatorParts, Progress, config::SloConfig};

use crate::{
    metering::Base,
    process::processor_time,
    table::{Line, milliseconds, verdict},
};

const TENANTS: i32 = 10_000;
/// 2 November 2026, 00:00 UTC.
const BEGIN: i64 = 1_793_577_600;
/// So many minutes are known before it is measured: all windows of the first page rule.
const BEFORE: i64 = 70;
/// So many are measured.
const MINUTES: i64 = 10;
/// The share of a core that it may take.
const TARGET: f64 = 0.2;

pub(crate) async fn measure() -> Line {
    let stage = Base::start(TENANTS, 0).await;
    sqlx::query(
        "INSERT INTO slos (slo_uid, slo_id, definition, first_minute, known_minute) \
         VALUES (gen_random_uuid(), 'starts', $1, $2, $2)",
    )
    .bind(definition())
    .bind(BEGIN / 60)
    .execute(&stage.superuser)
    .await
    .expect("an SLO");
    let clock = Arc::new(Mutex::new(Timestamp::from_second(BEGIN).expect("a time")));
    let told = Arc::clone(&clock);
    let mut evaluator = Evaluator::new(EvaluatorParts {
        db: stage.db.clone(),
        config: SloConfig { seeded: false, settle_seconds: 1, ..SloConfig::default() },
        clock: Arc::new(move || *told.lock().expect("nobody panics")),
    });
    let mut minute = 0;
    let mut pass = async |minutes: i64| {
        let used = processor_time(std::process::id());
        for _ in 0..minutes {
            count(&stage, minute).await;
            minute += 1;
        }
        // The second half minute finds nothing new.
        for second in [5, 35] {
            let at = SignedDuration::from_secs(BEGIN + minute * 60 + second);
            *clock.lock().expect("nobody panics") =
                Timestamp::UNIX_EPOCH.checked_add(at).expect("a time");
            while evaluator.round(&stage.leadership).await.expect("a round") == Progress::Behind {}
        }
        processor_time(std::process::id()).saturating_sub(used)
    };
    pass(BEFORE).await;
    let mut used = Duration::ZERO;
    for _ in 0..MINUTES {
        used += pass(1).await;
    }
    let known: i64 = sqlx::query_scalar("SELECT count(*) FROM slo_budgets WHERE known_minute = $1")
        .bind(BEGIN / 60 + BEFORE + MINUTES)
        .fetch_one(&stage.superuser)
        .await
        .expect("a count");
    assert_eq!(known, i64::from(TENANTS), "every budget is known up to the last minute");
    let minutes = u32::try_from(MINUTES).expect("few");
    let share = used.as_secs_f64() / (60.0 * f64::from(minutes));
    Line {
        what: format!("error budgets of {TENANTS} tenants, each 30 s, processor time"),
        ours: format!("{} a minute", milliseconds(used / minutes)),
        against: "one core".into(),
        bare: "60 s a minute".into(),
        ratio: format!("{:.1} %", share * 100.0),
        remark: verdict(share < TARGET, "under 20 % of a core"),
    }
}

/// What replicas counted of every tenant in a minute. It is PostgreSQL's work.
async fn count(stage: &Base, minute: i64) {
    sqlx::query(
        "INSERT INTO slo_counts (tenant_uid, source_uid, counter, minute, total, bad) \
         SELECT tenant_uid, gen_random_uuid(), 'session-starts', $1, 20, 0 FROM tenants",
    )
    .bind(BEGIN / 60 + minute)
    .execute(&stage.superuser)
    .await
    .expect("counts");
}

/// The stored form of an SLO of session starts with a budget for each tenant.
fn definition() -> Vec<u8> {
    use prost::Message as _;
    use streamspace_proto::v1::{
        OwnCounter, OwnSli, PerTenant, Sli, Slo, SloWindow, sli, slo_window,
    };
    let own = OwnSli { counter: OwnCounter::SessionStarts.into() };
    Slo {
        service: "sessions".into(),
        objective: "99".into(),
        window: Some(SloWindow { window: Some(slo_window::Window::RollingDays(30)) }),
        sli: Some(Sli { sli: Some(sli::Sli::Own(own)) }),
        per_tenant: Some(PerTenant::default()),
        ..Slo::default()
    }
    .encode_to_vec()
}
