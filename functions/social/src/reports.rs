//! Reports to the moderators, and what they make of them.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use garde::Validate;
use guest::{Caller, Client, Db, Input, Items, OptionalInput, Page, Path, Query, Result, args};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::input::line;
use crate::outcome::Outcome;
use crate::posts::Account;

/// A report, as the account that made it sees it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Report {
    /// The report's id.
    id: Uuid,
    /// The reported object: `post:`, `comment:`, `message:` or `account:` with an id.
    target: String,
    /// The reason for the report.
    reason: String,
    /// The state of the report: `open` or `resolved`.
    state: String,
    /// The time of the report.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

/// A report, as moderators see it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ReportInHand {
    #[serde(flatten)]
    report: Report,
    /// The account that made the report; null if it has left.
    reporter: Option<Account>,
    /// The reported object, as it was at that moment.
    evidence: Evidence,
    /// The moderator's answer; null until the report is resolved.
    resolution: Option<String>,
    /// The moderator who resolved the report; null until then.
    resolved_by: Option<Uuid>,
    /// The time at which the report was resolved; null until then.
    #[serde(with = "time::serde::rfc3339::option")]
    resolved_at: Option<OffsetDateTime>,
}

/// The reported object, as it was at the moment of the report.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Evidence {
    /// The author of the object; null if that account has left.
    author: Option<Account>,
    /// The text of the object.
    text: String,
    /// The surroundings of the object: the post's title, the comment that it answers, the messages before it.
    #[schema(value_type = Object)]
    context: Value,
}

/// A report to make.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct NewReport {
    /// The object to report: `post:`, `comment:`, `message:` or `account:` with an id.
    #[garde(custom(target_form))]
    #[schema(example = "post:01890000-0000-7000-8000-000000000000")]
    target: String,
    /// The reason for the report.
    #[garde(length(chars, max = 1000), custom(text))]
    #[schema(min_length = 1, max_length = 1000)]
    reason: String,
}

/// The resolution of a report.
#[derive(Debug, Default, Deserialize, Validate, ToSchema)]
pub struct Resolution {
    /// The answer to the account that made the report.
    #[garde(inner(length(chars, max = 500), custom(line)))]
    #[schema(min_length = 1, max_length = 500)]
    resolution: Option<String>,
}

/// The filters of a list of reports.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Lists only reports in this state; all if absent.
    #[garde(skip)]
    #[param(inline)]
    state: Option<State>,
}

/// The state of a report.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ReportState)]
pub enum State {
    Open,
    Resolved,
}

#[derive(Debug, Deserialize)]
struct Made {
    is_new: bool,
    report: Report,
}

fn target_form(text: &str, _: &()) -> garde::Result {
    let parts = text.split_once(':');
    let is_known = parts.is_some_and(|(kind, id)| {
        ["post", "comment", "message", "account"].contains(&kind)
            && id.len() == 36
            && id.parse::<Uuid>().is_ok()
    });
    if is_known {
        return Ok(());
    }
    Err(garde::Error::new(
        "must be `post:`, `comment:`, `message:` or `account:` with an id",
    ))
}

fn text(text: &str, _: &()) -> garde::Result {
    if text.trim().is_empty() || text.contains('\0') {
        return Err(garde::Error::new(
            "must have something in it, and no zero character",
        ));
    }
    Ok(())
}

/// Reports something to the moderators.
///
/// Its present text is kept for them. While a report of the same object by the same account is open, reporting again
/// returns that report, with 200.
#[utoipa::path(
    post, path = "/api/reports", tag = "reports", operation_id = "create_report", request_body = NewReport,
    params(("Idempotency-Key" = Option<String>, Header, description = "A key that makes a repeated request harmless.")),
    responses(
        (status = 200, body = Report, description = "The object was reported before."),
        (status = 201, body = Report),
        (status = 409, description = "`idempotency-mismatch`"),
        (status = 422, description = "`invalid-input`: also where the caller can't see it"),
    ),
    security(("token" = ["social:write"]))
)]
pub async fn create(db: Db, caller: Caller, Input(new): Input<NewReport>) -> Result<Response> {
    let made: Outcome<Made> = db
        .one(
            "select report($1, $2, $3) as outcome",
            args![caller.id, new.target, new.reason],
        )
        .await?;
    let Made { is_new, report } = made.value()?;
    if !is_new {
        return Ok(Json(report).into_response());
    }
    Ok((StatusCode::CREATED, Json(report)).into_response())
}

/// Lists reports, the newest first. Reading them is recorded in the audit trail.
#[utoipa::path(
    get, path = "/api/reports", tag = "reports", operation_id = "reports", params(Filter, guest::PageParams),
    responses(
        (status = 200, body = Items<ReportInHand>),
        (status = 422, description = "`invalid-input`, `invalid-cursor`"),
    ),
    security(("token" = ["social:moderate"]))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    client: Client,
    page: Page<Uuid>,
    Query(filter): Query<Filter>,
) -> Result<Json<Items<ReportInHand>>> {
    let state = filter.state.map(|state| match state {
        State::Open => "open",
        State::Resolved => "resolved",
    });
    let found: Outcome<Vec<ReportInHand>> = db
        .one(
            "select look_at_reports($1, $2, $3, $4, $5) as outcome",
            args![caller.id, state, page.after, page.fetch(), json!(client)],
        )
        .await?;
    Ok(Json(page.answer(found.value()?, |one| one.report.id)))
}

/// Resolves a report, once. The account that made it is notified.
#[utoipa::path(
    post, path = "/api/reports/{report}/resolve", tag = "reports", operation_id = "resolve_report",
    params(("report" = Uuid, Path, description = "The report's id.")), request_body = Option<Resolution>,
    responses(
        (status = 200, body = ReportInHand),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`report-resolved`"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = ["social:moderate"]))
)]
pub async fn resolve(
    db: Db,
    caller: Caller,
    client: Client,
    Path(report): Path<Uuid>,
    OptionalInput(body): OptionalInput<Resolution>,
) -> Result<Json<ReportInHand>> {
    let Resolution { resolution } = body.unwrap_or_default();
    let done: Outcome<ReportInHand> = db
        .one(
            "select resolve_report($1, $2, $3, $4) as outcome",
            args![caller.id, report, resolution, json!(client)],
        )
        .await?;
    done.value().map(Json)
}
