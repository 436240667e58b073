//! `ssctl explain FIELD`: what the contract says, from its own comments. No daemon is
//! asked.

use serde_json::{Value, json};

use self::{
    contract::{Contract, first_sentence},
    find::{Unknown, camel, find},
    page::page,
    text::Style,
};
use crate::{
    errors::{Failure, Outcome},
    output::{Cell, Format, print_answer},
    shell::{Shell, Terminal},
};

mod contract;
mod find;
mod page;
mod text;

/// The longest line where the output is no terminal, and on a very wide one.
const WIDTH: usize = 100;

/// What can be asked, for `--help` and the manual.
const EXAMPLES: &str = "\
Examples:
  ssctl explain                              all resources and services
  ssctl explain tenant                       a resource and its fields
  ssctl explain tenant.adminSubjects.kind    a field, in this spelling or as
                                             tenant.admin_subjects.kind
  ssctl explain tenant.state.active          a value
  ssctl explain TenantService.CreateTenant   a method and who may call it
  ssctl explain plan --recursive             all that is inside
  ssctl explain tenant -o name               the same as names, for scripts

What a field is marked with: required, people must give it; once, it is set at
the creation; by the daemon, people do not write it; name, it is the name.";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// What: tenant, tenant.adminSubjects.kind, tenant.state.active, TenantService.CreateTenant.
    /// Everything there is, where it is not given
    #[arg(value_name = "FIELD")]
    field: Option<String>,
    /// Show the fields of fields, without their sentences
    #[arg(long)]
    recursive: bool,
}

/// Explains a part of the contract.
pub(crate) fn run(shell: &Shell, args: &Args) -> Outcome {
    let contract = Contract::read().ok_or_else(|| Failure::Local {
        message: "this program does not hold the contract".into(),
        next: "install ssctl again".into(),
    })?;
    let style = Style {
        width: width(shell.terminal),
        colour: shell.terminal.output.colour,
        recursive: args.recursive,
    };
    let Some(typed) = &args.field else {
        return print_contents(shell, &contract, style);
    };
    let topic = find(&contract, typed).map_err(unknown)?;
    let page = page(&contract, &topic, args.recursive);
    match shell.format() {
        Format::Table | Format::Wide => shell.print(&text::text(&page, style)),
        Format::Name => shell.print(&lines(&page.paths())),
        _ => print_answer(shell, &pairs(&page), &page.value()),
    }
}

/// How long a line may be.
fn width(terminal: Terminal) -> usize {
    let own = if terminal.output.terminal { comfy_table::Table::new().width() } else { None };
    own.map_or(WIDTH, |width| usize::from(width).min(WIDTH))
}

/// The page as pairs, for formats that have no room for more.
fn pairs(page: &page::Page) -> Vec<(&str, Cell)> {
    let written = page.written.map(contract::Written::words).unwrap_or_default();
    let mut pairs: Vec<(&str, Cell)> = vec![
        ("path", page.path.clone().into()),
        ("kind", page.kind.into()),
        ("type", page.type_name.clone().into()),
        ("written", written.into()),
        ("description", page.description.clone().into()),
    ];
    pairs.retain(|(_, cell)| !cell.text.is_empty());
    pairs
}

fn unknown(error: Unknown) -> Failure {
    let Unknown { word, within, suggestion, known } = error;
    let message = match (within.is_empty(), known.is_empty()) {
        (true, _) => format!("the contract has no {word:?}"),
        (false, true) => format!("{within} has nothing inside; {word:?} cannot follow it"),
        (false, false) => format!("{within} has no {word:?}"),
    };
    let next = match suggestion {
        Some(suggestion) => format!("did you mean {suggestion}?"),
        None if known.is_empty() => format!("`ssctl explain {within}` tells what it is"),
        None => format!("there is: {}", known.join(", ")),
    };
    Failure::Usage { message, next }
}

/// What can be explained.
fn print_contents(shell: &Shell, contract: &Contract, style: Style) -> Outcome {
    let resources: Vec<(String, String)> = contract
        .resources()
        .iter()
        .map(|message| (camel(message.name()), contract.of_message(message)))
        .collect();
    let services: Vec<(String, String)> = contract
        .services()
        .map(|service| (service.name().to_owned(), contract.of_service(&service)))
        .collect();
    match shell.format() {
        Format::Table | Format::Wide => {
            let brief = |items: &[(String, String)]| -> Vec<(String, String)> {
                let sentence = |(name, comment): &(String, String)| {
                    (name.clone(), first_sentence(comment).to_owned())
                };
                items.iter().map(sentence).collect()
            };
            let resources = text::list("RESOURCES", &brief(&resources), style);
            let services = text::list("SERVICES", &brief(&services), style);
            shell.print(&format!(
                "{resources}\n{services}\n`ssctl explain NAME` tells more, `ssctl explain \
                 NAME.FIELD` about a field.\n"
            ))
        }
        Format::Name => {
            let names: Vec<String> =
                resources.into_iter().chain(services).map(|(name, _)| name).collect();
            shell.print(&lines(&names))
        }
        _ => {
            let values = |items: &[(String, String)]| -> Vec<Value> {
                let value = |(name, comment): &(String, String)| json!({ "name": name, "description": comment });
                items.iter().map(value).collect()
            };
            let answer = json!({ "resources": values(&resources), "services": values(&services) });
            let pairs: Vec<(&str, Cell)> = resources
                .iter()
                .chain(&services)
                .map(|(name, comment)| (name.as_str(), comment.clone().into()))
                .collect();
            print_answer(shell, &pairs, &answer)
        }
    }
}

