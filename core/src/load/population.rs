//! Who makes the load, and of what.

use super::{Events, Lasting, Rhythm};
use crate::{
    ids::TenantUid,
    plan::{Bytes, Millicores, Plan},
    usage::Second,
};

const GIB: i64 = 1 << 30;

/// The users of one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantLoad {
    /// The tenant.
    pub uid: TenantUid,
    /// How many users it has.
    pub users: u32,
    /// The most sessions of a user that are awake at once; absent where they are unlimited.
    pub user_sessions: Option<u32>,
    /// The most memory of a user's sessions that are awake; absent where it is unlimited.
    pub user_memory: Option<Bytes>,
    /// The size of a new home.
    pub home: Bytes,
    /// When they come.
    pub rhythm: Rhythm,
}

impl TenantLoad {
    /// Users who keep to the limits of a plan, with homes of 10 GiB.
    pub fn of_plan(uid: TenantUid, users: u32, plan: &Plan, rhythm: Rhythm) -> Self {
        Self {
            uid,
            users,
            user_sessions: plan.user_sessions.map(|most| u32::try_from(most).unwrap_or(0)),
            user_memory: plan.user_memory,
            home: Bytes(10 * GIB),
            rhythm,
        }
    }
}

/// What sessions are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateLoad {
    /// The template's name.
    pub name: String,
    /// How often it is chosen, as a share of the sum.
    pub weight: u32,
    /// The CPU that a session of it requests.
    pub cpu: Millicores,
    /// The memory that a session of it requests.
    pub memory: Bytes,
    /// How long a user stays.
    pub stay: Lasting,
}

/// Templates as a company uses them: browsers often and for a short time, development
/// environments for hours, what draws seldom and with much memory.
pub fn templates() -> Vec<TemplateLoad> {
    let template =
        |name: &str, weight, cpu, mebibytes: i64, minutes: i64, sigma_milli| TemplateLoad {
            name: name.to_owned(),
            weight,
            cpu: Millicores(cpu),
            memory: Bytes(mebibytes << 20),
            stay: Lasting { median: minutes * 60, sigma_milli },
        };
    vec![
        template("firefox-browser", 40, 1000, 2048, 35, 900),
        template("chromium-browser", 15, 1000, 2048, 30, 900),
        template("code-server", 20, 2000, 4096, 150, 700),
        template("libreoffice", 12, 500, 1536, 45, 800),
        template("gimp", 5, 2000, 4096, 60, 800),
        template("blender", 3, 4000, 8192, 120, 900),
        template("webtop", 5, 2000, 3072, 240, 600),
    ]
}

/// A time that is made up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// What everything follows from.
    pub seed: u64,
    /// The first second.
    pub begin: Second,
    /// The second after the last.
    pub end: Second,
    /// Whether what is alive at the end ends with it, homes too.
    pub closes: bool,
    /// Who makes it.
    pub tenants: Vec<TenantLoad>,
    /// Of what.
    pub templates: Vec<TemplateLoad>,
}

impl Load {
    /// What happens, in the order of time.
    pub fn events(self) -> Events {
        Events::new(self)
    }
}
