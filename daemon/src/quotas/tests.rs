use serde_json::json;
use streamspace_proto::v1;

use super::service::Quotas;
use crate::{
    kube::{Cluster, Kind},
    tenants::{
        service::tests::{World, codes, field, reason},
        usage::QUOTA,
    },
};

struct Fixture {
    world: World,
    quotas: Quotas,
    name: String,
}

impl Fixture {
    async fn start() -> Self {
        let world = World::start().await;
        let name = world.tenant("acme", "active", "").await;
        let quotas = Quotas::new(world.test.database().clone(), world.tenants.cluster.clone());
        Self { world, quotas, name }
    }

    fn set(&self, changes: &[(&str, &str)]) -> v1::SetQuotaRequest {
        v1::SetQuotaRequest {
            tenant: self.name.clone(),
            changes: changes_of(changes),
            reason: "rush".into(),
            ..Default::default()
        }
    }
}

fn changes_of(changes: &[(&str, &str)]) -> Vec<v1::QuotaChange> {
    let change = |(resource, amount): &(&str, &str)| v1::QuotaChange {
        resource: (*resource).to_owned(),
        amount: (*amount).to_owned(),
    };
    changes.iter().map(change).collect()
}

fn hard<'a>(quota: &'a v1::Quota, resource: &str) -> &'a str {
    quota.lines.iter().find(|line| line.resource == resource).unwrap().hard.as_str()
}

#[tokio::test]
async fn a_quota_is_set_relatively_for_a_time_and_reset() {
    let f = Fixture::start().await;
    let kim = &f.world.kim;
    let request = v1::SetQuotaRequest {
        ttl: Some(prost_types::Duration { seconds: 28_800, nanos: 0 }),
        ..f.set(&[("cpu", "+40"), ("pods", "600")])
    };
    let preview = v1::SetQuotaRequest { validate_only: true, ..request.clone() };
    let previewed = f.quotas.set(kim, &preview).await.unwrap();
    assert_eq!(hard(&previewed, "requests.cpu"), "140");
    assert_eq!(hard(&f.quotas.get(kim, &get(&f.name)).await.unwrap(), "requests.cpu"), "100");

    let set = f.quotas.set(kim, &request).await.unwrap();
    assert_eq!(
        (hard(&set, "requests.cpu"), hard(&set, "limits.cpu"), hard(&set, "pods")),
        ("140", "280", "600")
    );
    let line = set.lines.iter().find(|line| line.resource == "requests.cpu").unwrap();
    assert_eq!(line.plan, "100");
    assert_eq!(set.overrides.len(), 2);
    assert_eq!(
        (set.overrides[0].actor.as_str(), set.overrides[0].reason.as_str()),
        ("kim", "rush")
    );
    assert!(!set.observed && set.message.contains("no ResourceQuota"), "{}", set.message);
    let tenant = f.world.get(&f.name).await;
    assert_eq!((tenant.generation, tenant.quota.unwrap().cpu_millicores), (2, 140_000));
    assert_eq!(tenant.quota_overrides.len(), 2);

    // What was relative is resolved once.
    let more = f.quotas.set(kim, &f.set(&[("cpu", "130")])).await.unwrap();
    assert_eq!(hard(&more, "requests.cpu"), "130");
    assert_eq!(more.overrides.len(), 2, "one without an end outlives the one with");

    let reset = v1::ResetQuotaRequest {
        tenant: f.name.clone(),
        resources: vec!["cpu".into()],
        ..Default::default()
    };
    let back = f.quotas.reset(kim, &reset).await.unwrap();
    assert_eq!((hard(&back, "requests.cpu"), hard(&back, "pods")), ("100", "600"));
    let all = v1::ResetQuotaRequest { tenant: f.name.clone(), ..Default::default() };
    assert!(f.quotas.reset(kim, &all).await.unwrap().overrides.is_empty());
    let generation = f.world.get(&f.name).await.generation;
    f.quotas.reset(kim, &all).await.unwrap();
    assert_eq!(f.world.get(&f.name).await.generation, generation, "nothing is left to end");
}

fn get(name: &str) -> v1::GetQuotaRequest {
    v1::GetQuotaRequest { tenant: name.into() }
}

