use jiff::Timestamp;
use prost::Message as _;
use sqlx::PgPool;
use streamspace_core::{
    admission::RESERVATION_TIME,
    quantity::Millicores,
    session::{self, SessionName, SessionState, WrittenResources, WrittenSession},
};
use streamspace_proto::v1;
use uuid::Uuid;

use super::*;
use crate::db::testing::TestDatabase;

const GIB: i64 = 1 << 30;
const HOUR: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);

/// A tenant of the business plan: 20 sessions and 64Gi for each user.
async fn a_tenant(test: &TestDatabase, id: &str) -> TenantUid {
    let tenant = test.insert_tenant(id).await;
    sqlx::query("UPDATE tenants SET plan_id = 'business' WHERE tenant_uid = $1")
        .bind(tenant.0)
        .execute(test.database().operator())
        .await
        .unwrap();
    tenant
}

/// The watch has come to `at`.
async fn watched(test: &TestDatabase, at: Timestamp) {
    sqlx::query(
        "INSERT INTO usage_watermark (leader_term, begins, complete_through, closed_through) \
         VALUES (1, 0, $1, 0) ON CONFLICT (only_row) DO UPDATE SET complete_through = $1",
    )
    .bind(at.as_second())
    .execute(test.database().operator())
    .await
    .unwrap();
}

fn place(memory: i64) -> Place {
    Place {
        sessions: 1,
        pods: 1,
        cpu: Millicores(500),
        cpu_limit: Millicores(500),
        memory: Bytes(memory),
        memory_limit: Bytes(memory),
    }
}

fn request(name: &str, user: &str) -> Request {
    Request {
        name: SessionName::parse(name).unwrap(),
        uid: Some(SessionUid(Uuid::new_v4())),
        generation: 1,
        user: UserName::parse(user).unwrap(),
        place: place(GIB),
    }
}

/// The watch shows what was asked for.
async fn shown(pool: &PgPool, tenant: TenantUid, request: &Request, state: &str) {
    sqlx::query(
        "INSERT INTO sessions (tenant_uid, name, session_uid, resource_version, generation, \
           user_name, template, state, phase, deleting, pods, cpu, cpu_limit, memory, \
           memory_limit, create_time, resource) \
         VALUES ($1, $2, $3, 1, $4, $5, 't', $6, 'Pending', false, 1, $7, $7, $8, $8, now(), '') \
         ON CONFLICT (tenant_uid, name) DO UPDATE SET session_uid = $3, generation = $4, \
           user_name = $5, state = $6",
    )
    .bind(tenant.0)
    .bind(request.name.as_str())
    .bind(request.uid.unwrap().0)
    .bind(request.generation)
    .bind(request.user.as_str())
    .bind(state)
    .bind(request.place.cpu.0)
    .bind(request.place.memory.0)
    .execute(pool)
    .await
    .unwrap();
}

