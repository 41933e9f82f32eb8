//! The frame of all pages: rail, search, account menu, and the headers that protect them.
//!
//! Handlers return a [`Page`] or a [`Failure`]; a layer around the routes finds out who visits, and puts the frame
//! around the content.

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use guest::{Problem, variable};
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, VARY,
    X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue, StatusCode};
use maud::{DOCTYPE, Markup, html};

use crate::failure::{self, Failure};
use crate::group::Place;
use crate::visitor::{Account, Visitor};
use crate::{GROUPS, assets, forms, ui};

/// Everything comes from this site, nothing is inline, and only `js/trusted.js` hands HTML to the browser's parser.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types gather";
const PERMISSIONS: &str = "camera=(), geolocation=(), microphone=(), payment=(), usb=()";
/// htmx neither evaluates code nor writes styles, keeps no history, and asks nobody else.
const HTMX: &str =
    r#"{"history":false,"includeIndicatorCSS":false,"mode":"same-origin","extensions":"trusted"}"#;

/// The content of a page.
#[derive(Debug, Clone)]
pub struct Page {
    title: String,
    main: Markup,
    status: StatusCode,
    description: Option<String>,
    scripts: &'static [&'static str],
}

impl Page {
    /// Makes a page. `title` is shown by the browser; `main` has its own heading.
    pub fn new(title: impl Into<String>, main: Markup) -> Self {
        Self {
            title: title.into(),
            main,
            status: StatusCode::OK,
            description: None,
            scripts: &[],
        }
    }

    /// Sets the status, for a form that is shown again.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Describes the page for previews of links to it.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// Adds modules, such as `js/chat.js`.
    #[must_use]
    pub fn scripts(mut self, scripts: &'static [&'static str]) -> Self {
        self.scripts = scripts;
        self
    }
}

/// The frame makes the document.
impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Answers with a part of a page, which a script puts into it.
pub fn part(markup: Markup) -> Response {
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    ([(CONTENT_TYPE, kind)], markup.into_string()).into_response()
}

/// Sends the browser to a page after a form has taken effect.
pub fn see(path: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(path) else {
        return Problem::internal("an address that no header may have").into_response();
    };
    (StatusCode::SEE_OTHER, [(http::header::LOCATION, location)]).into_response()
}

/// Finds out who sends a request, and frames the answer.
pub async fn frame(mut request: Request, next: Next) -> Response {
    let id = request.headers().get("x-request-id").cloned();
    match Visitor::of(request.headers(), request.uri()).await {
        Ok(visitor) => {
            request.extensions_mut().insert(visitor.clone());
            let is_program = !guest::prefers_html(request.headers());
            let response = next.run(request).await;
            // A program that takes a page for an endpoint is told so in its own terms.
            if is_program && response.status() == StatusCode::METHOD_NOT_ALLOWED {
                return response;
            }
            dress(response, &visitor, id.as_ref()).await
        }
        Err((visitor, failure)) => dress(failure.into_response(), &visitor, id.as_ref()).await,
    }
}

