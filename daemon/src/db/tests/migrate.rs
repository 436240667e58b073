//! Logins, databases and migrations can be made many times and at once.

use sqlx::{Connection, PgConnection};

use crate::db::migrate::{MigrateError, Plan, Step, plan, run, setup, setup_with_passwords};
use crate::db::testing::{TestDatabase, scratch_folder};
use crate::db::{Database, catalogue};
use crate::dev::postgres::{PostgresOptions, PrivatePostgres};

#[tokio::test]
async fn setup_and_migrations_run_at_once_and_again() {
    let test = TestDatabase::with_own_server().await;
    let superuser_url = test.superuser_url.clone();
    let runs = (0..4).map(|_| {
        let superuser_url = superuser_url.clone();
        tokio::spawn(async move {
            let config = setup(&superuser_url, "second").await.unwrap();
            run(&config.owner).await.unwrap();
            config
        })
    });
    let mut configs = Vec::new();
    for run in runs.collect::<Vec<_>>() {
        configs.push(run.await.unwrap());
    }
    assert!(configs.windows(2).all(|pair| pair[0] == pair[1]));
    let database = Database::connect(&configs[0]).await.unwrap();
    catalogue::check(database.operator()).await.unwrap();
    let plans: Vec<String> = sqlx::query_scalar("SELECT plan_id FROM plans ORDER BY rank")
        .fetch_all(database.operator())
        .await
        .unwrap();
    assert_eq!(plans, ["free", "professional", "business", "enterprise"]);
}

/// A server on which there is nothing yet.
async fn empty_server() -> PrivatePostgres {
    tokio::task::spawn_blocking(|| {
        PrivatePostgres::start_with(&scratch_folder(), PostgresOptions::scratch()).unwrap()
    })
    .await
    .unwrap()
}

/// The administrator of a managed PostgreSQL is no superuser. The region is prepared all the same,
/// again too, and the administrator gets nothing of it.
#[tokio::test]
async fn who_may_make_logins_and_databases_can_prepare_a_region() {
    let server = empty_server().await;
    let mut superuser = PgConnection::connect(&server.superuser_url()).await.unwrap();
    sqlx::raw_sql("CREATE ROLE administrator LOGIN CREATEDB CREATEROLE")
        .execute(&mut superuser)
        .await
        .unwrap();
    let administrator = server.url("administrator", "postgres");
    for _ in 0..2 {
        let config = setup_with_passwords(&administrator, "streamspace").await.unwrap();
        run(&config.owner).await.unwrap();
        let database = Database::connect(&config).await.unwrap();
        catalogue::check(database.operator()).await.unwrap();
        let member: bool =
            sqlx::query_scalar("SELECT pg_has_role('administrator', 'streamspace_owner', 'USAGE')")
                .fetch_one(database.operator())
                .await
                .unwrap();
        assert!(!member, "the administrator stays the owner's equal");
    }
}

/// Regions of one server share the logins: new passwords for the second would lock the first out.
#[tokio::test]
async fn a_second_region_of_a_server_leaves_the_passwords_of_the_first() {
    let server = empty_server().await;
    let mut superuser = PgConnection::connect(&server.superuser_url()).await.unwrap();
    let mut passwords = async || -> Vec<(String, Option<String>)> {
        sqlx::query_as(
            "SELECT rolname::text, rolpassword FROM pg_authid WHERE rolname LIKE 'streamspace%' ORDER BY 1",
        )
        .fetch_all(&mut superuser)
        .await
        .unwrap()
    };
    setup_with_passwords(&server.superuser_url(), "first").await.unwrap();
    let first = passwords().await;
    assert!(first.len() == 5 && first.iter().all(|(_, password)| password.is_some()), "{first:?}");
    let refused = setup_with_passwords(&server.superuser_url(), "second").await;
    assert!(
        matches!(&refused, Err(MigrateError::Shared(others)) if others == &["first"]),
        "{refused:?}"
    );
    let second = setup(&server.superuser_url(), "second").await.unwrap();
    assert_eq!(passwords().await, first);
    run(&second.owner).await.unwrap();
}

