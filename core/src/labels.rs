//! Labels as Kubernetes takes them: what a key and a value may be, and which prefixes a
//! tenant may not use.

use thiserror::Error;

/// The longest name part of a key, and the longest value, in characters.
const NAME_MAXIMUM: usize = 63;
/// The longest prefix of a key, in characters.
const PREFIX_MAXIMUM: usize = 253;
/// The prefixes, each with its subdomains, that belong to the control plane or to
/// Kubernetes.
const RESERVED_PREFIXES: [&str; 3] = ["control.stream.space", "kubernetes.io", "k8s.io"];

/// Why a label is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LabelError {
    /// The name part of the key is not one.
    #[error(
        "the key must be 1 to 63 letters, digits, `-`, `_` and `.`, and begin and end with a \
         letter or digit: `team` or `example.com/team` would do"
    )]
    KeyName,
    /// The part before the slash is no DNS name.
    #[error(
        "what stands before the `/` of the key must be a DNS name of at most 253 lower-case \
         characters: `example.com/team` would do"
    )]
    KeyPrefix,
    /// The prefix belongs to somebody else.
    #[error("the prefix `{0}/` is reserved: use one of your own, or none")]
    Reserved(&'static str),
    /// The value is not one.
    #[error(
        "the value must be empty, or at most 63 letters, digits, `-`, `_` and `.` that begin and \
         end with a letter or digit"
    )]
    Value,
}

/// Checks a key that an operator gives to a tenant.
pub fn check_key(key: &str) -> Result<(), LabelError> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if let Some(prefix) = prefix {
        if !is_dns_name(prefix) {
            return Err(LabelError::KeyPrefix);
        }
        if let Some(reserved) = RESERVED_PREFIXES.into_iter().find(|r| is_within(prefix, r)) {
            return Err(LabelError::Reserved(reserved));
        }
    }
    if name.is_empty() || !is_value(name) { Err(LabelError::KeyName) } else { Ok(()) }
}

/// Checks a value.
pub fn check_value(value: &str) -> Result<(), LabelError> {
    if is_value(value) { Ok(()) } else { Err(LabelError::Value) }
}

/// Whether a text can be the value of a label; the empty one can.
pub fn is_value(value: &str) -> bool {
    let bytes = value.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return true;
    };
    bytes.len() <= NAME_MAXIMUM
        && first.is_ascii_alphanumeric()
        && last.is_ascii_alphanumeric()
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn is_dns_name(name: &str) -> bool {
    name.len() <= PREFIX_MAXIMUM && name.split('.').all(is_dns_label)
}

/// A part of a DNS name. Kubernetes bounds the whole prefix, not its parts.
fn is_dns_label(label: &str) -> bool {
    let is_inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = label.as_bytes();
    bytes.first().is_some_and(is_inner)
        && bytes.last().is_some_and(is_inner)
        && bytes.iter().all(|b| is_inner(b) || *b == b'-')
}

fn is_within(prefix: &str, reserved: &str) -> bool {
    prefix
        .strip_suffix(reserved)
        .is_some_and(|subdomain| subdomain.is_empty() || subdomain.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys() {
        let good =
            ["tier", "a", "A.b_c-d", "example.com/team", "not-kubernetes.io/x", &"k".repeat(63)];
        for key in good {
            assert_eq!(check_key(key), Ok(()), "{key}");
        }
        let cases = [
            ("", LabelError::KeyName),
            ("-a", LabelError::KeyName),
            ("a.", LabelError::KeyName),
            ("é", LabelError::KeyName),
            ("example.com/", LabelError::KeyName),
            ("example.com/a/b", LabelError::KeyName),
            (&"k".repeat(64), LabelError::KeyName),
            ("/a", LabelError::KeyPrefix),
            ("Example.com/a", LabelError::KeyPrefix),
            ("a..b/c", LabelError::KeyPrefix),
            (&format!("{}/a", "p".repeat(254)), LabelError::KeyPrefix),
            ("control.stream.space/tenant", LabelError::Reserved("control.stream.space")),
            ("kubernetes.io/x", LabelError::Reserved("kubernetes.io")),
            ("pod-security.kubernetes.io/enforce", LabelError::Reserved("kubernetes.io")),
            ("node.k8s.io/x", LabelError::Reserved("k8s.io")),
        ];
        for (key, error) in cases {
            assert_eq!(check_key(key), Err(error), "{key}");
        }
    }

    #[test]
    fn values() {
        for value in ["", "gold", "1", "a.b_c-D", &"v".repeat(63)] {
            assert_eq!(check_value(value), Ok(()), "{value}");
        }
        for value in ["-", "a-", ".a", "a b", "a/b", "é", "a\n", &"v".repeat(64)] {
            assert_eq!(check_value(value), Err(LabelError::Value), "{value}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = (check_key(&text), check_value(&text));
        }

        #[test]
        fn the_form_of_kubernetes_passes(value in "([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?") {
            prop_assert!(is_value(&value));
        }
    }
}
