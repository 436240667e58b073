//! The levels of an escalation policy as JSON, as they stand in the database.

use serde::Deserialize;
use streamspace_core::incident::escalation::Level;

#[derive(Deserialize)]
struct Stored {
    targets: Vec<String>,
    minutes: u16,
    #[serde(default)]
    channels: Vec<String>,
}

/// The JSON of levels.
pub fn to_json(levels: &[Level]) -> serde_json::Value {
    let stored = levels.iter().map(|level| {
        serde_json::json!({
            "targets": level.targets, "minutes": level.minutes, "channels": level.channels,
        })
    });
    stored.collect()
}

/// The levels of a JSON that [`to_json`] made.
pub fn of_json(value: serde_json::Value) -> Result<Vec<Level>, sqlx::Error> {
    let stored: Vec<Stored> =
        serde_json::from_value(value).map_err(|error| sqlx::Error::Decode(error.into()))?;
    let level = |stored: Stored| Level {
        targets: stored.targets,
        minutes: stored.minutes,
        channels: stored.channels,
    };
    Ok(stored.into_iter().map(level).collect())
}
