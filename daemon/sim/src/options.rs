//! The options in a request's query and in a delete's body.

use std::time::Duration;

use serde_json::Value;

use crate::{
    kinds::Resource,
    objects::{Deletion, Preconditions, Propagation},
    schema::Object,
    select::Selector,
    status::{Failure, Fault},
    watch::{Request as WatchRequest, Start},
};

const META_GROUP: &str = "meta.k8s.io";
const MANAGER_LENGTH: usize = 128;
/// A watch without a timeout of its own ends after this.
const WATCH_TIMEOUT: Duration = Duration::from_mins(30);

/// A decoded query.
#[derive(Debug)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(text: &str) -> Self {
        Self(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// The value, empty when absent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        matches!(self.text(name), "true" | "1")
    }

    fn number(&self, name: &str) -> Result<Option<u64>, Failure> {
        match self.text(name) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                Failure::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
            }),
        }
    }

    /// `dryRun`, of an options object of this kind.
    pub(crate) fn dry_run(&self, kind: &str) -> Result<bool, Failure> {
        dry_run_value(self.text("dryRun"), kind)
    }

    /// `fieldManager`, empty when absent.
    pub(crate) fn field_manager(&self, kind: &str) -> Result<&str, Failure> {
        let manager = self.text("fieldManager");
        if manager.len() > MANAGER_LENGTH {
            return Err(invalid_options(kind, Fault::too_long("fieldManager", MANAGER_LENGTH)));
        }
        Ok(manager)
    }

    fn selector(&self, resource: &Resource) -> Result<Selector, Failure> {
        Selector::parse(self.text("labelSelector"), self.text("fieldSelector"), resource)
    }

    /// `resourceVersion`; `None` for the most recent, 0 for any.
    fn version(&self) -> Result<Option<u64>, String> {
        match self.text("resourceVersion") {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                format!("resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax")
            }),
        }
    }

    /// The version that a get or a list must not be older than.
    pub(crate) fn least_version(&self) -> Result<u64, Failure> {
        let invalid = |why| Failure::bad_request(format!("invalid resource version: {why}"));
        Ok(self.version().map_err(invalid)?.unwrap_or_default())
    }

    /// What becomes of fields that do not exist.
    pub(crate) fn field_validation(&self) -> Result<Unknown, Failure> {
        match self.text("fieldValidation") {
            "" | "Warn" => Ok(Unknown::Warn),
            "Ignore" => Ok(Unknown::Ignore),
            "Strict" => Ok(Unknown::Refuse),
            other => {
                let known = ["Ignore", "Strict", "Warn"].map(Value::from);
                let fault = Fault::not_one_of("fieldValidation", &other.into(), &known);
                Err(invalid_options("CreateOptions", fault))
            }
        }
    }

    pub(crate) fn list(&self, resource: &Resource) -> Result<ListRequest, Failure> {
        let selector = self.selector(resource)?;
        let limit = self
            .number("limit")?
            .and_then(|limit| usize::try_from(limit).ok())
            .filter(|limit| *limit > 0);
        let version_match = self.text("resourceVersionMatch");
        let refused = |why| {
            Err(invalid_options("ListOptions", Fault::forbidden("resourceVersionMatch", why)))
        };
        if !version_match.is_empty() && self.text("resourceVersion").is_empty() {
            return refused("resourceVersionMatch is forbidden unless resourceVersion is provided");
        }
        let version = self.least_version()?;
        let continuation = match self.text("continue") {
            "" => None,
            token => Some(Continuation::parse(token)?),
        };
        let exact = version_match == "Exact";
        Ok(ListRequest { selector, limit, continuation, version, exact })
    }

    pub(crate) fn watch(&self, resource: &Resource) -> Result<WatchRequest, Failure> {
        let selector = self.selector(resource)?;
        let refused = |why| {
            Err(invalid_options("ListOptions", Fault::forbidden("resourceVersionMatch", why)))
        };
        let initial = self.text("sendInitialEvents");
        let version_match = self.text("resourceVersionMatch");
        if initial.is_empty() && !version_match.is_empty() {
            return refused(
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            );
        }
        if !initial.is_empty() && version_match != "NotOlderThan" {
            return refused(
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            );
        }
        let bookmarks = self.flag("allowWatchBookmarks");
        let version = self.version().map_err(Failure::internal)?;
        let start = match (initial, version) {
            ("true" | "1", _) => Start::Everything { mark_end: bookmarks },
            ("", None | Some(0)) => Start::Everything { mark_end: false },
            (_, None | Some(0)) => Start::Now,
            (_, Some(version)) => Start::After(version),
        };
        let timeout = self.number("timeoutSeconds")?.map_or(WATCH_TIMEOUT, Duration::from_secs);
        Ok(WatchRequest { selector, start, bookmarks, timeout })
    }
}

