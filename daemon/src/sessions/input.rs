//! Requests about sessions, checked.

use streamspace_core::{
    ids::{SessionPath, TenantId},
    session::{self, REPLICAS_MAXIMUM, SessionState, Wish, WrittenResources, WrittenSession},
    text,
    violation::{Violation, Violations},
};
use streamspace_proto::v1;

use crate::rpc::errors::{RpcError, RpcResult};

/// The longest reason that is kept, in characters.
const REASON_MAXIMUM: usize = 1000;
/// The longest span, in seconds: what the definitions of the objects have digits for.
const SPAN_MAXIMUM: i64 = 999_999_999;

/// Whose sessions a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parent {
    /// One tenant's.
    Tenant(TenantId),
    /// All tenants'.
    All,
}

impl Parent {
    /// Reads `tenants/{tenant}` or `tenants/-`.
    pub fn read(name: &str) -> RpcResult<Self> {
        if name == "tenants/-" {
            return Ok(Self::All);
        }
        let tenant = TenantId::from_name(name);
        let tenant = tenant.map_err(|error| {
            RpcError::field("parent", format!("{error}; `tenants/-` is all tenants"))
        });
        tenant.map(Self::Tenant)
    }

    /// The name of the collection of its sessions.
    pub fn sessions(&self) -> String {
        match self {
            Self::Tenant(tenant) => format!("tenants/{tenant}/sessions/-"),
            Self::All => "tenants/-/sessions/-".to_owned(),
        }
    }

    /// Whether this tenant is one of them.
    pub fn holds(&self, tenant: &TenantId) -> bool {
        match self {
            Self::Tenant(own) => own == tenant,
            Self::All => true,
        }
    }
}

/// Reads a session's name.
pub fn session(field: &str, name: &str) -> RpcResult<SessionPath> {
    SessionPath::from_name(name).map_err(|error| RpcError::field(field, error.to_string()))
}

/// Reads the state that sessions shall have.
pub fn state(field: &str, state: v1::SessionState) -> RpcResult<SessionState> {
    match state {
        v1::SessionState::Running => Ok(SessionState::Running),
        v1::SessionState::Hibernated => Ok(SessionState::Hibernated),
        v1::SessionState::Terminated => Ok(SessionState::Terminated),
        v1::SessionState::Unspecified => {
            Err(RpcError::field(field, "say RUNNING, HIBERNATED or TERMINATED"))
        }
    }
}

/// Refuses a reason that is no text for people.
pub fn reason(reason: &str) -> RpcResult<&str> {
    let reason = reason.trim();
    text::check(reason, REASON_MAXIMUM)
        .map_err(|error| RpcError::field("reason", error.to_string()))?;
    Ok(reason)
}

/// A session that is to be created.
#[derive(Clone, Debug)]
pub struct Creation {
    /// Where.
    pub path: SessionPath,
    /// What it shall be.
    pub wish: Wish,
}

/// Reads the request for a new session, or tells everything that is wrong with it, by the
/// fields of the request.
pub fn creation(request: &v1::CreateSessionRequest) -> RpcResult<Creation> {
    let mut violations = Violations::new();
    let tenant = violations.check("parent", TenantId::from_name(&request.parent));
    let Some(wished) = &request.session else {
        violations.add("session", "say at least the `user` and the `template`");
        return Err(RpcError::Invalid(violations.into_result().err().unwrap_or_default()));
    };
    let idle_timeout = span("session.idle_timeout", wished.idle_timeout.as_ref(), &mut violations);
    let max_session_duration =
        span("session.max_session_duration", wished.max_session_duration.as_ref(), &mut violations);
    let state = match v1::SessionState::try_from(wished.state) {
        Ok(v1::SessionState::Running | v1::SessionState::Unspecified) => SessionState::Running,
        Ok(v1::SessionState::Hibernated) => SessionState::Hibernated,
        Ok(v1::SessionState::Terminated) | Err(_) => {
            violations.add("session.state", "a new session is RUNNING or HIBERNATED");
            SessionState::Hibernated
        }
    };
    if !(0..=REPLICAS_MAXIMUM).contains(&wished.max_replicas) {
        let (given, most) = (wished.max_replicas, REPLICAS_MAXIMUM);
        violations.add(
            "session.max_replicas",
            format!("is {given}, and must be 1 to {most}, or 0 for a session of one"),
        );
    }
    let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let resources = WrittenResources {
        cpu: given(&wished.cpu),
        memory: given(&wished.memory),
        ..Default::default()
    };
    let written = WrittenSession {
        name: request.session_id.clone(),
        user: wished.user.clone(),
        template: wished.template.clone(),
        state,
        resources: Some(resources),
        persistent_home: Some(!wished.without_home),
        idle_timeout,
        max_session_duration,
        tags: wished.tags.clone(),
        max_replicas: Some(wished.max_replicas)
            .filter(|most| (1..=REPLICAS_MAXIMUM).contains(most)),
    };
    let wish = match session::read(&written) {
        Ok(wish) => Some(wish),
        Err(faults) => {
            violations.extend(faults.into_iter().map(of_request));
            None
        }
    };
    match (violations.into_result(), tenant, wish) {
        (Ok(()), Some(tenant), Some(wish)) => {
            let path = format!("{}/sessions/{}", tenant.to_name(), wish.name);
            Ok(Creation { path: session("session_id", &path)?, wish })
        }
        (faults, ..) => Err(RpcError::Invalid(faults.err().unwrap_or_default())),
    }
}

