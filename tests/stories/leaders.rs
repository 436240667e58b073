//! Two replicas on one database: whatever happens to the leader, one leads, and what a
//! replaced leader still tries has no effect, in the database and in the cluster.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ResourceQuota;
use kube::{Api, api::ListParams};
use rustix::process::Signal;
use streamspace_tests::{
    region::Region,
    replica::{Replica, leader},
    runtime::story,
    ssctl::Ssctl,
    wait::{holds, until, within},
};

const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(10);

#[test]
fn when_the_leader_is_killed_another_leads_within_ten_seconds() {
    story(async {
        let region = Region::start().await;
        let second = Replica::of(&region, "second").await;
        let person = region.admin().at(second.grpc());
        let (first, term) = known_leader(&person).await;
        assert_ne!(first, second.name(), "the first one leads");

        let begin = Instant::now();
        region.kill().await;
        let raised = within(Duration::from_secs(30), "another leads", async || {
            let (name, now) = leader(&person).await;
            holds(name == second.name() && now > term, || format!("{name} in term {now}"))?;
            Ok::<_, String>(now)
        })
        .await;
        let took = begin.elapsed();
        assert!(took < TAKEN_OVER_WITHIN, "another led after {took:?}");
        assert!(raised > term);

        // And it does the work: a tenant comes to be.
        person
            .ok(&["tenant", "create", "after-it", "--plan", "free", "--seats", "1", "--wait"])
            .await;
        // The first one comes back and follows.
        region.launch().await;
        region.is_well().await;
        assert_eq!(leader(region.admin()).await.0, second.name());
    });
}

#[test]
fn a_leader_that_slept_past_its_lease_changes_nothing_when_it_wakes() {
    story(async {
        let region = Region::start().await;
        let second = Replica::of(&region, "second").await;
        let person = region.admin().at(second.grpc());
        let (first, term) = known_leader(&person).await;
        assert_ne!(first, second.name());

        // A burst of writes, and in the middle of it the leader sleeps.
        let ids: Vec<String> = (0..60).map(|number| format!("burst-{number}")).collect();
        for id in &ids {
            person.ok(&["tenant", "create", id, "--plan", "free", "--seats", "1"]).await;
        }
        until_active(&region, &person, &ids).await;
        // All of the work is laid up first, so that the leader has its hands full.
        person.ok(&["region", "pause", "--for", "10m", "--reason", "story"]).await;
        for id in &ids {
            person.ok(&["tenant", "set", id, "--plan", "professional"]).await;
        }
        person.ok(&["region", "unpause"]).await;
        until("the leader is at it", async || {
            let done = settled(&region).await?;
            holds((1..60).contains(&done), || format!("{done} are done"))
        })
        .await;
        region.signal(Signal::STOP).await;
        let done = settled(&region).await.unwrap();
        assert!(done < 60, "all was done before it slept: the story tells nothing");
        let asleep = leader(&person).await;
        assert_eq!(asleep, (first.clone(), term), "it slept before it was replaced");
        until("the other leads", async || {
            let (name, now) = leader(&person).await;
            holds(name == second.name() && now > term, || format!("{name} in term {now}"))
        })
        .await;

        // All of the burst is done by the new leader; then the wish changes once more.
        until_active(&region, &person, &ids).await;
        for id in &ids {
            person.ok(&["tenant", "set", id, "--plan", "business", "--wait"]).await;
        }
        let before = picture(&region).await;
        let rows = table(&region).await;

        // The old leader wakes with work in its hands.
        region.signal(Signal::CONT).await;
        until("the old leader knows that it leads no more", async || {
            let (name, _) = leader(region.admin()).await;
            holds(name == second.name(), || name.clone())
        })
        .await;
        region.is_well().await;
        assert_eq!(picture(&region).await, before, "the cluster took a stale write");
        assert_eq!(table(&region).await, rows, "the database took a stale write");
    });
}

#[test]
fn a_leader_steps_down_when_asked_to() {
    story(async {
        let region = Region::start().await;
        let second = Replica::of(&region, "second").await;
        let admin = region.admin();
        let (first, term) = known_leader(admin).await;
        assert_ne!(first, second.name());
        admin.run(&["region", "step-down"]).await.exits(2).says("reason");
        admin.ok(&["region", "step-down", "--reason", "maintenance of the machine"]).await;
        until("the other leads", async || {
            let (name, now) = leader(admin).await;
            holds(name == second.name() && now > term, || format!("{name} in term {now}"))
        })
        .await;
    });
}

/// Who leads, once the replica that is asked knows.
async fn known_leader(person: &Ssctl) -> (String, i64) {
    until("it is known who leads", async || {
        let (name, term) = leader(person).await;
        holds(!name.is_empty(), || "nobody".to_owned())?;
        Ok::<_, String>((name, term))
    })
    .await
}

async fn until_active(region: &Region, person: &Ssctl, ids: &[String]) {
    until("all of them are as wished", async || {
        let settled = settled(region).await?;
        holds(usize::try_from(settled) == Ok(ids.len()), || format!("{settled} are"))
    })
    .await;
    person.ok(&["tenant", "list"]).await;
}

/// How many tenants are active and as wished.
async fn settled(region: &Region) -> Result<i64, String> {
    let query = "SELECT count(*) FROM tenants WHERE state = 'active' AND \
                 observed_generation = generation";
    sqlx::query_scalar(query).fetch_one(&region.pool()).await.map_err(|e| e.to_string())
}

/// Resource versions of everything that the region keeps in the cluster: any write shows.
async fn picture(region: &Region) -> Vec<(String, String)> {
    let selector = format!("control.stream.space/instance={}", region.instance());
    let listed = ListParams::default().labels(&selector);
    let client = region.client().await;
    let mut seen = Vec::new();
    for namespace in region.namespaces().await.list(&listed).await.unwrap() {
        seen.push((
            namespace.metadata.name.unwrap_or_default(),
            namespace.metadata.resource_version.unwrap_or_default(),
        ));
    }
    let quotas: Api<ResourceQuota> = Api::all(client.clone());
    for quota in quotas.list(&listed).await.unwrap() {
        // The status is another's to write.
        let generation = serde_json::to_string(&quota.spec).unwrap();
        seen.push((quota.metadata.namespace.unwrap_or_default(), generation));
    }
    let policies: Api<k8s_openapi::api::networking::v1::NetworkPolicy> = Api::all(client);
    for policy in policies.list(&listed).await.unwrap() {
        seen.push((
            policy.metadata.namespace.unwrap_or_default()
                + &policy.metadata.name.unwrap_or_default(),
            policy.metadata.resource_version.unwrap_or_default(),
        ));
    }
    seen.sort();
    seen
}

async fn table(region: &Region) -> Vec<(String, String, i64, i64)> {
    let query = "SELECT tenant_id, state, generation, observed_generation FROM tenants ORDER BY 1";
    sqlx::query_as(query).fetch_all(&region.pool()).await.unwrap()
}
