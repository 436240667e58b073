//! The days of the core's simulation, run against PostgreSQL: the same transactions in
//! the same order, and at the end the same facts and the same usage to the unit.

use std::env;

use super::*;
use drive::drive;
use random::Random;
use store::Step;
use world::{BEGIN, DAY};

#[allow(dead_code, reason = "the core's own tests use all of it")]
#[path = "../../../../core/src/usage/simulation/drive.rs"]
mod drive;
#[allow(dead_code, reason = "the core's own tests use all of it")]
#[path = "../../../../core/src/usage/simulation/store.rs"]
mod memory;
#[allow(dead_code, unreachable_pub, reason = "the core lets others use all of it")]
#[path = "../../../../core/src/load/random.rs"]
mod random;
#[path = "../../../../core/src/usage/simulation/replica.rs"]
mod replica;
mod store;
#[allow(dead_code, reason = "the core's own tests use all of it")]
#[path = "../../../../core/src/usage/simulation/world.rs"]
mod world;

/// `STREAMSPACE_SEEDS` says how many.
#[tokio::test]
async fn thirty_days_with_every_fault_are_the_same_in_the_database() {
    let seeds: u64 = env::var("STREAMSPACE_SEEDS").map_or(3, |seeds| seeds.parse().unwrap());
    for seed in 0..seeds.min(1000) {
        replay(seed).await;
    }
}

async fn replay(seed: u64) {
    let (world, store, _counts) = drive(seed);
    let (memory, steps) = store.done();
    let metering = Metering::beginning(Second(BEGIN)).await;
    metering.partitions(Second(BEGIN), Second(BEGIN + 45 * DAY)).await;
    let tenants: BTreeMap<SessionUid, Session> =
        world.sessions.iter().map(|session| (session.uid, session.clone())).collect();
    for number in 1..=2_u128 {
        insert_tenant(&metering, TenantUid(Uuid::from_u128(number))).await;
    }
    for (number, step) in steps.iter().enumerate() {
        take(&metering, &tenants, step).await.unwrap_or_else(|fault| {
            panic!("seed {seed}, step {number}: {fault}: {step:?}");
        });
    }
    // What it comes to.
    let facts: BTreeMap<(SessionUid, Order), Transition> = stored(&metering).await;
    assert_eq!(facts, memory.transitions, "seed {seed}");
    let stands = metering.stands().await;
    for session in tenants.keys() {
        let empty = |bucket| Interval::empty(*session, bucket);
        let found: BTreeMap<Bucket, Interval> = stands
            .iter()
            .filter(|((uid, bucket), row)| uid == session && **row != empty(*bucket))
            .map(|((_, bucket), row)| (*bucket, row.clone()))
            .collect();
        assert_eq!(found, memory.stands(*session), "seed {seed}, session {session}");
    }
    let mut tx = metering.begin().await;
    let found = super::super::store::watermark(&mut tx, super::super::store::Hold::Nothing).await;
    let mine = memory.watermark;
    let expected = Watermark { leader_term: LeaderTerm(mine.leader_term.0 + 1), ..mine };
    assert_eq!(found.unwrap(), Some(expected), "seed {seed}");
    while rollups::batch(&mut tx).await.unwrap() > 0 {}
    tx.commit().await.unwrap();
    metering.prove().await;
}