/// What becomes of fields that do not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// They are dropped.
    Ignore,
    /// They are dropped, and the answer warns of them.
    Warn,
    /// The request is refused.
    Refuse,
}

/// What a list asks for.
#[derive(Debug)]
pub(crate) struct ListRequest {
    pub(crate) selector: Selector,
    pub(crate) limit: Option<usize>,
    pub(crate) continuation: Option<Continuation>,
    pub(crate) version: u64,
    /// As of exactly that version, rather than at least.
    pub(crate) exact: bool,
}

/// Where the next page begins, and at which revision.
#[derive(Debug)]
pub(crate) struct Continuation {
    pub(crate) revision: u64,
    /// The key after which the page begins.
    pub(crate) after: String,
}

impl Continuation {
    /// The token that a client gives back.
    pub(crate) fn token(&self) -> String {
        format!("{}:{}", self.revision, self.after)
    }

    fn parse(token: &str) -> Result<Self, Failure> {
        token
            .split_once(':')
            .and_then(|(revision, after)| {
                Some(Self { revision: revision.parse().ok()?, after: after.to_owned() })
            })
            .ok_or_else(|| {
                Failure::bad_request(
                    "invalid continue token: continue key is not valid: not a token of this server",
                )
            })
    }
}

fn invalid_options(kind: &str, fault: Fault) -> Failure {
    Failure::invalid(META_GROUP, kind, "", &[fault])
}

fn dry_run_value(value: &str, kind: &str) -> Result<bool, Failure> {
    match value {
        "" => Ok(false),
        "All" => Ok(true),
        other => Err(invalid_options(kind, Fault::unsupported("dryRun", other, "All"))),
    }
}

/// A patch's manager; an apply needs one, and it alone may be forced.
pub(crate) fn patch_options(query: &Query, is_apply: bool) -> Result<(&str, bool), Failure> {
    let manager = query.field_manager("PatchOptions")?;
    let force = query.flag("force");
    if is_apply && manager.is_empty() {
        let fault = Fault::required("fieldManager", "is required for apply patch");
        return Err(invalid_options("PatchOptions", fault));
    }
    if !is_apply && !query.text("force").is_empty() {
        let fault = Fault::forbidden("force", "may not be specified for non-apply patch");
        return Err(invalid_options("PatchOptions", fault));
    }
    Ok((manager, force))
}

/// A delete's body or query: how it deletes, and whether it is a dry run. Beside a body the
/// API server reads no query.
pub(crate) fn delete_options(query: &Query, body: &[u8]) -> Result<(Deletion, bool), Failure> {
    const KIND: &str = "DeleteOptions";
    let nothing = Query(Vec::new());
    let query = if body.is_empty() { query } else { &nothing };
    let mut dry_run = query.dry_run(KIND)?;
    let options: Object = if body.is_empty() {
        Object::new()
    } else {
        serde_json::from_slice(body).map_err(|error| {
            Failure::bad_request(format!("couldn't get version/kind; json parse error: {error}"))
        })?
    };
    for value in options.get("dryRun").and_then(Value::as_array).into_iter().flatten() {
        dry_run |= dry_run_value(value.as_str().unwrap_or_default(), KIND)?;
    }
    let precondition = |field: &str| {
        options
            .get("preconditions")
            .and_then(|all| all.get(field))
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let preconditions = Preconditions {
        uid: precondition("uid"),
        resource_version: precondition("resourceVersion"),
    };
    let policy = options.get("propagationPolicy").and_then(Value::as_str);
    let policy = policy.unwrap_or_else(|| query.text("propagationPolicy"));
    let orphans = match (options.get("orphanDependents"), query.text("orphanDependents")) {
        (Some(Value::Bool(orphans)), _) => Some(*orphans),
        (_, "true") => Some(true),
        (_, "false") => Some(false),
        _ => None,
    };
    let propagation = match (policy, orphans) {
        ("", None) => None,
        ("", Some(true)) | ("Orphan", None) => Some(Propagation::Orphan),
        ("", Some(false)) | ("Background", None) => Some(Propagation::Background),
        ("Foreground", None) => Some(Propagation::Foreground),
        (_, Some(_)) => {
            let why = "orphanDependents and deletionPropagation cannot be both set";
            return Err(invalid_options(
                KIND,
                Fault::invalid_value("propagationPolicy", &format!("{policy:?}"), why),
            ));
        }
        (other, None) => {
            let known = ["Foreground", "Background", "Orphan", "nil"].map(Value::from);
            return Err(invalid_options(
                KIND,
                Fault::not_one_of("propagationPolicy", &other.into(), &known),
            ));
        }
    };
    let grace = options.get("gracePeriodSeconds").and_then(Value::as_i64);
    let grace = grace.or_else(|| query.text("gracePeriodSeconds").parse().ok());
    Ok((Deletion { preconditions, propagation, grace }, dry_run))
}
