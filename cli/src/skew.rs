//! A warning where this program and a daemon are too far from each other: they are
//! made to work with versions that are one minor number apart.

/// A warning for each version that is too far away, with the contexts it is in.
pub(crate) fn warnings<'a>(
    own: &str,
    daemons: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Vec<String> {
    let mut far: Vec<(&str, Vec<&str>)> = Vec::new();
    for (context, version) in daemons {
        if !is_far(own, version) {
            continue;
        }
        match far.iter_mut().find(|(known, _)| *known == version) {
            Some((_, contexts)) if contexts.contains(&context) => {}
            Some((_, contexts)) => contexts.push(context),
            None => far.push((version, vec![context])),
        }
    }
    far.into_iter().map(|(version, contexts)| warning(own, version, &contexts.join(", "))).collect()
}

/// Major and minor number.
fn numbers(version: &str) -> Option<(u64, u64)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// What is no version is not judged.
fn is_far(own: &str, other: &str) -> bool {
    match (numbers(own), numbers(other)) {
        (Some(own), Some(other)) => own.0 != other.0 || own.1.abs_diff(other.1) > 1,
        _ => false,
    }
}

fn warning(own: &str, daemon: &str, contexts: &str) -> String {
    let next = if numbers(own) < numbers(daemon) {
        format!("this ssctl is older: install {daemon}, what it does not know it does not show")
    } else {
        "the daemon is older: update it, or use an ssctl of its version; newer commands can be \
         refused"
            .into()
    };
    format!("warning: ssctl is {own}, the daemon of {contexts} is {daemon}; {next}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_minor_apart_is_near_enough() {
        for (own, other, far) in [
            ("0.1.0", "0.1.9", false),
            ("0.1.0", "0.2.0", false),
            ("0.2.0", "0.1.0", false),
            ("0.1.0", "0.3.0", true),
            ("1.9.0", "2.0.0", true),
            ("1.9.0", "1.10.0-rc.1", false),
            ("1.9.0", "odd", false),
        ] {
            assert_eq!(is_far(own, other), far, "{own} {other}");
        }
    }

    #[test]
    fn it_says_which_is_older_once_for_each_version() {
        let told = |daemons: &[(&'static str, &'static str)]| warnings("1.4.0", daemons.to_vec());
        assert_eq!(
            told(&[("a", "1.6.2"), ("b", "1.4.1"), ("c", "1.6.2"), ("a", "1.6.2")]),
            ["warning: ssctl is 1.4.0, the daemon of a, c is 1.6.2; this ssctl is older: \
              install 1.6.2, what it does not know it does not show"]
        );
        assert!(told(&[("a", "1.2.0")])[0].contains("the daemon is older"));
        assert_eq!(told(&[("a", "1.5.0")]), Vec::<String>::new());
    }
}
