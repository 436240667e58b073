//! Changes: what every action on a resource does the same way.
//!
//! A command says what it acts on and how its request is sent. From here come the
//! flags, the reason, the question before something is lost, the preview, the
//! line that tells what was done, and what the change brings with it.

use std::{fmt::Write as _, time::Duration};

use clap::{ArgMatches, Args};
use prost::{Message, Name};
use serde_json::Value;
use streamspace_client::{ClientError, Incident, text::escape};
use streamspace_proto::{
    json::to_value,
    policy::methods,
    v1::{Consequence, MethodPolicy},
};
use uuid::Uuid;

use crate::{
    confirm::{ConfirmArgs, Question, ask, asks, confirm},
    errors::{Doing as _, Failure, Outcome},
    output::preview,
    resource::word,
    shell::Shell,
    time::{parse_duration, proto_duration},
};

/// Flags of every change.
#[derive(Args, Clone, Debug)]
pub(crate) struct ChangeArgs {
    /// Show what would change, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// The incident that it belongs to, as in INC-7; the reason where none is given
    #[arg(long, value_name = "NAME")]
    pub(crate) incident: Option<Incident>,
}

impl ChangeArgs {
    /// The reason that was given, or the incident.
    pub(crate) fn given_reason(&self) -> Option<String> {
        let incident = || self.incident.as_ref().map(|incident| incident.name().to_owned());
        self.reason.clone().or_else(incident)
    }

    /// The same, or none as the contract writes it.
    pub(crate) fn reason(&self) -> String {
        self.given_reason().unwrap_or_default()
    }
}

/// The incident of a command, wherever in it [`ChangeArgs`] are: each of its calls
/// carries it, also those that are made before the change.
pub(crate) fn incident(matches: &ArgMatches) -> Option<Incident> {
    let own = matches.try_get_one::<Incident>("incident").ok().flatten().cloned();
    own.or_else(|| incident(matches.subcommand()?.1))
}

/// The flag of a change that can end by itself.
#[derive(Args, Clone, Debug)]
pub(crate) struct ForArgs {
    /// When it ends by itself: 90s, 30m, 8h, 7d
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) lifetime: Option<Duration>,
}

/// The flag of a change that must not overwrite somebody else's.
#[derive(Args, Clone, Debug)]
pub(crate) struct MatchArgs {
    /// Only where the tenant still has this etag
    #[arg(long, value_name = "ETAG")]
    pub(crate) if_match: Option<String>,
}

impl MatchArgs {
    /// The etag, or none as the contract writes it.
    pub(crate) fn etag(&self) -> String {
        self.if_match.clone().unwrap_or_default()
    }
}

/// An id that tells a retry from a second wish.
pub(crate) fn request_id() -> String {
    Uuid::new_v4().to_string()
}

/// What the request of an action carries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    pub(crate) name: String,
    pub(crate) etag: String,
    pub(crate) validate_only: bool,
    pub(crate) request_id: String,
    pub(crate) reason: String,
    pub(crate) ttl: Option<prost_types::Duration>,
}

/// Sends the request of an action: what every one has, and the fields named. A field without
/// a value is one of [`Given`]. What is `new` has no name yet, or carries it elsewhere.
macro_rules! send {
    (@value $given:ident $field:ident) => { $given.$field.clone() };
    (@value $given:ident $field:ident $value:expr) => { $value };
    (@send $connection:expr, $given:ident, $service:ident.$method:ident, $request:expr) => {{
        let mut request = $request;
        request.validate_only = $given.validate_only;
        request.request_id.clone_from(&$given.request_id);
        request.reason.clone_from(&$given.reason);
        $crate::resource::call!($connection, $service.$method(request))
    }};
    ($connection:expr, $given:expr, $service:ident.$method:ident, new $request:ident $fields:tt) => {{
        let given: &$crate::change::Given = $given;
        let request = $crate::change::send!(@fields given $request $fields);
        $crate::change::send!(@send $connection, given, $service.$method, request)
    }};
    ($connection:expr, $given:expr, $service:ident.$method:ident, $request:ident $fields:tt) => {{
        let given: &$crate::change::Given = $given;
        let mut request = $crate::change::send!(@fields given $request $fields);
        request.name.clone_from(&given.name);
        $crate::change::send!(@send $connection, given, $service.$method, request)
    }};
    (@fields $given:ident $request:ident { ..$base:expr }) => { $base };
    (@fields $given:ident $request:ident { $($field:ident $(: $value:expr)?),* $(,)? }) => {
        streamspace_proto::v1::$request {
            $($field: $crate::change::send!(@value $given $field $($value)?),)*
            ..Default::default()
        }
    };
}
pub(crate) use send;

