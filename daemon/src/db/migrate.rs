//! The logins, the database, and the schema.

use std::{collections::HashMap, str::FromStr, sync::LazyLock};

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use uuid::Uuid;

use super::pool::default_max_connections;
use super::{DatabaseConfig, DatabaseUrl, DatabaseUrlError, DbError, catalogue, dump};

/// Runs the migrations and owns what they make.
pub const OWNER: &str = "streamspace_owner";
/// Sees the whole region.
pub const OPERATOR: &str = "streamspace_operator";
/// Sees the tenants that its transaction names.
pub const TENANT: &str = "streamspace_tenant";
/// Inserts audit entries.
pub const AUDIT: &str = "streamspace_audit";
/// Rolls partitions.
pub const MAINTAINER: &str = "streamspace_maintainer";

const LOGINS: [&str; 5] = [OWNER, OPERATOR, TENANT, AUDIT, MAINTAINER];

/// Serializes concurrent runs of [`setup`]; "setup" in ASCII.
const SETUP_LOCK: i64 = 0x73_6574_7570;

/// The oldest PostgreSQL that has what the schema needs.
const OLDEST_VERSION: i32 = 150_000;

pub(super) static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!("./migrations");
    // Whether this program lives with what it does not know is judged by the schema's floor.
    migrator.set_ignore_missing(true);
    migrator
});

/// Why the database could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A statement failed.
    #[error(transparent)]
    Database(#[from] DbError),
    /// A migration failed, or what ran before is not what this program knows.
    #[error("the schema could not be brought up to date: {0}")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// The schema is newer, and took away what this program uses.
    #[error(
        "the schema is of a newer version: a program must know migration {floor:04} to run on it, \
         and this one knows none after {newest:04}; install the version that runs here, or a \
         newer one, or restore a backup of before"
    )]
    TooNew {
        /// What a program must know.
        floor: i64,
        /// The newest that this one knows.
        newest: i64,
    },
    /// The URL cannot be read.
    #[error(transparent)]
    Url(#[from] DatabaseUrlError),
    /// The name cannot be one of a database.
    #[error(
        "{0:?} cannot be the name of a database; take small letters, digits and underscores, \
         a letter first, at most 63"
    )]
    DatabaseName(String),
    /// PostgreSQL is too old.
    #[error("PostgreSQL {0} is too old; 15 is the oldest that works")]
    TooOld(String),
    /// Another region is on the server, and new passwords would lock it out.
    #[error(
        "that server has the database {} of another region, whose daemon would be locked out by \
         new passwords of the logins that both share: take another server, or write the \
         configuration file with the five database URLs first", .0.join(", ")
    )]
    Shared(Vec<String>),
    /// A restore began in this database and did not end.
    #[error(
        "the database is being restored from backup {0}, or was and the restore was broken off: \
         run the same `streamspaced restore` again, and it goes on"
    )]
    Restoring(Uuid),
}

impl From<sqlx::Error> for MigrateError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Makes the five logins and the database where they are missing, takes away what the
/// logins must not have, and says where each login connects. It may be run again, and by
/// several at once.
///
/// The logins get no password: this is for a server that lets them in without one, such
/// as the private one of [`crate::dev::postgres`].
pub async fn setup(superuser_url: &str, database: &str) -> Result<DatabaseConfig, MigrateError> {
    create(superuser_url, database, None, Passwords::None).await
}

/// As [`setup`], and gives each login a new password, which stands in its URL. Refused where
/// another database of the server has the same logins.
pub async fn setup_with_passwords(
    superuser_url: &str,
    database: &str,
) -> Result<DatabaseConfig, MigrateError> {
    create(superuser_url, database, None, Passwords::New).await
}

/// Whether logins get passwords.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Passwords {
    None,
    New,
}

/// As [`setup`], but a database that is missing is made as a copy of another one, which
/// nobody may be connected to.
pub async fn setup_from_template(
    superuser_url: &str,
    database: &str,
    template: &str,
) -> Result<DatabaseConfig, MigrateError> {
    create(superuser_url, database, Some(template), Passwords::None).await
}

/// A migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its number.
    pub number: i64,
    /// Its name.
    pub name: String,
}

/// How a schema stands to this program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What [`run`] would run, in its order.
    pub missing: Vec<Step>,
    /// What a newer program ran, and this one lives with.
    pub newer: Vec<Step>,
}

/// Which migrations [`run`] would run, and which ran that this program does not know.
/// Changes nothing.
pub async fn plan(owner: &DatabaseUrl) -> Result<Plan, MigrateError> {
    let mut connection = owner_options(owner)?.connect().await?;
    require_version(&mut connection).await?;
    let plan = compare(&mut connection).await;
    connection.close().await?;
    plan
}

/// Brings the schema up to date, and tells how it stood before. Concurrent runs wait for
/// each other. A schema that is newer than this program is left as it is, and a database
/// that is being restored is refused.
pub async fn run(owner: &DatabaseUrl) -> Result<Plan, MigrateError> {
    run_within(owner, None, Restore::Refused).await
}

