//! Tenants that were in a set of files and are not any more. They are archived, and
//! that can be undone; they are never deleted here.

use std::collections::BTreeSet;

use streamspace_client::{ClientError, Connection};
use streamspace_proto::{
    json::to_value,
    v1::{ArchiveTenantRequest, ListTenantsRequest, Tenant, TenantState, TenantView},
};

use super::{
    Files, SET_LABEL,
    document::Document,
    engine::{Effect, What},
    kind::fields_of,
    tell::Report,
};
use crate::{
    change::{approvable, consequence_lines, request_id},
    confirm::{ConfirmArgs, Question, confirm},
    errors::{Doing as _, Failure, Outcome},
    output::preview,
    resource::{Noun as _, call, list, short},
    shell::Shell,
};

/// What asks the daemon for the reason.
pub(super) const METHOD: &str = "TenantService.ArchiveTenant";

/// The tenants of the set that no document describes any more.
pub(super) async fn leaving(
    connection: &Connection,
    files: &Files,
    documents: &[Document],
) -> Outcome<Vec<Tenant>> {
    let Some(set) = files.set.as_deref().filter(|_| files.prune) else { return Ok(Vec::new()) };
    // A set's name has no character that a filter reads otherwise.
    let filter = format!("labels.{SET_LABEL} = \"{set}\"");
    let of_set = list!(connection, None, tenants.list_tenants, ListTenantsRequest {
        filter: filter.clone(),
        order_by: String::new(),
        show_deleted: false,
        view: TenantView::Basic.into()
    } => tenants)?;
    let stays: BTreeSet<&str> = documents
        .iter()
        .filter(|document| document.kind.word() == "Tenant")
        .map(|document| document.name.as_str())
        .collect();
    let lives = |tenant: &Tenant| {
        !matches!(tenant.state(), TenantState::Archived | TenantState::Purging | TenantState::Gone)
    };
    // The daemon filtered; what is archived here must be of the set all the same.
    let is_of_set = |tenant: &Tenant| tenant.labels.get(SET_LABEL).is_some_and(|of| of == set);
    let leaving: Vec<Tenant> = of_set
        .into_iter()
        .filter(|tenant| is_of_set(tenant) && lives(tenant))
        .filter(|tenant| !stays.contains(tenant.name.as_str()))
        .collect();
    let count = leaving.len();
    if count > 0 && stays.is_empty() && !files.allow_empty {
        return Err(Failure::Usage {
            message: format!(
                "the files describe no tenant at all, and --prune would archive every tenant of the \
                 set {set}: {}",
                names(&leaving)
            ),
            next: "look whether the files are all there; --allow-empty says that this is meant"
                .into(),
        });
    }
    if count > files.prune_limit {
        return Err(Failure::Usage {
            message: format!(
                "--prune would archive {count} tenants, and at most {} are at once: {}",
                files.prune_limit,
                names(&leaving)
            ),
            next: format!(
                "look whether the files are all there; --prune-limit {count} says that this is meant"
            ),
        });
    }
    Ok(leaving)
}

/// Goes on only where it is confirmed, after all consequences were told.
pub(super) async fn ask(
    shell: &Shell,
    connection: &Connection,
    set: &str,
    leaving: &[Tenant],
    args: &ConfirmArgs,
) -> Outcome {
    let context = connection.context();
    let region = if context.region.is_empty() {
        context.endpoint.to_string()
    } else {
        context.region.clone()
    };
    let mut what = format!(
        "{} of the set {set} in region {region} are not in the files any more and will be archived: \
         {}. Nothing starts in them until they are restored, and their data is kept for a time only.",
        match leaving.len() {
            1 => "1 tenant".to_owned(),
            count => format!("{count} tenants"),
        },
        names(leaving)
    );
    let question = Question { what: &what, name: set, protected: context.protected };
    if crate::confirm::asks(shell, args, &question) {
        let mut told = String::new();
        for tenant in leaving {
            let reply = archive(connection, tenant, true, "").await.doing(|| doing(tenant))?;
            for consequence in &reply.consequences {
                told = told + "\n" + &tenant.name + ": " + &consequence.message;
            }
        }
        what.push_str(&told);
    }
    confirm(shell, args, &Question { what: &what, name: set, protected: context.protected }).await
}

/// Archives them one by one, or shows what that would do.
pub(super) async fn run(
    shell: &Shell,
    connection: &Connection,
    leaving: &[Tenant],
    reason: &str,
    is_preview: bool,
    report: &mut Report<'_>,
) -> Outcome {
    report.expect(leaving.len());
    for tenant in leaving {
        let reply = archive(connection, tenant, is_preview, reason).await;
        match reply.map_err(|error| approvable(error, METHOD)).doing(|| doing(tenant)) {
            Ok(reply) => {
                let effect = effect(shell, tenant, &reply, is_preview)?;
                report.done(tenant.name.clone(), "Tenant", effect)?;
                report.settling.push(tenant.name.clone());
            }
            Err(failure) => report.failed(tenant.name.clone(), "Tenant", &failure),
        }
    }
    Ok(())
}

fn effect(shell: &Shell, before: &Tenant, reply: &Tenant, is_preview: bool) -> Outcome<Effect> {
    let mut effect = Effect {
        what: What::Archived,
        resource: fields_of(reply)?,
        preview: String::new(),
        notes: Vec::new(),
    };
    if is_preview {
        let (is, will) = (to_value(before)?, to_value(reply)?);
        effect.preview = preview(&before.name, &is, &will, shell.terminal.output.colour)
            + &consequence_lines(reply);
    } else {
        effect.notes = reply.consequences.iter().map(|one| one.message.clone()).collect();
    }
    Ok(effect)
}

async fn archive(
    connection: &Connection,
    tenant: &Tenant,
    validate_only: bool,
    reason: &str,
) -> Result<Tenant, ClientError> {
    let request = ArchiveTenantRequest {
        name: tenant.name.clone(),
        // It is the tenant that was listed and shown, and no other state of it.
        etag: tenant.etag.clone(),
        validate_only,
        request_id: request_id(),
        reason: reason.to_owned(),
    };
    call!(connection, tenants.archive_tenant(request))
}

fn doing(tenant: &Tenant) -> String {
    format!("archive {}, which is not in the files any more", tenant.name)
}

fn names(tenants: &[Tenant]) -> String {
    const MOST: usize = 20;
    let shown: Vec<&str> =
        tenants.iter().take(MOST).map(|tenant| short(Tenant::PREFIX, &tenant.name)).collect();
    match tenants.len().checked_sub(MOST) {
        Some(more) if more > 0 => format!("{} and {more} more", shown.join(", ")),
        _ => shown.join(", "),
    }
}
