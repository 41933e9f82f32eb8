//! The problem codes of this function, and the refusals of its schema's functions.

use axum::http::StatusCode;
use guest::db::{Error, OnConstraint};
use guest::{Problem, Result};

guest::problems! {
    "fetch-failed" => "The host did not answer as it should, or its answer could not be cleared of the secret. `detail` says which.",
    "fetch-timeout" => "The host took too long to connect or to answer. Ask for less at once, or try again later.",
    "secret-expired" => "The secret, or the version of it that was asked for, has expired. Nothing revives it; make a new secret.",
    "secret-not-granted" => "You know the secret, but may not use it. Ask its owner for a grant.",
    "vault-full" => "An owner can have at most 500 secrets, and a secret at most 1,000 grants. Delete one first.",
}

/// What the schema's functions refuse, as problems.
pub trait Refused<T> {
    /// Turns refusals that any operation on a secret can meet into problems.
    fn refused(self) -> Result<T, Error>;
}

impl<T> Refused<T> for Result<T, Error> {
    fn refused(self) -> Result<T, Error> {
        self.on_constraint("account_active", Problem::unauthenticated())
            .on_constraint("secret_unknown", Problem::not_found("secret"))
            .on_constraint(
                "secret_foreign",
                Problem::forbidden(
                    "Only the owner of a secret, or an owner of its team, may do this.",
                ),
            )
            .on_constraint("secret_version", version_mismatch())
            .on_constraint(
                "secret_expired",
                Problem::new(
                    StatusCode::GONE,
                    "secret-expired",
                    "The secret has expired. Make a new one.",
                ),
            )
    }
}

/// The problem 412: the secret has changed since the version that the request names.
pub fn version_mismatch() -> Problem {
    Problem::new(
        StatusCode::PRECONDITION_FAILED,
        "version-mismatch",
        "The secret has changed: its version is not the one that `If-Match` names.",
    )
}
