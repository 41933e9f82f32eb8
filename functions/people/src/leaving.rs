//! Leaving: an account of an agent or a person is deleted.

use axum::http::StatusCode;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Client, Db, Input, Result, args};
use principal::last_admin;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::users::{Confirmation, confirm, confirmation_refused};

/// Who leaves says so.
#[derive(Deserialize, Validate, ToSchema)]
pub struct Leaving {
    /// The account's own name, so that nobody leaves by mistake.
    #[garde(skip)]
    name: String,
    #[serde(flatten)]
    #[garde(skip)]
    confirmation: Confirmation,
}

/// Deletes the calling account.
///
/// What is personal goes, and every session and key ends. What others rely on, such as published skills, stays
/// under a name that tells nothing. It can't be undone.
#[utoipa::path(
    post, path = "/api/accounts/me/delete", tag = "accounts", request_body = Leaving,
    responses(
        (status = 204, description = "Deleted"),
        (status = 403, description = "`confirmation-refused`: not the account's name, or not its password; `second-factor-required`"),
        (status = 409, description = "`last-admin`"),
    ),
    security(("token" = ["account:manage"])), extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn leave(
    db: Db,
    caller: Caller,
    client: Client,
    Input(leaving): Input<Leaving>,
) -> Result<StatusCode> {
    #[derive(Deserialize)]
    struct Name {
        name: String,
    }
    let account: Name = db
        .one(
            "select name from identity.account where id = $1",
            args![caller.id],
        )
        .await?;
    if account.name != leaving.name {
        return Err(confirmation_refused());
    }
    confirm(&db, &client, &caller, &leaving.confirmation).await?;
    db.execute(
        "select identity.leave($1, $2)",
        args![caller.id, json!(client)],
    )
    .await
    .on_constraint("last_admin", last_admin())?;
    Ok(StatusCode::NO_CONTENT)
}
