//! Completion: what a shell asks at every TAB.
//!
//! The scripts of `ssctl completion` call `ssctl __complete` with the line up to the
//! cursor. The engine of `clap_complete` finds which argument is meant; names come from
//! the region's daemon, with a deadline, or not at all. Nothing is ever said on standard
//! error, and the end is always 0: a shell that completes has no place for either.

use std::{
    ffi::OsString,
    fmt::Write as _,
    io::{self, Write as _},
    panic,
    sync::Arc,
    time::Instant,
};

use clap::CommandFactory as _;
use clap_complete::engine::{self, CompletionCandidate};

use crate::{commands::Cli, exit::Exit};

mod cache;
mod line;
mod live;
mod names;
mod scripts;
mod table;

use line::Typed;
use live::Asker;
pub(crate) use scripts::script;

/// What the scripts call the program with. No command has such a name.
const WORD: &str = "__complete";

/// Answers a shell, where it is one that asks.
pub(crate) fn requested(arguments: impl IntoIterator<Item = OsString>) -> Option<Exit> {
    let mut arguments = arguments.into_iter().skip(1);
    if arguments.next()? != WORD {
        return None;
    }
    let begin = Instant::now();
    // An error of ours is no reason to write over the line that somebody types.
    panic::set_hook(Box::new(|_| std::process::exit(0)));
    let arguments: Vec<String> =
        arguments.map(|argument| argument.to_string_lossy().into_owned()).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let text = match arguments.as_slice() {
        ["bash", line, breaks] => bash(&line::read(line, breaks), begin),
        ["zsh" | "fish", before @ .., word] => {
            let before = before.iter().map(|&word| word.to_owned()).collect();
            with_words(&Typed { before, word: (*word).to_owned(), kept: 0 }, begin)
        }
        ["refresh", context, kind, prefix] => {
            let _asked = live::refresh(context, kind, prefix);
            String::new()
        }
        _ => String::new(),
    };
    // The shell may not wait for it any more.
    let _ = io::stdout().lock().write_all(text.as_bytes());
    Some(Exit::Done)
}

/// What completes a word.
#[derive(Debug, Default, PartialEq, Eq)]
struct Offer {
    /// Whole words, each with what is said about it.
    words: Vec<(String, String)>,
    /// How many of them more is typed behind.
    open: usize,
    /// The shell knows better: files.
    files: bool,
}

fn offer(typed: &Typed, asker: Asker) -> Offer {
    let mut command = table::attach(Cli::command(), &[], &Arc::new(asker));
    let words = typed.before.iter().chain([&typed.word]).map(OsString::from).collect();
    let found = engine::complete(&mut command, words, typed.before.len(), None);
    choose(&typed.word, &found.unwrap_or_default())
}

fn choose(word: &str, found: &[CompletionCandidate]) -> Offer {
    let mut offer = Offer::default();
    for candidate in found {
        let Some(value) = candidate.get_value().to_str() else { continue };
        if value.ends_with(table::FILES) {
            offer.files = true;
            continue;
        }
        // Flags are many; who wants one begins it.
        let is_wanted_flag = word.starts_with('-') || !value.starts_with('-');
        if !is_wanted_flag || !value.starts_with(word) || !is_one_word(value) {
            continue;
        }
        // Of a command and its aliases one is offered: the command, where it is begun so.
        let command = candidate.get_id().and_then(|id| id.strip_prefix("command::"));
        let value = command.filter(|name| name.starts_with(word)).unwrap_or(value);
        // `jsonpath=TEMPLATE`: people write what the capitals stand for.
        let value = match value.rsplit_once('=') {
            Some((name, rest))
                if !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_uppercase()) =>
            {
                offer.open += 1;
                format!("{name}=")
            }
            _ => value.to_owned(),
        };
        let is_open = candidate.get_tag().is_some_and(|tag| tag.to_string() == table::OPEN);
        offer.open += usize::from(is_open);
        let about = candidate.get_help().map(ToString::to_string).unwrap_or_default();
        offer.words.push((value, names::about_line(&about)));
    }
    offer
}

/// Whether it stays one word on a line of the answer.
fn is_one_word(value: &str) -> bool {
    !value.chars().any(|letter| letter.is_whitespace() || letter.is_control())
}

