//! What regions are asked: what the page shows that no watch tells.

use crate::{
    actions::may,
    events::Effect,
    rows::{self, Budget},
    state::{Page, Question, RegionIndex, State},
};

/// By which the overview asks for budgets, where it may.
const BUDGETS: &str = "streamspace.admin.v1.SloService/ListBudgets";

/// What must be asked for the page.
pub(super) fn ask(state: &mut State) -> Vec<Effect> {
    let mut wanted = questions(state);
    for (question, method) in &Question::STANDING {
        wanted.extend(permitted(state, question, method));
    }
    let live: Vec<bool> = state.regions.iter().map(|it| it.is_live(state.now)).collect();
    let is_live = |region: RegionIndex| live.get(usize::from(region.0)) == Some(&true);
    let due = state.details.want(wanted, state.now, is_live);
    due.into_iter().map(|(region, question)| Effect::Ask(region, question)).collect()
}

/// A question to every region that whoever looks may ask by a method.
fn permitted(state: &State, question: &Question, method: &str) -> Vec<(RegionIndex, Question)> {
    let mut all = of_all(state, question);
    all.retain(|(index, _)| state.region(*index).is_some_and(|region| may(method, region)));
    all
}

/// A question to every region.
fn of_all(state: &State, question: &Question) -> Vec<(RegionIndex, Question)> {
    let regions = (0..).map(RegionIndex).zip(&state.regions);
    regions.map(|(region, _)| (region, question.clone())).collect()
}

/// What the page shows that no watch tells.
fn questions(state: &State) -> Vec<(RegionIndex, Question)> {
    match &state.page {
        Page::Session(key) => {
            let session = state.sessions.get(key).map(|row| Question::Session(row.name()));
            session.map(|question| (key.region, question)).into_iter().collect()
        }
        Page::Tenant(key) => {
            let name = state.tenants.get(key).map(rows::Tenant::name);
            let both = |name: String| [Question::Quota(name.clone()), Question::Objects(name)];
            name.map(both).into_iter().flatten().map(|question| (key.region, question)).collect()
        }
        Page::Usage(Some(scope)) => vec![(scope.region, Question::Usage(scope.name()))],
        Page::Usage(None) => of_all(state, &Question::LiveUsage),
        Page::Incidents => {
            let both = [Question::Incidents, Question::Impacts];
            both.iter().flat_map(|question| of_all(state, question)).collect()
        }
        Page::Alerts => of_all(state, &Question::Alerts),
        Page::Incident(key) => {
            let name = state.incidents.get(key).map(|row| row.whole.name.clone());
            name.map(|name| (key.region, Question::Incident(name))).into_iter().collect()
        }
        Page::Slos => of_all(state, &Question::Budgets),
        Page::Slo(key) => match state.budgets.get(key).map(Budget::name) {
            Some(name) => vec![(key.region, Question::Slo(name))],
            None => vec![(key.region, Question::Budgets)],
        },
        Page::PostMortem(region, name) => vec![(*region, Question::PostMortem(name.clone()))],
        Page::Audit => of_all(state, &Question::Audit),
        Page::Certificates => of_all(state, &Question::Certificates),
        Page::Yaml(region, name) => vec![(*region, Question::Yaml(name.clone()))],
        Page::Overview => permitted(state, &Question::Budgets, BUDGETS),
        Page::Regions
        | Page::Tenants
        | Page::Sessions(_)
        | Page::Operations
        | Page::Operation(_)
        | Page::Alert(_)
        | Page::Changes
        | Page::Help => Vec::new(),
    }
}
