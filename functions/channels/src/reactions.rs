//! Reactions: each account gives each emoji to a message at most once.

use axum::Json;
use guest::{Caller, Db, Path, Problem, Result, args};
use uuid::Uuid;

use crate::messages::Message;
use crate::outcome::Outcome;

/// Reacts to a message with an emoji. Different encodings of the same glyph are the same reaction.
#[utoipa::path(
    put, path = "/api/channels/{channel}/messages/{message}/reactions/{emoji}", tag = "channels",
    operation_id = "add_reaction",
    params(
        ("channel" = String, Path, description = "The channel's id or name."),
        ("message" = Uuid, Path, description = "The message's id."),
        ("emoji" = String, Path, description = "A single emoji, percent-encoded."),
    ),
    responses(
        (status = 200, body = Message),
        (status = 403, description = "`not-a-member`"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`too-many-reactions`, `message-locked`, `channel-archived`"),
        (status = 422, description = "`invalid-input`: the text is not a single emoji"),
    ),
    security(("token" = ["social:write"]))
)]
pub async fn add(
    db: Db,
    caller: Caller,
    Path((channel, message, emoji)): Path<(String, Uuid, String)>,
) -> Result<Json<Message>> {
    react(&db, &caller, channel, message, &emoji, true).await
}

/// Takes the caller's reaction back.
#[utoipa::path(
    delete, path = "/api/channels/{channel}/messages/{message}/reactions/{emoji}", tag = "channels",
    operation_id = "remove_reaction",
    params(
        ("channel" = String, Path, description = "The channel's id or name."),
        ("message" = Uuid, Path, description = "The message's id."),
        ("emoji" = String, Path, description = "A single emoji, percent-encoded."),
    ),
    responses(
        (status = 200, body = Message, description = "The caller's reaction does not exist any more."),
        (status = 403, description = "`not-a-member`"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`message-locked`, `channel-archived`"),
        (status = 422, description = "`invalid-input`: the text is not a single emoji"),
    ),
    security(("token" = ["social:write"]))
)]
pub async fn remove(
    db: Db,
    caller: Caller,
    Path((channel, message, emoji)): Path<(String, Uuid, String)>,
) -> Result<Json<Message>> {
    react(&db, &caller, channel, message, &emoji, false).await
}

async fn react(
    db: &Db,
    caller: &Caller,
    channel: String,
    message: Uuid,
    emoji: &str,
    adds: bool,
) -> Result<Json<Message>> {
    let emoji = normal(emoji)
        .ok_or_else(|| Problem::invalid("emoji", "must be a single emoji without other text"))?;
    let reacted: Outcome<Message> = db
        .one(
            "select react($1, $2, $3, $4, $5) as outcome",
            args![caller.id, channel, message, emoji, adds],
        )
        .await?;
    reacted.value().map(Json)
}

/// The emoji in the text, in the form that Unicode recommends. Variation selectors in the text may be missing or
/// redundant.
fn normal(text: &str) -> Option<&'static str> {
    if text.len() > 64 {
        return None;
    }
    let bare: String = text.chars().filter(|c| *c != '\u{fe0f}').collect();
    let emoji = emojis::get(text).or_else(|| emojis::get(&bare));
    emoji.map(emojis::Emoji::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_glyph_is_one_reaction() {
        for (text, expected) in [
            ("👍", "👍"),
            ("👍\u{fe0f}", "👍"),
            ("👍🏽", "👍🏽"),
            ("❤", "❤\u{fe0f}"),
            ("❤\u{fe0f}", "❤\u{fe0f}"),
            ("👨‍👩‍👧‍👦", "👨‍👩‍👧‍👦"),
            ("🇨🇭", "🇨🇭"),
            ("1\u{fe0f}\u{20e3}", "1\u{fe0f}\u{20e3}"),
            ("1\u{20e3}", "1\u{fe0f}\u{20e3}"),
        ] {
            assert_eq!(normal(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_one_emoji_is_none() {
        let long = "👍".repeat(300);
        for text in ["", "a", "1", "ok", "👍👍", "👍a", "\u{fe0f}", "中", &long] {
            assert_eq!(normal(text), None, "{text}");
        }
    }
}
