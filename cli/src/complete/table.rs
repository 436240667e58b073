//! Which argument of which command takes what.

use std::{ffi::OsStr, sync::Arc};

use clap::{Arg, Command, ValueHint};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, ValueCompleter};

use super::{
    live::Asker,
    names::{Kind, about_line, is_plain},
};
use crate::commands::explain;

/// Stands for the files of the machine: the shell itself completes them, and quotes them
/// as they need it.
pub(super) const FILES: &str = "\u{1}files";
/// The tag of candidates behind which more is typed.
pub(super) const OPEN: &str = "open";

/// What an argument takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Names that the daemon knows.
    Live(Kind),
    /// The contexts of this machine.
    Contexts,
    /// The regions of those.
    Regions,
    /// The methods of the contract.
    Methods,
    /// What `ssctl explain` takes.
    Contract,
    /// What a quota is of, as in `cpu=80`.
    Amounts,
    /// A tenant, and behind it what its quota is of.
    TenantThenAmounts,
    /// A tenant, and behind it the resources of its quota.
    TenantThenResources,
    /// Files of this machine.
    Files,
}

/// What an argument of a command takes, where its own values do not say. `path` is the
/// command without the program's name: its noun and its verb.
pub(super) fn wanted(path: &[&str], argument: &Arg) -> Option<Wanted> {
    let hint = argument.get_value_hint();
    if matches!(hint, ValueHint::AnyPath | ValueHint::FilePath | ValueHint::DirPath) {
        return Some(Wanted::Files);
    }
    if let Some(long) = argument.get_long() {
        return of_flag(long);
    }
    if !argument.is_positional() {
        return None;
    }
    of_place(path, argument.get_id().as_str())
}

fn of_flag(long: &str) -> Option<Wanted> {
    Some(match long {
        "context" => Wanted::Contexts,
        "plan" => Wanted::Live(Kind::Plans),
        "tenant" => Wanted::Live(Kind::Tenants),
        "template" => Wanted::Live(Kind::Templates),
        "user" => Wanted::Live(Kind::Users),
        "slo" => Wanted::Live(Kind::Slos),
        "alert" => Wanted::Live(Kind::Alerts),
        "policy" => Wanted::Live(Kind::Policies),
        "operator" | "actor" | "commander" | "communications" | "scribe" | "owner" => {
            Wanted::Live(Kind::Operators)
        }
        _ => return None,
    })
}

fn of_place(path: &[&str], id: &str) -> Option<Wanted> {
    Some(match (path, id) {
        // A new name is nobody's yet.
        ([.., "create"], _) => return None,
        (["tenant", ..], "name" | "names" | "wanted")
        | (["quota", ..], "tenant" | "tenants" | "name")
        | (["session" | "template", "list"] | ["usage", ..], "tenant")
        | (["changes"], "names") => Wanted::Live(Kind::Tenants),
        (["quota", "set"], "words") => Wanted::TenantThenAmounts,
        (["quota", "reset"], "words") => Wanted::TenantThenResources,
        (["quota", ..], "needs") => Wanted::Amounts,
        (["session", ..], "name" | "names") => Wanted::Live(Kind::Sessions),
        (["slo", ..], "name" | "names") => Wanted::Live(Kind::Slos),
        (["alert", ..], "name") => Wanted::Live(Kind::Alerts),
        (["incident", ..], "name" | "into") => Wanted::Live(Kind::Incidents),
        (["oncall", "set"], "people") | (["oncall", "override"], "person") => {
            Wanted::Live(Kind::Operators)
        }
        (["oncall", "policy", ..], "name") => Wanted::Live(Kind::Policies),
        (["oncall", ..], "name") => Wanted::Live(Kind::Rotas),
        (["maintenance", ..], "name") => Wanted::Live(Kind::Maintenances),
        (["silence", ..], "name") => Wanted::Live(Kind::Silences),
        (["notify", "test"], "name") => Wanted::Live(Kind::Channels),
        (["notify", "retry"], "name") => Wanted::Live(Kind::RefusedNotices),
        (["template", ..], "name") => Wanted::Live(Kind::Templates),
        (["plan", ..], "name") => Wanted::Live(Kind::Plans),
        (["region", ..], "name") => Wanted::Regions,
        (["operation", ..], "name" | "names") => Wanted::Live(Kind::Operations),
        (["approval", "approve" | "reject"], "name") => Wanted::Live(Kind::PendingApprovals),
        (["approval", ..], "name") => Wanted::Live(Kind::Approvals),
        (["token", ..], "name") => Wanted::Live(Kind::Tokens),
        (["cert", ..], "serial") => Wanted::Live(Kind::Certificates),
        (["operator", "unlock"], "name") => Wanted::Live(Kind::LockedOperators),
        (["operator", ..], "name") => Wanted::Live(Kind::Operators),
        (["break-glass", ..], "name") => Wanted::Live(Kind::Grants),
        (["simulator", ..], "name") => Wanted::Live(Kind::Faults),
        (["context", ..], "name") => Wanted::Contexts,
        (["access", ..], "method") => Wanted::Methods,
        (["explain"], _) => Wanted::Contract,
        _ => return None,
    })
}

