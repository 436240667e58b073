//! `ssctl incident`: what goes wrong, and who works on it. Made for a tired person: few
//! flags, one line each, and `INC-7`, `inc-7` and `7` are the same.

use std::time::Duration;

use clap::Subcommand;
use streamspace_client::{ClientError, Connection};
use streamspace_proto::{
    json::to_value,
    v1::{
        GetIncidentRequest, Incident, IncidentSeverity, IncidentState, ListIncidentsRequest,
        MoveIncidentRequest, Slo, Tenant,
    },
};

use crate::{
    change::{Action, ChangeArgs, Given, Reply, act, send},
    errors::{Doing as _, Outcome},
    output::print_one,
    resource::{call, full_name, list},
    shell::Shell,
    time::parse_duration,
};

mod notes;
mod noun;
mod show;

pub(crate) use noun::severity_word;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Declare an incident: P0 to P2 page whom the escalation policy names
    #[command(after_long_help = EXAMPLES)]
    Declare(DeclareArgs),
    /// List incidents: those that are open, the gravest first
    List {
        /// Also those that are resolved
        #[arg(long)]
        closed: bool,
        /// At most so many; of each region where several are asked
        #[arg(long, value_name = "NUMBER")]
        limit: Option<usize>,
    },
    /// Show an incident: what changed shortly before it, and what happened since
    #[command(visible_aliases = ["get", "describe"])]
    Show(show::Args),
    /// Say that you have it: nobody else is paged then
    ///
    /// Of two who do so at once the first has it; the other is told who.
    Ack(NameArgs),
    /// Judge how grave it is and whom it hits
    Triage(TriageArgs),
    /// Say that users are not hurt any more
    Mitigate(MoveArgs),
    /// Say that the cause is gone
    Resolve(MoveArgs),
    /// Say that the post-mortem was read and agreed
    Review(MoveArgs),
    /// Open a resolved incident again
    Reopen(ReopenArgs),
    /// Give roles to people
    Assign(notes::AssignArgs),
    /// Page the next level now
    Escalate(NameArgs),
    /// Add a note to the timeline
    Note(notes::NoteArgs),
    /// Tell the public on the status page
    Update(notes::UpdateArgs),
    /// Join an incident to another, which goes on
    Merge(MergeArgs),
    /// Add what is to be done so that it does not happen again, or say that it is done
    Action(notes::ActionArgs),
    /// Show whom it hit and what it cost
    Impact {
        /// The incident
        name: String,
    },
    /// Print the post-mortem as Markdown
    Export {
        /// The incident
        name: String,
    },
}

const EXAMPLES: &str = "\
Examples:
  ssctl incident declare 'API errors' --severity p1 --tenant acme
  ssctl incident declare --alert 0190aa11 --ack";

