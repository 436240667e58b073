//! References of container images, as registries and container runtimes read them.

use thiserror::Error;

use crate::text;

/// The longest reference, in characters.
const REFERENCE_MAXIMUM: usize = 1024;
/// The longest tag, in characters.
const TAG_MAXIMUM: usize = 128;

/// Why a text names no image.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum ImageError {
    #[error("is empty: name an image, for example `lscr.io/linuxserver/firefox:latest`")]
    Empty,
    #[error("is {0} characters long, and at most {REFERENCE_MAXIMUM} are allowed")]
    TooLong(usize),
    #[error("`{shown}` is no image reference: {fault}")]
    Malformed { shown: String, fault: &'static str },
}

/// Checks `[host[:port]/]path[:tag][@digest]`.
pub(super) fn check(reference: &str) -> Result<(), ImageError> {
    if reference.is_empty() {
        return Err(ImageError::Empty);
    }
    let length = reference.chars().count();
    if length > REFERENCE_MAXIMUM {
        return Err(ImageError::TooLong(length));
    }
    parts(reference)
        .map_err(|fault| ImageError::Malformed { shown: text::excerpt(reference), fault })
}

fn parts(reference: &str) -> Result<(), &'static str> {
    let (rest, digest) = match reference.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (reference, None),
    };
    if digest.is_some_and(|digest| !is_digest(digest)) {
        return Err("what follows the `@` must be `sha256:` and 64 digits of 0 to 9 and a to f");
    }
    // A colon before the last slash stands before a port.
    let path_start = rest.rfind('/').map_or(0, |slash| slash + 1);
    let colon = rest.get(path_start..).and_then(|last| last.find(':')).map(|at| path_start + at);
    let (name, tag) = match colon.and_then(|colon| rest.split_at_checked(colon)) {
        Some((name, tag)) => (name, tag.strip_prefix(':')),
        None => (rest, None),
    };
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Err("its tag must be 1 to 128 letters, digits, `_`, `.` and `-`, and begin with \
                    none of the last two");
    }
    let (host, path) = match name.split_once('/') {
        Some((first, path)) if is_host(first) => (Some(first), path),
        _ => (None, name),
    };
    if host.is_some_and(|host| !is_authority(host)) {
        return Err("its registry must be a host, and perhaps a port");
    }
    if !path.split('/').all(is_component) {
        return Err("each part of its path must be lower-case letters and digits, joined by `.`, \
                    `_` or `-`");
    }
    Ok(())
}

/// Whether the first part names a registry and not a folder in the usual one.
fn is_host(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost"
}

fn is_authority(host: &str) -> bool {
    let (name, port) = match host.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (host, None),
    };
    let is_label = |label: &str| {
        label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.split('.').all(is_label) && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

fn is_component(component: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends_well = |byte: Option<u8>| byte.is_some_and(is_inner);
    let separators_hold = || {
        let runs = component.split(|letter: char| letter.is_ascii_alphanumeric());
        runs.filter(|run| !run.is_empty())
            .all(|run| matches!(run, "." | "_" | "__") || run.bytes().all(|byte| byte == b'-'))
    };
    ends_well(component.bytes().next())
        && ends_well(component.bytes().last())
        && component.bytes().all(|byte| is_inner(byte) || matches!(byte, b'.' | b'_' | b'-'))
        && separators_hold()
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=TAG_MAXIMUM).contains(&tag.len())
        && tag.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
        && !tag.starts_with(['.', '-'])
}

fn is_digest(digest: &str) -> bool {
    digest.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn images_that_pass() {
        let digest = format!("alpine@sha256:{}", "0a".repeat(32));
        for reference in [
            "alpine",
            "alpine:3.20",
            "lscr.io/linuxserver/webtop:ubuntu-kde",
            "localhost/app",
            "localhost:5000/a/b__c:V1.0-x_y",
            "registry.example.com:443/team/a--b.c",
            "Registry.example.com/app",
            &digest,
        ] {
            assert_eq!(check(reference), Ok(()), "{reference}");
        }
    }

    #[test]
    fn images_that_fail() {
        for (reference, part) in [
            ("", "is empty"),
            ("Alpine", "path"),
            ("alpine:", "tag"),
            ("alpine:-x", "tag"),
            ("alpine latest", "path"),
            ("a//b", "path"),
            ("a/", "path"),
            ("a..b", "path"),
            ("a-/b", "path"),
            ("alpine@sha256:12", "`@`"),
            ("http://example.com/a", "registry"),
            ("-x.io/a", "registry"),
            ("x.io:99999/a", "registry"),
            ("alpine\u{1b}[2J", "path"),
        ] {
            let told = check(reference).unwrap_err().to_string();
            assert!(told.contains(part) && !told.contains('\u{1b}'), "{reference}: {told}");
        }
        assert_eq!(check(&"a".repeat(1025)), Err(ImageError::TooLong(1025)));
    }

    proptest! {
        #[test]
        fn any_text_has_a_short_answer(reference in any::<String>()) {
            if let Err(error) = check(&reference) {
                prop_assert!(error.to_string().chars().count() < 300);
            }
        }
    }
}
