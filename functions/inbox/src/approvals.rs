//! Approvals, as the accounts that are involved see them.

use axum::Json;
use garde::Validate;
use guest::{Caller, Db, Items, Page, Path, Problem, Query, Result, args};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// A question that one or more accounts must approve.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Approval {
    /// The approval's id.
    pub id: Uuid,
    /// The subject of the approval, as `<kind>:<id>`.
    #[schema(example = "turn:0192f5c0-0000-7000-8000-000000000000")]
    subject: String,
    /// The question to decide.
    question: String,
    /// The information that is needed to decide.
    detail: Detail,
    /// The digest of exactly what is approved. A decision must name it.
    digest: String,
    /// The accounts and teams that may decide.
    who: Deciders,
    /// The number of approvals that are needed. One denial ends the approval.
    need: u32,
    /// The JSON Schema of the form that a decision fills in; null if there is none.
    #[schema(value_type = Option<Object>)]
    pub form: Option<Value>,
    /// The state of the approval.
    pub state: ApprovalState,
    /// The decisions so far, the oldest first.
    decisions: Vec<Decision>,
    /// The account that asked; null if the platform did.
    pub asked_by: Option<Uuid>,
    /// The name of the account that asked; null if the platform did, or if the account has left.
    asked_by_name: Option<String>,
    /// Whether the account that asked may decide too.
    #[serde(rename = "self")]
    pub own: bool,
    /// The time from which on the approval can't be decided any more.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    /// The time at which the approval was asked for.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// The time at which the approval ended; null until then.
    #[serde(with = "time::serde::rfc3339::option")]
    ended_at: Option<OffsetDateTime>,
}

/// The information that is needed to decide: a text or, of a call that the turn of an agent wants to make, the call.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ApprovalDetail)]
pub enum Detail {
    /// The information as a text.
    Text(String),
    /// A call of a tool.
    Call(Call),
}

/// A call of a tool that an agent wants to make.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ApprovalCall)]
pub struct Call {
    /// The number of the step in its turn.
    step: u32,
    /// The name of the tool, as the agent's model knows it.
    tool: String,
    /// The arguments. Of more than 16,000 bytes, texts are cut.
    #[schema(value_type = Object)]
    arguments: Value,
    /// The reason why the call has to be approved.
    why: String,
}

/// The accounts and teams that may decide.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Deciders {
    /// The accounts that may decide.
    accounts: Vec<Uuid>,
    /// The teams whose members may decide; membership counts at the moment of the decision.
    teams: Vec<Uuid>,
}

/// The decision of an account.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ApprovalDecision)]
pub struct Decision {
    /// The account that decided.
    by: Uuid,
    /// The name of the account that decided; null if it has left.
    by_name: Option<String>,
    /// Whether the account approved or denied.
    decision: Verdict,
    /// The reason for the decision.
    reason: Option<String>,
    /// The form, as it was filled in.
    #[schema(value_type = Option<Object>)]
    form: Option<Value>,
    /// The time of the decision.
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
}

/// The verdict: approve or deny.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Approve,
    Deny,
}

/// The state of an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ApprovalState {
    /// Waits for decisions.
    Pending,
    /// Has the approvals that it needs.
    Approved,
    /// An account has denied it.
    Denied,
    /// Did not get the approvals that it needs in time.
    Expired,
    /// Was withdrawn, because the question does not matter any more.
    Void,
}

/// The filters of a list of approvals.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ApprovalFilter {
    /// Lists only approvals in this state.
    #[garde(skip)]
    #[param(inline)]
    state: Option<ApprovalState>,
    /// If true, lists only approvals that the caller asked for; if false, only those that the caller may decide.
    /// Without it, lists both, and all approvals for administrators.
    #[garde(skip)]
    mine: Option<bool>,
}

impl ApprovalState {
    fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Void => "void",
        }
    }
}

/// Lists the approvals that the caller asked for or may decide, the newest first. Administrators see all.
#[utoipa::path(
    get, path = "/api/approvals", tag = "approvals", params(guest::PageParams, ApprovalFilter),
    responses((status = 200, body = Items<Approval>), (status = 422, description = "`invalid-input`")),
    security(("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    page: Page<Uuid>,
    Query(ApprovalFilter { state, mine }): Query<ApprovalFilter>,
) -> Result<Json<Items<Approval>>> {
    let state = state.map(ApprovalState::name);
    let approvals: Vec<Approval> = if mine.is_none() && caller.allows(guest::ALL) {
        db.many(
            "select * from approval_view v
             where ($1::uuid is null or v.id < $1) and ($2::text is null or v.state = $2)
             order by v.id desc limit $3",
            args![page.after, state, page.fetch()],
        )
        .await?
    } else {
        // Each account and team that an approval may be addressed to has an index of its own.
        db.many(
            "select v.* from (
                 select o.id from approval_view o
                 where o.asked_by = $4 and coalesce($5, true)
                 and ($1::uuid is null or o.id < $1) and ($2::text is null or o.state = $2)
                 order by o.id desc limit $3
             ) mine
             full join (
                 select k.id from askable($4) a cross join lateral (
                     select o.id from asked k join approval_view o on o.id = k.approval_id
                     where k.who = a and not coalesce($5, false)
                     and ($1::uuid is null or k.approval_id < $1) and ($2::text is null or o.state = $2)
                     order by k.approval_id desc limit $3
                 ) k group by k.id
             ) asked using (id)
             join approval_view v using (id)
             order by v.id desc limit $3",
            args![page.after, state, page.fetch(), caller.id, mine],
        )
        .await?
    };
    Ok(Json(page.answer(approvals, |approval| approval.id)))
}

/// Reads one approval. The accounts that may decide, the account that asked, and administrators can see it.
#[utoipa::path(
    get, path = "/api/approvals/{approval}", tag = "approvals",
    params(("approval" = Uuid, Path, description = "The approval's id.")),
    responses((status = 200, body = Approval), (status = 404, description = "`not-found`")),
    security(("token" = []))
)]
pub async fn get(db: Db, caller: Caller, Path(approval): Path<Uuid>) -> Result<Json<Approval>> {
    read(&db, &caller, approval).await.map(Json)
}

/// Reads one approval, if the caller may see it.
pub async fn read(db: &Db, caller: &Caller, approval: Uuid) -> Result<Approval> {
    let found = db
        .optional(
            "select v.* from approval_view v
             where v.id = $1 and ($3 or v.asked_by = $2
                 or exists (select from asked k where k.approval_id = $1 and k.who in (select askable($2))))",
            args![approval, caller.id, caller.allows(guest::ALL)],
        )
        .await?;
    found.ok_or_else(|| Problem::not_found("approval"))
}
