//! A restore that was killed, at each of its steps, goes on.

use super::*;
use crate::{
    backup::restore::load_for_tests,
    db::{
        DatabaseUrl,
        dump::{Phase, UnderWay},
        migrate::MigrateError,
    },
};

/// What a killed restore left: the steps until there.
async fn killed_at(step: usize, empty: &Empty, file: &Path) {
    let options = empty.options(file);
    let manifest = verify::check(file).unwrap().manifest;
    let made =
        migrate::setup_with_passwords(&empty.server.superuser_url(), "restored").await.unwrap();
    let owner = made.owner;
    if step >= 1 {
        dump::mark(&owner, manifest.opening.backup_id).await.unwrap();
    }
    if step >= 2 {
        dump::make_schema(&owner, &manifest.applied().unwrap()).await.unwrap();
    }
    if step == 3 {
        // In the middle of the rows.
        let load = dump::Load::begin(&owner, &manifest.days).await.unwrap();
        drop(load);
    }
    if step >= 4 {
        load_for_tests(file, &manifest, &owner).await.unwrap();
    }
    if step >= 5 {
        let mut connection = dump::connect(&owner).await.unwrap();
        aftermath::settle(&mut connection, &manifest, false).await.unwrap();
    }
    if step >= 6 {
        // The certificates without their key.
        let checked = verify::check(file).unwrap();
        let access = options.config.parent().unwrap().join("access");
        fs::create_dir(&access).unwrap();
        let (_, certificate) =
            checked.files.iter().find(|(name, _)| name == "access/ca.pem").unwrap();
        fs::write(access.join("ca.pem"), certificate).unwrap();
    }
    if step > 0 {
        refuses_to_serve(&owner).await;
    }
}

async fn refuses_to_serve(owner: &DatabaseUrl) {
    let error = migrate::run(owner).await.unwrap_err();
    assert!(matches!(error, MigrateError::Restoring(_)), "{error}");
    assert!(error.to_string().contains("`streamspaced restore` again"), "{error}");
}

#[tokio::test]
async fn it_goes_on_wherever_it_was_killed() {
    let source = Source::new().await;
    let before = rows(&source.db.superuser().await).await;
    let file = source.backup().await;
    for step in 0..=6 {
        let empty = Empty::new().await;
        empty.options(&file);
        killed_at(step, &empty, &file).await;
        restore(&empty.options(&file), |_| {}).await.unwrap();
        is_restored(&empty, &before).await;
    }
}

#[tokio::test]
async fn killed_after_the_configuration_it_only_takes_the_mark_away() {
    let (source, empty) = tokio::join!(Source::new(), Empty::new());
    let before = rows(&source.db.superuser().await).await;
    let file = source.backup().await;
    restore(&empty.options(&file), |_| {}).await.unwrap();
    let manifest = verify::check(&file).unwrap().manifest;
    let config = crate::config::Config::read(&empty.config()).unwrap();
    let owner = config.database.owner;
    dump::mark(&owner, manifest.opening.backup_id).await.unwrap();
    sqlx::query("UPDATE restore_under_way SET phase = 'settled'")
        .execute(&empty.pool().await)
        .await
        .unwrap();
    let state = UnderWay { backup: manifest.opening.backup_id, phase: Phase::Settled };
    assert_eq!(dump::look(&owner).await.unwrap(), Found::UnderWay(state));
    let text = fs::read_to_string(empty.config()).unwrap();
    restore(&empty.options(&file), |_| {}).await.unwrap();
    assert_eq!(fs::read_to_string(empty.config()).unwrap(), text, "the passwords are the same");
    is_restored(&empty, &before).await;
}

#[tokio::test]
async fn another_backup_does_not_go_on_with_the_half_of_the_first() {
    let (source, empty) = tokio::join!(Source::new(), Empty::new());
    let file = source.backup().await;
    killed_at(2, &empty, &file).await;
    fs::remove_file(&file).unwrap();
    let other = source.backup().await;
    let error = restore(&empty.options(&other), |_| {}).await.unwrap_err().to_string();
    assert!(error.contains("from another backup"), "{error}");
}
