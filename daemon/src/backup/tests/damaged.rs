//! Files that are damaged, cut off, or made to do harm, are refused before anything is done.

use std::io::Write as _;

use tar::{Builder, EntryType, Header};

use super::*;

type Member = (String, Vec<u8>);

/// A backup's members, as they stand in it.
fn members(file: &Path) -> Vec<Member> {
    let mut archive = tar::Archive::new(fs::File::open(file).unwrap());
    let read = |entry: std::io::Result<tar::Entry<'_, fs::File>>| {
        let mut entry = entry.unwrap();
        let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
        (name, content)
    };
    archive.entries().unwrap().map(read).collect()
}

fn header(name: &str, size: usize) -> Header {
    let mut header = Header::new_ustar();
    header.as_ustar_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_size(size as u64);
    header.set_mode(0o600);
    header.set_entry_type(EntryType::Regular);
    header.set_cksum();
    header
}

fn pack(members: &[Member]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, content) in members {
        builder.append(&header(name, content.len()), content.as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

/// With another manifest, and the digest that fits it.
fn forged(members: &[Member], change: impl Fn(&mut serde_json::Value)) -> Vec<Member> {
    let mut members = members.to_vec();
    let at = members.iter().position(|(name, _)| name == "manifest.json").unwrap();
    let mut manifest: serde_json::Value = serde_json::from_slice(&members[at].1).unwrap();
    change(&mut manifest);
    members[at].1 = serde_json::to_vec(&manifest).unwrap();
    let digest = manifest::Summing::of(&members[at].1).sha256;
    members[at + 1].1 = format!("{digest}\n").into_bytes();
    members
}

#[tokio::test]
async fn a_byte_that_differs_is_found() {
    let source = Source::new().await;
    let file = source.backup().await;
    let whole = fs::read(&file).unwrap();
    let damaged = source.folder.path().join("damaged");
    let mut found = 0;
    for at in (0..whole.len()).step_by(211) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x20;
        fs::write(&damaged, &bytes).unwrap();
        match verify(&damaged) {
            Err(_) => found += 1,
            // What tar fills up with says nothing.
            Ok(_) => assert_eq!(whole[at], 0, "the byte {at}"),
        }
    }
    assert!(found > 50, "{found}");
}

#[tokio::test]
async fn a_file_that_was_cut_off_is_never_taken_for_whole() {
    let (source, empty) = tokio::join!(Source::new(), Empty::new());
    let file = source.backup().await;
    let whole = fs::read(&file).unwrap();
    let end = whole.windows(14).rposition(|it| it == b"manifest.sha25").unwrap() + 512 + 65;
    let cut = source.folder.path().join("cut");
    for length in (0..end).step_by(499).chain([end - 1]) {
        fs::write(&cut, &whole[..length]).unwrap();
        let error = restore(&empty.options(&cut), |_| {}).await.unwrap_err();
        assert!(!error.to_string().is_empty());
    }
    assert!(empty.is_untouched().await);
    let longer = [whole.as_slice(), b"and more"].concat();
    fs::write(&cut, longer).unwrap();
    assert!(restore(&empty.options(&cut), |_| {}).await.is_err());
    assert!(empty.is_untouched().await);
}

/// A file, what it is, and a word of why it is refused.
type Case = (&'static str, Vec<u8>, &'static str);

/// Members that do not belong there, or not at that place.
fn misplaced(good: &[Member]) -> Vec<Case> {
    let with = |at: usize, name: &str, content: &[u8]| {
        let mut all = good.to_vec();
        all.insert(at, (name.to_owned(), content.to_vec()));
        pack(&all)
    };
    let changed = |change: &dyn Fn(&mut Vec<Member>)| {
        let mut all = good.to_vec();
        change(&mut all);
        pack(&all)
    };
    let rows = good.iter().position(|(name, _)| name.starts_with("database/")).unwrap();
    let first = &good[rows].0;
    vec![
        ("a way out", with(2, "../../etc/cron.d/x", b"x"), "does not belong"),
        ("from the root", with(2, "/etc/x", b"x"), "does not belong"),
        ("hidden", with(2, "access/.x", b"x"), "does not belong"),
        ("twice", with(2, "streamspaced.toml", &good[1].1), "does not belong"),
        ("rows twice", with(rows + 1, first, b"x\n"), "does not belong"),
        ("more rows", with(rows, "database/x/000001", b"x\n"), "not what its manifest"),
        ("after the end", with(good.len(), "x", b"x"), "does not belong"),
        ("renamed", changed(&|all| all[1].0 = "../streamspaced.toml".into()), "does not belong"),
        ("swapped", changed(&|all| all.swap(rows, rows + 1)), "not what its manifest"),
        ("no key", changed(&|all| drop(all.remove(2))), "does not belong"),
        (
            "a later format",
            changed(&|all| {
                let text = String::from_utf8(all[0].1.clone()).unwrap();
                let later = text.replace("\"streamspace_backup\": 1", "\"streamspace_backup\": 2");
                all[0].1 = later.into();
            }),
            "format 2",
        ),
    ]
}

/// Manifests that say something else, with digests that fit.
fn lying(good: &[Member]) -> Vec<Case> {
    vec![
        (
            "a newer schema",
            pack(&forged(good, |it| {
                let newer = serde_json::json!({"number": 9999, "name": "x", "checksum": "00"});
                it["migrations"].as_array_mut().unwrap().push(newer);
            })),
            "migration 9999, which this program does not know",
        ),
        (
            "another schema",
            pack(&forged(good, |it| it["migrations"][0]["checksum"] = "00".into())),
            "another build",
        ),
        (
            "words for a terminal",
            pack(&forged(good, |it| it["server"] = "\u{1b}[2J".into())),
            "would act on a terminal",
        ),
        (
            "more rows than there are",
            pack(&forged(good, |it| {
                let rows = it["tables"][0]["rows"].as_u64().unwrap();
                it["tables"][0]["rows"] = (rows + 1).into();
            })),
            "not what its manifest",
        ),
    ]
}

/// Members that are no plain files, and sizes that are not there.
fn odd(good: &[Member]) -> Vec<Case> {
    let begun = || {
        let mut builder = Builder::new(Vec::new());
        builder.append(&header(&good[0].0, good[0].1.len()), good[0].1.as_slice()).unwrap();
        builder
    };
    let mut cases: Vec<Case> = vec![
        ("nothing", Vec::new(), "no backup"),
        ("another kind", b"\x1f\x8b\x08 packed".repeat(200), "no backup"),
    ];
    for (what, kind) in [
        ("a link", EntryType::Symlink),
        ("a hard link", EntryType::Link),
        ("a long name", EntryType::GNULongName),
        ("an extension", EntryType::XHeader),
        ("a folder", EntryType::Directory),
        ("a device", EntryType::Char),
    ] {
        let mut builder = begun();
        let mut link = header("streamspaced.toml", 0);
        link.set_entry_type(kind);
        link.set_link_name("/etc/passwd").unwrap();
        link.set_cksum();
        builder.append(&link, std::io::empty()).unwrap();
        cases.push((what, builder.into_inner().unwrap(), "does not belong"));
    }
    for (what, size, word) in
        [("a giant", 1_usize << 40, "is the most"), ("a claim", 1_usize << 19, "not whole")]
    {
        let mut bytes = begun().into_inner().unwrap();
        bytes.truncate(1024);
        bytes.write_all(header("streamspaced.toml", size).as_bytes()).unwrap();
        bytes.write_all(&[b'x'; 1024]).unwrap();
        cases.push((what, bytes, word));
    }
    cases
}

#[tokio::test]
async fn what_is_made_to_do_harm_is_refused() {
    let (source, empty) = tokio::join!(Source::new(), Empty::new());
    let file = source.backup().await;
    let good = members(&file);
    let bad = source.folder.path().join("bad");
    for (what, bytes, word) in [misplaced(&good), lying(&good), odd(&good)].concat() {
        fs::write(&bad, bytes).unwrap();
        let error = restore(&empty.options(&bad), |_| {}).await.unwrap_err().to_string();
        assert!(error.contains(word), "{what}: {error}");
        assert!(!error.contains('\u{1b}'), "{what}");
        assert!(empty.is_untouched().await, "{what}");
    }
    fs::write(&bad, pack(&good)).unwrap();
    verify(&bad).unwrap();
}

#[tokio::test]
async fn rows_that_the_schema_does_not_take_leave_nothing() {
    let (source, empty) = tokio::join!(Source::new(), Empty::new());
    let file = source.backup().await;
    let good = members(&file);
    let at = good.iter().position(|(name, _)| name == "database/tenants/000001").unwrap();
    let mut bad = good.clone();
    bad[at].1 = b"no row of this table\n".to_vec();
    let bad = forged(&bad, |it| {
        let tables = it["tables"].as_array_mut().unwrap();
        let tenants = tables.iter_mut().find(|it| it["name"] == "tenants").unwrap();
        let sum = manifest::Summing::of(b"no row of this table\n");
        tenants["bytes"] = sum.bytes.into();
        tenants["sha256"] = sum.sha256.into();
        tenants["rows"] = 1.into();
    });
    let place = source.folder.path().join("bad");
    fs::write(&place, pack(&bad)).unwrap();
    let error = restore(&empty.options(&place), |_| {}).await.unwrap_err().to_string();
    assert!(error.contains("the rows of tenants"), "{error}");
    // Nobody takes it for a region: not the daemon, and no file says so.
    assert!(!empty.config().exists());
    let pool = empty.pool().await;
    assert_eq!(one::<i64>(&pool, "SELECT count(*) FROM tenants").await, 0);
    assert_eq!(one::<i64>(&pool, "SELECT count(*) FROM restore_under_way").await, 1);
}