/// The command with what completes its arguments.
pub(super) fn attach(command: Command, path: &[&str], asker: &Arc<Asker>) -> Command {
    let command = command.mut_args(|argument| match wanted(path, &argument) {
        Some(wanted) => {
            let completer = Completer { wanted, asker: Arc::clone(asker) };
            argument.add(ArgValueCompleter::new(completer))
        }
        None => argument,
    });
    command.mut_subcommands(|child| {
        let name = child.get_name().to_owned();
        let path: Vec<&str> = path.iter().copied().chain([name.as_str()]).collect();
        attach(child, &path, asker)
    })
}

struct Completer {
    wanted: Wanted,
    asker: Arc<Asker>,
}

impl ValueCompleter for Completer {
    fn complete(&self, current: &OsStr) -> Vec<CompletionCandidate> {
        // Nothing that is offered has other characters.
        let Some(current) = current.to_str() else { return Vec::new() };
        let found = match self.wanted {
            Wanted::Live(kind) => self.asker.live(kind, current),
            Wanted::Contexts => self.asker.contexts(),
            Wanted::Regions => self.asker.regions(),
            Wanted::Methods => methods(),
            Wanted::Contract => explain::complete(current),
            Wanted::Amounts => resources("="),
            Wanted::TenantThenAmounts if self.asker.has_word_behind("set") => resources("="),
            Wanted::TenantThenResources if self.asker.has_word_behind("reset") => resources(""),
            Wanted::TenantThenAmounts | Wanted::TenantThenResources => {
                self.asker.live(Kind::Tenants, current)
            }
            Wanted::Files => return vec![CompletionCandidate::new(FILES)],
        };
        let is_contract = self.wanted == Wanted::Contract;
        // What a daemon named, now or at the login, is put into a shell's line.
        let is_foreign =
            matches!(self.wanted, Wanted::Live(_) | Wanted::Contexts | Wanted::Regions);
        found
            .into_iter()
            .filter(|(name, _)| name.starts_with(current))
            .filter(|(name, _)| !is_foreign || is_plain(name))
            .map(|(name, about)| {
                let is_amount = name.ends_with('=');
                let about = about_line(&about);
                let about = (!about.is_empty()).then(|| about.into());
                let candidate = CompletionCandidate::new(name).help(about);
                if is_contract || is_amount { candidate.tag(Some(OPEN.into())) } else { candidate }
            })
            .collect()
    }
}

fn methods() -> Vec<(String, String)> {
    let methods = streamspace_proto::policy::methods().into_iter();
    let own = methods.filter_map(|method| {
        method.path.strip_prefix("streamspace.admin.v1.").map(|path| path.replace('/', "."))
    });
    own.map(|name| (name, String::new())).collect()
}

fn resources(end: &str) -> Vec<(String, String)> {
    ["cpu", "memory", "storage", "pods"]
        .map(|resource| (format!("{resource}{end}"), String::new()))
        .into()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::commands::Cli;

    /// Places that nothing is offered for: what is typed there is new, or a text.
    const FREE: [&str; 18] = [
        "tenant create name",
        "plan create name",
        "session create name",
        "slo create name",
        "usage compare first",
        "usage compare second",
        "login host",
        "completion dialect",
        "incident declare title",
        "incident mitigate note",
        "incident resolve note",
        "incident review note",
        "incident reopen note",
        "incident note text",
        "incident update text",
        "incident action text",
        "maintenance start title",
        "silence create matchers",
    ];

    fn places(command: &Command, path: &[&str], found: &mut Vec<(String, Option<Wanted>)>) {
        for argument in command.get_positionals() {
            let place = [path, &[argument.get_id().as_str()]].concat().join(" ");
            found.push((place, wanted(path, argument)));
        }
        for child in command.get_subcommands().filter(|child| !child.is_hide_set()) {
            places(child, &[path, &[child.get_name()]].concat(), found);
        }
    }

    /// A new command whose argument nobody thought of fails here: say what it takes, or
    /// that it is free.
    #[test]
    fn every_place_is_completed_or_known_to_be_free() {
        let mut found = Vec::new();
        places(&Cli::command(), &[], &mut found);
        assert!(found.len() > 20, "{found:?}");
        let open: Vec<_> = found
            .iter()
            .filter(|(place, wanted)| wanted.is_none() && !FREE.contains(&place.as_str()))
            .collect();
        assert!(open.is_empty(), "{open:?}");
    }

    #[test]
    fn verbs_take_what_they_work_on() {
        let mut found = Vec::new();
        places(&Cli::command(), &[], &mut found);
        let of = |place: &str| found.iter().find(|(known, _)| known == place).and_then(|f| f.1);
        for (place, kind) in [
            ("tenant show name", Kind::Tenants),
            ("tenant delete name", Kind::Tenants),
            ("quota show tenant", Kind::Tenants),
            ("plan show name", Kind::Plans),
            ("approval approve name", Kind::PendingApprovals),
            ("approval show name", Kind::Approvals),
            ("operator unlock name", Kind::LockedOperators),
            ("operator lock name", Kind::Operators),
            ("cert revoke serial", Kind::Certificates),
            ("token revoke name", Kind::Tokens),
            ("session wake names", Kind::Sessions),
            ("session list tenant", Kind::Tenants),
            ("template show name", Kind::Templates),
            ("slo show name", Kind::Slos),
            ("slo exclude names", Kind::Slos),
            ("alert ack name", Kind::Alerts),
            ("usage show tenant", Kind::Tenants),
            ("tenant neighbours name", Kind::Tenants),
        ] {
            assert_eq!(of(place), Some(Wanted::Live(kind)), "{place}");
        }
        assert_eq!(of("context use name"), Some(Wanted::Contexts));
    }
}
