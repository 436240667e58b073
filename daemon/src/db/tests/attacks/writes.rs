//! Writing, moving and deleting rows of another tenant.

use super::{NO_RIGHT, World, add_to_schema, policies};

/// Statements that change what they see change nothing of another tenant.
#[tokio::test]
async fn a_statement_without_a_predicate_changes_its_own_rows() {
    let world = World::create().await;
    let before = world.all_of_beta().await;
    for statement in [
        "UPDATE tenants SET display_name = 'mine', state = 'purging', protected = false RETURNING *",
        "UPDATE tenants SET display_name = 'mine' WHERE tenant_uid = :beta RETURNING *",
        "UPDATE tenants SET display_name = operations.target FROM operations RETURNING *",
        "UPDATE operations SET progress = 'mine' FROM tenants WHERE tenants.tenant_id = 'beta-inc' RETURNING *",
        "UPDATE quota_overrides SET end_time = now() RETURNING *",
        "UPDATE approvals SET approver = 'me', decision = 'approved', decide_time = now() RETURNING *",
        "WITH changed AS (UPDATE tenants SET seats = 9 RETURNING *) SELECT * FROM changed",
        "MERGE INTO tenants USING (VALUES (:beta::uuid), (:acme::uuid)) AS wanted (uid)
             ON tenant_uid = uid WHEN MATCHED THEN UPDATE SET display_name = 'mine' WHEN NOT MATCHED THEN DO NOTHING",
        "INSERT INTO operations (operation_id, tenant_uid, kind, target, actor)
             SELECT gen_random_uuid(), tenant_uid, 'k', tenant_id, 'a' FROM tenants RETURNING *",
    ] {
        let mut acme = world.as_acme().await;
        let outcome = super::run(&mut acme, &world.fill(statement)).await;
        world.assert_silent(statement, &outcome.unwrap_or_else(|code| panic!("{statement}: {code}")));
        super::run(&mut acme, "COMMIT").await.unwrap();
        assert_eq!(world.all_of_beta().await, before, "{statement}");
    }
}

#[tokio::test]
async fn a_row_does_not_move_to_another_tenant() {
    let world = World::create().await;
    let before = world.all_of_beta().await;
    world
        .refused(&[
            ("UPDATE operations SET tenant_uid = :beta", NO_RIGHT),
            ("UPDATE tenants SET tenant_uid = gen_random_uuid()", NO_RIGHT),
            ("UPDATE tenants SET region_term = 2", NO_RIGHT),
            ("UPDATE tenants SET home_region = 'elsewhere'", NO_RIGHT),
            ("UPDATE operations SET region_term = 2", NO_RIGHT),
            ("UPDATE approvals SET tenant_uid = :beta", NO_RIGHT),
            ("UPDATE quota_overrides SET tenant_uid = :beta", NO_RIGHT),
            (
                "MERGE INTO operations USING (VALUES (:beta::uuid)) AS wanted (uid) ON tenant_uid = uid
                     WHEN NOT MATCHED THEN INSERT (operation_id, tenant_uid, kind, target, actor)
                     VALUES (uid, uid, 'k', 't', 'a')",
                NO_RIGHT,
            ),
            (
                "MERGE INTO operations USING (VALUES (1)) AS wanted ON true
                     WHEN MATCHED THEN UPDATE SET tenant_uid = :beta",
                NO_RIGHT,
            ),
            ("MERGE INTO operations USING (VALUES (1)) AS wanted ON true WHEN MATCHED THEN DELETE", NO_RIGHT),
        ])
        .await;
    assert_eq!(world.all_of_beta().await, before);
}

/// Where a right on the column was granted by mistake, the policy's check still holds.
#[tokio::test]
async fn the_check_of_the_policy_holds_by_itself() {
    let world = World::create().await;
    add_to_schema(
        &world,
        &format!(
            "CREATE TABLE notes (tenant_uid uuid NOT NULL, region_term bigint NOT NULL DEFAULT 1, note_id uuid NOT NULL,
                                 PRIMARY KEY (tenant_uid, note_id));
             {} INSERT INTO notes (tenant_uid, note_id) SELECT tenant_uid, tenant_uid FROM tenants",
            policies("notes")
        ),
    )
    .await;
    let mut owner = world.session(&world.test.config.owner).await;
    super::run(&mut owner, "GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO streamspace_tenant")
        .await
        .unwrap();
    world
        .refused(&[
            ("UPDATE notes SET tenant_uid = :beta", NO_RIGHT),
            ("UPDATE notes SET tenant_uid = gen_random_uuid()", NO_RIGHT),
            ("UPDATE notes SET tenant_uid = other.uid FROM (VALUES (:beta::uuid)) AS other (uid)", NO_RIGHT),
            ("INSERT INTO notes (tenant_uid, note_id) VALUES (:beta, :beta)", NO_RIGHT),
            (
                "INSERT INTO notes (tenant_uid, note_id) VALUES (:acme, :acme)
                     ON CONFLICT (tenant_uid, note_id) DO UPDATE SET tenant_uid = :beta",
                NO_RIGHT,
            ),
            (
                "MERGE INTO notes USING (VALUES (1)) AS wanted ON true WHEN MATCHED THEN UPDATE SET tenant_uid = :beta",
                NO_RIGHT,
            ),
        ])
        .await;
    world
        .silent(&["DELETE FROM notes RETURNING *", "DELETE FROM notes USING tenants RETURNING *"])
        .await;
    let mut acme = world.as_acme().await;
    super::run(&mut acme, "DELETE FROM notes; COMMIT").await.unwrap();
    let left = super::run(&mut owner, "SELECT tenant_uid FROM notes").await.unwrap();
    assert_eq!(left, [[world.beta.0.to_string()]]);
}
