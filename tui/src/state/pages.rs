//! Which page is shown, and the way there and back.

use super::{RegionIndex, State};
use crate::rows::{Key, Scope};

/// What fills the screen below the banner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    /// How everything is, on one screen.
    Overview,
    /// The table of tenants.
    Tenants,
    /// All about one.
    Tenant(Key),
    /// The table of sessions: of one tenant, or of all.
    Sessions(Option<Scope>),
    /// All about one.
    Session(Key),
    /// The table of operations.
    Operations,
    /// All about one.
    Operation(Key),
    /// What is used: by one tenant over time, or by all of them now.
    Usage(Option<Scope>),
    /// The table of incidents.
    Incidents,
    /// All about one.
    Incident(Key),
    /// Its post-mortem, by its name.
    PostMortem(RegionIndex, String),
    /// The table of error budgets.
    Slos,
    /// All about one.
    Slo(Key),
    /// The table of alerts.
    Alerts,
    /// All about one.
    Alert(Key),
    /// How each region is.
    Regions,
    /// The end of the audit log.
    Audit,
    /// The table of certificates.
    Certificates,
    /// All of one resource, by its name, as the contract has it.
    Yaml(RegionIndex, String),
    /// Everything that changed since the dashboard was opened.
    Changes,
    /// All keys.
    Help,
}

/// A page, and how far it was scrolled.
#[derive(Clone, Debug)]
struct Visit {
    page: Page,
    scroll: usize,
}

/// The pages that lead here, and those that were left by going back.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    back: Vec<Visit>,
    forward: Vec<Visit>,
}

impl State {
    /// Goes to a page. What was left by going back is forgotten.
    pub(crate) fn go(&mut self, page: Page) {
        if page == self.page {
            return;
        }
        let visit = self.leave();
        self.history.back.push(visit);
        self.history.forward.clear();
        self.enter(Visit { page, scroll: 0 });
    }

    /// Goes to the page before; to the overview from the first one.
    pub(crate) fn go_back(&mut self) {
        let Some(visit) = self.history.back.pop() else {
            return self.enter(Visit { page: Page::Overview, scroll: 0 });
        };
        let left = self.leave();
        self.history.forward.push(left);
        self.enter(visit);
    }

    /// Undoes [`Self::go_back`].
    pub(crate) fn go_forward(&mut self) {
        if let Some(visit) = self.history.forward.pop() {
            let left = self.leave();
            self.history.back.push(left);
            self.enter(visit);
        }
    }

    fn leave(&mut self) -> Visit {
        Visit { page: self.page.clone(), scroll: self.scroll }
    }

    fn enter(&mut self, visit: Visit) {
        if let Page::Sessions(scope) = &visit.page {
            self.sessions.set_scope(scope.clone());
        }
        self.page = visit.page;
        self.scroll = visit.scroll;
        self.details.leave();
    }
}