/// One transaction; an error says how it came out otherwise than in memory. The terms are
/// one higher here, for metering has begun with a leader.
async fn take(
    metering: &Metering,
    sessions: &BTreeMap<SessionUid, Session>,
    step: &Step,
) -> Result<(), String> {
    let mut tx = metering.begin().await;
    let mine = |term: &LeaderTerm| term.0 + 1;
    let differ = |found: &dyn std::fmt::Debug| Err(format!("{found:?}"));
    match step {
        Step::Append(transitions) => {
            let facts: Vec<Fact> = transitions
                .iter()
                .map(|transition| fact(sessions.get(&transition.session).unwrap(), *transition))
                .collect();
            facts::store(&mut tx, &facts).await.unwrap();
        }
        Step::Lead(term) => {
            let done = facts::lead(&mut tx, mine(term), Second(0)).await.unwrap();
            if done.is_err() {
                return differ(&done);
            }
        }
        Step::Listed { term, listing, listed, outcome } => {
            let done = facts::listed(&mut tx, mine(term), *listing, listed).await.unwrap();
            match (&done, outcome) {
                (Ok(found), Ok(count)) if found == count => {}
                (Err(_), Err(_)) => return Ok(()),
                _ => return differ(&done),
            }
        }
        Step::Confirmed { term, at, outcome } => {
            let done = facts::confirmed(&mut tx, mine(term), *at).await.unwrap();
            match (&done, outcome) {
                (Ok(_), Ok(())) => {}
                (Err(_), Err(_)) => return Ok(()),
                _ => return differ(&done),
            }
        }
        Step::Commit { commit, outcome } => {
            let commit = Commit { leader_term: LeaderTerm(mine(&commit.leader_term)), ..*commit };
            let mut reading = metering.begin().await;
            if outcome.is_ok() {
                let nothing = super::super::store::Hold::Nothing;
                let watermark =
                    super::super::store::watermark(&mut reading, nothing).await.unwrap().unwrap();
                let from = commit.closed_through;
                let ledger = super::super::store::ledger(&mut reading, &watermark, from, None)
                    .await
                    .unwrap();
                ticker::insert(&mut tx, &mut reading, &commit, &ledger).await.unwrap();
            }
            let done = ticker::advance(&mut tx, &commit).await;
            match (&done, outcome) {
                (Ok(()), Ok(())) => {}
                (Err(_), Err(_)) => return Ok(()),
                _ => return differ(&done),
            }
        }
        Step::Correct { term, outcome } => loop {
            let done = corrections::batch(&mut tx, LeaderTerm(mine(term))).await;
            match (&done, outcome) {
                (Ok(done), Ok(())) if done.spans == 0 => break,
                (Ok(_), Ok(())) => {}
                (Err(_), Err(_)) => return Ok(()),
                _ => return differ(&done),
            }
        },
    }
    tx.commit().await.unwrap();
    Ok(())
}

fn fact(session: &Session, transition: Transition) -> Fact {
    let subject = Subject {
        uid: session.uid,
        tenant: session.tenant,
        kind: SubjectKind::Session,
        name: session.name.clone(),
        user: session.user.clone(),
        template: session.template.clone(),
        cluster: "c1".into(),
    };
    Fact { subject, transition, cause: String::new() }
}

async fn insert_tenant(metering: &Metering, tenant: TenantUid) {
    sqlx::query(
        "INSERT INTO tenants (tenant_uid, tenant_id, namespace, display_name, plan_id, plan_version, seats, \
                              home_region, allowed_regions, billing_account, admin_subjects, labels, \
                              protected, state) \
         VALUES ($1, $2, $2, $2, 'free', 1, 1, 'local', '{local}', '', '[]', '{}', false, 'active')",
    )
    .bind(tenant.0)
    .bind(format!("tenant-{}", tenant.0.as_u128()))
    .execute(metering.database.database().operator())
    .await
    .unwrap();
}

async fn stored(metering: &Metering) -> BTreeMap<(SessionUid, Order), Transition> {
    let rows = sqlx::query(
        "SELECT subject_uid, position, at, phase, cpu_millicores, memory_bytes, home_bytes, pod_uid, \
                container_start FROM usage_transitions",
    )
    .fetch_all(metering.database.database().operator())
    .await
    .unwrap();
    let read = |row| super::super::row::transition_at(row, 0).unwrap();
    rows.iter().map(read).map(|fact| ((fact.session, fact.order), fact)).collect()
}
