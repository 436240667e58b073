//! What sessions, their users and their templates are called.

use crate::ids::{
    label::{LabelRule, label},
    uuid_id,
};

/// The longest name of a session. Kubernetes makes pod names of it: a Deployment's pods
/// carry its name, a hash of ten characters and five random ones, and must stay a label.
pub const SESSION_NAME_MAXIMUM: usize = 52;
/// The longest name of a user: it becomes a label of the pods.
pub const USER_NAME_MAXIMUM: usize = 63;
/// The longest name of a template: that of any object.
pub const TEMPLATE_NAME_MAXIMUM: usize = 253;

label!(
    /// The name of a session's object: a DNS label of at most 52 characters, unique in
    /// its namespace at any one time.
    SessionName,
    LabelRule {
        kind: "session name",
        minimum: 1,
        maximum: SESSION_NAME_MAXIMUM,
        starts_with_letter: false,
        dots: false,
        rule: "it must be 1 to 52 lower-case letters, digits and hyphens, and not start or end with a hyphen",
        example: "ada-firefox",
    }
);

label!(
    /// Who owns a session: a DNS label of at most 63 characters.
    UserName,
    LabelRule {
        kind: "user",
        minimum: 1,
        maximum: USER_NAME_MAXIMUM,
        starts_with_letter: false,
        dots: false,
        rule: "it must be 1 to 63 lower-case letters, digits and hyphens, and not start or end with a hyphen",
        example: "ada",
    }
);

label!(
    /// The name of a template's object: DNS labels joined by dots, at most 253 characters.
    /// The public catalogue has one with a dot.
    TemplateName,
    LabelRule {
        kind: "template name",
        minimum: 1,
        maximum: TEMPLATE_NAME_MAXIMUM,
        starts_with_letter: false,
        dots: true,
        rule: "it must be 1 to 253 lower-case letters, digits, hyphens and dots, and start and end with a letter or digit, also on both sides of a dot",
        example: "firefox-browser",
    }
);

uuid_id!(
    /// The identity of a session's object, given by the API server and never used again: a
    /// session that is made anew under an old name has another.
    SessionUid,
    "session uid"
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text;

    #[test]
    fn names_that_pass() {
        for name in ["a", "0", "ada-firefox", &"x".repeat(52)] {
            assert_eq!(SessionName::parse(name).unwrap().as_str(), name);
        }
        assert!(UserName::parse(&"u".repeat(63)).is_ok());
        for name in ["changedetection.io", "a.b-c.0", &"t".repeat(253)] {
            assert!(TemplateName::parse(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn names_that_fail_say_what_would_do() {
        for (name, remedy) in [
            ("", "`ada-firefox` would be, for example"),
            ("Ada Firefox", "`ada-firefox` would be"),
            ("-a-", "`a` would be"),
            ("a.b", "`a-b` would be"),
            ("\u{1b}[2J", "`2j` would be"),
        ] {
            assert_eq!(SessionName::parse(name).unwrap_err().remedy, remedy, "{name:?}");
        }
        let long = SessionName::parse(&"x".repeat(53)).unwrap_err();
        assert_eq!(long.remedy, format!("`{}` would be", "x".repeat(52)));
        assert!(UserName::parse(&"u".repeat(64)).is_err());
        assert_eq!(
            TemplateName::parse("your_spotify").unwrap_err().to_string(),
            "template name `your_spotify` is not valid: it must be 1 to 253 lower-case letters, \
             digits, hyphens and dots, and start and end with a letter or digit, also on both \
             sides of a dot; `your-spotify` would be"
        );
        for name in ["a..b", ".a", "a.", "a.-b", "a-.b", &"t".repeat(254)] {
            assert!(TemplateName::parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_uid_has_one_form() {
        let uid = "01890a5d-ac96-774b-bcce-b302099a8057";
        assert_eq!(SessionUid::parse(uid).unwrap().to_string(), uid);
        for other in ["", "01890A5D-AC96-774B-BCCE-B302099A8057", "x", &uid.replace('-', "")] {
            assert!(SessionUid::parse(other).is_err(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn what_is_advised_passes(value in any::<String>()) {
            if let Err(error) = SessionName::parse(&value) {
                let advised = error.remedy.split('`').nth(1).unwrap();
                prop_assert!(SessionName::parse(advised).is_ok());
                prop_assert!(!error.to_string().chars().any(text::acts_on_terminals));
            }
        }
    }
}
