//! All that the dashboard knows. It changes only in [`crate::update`].

use jiff::Timestamp;
use ratatui::layout::{Rect, Size};
use streamspace_client::{Context, text::escape};
use streamspace_proto::v1::{Health, Region, Role, WhoAmIResponse};

use crate::{
    format::{instant, seconds_since},
    keys::{KeyMap, Mode},
};

mod changes;
mod list;
mod tenant;

pub(crate) use changes::{ChangeLog, Entry, EntryKind, describe};
pub(crate) use list::{Sort, TenantList};
pub(crate) use tenant::{Tenant, TenantKey, Wellness, condition_word, state_word};

/// The daemon sends something at least every five seconds.
const QUIET: i64 = 12;
/// The region is asked every three seconds.
const REGION_OLD: i64 = 12;

/// Which daemon is looked at.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The context's name.
    pub(crate) context: String,
    /// The region's name; empty until it is known.
    pub(crate) region: String,
    /// Where the daemon is.
    pub(crate) endpoint: String,
    /// Whether mistakes are dear there.
    pub(crate) protected: bool,
}

impl Target {
    pub(crate) fn new(context: &Context) -> Self {
        Self {
            context: escape(&context.name).into_owned(),
            region: escape(&context.region).into_owned(),
            endpoint: escape(&context.endpoint.to_string()).into_owned(),
            protected: context.protected,
        }
    }
}

/// Who looks.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) operator: String,
    pub(crate) role: String,
    /// How many tenants the certificate reaches; none is the whole region.
    pub(crate) tenants: Option<usize>,
}

impl Identity {
    pub(crate) fn new(reply: &WhoAmIResponse) -> Self {
        let role = match reply.role() {
            Role::Unspecified => reply.role_name.as_str(),
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
            Role::Billing => "billing",
            Role::Auditor => "auditor",
        };
        Self {
            operator: escape(&reply.operator).into_owned(),
            role: escape(role).into_owned(),
            tenants: Some(reply.tenants.len()).filter(|count| *count > 0),
        }
    }
}

/// How the watch is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// No connection was made yet.
    Connecting,
    /// A snapshot comes in.
    Loading,
    /// What is shown is what is.
    Live,
    /// The connection is lost, or was never there; it is tried again.
    Lost {
        /// Why.
        error: String,
        /// Since when.
        since: Timestamp,
    },
    /// The daemon refuses, and trying again does not help.
    Failed {
        /// Why.
        error: String,
    },
}

/// One part that the region depends on.
#[derive(Clone, Debug)]
pub(crate) struct Component {
    pub(crate) name: String,
    pub(crate) health: Health,
    pub(crate) message: String,
    pub(crate) since: Option<Timestamp>,
}

/// What the daemon last said about its region.
#[derive(Clone, Debug)]
pub(crate) struct RegionReport {
    /// When it said so.
    pub(crate) at: Timestamp,
    /// Worst first, then as the daemon orders them.
    pub(crate) components: Vec<Component>,
    pub(crate) daemon_version: String,
}

impl RegionReport {
    pub(crate) fn new(region: &Region, at: Timestamp) -> Self {
        let mut components: Vec<_> = region
            .components
            .iter()
            .map(|component| Component {
                name: escape(&component.name).into_owned(),
                health: component.health(),
                message: escape(&component.message).into_owned(),
                since: instant(component.last_transition_time.as_ref()),
            })
            .collect();
        components.sort_by_key(|component| match component.health {
            Health::Unavailable => 0,
            Health::Degraded => 1,
            Health::Unspecified => 2,
            Health::Ok => 3,
        });
        Self { at, components, daemon_version: escape(&region.daemon_version).into_owned() }
    }

    /// The worst among the components.
    pub(crate) fn health(&self) -> Health {
        self.components.first().map_or(Health::Unspecified, |component| component.health)
    }
}

/// What fills the screen below the banner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    /// The table of tenants.
    Tenants,
    /// All about one.
    Tenant(TenantKey),
    /// All keys.
    Help,
}

/// The whole.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) now: Timestamp,
    pub(crate) size: Size,
    pub(crate) keys: KeyMap,
    pub(crate) target: Target,
    pub(crate) identity: Option<Identity>,
    pub(crate) region: Option<RegionReport>,
    /// Why the region could not be asked the last time.
    pub(crate) region_error: Option<String>,
    pub(crate) link: Link,
    /// When the watch last brought something.
    pub(crate) heard: Option<Timestamp>,
    pub(crate) tenants: TenantList,
    pub(crate) changes: ChangeLog,
    pub(crate) page: Page,
    /// The pages that lead here.
    pub(crate) back: Vec<Page>,
    /// The first line that a page of text shows.
    pub(crate) scroll: usize,
    /// Whether the filter is being typed.
    pub(crate) typing: bool,
}

impl State {
    pub(crate) fn new(target: Target, keys: KeyMap, size: Size, now: Timestamp) -> Self {
        Self {
            now,
            size,
            keys,
            target,
            identity: None,
            region: None,
            region_error: None,
            link: Link::Connecting,
            heard: None,
            tenants: TenantList::default(),
            changes: ChangeLog::default(),
            page: Page::Tenants,
            back: Vec::new(),
            scroll: 0,
            typing: false,
        }
    }

    pub(crate) fn area(&self) -> Rect {
        Rect::from((ratatui::layout::Position::ORIGIN, self.size))
    }

    pub(crate) fn mode(&self) -> Mode {
        match self.page {
            _ if self.typing => Mode::Prompt,
            Page::Tenants => Mode::Table,
            Page::Tenant(_) | Page::Help => Mode::Page,
        }
    }

    /// How old the table is, in seconds; none where nothing was ever heard.
    pub(crate) fn data_age(&self) -> Option<i64> {
        self.heard.map(|heard| seconds_since(heard, self.now))
    }

    /// Whether the table shows what is. Else nothing in it may look healthy.
    pub(crate) fn is_live(&self) -> bool {
        self.link == Link::Live && self.data_age().is_some_and(|age| age <= QUIET)
    }

    /// What is known about the region, where it is fresh enough to be believed.
    pub(crate) fn fresh_region(&self) -> Option<&RegionReport> {
        self.region.as_ref().filter(|report| {
            self.region_error.is_none() && seconds_since(report.at, self.now) <= REGION_OLD
        })
    }
}
