//! Changing passwords, and replacing forgotten ones.

use axum::http::StatusCode;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Client, Db, Input, Problem, Result, args};
use principal::printable;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::email::{normal_email, valid_email};
use crate::{passwords, users};

/// A new password, with the current one.
#[derive(Deserialize, Validate, ToSchema)]
pub struct PasswordChange {
    /// The current password.
    #[garde(skip)]
    #[schema(format = Password)]
    current_password: String,
    /// The new password: at least 12 characters, not a common one, and not derived from the name or the address.
    #[garde(skip)]
    #[schema(format = Password, min_length = 12)]
    password: String,
}

/// The mail address of a person who forgot their password.
#[derive(Deserialize, Validate, ToSchema)]
pub struct Forgotten {
    /// The person's mail address.
    #[garde(custom(valid_email))]
    #[schema(example = "grace@example.org")]
    email: String,
}

/// A new password, with the token of the mailed link.
#[derive(Deserialize, Validate, ToSchema)]
pub struct Reset {
    /// The token of the mailed link.
    #[garde(skip)]
    token: String,
    /// The account's name, needed if several accounts claim the address and none has proved it.
    #[garde(inner(length(bytes, max = 60), custom(printable)))]
    #[schema(example = "grace")]
    name: Option<String>,
    /// The new password: at least 12 characters, not a common one, and not derived from the address.
    #[garde(skip)]
    #[schema(format = Password, min_length = 12)]
    password: String,
}

/// Changes the calling person's password, and ends all their other sessions.
#[utoipa::path(
    put, path = "/api/users/me/password", tag = "users", request_body = PasswordChange,
    responses(
        (status = 204, description = "The password was changed."),
        (status = 403, description = "`confirmation-refused`: the current password is wrong"),
        (status = 404, description = "`not-found`: the caller is not a person"),
        (status = 429, description = "`too-many-attempts`, `rate-limited`"),
    ),
    security(("token" = ["account:manage"])), extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn change(
    db: Db,
    caller: Caller,
    client: Client,
    Input(given): Input<PasswordChange>,
) -> Result<StatusCode> {
    let user = users::read(&db, caller.id).await?;
    let old = &given.current_password;
    let (old, _) = users::confirm_password(&db, &client, &caller, &user.email, old).await?;
    let hash = users::checked(&given.password, &user.email, &user.name).await?;
    let proof = Proof::Password {
        caller: &caller,
        old,
    };
    set(&db, proof, hash, &client).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Mails a link that sets a new password. It works once, within 30 minutes.
///
/// The answer is the same whether the address is known or not. The mail goes to the address, whoever asks. If several
/// accounts claim the address and none has proved it, the link works for each of them.
#[utoipa::path(
    post, path = "/api/users/password/forgot", tag = "users", request_body = Forgotten,
    responses((status = 202, description = "If an active account has this address, a mail is on its way, unless the address got one within the last minute, or five within the last hour.")),
    extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn forgot(
    db: Db,
    client: Client,
    Input(forgotten): Input<Forgotten>,
) -> Result<StatusCode> {
    db.execute(
        "select identity.forget_password($1, $2)",
        args![normal_email(&forgotten.email), json!(client)],
    )
    .await?;
    Ok(StatusCode::ACCEPTED)
}

/// Sets a new password with a mailed link, which proves the address too. All sessions end.
#[utoipa::path(
    post, path = "/api/users/password/reset", tag = "users", request_body = Reset,
    responses(
        (status = 204, description = "The password was set."),
        (status = 409, description = "`email-taken`: another account has just proved the address"),
        (status = 410, description = "`link-expired`"),
        (status = 422, description = "`invalid-input`: the password is too weak, or several accounts claim the address and `name` must name one"),
    ),
    extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn reset(db: Db, client: Client, Input(given): Input<Reset>) -> Result<StatusCode> {
    let (link, email) = users::opened_link(&db, &given.token, "reset").await?;
    let account = claimant(&db, &email, given.name).await?;
    let hash = users::checked(&given.password, &email, "").await?;
    set(&db, Proof::Link { link, account }, hash, &client).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The account that an address stands for: the named one, or the only one.
async fn claimant(db: &Db, email: &str, name: Option<String>) -> Result<Uuid> {
    #[derive(Deserialize)]
    struct Row {
        id: Uuid,
        name: String,
    }
    // People whose account is among many that strangers made can name it all the same.
    let claims: Vec<Row> = db
        .many(
            "select a.id, a.name from identity.claims_of($1) as c (id) join identity.account a on a.id = c.id
             where $2::text is null or a.name = $2 order by a.id limit 20",
            args![email, &name],
        )
        .await?;
    match (claims.as_slice(), name) {
        ([claim], _) => Ok(claim.id),
        ([], None) => Err(users::link_expired()),
        ([], Some(_)) => Err(Problem::invalid(
            "name",
            "is not an account that has or claims this address",
        )),
        (several, _) => {
            let names: Vec<&str> = several.iter().map(|claim| claim.name.as_str()).collect();
            let names = names.join(", ");
            let detail = format!("must say which of the accounts that claim this address: {names}");
            Err(Problem::invalid("name", detail))
        }
    }
}

/// The proof that allows setting a password.
enum Proof<'a> {
    /// The current password, which was just checked. This session stays.
    Password { caller: &'a Caller, old: [u8; 32] },
    /// A mailed link, to an account that its address stands for.
    Link { link: Uuid, account: Uuid },
}

async fn set(db: &Db, proof: Proof<'_>, hash: [u8; 32], client: &Client) -> Result<()> {
    #[derive(Deserialize)]
    struct Row {
        done: bool,
    }
    let (link, account, old, session) = match proof {
        Proof::Link { link, account } => (Some(link), account, None, None),
        Proof::Password { caller, old } => (None, caller.id, Some(old), Some(caller.session)),
    };
    let row: Row = db
        .one(
            "select identity.set_password($1, $2, $3, $4, $5, $6, $7) as done",
            args![
                account,
                link,
                old,
                hash,
                passwords::CURRENT_VERSION,
                session,
                json!(client)
            ],
        )
        .await
        .on_constraint("person_email_verified", users::email_taken())?;
    match (row.done, link) {
        (true, _) => Ok(()),
        (false, Some(_)) => Err(users::link_expired()),
        (false, None) => Err(users::confirmation_refused()),
    }
}
