//! `ssctl status`: how the regions are, on one screen and in an exit code.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use streamspace_client::{Connection, credentials::Credential, text::escape};
use streamspace_proto::v1::{
    Alert, Approval, BreakGlassGrant, Budget, Certificate, GetRegionRequest, GetUsageStatusRequest,
    Incident, ListApprovalsRequest, ListBreakGlassGrantsRequest, ListCertificatesRequest,
    ListOperationsRequest, ListOperatorLocksRequest, ListTenantsRequest, Operation, OperatorLock,
    Region, Session, Tenant, TenantView, UsageStatus, WhoAmIResponse,
};

use tonic::Code;

use super::{alert, incident, session, slo, whoami};
use crate::{
    errors::{Doing as _, Failure, Outcome},
    exit::Exit,
    output::{Cell, Column, Format, Listing, Tone},
    read::Read,
    resource::{call, list, short},
    shell::Shell,
    time::{age, proto_duration},
};
use findings::{Finding, Report};

mod findings;

/// What ends within this time is told.
const SOON: Duration = Duration::from_hours(14 * 24);
/// So many operations are looked at, the newest.
const OPERATIONS: usize = 200;
/// So many sessions that failed are read.
const FAILED: usize = 1000;

/// The budgets that need somebody.
const UNWELL: &str = "state = \"page\" OR state = \"exhausted\" OR state = \"no-data\"";

/// A part of the answer: what was read, or why not.
type Part<T> = Outcome<T>;

/// What a region told. Without the region itself there is no answer.
#[derive(Debug)]
pub(super) struct Told {
    region: Region,
    who: Part<WhoAmIResponse>,
    /// When the credential of this machine ends for good.
    own_end: Option<Timestamp>,
    tenants: Part<Vec<Tenant>>,
    approvals: Part<Vec<Approval>>,
    grants: Part<Vec<BreakGlassGrant>>,
    operations: Part<Vec<Operation>>,
    locks: Part<Vec<OperatorLock>>,
    certificates: Part<Vec<Certificate>>,
    /// None where the daemon is older than metering.
    metering: Part<Option<UsageStatus>>,
    /// The sessions that cannot run; none where the daemon is older than sessions.
    failed: Part<Vec<Session>>,
    /// The budgets that are not well; none where the daemon is older than SLOs.
    budgets: Part<Vec<Budget>>,
    /// What fires; none where the daemon is older than alerts.
    alerts: Part<Vec<Alert>>,
    /// The incidents that are open; none where the daemon is older than incidents.
    incidents: Part<Vec<Incident>>,
}

pub(crate) async fn run(shell: &Shell) -> Outcome {
    let within = proto_duration(Some(SOON))?;
    let read = shell.read(async |connection| ask(connection, within).await).await?;
    let mut read = read.map(|_, told| Ok(findings::report(&told, shell.now)))?;
    // What needs somebody comes first.
    read.answers.sort_by_key(|(_, report)| report.needs.is_empty());
    let needed: usize = read.answers.iter().map(|(_, report)| report.needs.len()).sum();
    let printed = match shell.format() {
        Format::Csv | Format::Name => {
            read.map(|_, report| Ok(report.all()))?.print_rows(shell, &listing())
        }
        _ => print(shell, &read),
    };
    match printed {
        // Regions that were not read were told, and something is known to be wrong.
        Ok(()) | Err(Failure::Unread { .. }) if needed > 0 => {
            let things =
                if needed == 1 { "1 thing needs" } else { &format!("{needed} things need") };
            Err(Failure::CheckFailed {
                message: format!("{things} a person"),
                next: "each is above with the command that looks closer; programs read it with -o \
                       json"
                    .into(),
            })
        }
        other => other,
    }
}