/// What the daemon answers a change with.
pub(crate) trait Reply: Message + Name + Sized {
    /// What the change brings with it.
    fn consequences(&self) -> &[Consequence] {
        &[]
    }

    /// What a preview compares of it.
    fn compared(&self) -> Outcome<Value> {
        Ok(to_value(self)?)
    }
}

/// One change of one resource.
#[derive(Default)]
pub(crate) struct Action<'a> {
    /// `Service.Method`; its rule says whether a reason is needed.
    pub(crate) method: &'static str,
    /// Completes "cannot …".
    pub(crate) doing: String,
    /// The full name of the resource.
    pub(crate) name: String,
    /// The etag that it must have; empty for any.
    pub(crate) etag: String,
    /// When it ends by itself.
    pub(crate) lifetime: Option<Duration>,
    /// What a preview says where no field of the resource shows it.
    pub(crate) effect: &'a str,
    /// Whether nothing is left of the resource.
    pub(crate) ends_it: bool,
    /// What is asked before something is lost.
    pub(crate) loss: Option<Loss<'a>>,
}

/// What is lost, and what answers the question.
pub(crate) struct Loss<'a> {
    pub(crate) args: &'a ConfirmArgs,
    pub(crate) question: Question<'a>,
}

/// Does a change, or shows what it would do and ends with [`Failure::Changes`].
///
/// `before` is the resource as it is, for the preview. `send` makes the call.
/// What was done is told by `done`.
pub(crate) async fn act<R: Reply>(
    shell: &Shell,
    change: &ChangeArgs,
    action: Action<'_>,
    before: impl AsyncFnOnce() -> Outcome<Value>,
    send: impl AsyncFn(&Given) -> Result<R, ClientError>,
    done: impl FnOnce(&R) -> String,
) -> Outcome<R> {
    let mut given = Given {
        name: action.name.clone(),
        etag: action.etag.clone(),
        validate_only: change.dry_run,
        request_id: request_id(),
        reason: change.reason(),
        ttl: proto_duration(action.lifetime)?,
    };
    let doing = || action.doing.clone();
    if change.dry_run {
        let before = before().await?;
        let reply = send(&given).await.doing(doing)?;
        let after = if action.ends_it { Value::Null } else { reply.compared()? };
        // `regions/-` is whichever answered.
        let name = before.get("name").and_then(Value::as_str).unwrap_or(&action.name);
        return Err(show(shell, name, &before, &after, action.effect, &reply)?);
    }
    given.reason = reason(shell, action.method, change.given_reason()).await?;
    if let Some(Loss { args, question }) = &action.loss {
        let mut what = question.what.to_owned();
        if asks(shell, args, question) {
            // Who types a name should know what it brings first.
            let trial = Given { validate_only: true, ..given.clone() };
            let reply = send(&trial).await.doing(doing)?;
            for consequence in reply.consequences() {
                what = what + "\n" + &consequence.message;
            }
        }
        confirm(shell, args, &Question { what: &what, ..*question }).await?;
    }
    let reply =
        send(&given).await.map_err(|error| approvable(error, action.method)).doing(doing)?;
    shell.talk(&done(&reply));
    tell_consequences(shell, &reply);
    Ok(reply)
}

/// Says who can approve what waits for a second person.
pub(crate) fn approvable(mut error: ClientError, method: &str) -> ClientError {
    if let ClientError::Refused(refusal) = &mut error
        && refusal.reason.as_deref() == Some("APPROVAL_REQUIRED")
    {
        let least = rule(method).least_role();
        let role = || word("ROLE_", least.as_str_name());
        refusal.metadata.entry("role".into()).or_insert_with(role);
    }
    error
}

/// Prints a preview; the failure says that something would change. Where nothing
/// would, it is told and the failure is none of ours.
pub(crate) fn show<R: Reply>(
    shell: &Shell,
    name: &str,
    before: &Value,
    after: &Value,
    effect: &str,
    reply: &R,
) -> Outcome<Failure> {
    let mut text = preview(name, before, after, shell.terminal.output.colour);
    if text.is_empty() && !effect.is_empty() {
        text = format!("~ {}\n", escape(name));
    }
    if text.is_empty() {
        shell.talk(&format!("{name} is so already; nothing would change"));
        return Ok(Failure::NothingToDo);
    }
    if !effect.is_empty() {
        // Writing to a string does not fail.
        let _ = writeln!(text, "~   {}", escape(effect));
    }
    text.push_str(&consequence_lines(reply));
    shell.print(&text)?;
    Ok(Failure::Changes)
}

