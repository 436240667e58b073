//! A real server: started, stopped, left behind, taken over.

use std::path::Path;
use std::process::Command;

use sqlx::{Connection, PgConnection};

use super::*;
use crate::db::testing::scratch_folder;

/// A folder that goes at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        Self(scratch_folder())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn answer(url: &str, query: &'static str) -> Result<String, sqlx::Error> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let mut connection = PgConnection::connect(url).await?;
        sqlx::query_scalar(query).fetch_one(&mut connection).await
    })
}

#[test]
fn data_outlive_an_orderly_stop_and_a_crash() {
    let folder = Folder::new();
    let mut postgres = PrivatePostgres::start(&folder.0).unwrap();
    let url = postgres.superuser_url();
    let created = answer(&url, "CREATE TABLE kept AS SELECT 'yes' AS word");
    assert!(matches!(created, Err(sqlx::Error::RowNotFound)), "{created:?}");
    let word = || answer(&url, "SELECT word FROM kept").unwrap();
    assert_eq!(word(), "yes");

    postgres.stop().unwrap();
    assert!(answer(&url, "SELECT word FROM kept").is_err());
    postgres.start_again().unwrap();
    assert_eq!(word(), "yes");

    postgres.kill_server().unwrap();
    assert!(answer(&url, "SELECT word FROM kept").is_err());
    postgres.start_again().unwrap();
    assert_eq!(word(), "yes");

    drop(postgres);
    let postgres = PrivatePostgres::start(&folder.0).unwrap();
    assert_eq!(word(), "yes");
    assert_eq!(answer(&url, "SELECT current_setting('fsync')").unwrap(), "on");
    assert_eq!(answer(&url, "SELECT current_setting('listen_addresses')").unwrap(), "");
    drop(postgres);
}

#[test]
fn a_server_that_was_left_behind_is_taken_over() {
    let folder = Folder::new();
    let mut postgres = PrivatePostgres::start(&folder.0).unwrap();
    let url = postgres.superuser_url();
    let process_id = postgres.process_id().unwrap();
    let started = answer(&url, "SELECT pg_postmaster_start_time()::text").unwrap();
    // What a kill leaves: a server without a master, and no lock.
    postgres.server.take().unwrap().abandon();
    drop(postgres);

    let postgres = PrivatePostgres::start(&folder.0).unwrap();
    assert_eq!(postgres.process_id(), Some(process_id));
    assert_eq!(postgres.superuser_url(), url);
    assert_eq!(answer(&url, "SELECT pg_postmaster_start_time()::text").unwrap(), started);
    drop(postgres);
    assert!(answer(&url, "SELECT ''").is_err());
}

#[test]
fn a_stale_process_file_is_no_hindrance() {
    let folder = Folder::new();
    drop(PrivatePostgres::start(&folder.0).unwrap());
    // The number of a process that lives and is not a server: this one.
    let stale = format!("{}\n/nowhere\n1\n5432\n/nowhere\n\n0 0\nready   \n", std::process::id());
    std::fs::write(folder.0.join("data/postmaster.pid"), stale).unwrap();
    let postgres = PrivatePostgres::start(&folder.0).unwrap();
    answer(&postgres.superuser_url(), "SELECT ''").unwrap();
}

#[test]
fn half_an_initialization_is_begun_anew() {
    let folder = Folder::new();
    drop(PrivatePostgres::start(&folder.0).unwrap());
    std::fs::rename(folder.0.join("data"), folder.0.join("data.unfinished")).unwrap();
    let postgres = PrivatePostgres::start(&folder.0).unwrap();
    answer(&postgres.superuser_url(), "SELECT ''").unwrap();
}

#[test]
fn a_folder_is_used_by_one_process_at_a_time() {
    let folder = Folder::new();
    let _postgres = PrivatePostgres::start(&folder.0).unwrap();
    let second = PrivatePostgres::start(&folder.0);
    assert!(matches!(second, Err(PostgresError::Busy(_))), "{second:?}");
}