/// Asks for everything at once, over one connection.
async fn ask(connection: &Connection, within: Option<prost_types::Duration>) -> Outcome<Told> {
    let region = async {
        let name = "regions/-".to_owned();
        call!(connection, regions.get_region(GetRegionRequest { name }))
            .doing(|| "read the region".into())
    };
    let who = async { Ok(whoami::ask(connection).await?) };
    let tenants = async {
        list!(connection, None, tenants.list_tenants, ListTenantsRequest {
            filter: String::new(), order_by: String::new(), show_deleted: false,
            view: TenantView::Basic.into()
        } => tenants)
    };
    let approvals = async {
        list!(connection, None, approvals.list_approvals, ListApprovalsRequest {
            filter: "state = \"pending\"".to_owned()
        } => approvals)
    };
    let grants = async {
        list!(connection, None, access.list_break_glass_grants, ListBreakGlassGrantsRequest {
            unreviewed: true
        } => grants)
    };
    let operations = async {
        list!(connection, Some(OPERATIONS), operations.list_operations, ListOperationsRequest {
            filter: String::new()
        } => operations)
    };
    let locks = async {
        list!(connection, None, access.list_operator_locks, ListOperatorLocksRequest {} => locks)
    };
    let certificates = async {
        list!(connection, None, access.list_certificates, ListCertificatesRequest {
            filter: "kind = \"device\"".to_owned(), expiring_within: within
        } => certificates)
    };
    // Ten at once are much for a stack.
    let metering = Box::pin(async {
        let status = call!(connection, usage.get_usage_status(GetUsageStatusRequest {}));
        known(status.map(Some).map_err(Failure::from))
    });
    let failed = Box::pin(async {
        known(session::list(connection, Some(FAILED), "tenants/-", "phase = \"Failed\"").await)
    });
    let budgets = Box::pin(async { known(slo::budgets(connection, Some(FAILED), UNWELL).await) });
    let alerts = Box::pin(async { known(alert::list(connection, Some(FAILED), false).await) });
    let incidents =
        Box::pin(async { known(incident::incidents(connection, Some(FAILED), false).await) });
    let ((region, who, tenants, approvals, grants), (operations, locks, certificates), more) = tokio::join!(
        Box::pin(async { tokio::join!(region, who, tenants, approvals, grants) }),
        Box::pin(async { tokio::join!(operations, locks, certificates) }),
        async { tokio::join!(metering, failed, budgets, alerts, incidents) },
    );
    let (metering, failed, budgets, alerts, incidents) = more;
    let region = region?;
    Ok(Told {
        region,
        who,
        own_end: own_end(connection).await,
        tenants,
        approvals,
        grants,
        operations,
        locks,
        certificates,
        metering,
        failed,
        budgets,
        alerts,
        incidents,
    })
}

/// What a daemon that does not know the call would say: there is none of it.
fn known<T: Default>(part: Part<T>) -> Part<T> {
    match part {
        Err(Failure::Client { error, .. }) if error.code() == Some(Code::Unimplemented) => {
            Ok(T::default())
        }
        part => part,
    }
}

/// When this machine must log in again: at the end of its device. Plain files are renewed
/// by whoever made them. It was read to connect, so it can be read.
async fn own_end(connection: &Connection) -> Option<Timestamp> {
    let reference = connection.context().credential.clone();
    let read = tokio::task::spawn_blocking(move || Credential::load(&reference).ok());
    let credential = read.await.ok()??;
    Some(credential.device?.validity().until)
}

fn print(shell: &Shell, read: &Read<Report>) -> Outcome {
    read.print_answer(shell, |report| page(report, shell.now), |report| Ok(value(report)))
}

/// What people read: a line where all is well, and else what needs somebody first.
fn page(report: &Report, now: Timestamp) -> Vec<(&'static str, Cell)> {
    let mut pairs = vec![(
        "Status",
        match report.needs.len() {
            0 => Cell::toned(format!("all well: {}", report.brief()), Tone::Good),
            1 => Cell::toned("1 thing needs a person", Tone::Bad),
            many => Cell::toned(format!("{many} things need a person"), Tone::Bad),
        },
    )];
    let mut last = "";
    for finding in &report.needs {
        let label = if finding.kind == last { "" } else { title(finding.kind) };
        last = finding.kind;
        pairs.push((label, Cell::toned(told(finding, now), Tone::Doubtful)));
    }
    for (index, note) in report.notes.iter().enumerate() {
        pairs.push((if index == 0 { "Notes" } else { "" }, told(note, now).into()));
    }
    if !report.needs.is_empty() {
        pairs.push(("Region", report.brief().into()));
    }
    if !report.not_for_the_role.is_empty() {
        let parts = report.not_for_the_role.join(", ");
        let role = if report.role.is_empty() { "your role" } else { &report.role };
        pairs.push(("Not read", format!("{parts}: not for {role}").into()));
    }
    pairs
}

