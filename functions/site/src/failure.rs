//! Failures as pages: what happened, what is safe, and what to do.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use guest::{FieldError, Problem};
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};
use maud::{Markup, html};
use serde_json::Value;

use crate::ui;
use crate::visitor::Visitor;

/// The reason why there is no page: another function's problem, or one of the site's own.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The HTTP status.
    pub status: StatusCode,
    /// The code of the problem.
    pub code: String,
    /// What went wrong, in words.
    pub detail: String,
    /// The refused fields, with the reasons.
    pub errors: Vec<(String, String)>,
    /// The number of seconds after which another try may succeed.
    pub retry_after: Option<u32>,
    /// Further members of the problem.
    pub more: Box<Value>,
}

impl Failure {
    /// The problem in a function's answer.
    pub fn of(answer: &Response<Bytes>) -> Self {
        let problem: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let errors = problem["errors"].as_array().into_iter().flatten();
        Self {
            status: answer.status(),
            code: text(&problem["code"]),
            detail: text(&problem["detail"]),
            errors: errors
                .map(|error| (text(&error["field"]), text(&error["detail"])))
                .collect(),
            retry_after: retry_after(answer.headers()),
            more: Box::new(problem),
        }
    }

    /// A failure that nobody has said more about.
    pub fn bare(status: StatusCode) -> Self {
        Self {
            status,
            code: String::new(),
            detail: String::new(),
            errors: Vec::new(),
            retry_after: None,
            more: Box::default(),
        }
    }

    /// The reason why a field was refused.
    pub fn about(&self, field: &str) -> Option<&str> {
        let error = self.errors.iter().find(|(name, _)| name == field);
        error.map(|(_, detail)| detail.as_str())
    }

    /// Whether sending the same again may succeed, so that a form should keep its key.
    pub fn is_transient(&self) -> bool {
        self.status.is_server_error() || self.status == StatusCode::TOO_MANY_REQUESTS
    }
}

fn retry_after(headers: &HeaderMap) -> Option<u32> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let error = |error: &FieldError| (error.field.clone(), error.detail.clone());
        Self {
            status: problem.status(),
            code: problem.code().to_owned(),
            detail: problem.detail().to_owned(),
            errors: problem.errors().iter().map(error).collect(),
            retry_after: retry_after(problem.into_response().headers()),
            more: Box::default(),
        }
    }
}

/// The frame makes the page, since it knows the visitor.
impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// The heading of a failure's page.
pub fn title(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "Sign in to see this",
        403 => "You may not do this",
        404 => "Nothing here",
        405 => "This address takes no such request",
        409 => "It has changed meanwhile",
        410 => "It is gone",
        413 => "That is too large",
        422 => "Some of the input was refused",
        429 => "Too many requests",
        503 => "A part of the server is away",
        500.. => "The server failed",
        _ => "That did not work",
    }
}

/// The content of a failure's page.
pub fn page(failure: &Failure, visitor: &Visitor, request_id: Option<&HeaderValue>) -> Markup {
    let id = request_id.and_then(|id| id.to_str().ok());
    html! {
        section.failure {
            p.meta { (failure.status.as_u16()) }
            h1 { (title(failure.status)) }
            // The button below leads back here after signing in; the link of the message would not.
            @if failure.code == "unauthenticated" { p { "This is for those who are signed in. Nothing was lost or changed." } }
            // Why an address is not one is for programs.
            @else if failure.status != StatusCode::NOT_FOUND { (message(failure)) }
            (next(failure, visitor))
            @if let Some(id) = id {
                p.meta { "Request " code { (id) } }
            }
        }
    }
}

/// What went wrong, for the page or above a form.
pub fn message(failure: &Failure) -> Markup {
    html! {
        @if failure.status == StatusCode::UNAUTHORIZED && failure.code == "unauthenticated" {
            p { "This is for those who are signed in. Nothing was lost or changed: " a href="/sign-in" { "sign in" } ", and do it again." }
        } @else if failure.code == "csrf-failed" {
            p { "The form belongs to another session, or its session has ended. Nothing was changed: send it again." }
        } @else if failure.errors.is_empty() {
            p { (ui::marked(&failure.detail)) }
        } @else {
            ul.errors {
                @for (field, detail) in &failure.errors {
                    li { "The " (field.replace('_', " ")) " " (ui::marked(detail)) "." }
                }
            }
        }
    }
}

fn next(failure: &Failure, visitor: &Visitor) -> Markup {
    match failure.status.as_u16() {
        401 => ui::actions(&html! {
            a.button href=(ui::sign_in_address(visitor)) { "Sign in" }
            a.button.quiet href="/sign-up" { "Sign up" }
        }),
        403 => {
            html! { p { "An admin can give the right that is missing: the message above names it." } }
        }
        404 => html! {
            p { "It does not exist, or it is not yours to see. " a href="/search" { "Search" } ", or go " a href="/" { "home" } "." }
        },
        413 => {
            html! { p { a href=(visitor.came_from()) { "Go back" } ", make it smaller, and send it again." } }
        }
        429 => html! {
            p { "Nothing was changed. " a href=(visitor.came_from()) { "Try again" } " "
                @if let Some(seconds) = failure.retry_after { "in " (seconds) " s." } @else { "in a moment." } }
        },
        500.. => html! {
            p { "What you read is safe, and what you sent may not have arrived. " a href=(visitor.came_from()) { "Try again" }
                ", or look at " a href="/status" { "the server's health" } "." }
        },
        _ => html! { p { a href="/" { "Home" } } },
    }
}
