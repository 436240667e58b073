//! Names that a region's daemon knows.

use std::collections::{BTreeMap, BTreeSet};

use streamspace_client::Connection;
use streamspace_proto::v1::{
    ListApprovalsRequest, ListBreakGlassGrantsRequest, ListCertificatesRequest,
    ListEnrolmentTokensRequest, ListFaultsRequest, ListOperationsRequest, ListOperatorLocksRequest,
    ListPlansRequest, ListSessionsRequest, ListSlosRequest, ListTemplatesRequest,
    ListTenantsRequest, Session, TenantView,
};
use tonic::Status;

use super::cache::{Name, Told};
use crate::resource::{short, word};

mod duty;

/// The most that are asked for. A list that is longer helps nobody to choose.
const PAGE: i32 = 500;
/// So much is said about a name.
const ABOUT_MAXIMUM: usize = 60;

/// What names are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Tenants,
    Plans,
    Operations,
    Approvals,
    /// Those that wait for somebody.
    PendingApprovals,
    Tokens,
    Certificates,
    Operators,
    LockedOperators,
    Grants,
    Faults,
    /// As `TENANT/SESSION`.
    Sessions,
    /// Those of the catalogue.
    Templates,
    /// Who has sessions.
    Users,
    Slos,
    /// Those that fire.
    Alerts,
    /// Those that are open.
    Incidents,
    Rotas,
    /// Who is paged after whom.
    Policies,
    /// Those that are not over.
    Maintenances,
    /// Those that hold.
    Silences,
    Channels,
    RefusedNotices,
}

impl Kind {
    pub(super) const ALL: [Self; 23] = [
        Self::Tenants,
        Self::Plans,
        Self::Operations,
        Self::Approvals,
        Self::PendingApprovals,
        Self::Tokens,
        Self::Certificates,
        Self::Operators,
        Self::LockedOperators,
        Self::Grants,
        Self::Faults,
        Self::Sessions,
        Self::Templates,
        Self::Users,
        Self::Slos,
        Self::Alerts,
        Self::Incidents,
        Self::Rotas,
        Self::Policies,
        Self::Maintenances,
        Self::Silences,
        Self::Channels,
        Self::RefusedNotices,
    ];

    /// What it is called between processes and in the names of files.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Tenants => "tenants",
            Self::Plans => "plans",
            Self::Operations => "operations",
            Self::Approvals => "approvals",
            Self::PendingApprovals => "pending-approvals",
            Self::Tokens => "tokens",
            Self::Certificates => "certificates",
            Self::Operators => "operators",
            Self::LockedOperators => "locked-operators",
            Self::Grants => "grants",
            Self::Faults => "faults",
            Self::Sessions => "sessions",
            Self::Templates => "templates",
            Self::Users => "users",
            Self::Slos => "slos",
            Self::Alerts => "alerts",
            Self::Incidents => "incidents",
            Self::Rotas => "rotas",
            Self::Policies => "escalation-policies",
            Self::Maintenances => "maintenances",
            Self::Silences => "silences",
            Self::Channels => "channels",
            Self::RefusedNotices => "refused-notices",
        }
    }

    /// What its full names begin with.
    pub(super) fn collection(self) -> &'static str {
        match self {
            Self::Tenants => "tenants/",
            Self::Plans => "plans/",
            Self::Operations => "operations/",
            Self::Approvals | Self::PendingApprovals => "approvals/",
            Self::Tokens => "tokens/",
            Self::Certificates => "certificates/",
            Self::Operators | Self::LockedOperators => "operators/",
            Self::Grants => "breakGlassGrants/",
            Self::Faults => "faults/",
            Self::Templates => "templates/",
            Self::Slos => "slos/",
            Self::Alerts => "alerts/",
            Self::Incidents => "incidents/",
            Self::Rotas => "rotas/",
            Self::Policies => "escalationPolicies/",
            Self::Maintenances => "maintenances/",
            Self::Silences => "silences/",
            Self::Channels => "channels/",
            Self::RefusedNotices => "notices/",
            // What is offered of them is not what they are called in full.
            Self::Sessions | Self::Users => "",
        }
    }

    /// What of a beginning the daemon is asked for. A list without a filter is asked for
    /// as a whole, and what a filter would have to quote is not asked for at all.
    pub(super) fn asked(self, prefix: &str) -> &str {
        match self {
            Self::Tenants
            | Self::Operations
            | Self::Approvals
            | Self::PendingApprovals
            | Self::Certificates
            | Self::Operators
                if is_plain(prefix) =>
            {
                prefix
            }
            // Those of the tenant, once its name is whole.
            Self::Sessions if is_plain(prefix) => {
                { prefix.split_inclusive('/').next().filter(|tenant| tenant.ends_with('/')) }
                    .unwrap_or_default()
            }
            _ => "",
        }
    }
}

