//! The life of the packages on a clean Debian with a real systemd: installed, set up, used,
//! upgraded and removed.

mod debian;
mod rpm;

use std::{collections::BTreeSet, fs};

use serde_json::Value;
use streamspace_tests::{
    cluster::Cluster,
    daemon::Version,
    machine::{Machine, can_boot},
    packages::{self, Kind, Packages},
    wait::{holds, until},
};

const SSCTL: &str = "export SSCTL_CREDENTIAL_STORE=file; ssctl";

/// Copies packages in, and gives what an installer is told to install.
fn carry(machine: &Machine, packages: &Packages) -> String {
    let place = machine.path("/root");
    let names = [&packages.streamspaced, &packages.ssctl].map(|file| {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        fs::copy(file, place.join(&name)).unwrap();
        format!("/root/{name}")
    });
    names.join(" ")
}

/// Packages of the version before and of this one.
async fn two_versions(kind: Kind) -> (Packages, Packages) {
    tokio::task::spawn_blocking(move || {
        let before = Version::Before;
        let programs = before.program("ssctl").parent().unwrap().to_path_buf();
        let old = packages::build_of(&programs, kind, &before.number());
        (old, packages::build(kind, &Version::This.number()))
    })
    .await
    .unwrap()
}

/// Whether the stories run here; where they do not, that is said.
fn boots() -> bool {
    let boots = can_boot();
    if !boots {
        eprintln!("not run: a Debian is booted by root on Linux, who may make namespaces");
    }
    boots
}

/// All files and folders but those that a running system writes by itself.
async fn files(machine: &Machine) -> BTreeSet<String> {
    let listed = machine
        .ok("find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp \
                 -o -path /root -o -path /var/lib/postgresql -o -path /var/log -o -path /var/cache \
                 -o -path /var/lib/systemd -o -path /var/lib/dpkg -o -path /var/lib/apt \
                 -o -path /var/tmp -o -path /mnt \\) -prune -o -print")
        .await;
    listed.lines().map(str::to_owned).collect()
}

async fn property(machine: &Machine, name: &str) -> String {
    machine.ok(&format!("systemctl show --value -p {name} streamspaced")).await.trim().to_owned()
}

async fn create(machine: &Machine, tenant: &str) {
    let flags = "--plan free --seats 1 --wait";
    machine.ok(&format!("{SSCTL} tenant create {tenant} {flags}")).await;
}

/// As the guide says: the database, the file, the cluster, the rights of the files.
async fn set_up(machine: &Machine, cluster: &Cluster) -> String {
    machine
        .ok("runuser -u postgres -- psql -qc \"ALTER ROLE postgres PASSWORD 'first'\" \
             && systemctl is-active postgresql@15-main")
        .await;
    let said = machine
        .ok("export STREAMSPACED_DATABASE_SUPERUSER=postgres://postgres:first@127.0.0.1/postgres; \
             streamspaced init --region clean-1 --operator ada")
        .await;
    let token = said.split("--token").nth(1).and_then(|rest| rest.split_whitespace().next());
    let administrator = fs::read(cluster.kubeconfig()).unwrap();
    fs::write(machine.path("/root/admin.conf"), &administrator).unwrap();
    fs::write(machine.path("/etc/streamspace/kubeconfig"), &administrator).unwrap();
    machine
        .ok("sed -i 's|# kubeconfig =|kubeconfig =|' /etc/streamspace/streamspaced.toml \
             && streamspaced cluster install --crds --kubeconfig /root/admin.conf")
        .await;
    let kubectl = Cluster::kubectl().await.unwrap();
    let kubectl = async |arguments: &[&str]| {
        let mut command = machine.beside(&kubectl);
        let output = command.arg("--kubeconfig").arg(cluster.kubeconfig()).args(arguments).output();
        let output = output.await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let namespace = ["-n", "streamspace-system"];
    kubectl(&[&namespace[..], &["create", "serviceaccount", "streamspaced"]].concat()).await;
    kubectl(&[
        "create",
        "clusterrolebinding",
        "streamspaced",
        "--clusterrole=streamspace-base",
        "--serviceaccount=streamspace-system:streamspaced",
    ])
    .await;
    let token_of = [&namespace[..], &["create", "token", "streamspaced"]].concat();
    let account = kubectl(&token_of).await;
    let mut kubeconfig = kube::config::Kubeconfig::read_from(cluster.kubeconfig()).unwrap();
    for user in &mut kubeconfig.auth_infos {
        let token = Some(account.trim().to_owned().into());
        user.auth_info = Some(kube::config::AuthInfo { token, ..Default::default() });
    }
    let text = serde_json::to_string(&kubeconfig).unwrap();
    fs::write(machine.path("/etc/streamspace/kubeconfig"), text).unwrap();
    machine
        .ok("systemd-tmpfiles --create streamspaced.conf \
             && runuser -u streamspaced -- streamspaced check-config")
        .await;
    token.unwrap().to_owned()
}

/// Starts the daemon for good, enrols, and waits for the leader.
async fn enrol(machine: &Machine, token: &str) {
    machine.ok("systemctl enable --now streamspaced 2>/dev/null").await;
    assert_eq!(property(machine, "ActiveState").await, "active");
    machine.ok(&format!("{SSCTL} login localhost:7443 --token {token}")).await;
    until("the replica leads", async || {
        let status = property(machine, "StatusText").await;
        holds(status.contains("leads"), || status.clone())
    })
    .await;
}

async fn daemon_version(machine: &Machine) -> String {
    let shown = machine.ok(&format!("{SSCTL} region show -o json")).await;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    shown["daemonVersion"].as_str().unwrap_or_default().to_owned()
}
