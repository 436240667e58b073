//! `ssctl version --verify`, word for word, on a release whose key is nobody's any more.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::format_push_string,
    clippy::format_collect,
    reason = "a test that cannot go on must stop"
)]

mod machine;

use std::{fs, path::Path};

use machine::{Machine, golden};
use serde_json::Value;

const DEB: &str = "ssctl_9.9.9-1_amd64.deb";

/// A machine with the release in its home.
fn machine() -> Machine {
    let machine = Machine::new();
    let release = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/release");
    for file in fs::read_dir(release).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), machine.home.path().join(file.file_name())).unwrap();
    }
    machine
}

/// A transcript of commands in the home.
fn transcript(machine: &Machine, commands: &[&str]) -> String {
    let mut transcript = String::new();
    for command in commands {
        let words: Vec<_> = command.split(' ').collect();
        let output = machine.command(&words).current_dir(machine.home.path()).output().unwrap();
        let run = machine::Run::new(output);
        let stderr = run.stderr.lines().map(|line| format!("| {line}\n")).collect::<String>();
        transcript += &format!("$ ssctl {command}\n{}{stderr}= {}\n\n", run.stdout, run.exit);
    }
    machine.plain(&transcript).replace(env!("CARGO_PKG_VERSION"), "VERSION")
}

#[test]
fn what_was_signed_is_told_from_what_was_not() {
    let machine = machine();
    machine.file("other.deb", "of another release\n");
    machine.file("renamed.deb", "what a package holds\n");
    machine.file("altered/ssctl_9.9.9-1_amd64.deb", "what a thief holds\n");
    machine.file("extracted/bin/ssctl", "a program\n");
    golden(
        "verify.txt",
        &transcript(
            &machine,
            &[
                "version --verify ssctl_9.9.9-1_amd64.deb --key key.pub",
                "version --verify ssctl_9.9.9-1_amd64.deb --key key.pub -q",
                "version --verify ssctl_9.9.9-1_amd64.deb --key key.pub -o json",
                "version --verify ssctl_9.9.9-1_amd64.deb --key key.pub -o csv",
                "version --verify ssctl_9.9.9-1_amd64.deb --key key.pub -o name",
                "version --verify extracted/bin/ssctl --sums SHA256SUMS --key key.pub",
                "version --verify altered/ssctl_9.9.9-1_amd64.deb ssctl_9.9.9-1_amd64.deb --sums SHA256SUMS --key key.pub",
                "version --verify other.deb --key key.pub",
                "version --verify renamed.deb --key key.pub",
                "version --verify missing.deb --key key.pub",
                "version --verify ssctl_9.9.9-1_amd64.deb --key other.pub",
                "version --verify ssctl_9.9.9-1_amd64.deb --key SHA256SUMS",
                "version --verify ssctl_9.9.9-1_amd64.deb --key missing.pub",
                "version --verify ssctl_9.9.9-1_amd64.deb",
                "version --verify --key key.pub",
                "version --verify ssctl_9.9.9-1_amd64.deb --sums letter --key key.pub",
                "version ssctl_9.9.9-1_amd64.deb",
            ],
        ),
    );
}

/// The program that runs is none of that release.
#[test]
fn the_program_itself_is_held_against_the_list() {
    let machine = machine();
    let run = machine.command(&[
        "version",
        "--verify",
        "--sums",
        "SHA256SUMS",
        "--key",
        "key.pub",
        "-o",
        "json",
    ]);
    let run = { run }.current_dir(machine.home.path()).output().unwrap();
    assert_eq!(run.status.code(), Some(11));
    let value: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(
        (&value["verified"], &value["files"][0]["result"]),
        (&false.into(), &"altered".into())
    );
}

#[test]
fn what_is_hostile_is_refused_and_shown_harmless() {
    let machine = machine();
    let verify = |expected: i32, said: &str| {
        let run = machine
            .command(&["version", "--verify", DEB, "--key", "key.pub"])
            .current_dir(machine.home.path())
            .output()
            .unwrap();
        let run = machine::Run::new(run);
        assert_eq!(run.exit, expected, "{}", run.stderr);
        assert!(run.stderr.contains(said), "{said}: {}", run.stderr);
        assert!(!run.stderr.chars().any(|c| c.is_control() && c != '\n'), "{:?}", run.stderr);
    };
    let copy = |from: &str, to: &str| {
        fs::copy(machine.home.path().join(from), machine.home.path().join(to)).unwrap();
    };
    verify(0, "StreamSpace 9.9.9");
    copy("controls.minisig", "SHA256SUMS.minisig");
    verify(0, r"Stream\u{1b}[2JSpace");
    // Signed without a digest: an older form, which nothing here makes.
    copy("legacy.minisig", "SHA256SUMS.minisig");
    verify(11, "is not signed");
    let good = fs::read_to_string(machine.home.path().join("controls.minisig")).unwrap();
    for junk in [
        "",
        "\n\n\n\n",
        "untrusted comment: \u{1b}[2J\nRUS\u{1b}[2J\ntrusted comment: \u{1b}\n",
        &good.replace("trusted comment: Stream", "trusted comment: Steam"),
        &good.replace("trusted comment: ", "trusted: "),
        &good.replacen("RUSK", "RWSK", 1),
        &good.lines().take(3).collect::<Vec<_>>().join("\n"),
    ] {
        machine.file("SHA256SUMS.minisig", junk);
        verify(11, "is not signed");
    }
    fs::write(machine.home.path().join("SHA256SUMS.minisig"), [0xff, 0xfe]).unwrap();
    verify(1, "no text");
    machine.file("SHA256SUMS.minisig", &"x".repeat(8193));
    verify(1, "longer than 8192 bytes");
    machine.file("SHA256SUMS", &"x".repeat((1 << 20) + 1));
    verify(1, "longer than 1048576 bytes");
    fs::remove_file(machine.home.path().join("SHA256SUMS")).unwrap();
    fs::create_dir(machine.home.path().join("SHA256SUMS")).unwrap();
    verify(1, "it is no file");
}

/// One bit less, and it is not signed.
#[test]
fn every_altered_byte_of_the_list_is_found() {
    let machine = machine();
    let list = fs::read(machine.home.path().join("SHA256SUMS")).unwrap();
    for place in [0, 63, 66, list.len() - 1] {
        let mut altered = list.clone();
        altered[place] ^= 1;
        fs::write(machine.home.path().join("SHA256SUMS"), &altered).unwrap();
        let run = machine
            .command(&["version", "--verify", DEB, "--key", "key.pub"])
            .current_dir(machine.home.path())
            .output()
            .unwrap();
        assert_eq!((run.status.code(), run.stdout.len()), (Some(11), 0), "byte {place}");
    }
}
