//! The Debian and Red Hat packages, made of the programs under test by the scripts of a release.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::LazyLock,
};

use streamspace_tests::packages::{self, Kind, Packages};
use tempfile::TempDir;

use super::root;

const VERSION: &str = "9.9.9";

/// The packages that most of these look at.
static PACKAGES: LazyLock<Packages> = LazyLock::new(|| packages::build(Kind::Deb, VERSION));

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    output
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn text(command: &mut Command) -> String {
    String::from_utf8(run(command).stdout).unwrap()
}

/// A file of a package: mode, owner, path.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct File {
    mode: String,
    owner: String,
    path: String,
}

fn files(deb: &Path) -> Vec<File> {
    let listing = text(Command::new("dpkg-deb").arg("--contents").arg(deb).env("TZ", "UTC"));
    let file = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        File { mode: words[0].into(), owner: words[1].into(), path: words[5].into() }
    };
    listing.lines().map(file).filter(|file| !file.mode.starts_with('d')).collect()
}

fn field(deb: &Path, name: &str) -> String {
    text(Command::new("dpkg-deb").arg("--field").arg(deb).arg(name)).trim().into()
}

/// All pages of a section that belong to a program.
fn pages(program: &str, section: &str) -> BTreeSet<String> {
    let names = fs::read_dir(root().join("man")).unwrap();
    names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(program) && name.ends_with(section))
        .map(|name| format!("./usr/share/man/man{}/{name}.gz", &section[1..]))
        .collect()
}

#[test]
fn a_package_has_what_belongs_to_it_and_root_owns_all_of_it() {
    for deb in [&PACKAGES.ssctl, &PACKAGES.streamspaced] {
        for file in files(deb) {
            assert_eq!(file.owner, "0/0", "{file:?}");
            let expected =
                if file.path.starts_with("./usr/bin/") { "-rwxr-xr-x" } else { "-rw-r--r--" };
            assert_eq!(file.mode, expected, "{file:?}");
        }
        assert_eq!(field(deb, "Version"), format!("{VERSION}-1"));
        assert_eq!(field(deb, "Architecture"), packages::architecture());
    }

    let paths = |deb: &Path| files(deb).into_iter().map(|file| file.path).collect::<BTreeSet<_>>();
    let ssctl = paths(&PACKAGES.ssctl);
    for path in [
        "./usr/bin/ssctl",
        "./usr/share/bash-completion/completions/ssctl",
        "./usr/share/zsh/vendor-completions/_ssctl",
        "./usr/share/fish/vendor_completions.d/ssctl.fish",
        "./usr/share/doc/ssctl/copyright",
        "./usr/share/doc/ssctl/changelog.Debian.gz",
    ] {
        assert!(ssctl.contains(path), "{path} is not in {ssctl:?}");
    }
    let all = pages("ssctl", ".1");
    assert!(all.len() > 100 && all.is_subset(&ssctl), "{:?}", all.difference(&ssctl));
    assert_eq!(field(&PACKAGES.ssctl, "Depends"), "libc6 (>= 2.28)");

    let daemon = paths(&PACKAGES.streamspaced);
    for path in [
        "./usr/bin/streamspaced",
        "./usr/lib/systemd/system/streamspaced.service",
        "./usr/lib/systemd/system/streamspaced.socket",
        "./usr/lib/systemd/system/streamspaced-http.socket",
        "./usr/lib/systemd/system/streamspaced-backup.service",
        "./usr/lib/systemd/system/streamspaced-backup.timer",
        "./usr/lib/sysusers.d/streamspaced.conf",
        "./usr/lib/tmpfiles.d/streamspaced.conf",
        "./usr/lib/tmpfiles.d/streamspaced-backup.conf",
        "./etc/default/streamspaced",
        "./usr/share/streamspaced/alerts/streamspace.rules.yaml",
        "./usr/share/doc/streamspaced/how-to/production.md",
        "./usr/share/doc/streamspaced/copyright",
    ] {
        assert!(daemon.contains(path), "{path} is not in {daemon:?}");
    }
    assert!(pages("streamspaced", ".8").is_subset(&daemon));
    assert!(pages("streamspaced", ".5").is_subset(&daemon));
    assert!(!daemon.iter().any(|path| path.contains("/etc/streamspace/")), "`init` writes that");
    let conffiles =
        text(Command::new("dpkg-deb").arg("--info").arg(&PACKAGES.streamspaced).arg("conffiles"));
    assert_eq!(conffiles.trim(), "/etc/default/streamspaced");
    let depends = field(&PACKAGES.streamspaced, "Depends");
    assert!(depends.contains("libc6 (>= 2.28)") && depends.contains("systemd"), "{depends}");
    let recommends = field(&PACKAGES.streamspaced, "Recommends");
    assert!(recommends.contains("ca-certificates"), "{recommends}");
}