#[tokio::test]
async fn bad_quantities_name_their_field_and_change_nothing() {
    let f = Fixture::start().await;
    let kim = &f.world.kim;
    let before = f.world.get(&f.name).await;
    let long = "9".repeat(65_536);
    for amount in [
        "",
        "1e999",
        "1.5Gi",
        "-1",
        "+",
        "0",
        "NaN",
        "1 Gi",
        "١",
        "\u{1b}[2J",
        long.as_str(),
        "2Ei",
    ] {
        let request = f.set(&[("memory", amount)]);
        assert_eq!(field(f.quotas.set(kim, &request).await), "changes[0].amount", "{amount:.20}");
    }
    let cases = [
        (f.set(&[]), "changes"),
        (f.set(&[("cpu", "80"), ("gpu", "1")]), "changes[1].resource"),
        (f.set(&[("cpu", "80"), ("cpu", "90")]), "changes[1].resource"),
        // One user of this plan is promised more than that.
        (f.set(&[("cpu", "80"), ("memory", "32Gi")]), "changes[1].amount"),
        (f.set(&[("pods", "4")]), "changes[0].amount"),
        (
            v1::SetQuotaRequest {
                ttl: Some(prost_types::Duration { seconds: 0, nanos: 5 }),
                ..f.set(&[("cpu", "80")])
            },
            "ttl",
        ),
        (v1::SetQuotaRequest { reason: "\u{202e}".into(), ..f.set(&[("cpu", "80")]) }, "reason"),
        (v1::SetQuotaRequest { tenant: "acme".into(), ..f.set(&[("cpu", "80")]) }, "tenant"),
    ];
    for (number, (request, wrong)) in cases.into_iter().enumerate() {
        assert_eq!(field(f.quotas.set(kim, &request).await), wrong, "case {number}");
    }
    let stale = v1::SetQuotaRequest { etag: "old".into(), ..f.set(&[("cpu", "80")]) };
    assert_eq!(reason(f.quotas.set(kim, &stale).await), "ETAG_MISMATCH");
    let less = f.set(&[("memory", "100Gi")]);
    assert_eq!(reason(f.quotas.set(kim, &less).await), "OVERCOMMIT");
    assert_eq!(f.world.get(&f.name).await, before);
}

