//! `ssctl tenant find`: in which region a tenant is.

use streamspace_proto::v1::{ListTenantsRequest, Tenant};

use crate::{
    errors::{Failure, Outcome},
    resource::{Noun as _, list, short},
    shell::Shell,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A name, a part of one with stars, or an expression as --filter takes it
    #[arg(value_name = "NAME|EXPRESSION")]
    wanted: String,
    /// Find deleted tenants as well
    #[arg(long)]
    deleted: bool,
}

/// Asks all contexts, or those that are named, and says where the tenant is.
pub(crate) async fn run(shell: &Shell, args: &Args) -> Outcome {
    let (filter, view) = (expression(&args.wanted), super::view(shell));
    let everywhere = shell.everywhere();
    let tenants = everywhere
        .read(async |connection| {
            list!(connection, None, tenants.list_tenants, ListTenantsRequest {
                filter: filter.clone(),
                order_by: String::new(),
                show_deleted: args.deleted,
                view: view
            } => tenants)
        })
        .await?;
    let found: usize = tenants.answers.iter().map(|(_, tenants)| tenants.len()).sum();
    if found > 0 || !tenants.unread.is_empty() {
        return tenants.print_all(&everywhere);
    }
    Err(Failure::not_found(&format!("tenant {} in {} regions", args.wanted, tenants.asked)))
}

/// The expression for what was typed: a name is the shortest one.
fn expression(wanted: &str) -> String {
    let name = short(Tenant::PREFIX, wanted.trim());
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '*');
    if !name.is_empty() && name.chars().all(is_name) {
        // Here a star stands for anything, as it does in the expression.
        return format!("name = \"{}{name}\"", Tenant::PREFIX);
    }
    wanted.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_for_as_a_name() {
        assert_eq!(expression("acme"), "name = \"tenants/acme\"");
        assert_eq!(expression("tenants/acme"), "name = \"tenants/acme\"");
        assert_eq!(expression("acme*"), "name = \"tenants/acme*\"");
        assert_eq!(expression("seats > 5"), "seats > 5");
        assert_eq!(expression("labels.tier = gold"), "labels.tier = gold");
    }
}