/// Whether a name can stand in a command line of any shell as it is. No other is ever
/// offered: what a shell does with a name from elsewhere must not hang on quotes.
pub(super) fn is_plain(name: &str) -> bool {
    name.len() <= 253
        && name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.@:+/".contains(&byte))
}

/// Asks a daemon once: who waits for TAB waits for no second try.
pub(super) async fn ask(connection: &Connection, kind: Kind, prefix: &str) -> Result<Told, Status> {
    let prefix = kind.asked(prefix);
    let beginning = |field: &str| match prefix {
        "" => String::new(),
        prefix if field == "name" => format!("name = \"{}{prefix}*\"", kind.collection()),
        prefix => format!("{field} = \"{prefix}*\""),
    };
    let (names, next) = match kind {
        Kind::Tenants => tenants(connection, beginning("name")).await?,
        Kind::Plans => plans(connection).await?,
        Kind::Operations => operations(connection, beginning("name")).await?,
        Kind::Approvals => approvals(connection, beginning("name")).await?,
        Kind::PendingApprovals => {
            let pending = "state = \"pending\"".to_owned();
            let filter = match beginning("name") {
                named if named.is_empty() => pending,
                named => format!("{pending} AND {named}"),
            };
            approvals(connection, filter).await?
        }
        Kind::Tokens => tokens(connection).await?,
        Kind::Certificates => certificates(connection, beginning("name")).await?,
        Kind::Operators => operators(connection, beginning("operator")).await?,
        Kind::LockedOperators => locks(connection).await?,
        Kind::Grants => grants(connection).await?,
        Kind::Faults => faults(connection).await?,
        Kind::Sessions => sessions(connection, prefix).await?,
        Kind::Templates => templates(connection).await?,
        Kind::Users => users(connection).await?,
        Kind::Slos => slos(connection).await?,
        Kind::Alerts => duty::alerts(connection).await?,
        Kind::Incidents => duty::incidents(connection).await?,
        Kind::Rotas => duty::rotas(connection).await?,
        Kind::Policies => duty::policies(connection).await?,
        Kind::Maintenances => duty::maintenances(connection).await?,
        Kind::Silences => duty::silences(connection).await?,
        Kind::Channels => duty::channels(connection).await?,
        Kind::RefusedNotices => duty::refused_notices(connection).await?,
    };
    Ok(Told {
        prefix: prefix.to_owned(),
        whole: next.is_empty(),
        names: names
            .into_iter()
            .map(|(name, about)| Name {
                name: short(kind.collection(), &name).to_owned(),
                about: about_line(&about),
            })
            .filter(|name| is_plain(&name.name))
            .collect(),
    })
}

/// A few words for a list of candidates: one line, nothing that acts on a terminal.
pub(super) fn about_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim();
    let mut short: String = line.chars().take(ABOUT_MAXIMUM).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    streamspace_client::text::escape(&short).into_owned()
}

/// Names with what is said about each, and the token of the next page.
type Page = (Vec<(String, String)>, String);

async fn tenants(connection: &Connection, filter: String) -> Result<Page, Status> {
    let view = TenantView::Basic.into();
    let request = ListTenantsRequest { page_size: PAGE, filter, view, ..Default::default() };
    let reply = connection.tenants().list_tenants(request).await?.into_inner();
    let names = reply.tenants.into_iter().map(|tenant| {
        let state = word("TENANT_STATE_", tenant.state().as_str_name());
        let about = format!("{}, {state}", short("plans/", &tenant.plan));
        (tenant.name, about)
    });
    Ok((names.collect(), reply.next_page_token))
}