/// The rules of the alerts name their runbooks by the place where the package puts them.
#[test]
fn every_runbook_that_an_alert_names_is_in_the_package() {
    let rules = fs::read_to_string(root().join("packaging/alerts/streamspace.rules.yaml")).unwrap();
    let daemon: BTreeSet<_> =
        files(&PACKAGES.streamspaced).into_iter().map(|file| file.path).collect();
    let runbooks: Vec<_> =
        rules.lines().filter_map(|line| line.trim_start().strip_prefix("runbook: ")).collect();
    assert!(runbooks.len() > 10);
    for runbook in runbooks {
        assert!(daemon.contains(&format!(".{}", runbook.trim())), "{runbook}");
    }
}

#[test]
fn completions_call_the_program_by_its_name() {
    let folder = TempDir::new().unwrap();
    run(Command::new("dpkg-deb").arg("-x").arg(&PACKAGES.ssctl).arg(folder.path()));
    for (file, expected) in [
        ("usr/share/bash-completion/completions/ssctl", "complete "),
        ("usr/share/zsh/vendor-completions/_ssctl", "#compdef ssctl"),
        ("usr/share/fish/vendor_completions.d/ssctl.fish", "complete "),
    ] {
        let script = fs::read_to_string(folder.path().join(file)).unwrap();
        assert!(script.contains(expected), "{file}: {script}");
        assert!(!script.contains("/ssctl"), "{file} calls it by a path: {script}");
    }
}

#[test]
fn the_same_programs_give_the_same_packages() {
    let again = packages::build(Kind::Deb, VERSION);
    for (one, two) in
        [(&PACKAGES.ssctl, &again.ssctl), (&PACKAGES.streamspaced, &again.streamspaced)]
    {
        assert!(fs::read(one).unwrap() == fs::read(two).unwrap(), "{}", one.display());
    }
}

#[test]
fn lintian_finds_nothing() {
    let output = Command::new("lintian")
        .args(["--allow-root", "--fail-on", "error,warning", "--tag-display-limit", "0"])
        .args([&PACKAGES.ssctl, &PACKAGES.streamspaced])
        .output()
        .expect("lintian: packaging/dev/needs packages");
    let said = said(&output);
    // The pages of the daemon are written by the program itself, once it can.
    let known = |line: &&str| {
        pages("streamspaced", ".8").is_empty() && line.contains("streamspaced: no-manual-page")
    };
    let found: Vec<_> = said
        .lines()
        .filter(|line| line.starts_with("E:") || line.starts_with("W:"))
        .filter(|line| !known(line))
        .collect();
    assert!(found.is_empty(), "{said}");
}

/// A root of its own, with a database of dpkg and nothing else in it.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        let root = TempDir::with_prefix("streamspace-dpkg-").unwrap();
        for folder in ["var/lib/dpkg/updates", "var/lib/dpkg/info", "var/log", "etc"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        fs::write(root.path().join("var/lib/dpkg/status"), "").unwrap();
        Self(root)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// Runs dpkg in it. Scripts run outside, as they do where a root is made for another machine, and
    /// act on what `DPKG_ROOT` names.
    fn dpkg(&self, arguments: &[&str], deb: Option<&Path>) -> String {
        let mut command = Command::new("dpkg");
        command
            .arg(format!("--root={}", self.0.path().display()))
            .args(["--force-script-chrootless", "--force-not-root", "--force-depends"])
            .args(["--force-bad-path", "--force-confold"])
            .args(arguments)
            .args(deb)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        said(&run(&mut command))
    }
}

