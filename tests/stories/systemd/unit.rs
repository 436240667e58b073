//! The units of `packaging/systemd/`, held against the systemd of this machine where there is
//! one.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use streamspace_tests::daemon::program;
use tempfile::TempDir;

/// The most exposure, in tenths, as `systemd-analyze security` counts it.
const MOST_EXPOSURE: &str = "--threshold=15";

fn packaged(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    root.join("packaging/systemd").join(name)
}

/// What the command says, or nothing where this machine does not have it.
fn run(command: &str, arguments: &[&str]) -> Option<Output> {
    let output = Command::new(command).args(arguments).output();
    let output = match output {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("not looked at: this machine has no {command}");
            return None;
        }
        output => output.unwrap(),
    };
    Some(output)
}

fn is_good(output: &Output) {
    let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn the_unit_lets_the_daemon_do_little() {
    let unit = packaged("streamspaced.service");
    let unit = unit.to_str().unwrap();
    let arguments = ["security", "--offline=true", MOST_EXPOSURE, "--no-pager", unit];
    if let Some(output) = run("systemd-analyze", &arguments) {
        is_good(&output);
    }
}

#[test]
fn systemd_finds_no_fault_in_the_units() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["streamspaced.service", "streamspaced.socket", "streamspaced-http.socket"];
    let copies = names.map(|name| {
        let text = fs::read_to_string(packaged(name)).unwrap();
        // It looks for the program.
        let built = program("streamspaced").display().to_string();
        let copy = folder.path().join(name);
        fs::write(&copy, text.replace("/usr/bin/streamspaced", &built)).unwrap();
        copy.display().to_string()
    });
    let mut arguments = vec!["verify", "--man=no", "--recursive-errors=no"];
    arguments.extend(copies.iter().map(String::as_str));
    if let Some(output) = run("systemd-analyze", &arguments) {
        is_good(&output);
        // An unknown key is a warning alone.
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let ours: Vec<&str> = said.lines().filter(|line| line.contains("streamspaced")).collect();
        assert!(ours.is_empty(), "{ours:#?}");
    }
}

#[test]
fn the_files_of_init_are_given_to_the_daemons_group_and_to_nobody_else() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not looked at: only root gives files away");
        return;
    }
    let host = TempDir::new().unwrap();
    let root = format!("--root={}", host.path().display());
    let [users, files] = ["sysusers", "tmpfiles"].map(|kind| {
        // Found by its name in the root alone.
        let folder = host.path().join(format!("usr/lib/{kind}.d"));
        fs::create_dir_all(&folder).unwrap();
        fs::copy(packaged(&format!("streamspaced.{kind}")), folder.join("streamspaced.conf"))
            .unwrap();
        "streamspaced.conf"
    });
    fs::create_dir_all(host.path().join("etc/streamspace/access")).unwrap();
    let file = |name: &str| host.path().join("etc/streamspace").join(name);
    for name in ["streamspaced.toml", "kubeconfig", "access/ca.key"] {
        fs::write(file(name), "").unwrap();
        fs::set_permissions(file(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    for (command, arguments) in [
        ("systemd-sysusers", vec![root.as_str(), users]),
        ("systemd-tmpfiles", vec![root.as_str(), "--create", files]),
    ] {
        let Some(output) = run(command, &arguments) else { return };
        is_good(&output);
    }
    let passwords = fs::read_to_string(host.path().join("etc/passwd")).unwrap();
    let line = passwords.lines().find(|line| line.starts_with("streamspaced:")).unwrap();
    assert!(line.ends_with(":/var/lib/streamspaced:/usr/sbin/nologin"), "{line}");
    let group: u32 = line.split(':').nth(3).unwrap().parse().unwrap();
    for (name, mode) in [
        ("", 0o750),
        ("access", 0o750),
        ("streamspaced.toml", 0o640),
        ("kubeconfig", 0o640),
        ("access/ca.key", 0o640),
    ] {
        let seen = fs::metadata(file(name)).unwrap();
        assert_eq!((seen.uid(), seen.gid(), seen.mode() & 0o777), (0, group, mode), "{name}");
    }
}