/// What a change would bring with it, below its preview.
pub(crate) fn consequence_lines<R: Reply>(reply: &R) -> String {
    let mut lines = String::new();
    for consequence in reply.consequences() {
        // Writing to a string does not fail.
        let _ = writeln!(lines, "! {}", escape(&consequence.message));
    }
    lines
}

/// Tells what a change brought with it.
pub(crate) fn tell_consequences<R: Reply>(shell: &Shell, reply: &R) {
    for consequence in reply.consequences() {
        shell.talk(&format!("note: {}", consequence.message));
    }
}

/// The access rule of a method, `Service.Method`, as the contract carries it.
pub(crate) fn rule(method: &str) -> MethodPolicy {
    let path = method.replace('.', "/");
    let is_it = |full: &str| full.rsplit('.').next() == Some(path.as_str());
    let found = methods().into_iter().find(|method| is_it(&method.path));
    found.map(|method| method.policy).unwrap_or_default()
}

/// The reason of the flag; where the method needs one and a person is there, one
/// that is typed.
pub(crate) async fn reason(shell: &Shell, method: &str, given: Option<String>) -> Outcome<String> {
    match given {
        None if !rule(method).needs_reason => Ok(String::new()),
        given => needed_reason(shell, given).await,
    }
}

/// The same of a change that needs one, whatever its method says of others.
pub(crate) async fn needed_reason(shell: &Shell, given: Option<String>) -> Outcome<String> {
    let given = match given {
        Some(reason) => reason,
        None if shell.terminal.can_ask() => ask("Why, for the audit log: ".into()).await?,
        None => String::new(),
    };
    let given = given.trim().to_owned();
    if given.is_empty() {
        return Err(Failure::Usage {
            message: "a reason is needed".into(),
            next: "say why with --reason TEXT or --incident NAME; it goes to the audit log".into(),
        });
    }
    Ok(given)
}

#[cfg(test)]
mod tests {
    use streamspace_proto::v1::AuditClass;

    use clap::CommandFactory as _;

    use super::*;
    use crate::commands::Cli;

    /// The last word of commands that change nothing in a region.
    const READS: [&str; 31] = [
        "list",
        "show",
        "describe",
        "neighbours",
        "what-if",
        "chart",
        "impact",
        "channels",
        "top",
        "compare",
        "export",
        "verify",
        "find",
        "watch",
        "check",
        "why",
        "wait",
        "items",
        "whoami",
        "status",
        "changes",
        "diff",
        "ui",
        "explain",
        "doctor",
        "completion",
        "version",
        "man",
        "login",
        // Of a context: of this machine alone.
        "use",
        "context delete",
    ];

    fn changes(command: &clap::Command, path: &str, found: &mut Vec<(String, [bool; 3])>) {
        let has = |id: &str| command.get_arguments().any(|argument| argument.get_id() == id);
        for inner in command.get_subcommands() {
            changes(inner, format!("{path} {}", inner.get_name()).trim(), found);
        }
        let reads = READS.iter().any(|words| path.ends_with(words));
        if !reads && (!command.has_subcommands() || has("reason")) {
            found.push((path.to_owned(), ["dry_run", "reason", "incident"].map(has)));
        }
    }

    #[test]
    fn every_change_has_its_preview_its_reason_and_its_incident() {
        let mut found = Vec::new();
        changes(&Cli::command(), "", &mut found);
        assert!(found.iter().any(|(path, _)| path == "tenant cordon"), "{found:?}");
        let missing: Vec<_> = found.iter().filter(|(_, has)| *has != [true; 3]).collect();
        assert!(missing.is_empty(), "without --dry-run, --reason or --incident: {missing:?}");
    }

    #[test]
    fn the_incident_is_found_where_it_stands() {
        let incident = |line: &str| {
            let matches = Cli::command().try_get_matches_from(line.split_whitespace()).unwrap();
            incident(&matches).map(|incident| incident.name().to_owned())
        };
        assert_eq!(incident("ssctl tenant cordon a --incident INC-7").as_deref(), Some("INC-7"));
        assert_eq!(incident("ssctl break-glass --incident INC-8").as_deref(), Some("INC-8"));
        assert_eq!(incident("ssctl tenant cordon a"), None);
        assert_eq!(incident("ssctl tenant show a"), None);
    }

    #[test]
    fn the_contract_says_what_needs_a_reason() {
        assert!(rule("TenantService.SuspendTenant").needs_reason);
        assert!(rule("RegionService.StepDown").needs_reason);
        assert!(!rule("TenantService.ResumeTenant").needs_reason);
        assert_eq!(rule("TenantService.ArchiveTenant").audit_class(), AuditClass::Destructive);
        assert_eq!(rule("TenantService.Nothing"), MethodPolicy::default());
    }
}
