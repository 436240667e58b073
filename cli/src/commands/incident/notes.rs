//! What people add to an incident: roles, notes, what the public hears, and what is to be
//! done.

use std::time::Duration;

use streamspace_proto::v1::{AddNoteRequest, IncidentRole};

use super::{Change, change, noun::full};
use crate::{
    change::{ChangeArgs, Given, send},
    errors::Outcome,
    output::print_one,
    shell::Shell,
    time::proto_duration,
};

#[derive(Debug, clap::Args)]
#[group(id = "roles", required = true, multiple = true)]
pub(crate) struct Roles {
    /// Who decides
    #[arg(long, value_name = "PERSON", group = "roles")]
    commander: Option<String>,
    /// Who speaks to customers and to the house
    #[arg(long, value_name = "PERSON", group = "roles")]
    communications: Option<String>,
    /// Who writes down what happens
    #[arg(long, value_name = "PERSON", group = "roles")]
    scribe: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AssignArgs {
    /// The incident
    name: String,
    #[command(flatten)]
    roles: Roles,
    #[command(flatten)]
    change: ChangeArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct NoteArgs {
    /// The incident
    name: String,
    /// What the timeline keeps
    text: String,
    #[command(flatten)]
    change: ChangeArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct UpdateArgs {
    /// The incident
    name: String,
    /// What customers read
    text: String,
    /// Say that you mean the public: it is on the status page then
    #[arg(long, required = true)]
    public: bool,
    /// When they hear again: 30m, 2h; the text promises it
    #[arg(long, value_name = "DURATION", value_parser = super::next_update)]
    next: Option<Duration>,
    #[command(flatten)]
    change: ChangeArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ActionArgs {
    /// The incident
    name: String,
    /// What is to be done
    #[arg(required_unless_present = "done")]
    text: Option<String>,
    /// Who does it
    #[arg(long, value_name = "PERSON", default_value = "", hide_default_value = true)]
    owner: String,
    /// By when, as 2026-03-31
    #[arg(long, value_name = "DAY", default_value = "", hide_default_value = true)]
    due: String,
    /// The item of this number is done
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["text", "owner", "due"])]
    done: Option<i32>,
    #[command(flatten)]
    change: ChangeArgs,
}

pub(super) async fn assign(shell: &Shell, args: &AssignArgs) -> Outcome {
    let connection = shell.connect()?;
    let name = full(&args.name);
    let Roles { commander, communications, scribe } = &args.roles;
    let roles = [
        (IncidentRole::Commander, commander),
        (IncidentRole::Communications, communications),
        (IncidentRole::Scribe, scribe),
    ];
    let mut last = None;
    for (role, person) in roles {
        let Some(person) = person else { continue };
        let of = Change {
            method: "IncidentService.AssignRole",
            verb: "assign a role of",
            name: &name,
            effect: "",
        };
        let send = async |given: &Given| {
            send!(
                &connection,
                given,
                incidents.assign_role,
                AssignRoleRequest { role: role.into(), person: person.clone() }
            )
        };
        last = Some(change(shell, &connection, &args.change, of, send).await?);
    }
    match last {
        Some(incident) => print_one(shell, &incident),
        None => Ok(()),
    }
}

pub(super) async fn note(shell: &Shell, args: &NoteArgs) -> Outcome {
    let request = AddNoteRequest { text: args.text.clone(), ..AddNoteRequest::default() };
    add(shell, &args.name, "add a note to", &args.change, request).await
}

pub(super) async fn update(shell: &Shell, args: &UpdateArgs) -> Outcome {
    let request = AddNoteRequest {
        text: args.text.clone(),
        public: args.public,
        next_update: proto_duration(args.next)?,
        ..AddNoteRequest::default()
    };
    add(shell, &args.name, "tell the public of", &args.change, request).await
}

async fn add(
    shell: &Shell,
    name: &str,
    verb: &str,
    args: &ChangeArgs,
    request: AddNoteRequest,
) -> Outcome {
    let connection = shell.connect()?;
    let name = full(name);
    let whom = if request.public { "the public is told" } else { "the timeline keeps" };
    let effect = format!("{whom}: {}", request.text);
    let of = Change { method: "IncidentService.AddNote", verb, name: &name, effect: &effect };
    let send = async |given: &Given| {
        send!(&connection, given, incidents.add_note, AddNoteRequest { ..request.clone() })
    };
    print_one(shell, &change(shell, &connection, args, of, send).await?)
}

pub(super) async fn action(shell: &Shell, args: &ActionArgs) -> Outcome {
    let connection = shell.connect()?;
    let name = full(&args.name);
    let incident = if let Some(number) = args.done {
        let of = Change {
            method: "IncidentService.CompleteActionItem",
            verb: "complete an item of",
            name: &name,
            effect: "",
        };
        let send = async |given: &Given| {
            send!(
                &connection,
                given,
                incidents.complete_action_item,
                CompleteActionItemRequest { number: number }
            )
        };
        change(shell, &connection, &args.change, of, send).await?
    } else {
        let of = Change {
            method: "IncidentService.AddActionItem",
            verb: "add an item to",
            name: &name,
            effect: "",
        };
        let send = async |given: &Given| {
            send!(
                &connection,
                given,
                incidents.add_action_item,
                AddActionItemRequest {
                    text: args.text.clone().unwrap_or_default(),
                    owner: args.owner.clone(),
                    due: args.due.clone(),
                }
            )
        };
        change(shell, &connection, &args.change, of, send).await?
    };
    print_one(shell, &incident)
}
