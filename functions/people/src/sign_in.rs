//! People sign in: a password, a code where there is a second factor, then tokens and the session cookie.

use axum::Json;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use cookie::{Cookie, SameSite};
use garde::Validate;
use guest::{Client, Db, Input, Problem, Result, SESSION_COOKIE, args, csrf_token};
use principal::{Granted, Secret, Tokens, grant, printable, signing_key};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::Duration;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::email::normal_email;
use crate::second_factor::Given;
use crate::{passwords, second_factor};

/// As long as a session lasts without being refreshed.
const COOKIE_SECONDS: i64 = 30 * 24 * 60 * 60;

/// Who signs in.
#[derive(Deserialize, Validate, ToSchema)]
pub struct Credentials {
    #[garde(length(bytes, max = 254), custom(printable))]
    #[schema(example = "grace@example.org", max_length = 254)]
    email: String,
    #[garde(skip)]
    #[schema(format = Password)]
    password: String,
    /// Of the second factor, where there is one: six digits, or a recovery code.
    #[garde(skip)]
    code: Option<String>,
}

/// A new session: tokens for programs, and for browsers a cookie beside this body.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignedIn {
    #[serde(flatten)]
    tokens: Tokens,
    /// With the cookie, a change needs this as `X-CSRF-Token`.
    csrf_token: String,
}

/// What a password opened.
#[derive(Deserialize)]
pub struct Opened {
    pub account: Uuid,
    /// The sealed secret of the second factor.
    pub totp: Option<String>,
}

/// Signs a person in.
///
/// 401 `authentication-failed` is the same whatever was wrong; `second-factor-required` comes after the right password
/// of an account that has one. After a few failures each further one costs a growing delay: 429 `too-many-attempts`.
#[utoipa::path(
    post, path = "/api/sessions", tag = "sessions", request_body = Credentials,
    responses(
        (status = 200, body = SignedIn, headers(("Set-Cookie" = String))),
        (status = 401, description = "`authentication-failed`, `second-factor-required`"),
        (status = 429, description = "`too-many-attempts`, `rate-limited`"),
    ),
    extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn sign_in(db: Db, client: Client, Input(given): Input<Credentials>) -> Result<Response> {
    let email = normal_email(&given.email);
    wait(&db, &email, &client).await?;
    let hash = passwords::hash(&email, &given.password).await?;
    let opened = check_password(&db, &client, &email, hash, None).await?;
    let opened = opened.ok_or_else(failed)?;
    match second_factor::given(&db, &client, &email, &opened, given.code.as_deref()).await? {
        Given::Enough => {}
        Given::Missing => return Err(second_factor_required(StatusCode::UNAUTHORIZED)),
        Given::Wrong => return Err(failed()),
    }
    db.execute(
        "select identity.forgive($1, $2, $3, false)",
        args![opened.account, &email, &client.address],
    )
    .await?;
    open(&db, opened.account, "password", Some(hash), client).await
}

/// Opens a session of an account in a browser or a program, unless the account or its password has changed since it was
/// checked.
pub async fn open(
    db: &Db,
    account: Uuid,
    method: &str,
    password: Option<[u8; 32]>,
    client: Client,
) -> Result<Response> {
    let session = NewSession::of(client);
    let granted: Option<Granted> = db
        .optional(
            "select g.* from identity.open_session($1, $2, $3, $4, $5, $6) g",
            args![
                account,
                method,
                password,
                session.refresh.hash(),
                json!(session.client),
                signing_key::remembered_kid()
            ],
        )
        .await?;
    session.answer(db, granted.ok_or_else(failed)?).await
}

/// The secrets of a session that is about to be opened.
pub struct NewSession {
    /// Its first refresh token.
    pub refresh: Secret,
    /// Whose it will be, with the cookie's hash.
    pub client: Client,
    cookie: Secret,
}

impl NewSession {
    pub fn of(client: Client) -> Self {
        let cookie = Secret::new("gs_");
        Self {
            refresh: Secret::refresh(),
            client: client.with_cookie(cookie.text()),
            cookie,
        }
    }

    /// Tells the secrets, once the session is open.
    pub async fn answer(self, db: &Db, granted: Granted) -> Result<Response> {
        let cookie = self.cookie.text();
        let signed_in = SignedIn {
            tokens: grant(db, granted, self.refresh).await?,
            csrf_token: csrf_token(cookie),
        };
        let mut response = Json(signed_in).into_response();
        set_cookie(&mut response, SESSION_COOKIE, cookie, COOKIE_SECONDS)?;
        Ok(response)
    }
}

/// Takes the session cookie away.
pub fn clear_cookie(response: &mut Response) -> Result<()> {
    set_cookie(response, SESSION_COOKIE, "", 0)
}

/// A cookie that scripts can't read, for so many seconds.
pub fn set_cookie(response: &mut Response, name: &str, value: &str, seconds: i64) -> Result<()> {
    let cookie = Cookie::build((name, value))
        .path("/")
        .max_age(Duration::seconds(seconds))
        .http_only(true)
        .secure(true)
        .same_site(SameSite::Lax)
        .build();
    let cookie = HeaderValue::try_from(cookie.to_string()).map_err(Problem::internal)?;
    response.headers_mut().append(SET_COOKIE, cookie);
    Ok(())
}

/// 429 while the passwords of this address are not looked at.
pub async fn wait(db: &Db, email: &str, client: &Client) -> Result<()> {
    #[derive(Deserialize)]
    struct Row {
        seconds: u32,
    }
    let row: Row = db
        .one(
            "select identity.sign_in_delay($1, $2) as seconds",
            args![email, &client.address],
        )
        .await?;
    if row.seconds == 0 {
        return Ok(());
    }
    let detail = format!(
        "Too many failures. Try again in {} s, or reset the password.",
        row.seconds
    );
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-attempts", detail);
    Err(problem.retry_after(row.seconds))
}

/// Whose address and password this is, or whether it is this account's. The hash comes before anything is looked up, so
/// that the time tells nothing.
pub async fn check_password(
    db: &Db,
    client: &Client,
    email: &str,
    hash: [u8; 32],
    only: Option<Uuid>,
) -> Result<Option<Opened>> {
    let opened = db.optional(
        "select o.account, o.totp from identity.check_password($1, $2, $3, $4) o",
        args![email, hash, only, json!(client)],
    );
    Ok(opened.await?)
}

fn failed() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "authentication-failed",
        "The address, the password or the code was not accepted.",
    )
}

/// The password was right, and is not enough.
pub fn second_factor_required(status: StatusCode) -> Problem {
    Problem::new(
        status,
        "second-factor-required",
        "Send the `code` of the second factor too.",
    )
}
