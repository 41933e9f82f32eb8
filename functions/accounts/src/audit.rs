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

/// The number of entries that one statement of an export reads.
const BATCH: i64 = 1000;

/// An entry of the audit trail: who did what, from where, and whether it was allowed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Entry {
    /// The entry's id.
    id: Uuid,
    /// The time of the action.
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    /// The account that acted; null if it is unknown, or if the operator acted.
    actor_id: Option<Uuid>,
    /// The name of that account; null if it is unknown or the account has left.
    actor_name: Option<String>,
    /// The action, such as `session.refused`.
    #[schema(example = "session.opened")]
    action: String,
    /// The object of the action, such as an id or a name.
    subject: Option<String>,
    /// Whether the action was allowed.
    allowed: bool,
    /// The address that the action came from; for IPv6 the network.
    address: Option<String>,
    /// The id of the request.
    request_id: Option<String>,
    /// Further details of the action.
    #[schema(value_type = Object)]
    detail: Value,
    /// The number of the chain that the entry belongs to.
    chain: i16,
    /// The entry's position in its chain.
    position: i64,
    /// The SHA-256 over the previous entry and this one, in hexadecimal.
    hash: String,
}

/// The filters of a list of entries.
#[derive(Debug, Clone, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Lists only actions of this account.
    #[garde(skip)]
    actor: Option<Uuid>,
    /// Lists only actions of this kind, such as `session.refused`.
    #[garde(inner(length(max = 100)))]
    action: Option<String>,
    /// Lists only actions on this object, given by id or name.
    #[garde(inner(length(max = 200)))]
    subject: Option<String>,
    /// Lists only actions that were allowed, or only those that were not.
    #[garde(skip)]
    allowed: Option<bool>,
    /// Lists only actions at or after this time.
    #[garde(inner(custom(sane_time)))]
    #[serde(default, with = "time::serde::rfc3339::option")]
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<OffsetDateTime>,
    /// Lists only actions before this time.
    #[garde(inner(custom(sane_time)))]
    #[serde(default, with = "time::serde::rfc3339::option")]
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<OffsetDateTime>,
}

/// The cursor of a page.
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
        "select e.id, e.at, e.actor_id, a.name as actor_name, e.action, e.subject, e.allowed, e.address, e.request_id,
                e.detail, e.chain, e.position, encode(e.hash, 'hex') as hash
         from (
             select * from audit.entry
             where ($1::uuid is null or actor_id = $1) and ($2::text is null or action = $2)
               and ($3::text is null or subject = $3) and ($4::boolean is null or allowed = $4)
               and ($5::text is null or at >= $5::text::timestamptz)
               and ($6::text is null or at < $6::text::timestamptz)
               and ($7::text is null or (at, id) < ($7::text::timestamptz, $8::uuid))
             order by at desc, id desc limit $9
         ) e left join identity.account_name a on a.id = e.actor_id and a.status <> 'deleted'
         order by e.at desc, e.id desc",
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

/// Exports the audit trail as JSON lines, the newest first, however long it is.
#[utoipa::path(
    get, path = "/api/audit/export", tag = "audit", params(Filter),
    responses(
        (status = 200, body = String, content_type = "application/x-ndjson"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = ["audit:read"])), extensions(("x-rate-limit" = json!("bulk")))
)]
pub async fn export(db: Db, _: Caller, Query(filter): Query<Filter>) -> Result<Response> {
    // The first lines are read before the answer begins, so that an early failure is a problem and not a broken stream.
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
