//! Search for words in a channel's messages, in any language.

use axum::Json;
use garde::Validate;
use guest::{Caller, Db, Items, Page, Path, Problem, Query, Result, args};
use markdown::patterns;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::messages::Message;

/// The words to search for.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Words {
    /// Words, or parts of words, that a message must all contain. Neither case nor the composition of letters matters.
    #[garde(length(chars, min = 1, max = 200))]
    query: String,
}

/// Finds messages of a channel by their words, the newest first.
#[utoipa::path(
    get, path = "/api/channels/{channel}/search", tag = "channels",
    params(("channel" = String, Path, description = "The channel's id or name."), Words, guest::PageParams),
    responses(
        (status = 200, body = Items<Message>),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = []))
)]
pub async fn search(
    db: Db,
    caller: Caller,
    Path(channel): Path<String>,
    page: Page<i64>,
    Query(Words { query }): Query<Words>,
) -> Result<Json<Items<Message>>> {
    let patterns =
        patterns(&query).ok_or_else(|| Problem::invalid("query", "must have a word in it"))?;
    let first = patterns.first().cloned().unwrap_or_default();
    #[derive(Deserialize)]
    struct Row {
        found: Vec<Message>,
    }
    let row: Option<Row> = db
        .optional(
            "select coalesce((
                 select jsonb_agg(message_json(m, $1) order by m.seq desc) from (
                     select r.* from message w join readable_message($1) r on r.id = w.id
                     where w.channel_id = c.id and w.words like $3 and w.words like all ($4)
                     and ($5::bigint is null or w.seq < $5) and r.state = 'shown'
                     order by w.seq desc limit $6
                 ) m), '[]') as found
             from (select find($1, $2) as id) c where c.id is not null",
            args![
                caller.id,
                channel,
                first,
                patterns,
                page.after,
                page.fetch()
            ],
        )
        .await?;
    let found = row.ok_or_else(|| Problem::not_found("channel"))?.found;
    Ok(Json(page.answer(found, |message| message.seq)))
}
