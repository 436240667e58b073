//! The table of sessions: of one tenant, or of all.

use ratatui::layout::Rect;
use streamspace_client::text::escape;

use super::{
    View,
    table::{self, Empty},
    tenants::waiting,
};
use crate::{
    pen::Pen,
    rows::{Scope, shell_word},
    state::State,
};

pub(super) struct Sessions(pub(super) Option<Scope>);

impl Sessions {
    /// The tenant's id as the screen shows it.
    fn tenant(&self) -> Option<String> {
        let scope = self.0.as_ref()?;
        Some(escape(&scope.tenant).into_owned())
    }
}

impl View for Sessions {
    fn crumbs(&self, _: &State) -> Vec<String> {
        match self.tenant() {
            Some(tenant) => vec!["tenants".into(), tenant, "sessions".into()],
            None => vec!["sessions".into()],
        }
    }

    fn command(&self, state: &State) -> Option<String> {
        if let Some(session) = state.sessions.selected() {
            return Some(format!("ssctl session describe {}", shell_word(&escape(session.path()))));
        }
        Some(match self.tenant() {
            Some(tenant) => format!("ssctl session list --tenant {}", shell_word(&tenant)),
            None => "ssctl session list".into(),
        })
    }

    fn column_at(&self, state: &State, area: Rect, x: u16) -> Option<&'static str> {
        table::column_at(state, &state.sessions, area.width, x)
    }

    fn table_rows(&self, area: Rect) -> usize {
        area.height.saturating_sub(table::HEAD).into()
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>) {
        let title = match self.tenant() {
            Some(tenant) => format!("SESSIONS of {tenant}"),
            None => "SESSIONS".into(),
        };
        table::draw(state, &state.sessions, &title, || self.nothing(state), pen);
    }
}

impl Sessions {
    fn nothing(&self, state: &State) -> Empty {
        waiting(state).unwrap_or_else(|| Empty {
            what: "No sessions. Start one:".into(),
            next: format!(
                "$ ssctl session create {}/ada-desk --user ada --template firefox-browser",
                self.tenant().as_deref().unwrap_or("acme-corp")
            ),
        })
    }
}
