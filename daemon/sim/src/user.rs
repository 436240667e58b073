//! Who a request comes from. Nobody is authenticated: everybody is the cluster's
//! administrator, or whom the impersonation headers name.

use std::collections::BTreeMap;

use http::HeaderMap;

const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";
const EXTRA: &str = "impersonate-extra-";
/// The group of everybody who is logged in.
const AUTHENTICATED: &str = "system:authenticated";

/// A user as admission and access reviews see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) groups: Vec<String>,
    pub(crate) extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// The cluster's administrator.
    pub(crate) fn administrator() -> Self {
        Self {
            name: "system:admin".to_owned(),
            groups: vec!["system:masters".to_owned(), AUTHENTICATED.to_owned()],
            extra: BTreeMap::new(),
        }
    }

    /// Whom the headers name.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let text = |value: &http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let Some(name) = headers.get(USER).map(text) else {
            return Self::administrator();
        };
        let mut groups: Vec<String> = headers.get_all(GROUP).iter().map(text).collect();
        if name != "system:anonymous" && !groups.iter().any(|group| group == AUTHENTICATED) {
            groups.push(AUTHENTICATED.to_owned());
        }
        let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (key, value) in headers {
            if let Some(key) = key.as_str().strip_prefix(EXTRA) {
                extra.entry(unescaped(key)).or_default().push(text(value));
            }
        }
        Self { name, groups, extra }
    }
}

/// A key of the extra headers, in which what no header may hold is percent-encoded.
fn unescaped(key: &str) -> String {
    // A plus stands for itself here, other than in a form.
    let key = key.replace('+', "%2B");
    let decoded = form_urlencoded::parse(key.as_bytes()).next();
    decoded.map_or(key.clone(), |(key, _)| key.into_owned())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::User;

    #[test]
    fn headers_name_a_user_with_groups_and_extras() {
        let mut headers = HeaderMap::new();
        assert_eq!(User::of(&headers).name, "system:admin");
        headers.insert("Impersonate-User", HeaderValue::from_static("ada"));
        headers.append("Impersonate-Group", HeaderValue::from_static("one"));
        headers.append("Impersonate-Group", HeaderValue::from_static("two"));
        headers.append("Impersonate-Extra-a.example%2fterm", HeaderValue::from_static("7"));
        let user = User::of(&headers);
        assert_eq!(user.name, "ada");
        assert_eq!(user.groups, ["one", "two", "system:authenticated"]);
        assert_eq!(user.extra["a.example/term"], ["7"]);
    }
}
