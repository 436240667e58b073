//! The role admin for a time, in an emergency, and the look at it afterwards.

use std::time::Duration;

use streamspace_core::{
    access::{Role, may_break_glass},
    ids::GrantId,
    page::Query,
};
use streamspace_proto::v1;

use super::{Access, commit, sentence};
use crate::{
    access::grants,
    db::Scope,
    rpc::{
        Caller,
        errors::{RpcError, RpcResult},
        listing::Paging,
        once::Once,
        summary::{self, NO_CHANGE},
        time,
    },
};

const SHORTEST: Duration = Duration::from_mins(1);
const LONGEST: Duration = Duration::from_hours(4);
const DEFAULT: Duration = Duration::from_mins(30);

impl Access {
    pub(super) async fn begin_break_glass(
        &self,
        caller: &Caller,
        request: &v1::BreakGlassRequest,
    ) -> RpcResult<v1::BreakGlassGrant> {
        let reason = sentence("reason", &request.reason)?;
        let ttl = request.ttl.as_ref().map_or(DEFAULT, time::duration);
        if !(SHORTEST..=LONGEST).contains(&ttl) {
            return Err(RpcError::field("ttl", "must be one minute to four hours"));
        }
        let own = Role::parse(&caller.role_name);
        if !may_break_glass(own) {
            return Err(RpcError::Denied {
                reason: "ROLE_TOO_LOW",
                message: "break-glass is for the role operator: ask an operator or an admin"
                    .to_owned(),
            });
        }
        if own == Some(Role::Admin) {
            return Err(RpcError::Refused {
                reason: "ADMIN_ALREADY",
                message: "your certificate gives you role admin already, and break-glass gives no \
                          more: go on without it"
                    .to_owned(),
            });
        }
        let once = Once::of(caller, "BreakGlass", &request.request_id, request)?;
        // Grants belong to no tenant; what the grant reaches stays what the certificate says.
        let mut tx = self.parts.database.begin(&Scope::Region).await?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let seconds = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX);
        let (operator, role) = (&caller.operator, &caller.role_name);
        let grant = grants::begin(&mut tx, operator, role, reason, seconds).await?;
        let mut reply = grant.to_proto();
        if request.validate_only {
            reply.name = String::new();
            return Ok(reply);
        }
        once.remember(&mut tx, &reply).await?;
        let end = summary::until(Some(grant.expire_time));
        caller.notes.changes(format!("role admin for {operator}{end}"));
        self.enforce(tx).await?;
        tracing::error!(
            %operator, grant = %grant.id, until = %grant.expire_time, peer = %caller.peer, reason,
            "BREAK-GLASS: an operator has role admin for a time"
        );
        Ok(reply)
    }

    pub(super) async fn finish_break_glass(
        &self,
        caller: &Caller,
        request: &v1::EndBreakGlassRequest,
    ) -> RpcResult<v1::BreakGlassGrant> {
        let id = match request.name.as_str() {
            "" => None,
            name => Some(grant_id(name)?),
        };
        let once = Once::of(caller, "EndBreakGlass", &request.request_id, request)?;
        let mut tx = self.parts.database.begin(&Scope::Region).await?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let grant = match id {
            Some(id) => grants::lock_by_id(&mut tx, id).await?,
            None => grants::lock_of(&mut tx, &caller.operator).await?,
        };
        let may_end_others = caller.role == Some(Role::Admin) && caller.scope == Scope::Region;
        let visible =
            |grant: &grants::GrantRecord| grant.operator == caller.operator || may_end_others;
        let grant = grant.filter(visible).ok_or_else(|| match id {
            Some(id) => RpcError::NotFound(id.to_name()),
            None => RpcError::NotFound(format!(
                "a break-glass grant of {} that is in force",
                caller.operator
            )),
        })?;
        if !grant.in_force {
            // It is as wished.
            caller.notes.changes(NO_CHANGE);
            return Ok(grant.to_proto());
        }
        let grant = grants::end(&mut tx, grant.id).await?;
        let reply = grant.to_proto();
        if request.validate_only {
            return Ok(reply);
        }
        once.remember(&mut tx, &reply).await?;
        caller.notes.changes(format!("role admin of {} ended", grant.operator));
        self.enforce(tx).await?;
        tracing::warn!(
            operator = %grant.operator, grant = %grant.id, by = %caller.operator,
            "a break-glass grant ended; it waits for a review"
        );
        Ok(reply)
    }

    pub(super) async fn break_glass_grants(
        &self,
        request: &v1::ListBreakGlassGrantsRequest,
    ) -> RpcResult<v1::ListBreakGlassGrantsResponse> {
        let query = Query {
            method: "ListBreakGlassGrants",
            filter: if request.unreviewed { "unreviewed" } else { "" },
            order_by: "",
            show_deleted: false,
        };
        let paging = Paging { size: request.page_size, token: &request.page_token, query };
        let mut tx = self.parts.database.begin(&Scope::Region).await?;
        let records = grants::list(&mut tx, request.unreviewed).await?;
        let (page, next_page_token) = paging.cut(records, grants::GrantRecord::key)?;
        let grants = page.iter().map(grants::GrantRecord::to_proto).collect();
        Ok(v1::ListBreakGlassGrantsResponse { grants, next_page_token })
    }

    pub(super) async fn review_grant(
        &self,
        caller: &Caller,
        request: &v1::ReviewBreakGlassRequest,
    ) -> RpcResult<v1::BreakGlassGrant> {
        let id = grant_id(&request.name)?;
        let words = sentence("review", &request.review)?;
        if words.is_empty() {
            return Err(RpcError::field("review", "is required: say what you found"));
        }
        if caller.break_glass.is_some() {
            return Err(RpcError::Denied {
                reason: "BREAK_GLASS_LIMIT",
                message: "a review is not for somebody who is an admin by break-glass: an admin \
                          by certificate does it"
                    .to_owned(),
            });
        }
        let once = Once::of(caller, "ReviewBreakGlass", &request.request_id, request)?;
        let mut tx = self.parts.database.begin(&Scope::Region).await?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let grant = grants::lock_by_id(&mut tx, id)
            .await?
            .ok_or_else(|| RpcError::NotFound(id.to_name()))?;
        if grant.operator == caller.operator {
            return Err(RpcError::Denied {
                reason: "OWN_REQUEST",
                message: format!("{} was your own grant: another admin reviews it", id.to_name()),
            });
        }
        if grant.in_force {
            return Err(RpcError::Refused {
                reason: "GRANT_IN_FORCE",
                message: format!(
                    "{} is in force until {}, so not all of it can be seen yet: wait, or end it \
                     with `ssctl break-glass end {id}`",
                    id.to_name(),
                    grant.expire_time
                ),
            });
        }
        if let Some(reviewer) = &grant.reviewer {
            return Err(RpcError::Refused {
                reason: "GRANT_REVIEWED",
                message: format!("{} was reviewed by {reviewer} already", id.to_name()),
            });
        }
        let reply = grants::review(&mut tx, id, &caller.operator, words).await?.to_proto();
        if request.validate_only {
            return Ok(reply);
        }
        once.remember(&mut tx, &reply).await?;
        caller.notes.changes(format!("the grant of {} is reviewed", grant.operator));
        commit(tx).await?;
        Ok(reply)
    }
}

fn grant_id(name: &str) -> RpcResult<GrantId> {
    GrantId::from_name(name).map_err(|error| RpcError::field("name", error.to_string()))
}
