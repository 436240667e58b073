//! The line that is being typed, and the command that it may be.

use streamspace_client::text::escape;

use super::answers;
use crate::{
    events::Effect,
    palette::{self, Command},
    prompt::{Prompt, PromptKind},
    state::State,
};

pub(super) fn clear_filter(state: &mut State) {
    if let Some(table) = state.table_mut() {
        // Nothing is wrong with an empty filter.
        let _ = table.set_filter("");
    }
}

/// Changes the line that is being typed, and what follows from it.
pub(super) fn edit(state: &mut State, change: impl FnOnce(&mut Prompt)) {
    let Some(mut prompt) = state.prompt.take() else { return };
    change(&mut prompt);
    prompt.error = None;
    match prompt.kind {
        PromptKind::Filter => {
            // An expression that is half typed shows what it showed before.
            let result = state.table_mut().map(|table| table.set_filter(prompt.text()));
            prompt.error = result.and_then(Result::err).map(|error| error.to_string());
        }
        PromptKind::Command => prompt.choices = palette::choices(prompt.text(), state),
    }
    state.prompt = Some(prompt);
}

pub(super) fn accept(state: &mut State) -> Option<Effect> {
    let mut prompt = state.prompt.take()?;
    if prompt.kind == PromptKind::Filter {
        if prompt.error.is_some() {
            state.prompt = Some(prompt);
        }
        return None;
    }
    if prompt.text().trim().is_empty() {
        return None;
    }
    let done = palette::parse(prompt.text(), state).and_then(|command| run(state, command));
    match done {
        Ok(effect) => effect,
        Err(error) => {
            prompt.error = Some(escape(&error).into_owned());
            state.prompt = Some(prompt);
            None
        }
    }
}

fn run(state: &mut State, command: Command) -> Result<Option<Effect>, String> {
    match command {
        Command::Quit => return Ok(Some(Effect::Quit)),
        Command::Go(page) => state.go(page),
        Command::Declare(region) => return Ok(answers::declare(state, region)),
        Command::Sort { column, reversed } => {
            if let Some(table) = state.table_mut() {
                table.sort_by(&column, reversed);
            }
        }
        Command::Filter(text) => {
            if let Some(table) = state.table_mut() {
                table.set_filter(&text).map_err(|error| error.to_string())?;
            }
        }
    }
    Ok(None)
}
