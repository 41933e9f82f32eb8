//! Versions that the review leaves to a person, and the decisions about them.

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use garde::Validate;
use guest::{Caller, Db, Input, Items, Page, Path, Problem, Result, Sandbox, args};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::SANDBOX;

/// A version that waits for a person's decision.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Held {
    /// The version's id.
    pub id: Uuid,
    /// The skill's name.
    pub skill: String,
    /// The semantic version.
    pub version: String,
    /// The component's digest.
    pub digest: String,
    /// The account that published the version.
    pub published_by: Uuid,
    /// The findings of the review.
    #[schema(value_type = Object)]
    pub review: Value,
    /// The time at which the version was published.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// The reason for a decision.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(as = SkillDecision)]
pub struct Reason {
    /// The reason, as the author will read it.
    #[garde(length(chars, min = 1, max = 2000))]
    reason: String,
}

/// A decision that was made.
#[derive(Debug, Serialize, ToSchema)]
pub struct Decided {
    /// The version's id.
    id: Uuid,
    /// The version's status after the decision.
    status: crate::versions::Status,
}

/// Lists the versions that wait for a person's decision, the oldest first.
#[utoipa::path(
    get, path = "/api/skill-reviews", tag = "skills", params(guest::PageParams),
    responses((status = 200, body = Items<Held>), (status = 403, description = "`forbidden`: the scope `skills:review` is missing"), (status = 422, description = "`invalid-input`, `invalid-cursor`")),
    security(("token" = ["skills:review"]))
)]
pub async fn held(db: Db, _: Caller, page: Page<Uuid>) -> Result<Json<Items<Held>>> {
    let rows: Vec<Held> = db
        .many(
            "select v.id, s.name as skill, v.version, v.digest, v.published_by, v.review, v.created_at
             from version v join skill s on s.id = v.skill_id
             where v.held and ($1::uuid is null or v.id > $1) order by v.id limit $2",
            args![page.after, page.fetch()],
        )
        .await?;
    Ok(Json(page.answer(rows, |held| held.id)))
}

/// Approves a version that the review left to a person. Nobody can decide about their own skill.
#[utoipa::path(
    post, path = "/api/skill-reviews/{version}/approve", tag = "skills",
    params(("version" = Uuid, Path, description = "The version's id.")),
    request_body = Reason,
    responses(
        (status = 200, body = Decided),
        (status = 403, description = "`forbidden`, `own-skill`"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`not-held`"),
        (status = 422, description = "`invalid-input`"),
        (status = 503, description = "`sandbox-unavailable`"),
    ),
    security(("token" = ["skills:review"]))
)]
pub async fn approve(
    db: Db,
    caller: Caller,
    Path(version): Path<Uuid>,
    headers: HeaderMap,
    Input(reason): Input<Reason>,
) -> Result<Json<Decided>> {
    decide(&db, &caller, version, &headers, "approve", &reason.reason).await
}

/// Rejects a version that the review left to a person. Nobody can decide about their own skill.
#[utoipa::path(
    post, path = "/api/skill-reviews/{version}/reject", tag = "skills",
    params(("version" = Uuid, Path, description = "The version's id.")),
    request_body = Reason,
    responses(
        (status = 200, body = Decided),
        (status = 403, description = "`forbidden`, `own-skill`"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`not-held`"),
        (status = 422, description = "`invalid-input`"),
        (status = 503, description = "`sandbox-unavailable`"),
    ),
    security(("token" = ["skills:review"]))
)]
pub async fn reject(
    db: Db,
    caller: Caller,
    Path(version): Path<Uuid>,
    headers: HeaderMap,
    Input(reason): Input<Reason>,
) -> Result<Json<Decided>> {
    decide(&db, &caller, version, &headers, "reject", &reason.reason).await
}

#[derive(Debug, Deserialize)]
struct Target {
    skill: String,
    version: String,
    digest: String,
    held: bool,
    is_own: bool,
}

#[derive(Debug, Deserialize)]
struct Outcome {
    decided: bool,
}

async fn decide(
    db: &Db,
    caller: &Caller,
    version: Uuid,
    headers: &HeaderMap,
    verdict: &str,
    reason: &str,
) -> Result<Json<Decided>> {
    let target: Option<Target> = db
        .optional(
            "select s.name as skill, v.version, v.digest, v.held, s.owner_id = $2 or v.published_by = $2 as is_own
             from version v join skill s on s.id = v.skill_id where v.id = $1",
            args![version, caller.id],
        )
        .await?;
    let target = target.ok_or_else(|| Problem::not_found("version"))?;
    if target.is_own {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "own-skill",
            "Nobody can decide about their own skill.",
        ));
    }
    let not_held = || {
        Problem::conflict(
            "not-held",
            "This version does not wait for a person's decision.",
        )
    };
    if !target.held {
        return Err(not_held());
    }
    let decision = json!({
        "verdict": verdict, "reason": reason, "by": caller.id,
        "at": OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default(),
    });
    let envelope = attest(&target, &decision, headers).await?;
    let outcome: Outcome = db
        .one(
            "select decide(v.id, $2, v.review || jsonb_build_object('decision', $3::jsonb), null, $4, $5) as decided
             from version v where v.id = $1",
            args![version, verdict, decision, envelope, caller.id],
        )
        .await?;
    if !outcome.decided {
        return Err(not_held());
    }
    let status = match verdict {
        "approve" => crate::versions::Status::Approved,
        _ => crate::versions::Status::Rejected,
    };
    Ok(Json(Decided {
        id: version,
        status,
    }))
}

/// Signs a decision and returns the envelope.
async fn attest(target: &Target, decision: &Value, headers: &HeaderMap) -> Result<Value> {
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{
            "name": format!("{}@{}", target.skill, target.version),
            "digest": {"sha256": target.digest.trim_start_matches("sha256:")},
        }],
        "predicateType": "https://gather.dev/attestations/skill-review/v1",
        "predicate": {"skill": target.skill, "version": target.version, "decision": decision, "verdict": decision["verdict"]},
    });
    let signed = SANDBOX
        .ask(
            "/attest",
            &json!({"statement": statement}),
            headers.get("x-request-id"),
        )
        .await?;
    if signed.status() != StatusCode::OK {
        return Err(Sandbox::unexpected("signing a decision", signed.status()));
    }
    let answer: Value = serde_json::from_slice(signed.body()).map_err(Problem::internal)?;
    Ok(answer["envelope"].clone())
}