#[tokio::test]
async fn a_plan_tells_what_is_missing_and_runs_nothing() {
    let test = TestDatabase::with_own_server().await;
    let config = setup(&test.superuser_url, "planned").await.unwrap();
    let all = plan(&config.owner).await.unwrap();
    assert_eq!((all.missing[0].number, all.missing[0].name.as_str()), (1, "foundation"));
    assert_eq!(plan(&config.owner).await.unwrap(), all, "nothing ran");
    assert_eq!(run(&config.owner).await.unwrap(), all);
    assert_eq!(plan(&config.owner).await.unwrap(), Plan::default());
    assert_eq!(run(&config.owner).await.unwrap(), Plan::default());
}

/// A newer program adds, and this one goes on; it takes away, and this one says so.
#[tokio::test]
async fn a_newer_schema_is_lived_with_down_to_its_floor() {
    let test = TestDatabase::with_own_server().await;
    let config = setup(&test.superuser_url, "newer").await.unwrap();
    let newest = run(&config.owner).await.unwrap().missing.last().unwrap().number;
    let mut owner = PgConnection::connect(config.owner.expose()).await.unwrap();
    sqlx::raw_sql(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'later', true, 'x', 0);
         CREATE TABLE later (only_row boolean PRIMARY KEY);
         GRANT SELECT ON later TO streamspace_tenant;
         INSERT INTO catalogue_exceptions VALUES ('shared_table', 'later', 'for the test')",
    )
    .execute(&mut owner)
    .await
    .unwrap();
    let stands = plan(&config.owner).await.unwrap();
    assert_eq!(stands.missing, []);
    assert_eq!(stands.newer, [Step { number: 9999, name: "later".into() }]);
    assert_eq!(run(&config.owner).await.unwrap(), stands);
    let database = Database::connect(&config).await.unwrap();
    catalogue::check(database.operator()).await.unwrap();

    for (floor, lives) in [(newest, true), (newest + 1, false)] {
        sqlx::query("UPDATE schema_floor SET migration = $1")
            .bind(floor)
            .execute(&mut owner)
            .await
            .unwrap();
        for stands in [plan(&config.owner).await, run(&config.owner).await] {
            match stands {
                Ok(_) => assert!(lives),
                Err(error) => {
                    assert!(!lives);
                    let said = error.to_string();
                    assert!(said.contains(&format!("must know migration {floor:04}")), "{said}");
                    assert!(said.contains("install the version that runs here"), "{said}");
                }
            }
        }
    }

    // What this program should know and does not is no newer version.
    sqlx::raw_sql("UPDATE _sqlx_migrations SET version = 0 WHERE version = 9999")
        .execute(&mut owner)
        .await
        .unwrap();
    assert!(plan(&config.owner).await.is_err());
    assert!(run(&config.owner).await.is_err(), "a start says the same");
}

/// A database that was made before, or restored, gets it too.
#[tokio::test]
async fn setup_takes_from_everybody_what_no_login_needs() {
    let test = TestDatabase::with_own_server().await;
    let mut superuser = PgConnection::connect(&test.superuser_url).await.unwrap();
    sqlx::raw_sql(
        "GRANT EXECUTE ON FUNCTION set_config TO PUBLIC;
         GRANT EXECUTE ON FUNCTION pg_try_advisory_lock(bigint) TO PUBLIC;
         REVOKE EXECUTE ON FUNCTION pg_try_advisory_lock(bigint) FROM streamspace_operator;
         GRANT USAGE ON LANGUAGE plpgsql TO PUBLIC",
    )
    .execute(&mut superuser)
    .await
    .unwrap();
    assert_eq!(catalogue::public_rights(&mut superuser).await.unwrap().len(), 3);
    // They are told, and keep nobody from starting.
    catalogue::check(test.database().operator()).await.unwrap();
    setup(&test.superuser_url, "streamspace").await.unwrap();
    assert_eq!(catalogue::public_rights(&mut superuser).await.unwrap(), []);
}
