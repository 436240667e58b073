//! The daemon is killed at random moments while tenants come and go.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use kube::api::ListParams;
use sqlx::PgPool;
use streamspace_client::{ClientError, Connection};
use streamspace_proto::v1::{
    ArchiveTenantRequest, CordonTenantRequest, CreateTenantRequest, DeleteTenantRequest,
    GetTenantRequest, ResumeTenantRequest, SuspendTenantRequest, Tenant, TenantState,
    UncordonTenantRequest,
};
use streamspace_tests::{
    life,
    random::Random,
    region::Region,
    runtime::story,
    ssctl::Ssctl,
    wait::{holds, within},
};
use tokio::time::sleep;
use uuid::Uuid;

/// How many kills; `make test` is content with 30.
const KILLS_VARIABLE: &str = "STREAMSPACE_KILLS";
const CLIENTS: usize = 10;
/// So many tenants live at least, whatever the kills.
const TENANTS: i64 = 100;
const CONVERGENCE: Duration = Duration::from_mins(2);

#[test]
fn after_any_kill_all_converges_and_nothing_is_double() {
    story(async {
        let mut random = Random::from_environment();
        let kills: u32 =
            std::env::var(KILLS_VARIABLE).map_or(30, |kills| kills.parse().expect("a number"));
        let region = Region::start().await;
        life::trial_plan(region.admin()).await;
        let work = Arc::new(Work::default());

        let mut clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let client = Client {
                    connection: region.admin().connection(),
                    prefix: format!("c{number}"),
                    random: random.fork(),
                    work: Arc::clone(&work),
                };
                tokio::spawn(client.run())
            })
            .collect();
        // Two with the shipped command line, who fight over the same names.
        let mut fighters: Vec<_> = (0..2)
            .map(|_| tokio::spawn(fight(region.admin().clone(), random.fork(), Arc::clone(&work))))
            .collect();

        for kill in 1..=kills {
            // A random moment; nothing is waited for.
            sleep(Duration::from_millis(30 + random.below(1500))).await;
            assert!(
                clients.iter().chain(&fighters).all(|client| !client.is_finished()),
                "a client gave up before kill {kill}"
            );
            region.kill().await;
            region.launch().await;
        }
        let pool = region.pool();
        within(CONVERGENCE, "enough tenants have lived", async || {
            let lived: i64 = sqlx::query_scalar("SELECT count(*) FROM tenants")
                .fetch_one(&pool)
                .await
                .map_err(|error| error.to_string())?;
            holds(lived >= TENANTS, || format!("only {lived} did"))
        })
        .await;
        work.over.store(true, Ordering::Relaxed);
        for client in clients.drain(..).chain(fighters.drain(..)) {
            client.await.unwrap();
        }
        region.is_well().await;
        let retries = work.retries.load(Ordering::Relaxed);
        let done = work.done.load(Ordering::Relaxed);
        assert!(retries >= kills / 3, "only {retries} calls met a kill: it tells little");
        assert!(done >= kills, "only {done} calls were made between {kills} kills");

        converges(&pool).await;
        nothing_is_double(&pool).await;
        the_audit_log_is_whole(&pool).await;
        the_cluster_is_as_wished(&region, &pool).await;
        what_was_answered_is_true(&pool, &work).await;
    });
}

/// What the clients share.
#[derive(Default)]
struct Work {
    over: AtomicBool,
    retries: AtomicU32,
    done: AtomicU32,
    /// By uid: whether the tenant was deleted since.
    answered: std::sync::Mutex<BTreeMap<String, bool>>,
}

impl Work {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// Creates tenants under names of its own, and deletes some of them.
struct Client {
    connection: Connection,
    prefix: String,
    random: Random,
    work: Arc<Work>,
}

impl Client {
    async fn run(mut self) {
        let mut number = 0;
        let mut mine: Vec<Tenant> = Vec::new();
        while !self.work.is_over() {
            if !mine.is_empty() && self.random.below(2) == 0 {
                let at = usize::try_from(self.random.below(mine.len() as u64)).unwrap();
                let tenant = mine.swap_remove(at);
                self.delete(&tenant).await;
                self.work.answered.lock().unwrap().insert(tenant.uid, true);
            } else {
                number += 1;
                let tenant = self.create(format!("{}-{number}", self.prefix)).await;
                self.work.answered.lock().unwrap().insert(tenant.uid.clone(), false);
                mine.push(tenant);
            }
            self.work.done.fetch_add(1, Ordering::Relaxed);
            // Leaves the daemon time for the cluster, too.
            sleep(Duration::from_millis(self.random.below(60))).await;
        }
    }