async fn open(test: &TestDatabase) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM session_reservations")
        .fetch_one(test.database().operator())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_ten_at_once_against_five_places_five_are_admitted() {
    let test = TestDatabase::create().await;
    let tenant = a_tenant(&test, "acme-corp").await;
    let replicas = [Admission::new(test.another().await), Admission::new(test.another().await)];
    for round in 0..20 {
        let user = format!("user-{round}");
        for taken in 0..15 {
            let request = request(&format!("r{round}-taken-{taken}"), &user);
            shown(test.database().operator(), tenant, &request, "running").await;
        }
        let asks = (0..10).map(|number| {
            let admission = replicas[number % 2].clone();
            let request = request(&format!("r{round}-{number}"), &user);
            tokio::spawn(async move { admission.admit(tenant, &request, false).await.unwrap() })
        });
        let answers = futures::future::join_all(asks.collect::<Vec<_>>()).await;
        let admitted = answers.into_iter().filter(|answer| answer.as_ref().unwrap().is_ok());
        assert_eq!(admitted.count(), 5, "round {round}");
        // What this round took counts for no other.
        sqlx::query("DELETE FROM sessions").execute(test.database().operator()).await.unwrap();
        sqlx::query("DELETE FROM session_reservations")
            .execute(test.database().operator())
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_place_is_given_back_when_it_is_seen_lost_or_over() {
    let test = TestDatabase::create().await;
    let tenant = a_tenant(&test, "acme-corp").await;
    let pool = test.database().operator().clone();
    let admission = Admission::new(test.database().clone());
    let leadership = Leadership { replica: "a".into(), leader_term: 1, leads: true };
    sqlx::query("UPDATE leader SET leader_term = 1, replica = 'a'").execute(&pool).await.unwrap();
    let db = test.database();

    // Asked twice, it is one place. A rehearsal takes none.
    let first = request("one", "ada");
    assert!(admission.admit(tenant, &first, true).await.unwrap().is_ok());
    assert_eq!(open(&test).await, 0);
    for _ in 0..2 {
        assert!(admission.admit(tenant, &first, false).await.unwrap().is_ok());
        assert_eq!(open(&test).await, 1);
    }
    assert_eq!(sweep(db, &leadership).await.unwrap(), 0, "nothing is seen and nothing watched");

    // The watch shows it: the row holds the place now.
    shown(&pool, tenant, &first, "running").await;
    assert_eq!(admission.admit(tenant, &first, false).await.unwrap(), Ok(Admitted::Held));
    assert_eq!(open(&test).await, 0, "the admission itself forgets what is met");
    assert!(
        admission
            .admit(tenant, &Request { generation: 2, ..first.clone() }, false)
            .await
            .unwrap()
            .is_ok()
    );
    shown(&pool, tenant, &Request { generation: 2, ..first.clone() }, "running").await;
    assert_eq!(sweep(db, &leadership).await.unwrap(), 1);

    // Nobody else's sweep does anything.
    let other = Leadership { leader_term: 2, ..leadership.clone() };
    let lost = request("lost", "ada");
    assert!(admission.admit(tenant, &lost, false).await.unwrap().is_ok());
    watched(&test, Timestamp::now() + RESERVATION_TIME * 2).await;
    assert_eq!(sweep(db, &other).await.unwrap(), 0);
    assert_eq!(sweep(db, &leadership).await.unwrap(), 1, "refused after us, it is over");

    // While the watch is behind, nothing is given away.
    watched(&test, Timestamp::now() - HOUR).await;
    assert!(admission.admit(tenant, &lost, false).await.unwrap().is_ok());
    assert_eq!(sweep(db, &leadership).await.unwrap(), 0);

    // Its object is deleted before anybody swept.
    let mut connection = pool.acquire().await.unwrap();
    gone(&mut connection, &[(tenant, "lost", SessionUid(Uuid::nil()))]).await.unwrap();
    assert_eq!(open(&test).await, 1);
    gone(&mut connection, &[(tenant, "lost", lost.uid.unwrap())]).await.unwrap();
    assert_eq!(open(&test).await, 0);

    // Asked before there is an object: any object of the name meets it.
    let early = Request { uid: None, ..request("early", "ada") };
    assert!(admission.admit(tenant, &early, false).await.unwrap().is_ok());
    shown(&pool, tenant, &request("early", "ada"), "hibernated").await;
    assert_eq!(sweep(db, &leadership).await.unwrap(), 1);
}

#[tokio::test]
async fn limits_are_those_of_the_plan_and_of_the_overrides() {
    let test = TestDatabase::create().await;
    let tenant = a_tenant(&test, "acme-corp").await;
    let admission = Admission::new(test.database().clone());
    let pool = test.database().operator();
    let large = Request { place: place(65 * GIB), ..request("large", "ada") };
    let refusals = admission.admit(tenant, &large, false).await.unwrap().unwrap_err();
    assert_eq!(refusals[0].reason, Reason::User(streamspace_core::admission::Measure::Memory));
    assert!(refusals[0].message.contains("64"), "{}", refusals[0]);
    sqlx::query(
        "INSERT INTO quota_overrides (tenant_uid, override_id, resource, amount, reason, actor) \
         VALUES ($1, gen_random_uuid(), 'memory', 1073741823, 'r', 'a')",
    )
    .bind(tenant.0)
    .execute(pool)
    .await
    .unwrap();
    let refusals =
        admission.admit(tenant, &request("one", "ada"), false).await.unwrap().unwrap_err();
    assert!(refusals.iter().any(|it| it.message.contains("by its quota")), "{refusals:?}");
    assert_eq!(open(&test).await, 0, "what is refused leaves nothing");
}

#[tokio::test]
async fn nothing_starts_behind_a_cordon_or_where_there_is_no_tenant() {
    let test = TestDatabase::create().await;
    let tenant = a_tenant(&test, "acme-corp").await;
    let admission = Admission::new(test.database().clone());
    let pool = test.database().operator();
    let running = request("running", "ada");
    shown(pool, tenant, &running, "running").await;
    sqlx::query("UPDATE region_controls SET cordon_time = now(), cordon_reason = 'new nodes'")
        .execute(pool)
        .await
        .unwrap();
    let refused = admission.admit(tenant, &request("one", "ada"), false).await.unwrap();
    assert_eq!(
        refused.unwrap_err()[0].to_string(),
        "the region is cordoned (new nodes), and nothing new starts: wait until an operator ends \
         the cordon"
    );
    let goes_on = Request { generation: 2, ..running };
    assert!(admission.admit(tenant, &goes_on, false).await.unwrap().is_ok(), "what runs goes on");
    sqlx::query("UPDATE region_controls SET cordon_until = now() - interval '1 second'")
        .execute(pool)
        .await
        .unwrap();
    assert!(admission.admit(tenant, &request("one", "ada"), false).await.unwrap().is_ok());
    sqlx::query("UPDATE tenants SET state = 'suspended'").execute(pool).await.unwrap();
    let refused = admission.admit(tenant, &request("two", "ada"), false).await.unwrap();
    let told = refused.unwrap_err()[0].to_string();
    assert!(told.contains("the tenant is suspended"), "{told}");
    let nobody = TenantUid(Uuid::new_v4());
    assert!(admission.admit(nobody, &request("one", "ada"), false).await.unwrap().is_err());
}

fn wish(template: &str, resources: Option<WrittenResources>) -> Wish {
    session::read(&WrittenSession {
        name: "one".into(),
        user: "ada".into(),
        template: template.into(),
        state: SessionState::Running,
        resources,
        persistent_home: None,
        idle_timeout: None,
        max_session_duration: None,
        tags: vec![],
        max_replicas: Some(2),
    })
    .unwrap()
}

#[tokio::test]
async fn a_place_is_what_the_template_says_where_the_session_does_not() {
    let test = TestDatabase::create().await;
    let tenant = a_tenant(&test, "acme-corp").await;
    let admission = Admission::new(test.database().clone());
    let pool = test.database().operator();
    let template = |memory: &str, valid: bool| {
        let memory = memory.to_owned();
        v1::Template { cpu: "250m".into(), memory, valid, ..Default::default() }.encode_to_vec()
    };
    let of = async |name: &str, resources| {
        let place = admission.place(tenant, &wish(name, resources)).await.unwrap();
        assert_eq!((place.sessions, place.pods), (1, 2));
        (place.cpu.0, place.memory.0 / GIB)
    };
    assert_eq!(of("firefox", None).await, (2000, 4), "the defaults of both copies");
    for (name, memory, valid) in [("firefox", "3Gi", true), ("broken", "9Gi", false)] {
        sqlx::query("INSERT INTO catalogue_templates VALUES ($1, gen_random_uuid(), 1, $2)")
            .bind(name)
            .bind(template(memory, valid))
            .execute(pool)
            .await
            .unwrap();
    }
    assert_eq!(of("firefox", None).await, (500, 6));
    assert_eq!(of("broken", None).await, (2000, 4), "nothing is made of it");
    sqlx::query(
        "INSERT INTO templates (tenant_uid, name, template_uid, resource_version, resource) \
         VALUES ($1, 'firefox', gen_random_uuid(), 1, $2)",
    )
    .bind(tenant.0)
    .bind(template("1Gi", true))
    .execute(pool)
    .await
    .unwrap();
    assert_eq!(of("firefox", None).await, (500, 2), "the tenant's own comes first");
    let own = WrittenResources {
        memory: Some("5Gi".into()),
        cpu: Some("1".into()),
        ..WrittenResources::default()
    };
    assert_eq!(of("firefox", Some(own)).await, (2000, 10));
}

#[tokio::test]
async fn what_users_hold_is_told_the_largest_first() {
    let test = TestDatabase::create().await;
    let tenant = a_tenant(&test, "acme-corp").await;
    let admission = Admission::new(test.database().clone());
    let pool = test.database().operator();
    shown(pool, tenant, &request("one", "ada"), "running").await;
    shown(pool, tenant, &request("sleeps", "cyd"), "hibernated").await;
    let bob = Request { place: place(3 * GIB), ..request("two", "bob") };
    assert!(admission.admit(tenant, &bob, false).await.unwrap().is_ok());
    let mut tx = test.database().begin(&Scope::Tenants(vec![tenant])).await.unwrap();
    let held = held(&mut tx, tenant).await.unwrap();
    let held: Vec<_> =
        held.iter().map(|it| (it.user.as_str(), it.sessions, it.memory.0 / GIB)).collect();
    assert_eq!(held, [("bob", 1, 3), ("ada", 1, 1)]);
}