#[test]
fn it_is_installed_upgraded_removed_and_purged() {
    let machine = Machine::new();
    let before = packages::build_of(&packages::programs(), Kind::Deb, "9.9.8");
    machine.dpkg(&["--install"], Some(&before.streamspaced));
    let users = fs::read_to_string(machine.path("etc/passwd")).unwrap();
    assert!(users.contains("streamspaced:x:"), "{users}");
    assert!(users.contains(":/var/lib/streamspaced:"), "{users}");
    let mode = fs::metadata(machine.path("etc/streamspace")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o750);
    assert!(machine.path("etc/streamspace/access").is_dir());
    let enabled = machine.path("etc/systemd/system/multi-user.target.wants/streamspaced.service");
    assert!(!enabled.exists(), "nothing runs before it is set up");

    // An administrator sets it up.
    fs::write(machine.path("etc/default/streamspaced"), "TOKIO_WORKER_THREADS=2\n").unwrap();
    fs::write(machine.path("etc/streamspace/streamspaced.toml"), "region = \"r\"\n").unwrap();
    fs::write(machine.path("etc/streamspace/access/ca.key"), "the key\n").unwrap();
    fs::create_dir_all(machine.path("var/lib/streamspaced/some")).unwrap();

    machine.dpkg(&["--install"], Some(&PACKAGES.streamspaced));
    // The scripts are run again where dpkg was stopped in between.
    let script = machine.path("var/lib/dpkg/info/streamspaced.postinst");
    for _ in 0..2 {
        let mut again = Command::new(&script);
        run(again.args(["configure", "9.9.9-1"]).env("DPKG_ROOT", machine.0.path()));
    }
    let kept = fs::read_to_string(machine.path("etc/default/streamspaced")).unwrap();
    assert_eq!(kept, "TOKIO_WORKER_THREADS=2\n");
    let after = fs::read_to_string(machine.path("etc/passwd")).unwrap();
    assert_eq!(after, users, "a second time makes no second user");
    let mode = |path: &str| fs::metadata(machine.path(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode("etc/streamspace/access/ca.key"), 0o640);

    machine.dpkg(&["--remove", "streamspaced"], None);
    assert!(!machine.path("usr/bin/streamspaced").exists());
    assert!(machine.path("etc/default/streamspaced").exists());
    assert!(machine.path("var/lib/streamspaced/some").exists());

    let told = machine.dpkg(&["--purge", "streamspaced"], None);
    assert!(told.contains("etc/streamspace stays"), "{told}");
    assert!(told.contains("rm -r "), "{told}");
    assert!(machine.path("etc/streamspace/access/ca.key").exists(), "it locks everybody out");
    assert!(!machine.path("var/lib/streamspaced").exists());
    assert!(!machine.path("etc/default/streamspaced").exists());
    assert!(!machine.path("usr").exists(), "{:?}", left(&machine.path("usr")));
}

/// Where nobody ran `init` nothing of it is left but the user.
#[test]
fn what_was_never_set_up_leaves_nothing() {
    let machine = Machine::new();
    machine.dpkg(&["--install"], Some(&PACKAGES.streamspaced));
    machine.dpkg(&["--install"], Some(&PACKAGES.ssctl));
    let told = machine.dpkg(&["--purge", "streamspaced", "ssctl"], None);
    assert!(!told.contains("stays"), "{told}");
    let left: Vec<_> = left(machine.0.path())
        .into_iter()
        .filter(|path| !path.starts_with("var/lib/dpkg") && !path.starts_with("var/log"))
        .collect();
    let accounts = ["etc/group", "etc/gshadow", "etc/passwd", "etc/shadow", "etc/.pwd.lock"];
    assert!(left.iter().all(|path| accounts.contains(&path.to_str().unwrap())), "{left:?}");
}

/// The files below a folder.
fn left(folder: &Path) -> Vec<PathBuf> {
    let found = text(Command::new("find").arg(folder).args(["!", "-type", "d", "-printf", "%P\n"]));
    found.lines().map(PathBuf::from).collect()
}

#[test]
fn an_rpm_has_the_same_and_nothing_of_this_machine() {
    let folder = TempDir::new().unwrap();
    packages::package(&packages::programs(), folder.path(), VERSION, &[]);
    let arch = std::env::consts::ARCH;
    let rpm = |name: &str| folder.path().join(format!("{name}-{VERSION}-1.{arch}.rpm"));
    let ask = |name: &str, query: &[&str]| {
        text(Command::new("rpm").arg("-qp").args(query).arg(rpm(name)).env("TZ", "UTC"))
    };
    for name in ["ssctl", "streamspaced"] {
        // The list and the Debian package's are the same, but for what each wants of its own.
        let own = |path: &String| {
            ["/usr/share/doc/", "/usr/share/licenses/", "/usr/share/lintian/", "/usr/share/zsh/"]
                .iter()
                .chain(&["/etc/"])
                .any(|folder| path.starts_with(folder))
        };
        let listed: BTreeSet<String> = ask(name, &["--qf", "[%{FILEMODES:perms} %{FILENAMES}\n]"])
            .lines()
            .filter(|line| !line.starts_with('d'))
            .map(|line| line.split(' ').nth(1).unwrap().to_owned())
            .collect();
        let deb =
            folder.path().join(format!("{name}_{VERSION}-1_{}.deb", packages::architecture()));
        let debian: BTreeSet<String> =
            files(&deb).into_iter().map(|file| file.path[1..].to_owned()).collect();
        let common = |paths: &BTreeSet<String>| -> BTreeSet<String> {
            paths.iter().filter(|path| !own(path)).cloned().collect()
        };
        assert_eq!(common(&listed), common(&debian));
        assert_eq!(ask(name, &["--qf", "%{BUILDHOST}|%{VERSION}"]), format!("(none)|{VERSION}"));
        let owners = ask(name, &["--qf", "[%{FILEUSERNAME}:%{FILEGROUPNAME}\n]"]);
        assert!(owners.lines().all(|owner| owner == "root:root"), "{owners}");
    }
    assert_eq!(ask("streamspaced", &["--configfiles"]).trim(), "/etc/sysconfig/streamspaced");
    let scripts = ask("streamspaced", &["--scripts"]);
    for part in ["postinstall", "preuninstall", "postuninstall", "posttrans", "systemd-sysusers"] {
        assert!(scripts.contains(part), "{part}: {scripts}");
    }
    let archive = format!("streamspace-{VERSION}-{arch}-linux");
    let listed =
        text(Command::new("tar").arg("-tzf").arg(folder.path().join(format!("{archive}.tar.gz"))));
    for path in ["bin/ssctl", "bin/streamspaced", "LICENSE-MIT", "share/man/man1/ssctl.1.gz"] {
        assert!(listed.lines().any(|line| line == format!("{archive}/{path}")), "{path}: {listed}");
    }
}

/// `cargo tree` and the list agree on what the programs are made of.
#[test]
fn the_bill_of_materials_names_every_crate() {
    let folder = TempDir::new().unwrap();
    let triple = text(Command::new("rustc").args(["--print", "host-tuple"]));
    run(Command::new(root().join("packaging/release/sbom"))
        .arg(folder.path())
        .arg(triple.trim())
        .env("RUSTFLAGS", ""));
    for name in ["ssctl", "streamspaced"] {
        let own = env!("CARGO_PKG_VERSION");
        let list = fs::read(folder.path().join(format!("{name}-{own}.cdx.json"))).unwrap();
        let list: serde_json::Value = serde_json::from_slice(&list).unwrap();
        assert_eq!(list["metadata"]["component"]["name"], name);
        let listed: BTreeSet<(&str, &str)> = list["components"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["name"].as_str().unwrap(), one["version"].as_str().unwrap()))
            .collect();
        let tree = text(
            Command::new("cargo")
                .args(["tree", "--offline", "-p", name, "-e", "normal", "--prefix", "none"])
                .args(["--format", "{p}", "--target", triple.trim()])
                .current_dir(root()),
        );
        for line in tree.lines().filter(|line| !line.is_empty()) {
            let mut words = line.split(' ');
            let (crate_name, version) = (words.next().unwrap(), words.next().unwrap());
            let one = (crate_name, version.trim_start_matches('v'));
            assert!(one.0 == name || listed.contains(&one), "{one:?} is not in the list of {name}");
        }
        assert!(!list.to_string().contains(root().to_str().unwrap()), "a path of this machine");
    }
}

