//! Makes enrolment tokens, lists them and takes them back.

use std::time::Duration;

use streamspace_core::{
    access::Role,
    ids::{TenantId, TokenId},
    page::Query,
    violation::Violations,
};
use streamspace_proto::v1;

use super::{Access, commit, token_fault};
use crate::{
    access::{
        ca::Grant,
        token::{self, DEFAULT_LIFE, TokenRecord},
    },
    db::Scope,
    rpc::{
        Caller,
        errors::{RpcError, RpcResult},
        listing::Paging,
        once::Once,
        policy::role_of,
        summary::{self, NO_CHANGE},
        time,
    },
};

impl Access {
    pub(super) async fn new_token(
        &self,
        caller: &Caller,
        request: &v1::CreateEnrolmentTokenRequest,
    ) -> RpcResult<v1::EnrolmentToken> {
        let (tenants, life) = checked(request)?;
        let role = role_of(request.role())
            .ok_or_else(|| RpcError::field("role", "must be a role that this daemon knows"))?;
        outlives_no_grant(caller, role)?;
        let uids = self.parts.tenants.uids(&tenants).await?;
        let mut reply = v1::EnrolmentToken {
            operator: request.operator.clone(),
            role: request.role,
            tenants: tenants.iter().map(TenantId::to_name).collect(),
            state: v1::EnrolmentTokenState::Usable.into(),
            creator: caller.operator.clone(),
            ..v1::EnrolmentToken::default()
        };
        if request.validate_only {
            return Ok(reply);
        }
        let once = Once::of(caller, "CreateEnrolmentToken", &request.request_id, request)?;
        let mut tx = self.parts.database.begin(&Scope::Region).await?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let grant = Grant { operator: request.operator.clone(), role, tenants: uids };
        let fingerprint = self.parts.authority.fingerprint();
        let token = token::create_in(&mut tx, fingerprint, &grant, &caller.operator, life)
            .await
            .map_err(token_fault)?;
        reply.name = token.id.to_name();
        reply.expire_time = time::timestamp(token.expires);
        let reach = match reply.tenants.len() {
            0 => String::new(),
            1 => " in one tenant".to_owned(),
            tenants => format!(" in {tenants} tenants"),
        };
        let end = summary::until(Some(token.expires));
        caller
            .notes
            .changes(format!("token of role {role} for {}{reach}, usable{end}", request.operator));
        reply.create_time = time::timestamp(token.created);
        // A retry gets the token without its secret: that is shown once.
        once.remember(&mut tx, &reply).await?;
        commit(tx).await?;
        reply.token = token.text;
        Ok(reply)
    }

    pub(super) async fn tokens(
        &self,
        request: &v1::ListEnrolmentTokensRequest,
    ) -> RpcResult<v1::ListEnrolmentTokensResponse> {
        let query =
            Query { method: "ListEnrolmentTokens", filter: "", order_by: "", show_deleted: false };
        let paging = Paging { size: request.page_size, token: &request.page_token, query };
        let mut tx = self.parts.database.begin(&Scope::Region).await?;
        let records = token::list(&mut tx).await?;
        drop(tx);
        let (page, next_page_token) = paging.cut(records, |record| record.id.0.to_string())?;
        let mut tokens = Vec::with_capacity(page.len());
        for record in &page {
            tokens.push(self.token_to_proto(record).await?);
        }
        Ok(v1::ListEnrolmentTokensResponse { tokens, next_page_token })
    }

    pub(super) async fn take_back(
        &self,
        caller: &Caller,
        request: &v1::RevokeEnrolmentTokenRequest,
    ) -> RpcResult<v1::EnrolmentToken> {
        let id = TokenId::from_name(&request.name)
            .map_err(|error| RpcError::field("name", error.to_string()))?;
        let once = Once::of(caller, "RevokeEnrolmentToken", &request.request_id, request)?;
        let mut tx = self.parts.database.begin(&Scope::Region).await?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        // Whoever enrols with it now comes before, or after and finds it taken back.
        let record = token::lock_by_id(&mut tx, id)
            .await?
            .ok_or_else(|| RpcError::NotFound(id.to_name()))?;
        match record.state {
            v1::EnrolmentTokenState::Used => {
                return Err(RpcError::Refused {
                    reason: "TOKEN_SPENT",
                    message: format!(
                        "{} was used, so there are certificates: `ssctl cert list` shows them and \
                         `ssctl cert revoke` ends them",
                        id.to_name()
                    ),
                });
            }
            v1::EnrolmentTokenState::Usable => {}
            // Nobody can use it, as wished.
            _ => {
                caller.notes.changes(NO_CHANGE);
                return self.token_to_proto(&record).await;
            }
        }
        let record = token::revoke(&mut tx, id, &caller.operator).await?;
        let reply = self.token_to_proto(&record).await?;
        if request.validate_only {
            return Ok(reply);
        }
        once.remember(&mut tx, &reply).await?;
        caller.notes.changes(format!("token for {} taken back", reply.operator));
        commit(tx).await?;
        Ok(reply)
    }

    async fn token_to_proto(&self, record: &TokenRecord) -> RpcResult<v1::EnrolmentToken> {
        Ok(record.to_proto(self.parts.tenants.names(&record.tenants).await?))
    }
}

/// A token is good for certificates that outlive a break-glass grant, so under one it
/// gives nothing that its maker does not have without the grant.
fn outlives_no_grant(caller: &Caller, role: Role) -> RpcResult<()> {
    let own = Role::parse(&caller.role_name);
    if caller.break_glass.is_none() || own.is_some_and(|own| own.includes(role)) {
        return Ok(());
    }
    Err(RpcError::Denied {
        reason: "BREAK_GLASS_LIMIT",
        message: format!(
            "a token of role {role} would outlive your break-glass grant: an admin by certificate \
             makes it, or `streamspaced token create` on the host"
        ),
    })
}

/// The tenants and the life of a token that is asked for; every fault at once.
fn checked(request: &v1::CreateEnrolmentTokenRequest) -> RpcResult<(Vec<TenantId>, Duration)> {
    let mut faults = Violations::new();
    if !crate::rpc::peer::is_name(&request.operator) {
        faults.add("operator", "must be 1 to 63 of a-z, 0-9 and . _ @ -");
    }
    if role_of(request.role()).is_none() {
        faults.add("role", "must be viewer, operator, admin, billing or auditor");
    }
    let tenants = request
        .tenants
        .iter()
        .enumerate()
        .filter_map(|(at, name)| faults.check(format!("tenants[{at}]"), TenantId::from_name(name)))
        .collect();
    let life = request.ttl.as_ref().map_or(DEFAULT_LIFE, time::duration);
    if life < Duration::from_secs(1) || life > token::LONGEST_LIFE {
        faults.add("ttl", "must be 1 second to 7 days");
    }
    faults.into_result().map_err(RpcError::Invalid)?;
    Ok((tenants, life))
}
