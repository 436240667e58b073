use rustls::pki_types::CertificateDer;

use super::*;

fn environment(pairs: &[(&str, &str)]) -> Environment {
    let pairs: Vec<_> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Environment::new(move |name| pairs.iter().find(|(k, _)| k == name).map(|(_, v)| v.clone()))
}

fn context(name: &str) -> Context {
    Context {
        name: name.into(),
        endpoint: "localhost:7443".parse().unwrap(),
        region: "eu-west-1".into(),
        authorities: vec![CertificateDer::from(vec![1, 2, 3])],
        credential: CredentialReference::File { path: "/keys/a.toml".into() },
        protected: true,
    }
}

struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn environment(&self, more: &[(&str, &str)]) -> Environment {
        let folder = self.folder.path().to_str().unwrap();
        let mut pairs = vec![("XDG_CONFIG_HOME", folder)];
        pairs.extend(more);
        environment(&pairs)
    }
}

#[test]
fn contexts_survive_the_way_to_the_file_and_back() {
    let home = Home::new();
    let environment = home.environment(&[]);
    Contexts::change(&environment, |contexts| {
        contexts.put(context("eu"))?;
        contexts.put(Context {
            credential: CredentialReference::Keyring { entry: "us".into() },
            ..context("us")
        })?;
        contexts.choose("us")
    })
    .unwrap();
    let read = Contexts::load(&environment).unwrap();
    assert_eq!(read.path(), home.folder.path().join("streamspace/contexts.toml"));
    assert_eq!(read.get("eu").unwrap(), &context("eu"));
    assert_eq!(read.current(), Some("us"));
    assert_eq!(read.iter().count(), 2);
}

#[test]
fn flag_goes_before_variable_before_file() {
    let home = Home::new();
    let plain = home.environment(&[]);
    Contexts::change(&plain, |contexts| {
        for name in ["a", "b", "c"] {
            contexts.put(context(name))?;
        }
        contexts.choose("c")
    })
    .unwrap();
    let contexts = Contexts::load(&plain).unwrap();
    let with_variable = home.environment(&[("SSCTL_CONTEXT", "b")]);
    let name = |named, environment| contexts.resolve(named, environment).unwrap().name;
    assert_eq!(name(Some("a"), &with_variable), "a");
    assert_eq!(name(None, &with_variable), "b");
    assert_eq!(name(None, &plain), "c");
}

#[test]
fn a_wrong_name_is_answered_with_the_near_one() {
    let home = Home::new();
    let mut contexts = Contexts::load(&home.environment(&[])).unwrap();
    contexts.put(context("us-east-1")).unwrap();
    let error = contexts.get("us-esat-1").unwrap_err();
    assert_eq!(error.to_string(), "there is no context us-esat-1; did you mean us-east-1?");
    let error = contexts.resolve(None, &home.environment(&[])).unwrap_err();
    assert!(error.next_step().contains("us-east-1"), "{}", error.next_step());
}

#[test]
fn what_is_removed_is_current_no_more() {
    let home = Home::new();
    let mut contexts = Contexts::load(&home.environment(&[])).unwrap();
    contexts.put(context("a")).unwrap();
    contexts.choose("a").unwrap();
    assert_eq!(contexts.remove("a").unwrap().name, "a");
    assert_eq!(contexts.current(), None);
    assert!(contexts.remove("a").is_err());
}

#[test]
fn a_broken_file_is_told_with_its_place() {
    let home = Home::new();
    let path = home.folder.path().join("mine.toml");
    fs::write(&path, "current = \"a\"\ncolour = 1\n").unwrap();
    let environment = home.environment(&[("SSCTL_CONFIG", path.to_str().unwrap())]);
    let error = Contexts::load(&environment).unwrap_err().to_string();
    assert!(error.contains("mine.toml") && error.contains("colour"), "{error}");
}

#[test]
fn a_name_that_leaves_its_folder_is_refused() {
    for name in ["", "../a", "a/b", "-a", "a b", "ä"] {
        assert!(check_name(name).is_err(), "{name}");
    }
    check_name("us-east-1").unwrap();
}

#[test]
fn plain_files_make_a_context_only_when_all_are_named() {
    let home = Home::new();
    let authority = home.folder.path().join("ca.pem");
    fs::write(&authority, pem::encode("CERTIFICATE", &[1, 2, 3])).unwrap();
    let authority = authority.to_str().unwrap();
    let none = home.environment(&[]);
    assert_eq!(none.plain_context().unwrap(), None);
    let some = home.environment(&[("SSCTL_ENDPOINT", "a:1"), ("SSCTL_CA", authority)]);
    let error = some.plain_context().unwrap_err().to_string();
    assert!(error.contains("SSCTL_CLIENT_CERT"), "{error}");
    let all = home.environment(&[
        ("SSCTL_ENDPOINT", "a:1"),
        ("SSCTL_CA", authority),
        ("SSCTL_CLIENT_CERT", "c.pem"),
        ("SSCTL_CLIENT_KEY", "k.pem"),
    ]);
    let context = all.plain_context().unwrap().unwrap();
    assert_eq!(context.endpoint.to_string(), "a:1");
    assert_eq!(context.authorities, [CertificateDer::from(vec![1, 2, 3])]);
}

#[test]
fn many_writers_lose_nothing() {
    let home = Home::new();
    let environment = home.environment(&[]);
    std::thread::scope(|scope| {
        for n in 0..8 {
            let environment = &environment;
            scope.spawn(move || {
                Contexts::change(environment, |c| c.put(context(&format!("c{n}")))).unwrap();
            });
        }
    });
    assert_eq!(Contexts::load(&environment).unwrap().iter().count(), 8);
}
