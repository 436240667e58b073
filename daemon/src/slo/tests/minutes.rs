//! Minute by minute: what replicas count and what is pushed, and what follows of it.

use super::*;

#[tokio::test]
async fn what_replicas_count_becomes_a_budget_and_alerts_at_known_minutes() {
    let world = World::start().await;
    world.make("calls", own(v1::OwnCounter::Calls)).await;
    // Two hours of 100 calls a minute by two replicas, and an outage of 24 minutes.
    for minute in 0..180 {
        let bad = if (120..144).contains(&minute) { 50 } else { 0 };
        world.count("calls", REGION, minute, 50, bad).await;
        world.count("calls", REGION, minute, 50, bad).await;
    }
    world.at(180);
    world.evaluate().await;
    let told = world.told("calls").await;
    let burns: Vec<Told> = told.into_iter().filter(|it| it.0 != "burn-3d").collect();
    assert_eq!(
        burns,
        [
            ("burn-1d".into(), 121, None),
            ("burn-1h".into(), 121, Some(149)),
            ("burn-6h".into(), 121, Some(174)),
        ]
    );
    let budget = world.budget("slos/calls", "").await;
    assert_eq!((budget.total, budget.bad), (18_000, 2_400));
    assert_eq!(seconds(budget.measured), 180 * 60);
    assert_eq!(seconds(budget.allowed), 2_592);
    assert_eq!(budget.availability_ppm, Some(866_666));
    assert_eq!(budget.state(), v1::BudgetState::Exhausted);
    assert_eq!(budget.exhausted_in.map(|span| span.seconds), Some(0), "bad calls of the last hour");
    let hour = budget.burn_rates.iter().find(|rate| seconds(rate.window) == 3_600).unwrap();
    assert_eq!((hour.total, hour.bad, hour.burn_rate_milli), (6_000, 2_400, Some(400_000)));
}

/// One evaluator for each minute, as leaders would come and go, is one for all.
#[tokio::test]
async fn it_is_the_same_by_minutes_and_at_once() {
    let (steps, whole) = (World::start().await, World::start().await);
    for world in [&steps, &whole] {
        world.make("calls", own(v1::OwnCounter::Calls)).await;
    }
    for minute in 0..90 {
        // Not every minute was counted.
        if minute % 7 != 0 {
            let bad = i64::from((30..40).contains(&minute)) * 3;
            for world in [&steps, &whole] {
                world.count("calls", REGION, minute, 10, bad).await;
            }
        }
        steps.at(minute + 1);
        steps.evaluate().await;
    }
    whole.at(90);
    whole.evaluate().await;
    assert_eq!(steps.told("calls").await, whole.told("calls").await);
    assert!(!steps.told("calls").await.is_empty());
    let budgets = [steps.budget("slos/calls", "").await, whole.budget("slos/calls", "").await];
    assert_eq!(budgets[0], budgets[1]);
    assert_eq!(seconds(budgets[0].gaps), 13 * 60);
}

#[tokio::test]
async fn what_comes_late_is_counted_where_it_belongs() {
    let world = World::start().await;
    world.make("calls", own(v1::OwnCounter::Calls)).await;
    for minute in 0..200 {
        world.count("calls", REGION, minute, 10, 0).await;
    }
    world.at(200);
    world.evaluate().await;
    // A replica that had no database for two hours writes what it counted.
    for minute in 50..170 {
        world.count("calls", REGION, minute, 10, 1).await;
    }
    world.at(201);
    world.evaluate().await;
    let budget = world.budget("slos/calls", "").await;
    assert_eq!((budget.total, budget.bad), (3_200, 120));
    let hour = budget.burn_rates.iter().find(|rate| seconds(rate.window) == 3_600).unwrap();
    // Of the 60 minutes up to 201 the last was not counted; 29 hold late ones.
    assert_eq!((hour.total, hour.bad), (590 + 290, 29));
    let request = v1::GetBurnChartRequest {
        slo: "slos/calls".into(),
        steps: 3,
        start_time: crate::rpc::time::timestamp(BEGIN.plus(20).start()),
        end_time: crate::rpc::time::timestamp(BEGIN.plus(200).start()),
        ..Default::default()
    };
    let chart = world.service().chart(&kim(), &request).await.unwrap();
    let steps: Vec<(i64, i64)> = chart.steps.iter().map(|step| (step.total, step.bad)).collect();
    assert_eq!(steps, [(900, 30), (1_200, 60), (900, 30)]);
}

#[tokio::test]
async fn a_gap_is_neither_good_nor_bad_and_alerts() {
    let world = World::start().await;
    world.make("calls", own(v1::OwnCounter::Calls)).await;
    for minute in (0..60).chain(120..180) {
        world.count("calls", REGION, minute, 10, 0).await;
    }
    world.at(90);
    world.evaluate().await;
    let budget = world.budget("slos/calls", "").await;
    assert_eq!(budget.state(), v1::BudgetState::NoData);
    assert_eq!(seconds(budget.gaps), 30 * 60);
    assert_eq!(world.told("calls").await, [("no-data".into(), 65, None)]);
    world.at(180);
    world.evaluate().await;
    assert_eq!(world.told("calls").await, [("no-data".into(), 65, Some(121))]);
    let budget = world.budget("slos/calls", "").await;
    assert_eq!(budget.state(), v1::BudgetState::Ok);
    assert_eq!((budget.total, budget.bad, seconds(budget.gaps)), (1_200, 0, 3_600));
}