fn title(kind: &str) -> &'static str {
    match kind {
        "part" => "Part",
        "leader" => "Leader",
        "breaker" => "Breaker",
        "orphan" => "Orphan",
        "tenant" => "Tenant",
        "certificate" => "Certificate",
        "approval" => "Approval",
        "break-glass" => "Break-glass",
        "operation" => "Operation",
        "metering" => "Metering",
        "session" => "Sessions",
        "budget" => "Budget",
        "alert" => "Alert",
        "incident" => "Incident",
        _ => "Other",
    }
}

/// One finding: whose, what, since when, and the command that looks closer.
fn told(finding: &Finding, now: Timestamp) -> String {
    let since = findings::wire(finding.since);
    let since = match age(since.as_ref(), now) {
        age if age.is_empty() => age,
        age => format!(" (for {age})"),
    };
    let name = short_of_any(&finding.name);
    let name = if name.is_empty() { String::new() } else { format!("{}: ", escape(name)) };
    let next = match finding.next.as_str() {
        "" => String::new(),
        next => format!("\n{}", escape(next)),
    };
    // The line for the command is the only break: a text cannot make one.
    format!("{name}{}{since}{next}", escape(&finding.message))
}

fn short_of_any(name: &str) -> &str {
    let kind = name.find('/').map_or(0, |at| at + 1);
    short(name.get(..kind).unwrap_or_default(), name)
}

/// What programs read; the fields are in the manual and stay.
fn value(report: &Report) -> Value {
    let findings = |findings: &[Finding]| findings.iter().map(finding_value).collect::<Vec<_>>();
    json!({
        "region": report.region,
        "well": report.needs.is_empty(),
        "needs": findings(&report.needs),
        "notes": findings(&report.notes),
        "tenants": report.tenants.as_ref().map(|states| {
            states.iter().map(|(state, count)| (state.clone(), json!(count)))
                .collect::<serde_json::Map<_, _>>()
        }),
        "leader": (!report.leader.is_empty()).then_some(&report.leader),
        "operator": report.operator,
        "role": report.role,
        "notForTheRole": report.not_for_the_role,
    })
}

fn finding_value(finding: &Finding) -> Value {
    let mut value = json!({
        "kind": finding.kind,
        "name": finding.name,
        "message": finding.message,
    });
    if let Some(object) = value.as_object_mut() {
        let mut put = |key: &str, text: String| {
            if !text.is_empty() {
                object.insert(key.to_owned(), text.into());
            }
        };
        put("reason", finding.reason.clone());
        put("since", finding.since.map(|since| since.to_string()).unwrap_or_default());
        put("next", finding.next.clone());
    }
    value
}

fn listing() -> Listing<Finding> {
    Listing {
        plural: "findings",
        columns: vec![
            Column::new("KIND", |finding: &Finding, _| finding.kind.into()),
            Column::new("NAME", |finding, _| finding.name.clone().into()),
            Column::new("NEEDS A PERSON", |finding, _| {
                if finding.needs { "yes" } else { "no" }.into()
            }),
            Column::new("SINCE", |finding, _| {
                finding.since.map(|since| since.to_string()).unwrap_or_default().into()
            }),
            Column::new("MESSAGE", |finding, _| finding.message.clone().into()),
            Column::new("NEXT", |finding, _| finding.next.clone().into()),
        ],
        name: |finding| finding.name.clone(),
        value: |finding| Ok(finding_value(finding)),
    }
}

/// Whether a part is not for the role of whoever asks: no error, and no finding.
pub(super) fn is_denied(failure: &Failure) -> bool {
    failure.exit() == Exit::Denied
}
