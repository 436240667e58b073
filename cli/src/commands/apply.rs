//! `ssctl apply`: a region as files describe it.
//!
//! Only what a file says is changed; what it leaves out stays as it is. So the
//! same files can be applied again and again.

use std::path::PathBuf;

use streamspace_client::Connection;
use tokio::time::timeout;

use super::tenant;
use crate::{
    change::{ChangeArgs, reason},
    confirm::ConfirmArgs,
    errors::{Doing as _, Failure, Outcome},
    exit::Exit,
    shell::Shell,
};

mod document;
mod engine;
mod fields;
mod kind;
mod kinds;
mod prune;
mod source;
mod tell;
mod yaml;

use engine::Engine;
use tell::Report;

/// The label of the tenants of a set of files.
const SET_LABEL: &str = "apply-set";

/// What `--help` and the manual show of a file's form.
pub(super) const FORM: &str = "\
A file holds YAML or JSON documents of this form, separated by ---. Under spec
stand the fields that people write; what is left out stays as it is. Plans are
applied before tenants, and tenants before quotas. What `show -o yaml` and
`list -o yaml` print of tenants and plans is taken too.

  kind: Tenant
  name: acme-corp
  spec:
    plan: business
    seats: 10
    displayName: Acme Corporation
    labels: {tier: gold}
    adminSubjects:
      - {kind: user, name: a@acme.com}
  ---
  kind: Quota
  name: acme-corp
  spec:
    cpu: 80         # without an end; plan for what the plan gives
    memory: 400Gi
  ---
  kind: Plan
  name: business    # a change is the plan's next version; tenants keep theirs
  spec:
    quota: {cpuMillicores: 100000, memoryBytes: 200Gi}

An etag under spec, or the version of a plan, must still be the current one.

With --set the tenants get the label apply-set=NAME. With --prune those that have
it and are in no file any more are archived: never deleted, and nothing without
that label is touched.";

/// The files, and how they are taken.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Files {
    /// A YAML or JSON file, a folder with all that is in it, or - for standard input; repeat it
    #[arg(short = 'f', long = "file", required = true, value_name = "FILE|DIR|-")]
    paths: Vec<PathBuf>,
    /// The name of this set of files: its tenants get the label apply-set=NAME
    #[arg(long, value_name = "NAME", value_parser = parse_set)]
    set: Option<String>,
    /// Archive the tenants of the set that are in no file any more
    #[arg(long, requires = "set")]
    prune: bool,
    /// The most tenants that --prune archives; with more it does nothing at all
    #[arg(long, requires = "prune", default_value_t = 10, value_name = "NUMBER")]
    prune_limit: usize,
    /// Let --prune archive every tenant of the set where the files describe none
    #[arg(long, requires = "prune")]
    allow_empty: bool,
    /// Take over namespaces of new tenants' names that exist already
    #[arg(long)]
    adopt: bool,
    /// Accept that seats are promised more than a plan's multiple of the quota
    #[arg(long)]
    accept_overcommit: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_long_help = FORM)]
pub(crate) struct Args {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    change: ChangeArgs,
    /// Wait until the cluster has all of it
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    confirm: ConfirmArgs,
}

/// A name that can be the value of a label.
fn parse_set(text: &str) -> Result<String, String> {
    let is_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    if bytes.len() <= 63 && is_end(bytes.first()) && is_end(bytes.last()) && bytes.iter().all(inner)
    {
        return Ok(text.to_owned());
    }
    Err("a set is named by at most 63 letters, digits, -, _ and ., as tenants-eu is".into())
}

