//! What is in the way is not overwritten, and what would not be whole is not made.

use super::*;

async fn refused(options: &RestoreOptions, word: &str) {
    let error = restore(options, |_| {}).await.unwrap_err().to_string();
    assert!(error.contains(word), "{word}: {error}");
}

#[tokio::test]
async fn a_restore_refuses_what_is_there() {
    let (source, empty) = tokio::join!(Source::new(), Empty::new());
    let file = source.backup().await;
    let options = empty.options(&file);

    let without = RestoreOptions { database_superuser: None, ..options.clone() };
    refused(&without, "--database-superuser").await;
    let named = RestoreOptions { database: Some("a; DROP".into()), ..options.clone() };
    refused(&named, "cannot be the name of a database").await;
    let input = RestoreOptions { file: "-".into(), ..options.clone() };
    refused(&input, "standard input").await;
    assert!(empty.is_untouched().await);

    // Another authority.
    let access = empty.folder.path().join("etc/access");
    fs::create_dir(&access).unwrap();
    Authority::create(&AuthorityFiles::in_folder(&access), REGION, Timestamp::now()).unwrap();
    refused(&options, "ca.key exists and is of another authority").await;
    let anew = RestoreOptions { new_authority: true, ..options.clone() };
    refused(&anew, "ca.key exists and is of another authority").await;
    fs::remove_dir_all(&access).unwrap();
    assert!(empty.is_untouched().await);

    // A configuration that is there, with a database in use.
    write_config(&empty.config(), &source.db.config, &access);
    let configured = RestoreOptions { database_superuser: None, ..options.clone() };
    refused(&configured, "is not empty").await;
    let text = fs::read_to_string(empty.config()).unwrap();
    fs::write(empty.config(), text.replace(REGION, "other-1")).unwrap();
    refused(&configured, "is of region other-1").await;
    fs::remove_file(empty.config()).unwrap();

    // The server of another region.
    migrate::setup(&empty.server.superuser_url(), "another").await.unwrap();
    refused(&options, "has the database another of another region").await;
}

#[tokio::test]
async fn a_restore_goes_into_the_empty_database_of_a_configuration() {
    let (source, empty) = tokio::join!(Source::new(), Empty::new());
    let before = rows(&source.db.superuser().await).await;
    let file = source.backup().await;
    let mut options = empty.options(&file);
    let made = migrate::setup(&empty.server.superuser_url(), "restored").await.unwrap();
    let access = empty.folder.path().join("mounted");
    write_config(&empty.config(), &made, &access);
    refused(&options, "Leave --database-superuser out").await;
    options.database_superuser = None;
    let text = fs::read_to_string(empty.config()).unwrap();
    restore(&options, |_| {}).await.unwrap();
    assert_eq!(fs::read_to_string(empty.config()).unwrap(), text);
    is_restored(&empty, &before).await;
}

#[tokio::test]
async fn rows_that_the_owner_does_not_see_are_not_left_out_in_silence() {
    let source = Source::new().await;
    let pool = source.db.superuser().await;
    let file = source.folder.path().join("backup");
    let options = BackupOptions { config: source.config(), to: Target::File(file.clone()) };
    for (statement, table) in [
        ("DROP POLICY owner ON sessions", "sessions"),
        ("ALTER POLICY owner ON operations USING (done)", "operations"),
        ("CREATE POLICY late ON changes AS RESTRICTIVE USING (false)", "changes"),
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
        let error = create(&options, |_| {}).await.unwrap_err().to_string();
        assert!(error.contains("does not see every row") && error.contains(table), "{error}");
        let left = fs::read_dir(source.folder.path()).unwrap().count();
        assert_eq!(left, 2, "the configuration and the authority");
    }
}

#[tokio::test]
async fn a_backup_overwrites_nothing_and_keeps_what_it_is_told_to() {
    let source = Source::new().await;
    let file = source.backup().await;
    let content = fs::read(&file).unwrap();
    let to = Target::File(file.clone());
    let options = BackupOptions { config: source.config(), to };
    let error = create(&options, |_| {}).await.unwrap_err().to_string();
    assert!(error.contains("is there already"), "{error}");
    assert_eq!(fs::read(&file).unwrap(), content);

    // What a killed one left is overwritten; one that is being written is not.
    fs::remove_file(&file).unwrap();
    let half = source.folder.path().join("backup.unfinished");
    fs::write(&half, vec![b'x'; 100_000_000]).unwrap();
    let held = fs::File::open(&half).unwrap();
    held.lock().unwrap();
    let error = create(&options, |_| {}).await.unwrap_err().to_string();
    assert!(error.contains("another process is writing"), "{error}");
    drop(held);
    create(&options, |_| {}).await.unwrap();
    assert!(!half.exists() && verify(&file).is_ok());

    let folder = source.folder.path().join("backups");
    fs::create_dir(&folder).unwrap();
    let old = folder.join(format!("{REGION}-20250101T000000Z.streamspace-backup"));
    fs::write(&old, "").unwrap();
    let to = Target::Folder { folder: folder.clone(), keep: Some(1) };
    let said = create(&BackupOptions { config: source.config(), to }, |_| {}).await.unwrap();
    assert!(said.contains("Removed 1 older"), "{said}");
    assert!(!old.exists() && fs::read_dir(&folder).unwrap().count() == 1);
    assert!(dump::last_backup(source.db.database()).await.unwrap().is_some());
    let pool = source.db.superuser().await;
    let noted = "SELECT string_agg(place, ' ' ORDER BY place) FROM backups";
    assert_eq!(one::<String>(&pool, noted).await, "file folder");
}
