//! The Debian packages: installed, set up, used, upgraded while a watch is open, reloaded, killed,
//! removed and purged.

use std::{collections::BTreeSet, process::Stdio};

use serde_json::Value;
use streamspace_tests::{
    cluster::Cluster,
    daemon::Version,
    machine::Machine,
    packages::Kind,
    runtime::story,
    wait::{PATIENCE, holds, until},
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout},
    time::timeout,
};

use super::{
    SSCTL, boots, carry, create, daemon_version, enrol, files, property, set_up, two_versions,
};

async fn install(machine: &Machine, files: &str) -> String {
    machine.ok(&format!("DEBIAN_FRONTEND=noninteractive apt-get install -y {files} 2>&1")).await
}

/// The tenants of a watch that goes on, as their states come.
struct Watch {
    _child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watch {
    fn start(machine: &Machine) -> Self {
        let mut command = machine.command(&format!("{SSCTL} tenant watch -o jsonl"));
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { _child: child, lines }
    }

    async fn sees_active(&mut self, tenant: &str) {
        let wanted = format!("tenants/{tenant}");
        loop {
            let line = timeout(PATIENCE, self.lines.next_line()).await;
            let line = line.unwrap_or_else(|_| panic!("the watch does not tell of {tenant}"));
            let line = line.unwrap().unwrap_or_else(|| panic!("the watch ended before {tenant}"));
            let told: Value = serde_json::from_str(&line).unwrap();
            let told = &told["tenant"];
            if told["name"] == wanted.as_str() && told["state"] == "TENANT_STATE_ACTIVE" {
                return;
            }
        }
    }
}

/// What the unit keeps from the daemon is kept from it by the kernel.
async fn is_confined(machine: &Machine) {
    let id = property(machine, "MainPID").await;
    let status = machine.ok(&format!("cat /proc/{id}/status")).await;
    let line = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
        line.unwrap_or_default().trim().to_owned()
    };
    assert_eq!(line("Seccomp"), "2", "its system calls are filtered");
    assert_eq!(line("NoNewPrivs"), "1");
    for set in ["CapEff", "CapPrm", "CapBnd", "CapAmb"] {
        assert_eq!(line(set), "0000000000000000", "{set}");
    }
    let user = machine.ok("id -u streamspaced").await;
    assert!(line("Uid").split_whitespace().all(|uid| uid == user.trim()), "{}", line("Uid"));
    assert!(exposure(machine, "streamspaced").await <= 1.5);
}

/// What systemd rates a service at, from 0 to 10.
async fn exposure(machine: &Machine, service: &str) -> f64 {
    let rate = format!("systemd-analyze security --no-pager {service} | tail -1");
    let rated = machine.ok(&rate).await;
    let words = rated.split_whitespace().find_map(|word| word.parse::<f64>().ok());
    words.unwrap_or_else(|| panic!("no number: {rated}"))
}