/// Applies all documents, or shows what that would do.
pub(crate) async fn run(shell: &Shell, args: Args) -> Outcome {
    if args.change.dry_run {
        return preview(shell, &args.files).await;
    }
    let documents = read(shell, &args.files)?;
    let connection = if args.wait { shell.connect_to_wait()? } else { shell.connect()? };
    let leaving = prune::leaving(&connection, &args.files, &documents).await?;
    let mut engine = Engine {
        shell,
        connection: &connection,
        files: &args.files,
        reason: args.change.reason(),
        is_preview: false,
    };
    if let (Some(set), false) = (&args.files.set, leaving.is_empty()) {
        engine.reason = reason(shell, prune::METHOD, args.change.given_reason()).await?;
        prune::ask(shell, &connection, set, &leaving, &args.confirm).await?;
    }
    let mut report = Report::new(shell, documents.len(), false);
    engine.run(&documents, &mut report).await?;
    if report.has_failures() && !leaving.is_empty() {
        shell.talk("nothing is archived as long as a document fails");
    } else {
        prune::run(shell, &connection, &leaving, &engine.reason, false, &mut report).await?;
    }
    let waited = if args.wait { settle(shell, &connection, &report).await } else { Ok(()) };
    report.print()?;
    report.outcome().and(waited)
}

/// Shows what applying the files would do. Ends with [`Failure::Changes`] where that
/// is something.
pub(super) async fn preview(shell: &Shell, files: &Files) -> Outcome {
    let documents = read(shell, files)?;
    let connection = shell.connect()?;
    let leaving = prune::leaving(&connection, files, &documents).await?;
    let reason = String::new();
    let engine = Engine { shell, connection: &connection, files, reason, is_preview: true };
    let mut report = Report::new(shell, documents.len(), true);
    engine.run(&documents, &mut report).await?;
    prune::run(shell, &connection, &leaving, "", true, &mut report).await?;
    report.print()?;
    report.outcome()
}

/// Reads all files before anything is sent, so that a slip in the last one changes
/// nothing.
fn read(shell: &Shell, files: &Files) -> Outcome<Vec<document::Document>> {
    let mut failures = match source::read(&files.paths, files.allow_empty) {
        Ok(documents) => {
            let failures = of_other_sets(&documents, files.set.as_deref());
            if failures.is_empty() {
                return Ok(documents);
            }
            failures
        }
        Err(failures) => failures,
    };
    if failures.len() == 1
        && let Some(failure) = failures.pop()
    {
        return Err(failure);
    }
    for failure in &failures {
        shell.report(failure);
    }
    Err(Failure::AllFailed(failures.first().map_or(Exit::Local, Failure::exit)))
}

/// A document can name its set itself; two sets are one too many.
fn of_other_sets(documents: &[document::Document], set: Option<&str>) -> Vec<Failure> {
    let Some(set) = set else { return Vec::new() };
    let other = |document: &&document::Document| document.own_set().is_some_and(|own| own != set);
    let failure = |document: &document::Document| Failure::Usage {
        message: format!(
            "{}: {} has the label {SET_LABEL} of the set {}, and --set says {set}",
            document.origin,
            document.title(),
            document.own_set().unwrap_or_default()
        ),
        next: format!("leave the label {SET_LABEL} out: --set puts it on; nothing was changed"),
    };
    documents.iter().filter(other).map(failure).collect()
}

/// Waits until the cluster has what was applied; `--timeout` is for all of it.
async fn settle(shell: &Shell, connection: &Connection, report: &Report<'_>) -> Outcome {
    let all = async {
        for name in &report.settling {
            let tenant = tenant::get(connection, name).await.doing(|| format!("follow {name}"))?;
            tenant::until_settled(shell, connection, tenant).await?;
        }
        Ok(())
    };
    let Some(limit) = shell.global.timeout else { return all.await };
    match timeout(limit, all).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Failure::Waited {
            message: "the cluster does not have all of it yet".into(),
            next: "it goes on; `ssctl tenant list` shows the states".into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_named_like_the_value_of_a_label() {
        for name in ["a", "tenants-eu", "A.b_c-9", &"x".repeat(63)] {
            assert_eq!(parse_set(name), Ok(name.to_owned()));
        }
        for name in ["", "-a", "a-", "a b", "a\"", "a*", "é", &"x".repeat(64)] {
            assert!(parse_set(name).is_err(), "{name}");
        }
    }
}
