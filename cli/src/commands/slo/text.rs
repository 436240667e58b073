//! `ssctl slo import` and `ssctl slo export`: SLOs as text.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::{ValueEnum, ValueHint};
use serde_json::Value;
use streamspace_client::text::escape;
use streamspace_proto::{
    json::to_value,
    v1::{ExportSlosRequest, ImportSlosRequest, ImportedSlo, Slo, SloFormat},
};

use super::get;
use crate::{
    change::{ChangeArgs, approvable, reason, request_id},
    errors::{Doing as _, Failure, Outcome},
    output::{Cell, Column, Listing, Tone, preview, print_rows, print_text},
    resource::{Noun as _, call, full_name, short},
    shell::Shell,
};

/// The contract takes no longer text.
const LONGEST: u64 = 1024 * 1024;

#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// OpenSLO v1 documents in YAML; - is standard input
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
    #[command(flatten)]
    change: ChangeArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    /// The SLOs; all of them without
    names: Vec<String>,
    /// What is written
    #[arg(long, value_enum, default_value_t = Kind::Openslo)]
    format: Kind,
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// OpenSLO v1, YAML documents
    Openslo,
    /// A rule file of Prometheus
    Prometheus,
}

pub(super) async fn import(shell: &Shell, args: &ImportArgs) -> Outcome {
    const METHOD: &str = "SloService.ImportSlos";
    let origin = if args.file == Path::new("-") {
        "standard input".to_owned()
    } else {
        args.file.display().to_string()
    };
    let openslo = read(&args.file, &origin)?;
    let dry_run = args.change.dry_run;
    let reason = if dry_run {
        args.change.reason()
    } else {
        reason(shell, METHOD, args.change.given_reason()).await?
    };
    let request =
        ImportSlosRequest { openslo, validate_only: dry_run, request_id: request_id(), reason };
    let connection = shell.connect()?;
    let reply = call!(&connection, slos.import_slos(request))
        .map_err(|error| approvable(error, METHOD))
        .doing(|| format!("import {origin}"))?;
    for note in &reply.notes {
        shell.talk(&format!("note: {}", escape(note)));
    }
    if !dry_run {
        let done = reply.slos.iter().filter(|one| one.outcome != "unchanged").count();
        shell.talk(&format!("{done} of {} SLOs created or changed", reply.slos.len()));
        return print_rows(shell, &listing(), &reply.slos);
    }
    let mut text = String::new();
    for one in reply.slos.iter().filter(|one| one.outcome != "unchanged") {
        let slo = one.slo.clone().unwrap_or_default();
        let before = if one.outcome == "created" {
            Value::Null
        } else {
            to_value(&get(&connection, &slo.name).await.doing(|| format!("compare {}", slo.name))?)?
        };
        let colour = shell.terminal.output.colour;
        let shown = preview(&slo.name, &before, &to_value(&slo)?, colour);
        // Only in fields that a preview leaves out.
        let line = || format!("~ {}\n", escape(&slo.name));
        text.push_str(&if shown.is_empty() { line() } else { shown });
    }
    if text.is_empty() {
        shell.talk(&format!("{origin} is so already; nothing would change"));
        return Err(Failure::NothingToDo);
    }
    shell.print(&text)?;
    Err(Failure::Changes)
}

fn read(file: &Path, origin: &str) -> Outcome<String> {
    let failed = |why: String| Failure::Usage {
        message: format!("{origin}: {why}"),
        next: "give OpenSLO v1 documents in YAML, at most 1 MiB".into(),
    };
    let unreadable = |error: io::Error| failed(format!("cannot be read: {error}"));
    let mut bytes = Vec::new();
    let mut take = |from: &mut dyn Read| from.take(LONGEST + 1).read_to_end(&mut bytes);
    if file == Path::new("-") {
        take(&mut io::stdin().lock()).map_err(unreadable)?;
    } else {
        take(&mut fs::File::open(file).map_err(unreadable)?).map_err(unreadable)?;
    }
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LONGEST {
        return Err(failed("is longer than 1 MiB".into()));
    }
    String::from_utf8(bytes).map_err(|_| failed("is not UTF-8".into()))
}

fn listing() -> Listing<ImportedSlo> {
    fn name(one: &ImportedSlo) -> &str {
        one.slo.as_ref().map_or("", |slo| &slo.name)
    }
    Listing {
        plural: "SLOs in it",
        columns: vec![
            Column::new("SLO", |one: &ImportedSlo, _| short(Slo::PREFIX, name(one)).into()),
            Column::new("OUTCOME", |one, _| {
                let tone = if one.outcome == "unchanged" { Tone::Plain } else { Tone::Good };
                Cell::toned(one.outcome.clone(), tone)
            }),
        ],
        name: |one| name(one).to_owned(),
        value: |one| Ok(to_value(one)?),
    }
}

pub(super) async fn export(shell: &Shell, args: &ExportArgs) -> Outcome {
    if shell.global.output.is_some() {
        return Err(Failure::Usage {
            message: "an export is written as --format says, and -o does not go with it".into(),
            next: "leave -o out, and write --format openslo or prometheus".into(),
        });
    }
    let format = match args.format {
        Kind::Openslo => SloFormat::Openslo,
        Kind::Prometheus => SloFormat::Prometheus,
    };
    let request = ExportSlosRequest {
        slos: args.names.iter().map(|name| full_name::<Slo>(name)).collect(),
        format: format.into(),
    };
    let connection = shell.connect()?;
    let reply = call!(&connection, slos.export_slos(request)).doing(|| "export SLOs".into())?;
    print_text(shell, &reply.text)
}
