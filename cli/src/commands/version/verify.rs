//! `ssctl version --verify`: what was downloaded is what the release's maker signed.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{Context, SHA256};
use minisign_verify::{Error, PublicKey, Signature};
use serde_json::{Value, json};

use super::{Args, sums::Sums};
use crate::{
    errors::{Failure, Outcome},
    output::{Cell, Column, Format, Layout, Tone, plain_table, print_value},
    shell::Shell,
};

/// The public key of whoever made the release that this program is of.
const RELEASE_KEY: Option<&str> = option_env!("STREAMSPACE_RELEASE_KEY");

/// The most bytes of a list of sums.
const MOST_SUMS: u64 = 1 << 20;
/// The most bytes of a key, and of a signature.
const MOST_WORDS: u64 = 8 << 10;

/// What it proves, for `--help` and the manual.
pub(super) const HELP: &str = "\
A release has a list of sums, SHA256SUMS, and a signature of it, SHA256SUMS.minisig.
  ssctl version --verify ssctl_0.2.0-1_amd64.deb
looks for both beside the file, and ends with 0 where the signature is by the key in
this program (or in --key) and the file's sum is in the list; else with 11.

Without a FILE it looks at the program that runs, by the list in --sums. That finds a
broken download. It is no proof against somebody who could change the program: then it
would say whatever they like. Let an ssctl that you trust verify the next one, or minisign:
  minisign -V -p streamspace.pub -m SHA256SUMS && sha256sum -c --ignore-missing SHA256SUMS
A signature says who made it, and not that there is nothing newer: what it says of the
version is told.";

/// A file that was held against the list.
struct Held {
    name: String,
    sum: String,
    result: Is,
}

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Is {
    Signed,
    Altered,
    Unlisted,
}

impl Is {
    fn word(self) -> &'static str {
        match self {
            Self::Signed => "ok",
            Self::Altered => "altered",
            Self::Unlisted => "not in the list",
        }
    }
}

pub(crate) fn run(shell: &Shell, args: &Args) -> Outcome {
    let (key, key_text) = key(args.key.as_deref())?;
    let list = list(args)?;
    let text = words(&list, MOST_SUMS)?;
    let mut signature = list.clone().into_os_string();
    signature.push(".minisig");
    let signed = judge(&key, &text, &words(Path::new(&signature), MOST_WORDS)?, &list)?;
    let sums = Sums::parse(&text).map_err(|error| Failure::CheckFailed {
        message: format!("{} is signed, and no list of sums: {error}", list.display()),
        next: "download it again".into(),
    })?;
    let held = if args.files.is_empty() {
        let program = std::env::current_exe().map_err(|error| Failure::Local {
            message: format!("this program does not find itself: {error}"),
            next: "name the file".into(),
        })?;
        vec![hold(&sums, &program, "ssctl")?]
    } else {
        let held = args.files.iter().map(|file| {
            let name = file.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
            hold(&sums, file, &name)
        });
        held.collect::<Outcome<Vec<_>>>()?
    };
    let all_well = held.iter().all(|held| held.result == Is::Signed);
    print(shell, &held, || {
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "verified": all_well,
            "sums": list.to_string_lossy(),
            "signed": signed,
            "key": key_text,
            "files": held.iter().map(value).collect::<Vec<_>>(),
        })
    })?;
    shell.talk(&format!("signed by {key_text}: {signed}"));
    verdict(&sums, &held)
}

/// The key whose signature counts, and how it is written.
fn key(file: Option<&Path>) -> Outcome<(PublicKey, String)> {
    let (text, place) = match (file, RELEASE_KEY) {
        (Some(file), _) => {
            let text = words(file, MOST_WORDS).map_err(|failure| match failure {
                Failure::Local { message, .. } => Failure::Local {
                    message,
                    next: "name the public key of whoever makes the releases, a file of minisign"
                        .into(),
                },
                other => other,
            })?;
            (text, file.display().to_string())
        }
        (None, Some(key)) => (key.to_owned(), "this program".into()),
        (None, None) => {
            return Err(Failure::Usage {
                message: "this ssctl was not built by a release, and holds nobody's key".into(),
                next: "--key FILE with the public key of whoever makes the releases".into(),
            });
        }
    };
    // A file begins with a comment; the key alone is what minisign prints.
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    PublicKey::from_base64(line).map(|key| (key, line.to_owned())).map_err(|_| Failure::Local {
        message: format!("there is no public key of minisign in {place}"),
        next: "it is a file of two lines, of which the second begins with RW".into(),
    })
}

/// The list that was named, or the one beside the first file.
fn list(args: &Args) -> Outcome<PathBuf> {
    match (&args.sums, args.files.first()) {
        (Some(sums), _) => Ok(sums.clone()),
        (None, Some(file)) => Ok(file.with_file_name("SHA256SUMS")),
        (None, None) => Err(Failure::Usage {
            message: "there is nothing to hold this program against".into(),
            next:
                "download SHA256SUMS and SHA256SUMS.minisig of the release that it is of, and name \
                   the first: --sums SHA256SUMS"
                    .into(),
        }),
    }
}

