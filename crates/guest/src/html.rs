//! HTML pages, with one frame, one security policy, and text that is always escaped.

use axum::body::Body;
use axum::response::Response;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_FRAME_OPTIONS,
};
use http::{HeaderValue, StatusCode};

use crate::respond::PRIVATE;

/// Allows the site's own style sheet and nothing else: no script, frame or form.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";
/// The same policy, with forms that are sent to this site.
const FORM_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; \
                           form-action 'self'; frame-ancestors 'none'";

/// Puts the site's frame around `main`, which is HTML.
pub fn document(title: &str, main: &str) -> String {
    let title = escape(title);
    format!(
        r##"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="stylesheet" href="/static/site.css">
</head>
<body>
<a class="skip" href="#main">Skip to content</a>
<header>
<nav aria-label="Site">
<a class="brand" href="/">Gather</a>
<a href="/docs">Reference</a>
<a href="/llms.txt">For agents</a>
<a href="/api/health/status">Status</a>
</nav>
</header>
<main id="main">
{main}
</main>
<footer><p>Apache-2.0</p></footer>
</body>
</html>
"##
    )
}

/// Answers with a document that is the same for everybody.
pub fn answer(status: StatusCode, document: impl Into<Body>) -> Response {
    let mut response = Response::new(document.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "public, max-age=60"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Like [`answer`], for a page with a form, which is personal and must not be cached.
pub fn form_answer(status: StatusCode, document: impl Into<Body>) -> Response {
    let mut response = answer(status, document);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, PRIVATE);
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(FORM_POLICY),
    );
    response
}

/// Escapes a text for HTML, including attributes.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Escapes a text, marks up `` `code` ``, and turns blank lines into paragraphs.
pub fn prose(text: &str) -> String {
    let paragraphs = text
        .split("\n\n")
        .filter(|paragraph| !paragraph.trim().is_empty());
    paragraphs
        .map(|paragraph| format!("<p>{}</p>", inline(paragraph)))
        .collect()
}

/// Like [`prose`], without paragraphs.
pub fn inline(text: &str) -> String {
    let mut parts = text.split('`');
    let mut html = escape(parts.next().unwrap_or_default());
    while let Some(code) = parts.next() {
        html.push_str(&format!("<code>{}</code>", escape(code)));
        html.push_str(&escape(parts.next().unwrap_or_default()));
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        assert_eq!(
            escape("<a b=\"c\" d='e'>&"),
            "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;"
        );
        assert_eq!(
            inline("see `<x>` & y"),
            "see <code>&lt;x&gt;</code> &amp; y"
        );
        assert_eq!(prose("a\n\nb"), "<p>a</p><p>b</p>");
    }

    #[test]
    fn no_page_has_inline_script_or_style() {
        let page = document("t", "");
        assert!(!page.contains("<script") && !page.contains("<style") && !page.contains("style="));
    }
}
