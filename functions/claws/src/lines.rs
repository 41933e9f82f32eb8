//! The output of claws in containers.

use axum::Json;
use garde::Validate;
use guest::{Caller, Db, Items, Moment, Page, Path, Query, Result, args};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use crate::claws::found;

/// A line of the output of a claw's container.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ClawLine {
    /// The time at which it was written.
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    /// The stream that it was written to.
    stream: Stream,
    /// The text of the line.
    text: String,
}

/// The filters of a list of lines.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only lines that were written after this time.
    #[garde(skip)]
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Moment>,
    /// Only lines of this stream.
    #[garde(skip)]
    stream: Option<Stream>,
}

/// A stream of a program's output.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = ClawStream)]
#[serde(rename_all = "lowercase")]
enum Stream {
    /// The usual output.
    Stdout,
    /// The output of errors.
    Stderr,
}

#[derive(Debug, Deserialize)]
struct Row {
    number: i32,
    #[serde(flatten)]
    line: ClawLine,
}

/// Lists the output of a claw's container, the newest lines first. The newest thousand are kept, and come within seconds; a
/// claw without a container has none.
#[utoipa::path(
    get, path = "/api/claws/{claw}/logs", tag = "claws", operation_id = "claw_logs",
    params(("claw" = String, Path, description = "The claw's id or name."), Filter, guest::PageParams),
    responses(
        (status = 200, body = Items<ClawLine>),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`, `invalid-cursor`"),
    ),
    security(("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    Path(claw): Path<String>,
    page: Page<(Moment, i32)>,
    Query(filter): Query<Filter>,
) -> Result<Json<Items<ClawLine>>> {
    let claw = found(&db, &caller, &claw).await?;
    let (at, number) = page.after.unzip();
    let stream = filter.stream.map(|stream| match stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
    });
    let rows: Vec<Row> = db
        .many(
            "select l.at, l.number, l.stream, l.text from line l
             where l.claw_id = $1 and ($2::text is null or l.at > $2::text::timestamptz) and ($3::text is null or l.stream = $3)
                 and ($4::text is null or (l.at, l.number) < ($4::text::timestamptz, $5::integer))
             order by l.at desc, l.number desc limit $6",
            args![claw, filter.since, stream, at, number, page.fetch()],
        )
        .await?;
    let page = page.answer(rows, |row: &Row| (Moment(row.line.at), row.number));
    Ok(Json(Items {
        items: page.items.into_iter().map(|row| row.line).collect(),
        next: page.next,
    }))
}
