//! The rpms and their scripts: installed, set up, upgraded while the daemon runs, and erased. The
//! machine is a Debian with `rpm`, so what they require is not asked for.

use std::collections::BTreeSet;

use streamspace_tests::{
    cluster::Cluster, daemon::Version, machine::Machine, packages::Kind, runtime::story,
};

use super::{boots, carry, create, daemon_version, enrol, files, property, set_up, two_versions};

/// Debian's own program asks to be told that this is meant.
async fn rpm(machine: &Machine, verb: &str, packages: &str) -> String {
    let said = machine.ok(&format!("rpm --force-debian --nodeps {verb} {packages} 2>&1")).await;
    assert!(!said.contains("scriptlet failed"), "{said}");
    said
}

#[test]
fn the_rpms_live_and_go_where_systemd_runs() {
    story(async {
        if !boots() {
            return;
        }
        let (old_version, new_version) = (Version::Before.number(), Version::This.number());
        let (old, new) = two_versions(Kind::Rpm).await;
        let machine = Machine::boot().await;
        let clean = files(&machine).await;
        let cluster = Cluster::start_by(|program| machine.beside(program)).await.unwrap();

        // Installed: there, with its user and folders, and quiet until it is set up.
        let said = rpm(&machine, "--install", &carry(&machine, &old)).await;
        assert!(said.lines().all(|line| line.starts_with("Creating ")), "{said}");
        assert_eq!(machine.ok("systemctl --failed --no-legend").await, "");
        assert_eq!(property(&machine, "ActiveState").await, "inactive");
        assert_eq!(property(&machine, "UnitFileState").await, "disabled");
        let owner = machine.ok("stat -c '%U:%G %a' /etc/streamspace /var/backups/streamspaced");
        assert_eq!(owner.await, "root:streamspaced 750\nstreamspaced:streamspaced 700\n");
        assert_eq!(machine.ok("rpm --verify --nodeps streamspaced ssctl").await, "");

        // Set up and used.
        let token = set_up(&machine, &cluster).await;
        enrol(&machine, &token).await;
        create(&machine, "acme").await;
        assert_eq!(daemon_version(&machine).await, old_version);

        // Upgraded while it runs: the script starts the new program, and what was edited stays.
        machine.ok("echo '# mine' >>/etc/sysconfig/streamspaced").await;
        let id = property(&machine, "MainPID").await;
        let said = rpm(&machine, "--upgrade", &carry(&machine, &new)).await;
        assert!(!said.contains("fault"), "{said}");
        assert_eq!(property(&machine, "ActiveState").await, "active");
        assert_ne!(property(&machine, "MainPID").await, id);
        assert_eq!(daemon_version(&machine).await, new_version);
        assert_eq!(machine.ok("tail -1 /etc/sysconfig/streamspaced").await, "# mine\n");
        create(&machine, "after-the-upgrade").await;

        // Another version onto a fault in the configuration leaves the program that runs alone.
        let file = "/etc/streamspace/streamspaced.toml";
        machine
            .ok(&format!("cp -p {file} /root/good && sed -i 's/^filter = .*/filter = 7/' {file}"))
            .await;
        let id = property(&machine, "MainPID").await;
        let said = rpm(&machine, "--upgrade --oldpackage", &carry(&machine, &old)).await;
        assert!(said.contains("finds a fault in the configuration"), "{said}");
        assert_eq!(property(&machine, "MainPID").await, id, "the one before goes on");
        assert_eq!(daemon_version(&machine).await, new_version);
        machine.ok(&format!("cp -p /root/good {file} && systemctl restart streamspaced")).await;
        assert_eq!(daemon_version(&machine).await, old_version);

        // Erased: stopped and gone, and what the administrator made stays.
        let said = rpm(&machine, "--erase", "streamspaced ssctl").await;
        assert!(said.contains("/etc/streamspace and /var/lib/streamspaced stay"), "{said}");
        machine.run("pgrep -x streamspaced").await.exits(1);
        assert_eq!(machine.ok("systemctl --failed --no-legend").await, "");
        let left: BTreeSet<String> = files(&machine).await.difference(&clean).cloned().collect();
        assert!(left.contains("/etc/streamspace/access/ca.key"), "{left:#?}");
        let kept = |path: &String| {
            let own = path.contains("streamspace") || path.contains("ssctl");
            // An rpm lists no folders that are the system's.
            (!own && machine.path(path).is_dir())
                || path.starts_with("/etc/streamspace")
                || path.starts_with("/var/lib/streamspaced")
                || path.starts_with("/var/backups/streamspaced")
                || path == "/etc/sysconfig/streamspaced.rpmsave"
                || path.starts_with("/var/lib/rpm/")
        };
        let more: Vec<_> = left.iter().filter(|path| !kept(path)).collect();
        assert!(more.is_empty(), "{more:#?}");
    });
}