async fn plans(connection: &Connection) -> Result<Page, Status> {
    let request = ListPlansRequest { page_size: PAGE, ..Default::default() };
    let reply = connection.plans().list_plans(request).await?.into_inner();
    let names = reply.plans.into_iter().map(|plan| (plan.name, plan.display_name));
    Ok((names.collect(), reply.next_page_token))
}

async fn operations(connection: &Connection, filter: String) -> Result<Page, Status> {
    let request = ListOperationsRequest { page_size: PAGE, filter, ..Default::default() };
    let reply = connection.operations().list_operations(request).await?.into_inner();
    let names = reply.operations.into_iter().map(|operation| {
        let state = if operation.done { "done" } else { "running" };
        (operation.name, format!("{} {}, {state}", operation.kind, operation.target))
    });
    Ok((names.collect(), reply.next_page_token))
}

async fn approvals(connection: &Connection, filter: String) -> Result<Page, Status> {
    let request = ListApprovalsRequest { page_size: PAGE, filter, ..Default::default() };
    let reply = connection.approvals().list_approvals(request).await?.into_inner();
    let names = reply.approvals.into_iter().map(|approval| {
        let state = word("APPROVAL_STATE_", approval.state().as_str_name());
        (approval.name, format!("{state}, {}: {}", approval.requester, approval.summary))
    });
    Ok((names.collect(), reply.next_page_token))
}

async fn tokens(connection: &Connection) -> Result<Page, Status> {
    let request = ListEnrolmentTokensRequest { page_size: PAGE, ..Default::default() };
    let reply = connection.access().list_enrolment_tokens(request).await?.into_inner();
    let names = reply.tokens.into_iter().map(|token| {
        let role = word("ROLE_", token.role().as_str_name());
        (token.name, format!("{}, {role}", token.operator))
    });
    Ok((names.collect(), reply.next_page_token))
}

async fn certificates(connection: &Connection, filter: String) -> Result<Page, Status> {
    let request = ListCertificatesRequest { page_size: PAGE, filter, ..Default::default() };
    let reply = connection.access().list_certificates(request).await?.into_inner();
    let names = reply.certificates.into_iter().map(|one| {
        let kind = word("CERTIFICATE_KIND_", one.kind().as_str_name());
        let state = word("CERTIFICATE_STATE_", one.state().as_str_name());
        (one.name, format!("{}, {kind}, {state}", one.operator))
    });
    Ok((names.collect(), reply.next_page_token))
}

/// Everybody who has a certificate.
async fn operators(connection: &Connection, filter: String) -> Result<Page, Status> {
    let request = ListCertificatesRequest { page_size: PAGE, filter, ..Default::default() };
    let reply = connection.access().list_certificates(request).await?.into_inner();
    let mut roles: BTreeMap<String, String> = BTreeMap::new();
    for certificate in reply.certificates {
        // The newest is first.
        roles.entry(certificate.operator).or_insert(certificate.role_name);
    }
    Ok((roles.into_iter().collect(), reply.next_page_token))
}

async fn locks(connection: &Connection) -> Result<Page, Status> {
    let request = ListOperatorLocksRequest { page_size: PAGE, ..Default::default() };
    let reply = connection.access().list_operator_locks(request).await?.into_inner();
    let names = reply.locks.into_iter().map(|lock| (lock.name, lock.reason));
    Ok((names.collect(), reply.next_page_token))
}

async fn grants(connection: &Connection) -> Result<Page, Status> {
    let request = ListBreakGlassGrantsRequest { page_size: PAGE, ..Default::default() };
    let reply = connection.access().list_break_glass_grants(request).await?.into_inner();
    let names = reply.grants.into_iter().map(|grant| {
        let about = format!("{}: {}", grant.operator, grant.reason);
        (grant.name, about)
    });
    Ok((names.collect(), reply.next_page_token))
}

