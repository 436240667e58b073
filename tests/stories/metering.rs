//! Ten seeds of sessions that come, sleep, wake, grow, crash and go, while the leader of two
//! replicas is killed, or both are, or it sleeps past its lease: what was counted equals a
//! straight integral over the true history wherever it claims to be exact, and is above it
//! nowhere, to the unit.
//!
//! What happens for a seed follows from it. When it meets what does not: each run is
//! another.

use std::{collections::BTreeMap, time::Duration};

use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams},
};
use rustix::process::Signal;
use serde_json::json;
use streamspace_proto::v1;
use streamspace_tests::{
    database::Server,
    region::{Region, shared_cluster},
    replica::Replica,
    runtime::story,
    sessions::{catalogue, create, node_client, nodes, sessions},
    wait::{holds, within},
};
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::DropGuard;

use books::{BUCKET, Status, Tally};
use oracle::{Life, Oracle};
use script::{Course, Fault, Request, Script};
use stage::{Stage, session};

mod books;
mod oracle;
mod script;
mod stage;

/// Names the one seed to play.
const SEED_VARIABLE: &str = "STREAMSPACE_METERING_SEED";
const SEEDS: u64 = 10;
const SECOND: &str = "second";
/// The tenant of a session that runs all the time.
const STEADY: &str = "steady";
/// How often something of it is written.
const PULSE: Duration = Duration::from_secs(1);
/// What was begun while nobody lived ends so long after somebody does.
const PATIENCE: Duration = Duration::from_mins(2);
/// Five minutes are closed half a minute after they are over.
const CLOSED_WITHIN: Duration = Duration::from_mins(7);

#[test]
fn what_is_counted_is_the_truth_whatever_happens_to_the_leaders() {
    story(async {
        let only = std::env::var(SEED_VARIABLE).ok();
        let only: Option<u64> = only.map(|seed| seed.parse().expect("the seed is a number"));
        let seeds: Vec<u64> = only.map_or_else(|| (0..SEEDS).collect(), |seed| vec![seed]);
        let mut scene = Scene::set(&seeds).await;
        let mut histories = BTreeMap::new();
        for seed in seeds {
            eprintln!("{} seed {seed}: {}", Timestamp::now(), replay(seed));
            let oracle = scene.play(seed).await;
            histories.insert(tenant(seed), History { oracle, replay: replay(seed) });
        }
        let steady = scene.steady.take().expect("it is there from the beginning");
        histories.insert(STEADY.to_owned(), History { oracle: steady, replay: String::new() });
        let tallies = scene.compare(&histories, only.is_none()).await;
        scene.region.admin().ok(&["usage", "verify"]).await;

        // One that ran on in its pod is known to the second, whoever was killed.
        let steady = tallies[STEADY];
        assert!(steady.measured > 0 && steady.measured == steady.ran, "{steady:?}");
        if only.is_some() {
            return;
        }
        // Else the seeds would tell little.
        let mut sum = Tally::default();
        for (_, tally) in tallies.iter().filter(|(tenant, _)| *tenant != STEADY) {
            sum += *tally;
        }
        assert!(sum.measured * 10 > sum.ran, "too little was measured: {sum:?}");
        assert!(sum.unproved > 0 && steady.proved > 0, "all was watched: {sum:?}, {steady:?}");
        assert!(sum.lives > 4 * SEEDS, "no name came back: {sum:?}");
    });
}

fn replay(seed: u64) -> String {
    format!(
        "play it alone: {SEED_VARIABLE}={seed} cargo test -p streamspace-tests --test end_to_end \
         metering::"
    )
}

/// What truly happened to the sessions of a tenant, and how to have it again.
struct History {
    oracle: Oracle,
    replay: String,
}

/// A region of two replicas with a tenant for each seed, a catalogue and nodes.
struct Scene {
    // Before the region: nodes that are gone tell nothing.
    _nodes: DropGuard,
    pulse: JoinSet<()>,
    nodes: Client,
    /// What happened to the session that runs all the time.
    steady: Option<Oracle>,
    second: Option<Replica>,
    region: Region,
}