#[derive(Debug, clap::Args)]
pub(crate) struct DeclareArgs {
    /// What is wrong, in a few words; the alert's where one is named
    #[arg(required_unless_present = "alert")]
    title: Option<String>,
    /// How grave it is: p0 (all is down) to p4 (nobody is hindered yet)
    #[arg(long, value_parser = severity, default_value = "p2")]
    severity: IncidentSeverity,
    /// A tenant that it hits; repeated for more
    #[arg(long = "tenant", value_name = "TENANT")]
    tenants: Vec<String>,
    /// An SLO that it may break; repeated for more
    #[arg(long = "slo", value_name = "SLO")]
    slos: Vec<String>,
    /// The alert that it is about: its whole name or a beginning that no other has
    #[arg(long, value_name = "ALERT")]
    alert: Option<String>,
    /// You have it: nobody is paged
    #[arg(long)]
    ack: bool,
    /// The escalation policy that pages for it; chosen by whom it hits without
    #[arg(long, value_name = "POLICY")]
    policy: Option<String>,
    #[command(flatten)]
    change: ChangeArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct NameArgs {
    /// The incident
    name: String,
    #[command(flatten)]
    change: ChangeArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TriageArgs {
    /// The incident
    name: String,
    /// How grave it is: p0 to p4
    #[arg(long, value_parser = severity)]
    severity: Option<IncidentSeverity>,
    /// A tenant that it hits; repeated for more
    #[arg(long = "tenant", value_name = "TENANT")]
    tenants: Vec<String>,
    /// An SLO that it may break; repeated for more
    #[arg(long = "slo", value_name = "SLO")]
    slos: Vec<String>,
    /// What the timeline keeps with it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    note: String,
    #[command(flatten)]
    change: ChangeArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct MoveArgs {
    /// The incident
    name: String,
    /// What the timeline keeps with it
    #[arg(default_value = "", hide_default_value = true)]
    note: String,
    #[command(flatten)]
    change: ChangeArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ReopenArgs {
    /// The incident
    name: String,
    /// What came back
    note: String,
    #[command(flatten)]
    change: ChangeArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct MergeArgs {
    /// The incident that ends
    name: String,
    /// The incident that goes on
    into: String,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Reply for Incident {}

fn severity(text: &str) -> Result<IncidentSeverity, String> {
    let name = format!("INCIDENT_SEVERITY_{}", text.to_ascii_uppercase());
    IncidentSeverity::from_str_name(&name)
        .filter(|it| *it != IncidentSeverity::Unspecified)
        .ok_or_else(|| "must be p0, p1, p2, p3 or p4".to_owned())
}

/// When the public hears again.
fn next_update(text: &str) -> Result<Duration, String> {
    parse_duration(text)
}

pub(crate) async fn run(shell: &Shell, command: Command) -> Outcome {
    match command {
        Command::Declare(args) => declare(shell, &args).await,
        Command::List { closed, limit } => {
            let read = shell.read(async |connection| incidents(connection, limit, closed).await);
            read.await?.print_all(shell)
        }
        Command::Show(args) => show::run(shell, &args).await,
        Command::Impact { name } => show::impact(shell, &noun::full(&name)).await,
        Command::Export { name } => show::export(shell, &noun::full(&name)).await,
        Command::Ack(args) => acknowledge(shell, &args).await,
        Command::Escalate(args) => escalate(shell, &args).await,
        Command::Triage(args) => {
            let step = Step {
                name: &args.name,
                verb: "triage",
                request: MoveIncidentRequest {
                    state: IncidentState::Triaged.into(),
                    severity: args.severity.unwrap_or_default().into(),
                    tenants: args.tenants.iter().map(|it| full_name::<Tenant>(it)).collect(),
                    slos: args.slos.iter().map(|it| full_name::<Slo>(it)).collect(),
                    note: args.note.clone(),
                    ..MoveIncidentRequest::default()
                },
            };
            step.run(shell, &args.change).await
        }
        Command::Mitigate(args) => {
            move_to(shell, &args, "mitigate", IncidentState::Mitigated).await
        }
        Command::Resolve(args) => move_to(shell, &args, "resolve", IncidentState::Resolved).await,
        Command::Review(args) => move_to(shell, &args, "review", IncidentState::Reviewed).await,
        Command::Reopen(args) => {
            let request = MoveIncidentRequest {
                state: IncidentState::Triaged.into(),
                note: args.note.clone(),
                ..MoveIncidentRequest::default()
            };
            Step { name: &args.name, verb: "reopen", request }.run(shell, &args.change).await
        }
        Command::Assign(args) => notes::assign(shell, &args).await,
        Command::Note(args) => notes::note(shell, &args).await,
        Command::Update(args) => notes::update(shell, &args).await,
        Command::Action(args) => notes::action(shell, &args).await,
        Command::Merge(args) => merge(shell, &args).await,
    }
}

/// Incidents that are open, and those that are closed where they are wanted too.
pub(crate) async fn incidents(
    connection: &Connection,
    limit: Option<usize>,
    show_closed: bool,
) -> Outcome<Vec<Incident>> {
    list!(connection, limit, incidents.list_incidents, ListIncidentsRequest {
        show_closed: show_closed
    } => incidents)
}

async fn get(connection: &Connection, name: &str) -> Result<Incident, ClientError> {
    let request = GetIncidentRequest { name: name.to_owned() };
    call!(connection, incidents.get_incident(request))
}

async fn declare(shell: &Shell, args: &DeclareArgs) -> Outcome {
    let connection = shell.connect()?;
    let alert = match &args.alert {
        Some(typed) => super::alert::named(&connection, typed).await?.name,
        None => String::new(),
    };
    let action = Action {
        method: "IncidentService.DeclareIncident",
        doing: "declare an incident".into(),
        name: "incidents/-".into(),
        ..Action::default()
    };
    let before = async || Ok(serde_json::Value::Null);
    let send = async |given: &Given| {
        send!(&connection, given, incidents.declare_incident, new DeclareIncidentRequest {
            title: args.title.clone().unwrap_or_default(),
            severity: args.severity.into(),
            tenants: args.tenants.iter().map(|it| full_name::<Tenant>(it)).collect(),
            slos: args.slos.iter().map(|it| full_name::<Slo>(it)).collect(),
            alert: alert.clone(),
            acknowledged: args.ack,
            escalation_policy: policy_name(args.policy.as_deref()),
        })
    };
    let done = |incident: &Incident| {
        let short = noun::id(&incident.name);
        if args.ack {
            format!("{short} is declared; you have it")
        } else {
            format!("{short} is declared; `ssctl incident ack {short}` says that you have it")
        }
    };
    print_one(shell, &act(shell, &args.change, action, before, send, done).await?)
}

/// The full name of a policy, or none as the contract writes it.
fn policy_name(typed: Option<&str>) -> String {
    use streamspace_proto::v1::EscalationPolicy;
    typed.map(full_name::<EscalationPolicy>).unwrap_or_default()
}

/// A change of one incident.
struct Change<'a> {
    method: &'static str,
    /// Completes "cannot …", before the name.
    verb: &'a str,
    name: &'a str,
    /// What a preview says where no field of the incident shows it.
    effect: &'a str,
}

/// Does it, or shows what it would do.
async fn change(
    shell: &Shell,
    connection: &Connection,
    change: &ChangeArgs,
    Change { method, verb, name, effect }: Change<'_>,
    send: impl AsyncFn(&Given) -> Result<Incident, ClientError>,
) -> Outcome<Incident> {
    let doing = format!("{verb} {name}");
    let action =
        Action { method, doing: doing.clone(), name: name.to_owned(), effect, ..Action::default() };
    let before = async || Ok(to_value(&get(connection, name).await.doing(|| doing)?)?);
    act(shell, change, action, before, send, noun::line).await
}

async fn acknowledge(shell: &Shell, args: &NameArgs) -> Outcome {
    let connection = shell.connect()?;
    let name = noun::full(&args.name);
    let of = Change {
        method: "IncidentService.AcknowledgeIncident",
        verb: "acknowledge",
        name: &name,
        effect: "",
    };
    let send = async |given: &Given| {
        send!(&connection, given, incidents.acknowledge_incident, AcknowledgeIncidentRequest {})
    };
    print_one(shell, &change(shell, &connection, &args.change, of, send).await?)
}

async fn escalate(shell: &Shell, args: &NameArgs) -> Outcome {
    let connection = shell.connect()?;
    let name = noun::full(&args.name);
    let of = Change {
        method: "IncidentService.EscalateIncident",
        verb: "escalate",
        name: &name,
        effect: "",
    };
    let send = async |given: &Given| {
        send!(&connection, given, incidents.escalate_incident, EscalateIncidentRequest {})
    };
    print_one(shell, &change(shell, &connection, &args.change, of, send).await?)
}

async fn merge(shell: &Shell, args: &MergeArgs) -> Outcome {
    let connection = shell.connect()?;
    let name = noun::full(&args.name);
    let into = noun::full(&args.into);
    let action = Action {
        method: "IncidentService.MergeIncident",
        doing: format!("join {name} to {into}"),
        name: into.clone(),
        ..Action::default()
    };
    let before =
        async || Ok(to_value(&get(&connection, &into).await.doing(|| format!("read {into}"))?)?);
    let send = async |given: &Given| {
        send!(&connection, given, incidents.merge_incident, new MergeIncidentRequest {
            name: name.clone(),
            into: into.clone(),
        })
    };
    let done = |on: &Incident| format!("{} goes on: {}", noun::id(&on.name), on.title);
    print_one(shell, &act(shell, &args.change, action, before, send, done).await?)
}

async fn move_to(shell: &Shell, args: &MoveArgs, verb: &str, state: IncidentState) -> Outcome {
    let request = MoveIncidentRequest {
        state: state.into(),
        note: args.note.clone(),
        ..MoveIncidentRequest::default()
    };
    Step { name: &args.name, verb, request }.run(shell, &args.change).await
}

/// A step of an incident's life.
struct Step<'a> {
    name: &'a str,
    verb: &'a str,
    request: MoveIncidentRequest,
}

impl Step<'_> {
    async fn run(&self, shell: &Shell, args: &ChangeArgs) -> Outcome {
        let connection = shell.connect()?;
        let name = noun::full(self.name);
        let of = Change {
            method: "IncidentService.MoveIncident",
            verb: self.verb,
            name: &name,
            effect: "",
        };
        let send = async |given: &Given| {
            send!(
                &connection,
                given,
                incidents.move_incident,
                MoveIncidentRequest { ..self.request.clone() }
            )
        };
        print_one(shell, &change(shell, &connection, args, of, send).await?)
    }
}