/// Whether a database may be one that is being restored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Restore {
    /// It may not.
    Refused,
    /// The restore itself asks.
    Allowed,
}

/// As [`run`], up to one migration where it is given.
pub(super) async fn run_within(
    owner: &DatabaseUrl,
    target: Option<i64>,
    restore: Restore,
) -> Result<Plan, MigrateError> {
    // No time limits here: a migration may take long.
    let options = owner_options(owner)?;
    let pool = PgPoolOptions::new().max_connections(1).connect_with(options).await?;
    let result = async {
        let mut connection = pool.acquire().await?;
        require_version(&mut connection).await?;
        if restore == Restore::Refused
            && let Some(state) = dump::under_way(&mut connection).await?
        {
            return Err(MigrateError::Restoring(state.backup));
        }
        let plan = compare(&mut connection).await?;
        // The pool has no other.
        drop(connection);
        let ran = match target {
            Some(target) => MIGRATIONS.run_to(target, &pool).await,
            None => MIGRATIONS.run(&pool).await,
        };
        ran.map_err(|error| match error {
            sqlx::migrate::MigrateError::Execute(error) => error.into(),
            other => MigrateError::Migration(other),
        })?;
        Ok(plan)
    }
    .await;
    pool.close().await;
    result
}

fn owner_options(owner: &DatabaseUrl) -> Result<PgConnectOptions, MigrateError> {
    Ok(PgConnectOptions::from_str(owner.expose())?
        .application_name("streamspaced migrations")
        .options([("search_path", "public")]))
}

async fn compare(connection: &mut PgConnection) -> Result<Plan, MigrateError> {
    let exists = "SELECT to_regclass($1) IS NOT NULL";
    let begun: bool =
        sqlx::query_scalar(exists).bind("_sqlx_migrations").fetch_one(&mut *connection).await?;
    let done: Vec<(i64, String, Vec<u8>)> = if begun {
        sqlx::query_as(
            "SELECT version, description, checksum FROM _sqlx_migrations ORDER BY version",
        )
        .fetch_all(&mut *connection)
        .await?
    } else {
        Vec::new()
    };
    let newest = MIGRATIONS.iter().map(|known| known.version).max().unwrap_or_default();
    let refused = |error| Err(MigrateError::Migration(error));
    let mut plan = Plan::default();
    for (number, name, checksum) in &done {
        match MIGRATIONS.iter().find(|known| known.version == *number) {
            None if *number > newest => {
                plan.newer.push(Step { number: *number, name: name.clone() });
            }
            None => return refused(sqlx::migrate::MigrateError::VersionMissing(*number)),
            Some(known) if known.checksum != *checksum => {
                return refused(sqlx::migrate::MigrateError::VersionMismatch(*number));
            }
            Some(_) => {}
        }
    }
    let missing = MIGRATIONS.iter().filter(|known| done.iter().all(|(v, ..)| *v != known.version));
    plan.missing = missing
        .map(|known| Step { number: known.version, name: known.description.to_string() })
        .collect();
    if !plan.newer.is_empty() {
        let floor: i64 = sqlx::query_scalar("SELECT migration FROM schema_floor")
            .fetch_one(&mut *connection)
            .await?;
        if floor > newest {
            return Err(MigrateError::TooNew { floor, newest });
        }
    }
    Ok(plan)
}

async fn create(
    superuser_url: &str,
    database: &str,
    template: Option<&str>,
    passwords: Passwords,
) -> Result<DatabaseConfig, MigrateError> {
    require_name(database)?;
    template.map(require_name).transpose()?;
    let superuser = PgConnectOptions::from_str(superuser_url)?;
    let mut connection = superuser.clone().connect().await?;
    require_version(&mut connection).await?;
    // The lock ends with the session, also on an error.
    sqlx::query("SELECT pg_advisory_lock($1)").bind(SETUP_LOCK).execute(&mut connection).await?;
    if passwords == Passwords::New {
        let others = others_beside(&mut connection, database).await?;
        if !others.is_empty() {
            return Err(MigrateError::Shared(others));
        }
    }
    let mut given = HashMap::new();
    for login in LOGINS {
        create_login(&mut connection, login).await?;
        if passwords == Passwords::New {
            given.insert(login, give_password(&mut connection, login).await?);
        }
    }
    let is_superuser: bool =
        sqlx::query_scalar("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
            .fetch_one(&mut connection)
            .await?;
    if !is_superuser {
        // Only a member may make a database for another; it is one no longer than that.
        let statement = format!("GRANT {OWNER} TO CURRENT_USER");
        sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await?;
    }
    let created = create_database(&mut connection, database, template).await;
    if !is_superuser {
        let statement = format!("REVOKE {OWNER} FROM CURRENT_USER");
        sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await?;
    }
    created?;
    take_public_rights(superuser.clone().database(database), is_superuser).await?;
    connection.close().await?;

    let url = |login: &str| {
        let mut url = superuser.clone().database(database).to_url_lossy();
        // Of a PostgreSQL URL both can be set.
        let _ = url.set_username(login);
        let _ = url.set_password(given.get(login).map(String::as_str));
        DatabaseUrl::parse(url.as_str())
    };
    Ok(DatabaseConfig {
        owner: url(OWNER)?,
        operator: url(OPERATOR)?,
        tenant: url(TENANT)?,
        audit: url(AUDIT)?,
        maintainer: url(MAINTAINER)?,
        passwords: None,
        max_connections: default_max_connections(),
    })
}

/// The databases of other regions on a server, which the same five logins serve.
pub(super) async fn others_beside(
    connection: &mut PgConnection,
    database: &str,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT datname::text FROM pg_database JOIN pg_roles AS role ON role.oid = datdba
         WHERE rolname = $1 AND datname <> $2 ORDER BY 1",
    )
    .bind(OWNER)
    .bind(database)
    .fetch_all(connection)
    .await
}