    async fn create(&self, id: String) -> Tenant {
        let request = CreateTenantRequest {
            tenant_id: id,
            tenant: Some(Tenant { plan: "plans/trial".into(), seats: 1, ..Tenant::default() }),
            request_id: Uuid::new_v4().to_string(),
            ..CreateTenantRequest::default()
        };
        self.insist(|| {
            let (mut client, request) = (self.connection.tenants(), request.clone());
            async move { client.create_tenant(request).await }
        })
        .await
    }

    /// All that a life has between its beginning and its end.
    async fn live(&self, tenant: &Tenant) {
        let name = || tenant.name.clone();
        let id = || Uuid::new_v4().to_string();
        let reason = || "story".to_owned();
        macro_rules! step {
            ($call:ident, $request:expr) => {
                let request = $request;
                self.insist(|| {
                    let (mut client, request) = (self.connection.tenants(), request.clone());
                    async move { client.$call(request).await }
                })
                .await;
            };
        }
        step!(
            cordon_tenant,
            CordonTenantRequest { name: name(), request_id: id(), ..<_>::default() }
        );
        step!(
            uncordon_tenant,
            UncordonTenantRequest { name: name(), request_id: id(), ..<_>::default() }
        );
        step!(
            suspend_tenant,
            SuspendTenantRequest {
                name: name(),
                request_id: id(),
                reason: reason(),
                ..<_>::default()
            }
        );
        step!(
            resume_tenant,
            ResumeTenantRequest { name: name(), request_id: id(), ..<_>::default() }
        );
        step!(
            archive_tenant,
            ArchiveTenantRequest {
                name: name(),
                request_id: id(),
                reason: reason(),
                ..<_>::default()
            }
        );
    }

    async fn delete(&self, tenant: &Tenant) {
        // One that is still provisioning cannot live; the fighters delete such.
        while !self.is_active(tenant).await {
            sleep(Duration::from_millis(50)).await;
        }
        self.live(tenant).await;
        self.purge(tenant).await;
    }

    async fn is_active(&self, tenant: &Tenant) -> bool {
        let request = GetTenantRequest { name: tenant.name.clone() };
        let now = self
            .insist(|| {
                let (mut client, request) = (self.connection.tenants(), request.clone());
                async move { client.get_tenant(request).await }
            })
            .await;
        now.state() == TenantState::Active
    }

    async fn purge(&self, tenant: &Tenant) {
        let request = DeleteTenantRequest {
            name: tenant.name.clone(),
            reason: "story".into(),
            request_id: Uuid::new_v4().to_string(),
            ..DeleteTenantRequest::default()
        };
        self.insist(|| {
            let (mut client, request) = (self.connection.tenants(), request.clone());
            async move { client.delete_tenant(request).await }
        })
        .await;
    }

