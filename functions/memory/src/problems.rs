//! The problem codes of this function, and the refusals of its schema's functions.

use axum::http::StatusCode;
use guest::db::{Error, OnConstraint};
use guest::{Problem, Result};

guest::problems! {
    "contains-secret" => "The text holds something of the form of a credential: a key, a token or a password. Memories are shown to models; store it as a secret (`/api/vault/secrets`) and note its name.",
    "forgotten" => "The memory was forgotten. Nothing is left of it but its id.",
    "memory-exists" => "Another active memory of this scope has the same text, or the same key. Change or forget that one.",
    "memory-superseded" => "The memory was superseded by a newer one, which `superseded_by` names. Change that one.",
    "too-many-blocks" => "A scope can have at most 20 blocks. Delete one first.",
}

/// The refusals of the schema's functions, as problems.
pub trait Refused<T> {
    /// Turns refusals that any operation can meet into problems.
    fn refused(self) -> Result<T, Error>;
}

impl<T> Refused<T> for Result<T, Error> {
    fn refused(self) -> Result<T, Error> {
        self.on_constraint("account_active", Problem::unauthenticated())
            .on_constraint("memory_scope", Problem::not_found("scope"))
            .on_constraint("memory_unknown", Problem::not_found("memory"))
            .on_constraint("block_unknown", Problem::not_found("block"))
            .on_constraint(
                "memory_foreign",
                Problem::forbidden("You may only read in this scope, or what others wrote there."),
            )
            .on_constraint("memory_forgotten", forgotten())
            .on_constraint("memory_version", version_mismatch("memory"))
            .on_constraint("block_version", version_mismatch("block"))
            .on_constraint(
                "memory_superseded",
                Problem::conflict(
                    "memory-superseded",
                    "The memory was superseded. Change the one that `superseded_by` names.",
                ),
            )
            .on_constraint(
                "memory_source",
                Problem::invalid(
                    "sources",
                    "must name sources that exist and that you may read",
                ),
            )
            .on_constraint(
                "memory_trust",
                Problem::invalid("trust", "can only be lowered"),
            )
            .on_constraint(
                "memory_key_trust",
                Problem::invalid(
                    "key",
                    "names a memory that is trusted more, which this can't supersede",
                ),
            )
            .on_constraint(
                "version_stranger",
                Problem::invalid(
                    "kind",
                    "can't be `procedure` for what a stranger's text taught",
                ),
            )
            .on_constraint("memory_text", exists())
            .on_constraint("memory_key", exists())
            .on_constraint(
                "memory_author",
                Problem::invalid("author", "must be an account"),
            )
            .on_constraint(
                "block_read_only",
                Problem::forbidden(
                    "Only those who manage the scope may change this block, or make it read-only.",
                ),
            )
            .on_constraint(
                "block_count",
                Problem::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "too-many-blocks",
                    "The scope has 20 blocks already. Delete one first.",
                ),
            )
            .on_constraint(
                "block_content_size",
                Problem::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "body-too-large",
                    "The content is longer than the block's `limit_bytes`.",
                ),
            )
    }
}

fn exists() -> Problem {
    Problem::conflict(
        "memory-exists",
        "Another memory of this scope has this text or this key.",
    )
}

/// The problem 410: the memory was forgotten.
fn forgotten() -> Problem {
    Problem::new(StatusCode::GONE, "forgotten", "The memory was forgotten.")
}

/// The problem 412: something has changed since the version that the request names.
fn version_mismatch(what: &str) -> Problem {
    Problem::new(
        StatusCode::PRECONDITION_FAILED,
        "version-mismatch",
        format!("The {what} has changed: its version is not the one that the request expects."),
    )
}
