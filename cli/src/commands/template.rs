//! `ssctl template`.

use clap::Subcommand;
use jiff::Timestamp;
use streamspace_client::Connection;
use streamspace_proto::v1::{ListTemplatesRequest, Template, Tenant};

use crate::{
    errors::{Failure, Outcome},
    output::{Cell, Column, Tone},
    resource::{Noun, full_name, list, short},
    shell::Shell,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List templates: those of a tenant, or without one the catalogue that all tenants share
    #[command(after_help = EXAMPLES)]
    List(ListCommand),
    /// Show a template
    #[command(visible_aliases = ["get", "describe"])]
    Show {
        /// The template of the catalogue, or a tenant's own as TENANT/TEMPLATE
        name: String,
    },
}

const EXAMPLES: &str = "\
Examples:
  ssctl template list
  ssctl template list acme-corp --invalid
  ssctl template list --filter 'category = \"browsers\"' -o wide";

#[derive(Debug, clap::Args)]
pub(crate) struct ListCommand {
    /// The tenant; the catalogue without
    tenant: Option<String>,
    /// Only those that no session can be made of
    #[arg(long)]
    invalid: bool,
    /// Which ones, for example 'category = "browsers"'
    #[arg(long, default_value = "", hide_default_value = true, value_name = "EXPRESSION")]
    filter: String,
    /// At most so many; of each region where several are asked
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
}

pub(crate) async fn run(shell: &Shell, command: Command) -> Outcome {
    match command {
        Command::List(args) => {
            let parent = args.tenant.as_deref().map(full_name::<Tenant>).unwrap_or_default();
            let filter = filter(&args);
            let templates =
                shell.read(async |connection| all(connection, args.limit, &parent, &filter).await);
            templates.await?.print_all(shell)
        }
        Command::Show { name } => {
            let (parent, name) = place(&name);
            let found = shell.read(async |connection| one(connection, &parent, &name).await);
            found.await?.print_one(shell)
        }
    }
}

fn filter(args: &ListCommand) -> String {
    let given = args.filter.trim();
    match (args.invalid, given.is_empty()) {
        (false, _) => given.to_owned(),
        (true, true) => "valid = false".to_owned(),
        (true, false) => format!("valid = false AND ({given})"),
    }
}

async fn all(
    connection: &Connection,
    limit: Option<usize>,
    parent: &str,
    filter: &str,
) -> Outcome<Vec<Template>> {
    list!(connection, limit, sessions.list_templates, ListTemplatesRequest {
        parent: parent.to_owned(), filter: filter.to_owned()
    } => templates)
}

/// The contract has no call for one: it is found in its list, which is short.
async fn one(connection: &Connection, parent: &str, name: &str) -> Outcome<Template> {
    let found = all(connection, None, parent, "").await?;
    let own = found.into_iter().find(|template| template.name == name);
    own.ok_or_else(|| Failure::not_found(name))
}

/// The parent and the full name of what was typed: `firefox`, `acme-corp/firefox`, or a full
/// name.
fn place(typed: &str) -> (String, String) {
    if typed.starts_with(Template::PREFIX) {
        return (String::new(), typed.to_owned());
    }
    let rest = short(Tenant::PREFIX, typed);
    match rest.split_once('/') {
        None => (String::new(), format!("{}{rest}", Template::PREFIX)),
        Some((tenant, template)) => {
            let template = short(Template::PREFIX, template);
            let parent = full_name::<Tenant>(tenant);
            let name = format!("{parent}/{}{template}", Template::PREFIX);
            (parent, name)
        }
    }
}

/// A full name as people write it: `firefox`, or `acme-corp/firefox`.
fn brief(name: &str) -> String {
    let rest = short(Template::PREFIX, short(Tenant::PREFIX, name));
    match rest.split_once("/templates/") {
        Some((tenant, template)) => format!("{tenant}/{template}"),
        None => rest.to_owned(),
    }
}

impl Noun for Template {
    const PLURAL: &'static str = "templates";
    const PREFIX: &'static str = "templates/";

    fn resource_name(&self) -> &str {
        &self.name
    }

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("NAME", |template: &Self, _| brief(&template.name).into()),
            Column::new("DISPLAY NAME", |template, _| template.display_name.clone().into()),
            Column::new("CATEGORY", |template, _| template.category.clone().into()),
            Column::new("CPU", |template, _| template.cpu.clone().into()),
            Column::new("MEMORY", |template, _| template.memory.clone().into()),
            Column::new("VALID", |template, _| valid(template)),
            Column::new("MESSAGE", |template, _| template.message.clone().into()),
            Column::wide("PORT", |template, _| port(template).into()),
            Column::wide("IMAGE", |template, _| template.base_image.clone().into()),
            Column::wide("DESCRIPTION", |template, _| template.description.clone().into()),
        ]
    }

    fn details(&self, _: Timestamp) -> Vec<(&'static str, Cell)> {
        vec![
            ("Name", brief(&self.name).into()),
            ("Display name", self.display_name.clone().into()),
            ("Category", self.category.clone().into()),
            ("Description", self.description.clone().into()),
            ("Image", self.base_image.clone().into()),
            ("Port", port(self).into()),
            ("CPU", self.cpu.clone().into()),
            ("Memory", self.memory.clone().into()),
            ("Valid", valid(self)),
            ("Message", Cell::toned(self.message.clone(), Tone::Bad)),
        ]
    }
}

fn valid(template: &Template) -> Cell {
    if template.valid { Cell::toned("yes", Tone::Good) } else { Cell::toned("no", Tone::Bad) }
}

fn port(template: &Template) -> String {
    if template.port == 0 { String::new() } else { template.port.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_the_catalogues_or_a_tenants() {
        let of = |typed| {
            let (parent, name) = place(typed);
            (parent, name.clone(), brief(&name))
        };
        let own = |parent: &str, name: &str, brief: &str| {
            (parent.to_owned(), name.to_owned(), brief.to_owned())
        };
        assert_eq!(of("firefox"), own("", "templates/firefox", "firefox"));
        assert_eq!(of("templates/firefox"), own("", "templates/firefox", "firefox"));
        let tenants = own("tenants/acme", "tenants/acme/templates/blender", "acme/blender");
        assert_eq!(of("acme/blender"), tenants);
        assert_eq!(of("tenants/acme/templates/blender"), tenants);
    }
}
