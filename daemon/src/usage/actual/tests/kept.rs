//! What a round keeps, and what it does not.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio_util::sync::CancellationToken;

use super::*;
use crate::db::catalogue;

fn gauge(at: Second, value: i128) -> Sample {
    sample("tenant-acme", at, Value::Gauge { value, window: 0 })
}

fn counter(at: Second, start: Second, value: i128) -> Sample {
    sample("tenant-acme", at, Value::Counter { start, value })
}

#[tokio::test]
async fn a_reading_counts_once_whoever_leads_and_whatever_was_killed() {
    let world = World::start().await;
    let told = Told::of(&[Metric::Memory, Metric::Egress]);
    let source = || Arc::clone(&told) as Arc<dyn Source>;
    let mut one = world.measuring(simulated(), vec![source()]);
    let now = world.now().await;
    told.say(Metric::Memory, Ok(vec![gauge(now.plus(-300), 1_000)]));
    told.say(Metric::Egress, Ok(vec![counter(now.plus(-300), now.plus(-900), 7_000)]));
    one.round(&world.leadership).await.unwrap();
    // The first look only sets the mark: the pod is older than the measuring.
    assert_eq!(world.sums(world.acme).await, Sums::default());
    told.say(Metric::Memory, Ok(vec![gauge(now.plus(-200), 1_000)]));
    told.say(Metric::Egress, Ok(vec![counter(now.plus(-200), now.plus(-900), 7_500)]));
    one.round(&world.leadership).await.unwrap();
    let sums = [0, 0, 100_000, 100, 500, 100, 0, 0];
    assert_eq!(world.sums(world.acme).await, sums);
    // The same again, and by another process of the next term.
    one.round(&world.leadership).await.unwrap();
    world.elect(2).await;
    let next = Leadership { leader_term: 2, ..world.leadership.clone() };
    let mut two = world.measuring(simulated(), vec![source()]);
    two.round(&next).await.unwrap();
    assert_eq!(world.sums(world.acme).await, sums);
    // The deposed one keeps nothing of what it reads.
    told.say(Metric::Memory, Ok(vec![gauge(now.plus(-100), 1_000)]));
    told.say(Metric::Egress, Ok(vec![counter(now.plus(-100), now.plus(-900), 7_600)]));
    assert!(matches!(one.round(&world.leadership).await, Err(RoundError::NotLeader)));
    assert_eq!(world.sums(world.acme).await, sums);
    two.round(&next).await.unwrap();
    assert_eq!(world.sums(world.acme).await, [0, 0, 200_000, 200, 600, 200, 0, 0]);
    // Another tenant has none of it, and the tables keep both apart.
    let delta = world.test.insert_tenant("delta").await;
    assert_eq!(world.sums(delta).await, Sums::default());
    catalogue::check(&world.test.superuser().await).await.unwrap();
    let mut tx = world.test.database().begin(&Scope::Tenants(vec![delta])).await.unwrap();
    let seen: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM usage_actual) + (SELECT count(*) FROM usage_actual_series)",
    )
    .fetch_one(&mut *tx)
    .await
    .unwrap();
    assert_eq!(seen, 0);
}

#[tokio::test]
async fn a_counter_that_begins_while_it_is_measured_counts_from_nothing() {
    let world = World::start().await;
    let told = Told::of(&[Metric::Egress]);
    let mut one = world.measuring(simulated(), vec![Arc::clone(&told) as Arc<dyn Source>]);
    told.say(Metric::Egress, Ok(Vec::new()));
    one.round(&world.leadership).await.unwrap();
    let now = world.now().await;
    sqlx::query("UPDATE usage_actual_sources SET since_second = since_second - 3600")
        .execute(world.test.database().operator())
        .await
        .unwrap();
    told.say(Metric::Egress, Ok(vec![counter(now, now.plus(-50), 900)]));
    one.round(&world.leadership).await.unwrap();
    assert_eq!(world.sums(world.acme).await[4..6], [900, 50]);
    // Larger than 64 bits hold, to the unit.
    let most = i128::from(i64::MAX) * 5 + 1;
    told.say(Metric::Egress, Ok(vec![counter(now.plus(1), now.plus(-50), most)]));
    one.round(&world.leadership).await.unwrap();
    assert_eq!(world.sums(world.acme).await[4..6], [most, 51]);
}