/// A small text file.
fn words(file: &Path, most: u64) -> Outcome<String> {
    let mut text = Vec::new();
    open(file)?.take(most + 1).read_to_end(&mut text).map_err(|error| unreadable(file, &error))?;
    if text.len() as u64 > most {
        let error = format!("it is longer than {most} bytes, which none of a release is");
        return Err(unreadable(file, &io::Error::other(error)));
    }
    String::from_utf8(text)
        .map_err(|_| unreadable(file, &io::Error::other("it is no text (UTF-8)")))
}

/// Opens a file, and nothing that has no end or that waits.
fn open(file: &Path) -> Outcome<File> {
    let is_file = fs::metadata(file).map_err(|error| unreadable(file, &error))?.is_file();
    if !is_file {
        return Err(unreadable(file, &io::Error::other("it is no file")));
    }
    File::open(file).map_err(|error| unreadable(file, &error))
}

fn unreadable(file: &Path, error: &io::Error) -> Failure {
    let next = match file.extension() {
        Some(extension) if extension == "minisig" => {
            "download it beside the list: a release has both"
        }
        _ => "name a file of the release, with SHA256SUMS beside it or in --sums",
    };
    Failure::Local {
        message: format!("cannot read {}: {error}", file.display()),
        next: next.into(),
    }
}

/// What the signature says beside the list, where it is one of this key.
fn judge(key: &PublicKey, text: &str, signature: &str, list: &Path) -> Outcome<String> {
    let failed = |why: &str, next: &str| Failure::CheckFailed {
        message: format!("{} is not signed: {why}", list.display()),
        next: next.into(),
    };
    let again = "do not use what it lists; download it and its .minisig again";
    let signature = Signature::decode(signature)
        .map_err(|_| failed("what lies beside it is no signature of minisign", again))?;
    match key.verify(text.as_bytes(), &signature, false) {
        Ok(()) => Ok(signature.trusted_comment().to_owned()),
        Err(Error::UnexpectedKeyId) => Err(failed(
            "the signature is by another key",
            "where the key of the releases was changed, get the new one from a place that you trust: --key FILE",
        )),
        Err(_) => Err(failed("it, or its signature, was altered", again)),
    }
}

/// Holds a file against the list, by the name that it has there.
fn hold(sums: &Sums<'_>, file: &Path, name: &str) -> Outcome<Held> {
    let sum = sum(file)?;
    let listed: Vec<_> = sums.of(name).collect();
    let result = if listed.is_empty() {
        Is::Unlisted
    } else if listed.contains(&sum.as_str()) {
        Is::Signed
    } else {
        Is::Altered
    };
    Ok(Held { name: file.display().to_string(), sum, result })
}

fn sum(file: &Path) -> Outcome<String> {
    let mut reader = open(file)?;
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 64 << 10];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => context.update(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(file, &error)),
        }
    }
    let mut text = String::with_capacity(64);
    for byte in context.finish().as_ref() {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

fn print(shell: &Shell, held: &[Held], value: impl FnOnce() -> Value) -> Outcome {
    match shell.format() {
        format @ (Format::Table | Format::Wide | Format::Csv) => {
            let layout = Layout::new(shell.terminal, format == Format::Wide);
            shell.print(&plain_table(format, &columns(), held, layout, shell.now))
        }
        Format::Name => Err(Failure::Usage {
            message: "what is verified has no name to print".into(),
            next: "use -o json or -o csv".into(),
        }),
        _ => print_value(shell, &value()),
    }
}

fn columns() -> Vec<Column<Held>> {
    vec![
        Column::new("RESULT", |held: &Held, _| {
            let tone = if held.result == Is::Signed { Tone::Plain } else { Tone::Bad };
            Cell::toned(held.result.word(), tone)
        }),
        Column::new("FILE", |held, _| held.name.clone().into()),
        Column::wide("SHA256", |held, _| held.sum.clone().into()),
    ]
}

fn value(held: &Held) -> Value {
    json!({ "file": held.name, "result": held.result.word(), "sha256": held.sum })
}

fn verdict(sums: &Sums<'_>, held: &[Held]) -> Outcome {
    let wrong: Vec<&Held> = held.iter().filter(|held| held.result != Is::Signed).collect();
    let Some(first) = wrong.first() else { return Ok(()) };
    let next = match (first.result, sums.name_of(&first.sum)) {
        (_, Some(name)) => format!("{} is {name} of the release, by its sum", first.name),
        (Is::Unlisted, None) => {
            "it is of another release, or of none; take the list of its own release".into()
        }
        _ => "do not use it; download it again".into(),
    };
    Err(Failure::CheckFailed {
        message: format!("{} of {} files are not what was signed", wrong.len(), held.len()),
        next,
    })
}
