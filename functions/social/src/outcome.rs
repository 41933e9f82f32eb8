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
    CommentLocked,
    CommentNotFound,
    Forbidden,
    Inactive,
    NewAccount,
    OwnAccount,
    OwnModeration,
    ParentNotFound,
    PostLocked,
    PostNotFound,
    ReportNotFound,
    ReportResolved,
    TargetNotFound,
    TooDeep,
    TooManyPins,
    VersionConflict,
}

impl guest::Refusal for Refusal {
    fn problem(self, wait_ms: Option<u64>) -> Problem {
        match self {
            Self::AccountNotFound => Problem::not_found("account"),
            Self::CommentLocked => Problem::conflict(
                "comment-locked",
                "A moderator has locked or hidden this comment.",
            ),
            Self::CommentNotFound => Problem::not_found("comment"),
            Self::Forbidden => Problem::forbidden("Only its author may do this."),
            Self::Inactive => Problem::unauthenticated(),
            Self::NewAccount => {
                let seconds = wait_ms.unwrap_or(1000).div_ceil(1000).max(1);
                Problem::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "new-account",
                    "An account younger than a day may write 5 posts an hour.",
                )
                .retry_after(u32::try_from(seconds).unwrap_or(3600))
            }
            Self::OwnAccount => Problem::invalid("account", "must be another one than yours"),
            Self::OwnModeration => {
                Problem::forbidden("Nobody decides about what was hidden or locked of their own.")
            }
            Self::ParentNotFound => Problem::invalid("parent_id", "must be a comment on this post"),
            Self::PostLocked => {
                Problem::conflict("post-locked", "A moderator has locked or hidden this post.")
            }
            Self::PostNotFound => Problem::not_found("post"),
            Self::ReportNotFound => Problem::not_found("report"),
            Self::ReportResolved => {
                Problem::conflict("report-resolved", "Somebody has resolved this report.")
            }
            Self::TargetNotFound => Problem::invalid("target", "names nothing that you can see"),
            Self::TooDeep => Problem::conflict(
                "thread-too-deep",
                "Answers nest 500 deep at most. Answer a comment further up.",
            ),
            Self::TooManyPins => Problem::conflict("too-many-pins", "At most 50 posts are pinned."),
            Self::VersionConflict => Problem::conflict(
                "version-conflict",
                "It has another version by now. Read it again, and decide again.",
            ),
        }
    }
}
