//! The choice of the theme, kept in a cookie, so that a page has it before the first script runs.

use axum::Router;
use axum::response::Response;
use axum::routing::post;
use http::HeaderValue;
use http::header::SET_COOKIE;
use serde::Deserialize;

use crate::failure::Failure;
use crate::forms::Form;
use crate::frame::see;
use crate::group::Group;
use crate::ui;
use crate::visitor::THEME_COOKIE;

/// The group of this page.
pub static GROUP: Group = Group {
    places: &[],
    routes: || Router::new().route("/theme", post(choose)),
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Choice {
    theme: String,
    from: String,
}

async fn choose(Form { fields, .. }: Form<Choice>) -> Result<Response, Failure> {
    let (theme, seconds) = match fields.theme.as_str() {
        "light" => ("light", 31_536_000),
        "dark" => ("dark", 31_536_000),
        _ => ("", 0),
    };
    let mut response = see(ui::own_address(&fields.from));
    let cookie =
        format!("{THEME_COOKIE}={theme}; Path=/; Max-Age={seconds}; SameSite=Lax; HttpOnly");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}