#[test]
fn the_packages_live_and_go_on_a_clean_debian() {
    story(async {
        if !boots() {
            return;
        }
        let (old_version, new_version) = (Version::Before.number(), Version::This.number());
        let (old, new) = two_versions(Kind::Deb).await;
        let machine = Machine::boot().await;
        let clean = files(&machine).await;
        let cluster = Cluster::start_by(|program| machine.beside(program)).await.unwrap();

        // Installed: there, in order, and quiet until it is set up.
        let files_of_old = carry(&machine, &old);
        install(&machine, &files_of_old).await;
        assert_eq!(machine.ok("dpkg --audit").await, "");
        assert_eq!(machine.ok("systemctl --failed --no-legend").await, "");
        assert_eq!(property(&machine, "ActiveState").await, "inactive");
        machine.ok("systemd-analyze verify streamspaced.service").await;
        let owner = machine.ok("stat -c '%U:%G %a' /etc/streamspace /etc/streamspace/access").await;
        assert_eq!(owner, "root:streamspaced 750\nroot:streamspaced 750\n");
        for page in
            ["ssctl", "ssctl-tenant-create", "ssctl-config", "streamspaced", "streamspaced.toml"]
        {
            let shown = machine.ok(&format!("MANWIDTH=80 man {page} | col -b")).await;
            assert!(shown.contains("DESCRIPTION"), "{page}: {shown}");
        }
        let completed = machine
            .ok("set +eu; . /usr/share/bash-completion/bash_completion; _completion_loader ssctl; complete -p ssctl")
            .await;
        assert!(completed.contains("ssctl"), "{completed}");

        // Set up, started, and used.
        let token = set_up(&machine, &cluster).await;
        enrol(&machine, &token).await;
        is_confined(&machine).await;
        create(&machine, "acme").await;
        let mut watch = Watch::start(&machine);
        watch.sees_active("acme").await;
        assert_eq!(daemon_version(&machine).await, old_version);

        // Upgraded, with the sockets at systemd, so that nobody is refused meanwhile.
        machine
            .ok("systemctl stop streamspaced \
                 && systemctl enable --now streamspaced.socket streamspaced-http.socket 2>/dev/null \
                 && systemctl start streamspaced")
            .await;
        let said = install(&machine, &carry(&machine, &new)).await;
        assert!(!said.contains("fault"), "{said}");
        assert_eq!(property(&machine, "ActiveState").await, "active");
        assert_eq!(daemon_version(&machine).await, new_version);
        assert_eq!(property(&machine, "NRestarts").await, "0");
        create(&machine, "after-the-upgrade").await;
        watch.sees_active("after-the-upgrade").await;
        is_confined(&machine).await;
        let journal = machine.ok("journalctl -u streamspaced -p err -o cat --no-pager").await;
        assert_eq!(journal, "", "nothing went wrong");

        // A backup by its timer's service, as confined as the daemon.
        machine.ok("systemctl enable --now streamspaced-backup.timer 2>/dev/null").await;
        machine.ok("systemctl start streamspaced-backup").await;
        let verified = machine.ok("streamspaced backup verify /var/backups/streamspaced/*").await;
        assert!(verified.contains("clean-1"), "{verified}");
        assert!(exposure(&machine, "streamspaced-backup").await <= 1.5);
        let folder = machine.ok("stat -c '%U %a' /var/backups/streamspaced").await;
        assert_eq!(folder, "streamspaced 700\n");

        // A reload with a fault is refused, and one without is done; a crash is mended.
        let id = property(&machine, "MainPID").await;
        let file = "/etc/streamspace/streamspaced.toml";
        machine
            .ok(&format!("cp -p {file} /root/good && sed -i 's/^filter = .*/filter = 7/' {file}"))
            .await;
        machine.run("systemctl reload streamspaced").await.exits(1);
        machine.ok(&format!("cp -p /root/good {file} && systemctl reload streamspaced")).await;
        assert_eq!(property(&machine, "MainPID").await, id, "the same process");
        machine.ok("systemctl kill -s KILL streamspaced").await;
        until("systemd starts it again", async || {
            let now = property(&machine, "MainPID").await;
            let state = property(&machine, "ActiveState").await;
            holds(now != id && now != "0" && state == "active", || format!("{state}: {now}"))
        })
        .await;
        create(&machine, "after-the-crash").await;
        watch.sees_active("after-the-crash").await;

        // Removed: the programs are gone and what the administrator made stays.
        machine.ok("DEBIAN_FRONTEND=noninteractive apt-get remove -y streamspaced ssctl").await;
        machine.run("pgrep -x streamspaced").await.exits(1);
        machine.ok("test ! -e /usr/bin/streamspaced && test ! -e /usr/bin/ssctl").await;
        machine
            .ok("test -f /etc/streamspace/access/ca.key && test -f /etc/default/streamspaced")
            .await;
        let again = install(&machine, &files_of_old).await;
        assert!(!again.contains("fault"), "{again}");
        machine.ok("systemctl start streamspaced").await;
        assert_eq!(
            daemon_version(&machine).await,
            old_version,
            "what was kept is what it goes on with"
        );

        // Purged: what Debian's policy lets stay, and what no package may take away.
        let said = machine
            .ok("DEBIAN_FRONTEND=noninteractive apt-get purge -y streamspaced ssctl 2>&1")
            .await;
        assert!(said.contains("/etc/streamspace stays"), "{said}");
        assert!(said.contains("/var/backups/streamspaced stays"), "{said}");
        let left: BTreeSet<String> = files(&machine).await.difference(&clean).cloned().collect();
        let kept = |path: &String| {
            path.starts_with("/etc/streamspace") || path.starts_with("/var/backups/streamspaced")
        };
        assert!(left.iter().all(kept), "{left:#?}");
        assert!(left.contains("/etc/streamspace/access/ca.key"), "{left:#?}");
        assert_eq!(machine.ok("dpkg -l | grep -cE 'streamspaced|ssctl' || true").await.trim(), "0");
        assert_eq!(machine.ok("systemctl --failed --no-legend").await, "");
        // The user stays, so that no other gets its number.
        machine.ok("id streamspaced").await;
    });
}
