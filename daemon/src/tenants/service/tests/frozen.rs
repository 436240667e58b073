//! What an error budget that is used up holds back.

use super::*;

#[tokio::test]
async fn a_frozen_budget_holds_plans_back_but_for_work_under_an_open_incident() {
    use crate::rpc::CallNotes;
    let world = World::start().await;
    let name = world.tenant("acme", "active", "").await;
    world.tenant("other", "active", "").await;
    let db = world.test.database();
    let run = async |query: &str| {
        let query = sqlx::AssertSqlSafe(query.to_owned());
        sqlx::query(query).execute(db.operator()).await.unwrap();
    };
    run("WITH new AS (INSERT INTO slos (slo_uid, slo_id, definition, first_minute, known_minute) \
         VALUES (gen_random_uuid(), 'calls', '', 0, 0) RETURNING slo_uid) \
         INSERT INTO slo_budgets (tenant_uid, slo_uid, objective, first_minute, known_minute, \
         frozen) SELECT tenant_uid, slo_uid, 999000000, 0, 0, true FROM new, tenants \
         WHERE tenant_id = 'acme'")
    .await;
    let (tenants, kim) = (&world.tenants, &world.kim);
    let plan = || v1::Tenant { plan: "plans/enterprise".into(), ..Default::default() };
    let change = |name: &str| update(name, &["plan"], plan());
    assert_eq!(reason(tenants.update(kim, &change(&name)).await), "BUDGET_FROZEN");
    let seats = v1::Tenant { seats: 12, ..Default::default() };
    tenants.update(kim, &update(&name, &["seats"], seats)).await.unwrap();
    tenants.update(kim, &change("tenants/other")).await.unwrap();
    // An incident that is over, or is none, holds no door open.
    let under = |incident: &str| crate::rpc::Caller {
        notes: CallNotes::of_incident(incident),
        ..kim.clone()
    };
    assert_eq!(reason(tenants.update(&under("INC-1"), &change(&name)).await), "BUDGET_FROZEN");
    run(
        "INSERT INTO incidents (incident_number, title, severity, state, declared_by, start_time, \
         declare_time, levels) VALUES (1, 'down', 'P1', 'declared', 'kim', now(), now(), '[]'), \
         (2, 'over', 'P1', 'resolved', 'kim', now(), now(), '[]')",
    )
    .await;
    assert_eq!(reason(tenants.update(&under("INC-2"), &change(&name)).await), "BUDGET_FROZEN");
    tenants.update(&under("INC-1"), &change(&name)).await.unwrap();
}
