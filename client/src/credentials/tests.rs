use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};

use super::*;

fn identity() -> Identity {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2026, 1, 4);
    let certificate = params.self_signed(&key).unwrap();
    Identity::new(vec![certificate.der().clone()], pem::pkcs8(&key)).unwrap()
}

fn credential() -> Credential {
    Credential { device: Some(identity()), client: identity() }
}

/// An environment without a keyring.
fn environment(folder: &Path) -> Environment {
    let folder = folder.to_str().unwrap().to_owned();
    Environment::new(move |name| match name {
        "XDG_CONFIG_HOME" => Some(folder.clone()),
        "SSCTL_CREDENTIAL_STORE" => Some("file".into()),
        _ => None,
    })
}

#[cfg(unix)]
#[test]
fn keys_are_kept_in_a_file_that_only_the_owner_may_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let made = credential();
    let reference = made.keep("dev", &environment(folder.path())).unwrap();
    let path = folder.path().join("streamspace/credentials/dev.toml");
    assert_eq!(reference, CredentialReference::File { path: path.clone() });
    let bits = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
    assert_eq!(bits(&path), 0o600);
    assert_eq!(bits(path.parent().unwrap()), 0o700);
    let read = Credential::load(&reference).unwrap();
    assert_eq!(read.client.certificates(), made.client.certificates());
    assert_eq!(read.client.key(), made.client.key());
    assert_eq!(read.device.unwrap().key(), made.device.unwrap().key());

    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let error = Credential::load(&reference).unwrap_err();
    assert!(matches!(error, CredentialError::OpenToOthers(_)), "{error}");
    assert!(error.next_step().contains("chmod 600"), "{}", error.next_step());

    Credential::forget(&reference).unwrap();
    Credential::forget(&reference).unwrap();
    assert!(!path.exists());
}

#[cfg(unix)]
#[test]
fn plain_files_are_read_when_the_key_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let made = identity();
    let (certificate_text, key_text) = made.to_pem();
    let certificate = folder.path().join("c.pem");
    let key = folder.path().join("k.pem");
    fs::write(&certificate, certificate_text).unwrap();
    fs::write(&key, key_text).unwrap();
    let reference = CredentialReference::Plain { certificate, key: key.clone() };
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(Credential::load(&reference), Err(CredentialError::OpenToOthers(_))));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o400)).unwrap();
    let read = Credential::load(&reference).unwrap();
    assert_eq!(read.client.key(), made.key());
    assert!(read.device.is_none());
    assert!(read.replace(&reference).is_err());
}

#[test]
fn nothing_prints_a_key() {
    let made = credential();
    let (_, key) = made.client.to_pem();
    let line = key.lines().nth(1).unwrap();
    assert!(!format!("{made:?}").contains(line));

    let folder = tempfile::tempdir().unwrap();
    let reference = made.keep("dev", &environment(folder.path())).unwrap();
    let CredentialReference::File { path } = &reference else { panic!("not a file") };
    let text = fs::read_to_string(path).unwrap();
    let broken = text.replace("client_key", "client key");
    files::write_atomically(path, broken.as_bytes(), Privacy::Owner).unwrap();
    let error = format!("{:?}", Credential::load(&reference).unwrap_err());
    assert!(!error.contains("PRIVATE"), "{error}");
}

#[test]
fn a_certificate_is_due_after_two_thirds() {
    let validity = identity().validity();
    let at = |hours: u64| validity.from + Duration::from_secs(3600 * hours);
    assert!(!validity.is_due(at(47)));
    assert!(validity.is_due(at(48)));
    assert!(!validity.is_over(at(71)));
    assert!(validity.is_over(at(72)));
}
