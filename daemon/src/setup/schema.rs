//! `streamspaced migrate`: the schema is brought up to date before a new version starts.

use crate::{
    config::Config,
    db::migrate::{self, Step},
};

fn list(steps: &[Step]) -> String {
    let line = |step: &Step| format!("{:04} {}\n", step.number, step.name);
    steps.iter().map(line).collect::<Vec<_>>().concat()
}

/// Tells which migrations would run, and runs none.
pub async fn plan(config: &Config) -> anyhow::Result<String> {
    let steps = migrate::plan(&config.database.owner).await?;
    Ok(if steps.is_empty() {
        "The schema is up to date.".to_owned()
    } else {
        format!("{}{} would run, and none did.", list(&steps), count(steps.len()))
    })
}

/// Runs them, as a start does and under the same lock. Tells which.
pub async fn run(config: &Config) -> anyhow::Result<String> {
    let steps = migrate::plan(&config.database.owner).await?;
    migrate::run(&config.database.owner).await?;
    Ok(if steps.is_empty() {
        "The schema is up to date.".to_owned()
    } else {
        format!("{}Ran {}. The schema is up to date.", list(&steps), count(steps.len()))
    })
}

fn count(steps: usize) -> String {
    if steps == 1 { "1 migration".to_owned() } else { format!("{steps} migrations") }
}
