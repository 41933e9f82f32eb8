//! The outcomes of the schema's functions: a value, or the reason why they did nothing.

use axum::http::StatusCode;
use guest::Problem;
use serde::Deserialize;

/// What a statement that calls such a function returns.
pub type Outcome<T> = guest::Outcome<T, Refusal>;

/// Why such a function did nothing; the channels' functions refuse messages for reasons of their own.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    AccountNotFound,
    AddresseeNotFound,
    Blocked,
    CircleDeleted,
    CircleNotFound,
    ConversationClosed,
    ConversationNotFound,
    Forbidden,
    LastOwner,
    MemberNotFound,
    ModeNeedsModerator,
    NewAccount,
    NextNotFound,
    NotAMember,
    NotFound,
    PartnerNotFound,
    PersonaNotFound,
    PersonaUnknown,
    ProposalDecided,
    ProposalNotFound,
    ReaderNotFound,
    ReplyNotFound,
    ScopesExceedOwner,
    SlowMode,
    SourceNotFound,
    SpeakerNotFound,
    StepNotEnded,
    TooManyMembers,
    TooManyPersonas,
    TooManySources,
    TooManyTurns,
    TurnFinished,
    TurnNotForkable,
    TurnNotFound,
    TurnNotWaiting,
    TurnRunning,
}

impl guest::Refusal for Refusal {
    fn problem(self, wait_ms: Option<u64>) -> Problem {
        let seconds = u32::try_from(wait_ms.unwrap_or(1000).div_ceil(1000).max(1)).unwrap_or(3600);
        match self {
            Self::AccountNotFound => {
                Problem::invalid("account", "must be an account that you can add")
            }
            Self::AddresseeNotFound => {
                Problem::invalid("to", "must name accounts that are in the conversation")
            }
            Self::Blocked => Problem::forbidden("You can't write here."),
            Self::CircleDeleted => Problem::conflict(
                "conversation-closed",
                "The circle of this conversation is deleted, so that it stays closed.",
            ),
            Self::CircleNotFound => Problem::not_found("circle"),
            Self::ConversationClosed => Problem::conflict(
                "conversation-closed",
                "The conversation is closed. Its maker can open it again.",
            ),
            Self::ConversationNotFound | Self::NotFound => Problem::not_found("conversation"),
            Self::Forbidden => Problem::forbidden("This is for others to decide."),
            Self::LastOwner => Problem::conflict(
                "last-owner",
                "A circle needs an owner. Make another member an owner first, or delete the circle.",
            ),
            Self::MemberNotFound => Problem::not_found("member"),
            Self::ModeNeedsModerator => Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "mode-needs-moderator",
                "Give a member of the circle the role `moderator` first.",
            ),
            Self::NewAccount => limited(
                "new-account",
                "An account younger than a day may post 60 messages an hour.",
                seconds,
            ),
            Self::NextNotFound => Problem::invalid(
                "next",
                "must be an agent of the circle that may speak next, where this speaker names it",
            ),
            Self::NotAMember => Problem::new(
                StatusCode::FORBIDDEN,
                "not-a-member",
                "Only members may do this who do not merely observe. Join first.",
            ),
            Self::PartnerNotFound => Problem::invalid(
                "with",
                "must name accounts that exist here and that you can speak to",
            ),
            Self::PersonaNotFound => Problem::not_found("persona"),
            Self::PersonaUnknown => {
                Problem::invalid("persona", "must be a persona that you may use")
            }
            Self::ProposalDecided => {
                Problem::conflict("proposal-decided", "The proposal is decided.")
            }
            Self::ProposalNotFound => Problem::not_found("proposal"),
            Self::ReaderNotFound => Problem::invalid(
                "visible_to",
                "must name accounts that are in the conversation",
            ),
            Self::ReplyNotFound => {
                Problem::invalid("reply_to", "must be a message of this conversation")
            }
            Self::ScopesExceedOwner => Problem::new(
                StatusCode::FORBIDDEN,
                "scopes-exceed-owner",
                "Agents that think with it have scopes that your token has not. Use a token that has them all.",
            ),
            Self::SlowMode => limited(
                "slow-mode",
                "The conversation is in slow mode. Wait before you post again.",
                seconds,
            ),
            Self::SourceNotFound => Problem::not_found("source"),
            Self::SpeakerNotFound => Problem::invalid(
                "speaker",
                "must be an agent in the conversation that you can speak to",
            ),
            Self::StepNotEnded => Problem::invalid(
                "after_step",
                "must be 0, or the number of a step of the turn that has ended, after others that have",
            ),
            Self::TooManyMembers => Problem::invalid(
                "account",
                "can't be added: a circle has at most 200 members",
            ),
            Self::TooManyPersonas => Problem::conflict(
                "too-many-personas",
                "An account has at most 1,000 personas.",
            ),
            Self::TooManySources => Problem::conflict(
                "too-many-sources",
                "An account has at most 100 sources of tools.",
            ),
            Self::TooManyTurns => limited(
                "too-many-turns",
                "The agents that answer here have too much to do. Wait until some of it is done.",
                seconds,
            ),
            Self::TurnFinished => Problem::conflict("turn-finished", "The turn has ended."),
            Self::TurnNotForkable => Problem::conflict(
                "turn-not-forkable",
                "The agent has a program of its own, or can't speak there any more.",
            ),
            Self::TurnNotFound => Problem::not_found("turn"),
            Self::TurnNotWaiting => Problem::conflict(
                "turn-not-waiting",
                "The turn does not wait for its speaker.",
            ),
            Self::TurnRunning => {
                Problem::conflict("turn-running", "A turn of this conversation has not ended.")
            }
        }
    }
}

fn limited(code: &'static str, detail: &'static str, seconds: u32) -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, code, detail).retry_after(seconds)
}