/// Lines of words, without what bash keeps by itself.
fn bash(typed: &Typed, begin: Instant) -> String {
    let offer = offer(typed, Asker::new(typed.before.clone(), begin));
    lines(&offer, |word, _| word.get(typed.kept..).unwrap_or_default().to_owned())
}

/// Lines of words with what is said about each.
fn with_words(typed: &Typed, begin: Instant) -> String {
    let offer = offer(typed, Asker::new(typed.before.clone(), begin));
    lines(&offer, |word, about| match about {
        "" => word.to_owned(),
        about => format!("{word}\t{about}"),
    })
}

fn lines(offer: &Offer, line: impl Fn(&str, &str) -> String) -> String {
    let mut text = String::new();
    if offer.files && offer.words.is_empty() {
        return ":files\n".into();
    }
    if offer.open > 0 && offer.open == offer.words.len() {
        text.push_str(":nospace\n");
    }
    for (word, about) in &offer.words {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}", line(word, about));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        let typed = line::read(line, " \t\n\"'@><=;|&(:");
        let offer = offer(&typed, Asker::new(typed.before.clone(), Instant::now()));
        offer.words.into_iter().map(|(word, _)| word).collect()
    }

    #[test]
    fn commands_flags_and_their_values_are_completed() {
        assert_eq!(words("ssctl tena"), ["tenant"]);
        assert!(words("ssctl tenant ").contains(&"show".to_owned()));
        assert_eq!(words("ssctl tenant desc"), ["describe"]);
        assert!(words("ssctl --outp").contains(&"--output".to_owned()));
        assert!(words("ssctl tenant list -o js").contains(&"json".to_owned()));
        assert!(words("ssctl tenant list --output=js").contains(&"--output=json".to_owned()));
        assert!(words("ssctl completion z").contains(&"zsh".to_owned()));
        assert_eq!(words("ssctl explain tenant.se"), ["tenant.seats"]);
        assert!(
            words("ssctl access why TenantService.Cr")
                .contains(&"TenantService.CreateTenant".into())
        );
        assert_eq!(words("ssctl quota set acme me"), ["memory="]);
        assert_eq!(words("ssctl quota reset acme me"), ["memory"]);
        assert_eq!(words("ssctl tenant list -o jsonp"), ["jsonpath="]);
    }

    #[test]
    fn flags_come_when_they_are_begun() {
        assert!(words("ssctl ").iter().all(|word| !word.starts_with('-')));
        assert!(words("ssctl tenant create acme ").is_empty());
        assert!(words("ssctl tenant create acme -").contains(&"--plan".to_owned()));
    }

    #[test]
    fn files_are_left_to_the_shell() {
        let typed = line::read("ssctl apply -f ", "=");
        assert_eq!(bash(&typed, Instant::now()), ":files\n");
        let typed = line::read("ssctl apply --file=x", "=");
        assert_eq!(bash(&typed, Instant::now()), ":files\n");
    }

    #[test]
    fn a_space_follows_where_the_word_is_whole() {
        let answer = |line: &str| bash(&line::read(line, "="), Instant::now());
        assert_eq!(answer("ssctl explain tenant.adminS"), ":nospace\ntenant.adminSubjects\n");
        assert_eq!(answer("ssctl tenant list -o ya"), "yaml\n");
    }

    #[test]
    fn bash_gets_what_stands_behind_the_break() {
        let typed = line::read("ssctl tenant list --output=js", "=");
        let text = bash(&typed, Instant::now());
        assert!(text.lines().any(|line| line == "json"), "{text}");
    }

    #[test]
    fn nothing_hostile_is_offered() {
        let hostile = ["a b", "a\nb", "a\u{1b}[2J", "\t"];
        let found: Vec<_> = hostile.into_iter().map(CompletionCandidate::new).collect();
        assert_eq!(choose("", &found), Offer::default());
    }

    #[test]
    fn any_line_gets_an_answer() {
        for line in [
            "",
            " ",
            "ssctl",
            "x y",
            "ssctl -- ",
            "ssctl --context -- x",
            "ssctl -oo ",
            "ssctl nonsense more",
            "ssctl tenant show a b c d",
            "ssctl \"",
            "ssctl 'a",
            "ssctl --context=",
            "ssctl quota set -- -x ",
            "ssctl -o -o -",
        ] {
            let _offered = words(line);
        }
    }
}
