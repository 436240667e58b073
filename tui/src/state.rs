//! All that the dashboard knows. It changes only in [`crate::update`].

use jiff::Timestamp;
use ratatui::layout::{Position, Rect, Size};
use uuid::Uuid;

use crate::{
    actions::{Dialog, Menu},
    keys::{KeyMap, Mode},
    prompt::Prompt,
    recording::Place,
    rows::{Alert, Audit, Budget, Certificate, Incident, Operation, Session, Tenant},
    table::{AnyTable, Table},
    theme::Theme,
};

mod at_hand;
mod changes;
mod detail;
mod pages;
mod region;
mod trend;

pub(crate) use changes::{ChangeLog, Entry, EntryKind, describe};
pub(crate) use detail::{
    Answer, Budgets, Detail, Details, Impacts, IncidentDetail, LiveUsage, Question, SloDetail,
    TenantUsage,
};
use pages::History;
pub(crate) use pages::Page;
pub(crate) use region::{Identity, Link, Region, RegionIndex, Report, Target};
pub(crate) use trend::Trend;

/// How long a word about what was done stays.
const NOTICE: i64 = 6;

/// What stands before a page until it is answered or left.
#[derive(Clone, Debug)]
pub(crate) enum Overlay {
    /// What can be done.
    Menu(Menu),
    /// The way to a change.
    Dialog(Box<Dialog>),
}

/// The whole.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) now: Timestamp,
    pub(crate) size: Size,
    pub(crate) keys: KeyMap,
    pub(crate) theme: Theme,
    pub(crate) regions: Vec<Region>,
    pub(crate) tenants: Table<Tenant>,
    pub(crate) sessions: Table<Session>,
    pub(crate) operations: Table<Operation>,
    pub(crate) incidents: Table<Incident>,
    pub(crate) budgets: Table<Budget>,
    pub(crate) alerts: Table<Alert>,
    pub(crate) audit: Table<Audit>,
    pub(crate) certificates: Table<Certificate>,
    pub(crate) changes: ChangeLog,
    pub(crate) page: Page,
    history: History,
    /// The first line that a page of text shows.
    pub(crate) scroll: usize,
    /// The line that is being typed.
    pub(crate) prompt: Option<Prompt>,
    /// What was asked for the page.
    pub(crate) details: Details,
    /// What stands before the page.
    pub(crate) overlay: Option<Overlay>,
    /// Why nothing may be changed from here, where nothing may.
    pub(crate) locked: Option<String>,
    /// Where in a recording this is.
    pub(crate) place: Option<Place>,
    /// Where the ids of changes begin, and how many there were.
    ids: (Uuid, u128),
    /// A word about what was done, and when.
    notice: Option<(Timestamp, String)>,
}

impl State {
    pub(crate) fn new(
        targets: Vec<Target>,
        keys: KeyMap,
        theme: Theme,
        size: Size,
        now: Timestamp,
    ) -> Self {
        Self {
            now,
            size,
            keys,
            theme,
            regions: targets.into_iter().map(Region::new).collect(),
            tenants: Table::new(now),
            sessions: Table::new(now),
            operations: Table::new(now),
            incidents: Table::new(now),
            budgets: Table::new(now),
            alerts: Table::new(now),
            audit: Table::sorted_by(Some(0), now),
            certificates: Table::new(now),
            changes: ChangeLog::default(),
            page: Page::Overview,
            history: History::default(),
            scroll: 0,
            prompt: None,
            details: Details::default(),
            overlay: None,
            locked: None,
            place: None,
            ids: (Uuid::nil(), 0),
            notice: None,
        }
    }

    pub(crate) fn area(&self) -> Rect {
        Rect::from((Position::ORIGIN, self.size))
    }

    pub(crate) fn mode(&self) -> Mode {
        match () {
            () if self.prompt.is_some() => Mode::Prompt,
            () if matches!(self.overlay, Some(Overlay::Menu(_))) => Mode::Menu,
            () if self.overlay.is_some() => Mode::Dialog,
            () if self.table().is_some() => Mode::Table,
            () => Mode::Page,
        }
    }

    pub(crate) fn region(&self, index: RegionIndex) -> Option<&Region> {
        self.regions.get(usize::from(index.0))
    }

    /// Whether several regions are looked at, so that each row says where it is.
    pub(crate) fn several(&self) -> bool {
        self.regions.len() > 1
    }

