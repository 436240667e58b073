//! How long usage is kept, and what measures it.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error as _};

use super::actual::ActualConfig;

/// The shortest time that five minutes are kept: the month before can always be billed.
const RETENTION_MINIMUM_DAYS: u16 = 62;
/// The longest: ten years.
const RETENTION_MAXIMUM_DAYS: u16 = 3_660;

/// How long usage is kept, and what measures it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UsageConfig {
    /// For how many days the usage of each five minutes is kept, 62 to 3,660. Hours and days
    /// are kept for ever, also those of tenants that are gone.
    #[serde(deserialize_with = "retention_days")]
    pub retention_days: u16,
    /// What sessions use, beside what is requested for them, for showback. It is never billed.
    pub actual: ActualConfig,
}

impl UsageConfig {
    /// Checks what a type alone does not. The error begins with the key.
    pub fn check(&self) -> Result<(), String> {
        self.actual.check().map_err(|message| format!("usage.actual.{message}"))
    }
}

impl Default for UsageConfig {
    fn default() -> Self {
        Self { retention_days: 400, actual: ActualConfig::default() }
    }
}

fn retention_days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let days = u16::deserialize(deserializer)?;
    if (RETENTION_MINIMUM_DAYS..=RETENTION_MAXIMUM_DAYS).contains(&days) {
        return Ok(days);
    }
    Err(D::Error::custom(format!(
        "usage.retention_days is {days}: write {RETENTION_MINIMUM_DAYS} to {RETENTION_MAXIMUM_DAYS}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_short_a_retention_is_refused() {
        let read = |text: &str| toml::from_str::<UsageConfig>(text);
        assert_eq!(read("").unwrap().retention_days, 400);
        assert_eq!(read("retention_days = 62").unwrap().retention_days, 62);
        let error = read("retention_days = 61").unwrap_err().to_string();
        assert!(error.contains("62 to 3660"), "{error}");
    }
}
