//! The account that the operator's link makes.

use axum::http::StatusCode;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Client, Db, Input, Problem, Result, args, open_link};
use principal::{name_taken, valid_name};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::email::{normal_email, valid_email};
use crate::{passwords, users};

/// The admin to register.
#[derive(Deserialize, Validate, ToSchema)]
pub struct NewAdmin {
    /// The token of the link that the operator was given.
    #[garde(skip)]
    token: String,
    /// The admin's mail address.
    #[garde(custom(valid_email))]
    #[schema(example = "grace@example.org", max_length = 254)]
    email: String,
    /// The account's name: 3 to 40 characters out of a-z, 0-9 and `-`.
    #[garde(custom(valid_name))]
    #[schema(example = "grace", pattern = "^[a-z0-9-]{3,40}$")]
    name: String,
    /// The password: at least 12 characters, not a common one, and not derived from the name or the address.
    #[garde(skip)]
    #[schema(format = Password, min_length = 12)]
    password: String,
}

/// Registers a person who is an admin, with a link of `gather admin`. The link works once.
#[utoipa::path(
    post, path = "/api/users/register-admin", tag = "users", request_body = NewAdmin,
    responses(
        (status = 204, description = "The account was created. Sign in with it."),
        (status = 409, description = "`name-taken`"),
        (status = 410, description = "`link-expired`"),
        (status = 422, description = "`invalid-input`"),
    ),
    extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn register_admin(
    db: Db,
    client: Client,
    Input(new): Input<NewAdmin>,
) -> Result<StatusCode> {
    #[derive(Deserialize)]
    struct Row {
        account: Option<Uuid>,
    }
    let link = open_link(&new.token)
        .await?
        .ok_or_else(users::link_expired)?;
    let email = normal_email(&new.email);
    let password = users::checked(&new.password, &email, &new.name).await?;
    let row: Row = db
        .one(
            "select identity.register_admin($1, $2, $3, $4, $5, $6) as account",
            args![
                link,
                email,
                new.name,
                password,
                passwords::CURRENT_VERSION,
                json!(client)
            ],
        )
        .await
        .on_constraint("account_name_key", name_taken())
        .on_constraint("account_name_free", Problem::invalid("name", "is reserved"))?;
    match row.account {
        Some(_) => Ok(StatusCode::NO_CONTENT),
        None => Err(users::link_expired()),
    }
}
