//! The audit trail, for admins.

use axum::Json;
use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use garde::Validate;
use guest::{Caller, Db, Items, Moment, Page, Problem, Query, Result, args};
use principal::sane_time;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// How many entries one statement of an export reads.
const BATCH: i64 = 1000;

/// Who did what from where, and whether it was allowed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Entry {
    id: Uuid,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    /// The account; null: somebody unknown, or the operator.
    actor_id: Option<Uuid>,
    #[schema(example = "session.opened")]
    action: String,
    /// To whom or what.
    subject: Option<String>,
    allowed: bool,
    /// From where; of IPv6 the network.
    address: Option<String>,
    request_id: Option<String>,
    #[schema(value_type = Object)]
    detail: Value,
    /// The chain that the entry is in, and its place there.
    chain: i16,
    position: i64,
    /// SHA-256 over the entry before and this one, in hexadecimal.
    hash: String,
}

/// Which entries.
#[derive(Debug, Clone, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Of this account only.
    #[garde(skip)]
    actor: Option<Uuid>,
    /// Of this kind only, such as `session.refused`.
    #[garde(inner(length(max = 100)))]
    action: Option<String>,
    /// About this only: an id or a name.
    #[garde(inner(length(max = 200)))]
    subject: Option<String>,
    /// Only what was allowed, or was not.
    #[garde(skip)]
    allowed: Option<bool>,
    /// Not before.
    #[garde(inner(custom(sane_time)))]
    #[serde(default, with = "time::serde::rfc3339::option")]
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<OffsetDateTime>,
    /// Before.
    #[garde(inner(custom(sane_time)))]
    #[serde(default, with = "time::serde::rfc3339::option")]
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<OffsetDateTime>,
}

/// Where a page ends.
type Position = (Moment, Uuid);

/// Lists the audit trail, the newest first.
#[utoipa::path(
    get, path = "/api/audit", tag = "audit", params(guest::PageParams, Filter),
    responses((status = 200, body = Items<Entry>), (status = 422, description = "`invalid-input`, `invalid-cursor`")),
    security(("token" = ["audit:read"]))
)]
pub async fn list(
    db: Db,
    _: Caller,
    page: Page<Position>,
    Query(filter): Query<Filter>,
) -> Result<Json<Items<Entry>>> {
    let entries = read(&db, &filter, page.after, page.fetch()).await?;
    Ok(Json(page.answer(entries, position)))
}

fn position(entry: &Entry) -> Position {
    (Moment(entry.at), entry.id)
}

async fn read(db: &Db, filter: &Filter, after: Option<Position>, limit: i64) -> Result<Vec<Entry>> {
    let (at, id) = after.unzip();
    let entries = db.many(
        "select id, at, actor_id, action, subject, allowed, address, request_id, detail, chain, position,
                encode(hash, 'hex') as hash
         from audit.entry
         where ($1::uuid is null or actor_id = $1) and ($2::text is null or action = $2)
           and ($3::text is null or subject = $3) and ($4::boolean is null or allowed = $4)
           and ($5::text is null or at >= $5::text::timestamptz)
           and ($6::text is null or at < $6::text::timestamptz)
           and ($7::text is null or (at, id) < ($7::text::timestamptz, $8::uuid))
         order by at desc, id desc limit $9",
        args![
            filter.actor,
            &filter.action,
            &filter.subject,
            filter.allowed,
            filter.since,
            filter.until,
            at,
            id,
            limit
        ],
    );
    Ok(entries.await?)
}

/// The audit trail as JSON lines, the newest first, however long it is.
#[utoipa::path(
    get, path = "/api/audit/export", tag = "audit", params(Filter),
    responses(
        (status = 200, body = String, content_type = "application/x-ndjson"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = ["audit:read"])), extensions(("x-rate-limit" = json!("bulk")))
)]
pub async fn export(db: Db, _: Caller, Query(filter): Query<Filter>) -> Result<Response> {
    // The first lines come before the answer's head: what fails at once is a problem, not a broken stream.
    let first = read(&db, &filter, None, BATCH).await?;
    let lines = stream::try_unfold((Some(first), None::<Position>), move |(batch, after)| {
        let (db, filter) = (db.clone(), filter.clone());
        async move {
            let batch = match (batch, after) {
                (Some(batch), _) => batch,
                (None, Some(after)) => read(&db, &filter, Some(after), BATCH).await?,
                (None, None) => return Ok(None),
            };
            let Some(last) = batch.last().map(position) else {
                return Ok::<_, Problem>(None);
            };
            let mut lines = Vec::new();
            for entry in &batch {
                serde_json::to_writer(&mut lines, entry).map_err(Problem::internal)?;
                lines.push(b'\n');
            }
            Ok(Some((Bytes::from(lines), (None, Some(last)))))
        }
    });
    let mut response = Response::new(Body::from_stream(lines));
    let kind = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}
