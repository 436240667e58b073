//! The README's tour, run as written: each `$ ssctl …` line against `streamspaced dev`.
//!
//! What is data must come as the README shows it, up to times, ids and versions. Of the
//! talk on standard error the first line must be there; what follows depends on how fast
//! the machine is. A command ends with 0 unless an `echo $?` after it says otherwise.

use std::{collections::VecDeque, fs, path::Path};

use rustix::process::Signal;
use streamspace_tests::{
    daemon::{Daemon, Log},
    janitor,
    ports::Port,
    runtime::story,
    ssctl::{Following, Ssctl},
    wait::{holds, until},
};

/// A command of the README with what it shows.
#[derive(Debug, Default, PartialEq)]
struct Shown {
    arguments: Vec<String>,
    lines: Vec<String>,
    code: i32,
    /// It goes on until Ctrl-C.
    goes_on: bool,
}

#[test]
fn the_readmes_tour_is_as_written() {
    story(async {
        let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
        let tour = tour(&fs::read_to_string(readme).unwrap());
        assert!(tour.len() >= 6, "{}", tour.len());
        let visitor = Visitor::arrive().await;
        let ssctl = visitor.ssctl.clone();
        // A task of its own, so that the region is stopped in order whatever it finds.
        let taken = tokio::spawn(async move { take(&ssctl, tour).await }).await;
        visitor.leave().await;
        taken.unwrap();
    });
}

async fn take(ssctl: &Ssctl, tour: Vec<Shown>) {
    let mut open: Vec<(Following, VecDeque<String>)> = Vec::new();
    for shown in tour {
        let arguments: Vec<&str> = shown.arguments.iter().map(String::as_str).collect();
        if shown.goes_on {
            // What is there at once; the rest comes while other commands run.
            let mut following = ssctl.start(&arguments);
            let mut wanted = wanted(&shown);
            for _ in 0..2 {
                let line = wanted.pop_front().expect("a header and what is there");
                following.line_with(|found| normal(found) == line).await;
            }
            open.push((following, wanted));
            continue;
        }
        let ran = ssctl.run(&arguments).await.exits(shown.code);
        let (data, lines) = (lines(&ran.stdout), lines(&shown.lines.join("\n")));
        let talk = lines.len().saturating_sub(data.len());
        assert_eq!(lines[talk..], data, "{}", ran.command);
        if let Some(first) = lines[..talk].first() {
            let said = ran.stderr.lines().map(normal).collect::<Vec<_>>();
            assert!(said.contains(first), "{}: {first:?} is not in {said:?}", ran.command);
        }
    }
    for (mut following, wanted) in open {
        for line in wanted {
            following.line_with(|found| normal(found) == line).await;
        }
        assert_eq!(following.interrupt().await, 130);
    }
}

/// The lines of a watch before its Ctrl-C.
fn wanted(shown: &Shown) -> VecDeque<String> {
    let data = shown.lines.iter().take_while(|line| *line != "^C");
    // A cluster can be done with a namespace before anybody sees it at it.
    data.filter(|line| !line.contains("NamespaceTerminating")).map(|line| normal(line)).collect()
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(normal).collect()
}

/// A person with a development region.
struct Visitor {
    daemon: Daemon,
    ssctl: Ssctl,
    _log: Log,
    _ports: [Port; 2],
}

