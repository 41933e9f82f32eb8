//! People: registering, proving the mail address, reading, leaving.

use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Client, Created, Db, Input, Problem, Result, args, open_link};
use markdown::folded;
use principal::{name_taken, printable, valid_name};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::email::{normal_email, valid_email};
use crate::passwords;
use crate::second_factor::{self, Given};
use crate::sign_in::{self, Opened, second_factor_required};

/// A person, as that person sees it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// The account's id.
    pub id: Uuid,
    /// The account's name.
    #[schema(example = "grace")]
    pub name: String,
    /// The person's mail address.
    #[schema(example = "grace@example.org")]
    pub email: String,
    /// Whether the address is proved.
    pub email_verified: bool,
    /// Public, as the name is: `GET /api/profiles/{name}` shows both.
    pub description: String,
    /// Whether signing in with the password needs a code.
    pub second_factor: bool,
    /// The account's status: `active` or `suspended`.
    pub status: String,
    /// The account's roles, from the least to the most powerful.
    pub roles: Vec<String>,
    /// The time at which the person registered.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// A person to register.
#[derive(Deserialize, Validate, ToSchema)]
pub struct NewUser {
    /// The person's mail address.
    #[garde(custom(valid_email))]
    #[schema(example = "grace@example.org", max_length = 254)]
    pub email: String,
    /// The account's name: 3 to 40 characters out of a-z, 0-9 and `-`. Agents and people share one namespace.
    #[garde(custom(valid_name))]
    #[schema(example = "grace", pattern = "^[a-z0-9-]{3,40}$")]
    pub name: String,
    /// The password: at least 12 characters, not a common one, and not derived from the name or the address.
    #[garde(skip)]
    #[schema(format = Password, min_length = 12)]
    pub password: String,
}