impl Scene {
    async fn set(seeds: &[u64]) -> Self {
        let region = Region::on(Server::shared().await, shared_cluster().await).await;
        let namespace = format!("{}catalogue", region.prefix());
        region.stop().await;
        region.set("sessions", "catalogue_namespace", namespace.clone());
        metered_since_the_last_five_minutes(&region).await;
        region.launch().await;
        region.is_well().await;
        let second = Replica::of(&region, SECOND).await;

        catalogue(&region, &namespace, &[("firefox", "example.com/firefox:1")]).await;
        let tenants = seeds.iter().map(|seed| tenant(*seed)).chain([STEADY.to_owned()]);
        join_all(tenants.map(async |id| {
            let create = ["tenant", "create", &id, "--plan", "professional", "--seats", "5"];
            let more = ["--admin", "ann@example.com", "--wait"];
            region.admin().ok(&[&create[..], &more].concat()).await;
        }))
        .await;

        let client = node_client(region.cluster()).await;
        let mut scene = Self {
            _nodes: nodes(client.clone()),
            pulse: JoinSet::new(),
            nodes: client,
            steady: None,
            second: Some(second),
            region,
        };
        scene.begin_steadily().await;
        scene
    }

    /// A session with a home that runs through all that follows. Of both something is written
    /// again and again, as in a cluster with many: by that a watch knows how far it has come.
    async fn begin_steadily(&mut self) {
        let namespace = self.region.namespace(STEADY);
        let sessions = sessions(self.region.client().await, &namespace);
        let oracle = Oracle::begin(sessions.clone()).await;
        let request = Request { millicores: 70, mebibytes: 90 };
        let mut session = session(STEADY, request);
        session.data["spec"]["persistentHome"] = true.into();
        create(&sessions, &session).await;
        let homes: Api<PersistentVolumeClaim> = Api::namespaced(self.nodes.clone(), &namespace);
        let home = within(PATIENCE, "the session has a home", async || {
            let found = homes.list(&ListParams::default()).await.map_err(|e| e.to_string())?;
            let home = found.items.into_iter().next().and_then(|home| home.metadata.name);
            home.ok_or_else(|| "it has none".to_owned())
        })
        .await;
        self.pulse.spawn(async move {
            for beat in 0_u64.. {
                let patch = json!({"metadata": {"annotations": {"story/beat": beat.to_string()}}});
                let (parameters, patch) = (PatchParams::default(), Patch::Merge(patch));
                sessions.patch(STEADY, &parameters, &patch).await.unwrap();
                homes.patch(&home, &parameters, &patch).await.unwrap();
                sleep(PULSE).await;
            }
        });
        within(PATIENCE, "its beginning is counted", async || {
            let status = self.status().await?;
            let seen = oracle.seen();
            let since = seen.lives.values().filter_map(Life::runs_since).max();
            let known = since.is_some_and(|since| since < status.complete);
            holds(known, || format!("{since:?}, {status:?}"))
        })
        .await;
        self.steady = Some(oracle);
    }

    /// Somebody counts what happens from now on.
    async fn is_attended(&self) {
        let now = Timestamp::now().as_second();
        within(PATIENCE, "somebody counts", async || {
            let status = self.status().await?;
            holds(status.complete > now, || format!("{status:?}, and not {now}"))
        })
        .await;
    }

    /// All of a seed, to the end of everything that it began. Returns its true history.
    async fn play(&mut self, seed: u64) -> Oracle {
        let script = Script::of(seed);
        let namespace = self.region.namespace(&tenant(seed));
        let stage = Stage {
            sessions: sessions(self.region.client().await, &namespace),
            pods: Api::namespaced(self.nodes.clone(), &namespace),
        };
        let oracle = Oracle::begin(stage.sessions.clone()).await;
        self.is_attended().await;
        let courses = join_all(script.courses.iter().map(|course| stage.play(course)));
        let faults = async {
            for fault in script.faults {
                sleep(fault.pause).await;
                self.suffer(fault.what).await;
            }
        };
        tokio::join!(courses, faults);
        self.is_attended().await;
        stage.play(&Course::calm()).await;
        within(PATIENCE, &format!("all sessions of seed {seed} rest"), async || {
            let told = oracle.seen();
            let awake: Vec<_> = told.lives.values().filter(|life| !life.rests()).collect();
            holds(awake.is_empty(), || format!("{awake:?}"))
        })
        .await;
        oracle
    }