#[test]
fn a_long_path_gets_a_short_socket_and_strange_letters_are_no_hindrance() {
    let folder = Folder::new();
    let long = folder.0.join(format!("with space & ü {}", "x".repeat(90)));
    std::fs::create_dir_all(&folder.0).unwrap();
    let postgres = PrivatePostgres::start_with(&long, PostgresOptions::scratch()).unwrap();
    assert!(!postgres.sockets.starts_with(&folder.0));
    answer(&postgres.superuser_url(), "SELECT ''").unwrap();
    let sockets = postgres.sockets.clone();
    drop(postgres);
    assert!(!sockets.exists());
    let strange = folder.0.join("with space & ü");
    let postgres = PrivatePostgres::start_with(&strange, PostgresOptions::scratch()).unwrap();
    answer(&postgres.superuser_url(), "SELECT ''").unwrap();
}

#[test]
fn only_its_account_may_enter_the_folders() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let postgres = PrivatePostgres::start_with(&folder.0, PostgresOptions::scratch()).unwrap();
    for path in [postgres.folder(), &postgres.sockets] {
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", path.display());
    }
}

#[test]
fn a_folder_that_the_account_cannot_reach_is_named() {
    use std::os::unix::fs::PermissionsExt;
    if !rustix::process::geteuid().is_root() {
        // The account is our own, and can go where we can.
        return;
    }
    let folder = Folder::new();
    std::fs::create_dir_all(&folder.0).unwrap();
    std::fs::set_permissions(&folder.0, std::fs::Permissions::from_mode(0o700)).unwrap();
    let error = PrivatePostgres::start(&folder.0.join("postgres")).unwrap_err();
    assert!(matches!(error, PostgresError::NoWay { .. }), "{error}");
    let closed = folder.0.display().to_string();
    assert!(error.to_string().contains(&format!("cannot enter {closed}")), "{error}");
}

#[test]
fn an_ephemeral_server_goes_with_its_folder() {
    let folder = Folder::new();
    let mut postgres = PrivatePostgres::start_with(&folder.0, PostgresOptions::scratch()).unwrap();
    let url = postgres.superuser_url();
    // What a kill does: the guard's input ends, and nobody stops the server.
    let mut guard = postgres.guard.take().unwrap();
    postgres.server.take().unwrap().abandon();
    drop(guard.stdin.take());
    guard.wait().unwrap();
    assert!(!folder.0.exists());
    assert!(answer(&url, "SELECT ''").is_err());
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let folder = Folder::new();
    drop(PrivatePostgres::start(&folder.0).unwrap());
    std::fs::write(folder.0.join("data/postgresql.conf"), "nonsense = 1\n").unwrap();
    let error = PrivatePostgres::start(&folder.0).unwrap_err().to_string();
    assert!(error.contains("nonsense"), "{error}");
}

#[test]
fn data_of_another_version_are_named() {
    let folder = Folder::new();
    drop(PrivatePostgres::start(&folder.0).unwrap());
    std::fs::write(folder.0.join("data/PG_VERSION"), "9\n").unwrap();
    let error = PrivatePostgres::start(&folder.0).unwrap_err();
    assert!(matches!(error, PostgresError::OtherVersion { major: 9, .. }), "{error}");
}

#[test]
fn the_socket_path_is_within_the_limit() {
    for length in [1, 50, 80, 90, 120, 500] {
        let folder = Path::new("/").join("x".repeat(length));
        assert!(socket_fits(&socket_folder(&folder)), "{length}");
    }
}

#[test]
fn the_account_is_not_root() {
    let mut command = Command::new("id");
    Account::find().unwrap().prepare(&mut command);
    let answer = command.arg("-u").output().unwrap();
    assert_ne!(String::from_utf8_lossy(&answer.stdout).trim(), "0");
}