/// The new person, without what the answer must not reveal.
#[derive(Debug, Serialize, ToSchema)]
pub struct Registered {
    /// The account's id.
    pub id: Uuid,
    /// The account's name.
    pub name: String,
    /// The person's mail address.
    pub email: String,
    /// Whether the address is proved. It is not until the link in the mail was opened.
    pub email_verified: bool,
    /// The time at which the person registered.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// The proof of a mail address.
#[derive(Deserialize, Validate, ToSchema)]
pub struct Proof {
    /// The token of the mailed link.
    #[garde(skip)]
    token: String,
    /// The account's password, because somebody else may have registered with the address of the reader of the mail.
    #[garde(skip)]
    #[schema(format = Password)]
    password: String,
}

/// A new account, as stored in the database.
#[derive(Deserialize)]
struct NewAccount {
    id: Uuid,
    name: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

/// Registers a person, and mails a link that proves the address.
///
/// No token is needed, and signing in works at once. The answer is the same if another account has proved the address;
/// its owner is told by mail. Several accounts may claim an address: the first that proves it has it.
#[utoipa::path(
    post, path = "/api/users/register", tag = "users", request_body = NewUser,
    params(("Idempotency-Key" = Option<String>, Header, description = "A key that makes a repeated request harmless.")),
    responses(
        (status = 201, body = Registered, headers(("Location" = String))),
        (status = 409, description = "`name-taken`, `idempotency-mismatch`"),
    ),
    extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn register(
    db: Db,
    client: Client,
    Input(new): Input<NewUser>,
) -> Result<Created<Registered>> {
    let email = normal_email(&new.email);
    let password = checked(&new.password, &email, &new.name).await?;
    let made: NewAccount = db
        .one(
            "select a.id, a.name, a.created_at
             from identity.register_person($1, $2, $3, $4, $5) a",
            args![
                &email,
                &new.name,
                password,
                passwords::CURRENT_VERSION,
                json!(client)
            ],
        )
        .await
        .on_constraint("account_name_key", name_taken())
        .on_constraint("account_name_free", Problem::invalid("name", "is reserved"))?;
    let registered = Registered {
        id: made.id,
        name: made.name,
        email,
        email_verified: false,
        created_at: made.created_at,
    };
    Ok(Created::at("/api/users/me", registered))
}

/// The hash of a new password, if it is strong enough.
pub async fn checked(password: &str, email: &str, name: &str) -> Result<[u8; 32]> {
    match passwords::weakness(password, email, name) {
        Some(why) => Err(Problem::invalid("password", why)),
        None => passwords::hash(email, password).await,
    }
}

/// Proves the mail address with the token of the link and the account's password.
#[utoipa::path(
    post, path = "/api/users/verify", tag = "users", request_body = Proof,
    responses(
        (status = 204, description = "The address is proved."),
        (status = 403, description = "`confirmation-refused`: the password is not the account's"),
        (status = 409, description = "`email-taken`: another account has proved the address in the meantime"),
        (status = 410, description = "`link-expired`"),
    ),
    extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn verify(db: Db, client: Client, Input(proof): Input<Proof>) -> Result<StatusCode> {
    verify_email(&db, &client, &proof.token, &proof.password).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Uses up a link that proves an address.
async fn verify_email(db: &Db, client: &Client, token: &str, password: &str) -> Result<()> {
    #[derive(Deserialize)]
    struct Row {
        verified: bool,
    }
    let (link, email) = opened_link(db, token, "verify").await?;
    sign_in::wait(db, &email, client).await?;
    let hash = passwords::hash(&email, password).await?;
    let row: Row = db
        .one(
            "select identity.verify_email($1, $2, $3) as verified",
            args![link, hash, json!(client)],
        )
        .await
        .on_constraint("person_email_verified", email_taken())?;
    if row.verified {
        return Ok(());
    }
    db.execute(
        "select identity.refuse_sign_in($1, $2, 'link')",
        args![email, json!(client)],
    )
    .await?;
    Err(confirmation_refused())
}

/// The problem 409: an address belongs to the account that proved it first.
pub fn email_taken() -> Problem {
    let detail =
        "Another account has proved this address. Sign in with that one, or reset its password.";
    Problem::conflict("email-taken", detail)
}

/// The account of a mailed link that is still valid, and the address that it was sent to.
pub async fn opened_link(db: &Db, token: &str, purpose: &str) -> Result<(Uuid, String)> {
    #[derive(Deserialize)]
    struct Row {
        email: Option<String>,
    }
    let link = open_link(token).await?.ok_or_else(link_expired)?;
    let row: Row = db
        .one(
            "select identity.link_email($1, $2) as email",
            args![link, purpose],
        )
        .await?;
    Ok((link, row.email.ok_or_else(link_expired)?))
}

/// The problem 410: the link is used up, too old, or was not made here.
pub fn link_expired() -> Problem {
    Problem::new(
        StatusCode::GONE,
        "link-expired",
        "This link was used, is too old, or is not complete. Ask for a new one.",
    )
}

/// Mails the link that proves the address again.
///
/// An account without a password gets a link to choose one, which proves the address too. The answer is the same if
/// another account has proved the address; its owner gets a mail that says so.
#[utoipa::path(
    post, path = "/api/users/me/verification", tag = "users",
    responses(
        (status = 202, description = "A mail is on its way, unless the address got the same mail within the last minute, or five of them within the last hour."),
        (status = 404, description = "`not-found`: the caller is not a person"),
        (status = 409, description = "`email-verified`: the address is already proved"),
    ),
    security(("token" = ["account:manage"])), extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn verify_again(db: Db, caller: Caller) -> Result<StatusCode> {
    #[derive(Deserialize)]
    struct Row {
        mailed: bool,
    }
    let row: Row = db
        .one(
            "select identity.verify_again($1) as mailed",
            args![caller.id],
        )
        .await
        .on_constraint(
            "email_verified",
            Problem::conflict("email-verified", "The address is proved already."),
        )?;
    if row.mailed {
        Ok(StatusCode::ACCEPTED)
    } else {
        Err(Problem::not_found("person"))
    }
}

/// Reads the calling person.
#[utoipa::path(
    get, path = "/api/users/me", tag = "users",
    responses((status = 200, body = User), (status = 404, description = "`not-found`: the caller is not a person")),
    security(("token" = []))
)]
pub async fn me(db: Db, caller: Caller) -> Result<Json<User>> {
    read(&db, caller.id).await.map(Json)
}

/// The changes to a person. Absent properties stay as they are.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct UserChange {
    /// What the person says about themselves, for anybody to read.
    #[garde(inner(length(chars, max = 1000), custom(printable)))]
    #[schema(max_length = 1000)]
    description: Option<String>,
}

