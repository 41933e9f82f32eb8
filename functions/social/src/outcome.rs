//! What the schema's functions answer: a value, or why they did nothing.

use axum::http::StatusCode;
use guest::{Problem, Result};
use serde::Deserialize;

/// The one column of a statement that calls such a function.
#[derive(Debug, Deserialize)]
pub struct Outcome<T> {
    outcome: Answer<T>,
}

#[derive(Debug, Deserialize)]
struct Answer<T> {
    ok: Option<T>,
    refused: Option<Refusal>,
    wait_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Refusal {
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

impl<T> Outcome<T> {
    /// The value, or the problem that the refusal is to the client.
    pub fn value(self) -> Result<T> {
        match self.done()? {
            Some(value) => Ok(value),
            None => Err(Problem::internal(
                "a function answered neither a value nor a refusal",
            )),
        }
    }

    /// As [`Outcome::value`], where there may be nothing to tell.
    pub fn done(self) -> Result<Option<T>> {
        let Answer {
            ok,
            refused,
            wait_ms,
        } = self.outcome;
        match refused {
            Some(refusal) => Err(refusal.problem(wait_ms)),
            None => Ok(ok),
        }
    }
}

impl Refusal {
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
            Self::ParentNotFound => Problem::invalid("parent_id", "is no comment of this post"),
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
