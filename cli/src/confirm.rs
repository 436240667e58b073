//! Asking before something is lost.
//!
//! On a terminal the name is typed; Enter alone means no. A script says it
//! beforehand with `--confirm NAME`, or with `--yes` where nothing is protected.
//! Without a terminal nothing ever asks.

use std::io::{self, Write as _};

use clap::Args;
use streamspace_client::text;

use crate::{
    errors::{Failure, Outcome},
    shell::Shell,
};

/// Flags of every destructive command.
#[derive(Args, Clone, Debug)]
pub(crate) struct ConfirmArgs {
    /// Do not ask: the name of what is destroyed
    #[arg(long, value_name = "NAME")]
    pub(crate) confirm: Option<String>,
    /// Do not ask; not enough where the context is protected
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// What is about to be lost.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    /// What will happen, as a sentence.
    pub(crate) what: &'a str,
    /// The name to type.
    pub(crate) name: &'a str,
    /// Whether `--yes` is not enough.
    pub(crate) protected: bool,
}

/// What the flags alone decide.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Go,
    Ask,
    Refuse(String),
}

fn judge(args: &ConfirmArgs, question: &Question<'_>, terminal: bool) -> Verdict {
    match &args.confirm {
        Some(name) if name == question.name => return Verdict::Go,
        Some(name) => {
            return Verdict::Refuse(format!("--confirm says {name}, this is {}", question.name));
        }
        None => {}
    }
    match (args.yes, question.protected) {
        (true, false) => Verdict::Go,
        _ if terminal => Verdict::Ask,
        (true, true) => Verdict::Refuse("--yes is not enough for what is protected".into()),
        (false, _) => {
            Verdict::Refuse("this asks for confirmation, and there is no terminal".into())
        }
    }
}

/// Whether somebody will have to type the name.
pub(crate) fn asks(shell: &Shell, args: &ConfirmArgs, question: &Question<'_>) -> bool {
    judge(args, question, shell.terminal.can_ask()) == Verdict::Ask
}

/// Goes on only when the question is answered with the name.
pub(crate) async fn confirm(shell: &Shell, args: &ConfirmArgs, question: &Question<'_>) -> Outcome {
    let name = question.name;
    let refused = |message: String| Failure::Usage {
        message,
        next: format!("repeat it with --confirm {name}"),
    };
    match judge(args, question, shell.terminal.can_ask()) {
        Verdict::Go => Ok(()),
        Verdict::Refuse(message) => Err(refused(message)),
        Verdict::Ask => {
            let prompt = format!("{}\nType {name} to go on, or Enter to leave it: ", question.what);
            let typed = ask(prompt).await?;
            if typed.trim() == name {
                return Ok(());
            }
            Err(refused("not confirmed; nothing was changed".into()))
        }
    }
}

/// Asks for a line on the terminal.
pub(crate) async fn ask(prompt: String) -> Outcome<String> {
    // On another thread, so that Ctrl-C is heard meanwhile.
    let answer = tokio::task::spawn_blocking(move || {
        let mut stderr = io::stderr().lock();
        write!(stderr, "{}", text::escape_lines(&prompt))?;
        stderr.flush()?;
        let mut line = String::new();
        io::stdin().read_line(&mut line)?;
        Ok::<_, io::Error>(line)
    });
    match answer.await {
        Ok(line) => Ok(line?),
        Err(error) => Err(io::Error::other(error).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(confirm: Option<&str>, yes: bool, protected: bool, terminal: bool) -> Verdict {
        let args = ConfirmArgs { confirm: confirm.map(str::to_owned), yes };
        judge(&args, &Question { what: "", name: "acme", protected }, terminal)
    }

    #[test]
    fn the_name_is_always_enough_and_another_never() {
        for (protected, terminal) in [(true, true), (true, false), (false, true), (false, false)] {
            assert_eq!(verdict(Some("acme"), false, protected, terminal), Verdict::Go);
            let other = verdict(Some("acne"), true, protected, terminal);
            assert!(matches!(other, Verdict::Refuse(_)), "{other:?}");
        }
    }

    #[test]
    fn yes_is_enough_where_nothing_is_protected() {
        assert_eq!(verdict(None, true, false, false), Verdict::Go);
        assert_eq!(verdict(None, true, true, true), Verdict::Ask);
        assert!(matches!(verdict(None, true, true, false), Verdict::Refuse(_)));
    }

    #[test]
    fn without_a_terminal_nothing_asks() {
        assert_eq!(verdict(None, false, false, true), Verdict::Ask);
        assert!(matches!(verdict(None, false, false, false), Verdict::Refuse(_)));
    }
}
