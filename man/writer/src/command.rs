//! The page of one command.

use clap::{Arg, ArgAction, Command};

use crate::{
    Manual, prose,
    roff::{Roff, bold, escape, inline, usage},
    shown,
};

/// The sections that are made of the arguments; what is written beside them is added there.
const DESCRIPTION: &str = "DESCRIPTION";
const EXIT_STATUS: &str = "EXIT STATUS";
const NOTES: &str = "NOTES";
const EXAMPLES: &str = "EXAMPLES";
const SEE_ALSO: &str = "SEE ALSO";
/// Behind those that a page has of its own.
const LAST: [&str; 3] = [NOTES, EXAMPLES, SEE_ALSO];

pub(crate) fn page(manual: &Manual<'_>, command: &Command, name: &str, see: &[String]) -> String {
    let mut roff = Roff::new(name, manual.section, manual.source);
    let beside = prose::sections(manual.beside(name));
    let (examples, notes) = behind(command);
    roff.section("NAME");
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    roff.words(&format!("{} \\- {}", escape(name), inline(about.trim_end_matches('.'))));
    roff.section("SYNOPSIS");
    for line in synopsis(command) {
        roff.words(&usage(&line));
    }
    roff.section(DESCRIPTION);
    description(&mut roff, command, &about);
    add(&mut roff, &beside, DESCRIPTION);
    commands(&mut roff, manual, command, name);
    arguments(&mut roff, command);
    options(&mut roff, command);
    roff.section(EXIT_STATUS);
    prose::write(&mut roff, manual.exit_status);
    add(&mut roff, &beside, EXIT_STATUS);
    for (title, words) in &beside {
        let is_placed = title == DESCRIPTION || title == EXIT_STATUS;
        if !is_placed && !LAST.contains(&title.as_str()) {
            roff.section(title);
            prose::write(&mut roff, words);
        }
    }
    let own = |title: &str| {
        beside.iter().find(|(other, _)| other == title).map_or("", |(_, words)| words.as_str())
    };
    for (title, made) in [(NOTES, notes), (EXAMPLES, examples)] {
        let words = format!("{}\n\n{made}", own(title).trim_end());
        if !words.trim().is_empty() {
            roff.section(title);
            prose::write(&mut roff, &words);
        }
    }
    let see = see.iter().map(|name| format!("`{name}`({})", manual.section));
    let more = own(SEE_ALSO).split(',').map(str::trim).filter(|other| !other.is_empty());
    let see: Vec<String> = see.chain(more.map(str::to_owned)).collect();
    if !see.is_empty() {
        roff.section(SEE_ALSO);
        roff.words(&inline(&see.join(", ")));
    }
    roff.finish()
}

/// Adds what is written beside to a section that is there.
fn add(roff: &mut Roff, beside: &[(String, String)], title: &str) {
    for (_, words) in beside.iter().filter(|(other, _)| other == title) {
        roff.next_paragraph();
        prose::write(roff, words);
    }
}

/// The usage as `--help` shows it.
fn synopsis(command: &Command) -> Vec<String> {
    let usage = command.clone().render_usage().to_string();
    let lines = usage.trim().trim_start_matches("Usage:").lines();
    lines.map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

fn description(roff: &mut Roff, command: &Command, about: &str) {
    let text = command.get_long_about().map_or_else(|| about.to_owned(), ToString::to_string);
    let paragraphs = paragraphs(&text);
    for (index, words) in paragraphs.iter().enumerate() {
        if index > 0 {
            roff.next_paragraph();
        }
        roff.words(&inline(&ended(words)));
    }
}

/// What `--help` writes without a full stop is a sentence here.
fn ended(words: &str) -> String {
    if words.ends_with(['.', '?', '!', ':']) { words.to_owned() } else { format!("{words}.") }
}

fn paragraphs(text: &str) -> Vec<String> {
    let parts = text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>());
    parts.filter(|words| !words.is_empty()).map(|words| words.join(" ")).collect()
}

fn commands(roff: &mut Roff, manual: &Manual<'_>, command: &Command, name: &str) {
    if shown(command).next().is_none() {
        return;
    }
    roff.section("COMMANDS");
    for child in shown(command) {
        let page = format!("{name}-{}", child.get_name());
        roff.term(&format!("{}({})", bold(&page), manual.section));
        let about = child.get_about().map(ToString::to_string).unwrap_or_default();
        let aliases: Vec<String> =
            child.get_visible_aliases().map(|alias| format!("`{alias}`")).collect();
        let aliases = match aliases.as_slice() {
            [] => String::new(),
            all => format!(" Also {}.", all.join(", ")),
        };
        roff.words(&inline(&format!("{}{aliases}", ended(&about))));
    }
}

fn arguments(roff: &mut Roff, command: &Command) {
    let arguments: Vec<&Arg> = command.get_positionals().filter(|arg| !arg.is_hide_set()).collect();
    if arguments.is_empty() {
        return;
    }
    roff.section("ARGUMENTS");
    for argument in arguments {
        describe(roff, argument, &usage(&argument.to_string()));
    }
}