/// The login is one of ours, so its name needs no quoting.
async fn create_login(
    connection: &mut PgConnection,
    login: &'static str,
) -> Result<(), sqlx::Error> {
    // The owner has its rights on the schema as the database's owner, by inheritance.
    let inherits = login == OWNER;
    let is_right: Option<bool> = sqlx::query_scalar(
        "SELECT rolcanlogin AND rolinherit = $2
            AND NOT (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls)
         FROM pg_roles WHERE rolname = $1",
    )
    .bind(login)
    .bind(inherits)
    .fetch_optional(&mut *connection)
    .await?;
    let verb = match is_right {
        None => "CREATE",
        Some(false) => "ALTER",
        // A superuser alone may even name some of these rights.
        Some(true) => return Ok(()),
    };
    let inherit = if inherits { "INHERIT" } else { "NOINHERIT" };
    sqlx::query(AssertSqlSafe(format!(
        "{verb} ROLE {login} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE {inherit} NOREPLICATION NOBYPASSRLS"
    )))
    .execute(connection)
    .await?;
    Ok(())
}

/// Two random UUIDs are 244 bits, and their digits need no quoting.
async fn give_password(
    connection: &mut PgConnection,
    login: &'static str,
) -> Result<String, sqlx::Error> {
    let password = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let statement = format!("ALTER ROLE {login} PASSWORD '{password}'");
    sqlx::query(AssertSqlSafe(statement)).execute(connection).await?;
    Ok(password)
}

/// The names have been checked and need no quoting beyond that of key words.
async fn create_database(
    connection: &mut PgConnection,
    database: &str,
    template: Option<&str>,
) -> Result<(), sqlx::Error> {
    let exists: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(database)
            .fetch_one(&mut *connection)
            .await?;
    if !exists {
        let source = match template {
            Some(template) => format!("TEMPLATE \"{template}\""),
            None => "TEMPLATE template0 ENCODING 'UTF8'".to_owned(),
        };
        sqlx::query(AssertSqlSafe(format!(
            "CREATE DATABASE \"{database}\" OWNER {OWNER} {source}"
        )))
        .execute(&mut *connection)
        .await?;
    }
    // A copy does not inherit the rights of its template.
    for statement in [
        format!("REVOKE ALL ON DATABASE \"{database}\" FROM PUBLIC"),
        format!(
            "GRANT CONNECT ON DATABASE \"{database}\" TO {OPERATOR}, {TENANT}, {AUDIT}, {MAINTAINER}"
        ),
    ] {
        sqlx::query(AssertSqlSafe(statement)).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Takes away what PostgreSQL lets everybody do and no login needs. A copy has it taken
/// away already. Who is no superuser may not; the daemon tells of these rights at each start.
async fn take_public_rights(
    superuser: PgConnectOptions,
    is_superuser: bool,
) -> Result<(), MigrateError> {
    if !is_superuser {
        return Ok(());
    }
    let mut connection = superuser.connect().await?;
    let mut transaction = connection.begin().await?;
    for right in catalogue::public_rights(&mut transaction).await? {
        // Written by the check, which quotes the names.
        sqlx::raw_sql(AssertSqlSafe(right.remedy)).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    connection.close().await?;
    Ok(())
}

/// Refuses a name of a database that would need quoting.
pub fn require_name(database: &str) -> Result<(), MigrateError> {
    let fits = database.len() <= 63
        && database.starts_with(|first: char| first.is_ascii_lowercase())
        && database
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
    if fits { Ok(()) } else { Err(MigrateError::DatabaseName(database.to_owned())) }
}

async fn require_version(connection: &mut PgConnection) -> Result<(), MigrateError> {
    let (number, version): (i32, String) = sqlx::query_as(
        "SELECT current_setting('server_version_num')::integer, current_setting('server_version')",
    )
    .fetch_one(connection)
    .await?;
    if number < OLDEST_VERSION {
        return Err(MigrateError::TooOld(version));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_need_quoting_are_refused() {
        for name in ["", "1st", "Streamspace", "a-b", "a\"; DROP DATABASE b; --", &"a".repeat(64)] {
            assert!(require_name(name).is_err(), "{name}");
        }
        for name in ["streamspace", "streamspace_dev_2"] {
            assert!(require_name(name).is_ok(), "{name}");
        }
    }
}