/// Frames an answer: a page gets its rail and menu, a failure becomes a page, and everything gets its headers.
pub async fn dress(
    mut response: Response,
    visitor: &Visitor,
    id: Option<&HeaderValue>,
) -> Response {
    let page = response.extensions_mut().remove::<Page>();
    let failure = response.extensions_mut().remove::<Failure>();
    let problem = response.extensions_mut().remove::<Problem>();
    let status = response.status();
    let has_failed = status.is_client_error() || status.is_server_error();
    // A form that is shown again is a page with the status of its failure.
    let is_bare = has_failed && page.is_none();
    let failure = failure
        .or_else(|| problem.map(Failure::from))
        .or_else(|| is_bare.then(|| Failure::bare(status)));
    let page = match failure {
        Some(failure) if visitor.wants_part() => {
            let markup = ui::alert(&failure::message(&failure));
            *response.body_mut() = Body::from(markup.into_string());
            None
        }
        Some(failure) => {
            let content = failure::page(&failure, visitor, id);
            Some(Page::new(failure::title(failure.status), content))
        }
        None => page,
    };
    let is_html = page.is_some() || has_failed;
    if let Some(page) = page {
        let url = variable("public_url").await.unwrap_or_default();
        *response.body_mut() = Body::from(document(&page, visitor, &url).into_string());
    }
    let headers = response.headers_mut();
    if is_html {
        headers.remove(CONTENT_LENGTH);
        let kind = HeaderValue::from_static("text/html; charset=utf-8");
        headers.insert(CONTENT_TYPE, kind);
    }
    // A page for strangers is kept for nobody else, and asked for again when the visitor signs in.
    let cache = match visitor.account() {
        Some(_) => "private, no-store",
        None => "private, no-cache",
    };
    for (name, value) in [
        (CACHE_CONTROL, cache),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "same-origin"),
        (X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    headers.append(VARY, HeaderValue::from_static("cookie, hx-request"));
    response
}

fn document(page: &Page, visitor: &Visitor, url: &str) -> Markup {
    let title = match visitor.unread() {
        0 => format!("{} · Gather", page.title),
        unread => format!("({unread}) {} · Gather", page.title),
    };
    html! {
        (DOCTYPE)
        html lang="en" data-theme=[visitor.theme()] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1, interactive-widget=resizes-content";
                meta name="color-scheme" content="light dark";
                title { (title) }
                (preview(page, url, visitor.path()))
                meta name="htmx-config" content=(HTMX);
                link rel="icon" href=(assets::address("icon.svg")) type="image/svg+xml";
                link rel="stylesheet" href=(assets::address("site.css"));
                script src=(assets::address("vendor/htmx-4.0.1.min.js")) defer {}
                script src=(assets::address("js/trusted.js")) defer {}
                script src=(assets::address("js/app.js")) type="module" {}
                @for script in page.scripts {
                    script src=(assets::address(script)) type="module" {}
                }
            }
            body data-account=[visitor.account().map(|account| &account.id)] {
                a.skip href="#main" { "Skip to content" }
                (rail(visitor))
                (top(visitor))
                main #main tabindex="-1" { (page.main) }
                div #toasts role="status" aria-live="polite" {}
                (keys(visitor))
            }
        }
    }
}

/// What others show of a link to the page.
fn preview(page: &Page, url: &str, path: &str) -> Markup {
    html! {
        meta property="og:site_name" content="Gather";
        meta property="og:title" content=(page.title);
        meta property="og:type" content="website";
        meta property="og:url" content=(format!("{url}{path}"));
        @if let Some(description) = &page.description {
            meta name="description" content=(description);
            meta property="og:description" content=(description);
        }
    }
}

fn places(visitor: &Visitor) -> Vec<&'static Place> {
    let all = GROUPS.iter().flat_map(|group| group.places);
    all.filter(|place| (place.shown)(visitor)).collect()
}

/// The number of places in the bar of a narrow screen; the rest is under "More".
const BAR: usize = 5;

fn rail(visitor: &Visitor) -> Markup {
    let places = places(visitor);
    let (bar, more) = places.split_at(places.len().min(BAR));
    html! {
        nav.rail aria-label="Site" {
            a.brand href="/" { (ui::mark()) span { "Gather" } }
            ul.places { @for place in bar { (entry(place, visitor)) } }
            @if !more.is_empty() {
                details.more {
                    summary { (ui::icon("more")) span { "More" } }
                    ul { @for place in more { (entry(place, visitor)) } }
                }
                ul.places.rest { @for place in more { (entry(place, visitor)) } }
            }
            p.meta.about { a href="/docs" { "Reference" } " · " a href="/llms.txt" { "For agents" } " · " a href="/status" { "Status" } }
        }
    }
}

