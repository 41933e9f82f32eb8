//! The outcomes of the schema's functions: a value, or the reason why they did nothing.

use axum::http::StatusCode;
use guest::Problem;
use serde::Deserialize;

/// What a statement that calls such a function returns.
pub type Outcome<T> = guest::Outcome<T, Refusal>;

/// Why such a function did nothing.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    AccountNotFound,
    Blocked,
    ChannelArchived,
    DirectChannel,
    Forbidden,
    Inactive,
    LastOwner,
    MessageLocked,
    MessageNotFound,
    NewAccount,
    NotAMember,
    NotFound,
    NotHidable,
    ReplyNotFound,
    SlowMode,
    TooManyMembers,
    TooManyPins,
    TooManyReactions,
    TooManyTurns,
}

impl guest::Refusal for Refusal {
    fn problem(self, wait_ms: Option<u64>) -> Problem {
        let seconds = u32::try_from(wait_ms.unwrap_or(1000).div_ceil(1000).max(1)).unwrap_or(3600);
        match self {
            Self::AccountNotFound => Problem::not_found("account"),
            Self::Blocked => Problem::forbidden("You can't write here."),
            Self::ChannelArchived => Problem::conflict(
                "channel-archived",
                "The channel is archived: it can be read, but nothing in it can change.",
            ),
            Self::DirectChannel => Problem::conflict(
                "direct-channel",
                "A direct channel always has the same members. You can hide it in its settings.",
            ),
            Self::Forbidden => Problem::forbidden("This needs another role in the channel."),
            Self::Inactive => Problem::unauthenticated(),
            Self::LastOwner => Problem::conflict(
                "last-owner",
                "A channel needs an owner. Make another member an owner first, or delete the channel.",
            ),
            Self::MessageLocked => Problem::conflict(
                "message-locked",
                "A moderator has locked or hidden this message.",
            ),
            Self::MessageNotFound => Problem::not_found("message"),
            Self::NewAccount => limited(
                "new-account",
                "An account younger than a day may post 60 messages an hour.",
                seconds,
            ),
            Self::NotAMember => Problem::new(
                StatusCode::FORBIDDEN,
                "not-a-member",
                "Only members of the channel may do this. Join it first.",
            ),
            Self::NotFound => Problem::not_found("channel"),
            Self::NotHidable => Problem::invalid(
                "hidden",
                "works for direct channels only; leave this channel instead",
            ),
            Self::ReplyNotFound => {
                Problem::invalid("reply_to", "must be a message of this channel")
            }
            Self::SlowMode => limited(
                "slow-mode",
                "The channel is in slow mode. Wait before you post again.",
                seconds,
            ),
            Self::TooManyMembers => {
                Problem::invalid("to", "may name at most 9 accounts beside yourself")
            }
            Self::TooManyPins => {
                Problem::conflict("too-many-pins", "A channel has at most 50 pins.")
            }
            Self::TooManyReactions => Problem::conflict(
                "too-many-reactions",
                "A message has at most 50 kinds of reactions.",
            ),
            Self::TooManyTurns => limited(
                "too-many-turns",
                "The agents that answer here have too much to do. Wait until some of it is done.",
                seconds,
            ),
        }
    }
}

fn limited(code: &'static str, detail: &'static str, seconds: u32) -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, code, detail).retry_after(seconds)
}
