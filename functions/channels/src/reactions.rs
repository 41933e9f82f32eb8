//! Reactions: one of a kind and account.

use axum::Json;
use guest::{Caller, Db, Path, Problem, Result, args};
use uuid::Uuid;

use crate::messages::Message;
use crate::outcome::Outcome;

/// Reacts to a message. However the emoji is encoded, the same glyph is the same reaction.
#[utoipa::path(
    put, path = "/api/channels/{channel}/messages/{message}/reactions/{emoji}", tag = "channels",
    operation_id = "add_reaction",
    params(
        ("channel" = String, Path, description = "Id or name"),
        ("message" = Uuid, Path),
        ("emoji" = String, Path, description = "One emoji, percent-encoded"),
    ),
    responses(
        (status = 200, body = Message),
        (status = 403, description = "`not-a-member`"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`too-many-reactions`, `message-locked`, `channel-archived`"),
        (status = 422, description = "`invalid-input`: not one emoji"),
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

/// Takes a reaction back.
#[utoipa::path(
    delete, path = "/api/channels/{channel}/messages/{message}/reactions/{emoji}", tag = "channels",
    operation_id = "remove_reaction",
    params(
        ("channel" = String, Path, description = "Id or name"),
        ("message" = Uuid, Path),
        ("emoji" = String, Path, description = "One emoji, percent-encoded"),
    ),
    responses(
        (status = 200, body = Message, description = "The reaction is not there (any more)"),
        (status = 403, description = "`not-a-member`"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`message-locked`, `channel-archived`"),
        (status = 422, description = "`invalid-input`: not one emoji"),
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
    let emoji =
        normal(emoji).ok_or_else(|| Problem::invalid("emoji", "must be one emoji, and no text"))?;
    let reacted: Outcome<Message> = db
        .one(
            "select react($1, $2, $3, $4, $5) as outcome",
            args![caller.id, channel, message, emoji, adds],
        )
        .await?;
    reacted.value().map(Json)
}

/// The emoji that a text is, as Unicode recommends to write it: variation selectors may be missing or needless.
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