/// The options below their headings, as `--help` has them.
fn options(roff: &mut Roff, command: &Command) {
    let options: Vec<&Arg> =
        command.get_arguments().filter(|arg| !arg.is_positional() && !arg.is_hide_set()).collect();
    let mut headings: Vec<&str> = Vec::new();
    for heading in options.iter().filter_map(|arg| arg.get_help_heading()) {
        if !headings.contains(&heading) {
            headings.push(heading);
        }
    }
    roff.section("OPTIONS");
    for option in options.iter().filter(|arg| arg.get_help_heading().is_none()) {
        describe(roff, option, &flags(option));
    }
    for heading in headings {
        roff.subsection(heading);
        for option in options.iter().filter(|arg| arg.get_help_heading() == Some(heading)) {
            describe(roff, option, &flags(option));
        }
    }
}

/// `-o, --output <FORMAT>`.
fn flags(option: &Arg) -> String {
    let long = usage(&option.to_string());
    match (option.get_short(), option.get_long()) {
        (Some(short), Some(_)) => format!("{}, {long}", bold(&format!("-{short}"))),
        _ => long,
    }
}

fn describe(roff: &mut Roff, argument: &Arg, term: &str) {
    roff.term(term);
    let help = argument.get_long_help().or(argument.get_help());
    let mut paragraphs = paragraphs(&help.map(ToString::to_string).unwrap_or_default());
    // What `clap` says of its own two flags is about `--help`.
    match argument.get_action() {
        ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong => {
            paragraphs = vec!["Print help: a summary with `-h`, all with `--help`".into()];
        }
        _ => {}
    }
    for (index, words) in paragraphs.iter().enumerate() {
        if index > 0 {
            roff.next_in_term();
        }
        roff.words(&inline(&ended(words)));
    }
    let mut facts = Vec::new();
    let aliases: Vec<String> = argument
        .get_visible_aliases()
        .into_iter()
        .flatten()
        .map(|alias| format!("`--{alias}`"))
        .collect();
    if !aliases.is_empty() {
        facts.push(format!("Also {}.", aliases.join(", ")));
    }
    let takes_values = argument.get_action().takes_values();
    let values = argument.get_possible_values();
    let is_listed = takes_values && !argument.is_hide_possible_values_set();
    let shown: Vec<_> = values.iter().filter(|value| is_listed && !value.is_hide_set()).collect();
    let with_words = shown.iter().any(|value| value.get_help().is_some());
    if !shown.is_empty() && !with_words {
        let names: Vec<String> =
            shown.iter().map(|value| format!("`{}`", value.get_name())).collect();
        facts.push(format!("One of {}.", names.join(", ")));
    }
    if takes_values && !argument.is_hide_default_value_set() {
        let defaults: Vec<String> = argument
            .get_default_values()
            .iter()
            .map(|value| format!("`{}`", value.to_string_lossy()))
            .collect();
        if !defaults.is_empty() {
            facts.push(format!("Default: {}.", defaults.join(" ")));
        }
    }
    if let Some(variable) =
        argument.get_env().filter(|_| takes_values && !argument.is_hide_env_set())
    {
        facts.push(format!("Variable: `{}`.", variable.to_string_lossy()));
    }
    if !facts.is_empty() {
        roff.next_in_term();
        roff.words(&inline(&facts.join(" ")));
    }
    if with_words {
        roff.indent();
        for value in shown {
            let words = value.get_help().map(ToString::to_string).unwrap_or_default();
            roff.term(&bold(value.get_name()));
            roff.words(&inline(&ended(&words)));
        }
        roff.outdent();
    }
}

/// What `--help` says behind the options, as examples and notes. The table of exit codes is
/// in a section of its own.
fn behind(command: &Command) -> (String, String) {
    let text = command.get_after_long_help().or(command.get_after_help());
    let text = text.map(ToString::to_string).unwrap_or_default();
    let (mut examples, mut notes) = (String::new(), String::new());
    let mut is_example = false;
    let mut is_codes = false;
    for line in text.lines() {
        let is_heading = !line.starts_with(' ') && !line.is_empty();
        match line {
            "Examples:" => (is_example, is_codes) = (true, false),
            "Exit codes:" => (is_example, is_codes) = (false, true),
            _ if is_codes && !is_heading => {}
            line => {
                if is_heading {
                    (is_example, is_codes) = (false, false);
                }
                let into = if is_example { &mut examples } else { &mut notes };
                match line.strip_prefix("  ") {
                    // Indented lines stay as they are.
                    Some(rest) => {
                        if into
                            .lines()
                            .last()
                            .is_some_and(|before| !before.is_empty() && !before.starts_with(' '))
                        {
                            into.push('\n');
                        }
                        into.push_str("    ");
                        into.push_str(rest);
                    }
                    None => into.push_str(line),
                }
                into.push('\n');
            }
        }
    }
    (examples, notes)
}