fn lines(names: &[String]) -> String {
    let mut text = String::new();
    for name in names {
        text.push_str(name);
        text.push('\n');
    }
    text
}

/// What can be typed after `ssctl explain`, for completion: the names at the first level,
/// or what is inside of what was typed up to the last dot.
pub(crate) fn complete(typed: &str) -> Vec<(String, String)> {
    let Some(contract) = Contract::read() else { return Vec::new() };
    let Some((whole, _)) = typed.rsplit_once('.') else {
        let resources = contract
            .resources()
            .into_iter()
            .map(|message| (camel(message.name()), contract.of_message(&message)));
        let services = contract
            .services()
            .map(|service| (service.name().to_owned(), contract.of_service(&service)));
        return resources.chain(services).collect();
    };
    let Ok(topic) = find(&contract, whole) else { return Vec::new() };
    let page = page(&contract, &topic, false);
    let fields = page.fields.iter().map(|field| (&field.name, &field.description));
    let values = page.values.iter().map(|value| (&value.word, &value.description));
    let methods = page.methods.iter().map(|method| (&method.name, &method.description));
    // What a method has inside is not typed behind it.
    let all: Vec<_> = match page.policy {
        Some(_) => Vec::new(),
        None => fields.chain(values).chain(methods).collect(),
    };
    all.into_iter()
        .map(|(name, comment)| (format!("{whole}.{name}"), first_sentence(comment).to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(typed: &str, recursive: bool) -> String {
        let contract = Contract::read().unwrap();
        let topic = find(&contract, typed).unwrap();
        let style = Style { width: 80, colour: false, recursive };
        text::text(&page(&contract, &topic, recursive), style)
    }

    #[test]
    fn a_field_tells_who_writes_it_and_what_is_inside() {
        let text = explained("tenant.admin_subjects", false);
        assert!(text.starts_with("FIELD:      tenant.adminSubjects\n"), "{text}");
        assert!(text.contains("TYPE:       []Subject\n"), "{text}");
        assert!(text.contains("IN FILTERS: admin_subjects\n"), "{text}");
        assert!(text.contains("WRITTEN:    by people, who may leave it out\n"), "{text}");
        assert!(text.contains("  kind  <SubjectKind>  -required-\n"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn a_method_tells_its_access_rule() {
        let text = explained("TenantService.CreateTenant", false);
        assert!(text.contains("REQUEST: CreateTenantRequest\n"), "{text}");
        assert!(text.contains("ACCESS:\n  Who      operators\n"), "{text}");
        assert!(text.contains("  Roles    operator and above\n"), "{text}");
        assert!(text.contains("FIELDS OF THE REQUEST:\n"), "{text}");
    }

    #[test]
    fn recursion_goes_down_and_ends() {
        let text = explained("tenant", true);
        assert!(text.contains("  adminSubjects"), "{text}");
        assert!(text.contains("\n    kind  <SubjectKind>"), "{text}");
        for message in Contract::read().unwrap().messages() {
            assert_ne!(explained(message.name(), true), "", "{}", message.name());
        }
    }

    #[test]
    fn everything_can_be_told_to_programs() {
        let contract = Contract::read().unwrap();
        let topic = find(&contract, "plan.quota.cpuMillicores").unwrap();
        let value = page(&contract, &topic, false).value();
        assert_eq!(
            value,
            json!({
                "path": "plan.quota.cpuMillicores",
                "kind": "field",
                "type": "int64",
                "protoName": "cpu_millicores",
                "form": "a text of digits, for example \"40000\"",
                "behavior": "optional",
                "description": "CPU, in thousandths of a core.",
            })
        );
    }

    #[test]
    fn completion_goes_one_level_at_a_time() {
        let names = |typed: &str| -> Vec<String> {
            complete(typed).into_iter().map(|(name, _)| name).collect()
        };
        assert!(names("ten").contains(&"tenant".to_owned()));
        assert!(names("tenant.adminSubjects.k").contains(&"tenant.adminSubjects.kind".to_owned()));
        assert!(names("tenant.state.").contains(&"tenant.state.active".to_owned()));
        assert!(names("nothing.").is_empty());
        assert!(names("TenantService.CreateTenant.").is_empty());
    }
}
