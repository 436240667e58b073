//! Killed at any step: what a transaction did that was not committed is as if it had
//! never been, and the next leader does it again.

use super::*;

/// The steps of a day's work, one of which is lost at its end.
#[tokio::test]
async fn the_same_totals_after_a_kill_at_any_step() {
    let mut expected = None;
    for killed in 0..=6 {
        let metering = Metering::beginning(time("10:00:00")).await;
        let mut leadership = metering.leadership.clone();
        let facts: Vec<Fact> = [
            runs(1, time("10:01:00"), pod(1, time("10:01:00"))),
            transition(2, time("10:07:00"), SessionPhase::Hibernated),
        ]
        .map(|transition| metering.fact(transition))
        .into();
        let late = [metering.fact(runs(3, time("10:09:00"), pod(2, time("10:09:00"))))];
        let mut step = 0;
        let mut done = false;
        // After a kill another leads, and goes through all of it from the start.
        while !done {
            done = true;
            for number in 0..6 {
                step += 1;
                let is_lost = step == killed;
                let mut tx = metering.begin().await;
                match number {
                    0 => facts::store(&mut tx, &facts).await.unwrap(),
                    1 => {
                        let term = leadership.leader_term;
                        let at = time("10:20:00");
                        facts::confirmed(&mut tx, term, at).await.unwrap().unwrap();
                    }
                    2 => {
                        let mut reading = metering.begin().await;
                        let now = time("10:21:00");
                        let plan = ticker::plan(&mut reading, now).await.unwrap();
                        if let Some((commit, ledger)) = plan {
                            ticker::insert(&mut tx, &mut reading, &commit, &ledger).await.unwrap();
                            ticker::advance(&mut tx, &commit).await.unwrap();
                        }
                    }
                    3 => facts::store(&mut tx, &late).await.unwrap(),
                    4 => {
                        let mine = LeaderTerm(leadership.leader_term);
                        corrections::batch(&mut tx, mine).await.unwrap();
                    }
                    _ => {
                        rollups::batch(&mut tx).await.unwrap();
                    }
                }
                if is_lost {
                    drop(tx);
                    leadership.leader_term += 1;
                    metering.elect(&leadership).await;
                    metering.lead(leadership.leader_term, time("10:21:00")).await.unwrap();
                    done = false;
                    break;
                }
                tx.commit().await.unwrap();
            }
        }
        let survivor = Metering { leadership, ..metering };
        survivor.work(time("10:20:00")).await;
        survivor.prove().await;
        let days = survivor.days().await;
        assert_eq!(days[3], 360 + 660, "killed at {killed}");
        assert_eq!(*expected.get_or_insert(days), days, "killed at {killed}");
    }
}