#[tokio::test]
async fn what_is_used_comes_from_the_cluster_at_once() {
    let f = Fixture::start().await;
    let kim = &f.world.kim;
    let cluster = &f.world.tenants.cluster;
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "tenant-acme"}});
    cluster.apply(Kind::Namespace, "tenant-acme", "tenant-acme", &namespace).await.unwrap();
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": QUOTA, "namespace": "tenant-acme"},
        "spec": {"hard": {"requests.cpu": "100", "pods": "500"}},
    });
    cluster.apply(Kind::ResourceQuota, "tenant-acme", QUOTA, &quota).await.unwrap();
    // What the quota controller would write.
    let counted = async {
        loop {
            let quota = f.quotas.get(kim, &get(&f.name)).await.unwrap();
            if quota.observed {
                return quota;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let quota = tokio::time::timeout(std::time::Duration::from_secs(20), counted).await.unwrap();
    let pods = quota.lines.iter().find(|line| line.resource == "pods").unwrap();
    assert_eq!((pods.used.as_str(), pods.headroom.as_str(), pods.used_permille), ("0", "500", 0));
    let check = |needs: &[(&str, &str)]| {
        let request = v1::CheckQuotaRequest { tenant: f.name.clone(), needs: changes_of(needs) };
        let quotas = f.quotas.clone();
        let kim = kim.clone();
        async move { quotas.check(&kim, &request).await }
    };
    assert!(check(&[("pods", "500"), ("memory", "200Gi")]).await.unwrap().fits);
    let too_much = check(&[("pods", "501"), ("memory", "1Ti")]).await.unwrap();
    assert!(!too_much.fits);
    assert_eq!(too_much.shortfalls.len(), 2, "{:?}", too_much.shortfalls);
    assert_eq!(field(check(&[("pods", "+1")]).await), "needs[0].amount");
}

#[tokio::test]
async fn while_the_cluster_is_away_a_quota_says_so_and_can_be_set() {
    let f = Fixture::start().await;
    let kim = &f.world.kim;
    let client =
        kube::Client::try_from(kube::Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
    let quotas =
        Quotas::new(f.world.test.database().clone(), Cluster::from_client(client, "nowhere"));
    let shown = quotas.get(kim, &get(&f.name)).await.unwrap();
    assert!(!shown.observed && !shown.message.is_empty());
    assert_eq!(hard(&shown, "requests.cpu"), "100");
    let needs = changes_of(&[("cpu", "1")]);
    let checked =
        quotas.check(kim, &v1::CheckQuotaRequest { tenant: f.name.clone(), needs }).await.unwrap();
    assert!(!checked.fits && checked.shortfalls[0].contains("not known"));
    let lowered = quotas.set(kim, &f.set(&[("cpu", "50")])).await.unwrap();
    assert_eq!(codes(&lowered.consequences), ["OVER_QUOTA"].into());
}

#[tokio::test]
async fn a_quota_shows_what_users_hold_and_when_a_limit_will_be_reached() {
    let f = Fixture::start().await;
    let kim = &f.world.kim;
    let bare = f.quotas.get(kim, &get(&f.name)).await.unwrap();
    assert!(bare.users.is_empty(), "nobody holds anything");
    assert!(bare.lines.iter().all(|line| line.exhaust_time.is_none()), "nothing is metered yet");

    let gib: i64 = 1 << 30;
    for (name, user, state, deleting, gibibytes) in [
        ("a", "ada", "running", false, 4),
        ("b", "ada", "running", false, 2),
        ("c", "bob", "running", false, 1),
        ("d", "bob", "hibernated", false, 8),
        ("e", "eve", "running", true, 8),
    ] {
        let memory = gibibytes * gib;
        f.world
            .sql(&format!(
                "INSERT INTO sessions (tenant_uid, name, session_uid, resource_version, generation, \
                     user_name, template, state, phase, deleting, pods, cpu, cpu_limit, memory, \
                     memory_limit, create_time, resource) \
                 SELECT tenant_uid, '{name}', gen_random_uuid(), 1, 1, '{user}', 'firefox', '{state}', \
                        'Running', {deleting}, 1, 1000, 1000, {memory}, {memory}, now(), '' \
                 FROM tenants WHERE tenant_id = 'acme'"
            ))
            .await;
    }
    // CPU rises by a core an hour from 1 to 24 of 100 cores; memory stays where it is.
    f.world
        .sql(
            "INSERT INTO usage_watermark (leader_term, begins, complete_through, closed_through) VALUES (1, 0, extract(epoch FROM now())::bigint, \
                 (extract(epoch FROM date_trunc('hour', now(), 'UTC')))::bigint)",
        )
        .await;
    f.world
        .sql(
            "INSERT INTO usage_hours \
             SELECT tenant_uid, 1, date_trunc('hour', now(), 'UTC') - number * interval '1 hour', 'ada', 'x', \
                    (25 - number) * 1000::numeric * 3600, 1073741824::numeric * 3600, 0, 3600, 0, 3600, 0, 0 \
             FROM tenants, generate_series(1, 24) AS number WHERE tenant_id = 'acme'",
        )
        .await;
    let quota = f.quotas.get(kim, &get(&f.name)).await.unwrap();
    let users: Vec<_> = quota
        .users
        .iter()
        .map(|user| (user.user.as_str(), user.sessions, user.memory.as_str()))
        .collect();
    assert_eq!(users, [("ada", 2, "6Gi"), ("bob", 1, "1Gi")]);
    assert_eq!((quota.users[0].sessions_hard, quota.users[0].memory_hard.as_str()), (20, "64Gi"));
    let exhausted = |quota: &v1::Quota, key: &str| {
        quota.lines.iter().find(|line| line.resource == key).unwrap().exhaust_time
    };
    // 24 in the middle of the hour before this one: 76 hours later it is 100.
    let this_hour = jiff::Timestamp::now().as_second() / 3600 * 3600;
    let at = exhausted(&quota, "requests.cpu").unwrap().seconds;
    let expected = this_hour - 1_800 + 76 * 3_600;
    assert!((at - expected).abs() <= 3_600, "{at} and not {expected}");
    for key in ["requests.memory", "requests.storage", "limits.cpu", "pods"] {
        assert_eq!(exhausted(&quota, key), None, "{key}");
    }
    // Replies to changes show neither.
    let set = f.quotas.set(kim, &f.set(&[("cpu", "+1")])).await.unwrap();
    assert!(set.users.is_empty() && exhausted(&set, "requests.cpu").is_none());
}