fn entry(place: &Place, visitor: &Visitor) -> Markup {
    let is_here = place.is_at(visitor.path());
    let unread = if place.path == "/inbox" {
        visitor.unread()
    } else {
        0
    };
    html! {
        li {
            a href=(place.path) data-go=(place.key) aria-current=[is_here.then_some("page")] {
                (ui::icon(place.icon)) span { (place.label) }
                @if unread > 0 { span.count #unread { (unread) span.hidden { " unread" } } }
            }
            @if place.path == "/channels" { (joined(visitor)) }
        }
    }
}

/// The channels that the visitor is in, below their place.
fn joined(visitor: &Visitor) -> Markup {
    html! {
        @if !visitor.joined().is_empty() {
            ul.joined aria-label="Joined channels" {
                @for channel in visitor.joined() {
                    @let name = channel.name.as_deref().unwrap_or_default();
                    @let here = visitor.path().strip_prefix("/channels/");
                    @let is_here = here.is_some_and(|here| here == channel.channel || here == name);
                    li { a href=(format!("/channels/{}", channel.channel)) data-channel=(channel.channel) aria-current=[is_here.then_some("page")] {
                        "#" (name)
                        @if channel.unread > 0 { span.count { (channel.unread) span.hidden { " unread" } } }
                    } }
                }
                li { a href="/channels" { "Browse channels" } }
            }
        }
    }
}

fn top(visitor: &Visitor) -> Markup {
    html! {
        header.top {
            form.search role="search" aria-label="All of the site" action="/search" {
                label.hidden for="search" { "Search" }
                (ui::icon("search"))
                input #search name="query" type="search" placeholder="Search" autocomplete="off"
                    aria-keyshortcuts="/ Control+K" maxlength="200";
                kbd aria-hidden="true" { "/" }
            }
            @match visitor.account() {
                Some(account) => (menu(account, visitor)),
                None => {
                    div.enter {
                        a.button.quiet href=(ui::sign_in_address(visitor)) { "Sign in" }
                        a.button href="/sign-up" { "Sign up" }
                    }
                }
            }
        }
    }
}

fn menu(account: &Account, visitor: &Visitor) -> Markup {
    html! {
        details.menu {
            summary { (ui::avatar(&account.kind, &account.id, &account.name)) span.hidden { "Account of " } span { (account.name) } }
            div.sheet {
                a href=(format!("/profiles/{}", account.name)) { "Your profile" }
                a href="/settings" { "Settings" }
                (theme(visitor))
                form method="post" action="/sign-out" { (forms::hidden(visitor)) button.link { "Sign out" } }
            }
        }
    }
}

/// The choice of the theme, which works without an account too.
pub fn theme(visitor: &Visitor) -> Markup {
    let chosen = visitor.theme().unwrap_or("system");
    html! {
        form.pills method="post" action="/theme" aria-label="Theme" {
            (forms::hidden(visitor))
            input type="hidden" name="from" value=(visitor.address());
            @for theme in ["system", "light", "dark"] {
                button name="theme" value=(theme) aria-pressed=(chosen == theme) { (theme) }
            }
        }
    }
}

/// The list of all keys, which `?` opens.
fn keys(visitor: &Visitor) -> Markup {
    html! {
        dialog #keys aria-labelledby="keys-title" {
            h2 #keys-title { "Keys" }
            dl {
                dt { kbd { "/" } " or " kbd { "Ctrl" } " " kbd { "K" } } dd { "Search" }
                @for place in places(visitor) {
                    dt { kbd { "g" } " " kbd { (place.key) } } dd { (place.label) }
                }
                dt { kbd { "j" } " " kbd { "k" } } dd { "Next and previous in a list" }
                dt { kbd { "e" } } dd { "Archive in the inbox" }
                dt { kbd { "?" } } dd { "This list" }
                dt { kbd { "Esc" } } dd { "Close" }
            }
            form method="dialog" { button.quiet { "Close" } }
        }
    }
}