impl Visitor {
    async fn arrive() -> Self {
        // Not a private folder: the account of PostgreSQL must come through.
        let folder = std::env::temp_dir().join(format!("ss-readme-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        janitor::folder(&folder);
        let ssctl = Ssctl::new(folder.join("home"));
        let (grpc, http) = (Port::take(), Port::take());
        let home = ssctl.home().display().to_string();
        let data = folder.join("data").display().to_string();
        let (listen, probed) = (grpc.address().to_string(), http.address().to_string());
        let arguments = ["dev", "--data-dir", &data, "--listen", &listen, "--http", &probed];
        let variables = [
            ("HOME", home.as_str()),
            ("XDG_CONFIG_HOME", &format!("{home}/config")),
            ("SSCTL_CREDENTIAL_STORE", "file"),
            ("HOSTNAME", "laptop"),
            ("USER", "dev"),
        ];
        let log = Log::new(folder.join("log"));
        let mut daemon = Daemon::start(&arguments, log.path(), &variables);
        until("the development region is ready", async || {
            assert!(daemon.ended().is_none(), "it ended by itself: {}", log.text());
            holds(log.text().contains("Ctrl-C stops everything"), || log.text())
        })
        .await;
        until("the cluster has the sample tenants", async || {
            let shown = ssctl.run(&["tenant", "list"]).await;
            holds(shown.stdout.matches("active").count() == 3, || shown.stdout + &shown.stderr)
        })
        .await;
        Self { daemon, ssctl, _log: log, _ports: [grpc, http] }
    }

    async fn leave(self) {
        let status = self.daemon.stop(Signal::INT).await;
        assert!(status.success(), "{status}");
    }
}

/// The commands in the `console` blocks.
fn tour(readme: &str) -> Vec<Shown> {
    let mut tour: Vec<Shown> = Vec::new();
    for block in readme.split("```console\n").skip(1) {
        let mut is_exit_code = false;
        let mut is_ours = false;
        for line in block.lines().take_while(|line| *line != "```") {
            if let Some(command) = line.strip_prefix("$ ") {
                is_exit_code = command == "echo $?";
                let words = words(command);
                is_ours = words.first().is_some_and(|word| word == "ssctl");
                if is_ours {
                    let arguments = words[1..].to_vec();
                    tour.push(Shown { arguments, ..Shown::default() });
                }
            } else if let Some(shown) = tour.last_mut() {
                if is_exit_code {
                    shown.code = line.parse().expect("an exit code");
                } else if is_ours {
                    shown.goes_on |= line == "^C";
                    shown.lines.push(line.to_owned());
                }
            }
        }
    }
    tour
}

/// The words of a command line; single quotes hold words together.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// A line without what differs from run to run, and without its layout.
fn normal(line: &str) -> String {
    let mut last = "";
    let mut normal = Vec::new();
    for word in line.split_whitespace() {
        let place = match last {
            "PostgreSQL" => {
                normal.push("<version>".to_owned());
                break;
            }
            "Revision:" | "revision" => "<revision>".to_owned(),
            _ => placeholder(word),
        };
        normal.push(place);
        last = word;
    }
    normal.join(" ")
}

fn placeholder(word: &str) -> String {
    let core = word.trim_matches(|c| "(),:".contains(c));
    let shape: String = core.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    let is_id = |text: &str| {
        text.len() == 36
            && text.chars().filter(|c| *c == '-').count() == 4
            && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
    };
    let is_etag = core.split_once('-').is_some_and(|(uid, generation)| {
        uid.len() == 8
            && uid.chars().all(|c| c.is_ascii_hexdigit())
            && generation.parse::<u64>().is_ok()
    });
    let is_age = core.len() > 1
        && core.starts_with(|c: char| c.is_ascii_digit())
        && core.ends_with(|c| "smhd".contains(c))
        && core.chars().all(|c| c.is_ascii_digit() || "smhd".contains(c));
    let place = if shape == "9999-99-99" {
        "<date>"
    } else if shape == "99:99:99" {
        "<time>"
    } else if is_id(core.strip_prefix("operations/").unwrap_or(core)) {
        "<id>"
    } else if is_etag {
        "<etag>"
    } else if is_age {
        "<age>"
    } else {
        return word.to_owned();
    };
    word.replace(core, place)
}

#[test]
fn a_block_becomes_commands_and_what_they_show() {
    let text = "x\n```console\n$ make run\nno\n$ ssctl a 'b c' -d\none\n$ echo $?\n3\n$ ssctl watch\n\
                it\n^C\n```\n$ ssctl not-this\n";
    let first = Shown {
        arguments: ["a", "b c", "-d"].map(String::from).into(),
        lines: vec!["one".into()],
        code: 3,
        goes_on: false,
    };
    let second = Shown {
        arguments: vec!["watch".into()],
        lines: vec!["it".into(), "^C".into()],
        code: 0,
        goes_on: true,
    };
    assert_eq!(tour(text), [first, second]);
}

#[test]
fn only_what_differs_from_run_to_run_is_left_out() {
    for (line, left) in [
        ("Created:  2026-11-24 16:44:34 +00:00", "Created: <date> <time> +00:00"),
        ("Uid:  01a20e71-df7b-76cf-b6c5-dc9a35aaa494", "Uid: <id>"),
        ("Etag: 35aaa494-1", "Etag: <etag>"),
        ("as wished (for 11h59m)", "as wished (for <age>)"),
        ("ok for 2s: PostgreSQL 15.18 (Debian)", "ok for <age>: PostgreSQL <version>"),
        ("Revision:  24", "Revision: <revision>"),
        ("Seats:  5", "Seats: 5"),
    ] {
        assert_eq!(normal(line), left);
    }
}
