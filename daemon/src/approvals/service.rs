//! `ApprovalService`: shows what waits for a second person, and takes the decision.

use streamspace_core::{
    approval::{self, ApprovalState, Decider, Refusal, Verdict},
    filter::Filter,
    ids::ApprovalId,
    page::Query,
    text,
};
use streamspace_proto::v1::{self, approval_service_server::ApprovalService};
use tonic::{Request, Response, Status};

use super::store::{self, ApprovalRecord, At};
use crate::{
    db::{Database, DbError},
    rpc::{
        Caller,
        errors::{RpcError, RpcResult},
        listing::Paging,
        once::Once,
    },
};

const FILTER_FIELDS: [&str; 6] = ["name", "method", "target", "requester", "approver", "state"];
const LONGEST_REASON: usize = 1000;

/// The approvals of one region.
#[derive(Clone)]
pub struct Approvals {
    db: Database,
}

/// A decision as it is asked for.
struct Wish<'a> {
    method: &'static str,
    verdict: Verdict,
    name: &'a str,
    reason: &'a str,
    validate_only: bool,
}

impl Approvals {
    /// Keeps approvals in `db`.
    pub fn new(db: Database) -> Self {
        Self { db }
    }

    async fn get(&self, caller: &Caller, name: &str) -> RpcResult<v1::Approval> {
        let id = approval_id(name)?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let record = store::by_id(&mut tx, id).await?;
        let now = store::now(&mut tx).await?;
        Ok(record.ok_or_else(|| RpcError::NotFound(id.to_name()))?.to_proto(now))
    }

    async fn list(
        &self,
        caller: &Caller,
        request: &v1::ListApprovalsRequest,
    ) -> RpcResult<v1::ListApprovalsResponse> {
        let filter = Filter::parse(&request.filter, &FILTER_FIELDS)
            .map_err(|error| RpcError::field("filter", error.to_string()))?;
        let query = Query {
            method: "ListApprovals",
            filter: &request.filter,
            order_by: "",
            show_deleted: false,
        };
        let paging = Paging { size: request.page_size, token: &request.page_token, query };
        let mut tx = self.db.begin(&caller.scope).await?;
        let mut records = store::list(&mut tx).await?;
        let now = store::now(&mut tx).await?;
        drop(tx);
        records.retain(|record| filter.matches(&At(record, now)));
        let (page, next_page_token) = paging.cut(records, ApprovalRecord::key)?;
        let approvals = page.iter().map(|record| record.to_proto(now)).collect();
        Ok(v1::ListApprovalsResponse { approvals, next_page_token })
    }

