//! `streamspaced migrate`: the schema is brought up to date before a new version starts.

use crate::{
    config::Config,
    db::migrate::{self, Plan, Step},
};

fn list(steps: &[Step]) -> String {
    let line = |step: &Step| format!("{:04} {}\n", step.number, step.name);
    steps.iter().map(line).collect::<Vec<_>>().concat()
}

/// Tells which migrations would run, and runs none.
pub async fn plan(config: &Config) -> anyhow::Result<String> {
    let plan = migrate::plan(&config.database.owner).await?;
    Ok(match plan.missing.len() {
        0 => up_to_date(&plan),
        some => format!("{}{} would run, and none did.", list(&plan.missing), count(some)),
    })
}

/// Runs them, as a start does and under the same lock. Tells which.
pub async fn run(config: &Config) -> anyhow::Result<String> {
    let plan = migrate::run(&config.database.owner).await?;
    Ok(match plan.missing.len() {
        0 => up_to_date(&plan),
        some => format!("{}Ran {}. {UP_TO_DATE}", list(&plan.missing), count(some)),
    })
}

const UP_TO_DATE: &str = "The schema is up to date.";

fn up_to_date(plan: &Plan) -> String {
    match plan.newer.len() {
        0 => UP_TO_DATE.to_owned(),
        some => format!(
            "{}{} of a newer version ran, which this one lives with. Nothing is to be done.",
            list(&plan.newer),
            count(some)
        ),
    }
}

fn count(steps: usize) -> String {
    if steps == 1 { "1 migration".to_owned() } else { format!("{steps} migrations") }
}
