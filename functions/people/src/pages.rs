//! The pages that mailed and printed links lead to: plain forms, without any script.

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Client, Db, Problem, Query, Result, args, html, open_link};
use principal::{name_taken, valid_name};
use serde::Deserialize;
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::email::{normal_email, valid_email};
use crate::{passwords, recovery, users};

/// The token of a link.
#[derive(Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Link {
    /// As the mail has it.
    #[garde(skip)]
    #[serde(default)]
    token: String,
}

fn page(status: StatusCode, title: &str, main: &str) -> Response {
    let main = format!("<h1>{}</h1>\n{main}", html::escape(title));
    html::form_answer(status, html::document(&format!("{title} · Gather"), &main))
}

/// A form that is sent to where it stands. `fields` is HTML.
fn form(token: &str, fields: &str, button: &str) -> String {
    let token = html::escape(token);
    format!(
        "<form method=\"post\"><input type=\"hidden\" name=\"token\" value=\"{token}\">\n{fields}\n\
         <p><button>{button}</button></p></form>"
    )
}

const EMAIL: &str = "<p><label>Mail address<br><input name=\"email\" type=\"email\" autocomplete=\"email\" required></label></p>";
const NAME: &str = "<p><label>Name (a-z, 0-9 and -)<br><input name=\"name\" autocomplete=\"username\" required pattern=\"[a-z0-9\\-]{3,40}\"></label></p>";
const CURRENT_PASSWORD: &str = "<p><label>Password<br><input name=\"password\" type=\"password\" autocomplete=\"current-password\" required></label></p>";
const PASSWORD: &str = "<p><label>New password (at least 12 characters)<br><input name=\"password\" type=\"password\" autocomplete=\"new-password\" required minlength=\"12\"></label></p>";

/// A problem as a page.
pub fn problem_page(problem: &Problem) -> Response {
    problem_with(problem, "")
}

/// A problem as a page, with what to do about it, which is HTML.
fn problem_with(problem: &Problem, next: &str) -> Response {
    let mut text = String::new();
    if problem.errors().is_empty() {
        text += &html::prose(problem.detail());
    }
    for error in problem.errors() {
        let field = error.field.replace('_', " ");
        text += &html::prose(&format!("The {field} {}.", error.detail));
    }
    page(problem.status(), "That did not work", &(text + next))
}

/// A problem of a form, with the form again unless its link is used up.
fn again(problem: &Problem, form: &str) -> Response {
    let expired = "<p>Ask for <a href=\"/account/forgot\">a link for a new password</a>, which proves the address too.</p>";
    let is_over = problem.status() == StatusCode::GONE;
    problem_with(problem, if is_over { expired } else { form })
}

/// What a form sends.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = PageForm)]
#[serde(default)]
struct Sent {
    token: String,
    email: String,
    name: String,
    password: String,
}

fn sent(body: &Bytes) -> Sent {
    serde_urlencoded::from_bytes(body).unwrap_or_default()
}

/// Asks whether the address shall be proved.
#[utoipa::path(
    get, path = "/account/verify", tag = "pages", params(Link),
    responses((status = 200, body = String, content_type = "text/html"))
)]
pub async fn verify(Query(link): Query<Link>) -> Response {
    let main = "<p>Confirm that this mail address is yours, with the password of the account that the mail names. \
                If you did not make that account, close this page.</p>"
        .to_owned()
        + &form(&link.token, CURRENT_PASSWORD, "Confirm");
    page(StatusCode::OK, "Your mail address", &main)
}

/// Proves the address.
#[utoipa::path(
    post, path = "/account/verify", tag = "pages",
    request_body(content = Sent, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, body = String, content_type = "text/html"),
        (status = 403, body = String, content_type = "text/html", description = "Not the account's password"),
        (status = 409, body = String, content_type = "text/html", description = "Another account has proved it"),
        (status = 410, body = String, content_type = "text/html", description = "Used, or too old"),
    ),
    extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn verified(db: Db, client: Client, body: Bytes) -> Response {
    let sent = sent(&body);
    match users::verify_email(&db, &client, &sent.token, &sent.password).await {
        Ok(()) => page(
            StatusCode::OK,
            "Thank you",
            "<p>The mail address is confirmed.</p>",
        ),
        Err(problem) => again(&problem, &form(&sent.token, CURRENT_PASSWORD, "Confirm")),
    }
}

/// Asks for the new password.
#[utoipa::path(
    get, path = "/account/reset", tag = "pages", params(Link),
    responses((status = 200, body = String, content_type = "text/html"))
)]
pub async fn reset(Query(link): Query<Link>) -> Response {
    page(
        StatusCode::OK,
        "A new password",
        &form(&link.token, PASSWORD, "Set the password"),
    )
}