    /// Repeats a request until it is answered. With its id it is the same request, so
    /// only one answer is right: that it was done.
    async fn insist<T, F>(&self, call: impl Fn() -> F) -> T
    where
        F: Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    {
        loop {
            let error = match call().await {
                Ok(answer) => return answer.into_inner(),
                Err(status) => ClientError::from(status),
            };
            assert!(error.is_transient(), "{error:?}");
            self.work.retries.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Creates and deletes a few names over and over, and takes any honest answer.
async fn fight(ssctl: Ssctl, mut random: Random, work: Arc<Work>) {
    while !work.is_over() {
        let name = format!("shared-{}", random.below(3));
        let create = ["tenant", "create", &name, "--plan", "trial", "--seats", "1"];
        let archive = ["tenant", "archive", &name, "--reason", "story", "--confirm", &name];
        let delete = ["tenant", "delete", &name, "--reason", "story", "--confirm", &name];
        let ran = match random.below(3) {
            0 => ssctl.run(&create).await,
            1 => ssctl.run(&archive).await,
            _ => ssctl.run(&delete).await,
        };
        // Done; no such tenant; taken; the daemon is away; being deleted.
        assert!([0, 6, 7, 8, 12].contains(&ran.code), "{ran:?}");
        work.done.fetch_add(1, Ordering::Relaxed);
    }
}

/// All that was begun comes to its end.
async fn converges(pool: &PgPool) {
    within(CONVERGENCE, "everything has come to its end", async || {
        let moving: (i64, i64, i64, i64, i64) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM tenants WHERE state NOT IN ('active', 'archived', 'gone')
                        OR (state = 'active' AND observed_generation <> generation)),
                    (SELECT count(*) FROM operations WHERE NOT done),
                    (SELECT count(*) FROM changes WHERE revision IS NULL),
                    (SELECT count(*) FROM audit_entries e WHERE phase = 'intent' AND NOT EXISTS
                        (SELECT FROM audit_entries o WHERE o.call_id = e.call_id
                            AND o.phase = 'outcome')),
                    (SELECT count(*) FROM audit_entries e WHERE NOT EXISTS
                        (SELECT FROM audit_positions p WHERE p.entry_id = e.entry_id))",
        )
        .fetch_one(pool)
        .await
        .unwrap();
        holds(moving == (0, 0, 0, 0, 0), || {
            let (tenants, operations, changes, intents, entries) = moving;
            format!(
                "{tenants} tenants, {operations} operations, {changes} changes without revision, \
                 {intents} intents without outcome, {entries} audit entries without position"
            )
        })
    })
    .await;
    let failed: Vec<(String, Option<String>)> =
        sqlx::query_as("SELECT target, error_message FROM operations WHERE error_code IS NOT NULL")
            .fetch_all(pool)
            .await
            .unwrap();
    assert_eq!(failed, []);
}

/// One effect for each request, and one change for each effect.
async fn nothing_is_double(pool: &PgPool) {
    let number = async |query: &'static str| -> i64 {
        sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
    };
    let tenants = number("SELECT count(*) FROM tenants").await;
    let creations = number("SELECT count(*) FROM requests WHERE method = 'CreateTenant'").await;
    assert_eq!(tenants, creations, "each creation that was kept has one tenant");
    let operations = number("SELECT count(*) FROM operations").await;
    let deletions = number("SELECT count(*) FROM requests WHERE method = 'DeleteTenant'").await;
    assert_eq!(operations, deletions, "each deletion that was kept has one operation");
    assert_eq!(number("SELECT count(*) FROM tenants WHERE state = 'gone'").await, operations);
    let gone_twice = "SELECT count(*) FROM (SELECT FROM operations GROUP BY tenant_uid
                      HAVING count(*) > 1) double";
    assert_eq!(number(gone_twice).await, 0, "no tenant is deleted twice");
    let live_twice = "SELECT count(*) FROM (SELECT FROM tenants WHERE state <> 'gone'
                      GROUP BY tenant_id HAVING count(*) > 1) double";
    assert_eq!(number(live_twice).await, 0, "no name has two living tenants");
    // One from the creation, and where it ended one of no seats.
    let subscriptions = "SELECT count(*) FROM tenants t
                         WHERE (SELECT array_agg(seats ORDER BY from_time) FROM tenant_subscription s
                                WHERE s.tenant_uid = t.tenant_uid)
                               <> CASE WHEN t.state = 'gone' THEN ARRAY[1, 0] ELSE ARRAY[1] END";
    assert_eq!(number(subscriptions).await, 0, "each tenant has its subscription once");
    for (kind, wanted) in [("created", "true"), ("deleted", "t.state = 'gone'")] {
        let query = format!(
            "SELECT count(*) FROM tenants t WHERE (CASE WHEN {wanted} THEN 1 ELSE 0 END) <>
             (SELECT count(*) FROM changes c WHERE c.tenant_uid = t.tenant_uid
                 AND c.kind = 'tenant' AND c.type = '{kind}')"
        );
        let wrong: i64 =
            sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(pool).await.unwrap();
        assert_eq!(wrong, 0, "tenants whose log does not say {kind} as often as it should");
    }
    let gaps = "SELECT count(*) FROM changes WHERE revision > (SELECT count(*) FROM changes)";
    assert_eq!(number(gaps).await, 0, "revisions have no gap");
}

/// Each intent has one outcome, each effect an intent, each entry a place.
async fn the_audit_log_is_whole(pool: &PgPool) {
    let number = async |query: &'static str| -> i64 {
        sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
    };
    let orphans = "SELECT count(*) FROM audit_entries o WHERE phase = 'outcome' AND NOT EXISTS
                   (SELECT FROM audit_entries i WHERE i.call_id = o.call_id AND i.phase = 'intent')";
    assert_eq!(number(orphans).await, 0, "no outcome without an intent");
    let gaps = "SELECT count(*) FROM audit_positions
                WHERE position > (SELECT count(*) FROM audit_positions)";
    assert_eq!(number(gaps).await, 0, "positions have no gap");
    // An effect whose outcome was taken by a kill is unknown, never failed.
    for (method, table) in [("CreateTenant", "tenants"), ("DeleteTenant", "operations")] {
        let query = format!(
            "SELECT (SELECT count(*) FROM audit_entries WHERE phase = 'outcome'
                        AND method LIKE '%/{method}' AND decision IN ('succeeded', 'unknown')),
                    (SELECT count(*) FROM audit_entries WHERE phase = 'outcome'
                        AND method LIKE '%/{method}' AND decision = 'unknown'),
                    (SELECT count(*) FROM {table})"
        );
        let (possible, unknown, effects): (i64, i64, i64) =
            sqlx::query_as(sqlx::AssertSqlSafe(query)).fetch_one(pool).await.unwrap();
        assert!(possible >= effects, "{method}: {effects} effects, {possible} in the log");
        eprintln!("{method}: {effects} effects, {unknown} outcomes unknown");
    }
}

