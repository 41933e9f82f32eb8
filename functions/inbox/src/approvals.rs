//! Approvals, as those see them who have a part in them.

use axum::Json;
use garde::Validate;
use guest::{Caller, Db, Items, Page, Path, Problem, Query, Result, args};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// A question that one or more accounts have to agree to.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Approval {
    pub id: Uuid,
    /// What it is about: `<kind>:<id>`.
    #[schema(example = "turn:0192f5c0-0000-7000-8000-000000000000")]
    subject: String,
    /// What is asked.
    question: String,
    /// What one has to know to decide.
    detail: String,
    /// Of exactly that which is approved; a decision has to name it.
    digest: String,
    /// Who may decide.
    who: Deciders,
    /// How many have to approve. One who denies ends it.
    need: u32,
    /// What is to be filled in, as a JSON Schema.
    #[schema(value_type = Option<Object>)]
    form: Option<Value>,
    state: ApprovalState,
    /// The decisions so far, in their order.
    decisions: Vec<Decision>,
    /// The account that asked; null: the platform.
    asked_by: Option<Uuid>,
    /// Whoever asked may decide too.
    #[serde(rename = "self")]
    own: bool,
    /// It can't be decided at this time or later.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    ended_at: Option<OffsetDateTime>,
}

/// Who may decide.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Deciders {
    accounts: Vec<Uuid>,
    /// Whoever is a member at the moment of the decision.
    teams: Vec<Uuid>,
}

/// What an account decided.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ApprovalDecision)]
pub struct Decision {
    /// The account.
    by: Uuid,
    decision: Verdict,
    reason: Option<String>,
    /// What was filled in.
    #[schema(value_type = Option<Object>)]
    form: Option<Value>,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
}

/// For or against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Approve,
    Deny,
}

/// How an approval stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ApprovalState {
    /// To be decided.
    Pending,
    /// As many as needed have approved.
    Approved,
    /// Somebody has denied.
    Denied,
    /// Nobody decided in time.
    Expired,
    /// What it asked has no meaning any more.
    Void,
}

/// Which approvals to list.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ApprovalFilter {
    /// Only those that stand so.
    #[garde(skip)]
    #[param(inline)]
    state: Option<ApprovalState>,
    /// `true`: only those that the caller asked; `false`: only those that the caller is asked to decide. Without it both,
    /// and all for administrators.
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

/// Lists approvals, the newest first: those that the caller asked, or is asked to decide; administrators see all.
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
        // Each of those to whom an approval may be addressed has an index of its own.
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

/// Shows one approval to those who are asked, to whoever asked, and to administrators.
#[utoipa::path(
    get, path = "/api/approvals/{approval}", tag = "approvals",
    params(("approval" = Uuid, Path, description = "Id")),
    responses((status = 200, body = Approval), (status = 404, description = "`not-found`")),
    security(("token" = []))
)]
pub async fn get(db: Db, caller: Caller, Path(approval): Path<Uuid>) -> Result<Json<Approval>> {
    read(&db, &caller, approval).await.map(Json)
}

/// One approval, if the caller has a part in it.
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