/// The sums of a release, signed by minisign as the release is, and altered after.
#[test]
fn ssctl_takes_what_was_signed_and_refuses_what_was_altered() {
    let folder = TempDir::new().unwrap();
    let home = folder.path();
    let deb = home.join(PACKAGES.ssctl.file_name().unwrap());
    fs::copy(&PACKAGES.ssctl, &deb).unwrap();
    let minisign = |arguments: &[&str]| {
        run(Command::new("minisign").args(arguments).current_dir(home));
    };
    let ssctl = |arguments: &[&str]| {
        Command::new(streamspace_tests::daemon::program("ssctl"))
            .args(["version", "--verify"])
            .args(arguments)
            .env("XDG_CONFIG_HOME", home)
            .current_dir(home)
            .output()
            .unwrap()
    };
    minisign(&["-G", "-W", "-s", "release.key", "-p", "release.pub"]);
    let name = deb.file_name().unwrap().to_str().unwrap().to_owned();
    let program = streamspace_tests::daemon::program("ssctl");
    let sum = |path: &Path| {
        text(Command::new("sha256sum").arg(path)).split(' ').next().unwrap().to_owned()
    };
    let sums = format!("{}  {name}\n{}  a/bin/ssctl\n", sum(&deb), sum(&program));
    fs::write(home.join("SHA256SUMS"), sums).unwrap();
    minisign(&["-S", "-s", "release.key", "-m", "SHA256SUMS", "-t", "StreamSpace 9.9.9"]);

    let output = ssctl(&[&name, "--key", "release.pub"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("StreamSpace 9.9.9"), "{}", said(&output));
    let output = ssctl(&["--sums", "SHA256SUMS", "--key", "release.pub"]);
    assert_eq!(output.status.code(), Some(0), "the program itself: {}", said(&output));

    let mut altered = fs::read(&deb).unwrap();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    fs::write(&deb, altered).unwrap();
    let output = ssctl(&[&name, "--key", "release.pub"]);
    assert_eq!(output.status.code(), Some(11), "{}", said(&output));
    assert!(said(&output).contains("altered"), "{}", said(&output));
}