    async fn decide(
        &self,
        caller: &Caller,
        wish: Wish<'_>,
        once: impl FnOnce(&'static str) -> RpcResult<Once>,
    ) -> RpcResult<v1::Approval> {
        let id = approval_id(wish.name)?;
        let reason = wish.reason.trim();
        text::check(reason, LONGEST_REASON)
            .map_err(|error| RpcError::field("reason", error.to_string()))?;
        let once = once(wish.method)?;
        // The tokens are the region's, whatever the caller reaches.
        let let_in = store::who_let_in(self.db.operator(), &caller.operator).await?;
        let mut tx = self.db.begin(&caller.scope).await?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let before = store::lock_by_id(&mut tx, id)
            .await?
            .ok_or_else(|| RpcError::NotFound(id.to_name()))?;
        let now = store::now(&mut tx).await?;
        let decider = Decider {
            operator: &caller.operator,
            // That of the certificate: a grant of an emergency is for who acts.
            role: caller.facts().role,
            enrolled_by_requester: before.is_of_who_let_in(&let_in),
        };
        approval::decide(&before.facts, &decider, wish.verdict, now)
            .map_err(|why| refusal(id, &before, why))?;
        let after = store::decide(&mut tx, id, &caller.operator, wish.verdict, reason).await?;
        let now = store::now(&mut tx).await?;
        let reply = after.to_proto(now);
        if wish.validate_only {
            return Ok(reply);
        }
        once.remember(&mut tx, &reply).await?;
        let verb = match wish.verdict {
            Verdict::Approved => "approved",
            Verdict::Rejected => "rejected",
        };
        caller.notes.changes(format!(
            "{verb} {} of {} for {}",
            reply.method, reply.target, reply.requester
        ));
        tx.commit().await.map_err(DbError::from)?;
        Ok(reply)
    }
}

fn approval_id(name: &str) -> RpcResult<ApprovalId> {
    ApprovalId::from_name(name).map_err(|error| RpcError::field("name", error.to_string()))
}

fn refusal(id: ApprovalId, record: &ApprovalRecord, why: Refusal) -> RpcError {
    let name = id.to_name();
    match why {
        Refusal::OwnRequest => RpcError::Denied {
            reason: "OWN_REQUEST",
            message: format!(
                "{name} is your own request, and another person must agree to it; \
                 `ssctl approval reject` withdraws it"
            ),
        },
        Refusal::EnrolledByRequester => RpcError::Denied {
            reason: "APPROVER_NOT_INDEPENDENT",
            message: format!(
                "{name} was asked for by {}, who lately made the token that you were enrolled \
                 with: somebody else must agree to it",
                record.facts.requester
            ),
        },
        Refusal::RoleTooLow(least) => RpcError::Denied {
            reason: "ROLE_TOO_LOW",
            message: format!(
                "{name} is of a request that needs role {least}, and so does a decision about it: \
                 ask somebody with that role"
            ),
        },
        Refusal::NotPending(state) => {
            let by = record.approver.as_deref().unwrap_or("nobody");
            let what = match state {
                ApprovalState::Approved => format!("was approved by {by} already"),
                ApprovalState::Rejected => format!("was rejected by {by}"),
                ApprovalState::Used => "was used: the request was made".to_owned(),
                ApprovalState::Expired | ApprovalState::Pending => "expired".to_owned(),
            };
            let next = match state {
                ApprovalState::Approved => "who asked makes the same request again",
                _ => "the same request made again asks for a new one",
            };
            RpcError::Refused {
                reason: "APPROVAL_NOT_PENDING",
                message: format!("{name} {what}; {next}"),
            }
        }
    }
}

#[tonic::async_trait]
impl ApprovalService for Approvals {
    async fn get_approval(
        &self,
        request: Request<v1::GetApprovalRequest>,
    ) -> Result<Response<v1::Approval>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(self.get(caller, &request.get_ref().name).await?))
    }

    async fn list_approvals(
        &self,
        request: Request<v1::ListApprovalsRequest>,
    ) -> Result<Response<v1::ListApprovalsResponse>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(self.list(caller, request.get_ref()).await?))
    }

    async fn approve_request(
        &self,
        request: Request<v1::ApproveRequestRequest>,
    ) -> Result<Response<v1::Approval>, Status> {
        let (caller, message) = (Caller::of(&request)?, request.get_ref());
        let wish = Wish {
            method: "ApproveRequest",
            verdict: Verdict::Approved,
            name: &message.name,
            reason: &message.reason,
            validate_only: message.validate_only,
        };
        let once = |method| Once::of(caller, method, &message.request_id, message);
        Ok(Response::new(self.decide(caller, wish, once).await?))
    }

    async fn reject_request(
        &self,
        request: Request<v1::RejectRequestRequest>,
    ) -> Result<Response<v1::Approval>, Status> {
        let (caller, message) = (Caller::of(&request)?, request.get_ref());
        let wish = Wish {
            method: "RejectRequest",
            verdict: Verdict::Rejected,
            name: &message.name,
            reason: &message.reason,
            validate_only: message.validate_only,
        };
        let once = |method| Once::of(caller, method, &message.request_id, message);
        Ok(Response::new(self.decide(caller, wish, once).await?))
    }
}