async fn faults(connection: &Connection) -> Result<Page, Status> {
    let request = ListFaultsRequest::default();
    let reply = connection.simulator().list_faults(request).await?.into_inner();
    Ok((reply.faults.into_iter().map(|fault| (fault.name, String::new())).collect(), String::new()))
}

/// A page of sessions: those of a tenant, or of all.
async fn page(connection: &Connection, parent: String) -> Result<(Vec<Session>, String), Status> {
    let request = ListSessionsRequest { parent, page_size: PAGE, ..Default::default() };
    let reply = connection.sessions().list_sessions(request).await?.into_inner();
    Ok((reply.sessions, reply.next_page_token))
}

async fn sessions(connection: &Connection, prefix: &str) -> Result<Page, Status> {
    let tenant = prefix.strip_suffix('/').unwrap_or("-");
    let (sessions, next) = page(connection, format!("tenants/{tenant}")).await?;
    let names = sessions.into_iter().filter_map(|session| {
        let (tenant, own) = session.name.strip_prefix("tenants/")?.split_once("/sessions/")?;
        let phase = word("SESSION_PHASE_", session.phase().as_str_name());
        let about = format!("{}, {}, {phase}", session.user, session.template);
        Some((format!("{tenant}/{own}"), about))
    });
    Ok((names.collect(), next))
}

async fn users(connection: &Connection) -> Result<Page, Status> {
    let (sessions, next) = page(connection, "tenants/-".into()).await?;
    let users: BTreeSet<String> = sessions.into_iter().map(|session| session.user).collect();
    Ok((users.into_iter().map(|user| (user, String::new())).collect(), next))
}

async fn templates(connection: &Connection) -> Result<Page, Status> {
    let request = ListTemplatesRequest { page_size: PAGE, ..Default::default() };
    let reply = connection.sessions().list_templates(request).await?.into_inner();
    let names = reply.templates.into_iter().map(|template| (template.name, template.display_name));
    Ok((names.collect(), reply.next_page_token))
}

async fn slos(connection: &Connection) -> Result<Page, Status> {
    let request = ListSlosRequest { page_size: PAGE, ..Default::default() };
    let reply = connection.slos().list_slos(request).await?.into_inner();
    let names = reply.slos.into_iter().map(|slo| (slo.name, slo.display_name));
    Ok((names.collect(), reply.next_page_token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_no_shell_minds_are_offered() {
        for name in ["acme-corp", "a@acme.com", "0a1b", "0a:1b", "tenants/x", "A_b.c+d"] {
            assert!(is_plain(name), "{name}");
        }
        for name in [
            "",
            "-rf",
            "~root",
            "@x",
            "a b",
            "$(id)",
            "`id`",
            "a;b",
            "a|b",
            "a&b",
            "a>b",
            "a*",
            "a?",
            "[a]",
            "{a}",
            "a'b",
            "a\"b",
            "a\\b",
            "a\nb",
            "a\tb",
            "a\u{1b}[2J",
            "a!b",
            "a#b",
            "a=b",
            "a^b",
            "a,b",
            "a%b",
            "ä",
            "a\u{202e}b",
        ] {
            assert!(!is_plain(name), "{name:?}");
        }
        assert!(!is_plain(&"a".repeat(254)));
    }

    #[test]
    fn a_filter_is_never_made_of_what_it_would_have_to_quote() {
        assert_eq!(Kind::Tenants.asked("ac"), "ac");
        assert_eq!(Kind::Tenants.asked("a\" OR name = \"*"), "");
        assert_eq!(Kind::Tenants.asked("a*"), "");
        assert_eq!(Kind::Plans.asked("bu"), "");
        assert_eq!(Kind::Sessions.asked("acm"), "");
        assert_eq!(Kind::Sessions.asked("acme/de"), "acme/");
        assert_eq!(Kind::Sessions.asked("a\"/de"), "");
    }

    #[test]
    fn what_is_said_about_a_name_is_one_harmless_line() {
        assert_eq!(about_line("one\ntwo"), "one");
        assert_eq!(about_line("a\tb\u{1b}[2J"), "a\\u{9}b\\u{1b}[2J");
        let long = about_line(&"x".repeat(200));
        assert_eq!(long.chars().count(), ABOUT_MAXIMUM + 1);
    }
}