/// A fault by the field of the request instead of the path in the object.
fn of_request(fault: Violation) -> Violation {
    const FIELDS: [(&str, &str); 9] = [
        ("metadata.name", "session_id"),
        ("spec.user", "session.user"),
        ("spec.template", "session.template"),
        ("spec.resources.cpu", "session.cpu"),
        ("spec.resources.memory", "session.memory"),
        ("spec.idleTimeout", "session.idle_timeout"),
        ("spec.maxSessionDuration", "session.max_session_duration"),
        ("spec.tags", "session.tags"),
        ("spec.shared.maxReplicas", "session.max_replicas"),
    ];
    let known = FIELDS
        .iter()
        .find_map(|(path, field)| Some((field, fault.field.strip_prefix(path)?)))
        .map(|(field, rest)| format!("{field}{rest}"));
    Violation { field: known.unwrap_or_else(|| "session".to_owned()), ..fault }
}

/// A span as the object writes it.
fn span(
    field: &str,
    given: Option<&prost_types::Duration>,
    violations: &mut Violations,
) -> Option<String> {
    let given = given?;
    if given.nanos == 0 && (1..=SPAN_MAXIMUM).contains(&given.seconds) {
        return Some(format!("{}s", given.seconds));
    }
    violations.add(field, format!("must be 1 to {SPAN_MAXIMUM} whole seconds"));
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> v1::CreateSessionRequest {
        let session = v1::Session {
            user: "ada".into(),
            template: "firefox".into(),
            ..v1::Session::default()
        };
        v1::CreateSessionRequest {
            parent: "tenants/acme".into(),
            session_id: "desk-1".into(),
            session: Some(session),
            ..Default::default()
        }
    }

    #[test]
    fn a_creation_says_all_or_little() {
        let little = creation(&request()).unwrap();
        assert_eq!(little.path.to_name(), "tenants/acme/sessions/desk-1");
        let wish = little.wish;
        assert_eq!(
            (wish.state, wish.persistent_home, wish.max_replicas),
            (SessionState::Running, true, None)
        );
        assert_eq!(wish.idle_timeout, session::DEFAULT_IDLE_TIMEOUT);

        let mut all = request();
        all.session = Some(v1::Session {
            state: v1::SessionState::Hibernated.into(),
            cpu: "500m".into(),
            memory: "1Gi".into(),
            without_home: true,
            idle_timeout: Some(prost_types::Duration { seconds: 600, nanos: 0 }),
            max_session_duration: Some(prost_types::Duration { seconds: 7200, nanos: 0 }),
            tags: vec!["demo".into()],
            max_replicas: 3,
            ..all.session.unwrap()
        });
        let wish = creation(&all).unwrap().wish;
        assert_eq!(wish.resources.limits.cpu.unwrap().to_string(), "500m");
        assert_eq!(
            (wish.idle_timeout.to_string(), wish.max_session_duration.to_string()),
            ("10m".into(), "2h".into())
        );
        assert_eq!((wish.pods(), wish.persistent_home), (3, false));
    }

    #[test]
    fn all_faults_are_told_by_the_fields_of_the_request() {
        let nanos = Some(prost_types::Duration { seconds: 1, nanos: 1 });
        let request = v1::CreateSessionRequest {
            parent: "acme".into(),
            session_id: "Desk 1".into(),
            session: Some(v1::Session {
                user: "Ada".into(),
                template: "a..b".into(),
                state: v1::SessionState::Terminated.into(),
                cpu: "much".into(),
                memory: "-1".into(),
                idle_timeout: nanos,
                max_session_duration: Some(prost_types::Duration { seconds: -1, nanos: 0 }),
                tags: vec!["a".into(), "a".into()],
                max_replicas: 11,
                ..v1::Session::default()
            }),
            ..Default::default()
        };
        let RpcError::Invalid(faults) = creation(&request).unwrap_err() else { panic!() };
        let mut fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
        fields.sort_unstable();
        assert_eq!(
            fields,
            [
                "parent",
                "session.cpu",
                "session.idle_timeout",
                "session.max_replicas",
                "session.max_session_duration",
                "session.memory",
                "session.state",
                "session.tags[1]",
                "session.template",
                "session.user",
                "session_id",
            ]
        );
        let nothing = v1::CreateSessionRequest::default();
        assert!(matches!(creation(&nothing), Err(RpcError::Invalid(faults)) if faults.len() == 2));
    }

    #[test]
    fn parents_are_one_tenant_or_all() {
        assert_eq!(Parent::read("tenants/-").unwrap(), Parent::All);
        let acme = Parent::read("tenants/acme").unwrap();
        assert_eq!(acme.sessions(), "tenants/acme/sessions/-");
        assert!(!acme.holds(&TenantId::parse("beta").unwrap()));
        for name in ["", "-", "tenants/", "tenants/acme/sessions/-"] {
            assert!(Parent::read(name).is_err(), "{name}");
        }
    }
}
