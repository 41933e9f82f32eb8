//! Changed and forgotten passwords.

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

/// The old password and a new one.
#[derive(Deserialize, Validate, ToSchema)]
pub struct PasswordChange {
    #[garde(skip)]
    #[schema(format = Password)]
    current_password: String,
    /// At least 12 characters; not a common one, nor made of the name or the address.
    #[garde(skip)]
    #[schema(format = Password, min_length = 12)]
    password: String,
}

/// Whose password was forgotten.
#[derive(Deserialize, Validate, ToSchema)]
pub struct Forgotten {
    #[garde(custom(valid_email))]
    #[schema(example = "grace@example.org")]
    email: String,
}

/// A new password, by the token of the mailed link.
#[derive(Deserialize, Validate, ToSchema)]
pub struct Reset {
    /// Of the mailed link.
    #[garde(skip)]
    pub token: String,
    /// Which account, where several claim the address and none has proved it.
    #[garde(inner(length(bytes, max = 60), custom(printable)))]
    #[schema(example = "grace")]
    pub name: Option<String>,
    /// At least 12 characters; not a common one, nor made of the address.
    #[garde(skip)]
    #[schema(format = Password, min_length = 12)]
    pub password: String,
}

/// Changes the calling person's password, and ends all their other sessions.
#[utoipa::path(
    put, path = "/api/users/me/password", tag = "users", request_body = PasswordChange,
    responses(
        (status = 204, description = "Changed"),
        (status = 403, description = "`confirmation-refused`: not the current password"),
        (status = 404, description = "The caller is no person"),
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

/// Mails a link that sets a new password: it works once, for 30 minutes.
///
/// The answer is the same whether the address is known or not. The mail goes to the address, whoever asks: where several
/// accounts claim it and none has proved it, the link works for each of them.
#[utoipa::path(
    post, path = "/api/users/password/forgot", tag = "users", request_body = Forgotten,
    responses((status = 202, description = "If an active account has this address, a mail is on its way, unless the address got one within the last minute, or five within the last hour")),
    extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn forgot(
    db: Db,
    client: Client,
    Input(forgotten): Input<Forgotten>,
) -> Result<StatusCode> {
    mail_reset(&db, &client, &forgotten.email).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Has the link mailed, if somebody has the address.
pub async fn mail_reset(db: &Db, client: &Client, email: &str) -> Result<()> {
    db.execute(
        "select identity.forget_password($1, $2)",
        args![normal_email(email), json!(client)],
    )
    .await?;
    Ok(())
}

/// Sets a new password by a mailed link, which proves the address too. All sessions end.
#[utoipa::path(
    post, path = "/api/users/password/reset", tag = "users", request_body = Reset,
    responses(
        (status = 204, description = "Set"),
        (status = 409, description = "`email-taken`: another account has proved the address at this moment"),
        (status = 410, description = "`link-expired`"),
        (status = 422, description = "`invalid-input`: the password won't do, or several accounts claim the address and `name` must say which"),
    ),
    extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn reset(db: Db, client: Client, Input(given): Input<Reset>) -> Result<StatusCode> {
    reset_password(&db, &client, given).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Uses up a link that sets a password.
pub async fn reset_password(db: &Db, client: &Client, given: Reset) -> Result<()> {
    let (link, email) = users::opened_link(db, &given.token, "reset").await?;
    let account = claimant(db, &email, given.name).await?;
    let hash = users::checked(&given.password, &email, "").await?;
    set(db, Proof::Link { link, account }, hash, client).await
}

/// The account that an address stands for: the one that is named, or the only one.
async fn claimant(db: &Db, email: &str, name: Option<String>) -> Result<Uuid> {
    #[derive(Deserialize)]
    struct Row {
        id: Uuid,
        name: String,
    }
    // Who lost theirs among many that strangers made can name it all the same.
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

/// What lets a password be set.
enum Proof<'a> {
    /// The one of now, which was checked a moment ago. This session stays.
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