    /// One fault, up to the moment when both replicas live again.
    async fn suffer(&mut self, fault: Fault) {
        let leads: String = sqlx::query_scalar("SELECT replica FROM leader")
            .fetch_one(&self.region.pool())
            .await
            .unwrap();
        let second_leads = leads == SECOND;
        let (both, lasts) = match fault {
            Fault::KillLeader(lasts) => (false, lasts),
            Fault::KillBoth(lasts) => (true, lasts),
            Fault::Stall(lasts) => {
                self.signal(second_leads, Signal::STOP).await;
                sleep(lasts).await;
                self.signal(second_leads, Signal::CONT).await;
                return;
            }
        };
        let fells_the_first = both || !second_leads;
        let victim = if both || second_leads { self.second.take() } else { None };
        let was_second = victim.is_some();
        tokio::join!(
            async {
                if fells_the_first {
                    self.region.kill().await;
                }
            },
            async {
                if let Some(second) = victim {
                    second.kill().await;
                }
            }
        );
        sleep(lasts).await;
        let ((), second) = tokio::join!(
            async {
                if fells_the_first {
                    self.region.launch().await;
                }
            },
            async { if was_second { Some(Replica::of(&self.region, SECOND).await) } else { None } }
        );
        if second.is_some() {
            self.second = second;
        }
    }

    async fn signal(&self, second: bool, signal: Signal) {
        match &self.second {
            Some(replica) if second => replica.signal(signal),
            _ => self.region.signal(signal).await,
        }
    }

    /// Compares all that was counted with the true histories. Returns what it was, by tenant.
    async fn compare(
        &self,
        histories: &BTreeMap<String, History>,
        until_closed: bool,
    ) -> BTreeMap<String, Tally> {
        self.region.is_well().await;
        let last = |it: &History| it.oracle.seen().lives.values().map(Life::last_change).max();
        let end = histories.values().filter_map(last).max().expect("there were sessions");
        let patience = if until_closed { CLOSED_WITHIN } else { PATIENCE };
        let status = within(patience, "all is counted", async || {
            let status = self.status().await?;
            let closed = !until_closed || status.closed > status.begin;
            holds(status.complete > end && closed, || format!("{status:?}, and not {end}"))?;
            Ok::<_, String>(status)
        })
        .await;
        let (mut tallies, mut wrong) = (BTreeMap::new(), Vec::new());
        for (tenant, History { oracle, replay }) in histories {
            let explained = self.explained(tenant, &status).await.unwrap();
            let (tally, faults) = books::compare(&oracle.seen().lives, &explained, &status);
            eprintln!("{tenant}: {tally:?}");
            tallies.insert(tenant.clone(), tally);
            if !faults.is_empty() {
                wrong.push(format!("{tenant}: {}\n{replay}", faults.join("\n")));
            }
        }
        assert!(wrong.is_empty(), "\n{}\n{status:?}", wrong.join("\n"));
        // Corrections follow what is closed.
        within(PATIENCE, "what stands is what is known", async || {
            let status = self.status().await?;
            for (tenant, History { oracle, replay }) in histories {
                let explained = self.explained(tenant, &status).await?;
                let faults = books::committed(&oracle.seen().lives, &explained, &status);
                holds(faults.is_empty(), || format!("{tenant}: {}\n{replay}", faults.join("\n")))?;
            }
            Ok::<_, String>(())
        })
        .await;
        eprintln!("{status:?}");
        tallies
    }

    async fn status(&self) -> Result<Status, String> {
        let mut usage = self.region.admin().connection().usage();
        let status = usage.get_usage_status(v1::GetUsageStatusRequest {}).await;
        Ok(Status::of(&status.map_err(|status| status.to_string())?.into_inner()))
    }

    async fn explained(
        &self,
        tenant: &str,
        status: &Status,
    ) -> Result<v1::ExplainUsageResponse, String> {
        let instant = |seconds: i64| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let request = v1::ExplainUsageRequest {
            tenant: format!("tenants/{tenant}"),
            start_time: instant(status.begin),
            end_time: instant(status.complete - status.complete.rem_euclid(BUCKET) + BUCKET),
            ..Default::default()
        };
        let reply = self.region.admin().connection().usage().explain_usage(request).await;
        Ok(reply.map_err(|status| status.to_string())?.into_inner())
    }
}

/// Nothing is counted before the first whole five minutes of a region, which the story does
/// not wait for: this region has been metering since the last ones began.
async fn metered_since_the_last_five_minutes(region: &Region) {
    let now = Timestamp::now().as_second();
    sqlx::query(
        "INSERT INTO usage_watermark (leader_term, begins, complete_through, closed_through) \
         VALUES (0, $1, $1, $1) \
         ON CONFLICT (only_row) DO UPDATE SET begins = $1, closed_through = $1",
    )
    .bind(now - now.rem_euclid(BUCKET))
    .execute(&region.pool())
    .await
    .unwrap();
}

fn tenant(seed: u64) -> String {
    format!("seed-{seed}")
}