#[tokio::test]
async fn an_excluded_time_does_not_count_and_can_be_taken_back() {
    let world = World::start().await;
    world.make("calls", own(v1::OwnCounter::Calls)).await;
    for minute in 0..180 {
        let bad = i64::from((70..100).contains(&minute)) * 10;
        world.count("calls", REGION, minute, 10, bad).await;
    }
    world.at(180);
    world.evaluate().await;
    let exclude = |include, validate_only| v1::ExcludeTimeRequest {
        slos: vec!["slos/calls".into()],
        start_time: crate::rpc::time::timestamp(BEGIN.plus(65).start()),
        end_time: crate::rpc::time::timestamp(BEGIN.plus(125).start()),
        include,
        validate_only,
        reason: "a planned move".into(),
        ..Default::default()
    };
    let slos = world.service();
    let preview = slos.exclude(&kim(), &exclude(false, true)).await.unwrap();
    assert_eq!((preview.budgets, preview.minutes, preview.bad), (1, 60, 300));
    assert_eq!(world.budget("slos/calls", "").await.bad, 300, "a preview changes nothing");
    assert_eq!(slos.exclude(&kim(), &exclude(false, false)).await.unwrap(), preview);
    world.count("calls", REGION, 180, 10, 0).await;
    world.at(181);
    world.evaluate().await;
    let budget = world.budget("slos/calls", "").await;
    assert_eq!((budget.total, budget.bad), (1_210, 0));
    assert_eq!((seconds(budget.excluded), seconds(budget.measured)), (3_600, 121 * 60));
    slos.exclude(&kim(), &exclude(true, false)).await.unwrap();
    world.count("calls", REGION, 181, 10, 0).await;
    world.at(182);
    world.evaluate().await;
    let budget = world.budget("slos/calls", "").await;
    assert_eq!((budget.total, budget.bad, seconds(budget.excluded)), (1_820, 300, 0));
}

#[tokio::test]
async fn a_maintenance_takes_its_minutes_out_and_what_the_rest_cost_is_known() {
    use crate::{maintenance::service::Maintenances, notify::Channels, slo::costs};
    let world = World::start().await;
    world.make("calls", own(v1::OwnCounter::Calls)).await;
    world.make("starts", own(v1::OwnCounter::SessionStarts)).await;
    for minute in 0..120 {
        // All is bad from minute 60 on.
        world.count("calls", REGION, minute, 1_000, i64::from(minute >= 60) * 1_000).await;
    }
    world.at(60);
    let db = world.test.database();
    let maintenances =
        Maintenances::new(db.clone(), world.clock(), "us-west-2", Channels::default());
    let request = v1::StartMaintenanceRequest {
        duration: Some(prost_types::Duration { seconds: 3_000, nanos: 0 }),
        slos: vec!["slos/calls".into()],
        reason: "moving disks".into(),
        ..Default::default()
    };
    maintenances.start(&kim(), &request).await.unwrap();
    world.at(120);
    world.evaluate().await;
    let budget = world.budget("slos/calls", "").await;
    // It began and ended within minutes, which are out as a whole: 60 up to and with 110.
    assert_eq!(seconds(budget.excluded), 51 * 60);
    assert_eq!((budget.total, budget.bad), (69_000, 9_000));
    let begins: Vec<i64> = world.told("calls").await.iter().map(|(_, begin, _)| *begin).collect();
    assert!(begins.iter().all(|begin| *begin > 110), "it pages nobody in it: {begins:?}");
    let mut tx = db.begin(&Scope::Region).await.unwrap();
    let slos = ["calls", "starts", "gone"].map(str::to_owned);
    let cost = async |from: i64, to: i64, tx: &mut sqlx::PgConnection| {
        let time = (BEGIN.plus(from).start(), BEGIN.plus(to).plus(-1).start());
        costs(tx, &slos, &[], time).await.unwrap()
    };
    let all = cost(60, 120, &mut tx).await;
    let told: Vec<_> =
        all.iter().map(|it| (it.slo.as_str(), it.counts.total, it.used_ppm)).collect();
    // 9,000 bad of the 69 that 69,000 events allow at 99.9 %: 130.4 times the budget.
    assert_eq!(
        told,
        [("calls", 9_000, Some(130_434_783)), ("gone", 0, None), ("starts", 0, Some(0))]
    );
    let well = cost(0, 60, &mut tx).await;
    assert_eq!((well[0].counts.bad, well[0].used_ppm), (0, Some(0)));
}