/// A namespace for each tenant that lives, and none beside.
async fn the_cluster_is_as_wished(region: &Region, pool: &PgPool) {
    let wished: BTreeSet<(String, String)> = sqlx::query_as::<_, (String, Uuid)>(
        "SELECT namespace, tenant_uid FROM tenants WHERE state <> 'gone'",
    )
    .fetch_all(pool)
    .await
    .unwrap()
    .into_iter()
    .map(|(namespace, uid)| (namespace, uid.to_string()))
    .collect();
    let all = region.namespaces().await.list(&ListParams::default()).await.unwrap();
    let live: BTreeSet<(String, String)> = all
        .into_iter()
        .filter(|namespace| {
            let name = namespace.metadata.name.as_deref().unwrap_or_default();
            // The daemon's own is none of a tenant.
            name.starts_with(region.prefix()) && !name.ends_with("-system")
        })
        .map(|namespace| {
            let labels = namespace.metadata.labels.unwrap_or_default();
            let uid = labels.get("control.stream.space/tenant-uid").cloned();
            (namespace.metadata.name.unwrap_or_default(), uid.unwrap_or_default())
        })
        .collect();
    assert_eq!(live, wished);
    assert!(!wished.is_empty());
    let orphans: i64 =
        sqlx::query_scalar("SELECT count(*) FROM orphans").fetch_one(pool).await.unwrap();
    assert_eq!(orphans, 0);
}

/// What a client was told has come true.
async fn what_was_answered_is_true(pool: &PgPool, work: &Work) {
    let states: BTreeMap<String, String> =
        sqlx::query_as::<_, (Uuid, String)>("SELECT tenant_uid, state FROM tenants")
            .fetch_all(pool)
            .await
            .unwrap()
            .into_iter()
            .map(|(uid, state)| (uid.to_string(), state))
            .collect();
    for (uid, deleted) in work.answered.lock().unwrap().iter() {
        let wanted = if *deleted { "gone" } else { "active" };
        assert_eq!(states.get(uid).map(String::as_str), Some(wanted), "{uid}");
    }
}

/// Kept out of the loop above: what a client may meet while the daemon is away.
#[test]
fn a_kill_in_the_middle_of_a_wait_is_no_failure() {
    story(async {
        let region = Region::start().await;
        let ssctl = region.admin().clone();
        let create = ["tenant", "create", "steady", "--plan", "free", "--seats", "1", "--wait"];
        region.kill().await;
        // Nobody answers: one attempt says so, with its exit code.
        ssctl.run(&create).await.exits(8).says("cannot reach");
        region.launch().await;
        region.is_well().await;
        ssctl.ok(&create).await;

        // A wait that is under way goes on through a kill: the namespace is somebody
        // else's until after the restart.
        let namespaces = region.namespaces().await;
        let name = region.namespace("blocked");
        let theirs = serde_json::from_value(serde_json::json!({ "metadata": { "name": name } }));
        namespaces.create(&kube::api::PostParams::default(), &theirs.unwrap()).await.unwrap();
        let waiting = tokio::spawn(async move {
            let create =
                ["tenant", "create", "blocked", "--plan", "free", "--seats", "1", "--wait"];
            ssctl.run(&create).await
        });
        within(CONVERGENCE, "the wish is known", async || {
            let shown = region.admin().run(&["tenant", "show", "blocked", "-o", "json"]).await;
            holds(shown.stdout.contains("NamespaceExists"), || format!("{shown:?}"))
        })
        .await;
        region.kill().await;
        assert!(!waiting.is_finished(), "the wait goes on");
        region.launch().await;
        namespaces.delete(&name, &kube::api::DeleteParams::default()).await.unwrap();
        let ran = waiting.await.unwrap().exits(0);
        assert!(ran.stdout.contains("active"), "{ran:?}");
    });
}