/// Changes the calling person.
#[utoipa::path(
    patch, path = "/api/users/me", tag = "users", request_body = UserChange,
    responses((status = 200, body = User), (status = 404, description = "`not-found`: the caller is not a person")),
    security(("token" = ["account:manage"]))
)]
pub async fn change_me(
    db: Db,
    caller: Caller,
    Input(change): Input<UserChange>,
) -> Result<Json<User>> {
    let words = change.description.as_deref().map(folded);
    let user = db
        .optional(
            "with changed as (
                 update identity.person p set description = coalesce($2, p.description), words = coalesce($3, p.words)
                 where p.account_id = $1
                 returning p.account_id, p.email, p.description, p.verified_at, p.totp_confirmed_at
             )
             select a.id, a.name, c.email, c.description, c.verified_at is not null as email_verified,
                    c.totp_confirmed_at is not null as second_factor, a.status, a.roles, a.created_at
             from changed c join identity.account_view a on a.id = c.account_id",
            args![caller.id, change.description, words],
        )
        .await?;
    user.map(Json).ok_or_else(|| Problem::not_found("person"))
}

/// Reads a person by id.
pub async fn read(db: &Db, id: Uuid) -> Result<User> {
    let user = db
        .optional(
            "select a.id, a.name, p.email, p.description, p.verified_at is not null as email_verified,
                    p.totp_confirmed_at is not null as second_factor, a.status, a.roles, a.created_at
             from identity.account_view a join identity.person p on p.account_id = a.id
             where a.id = $1",
            args![id],
        )
        .await?;
    user.ok_or_else(|| Problem::not_found("person"))
}

/// The confirmation that a request comes from the person themselves.
#[derive(Deserialize, Validate, ToSchema)]
pub struct Confirmation {
    /// The person's password, if they have one.
    #[garde(skip)]
    #[schema(format = Password)]
    password: Option<String>,
    /// The code of the second factor, if the person has one: six digits, or a recovery code.
    #[garde(skip)]
    code: Option<String>,
}

/// Checks the password of the caller and the code of their second factor, as far as they have them. Agents, and people
/// who come from a provider, have neither.
pub async fn confirm(
    db: &Db,
    client: &Client,
    caller: &Caller,
    given: &Confirmation,
) -> Result<()> {
    #[derive(Deserialize)]
    struct Person {
        email: String,
    }
    let person: Option<Person> = db
        .optional(
            "select email from identity.person where account_id = $1 and password_version is not null",
            args![caller.id],
        )
        .await?;
    let Some(Person { email }) = person else {
        return Ok(());
    };
    let password = given.password.as_deref().unwrap_or_default();
    let (_, opened) = confirm_password(db, client, caller, &email, password).await?;
    match second_factor::given(db, client, &email, &opened, given.code.as_deref()).await? {
        Given::Enough => Ok(()),
        Given::Missing => Err(second_factor_required(StatusCode::FORBIDDEN)),
        Given::Wrong => Err(confirmation_refused()),
    }
}

/// Checks the password of somebody who is already signed in, and returns its hash and the account that it opened.
/// Failures count as they do for signing in.
pub async fn confirm_password(
    db: &Db,
    client: &Client,
    caller: &Caller,
    email: &str,
    password: &str,
) -> Result<([u8; 32], Opened)> {
    sign_in::wait(db, email, client).await?;
    let hash = passwords::hash(email, password).await?;
    let opened = sign_in::check_password(db, client, email, hash, Some(caller.id)).await?;
    Ok((hash, opened.ok_or_else(confirmation_refused)?))
}

/// The problem 403: the name or the password is not the caller's.
pub fn confirmation_refused() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "confirmation-refused",
        "The name or the password is not this account's.",
    )
}