#[tokio::test]
async fn each_metric_says_where_it_comes_from_or_why_it_does_not() {
    let world = World::start().await;
    let told = Told::of(&[Metric::Cpu, Metric::Memory]);
    let mut one = world.measuring(simulated(), vec![Arc::clone(&told) as Arc<dyn Source>]);
    let now = world.now().await;
    told.say(Metric::Cpu, Ok(vec![gauge(now, 1)]));
    told.say(Metric::Memory, Err(Missing::Failed("it burns".into())));
    one.round(&world.leadership).await.unwrap();
    let sources = world.sources().await;
    let cpu = &sources[&Metric::Cpu];
    assert!(cpu.last.is_some_and(|last| last >= now) && cpu.problem.is_empty(), "{cpu:?}");
    let memory = &sources[&Metric::Memory];
    assert_eq!((memory.last, memory.problem.as_str()), (None, "it burns"));
    let egress = &sources[&Metric::Egress];
    assert!(egress.source.is_empty() && egress.problem.contains("usage.actual.prometheus"));
    // A clock that is an hour off is a problem of its own, and counts nothing.
    told.say(Metric::Cpu, Ok(vec![gauge(now.plus(3_600), 1)]));
    one.round(&world.leadership).await.unwrap();
    assert!(world.sources().await[&Metric::Cpu].problem.contains("check the clocks"));
    // What fails keeps the instant of its last reading.
    told.say(Metric::Cpu, Err(Missing::Failed("gone".into())));
    one.round(&world.leadership).await.unwrap();
    let cpu = &world.sources().await[&Metric::Cpu];
    assert!(cpu.last.is_some() && cpu.problem == "gone");
}

#[tokio::test]
async fn what_cannot_come_back_is_forgotten_and_a_living_counter_never() {
    let world = World::start().await;
    let now = world.now().await;
    let old = now.plus(-90_000);
    let told = Told::of(&[Metric::Memory, Metric::Egress]);
    let mut one = world.measuring(simulated(), vec![Arc::clone(&told) as Arc<dyn Source>]);
    for (metric, start) in [("memory", None), ("egress", Some(old.0))] {
        sqlx::query(
            "INSERT INTO usage_actual_series (tenant_uid, metric, series, at, container_start, value) \
             VALUES ($1, $2, 'desk-1', $3, $4, 5)",
        )
        .bind(world.acme.0)
        .bind(metric)
        .bind(old.0)
        .bind(start)
        .execute(world.test.database().operator())
        .await
        .unwrap();
    }
    // The pods are not known here, so the counter may still be one's.
    one.round(&world.leadership).await.unwrap();
    assert_eq!(world.series().await, 1);
    told.say(Metric::Egress, Ok(vec![counter(now, old, 25)]));
    one.round(&world.leadership).await.unwrap();
    assert_eq!(world.sums(world.acme).await[4..6], [20, 90_000]);
}

#[tokio::test]
async fn it_is_measured_while_this_replica_leads_and_the_cluster_is_the_right_one() {
    let world = World::start().await;
    let told = Told::of(&[Metric::Cpu]);
    told.say(Metric::Cpu, Ok(Vec::new()));
    let measuring = world.measuring(simulated(), vec![Arc::clone(&told) as Arc<dyn Source>]);
    let standing: Arc<Mutex<Option<Leadership>>> = Arc::default();
    let stop = CancellationToken::new();
    let asked = Arc::new(AtomicU32::new(0));
    let (now, count) = (Arc::clone(&standing), Arc::clone(&asked));
    let stands = move || {
        count.fetch_add(1, Ordering::Relaxed);
        now.lock().unwrap().clone()
    };
    let running = tokio::spawn(measuring.run(stands, stop.clone()));
    while asked.load(Ordering::Relaxed) < 2 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(world.sources().await.is_empty());
    *standing.lock().unwrap() = Some(world.leadership.clone());
    let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
    while world.sources().await.is_empty() {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stop.cancel();
    running.await.unwrap();
}