/// Sets the new password.
#[utoipa::path(
    post, path = "/account/reset", tag = "pages",
    request_body(content = Sent, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, body = String, content_type = "text/html"),
        (status = 409, body = String, content_type = "text/html", description = "Another account has proved the address"),
        (status = 410, body = String, content_type = "text/html", description = "Used, or too old"),
        (status = 422, body = String, content_type = "text/html", description = "The password won't do, or the account must be named"),
    ),
    extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn was_reset(db: Db, client: Client, body: Bytes) -> Response {
    let sent = sent(&body);
    let token = sent.token.clone();
    let given = recovery::Reset {
        token: sent.token,
        name: Some(sent.name).filter(|name| !name.is_empty()),
        password: sent.password,
    };
    match recovery::reset_password(&db, &client, given).await {
        Ok(()) => page(
            StatusCode::OK,
            "The password is set",
            "<p>All sessions were ended. Sign in with the new password.</p>",
        ),
        Err(problem) => {
            // Which account is asked for where there are several.
            let is_ambiguous = problem.errors().iter().any(|error| error.field == "name");
            let fields = [if is_ambiguous { NAME } else { "" }, PASSWORD].concat();
            again(&problem, &form(&token, &fields, "Set the password"))
        }
    }
}

/// Asks whose password was forgotten.
#[utoipa::path(
    get, path = "/account/forgot", tag = "pages",
    responses((status = 200, body = String, content_type = "text/html"))
)]
pub async fn forgot() -> Response {
    page(
        StatusCode::OK,
        "Forgotten password",
        &form("", EMAIL, "Send me a link"),
    )
}

/// Mails the link.
#[utoipa::path(
    post, path = "/account/forgot", tag = "pages",
    request_body(content = Sent, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = String, content_type = "text/html")),
    extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn forgotten(db: Db, client: Client, body: Bytes) -> Response {
    match recovery::mail_reset(&db, &client, &sent(&body).email).await {
        Ok(()) => page(
            StatusCode::OK,
            "Look into your mail",
            "<p>If an account has this address, a link is on its way. It works once, for 30 minutes. \
             Within an hour an address gets five at most.</p>",
        ),
        Err(problem) => problem_page(&problem),
    }
}

/// Asks who the new admin is.
#[utoipa::path(
    get, path = "/account/admin", tag = "pages", params(Link),
    responses((status = 200, body = String, content_type = "text/html"))
)]
pub async fn admin(Query(link): Query<Link>) -> Response {
    page(
        StatusCode::OK,
        "A new admin",
        &form(&link.token, &admin_fields(), "Make the account"),
    )
}

fn admin_fields() -> String {
    [EMAIL, NAME, PASSWORD].join("\n")
}

/// Makes an account that is an admin, by a link that the operator was given.
#[utoipa::path(
    post, path = "/account/admin", tag = "pages",
    request_body(content = Sent, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, body = String, content_type = "text/html"),
        (status = 409, body = String, content_type = "text/html", description = "The name is taken"),
        (status = 410, body = String, content_type = "text/html", description = "Used, or too old"),
        (status = 422, body = String, content_type = "text/html", description = "Some of it won't do"),
    ),
    extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn made_admin(db: Db, client: Client, body: Bytes) -> Response {
    let sent = sent(&body);
    let token = sent.token.clone();
    match make_admin(&db, &client, sent).await {
        Ok(()) => page(
            StatusCode::OK,
            "Welcome",
            "<p>The account is made, and an admin. Sign in with it.</p>",
        ),
        Err(problem) if problem.status() == StatusCode::GONE => problem_page(&problem),
        Err(problem) => again(&problem, &form(&token, &admin_fields(), "Make the account")),
    }
}

async fn make_admin(db: &Db, client: &Client, sent: Sent) -> Result<()> {
    #[derive(Deserialize)]
    struct Row {
        account: Option<Uuid>,
    }
    let link = open_link(&sent.token)
        .await?
        .ok_or_else(users::link_expired)?;
    for (field, checked) in [
        ("email", valid_email(&sent.email, &())),
        ("name", valid_name(&sent.name, &())),
    ] {
        checked.map_err(|why| Problem::invalid(field, why.to_string()))?;
    }
    let email = normal_email(&sent.email);
    let password = users::checked(&sent.password, &email, &sent.name).await?;
    let row: Row = db
        .one(
            "select identity.register_admin($1, $2, $3, $4, $5, $6) as account",
            args![
                link,
                email,
                sent.name,
                password,
                passwords::CURRENT_VERSION,
                json!(client)
            ],
        )
        .await
        .on_constraint("account_name_key", name_taken())
        .on_constraint("account_name_free", Problem::invalid("name", "is reserved"))?;
    row.account.map(|_| ()).ok_or_else(users::link_expired)
}
