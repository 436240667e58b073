//! Templates: a tenant's own, and those of the catalogue.

use sqlx::PgConnection;
use streamspace_core::{
    filter::Record,
    ids::{TenantId, TenantUid},
    page::Query,
    session::TemplateName,
    template::{self, Found},
};
use streamspace_proto::v1;

use super::{Sessions, tenant};
use crate::{
    rpc::{
        Caller,
        errors::{RpcError, RpcResult},
        listing::Paging,
    },
    sessions::{
        convert::{self, Shown},
        store,
    },
};

impl Sessions {
    pub(super) async fn templates(
        &self,
        caller: &Caller,
        request: &v1::ListTemplatesRequest,
    ) -> RpcResult<v1::ListTemplatesResponse> {
        let filter = convert::template_filter(&request.filter)?;
        let asked = format!("{} {}", request.parent, request.filter);
        let query =
            Query { method: "ListTemplates", filter: &asked, order_by: "", show_deleted: false };
        let paging = Paging { size: request.page_size, token: &request.page_token, query };
        let parent = match request.parent.as_str() {
            "" => None,
            name => Some(TenantId::from_name(name).map_err(|error| {
                RpcError::field("parent", format!("{error}; empty is the catalogue"))
            })?),
        };
        let mut tx = self.db.begin(&caller.scope).await?;
        let of = match &parent {
            Some(id) => Some(tenant(&mut tx, id).await?.uid),
            None => None,
        };
        let mut templates = store::templates_of(&mut tx, of).await?;
        drop(tx);
        templates.retain(|template| filter.matches(&Shown(template) as &dyn Record));
        let (templates, next_page_token) =
            paging.cut(templates, |template| template.name.clone())?;
        Ok(v1::ListTemplatesResponse { templates, next_page_token })
    }
}

/// Refuses a template of which no session can be made, with the reason.
pub(super) async fn resolved(
    tx: &mut PgConnection,
    tenant: TenantUid,
    name: &TemplateName,
) -> RpcResult<()> {
    let own = store::template(tx, Some(tenant), name.as_str()).await?;
    let shared = store::template(tx, None, name.as_str()).await?;
    let mut known = Vec::new();
    if own.is_none() && shared.is_none() {
        // What was meant, perhaps.
        for of in [Some(tenant), None] {
            known.extend(store::templates_of(tx, of).await?);
        }
    }
    let known = known.iter().map(|template| last(&template.name));
    template::resolve(name, found(own.as_ref()), found(shared.as_ref()), known)
        .map(|_found| ())
        .map_err(|error| RpcError::field("session.template", error.to_string()))
}

fn found(template: Option<&v1::Template>) -> Found<'_, v1::Template> {
    match template {
        None => Found::Absent,
        Some(template) if template.valid => Found::Valid(template),
        Some(template) => Found::Invalid(&template.message),
    }
}

fn last(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or_default()
}
