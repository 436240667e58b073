//! The authority's files, and the daemon's own certificate.

use super::*;

#[test]
fn an_authority_is_made_once_and_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let files = AuthorityFiles::in_folder(folder.path());
    let made = Authority::create(&files, "test.example", Timestamp::now()).unwrap();
    let permissions = fs::metadata(&files.key).unwrap().permissions();
    assert_eq!(permissions.mode() & 0o777, 0o600);
    let before = fs::read(&files.key).unwrap();
    let again = Authority::create(&files, "test.example", Timestamp::now());
    assert!(matches!(again, Err(AuthorityError::Exists(_))));
    assert_eq!(fs::read(&files.key).unwrap(), before, "nothing was overwritten");

    let opened = Authority::open(&files).unwrap();
    assert_eq!(opened.fingerprint(), made.fingerprint());
    assert_eq!(opened.trust_domain(), "test.example");
    // A certificate knows whole seconds.
    assert_eq!(opened.expires().as_second(), made.expires().as_second());
    // What the opened one signs, the made one's bundle trusts.
    let names = ["localhost".to_owned()];
    let serving = opened.issue_server(&names, Timestamp::now()).unwrap();
    assert_eq!(serving.chain[1], made.certificates()[0]);
}

#[test]
fn files_that_do_not_go_together_are_named() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = AuthorityFiles::in_folder(one.path());
    let others = AuthorityFiles::in_folder(two.path());
    Authority::create(&files, "one.example", Timestamp::now()).unwrap();
    Authority::create(&others, "two.example", Timestamp::now()).unwrap();
    let mixed = |key, certificate, trust| {
        Authority::open(&AuthorityFiles { certificate, key, trust }).err().unwrap().to_string()
    };
    let error = mixed(others.key.clone(), files.certificate.clone(), files.trust.clone());
    assert!(error.contains("ca.key") && error.contains("not the key"), "{error}");
    let error = mixed(files.key.clone(), files.certificate.clone(), others.trust.clone());
    assert!(error.contains("trust.pem"), "{error}");
    let error = mixed(files.key.clone(), one.path().join("none.pem"), files.trust.clone());
    assert!(error.contains("none.pem"), "{error}");
    fs::write(&others.key, "secret stuff").unwrap();
    let error = mixed(others.key, files.certificate, files.trust);
    assert!(error.contains("not a private key") && !error.contains("secret stuff"), "{error}");
}

#[tokio::test]
async fn the_server_certificate_is_renewed_at_two_thirds_of_its_life() {
    let folder = tempfile::tempdir().unwrap();
    let files = AuthorityFiles::in_folder(folder.path());
    let begin = Timestamp::now();
    let authority = Arc::new(Authority::create(&files, "test.example", begin).unwrap());
    let time = Arc::new(std::sync::Mutex::new(begin));
    let clock = {
        let time = time.clone();
        Arc::new(move || *time.lock().unwrap())
    };
    let serving = Serving::start(authority, vec!["localhost".into()], clock).unwrap();
    let days = |days: i64| SignedDuration::from_hours(24 * days);
    let expires = serving.expires();
    for (day, due, ends) in
        [(0, false, 30), (19, false, 30), (20, true, 50), (39, false, 50), (41, true, 71)]
    {
        *time.lock().unwrap() = begin + days(day);
        assert_eq!(serving.renew_if_due().unwrap(), due, "day {day}");
        assert_eq!(*expires.borrow(), begin + days(ends), "day {day}");
    }
}
