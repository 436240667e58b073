//! How often a mutation goes to the database, by the server's own log of statements.

use std::{path::PathBuf, time::Duration};

use sqlx::{AssertSqlSafe, PgPool};
use streamspace_proto::v1::{CreateTenantRequest, Tenant, UpdateTenantRequest};
use streamspace_tests::{
    region::Region,
    wait::{holds, until},
};

use prost_types::FieldMask;
use uuid::Uuid;

use crate::table::Line;

/// So many calls come before the one that is counted, so that each connection has its
/// statements prepared.
const WARM_UP: usize = 40;
/// Only a changing call locks a tenant by its name.
const OF_THE_CALL: &str = "WHERE tenant_id = $1 AND state <> 'gone' FOR UPDATE";

/// One statement that the server ran.
struct Statement {
    session: String,
    application: String,
    text: String,
}

/// Counts the statements of one `UpdateTenant`, each of which is a round trip.
pub(crate) async fn of_a_mutation(region: &Region) -> Line {
    let pool = region.pool();
    let database: String = one(&pool, "SELECT current_database()").await;
    let folder: String = one(&pool, "SHOW data_directory").await;
    let log = PathBuf::from(folder).with_file_name("postgres.log");
    for setting in [
        "ALTER SYSTEM SET log_line_prefix = '%p|%a|'".to_owned(),
        format!("ALTER DATABASE {database} SET log_statement = 'all'"),
        "SELECT pg_reload_conf()".to_owned(),
    ] {
        sqlx::raw_sql(AssertSqlSafe(setting)).execute(&pool).await.unwrap();
    }
    region.stop().await;
    region.launch().await;
    region.is_well().await;

    let mut tenants = region.admin().connection().tenants();
    let create = CreateTenantRequest {
        tenant_id: "counted".into(),
        tenant: Some(Tenant { plan: "plans/free".into(), seats: 1, ..Tenant::default() }),
        ..CreateTenantRequest::default()
    };
    tenants.create_tenant(create).await.unwrap();
    let mut begin = 0;
    for turn in 0..=WARM_UP {
        // What the last one set going is over.
        tokio::time::sleep(Duration::from_millis(50)).await;
        begin = std::fs::read(&log).unwrap().len();
        let request = UpdateTenantRequest {
            tenant: Some(Tenant {
                name: "tenants/counted".into(),
                display_name: format!("Turn {turn}"),
                ..Tenant::default()
            }),
            update_mask: Some(FieldMask { paths: vec!["display_name".into()] }),
            request_id: Uuid::new_v4().to_string(),
            ..UpdateTenantRequest::default()
        };
        tenants.update_tenant(request).await.unwrap();
    }
    let (change, audit) = until("the call is in the log", async || {
        let text = std::fs::read(&log).map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(text.get(begin..).unwrap_or_default()).into_owned();
        let statements = read(&text);
        let change = transaction(&statements);
        let audit = entries(&statements);
        holds(change.is_some() && audit.len() >= 2, || text.clone())?;
        Ok::<_, String>((change.unwrap_or_default(), audit))
    })
    .await;
    eprintln!("one UpdateTenant:");
    for statement in audit.iter().take(1).chain(&change).chain(audit.iter().skip(1)) {
        eprintln!("  {}", statement.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    let total = change.len() + audit.len();
    Line {
        what: "Round trips to the database of one `UpdateTenant`".into(),
        ours: total.to_string(),
        against: "its transaction alone, `BEGIN` and `COMMIT` included".into(),
        bare: change.len().to_string(),
        ratio: format!("{} more", audit.len()),
        remark: "the intent is 1 of them, committed before; the outcome is 1, after".into(),
    }
}

async fn one(pool: &PgPool, query: &'static str) -> String {
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
}

/// The statements in a log; lines that go on begin with a tab.
fn read(text: &str) -> Vec<Statement> {
    let mut statements: Vec<Statement> = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix('\t') {
            if let Some(last) = statements.last_mut() {
                last.text.push(' ');
                last.text.push_str(rest);
            }
            continue;
        }
        let mut parts = line.splitn(3, '|');
        let (Some(session), Some(application), Some(rest)) =
            (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let Some(text) = rest.strip_prefix("LOG:  statement: ").or_else(|| {
            rest.strip_prefix("LOG:  execute ")
                .and_then(|rest| rest.split_once(": "))
                .map(|it| it.1)
        }) else {
            continue;
        };
        let (session, application) = (session.to_owned(), application.to_owned());
        statements.push(Statement { session, application, text: text.to_owned() });
    }
    statements
}

/// The statements of the transaction that locked the tenant, from its beginning to its
/// end.
fn transaction(statements: &[Statement]) -> Option<Vec<String>> {
    let session = &statements.iter().find(|it| it.text.contains(OF_THE_CALL))?.session;
    let mut found = Vec::new();
    let mut ours = false;
    for statement in statements.iter().filter(|it| it.session == *session) {
        if statement.text.starts_with("BEGIN") {
            found.clear();
        }
        ours |= statement.text.contains(OF_THE_CALL);
        found.push(statement.text.clone());
        if ours && statement.text.starts_with("COMMIT") {
            return Some(found);
        }
    }
    None
}

/// What was written to the audit log.
fn entries(statements: &[Statement]) -> Vec<String> {
    let audit = statements.iter().filter(|it| it.application == "streamspaced audit");
    audit.map(|it| it.text.clone()).filter(|text| text.contains("INSERT")).collect()
}