    /// Whether what is known of a region is what is.
    pub(crate) fn is_live(&self, index: RegionIndex) -> bool {
        self.region(index).is_some_and(|region| region.is_live(self.now))
    }

    /// Notes how many sessions run in each region.
    pub(crate) fn note_trends(&mut self) {
        for (index, region) in (0..).map(RegionIndex).zip(&mut self.regions) {
            let live = region.is_live(self.now);
            let tally = self.sessions.tally_of(index).filter(|_| live);
            let running = tally.map(|tally| tally.in_state(Session::RUNNING));
            // A region of which nothing was ever heard has no sessions, if it is live.
            let running = running.or(live.then_some(0));
            region.trend.note(self.now, running.and_then(|it| u64::try_from(it).ok()));
        }
    }

    /// Whether that holds of every region.
    pub(crate) fn all_live(&self) -> bool {
        self.regions.iter().all(|region| region.is_live(self.now))
    }

    /// Whether anything was ever heard.
    pub(crate) fn heard(&self) -> bool {
        self.regions.iter().any(|region| region.heard.is_some())
    }

    /// The table of the page, where it has one.
    pub(crate) fn table(&self) -> Option<&dyn AnyTable> {
        match self.page {
            Page::Tenants => Some(&self.tenants),
            Page::Sessions(_) => Some(&self.sessions),
            Page::Operations => Some(&self.operations),
            Page::Incidents => Some(&self.incidents),
            Page::Slos => Some(&self.budgets),
            Page::Alerts => Some(&self.alerts),
            Page::Audit => Some(&self.audit),
            Page::Certificates => Some(&self.certificates),
            _ => None,
        }
    }

    pub(crate) fn table_mut(&mut self) -> Option<&mut dyn AnyTable> {
        match self.page {
            Page::Tenants => Some(&mut self.tenants),
            Page::Sessions(_) => Some(&mut self.sessions),
            Page::Operations => Some(&mut self.operations),
            Page::Incidents => Some(&mut self.incidents),
            Page::Slos => Some(&mut self.budgets),
            Page::Alerts => Some(&mut self.alerts),
            Page::Audit => Some(&mut self.audit),
            Page::Certificates => Some(&mut self.certificates),
            _ => None,
        }
    }

    /// All tables.
    pub(crate) fn tables_mut(&mut self) -> [&mut dyn AnyTable; 8] {
        let Self {
            tenants,
            sessions,
            operations,
            incidents,
            budgets,
            alerts,
            audit,
            certificates,
            ..
        } = self;
        [tenants, sessions, operations, incidents, budgets, alerts, audit, certificates]
    }

    /// Ids of changes begin here. Without it they would be the same in every dashboard.
    pub(crate) fn with_ids_from(mut self, origin: Uuid) -> Self {
        self.ids.0 = origin;
        self
    }

    /// An id that no other change has.
    pub(crate) fn next_id(&mut self) -> Uuid {
        self.ids.1 += 1;
        let id = self.ids.0.as_u128().wrapping_add(self.ids.1);
        uuid::Builder::from_random_bytes(id.to_be_bytes()).into_uuid()
    }

    /// Somebody looks elsewhere in a recording than was looked then.
    pub(crate) fn take_over(&mut self, locked: &str) {
        (self.overlay, self.prompt) = (None, None);
        self.locked = Some(locked.to_owned());
    }

    /// Forgets what was told, and not what is looked at.
    pub(crate) fn forget(&mut self) {
        for (index, region) in (0..).map(RegionIndex).zip(&mut self.regions) {
            *region = Region::new(region.target.clone());
            for table in [
                &mut self.tenants as &mut dyn AnyTable,
                &mut self.sessions,
                &mut self.operations,
                &mut self.incidents,
                &mut self.budgets,
                &mut self.alerts,
                &mut self.audit,
                &mut self.certificates,
            ] {
                table.empty(index);
            }
        }
        self.changes = ChangeLog::default();
        self.details = Details::default();
        self.notice = None;
    }

    /// Tells what was done, for a moment.
    pub(crate) fn notify(&mut self, text: String) {
        self.notice = Some((self.now, text));
    }

    pub(crate) fn notice(&self) -> Option<&str> {
        let (at, text) = self.notice.as_ref()?;
        (crate::format::seconds_since(*at, self.now) <= NOTICE).then_some(text)
    }
}
