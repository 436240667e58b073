//! `streamspaced check-config`: what is wrong with the configuration, before a start or a
//! reload meets it. It reads files and connects nowhere.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use crate::{
    access::{Authority, AuthorityFiles},
    config::Config,
    kube::Cluster,
};

/// Everything that is wrong, each beginning with the field or the file, with what to do. Of
/// a file that cannot be read as TOML only that is told.
pub async fn check(path: &Path) -> Vec<String> {
    let mut config = match Config::parse(path) {
        Ok((config, _)) => config,
        Err(error) => return vec![error.to_string()],
    };
    let mut faults = config.faults();
    if config.database.passwords.is_none() {
        faults.extend(closed(&path.display().to_string(), path));
    }
    faults.extend(config.database.read_passwords().err());
    faults.extend(addresses(&config));
    if let Err(error) = Cluster::check(&config.cluster).await {
        faults.push(format!("cluster.kubeconfig: {error}"));
    }
    faults.extend(authority(&config));
    for (field, file) in secrets(&config) {
        faults.extend(closed(&field, &file));
    }
    faults
}

/// Files with something in them that only the daemon may know.
fn secrets(config: &Config) -> Vec<(String, PathBuf)> {
    let mut secrets = config.foreign_files();
    for file in config.database.password_files() {
        secrets.push(("database.passwords".into(), file));
    }
    let key = AuthorityFiles::in_folder(&config.access.directory).key;
    secrets.push(("access.directory".into(), key));
    secrets
}

/// Whether others read or change it. A file that is not there is told of elsewhere.
fn closed(field: &str, file: &Path) -> Option<String> {
    let mode = fs::metadata(file).ok()?.permissions().mode() & 0o777;
    let who = if mode & 0o007 != 0 {
        "everybody on this host comes to what is secret in it"
    } else if mode & 0o020 != 0 {
        "its group can change it"
    } else {
        return None;
    };
    let place = file.display();
    Some(format!("{field}: {place} has mode {mode:04o}, so {who}; `chmod 0640 {place}`"))
}

fn authority(config: &Config) -> Vec<String> {
    let files = AuthorityFiles::in_folder(&config.access.directory);
    let authority = match Authority::open(&files) {
        Ok(authority) => authority,
        Err(error) => return vec![format!("access.directory: {error}")],
    };
    let mut faults = Vec::new();
    let now = Timestamp::now();
    if authority.expires() <= now {
        let file = files.certificate.display();
        faults.push(format!("access.directory: {file} ended at {}", authority.expires()));
    }
    if let Err(error) = authority.trust_bundle() {
        faults.push(format!("access.directory: {}: {error}", files.trust.display()));
    }
    if let Err(error) = authority.issue_server(&config.access.names, now) {
        faults.push(format!("access.names: {error}"));
    }
    faults
}

/// Two listeners cannot have one port.
fn addresses(config: &Config) -> Vec<String> {
    let all: [(&str, Option<SocketAddr>); 4] = [
        ("listen.grpc", Some(config.listen.grpc)),
        ("listen.http", Some(config.listen.http)),
        ("sessions.webhook.listen", config.sessions.webhook.listen),
        ("notify.inbound.listen", config.notify.inbound.listen),
    ];
    let mut faults = Vec::new();
    let mut seen: Vec<(&str, SocketAddr)> = Vec::new();
    for (field, address) in all {
        let Some(address) = address.filter(|address| address.port() != 0) else { continue };
        if let Some((other, _)) = seen.iter().find(|(_, seen)| collide(*seen, address)) {
            faults.push(format!("{field}: {address} is taken by {other}; give it another port"));
        }
        seen.push((field, address));
    }
    faults
}

fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && (any || one.ip() == other.ip())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const KUBECONFIG: &str = "apiVersion: v1\nkind: Config\ncurrent-context: a\n\
        clusters: [{name: a, cluster: {server: 'http://127.0.0.1:1'}}]\n\
        contexts: [{name: a, context: {cluster: a, user: a}}]\nusers: [{name: a, user: {}}]\n";

    fn write(file: &Path, text: &str, mode: u32) {
        fs::write(file, text).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A folder with all that a good configuration needs, which has this beside.
    fn folder(more: &str) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        let database: String = ["owner", "operator", "tenant", "audit", "maintainer"]
            .map(|login| format!("{login} = 'postgres://u:p@127.0.0.1:1/d'\n"))
            .concat();
        let text = format!(
            "region = 'test-1'\n{more}\n[database]\n{database}\n\
             [cluster]\nkubeconfig = '{at}/kubeconfig'\n[access]\ndirectory = '{at}'\n"
        );
        write(&folder.path().join("kubeconfig"), KUBECONFIG, 0o600);
        let files = AuthorityFiles::in_folder(folder.path());
        Authority::create(&files, "test-1", Timestamp::now()).unwrap();
        let file = folder.path().join("streamspaced.toml");
        write(&file, &text, 0o640);
        (folder, file)
    }

    #[tokio::test]
    async fn a_good_configuration_has_no_fault_although_nothing_listens() {
        let (_folder, file) = folder("");
        assert_eq!(check(&file).await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn each_fault_is_told_with_its_field_and_what_to_do() {
        let (folder, file) = folder(
            "listen.http = '127.0.0.1:7443'\ntenants.workers = 0\nlog.filter = 'a=loud'\n\
             slo.evaluate_seconds = 1\nnotify.channels.a = {kind = 'webhook', for = []}\n\
             notify.channels.b = {kind = 'webhook', for = ['page'], url = 'x'}",
        );
        write(&file, &fs::read_to_string(&file).unwrap(), 0o644);
        write(&folder.path().join("kubeconfig"), "contexts: 1", 0o660);
        write(&folder.path().join("ca.key"), "none", 0o600);
        let faults = check(&file).await;
        for wanted in [
            "tenants.workers: 0 must be 1 to 256",
            "log.filter: ",
            "slo.evaluate_seconds: ",
            "notify.channels.a.for: is empty",
            "notify.channels.b.url: ",
            "streamspaced.toml has mode 0644, so everybody on this host",
            "listen.http: 127.0.0.1:7443 is taken by listen.grpc",
            "cluster.kubeconfig: ",
            "kubeconfig has mode 0660, so its group can change it; `chmod 0640 ",
            "ca.key: not a private key",
        ] {
            assert!(faults.iter().any(|fault| fault.contains(wanted)), "{wanted}: {faults:#?}");
        }
        assert_eq!(faults.len(), 10, "{faults:#?}");
    }

    #[tokio::test]
    async fn what_is_not_there_or_no_toml_is_told_alone() {
        let faults = check(Path::new("/nowhere/streamspaced.toml")).await;
        assert!(faults.len() == 1 && faults[0].contains("streamspaced init"), "{faults:?}");
        let (_folder, file) = folder("listen = 1");
        let faults = check(&file).await;
        assert!(faults.len() == 1 && faults[0].contains("listen"), "{faults:?}");
    }
}