#[tokio::test]
async fn each_tenant_has_a_budget_by_its_plan_and_loses_it_with_itself() {
    let world = World::start().await;
    let globex = world.test.insert_tenant("globex").await;
    sqlx::query("UPDATE tenants SET plan_id = 'enterprise' WHERE tenant_id = 'globex'")
        .execute(world.test.database().operator())
        .await
        .unwrap();
    let starts = v1::Slo {
        objective: String::new(),
        per_tenant: Some(v1::PerTenant { by_plan: true, ..Default::default() }),
        ..own(v1::OwnCounter::SessionStarts)
    };
    world.make("starts", starts).await;
    for minute in 0..30 {
        world.count("session-starts", world.acme.0, minute, 100, 1).await;
        world.count("session-starts", globex.0, minute, 100, 1).await;
    }
    world.at(30);
    world.evaluate().await;
    let request = v1::ListBudgetsRequest::default();
    let all = world.service().list_budgets(&kim(), &request).await.unwrap().budgets;
    let shown: Vec<(&str, &str, i64)> = all
        .iter()
        .map(|it| (it.tenant.as_str(), it.objective.as_str(), it.remaining_ppm))
        .collect();
    let worst_first = [("tenants/globex", "99.99", -99_000_000), ("tenants/acme", "99", 0)];
    assert_eq!(shown, worst_first);
    // Who reaches one tenant sees its budget alone.
    let own = caller("ann", Role::Viewer, Scope::Tenants(vec![world.acme]));
    let seen = world.service().list_budgets(&own, &request).await.unwrap().budgets;
    assert_eq!(seen.iter().map(|it| it.tenant.as_str()).collect::<Vec<_>>(), ["tenants/acme"]);
    let filter = v1::ListBudgetsRequest { filter: "remaining_percent < 0".into(), ..request };
    let found = world.service().list_budgets(&kim(), &filter).await.unwrap().budgets;
    assert_eq!(found.len(), 1);
    sqlx::query("UPDATE tenants SET state = 'gone' WHERE tenant_id = 'globex'")
        .execute(world.test.database().operator())
        .await
        .unwrap();
    world.at(31);
    world.evaluate().await;
    let left = world.service().list_budgets(&kim(), &filter).await.unwrap().budgets;
    assert!(left.is_empty());
    let firing: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM alerts WHERE tenant_uid = $1 AND end_time IS NULL",
    )
    .bind(globex.0)
    .fetch_one(world.test.database().operator())
    .await
    .unwrap();
    assert_eq!(firing, 0);
}

#[tokio::test]
async fn what_is_pushed_again_takes_the_last_counts() {
    let world = World::start().await;
    world.make("batch", pushed()).await;
    let sample = |minute: i64, total, bad| v1::PushedSample {
        minute: crate::rpc::time::timestamp(BEGIN.plus(minute).start()),
        total,
        bad,
        ..Default::default()
    };
    let push = async |samples: Vec<v1::PushedSample>| {
        let slo = "slos/batch".into();
        let request = v1::PushSamplesRequest { slo, samples, ..Default::default() };
        world.service().push(&kim(), &request).await
    };
    world.at(10);
    push(vec![sample(2, 5, 5), sample(2, 10, 1), sample(9, 4, 0)]).await.unwrap();
    world.evaluate().await;
    assert_eq!(
        (world.budget("slos/batch", "").await.total, world.budget("slos/batch", "").await.bad),
        (14, 1)
    );
    push(vec![sample(2, 10, 3), sample(5, 1, 0)]).await.unwrap();
    world.at(11);
    world.evaluate().await;
    let budget = world.budget("slos/batch", "").await;
    assert_eq!((budget.total, budget.bad), (15, 3));
    for (samples, words) in [
        (vec![sample(11, 1, 0)], None),
        (vec![sample(12, 1, 0)], Some("samples[0].minute: must not be after now")),
        (vec![sample(-4_400, 1, 0)], Some("at most three days ago")),
        (vec![sample(-1, 1, 0)], Some("samples[0].minute: is before 2026-06-21T00:00:00Z")),
        (vec![sample(1, 1, 2)], Some("samples[0].bad")),
        (vec![sample(1, -1, 0)], Some("samples[0].total")),
        (vec![], Some("samples: must be 1 to 1,000")),
    ] {
        match (push(samples).await, words) {
            (Ok(_), None) => {}
            (Err(error), Some(words)) => assert!(faults(&error).contains(words), "{error}"),
            (found, words) => panic!("{found:?}, and not {words:?}"),
        }
    }
}

/// A leader that was killed in the middle, or that another has followed, changes nothing.
#[tokio::test]
async fn who_does_not_lead_keeps_nothing() {
    let world = World::start().await;
    world.make("calls", own(v1::OwnCounter::Calls)).await;
    world.count("calls", REGION, 0, 10, 1).await;
    world.at(5);
    sqlx::query("UPDATE leader SET leader_term = 2, replica = 'two'")
        .execute(world.test.database().operator())
        .await
        .unwrap();
    world.evaluate().await;
    assert_eq!(world.budget("slos/calls", "").await.state(), v1::BudgetState::Unspecified);
    let waiting: i64 = sqlx::query_scalar("SELECT count(*) FROM slo_counts")
        .fetch_one(world.test.database().operator())
        .await
        .unwrap();
    assert_eq!(waiting, 1, "it waits for the leader");
}
