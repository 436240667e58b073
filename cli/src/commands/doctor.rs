//! `ssctl doctor`: what is wrong between here and the daemon.

use futures::future::join_all;

use self::check::{Check, State};
use crate::{
    errors::{Failure, Outcome},
    output::{Format, Layout, plain_table, print_values},
    shell::Shell,
};

mod check;
mod machine;
mod region;

/// Looks at every step, tells what it found, and fails where a step did.
pub(crate) async fn run(shell: &Shell) -> Outcome {
    let mut checks = machine_checks(shell);
    let contexts =
        if shell.several() { shell.contexts() } else { shell.context().map(|one| vec![one]) };
    match contexts {
        Ok(contexts) => {
            // Regions are looked at together: one that is dead holds up no other.
            let looked = join_all(contexts.iter().map(|context| region::look(shell, context)));
            checks.extend(looked.await.into_iter().flatten());
        }
        // The context file's own check says what is wrong with the file.
        Err(failure) if !has_failed(&checks) => checks.push(unresolved(&failure)),
        Err(_) => checks.push(Check::skipped("context", "the context file must be mended first")),
    }
    print(shell, &checks)?;
    verdict(&checks)
}

fn machine_checks(shell: &Shell) -> Vec<Check> {
    let variable = |name: &str| std::env::var(name).ok();
    let names: Vec<String> =
        std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
    vec![
        machine::context_file(shell),
        machine::variables(&names, &variable),
        machine::terminal(shell, &variable),
        machine::completion(&variable),
    ]
}

/// No context to look at, by what the flag, a variable or the file says.
fn unresolved(failure: &Failure) -> Check {
    let (message, next) = match failure {
        Failure::Client { error, .. } => (error.to_string(), error.next_step().unwrap_or_default()),
        Failure::Usage { message, next } | Failure::Local { message, next } => {
            (message.clone(), next.clone())
        }
        other => (other.report(false), String::new()),
    };
    Check::failed("context", message, next)
}

fn has_failed(checks: &[Check]) -> bool {
    checks.iter().any(|check| check.state == State::Failed)
}

fn print(shell: &Shell, checks: &[Check]) -> Outcome {
    match shell.format() {
        Format::Table | Format::Wide => shell.print(&check::page(checks, shell.terminal.output)),
        Format::Csv => {
            let layout = Layout::new(shell.terminal, false);
            let rows = plain_table(Format::Csv, &check::columns(), checks, layout, shell.now);
            shell.print(&rows)
        }
        Format::Name => Err(Failure::Usage {
            message: "checks have no names to print".into(),
            next: "use -o json or -o csv".into(),
        }),
        _ => print_values(shell, &checks.iter().map(Check::value).collect::<Vec<_>>()),
    }
}

fn verdict(checks: &[Check]) -> Outcome {
    let failed: Vec<String> = checks
        .iter()
        .filter(|check| check.state == State::Failed)
        .map(|check| match check.context.as_str() {
            "" => check.name.clone(),
            context => format!("{context}: {}", check.name),
        })
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::CheckFailed {
        message: format!(
            "{} of {} checks failed: {}",
            failed.len(),
            checks.len(),
            failed.join(", ")
        ),
        next: "begin with the first; what it says behind `next` mends it".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn only_a_failed_check_fails_the_command() {
        let fine = [Check::ok("a", ""), Check::warning("b", "", ""), Check::skipped("c", "")];
        assert!(verdict(&fine).is_ok());
        let failed = [Check::ok("a", ""), Check::failed("tls", "", "").of("dev")];
        let failure = verdict(&failed).unwrap_err();
        assert_eq!(failure.exit(), Exit::CheckFailed);
        assert!(failure.report(false).contains("1 of 2 checks failed: dev: tls"));
    }
}
