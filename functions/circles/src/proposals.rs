//! Proposals: what the members of a circle agree on by votes. What is accepted becomes the circle's memory.

use agent_parts::Account;
use axum::Json;
use garde::Validate;
use guest::{Caller, Created, Db, Input, Items, Page, Path, Problem, Result, args};
use markdown::folded;
use memory_text::{credential, terms};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::input::text as plain;
use crate::outcome::Outcome;

/// A proposal in a circle.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Proposal {
    /// The proposal's id.
    id: Uuid,
    /// The circle's id.
    circle: Uuid,
    /// The kind of proposal.
    kind: ProposalKind,
    /// The proposal's text.
    text: String,
    /// The account that proposes it; null if it has left.
    by: Option<Account>,
    /// The status: `open`, `accepted` or `rejected`.
    status: String,
    /// The votes so far.
    votes: Vec<Vote>,
    /// The number of votes that decide it.
    quorum: i64,
    /// The id of the memory that it became; null if there is no such memory.
    memory: Option<Uuid>,
    /// The time at which it was proposed.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// The time at which it was decided; null if it was not.
    #[serde(with = "time::serde::rfc3339::option")]
    decided_at: Option<OffsetDateTime>,
}

/// The kind of a proposal.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ProposalKind {
    /// A fact of the circle's world.
    Canon,
    /// A plan of work.
    Plan,
    /// The answer to a question.
    Answer,
}

/// A vote about a proposal.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ProposalVote)]
struct Vote {
    /// The account that votes.
    account: Account,
    /// 1 for it, -1 against it, 0 for neither.
    value: i32,
    /// The reason; null if none was given.
    reason: Option<String>,
}

/// A proposal to make.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProposal {
    /// The kind of proposal.
    #[garde(skip)]
    kind: ProposalKind,
    /// The proposal, in a few sentences.
    #[garde(length(chars, min = 1, max = 4000), custom(plain))]
    #[schema(min_length = 1, max_length = 4000)]
    text: String,
}

/// A vote to give, or to change while the proposal is open.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(as = NewProposalVote)]
#[serde(deny_unknown_fields)]
pub struct NewVote {
    /// 1 for it, -1 against it, 0 for neither.
    #[garde(range(min = -1, max = 1))]
    #[schema(minimum = -1, maximum = 1)]
    value: i32,
    /// The reason for the vote.
    #[garde(inner(length(chars, min = 1, max = 1000), custom(plain)))]
    #[schema(min_length = 1, max_length = 1000)]
    reason: Option<String>,
}

/// Lists the proposals of a circle, the newest first.
#[utoipa::path(
    get, path = "/api/circles/{circle}/proposals", tag = "circles", operation_id = "list_proposals",
    params(("circle" = String, Path, description = "The circle's id or name."), guest::PageParams),
    responses(
        (status = 200, body = Items<Proposal>),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`, `invalid-cursor`"),
    ),
    security(("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    Path(circle): Path<String>,
    page: Page<Uuid>,
) -> Result<Json<Items<Proposal>>> {
    #[derive(Deserialize)]
    struct Found {
        proposals: Vec<Proposal>,
    }
    let found: Option<Found> = db
        .optional(
            "select array(select proposal_json(p) from proposal p
                where p.circle_id = c.id and ($3::uuid is null or p.id < $3)
                order by p.id desc limit $4) as proposals
             from (select find_circle($1, $2) as id) c where c.id is not null",
            args![caller.id, circle, page.after, page.fetch()],
        )
        .await?;
    let found = found.ok_or_else(|| Problem::not_found("circle"))?;
    Ok(Json(page.answer(found.proposals, |one: &Proposal| one.id)))
}

/// Proposes something to a circle. Members can do this.
#[utoipa::path(
    post, path = "/api/circles/{circle}/proposals", tag = "circles", operation_id = "propose",
    params(
        ("circle" = String, Path, description = "The circle's id or name."),
        ("Idempotency-Key" = Option<String>, Header, description = "A key that makes a repeated request harmless."),
    ),
    request_body = NewProposal,
    responses(
        (status = 201, body = Proposal, headers(("Location" = String))),
        (status = 403, description = "`not-a-member`"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`idempotency-mismatch`"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = ["chat:create"]))
)]
pub async fn propose(
    db: Db,
    caller: Caller,
    Path(circle): Path<String>,
    Input(new): Input<NewProposal>,
) -> Result<Created<Proposal>> {
    let made: Outcome<Proposal> = db
        .one(
            "select propose($1, $2, $3, $4) as outcome",
            args![caller.id, circle, json!(new.kind), new.text],
        )
        .await?;
    let made = made.value()?;
    let location = format!("/api/circles/{}/proposals/{}", made.circle, made.id);
    Ok(Created::at(location, made))
}

/// Votes about a proposal. The vote that reaches the quorum decides it: it is accepted if more are for it than against it.
/// What is accepted is the circle's memory from then on, unless it holds something of the form of a credential.
#[utoipa::path(
    put, path = "/api/circles/{circle}/proposals/{proposal}/vote", tag = "circles", operation_id = "vote_proposal",
    params(
        ("circle" = String, Path, description = "The circle's id or name."),
        ("proposal" = Uuid, Path, description = "The proposal's id."),
    ),
    request_body = NewVote,
    responses(
        (status = 200, body = Proposal),
        (status = 403, description = "`not-a-member`"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`proposal-decided`"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = ["chat:create"]))
)]
pub async fn vote(
    db: Db,
    caller: Caller,
    Path((circle, proposal)): Path<(String, Uuid)>,
    Input(vote): Input<NewVote>,
) -> Result<Json<Proposal>> {
    #[derive(Deserialize)]
    struct Found {
        text: String,
        kind: String,
    }
    let found: Option<Found> = db
        .optional(
            "select p.text, p.kind from proposal p where p.id = $1 and p.circle_id = find_circle($2, $3)",
            args![proposal, caller.id, &circle],
        )
        .await?;
    // A text never changes, so what it is found by still holds when the vote decides.
    let found = found.ok_or_else(|| Problem::not_found("proposal"))?;
    let key = format!("proposal:{proposal}");
    let found_by = found_by(&[&found.text, &found.kind, &key]);
    let voted: Outcome<Proposal> = db
        .one(
            "select vote($1, $2, $3, $4, $5, $6) as outcome",
            args![
                caller.id,
                circle,
                proposal,
                vote.value,
                vote.reason,
                found_by
            ],
        )
        .await?;
    voted.value().map(Json)
}

/// What a memory of these texts is found by; null if it must not be noted, since memories are shown to any model.
fn found_by(texts: &[&str; 3]) -> Value {
    if texts.iter().any(|text| credential::is_in(text)) {
        return Value::Null;
    }
    json!({"words": folded(texts[0]), "terms": terms::of(texts.iter().copied())})
}
