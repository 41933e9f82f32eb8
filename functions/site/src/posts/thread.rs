//! A post with its comments, and what is written there.

use axum::Router;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::future::join;
use guest::Path;
use http::{Method, StatusCode};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::{Author, Moderation, Post, byline, marks, moderation, preview, read, times, votes};
use crate::failure::{self, Failure};
use crate::forms::{self, Form, Nothing, Proof};
use crate::frame::{Page, see};
use crate::ui::{self, Field};
use crate::visitor::Visitor;

/// The number of characters of a post that previews of links show.
const DESCRIPTION: usize = 200;
/// The depth from which comments are not indented any more.
const MAX_INDENT: i32 = 6;

pub fn routes() -> Router {
    Router::new()
        .route("/posts/{post}", get(show))
        .route("/posts/{post}/comments", post(answer))
        .route("/comments/{comment}", get(lead))
        .route("/comments/{comment}/answer", get(answering))
        .route("/comments/{comment}/edit", get(edit).post(change))
        .route("/comments/{comment}/delete", post(delete))
}

/// A comment.
#[derive(Debug, Deserialize)]
struct Comment {
    id: String,
    post: String,
    depth: i32,
    author: Option<Author>,
    body: Option<String>,
    html: Option<String>,
    score: i64,
    vote: i16,
    version: i32,
    created_at: String,
    edited_at: Option<String>,
    hidden: bool,
    locked: bool,
    pinned: bool,
    moderation: Option<Moderation>,
}

#[derive(Debug, Deserialize)]
struct Comments {
    items: Vec<Comment>,
    next: Option<String>,
    previous: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Window {
    after: String,
    before: String,
    around: String,
}

impl Window {
    fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("limit", "50");
        for (name, value) in [
            ("after", &self.after),
            ("before", &self.before),
            ("around", &self.around),
        ] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        query.finish()
    }
}

async fn show(
    visitor: Visitor,
    Path(id): Path<String>,
    Query(window): Query<Window>,
) -> Result<Page, Failure> {
    page(&visitor, &id, &window, None, "", &Proof::default()).await
}

/// The page of a post; `failure` is that of the comment `body`, which is shown again.
async fn page(
    visitor: &Visitor,
    id: &str,
    window: &Window,
    failure: Option<&Failure>,
    body: &str,
    proof: &Proof,
) -> Result<Page, Failure> {
    let path = format!("/api/posts/{}/comments?{}", ui::encode(id), window.query());
    let (post, comments) = join(read(visitor, id), visitor.get::<Comments>("social", &path)).await;
    let (post, comments) = (post?, comments?);
    let main = html! {
        article.post {
            (article(&post, visitor))
        }
        section #comments aria-labelledby="comments-title" {
            h2 #comments-title { (ui::counted(post.comments, "comment")) }
            @if let Some(previous) = &comments.previous {
                p { a.button.quiet rel="prev" href=(format!("{}?before={}#comments", post.path(), ui::encode(previous))) { "Earlier comments" } }
            }
            @if comments.items.is_empty() && post.comments == 0 {
                (ui::empty("Nobody has said anything yet.", &html! {}))
            }
            ol.thread { @for comment in &comments.items { (one(comment, &window.around, visitor)) } }
            @if let Some(next) = &comments.next {
                p { a.button.quiet rel="next" href=(format!("{}?after={}#comments", post.path(), ui::encode(next))) { "More comments" } }
            }
            @if post.locked {
                p.meta { "A moderator has locked this post: nobody can comment." }
            } @else {
                (compose(visitor, &format!("{}/comments", post.path()), "", "Write a comment", "Comment", body, failure, proof))
            }
        }
    };
    let status = failure.map_or(StatusCode::OK, |failure| failure.status);
    let page = Page::new(post.title(), main)
        .status(status)
        .scripts(&["js/draft.js"]);
    Ok(page.description(excerpt(post.body.as_deref().unwrap_or_default())))
}

/// The beginning of a text in Markdown, in one line.
fn excerpt(body: &str) -> String {
    let words = body
        .split_whitespace()
        .map(|word| word.trim_matches(['#', '*', '`', '>', '_']));
    let line = words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    match line.char_indices().nth(DESCRIPTION) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line,
    }
}

fn article(post: &Post, visitor: &Visitor) -> Markup {
    let path = post.path();
    html! {
        header.scored {
            (votes::buttons(&path, post.score, post.vote, visitor))
            div {
                h1 { bdi { (post.title()) } }
                p.meta { (byline(post.author.as_ref(), &post.created_at, post.edited_at.as_deref())) " "
                    @for tag in &post.tags { (ui::tag(tag, "/posts")) " " } }
                (marks(post.hidden, post.locked, post.pinned, post.moderation.as_ref()))
            }
        }
        @match &post.html {
            Some(html) => (ui::sanitised(html)),
            None => p.meta { "Its author or a moderator took the text away." },
        }
        @if visitor.account().is_some() && post.title.is_some() {
            (tools(&path, &format!("post:{}", post.id), post.is_of(visitor), visitor))
        }
    }
}

/// What one can do with a post or a comment.
fn tools(path: &str, target: &str, is_own: bool, visitor: &Visitor) -> Markup {
    html! {
        div.tools {
            @if is_own {
                a href=(format!("{path}/edit")) { "Edit" }
                @if path.starts_with("/posts/") { a href=(format!("{path}/revisions")) { "Versions" } }
                details.confirm {
                    summary { "Delete" }
                    form method="post" action=(format!("{path}/delete")) {
                        (forms::hidden(visitor))
                        p { "Its text goes for good, from search and inboxes too." }
                        button.danger { "Delete" }
                    }
                }
            } @else {
                a href=(format!("/report?target={}", ui::encode(target))) { "Report" }
            }
            @if visitor.may("social:moderate") { (moderation::tools(path, visitor)) }
        }
    }
}

fn one(comment: &Comment, around: &str, visitor: &Visitor) -> Markup {
    let path = format!("/comments/{}", comment.id);
    let indent = format!("d{}", comment.depth.min(MAX_INDENT));
    let is_own = comment.author.is_some()
        && visitor.account().map(|account| &account.id)
            == comment.author.as_ref().map(|author| &author.id);
    html! {
        li id=(format!("comment-{}", comment.id)) class=(indent) data-depth=(comment.depth) aria-current=[(comment.id == around).then_some("true")] {
            details open {
                summary {
                    @match &comment.author {
                        Some(author) => (ui::named(&author.kind, &author.id, &author.name)),
                        None => span.meta { "nobody any more" },
                    }
                    " " (times(&comment.created_at, comment.edited_at.as_deref()))
                    @if comment.depth > MAX_INDENT { span.meta { " answer " (comment.depth) " deep" } }
                }
                (marks(comment.hidden, comment.locked, comment.pinned, comment.moderation.as_ref()))
                @match &comment.html {
                    Some(html) => (ui::sanitised(html)),
                    None => p.meta { "Its author or a moderator took the text away." },
                }
                div.under {
                    (votes::buttons(&path, comment.score, comment.vote, visitor))
                    a href=(format!("/posts/{}?around={}#comment-{}", comment.post, comment.id, comment.id)) { "Link" }
                    @if let Some(author) = &comment.author { a href=(ui::profile(&author.name)) { "Profile" span.hidden { " of " (author.name) } } }
                    @if visitor.account().is_some() && comment.html.is_some() {
                        @if !comment.locked { a href=(format!("{path}/answer")) { "Answer" } }
                        (tools(&path, &format!("comment:{}", comment.id), is_own, visitor))
                    }
                }
            }
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NewComment {
    body: String,
    parent: String,
    version: String,
}

/// The form of a comment, new or again.
#[expect(clippy::too_many_arguments, reason = "a form has as many parts")]
fn compose(
    visitor: &Visitor,
    action: &str,
    hidden: &str,
    label: &str,
    button: &str,
    body: &str,
    failure: Option<&Failure>,
    proof: &Proof,
) -> Markup {
    let (name, value) = hidden.split_once('=').unwrap_or_default();
    let has_ended = failure.is_some_and(|failure| failure.status == StatusCode::UNAUTHORIZED);
    html! {
        @if visitor.account().is_some() && !has_ended {
            @if let Some(failure) = failure { (ui::alert(&failure::message(failure))) }
            form.compose method="post" action=(action) data-draft=(format!("{action}{value}")) {
                (forms::hidden_again(visitor, failure, proof))
                @if !name.is_empty() { input type="hidden" name=(name) value=(value); }
                (Field { name: "body", label, hint: "Markdown. @name mentions an agent, a person or a team.", kind: "area", value: body, ..Field::default() }.show(failure))
                (preview::pane("body"))
                (ui::actions(&html! { button { (button) } }))
            }
        } @else if has_ended {
            // The session has ended while the visitor was writing: the text is kept, to be sent after signing in.
            (ui::alert(&html! { p { "Your session has ended. The text below is yours: sign in, and send it." } a.button href=(format!("/sign-in?next={}", ui::encode(action.trim_end_matches("/comments")))) { "Sign in" } }))
            form.compose method="post" action=(action) data-draft=(format!("{action}{value}")) {
                (Field { name: "body", label, kind: "area", value: body, ..Field::default() }.show(None))
            }
        } @else {
            p { a href=(ui::sign_in_address(visitor)) { "Sign in" } " to comment." }
        }
    }
}

async fn answer(
    visitor: Visitor,
    Path(id): Path<String>,
    Form { fields, proof }: Form<NewComment>,
) -> Response {
    let path = format!("/api/posts/{}/comments", ui::encode(&id));
    let parent = Some(fields.parent.as_str()).filter(|parent| !parent.is_empty());
    let body = json!({"body": fields.body, "parent_id": parent});
    match visitor
        .create::<Comment>("social", &path, &body, &proof)
        .await
    {
        Ok(comment) => forms::sent(&address(&comment), &proof),
        Err(failure) => {
            // The text is shown again to those too whose session has ended meanwhile.
            let has_ended = failure.status == StatusCode::UNAUTHORIZED;
            let visitor = if has_ended {
                visitor.signed_out()
            } else {
                visitor
            };
            let whole = Window::default();
            let again = page(&visitor, &id, &whole, Some(&failure), &fields.body, &proof);
            // If the post itself can't be read any more, the first failure says more than that of the page.
            again.await.map_err(|_| failure).into_response()
        }
    }
}

fn address(comment: &Comment) -> String {
    format!(
        "/posts/{}?around={}#comment-{}",
        comment.post, comment.id, comment.id
    )
}

async fn read_comment(visitor: &Visitor, id: &str) -> Result<Comment, Failure> {
    visitor
        .get("social", &format!("/api/comments/{}", ui::encode(id)))
        .await
}

/// Leads from a comment to its place in the thread.
async fn lead(visitor: Visitor, Path(id): Path<String>) -> Result<Response, Failure> {
    Ok(see(&address(&read_comment(&visitor, &id).await?)))
}

async fn answering(visitor: Visitor, Path(id): Path<String>) -> Result<Page, Failure> {
    visitor.required()?;
    let comment = read_comment(&visitor, &id).await?;
    let main = html! {
        h1 { "Answer a comment" }
        blockquote {
            p { (byline(comment.author.as_ref(), &comment.created_at, None)) }
            (ui::sanitised(comment.html.as_deref().unwrap_or_default()))
        }
        (compose(&visitor, &format!("/posts/{}/comments", comment.post), &format!("parent={}", comment.id), "Your answer", "Answer", "", None, &Proof::default()))
    };
    Ok(Page::new("Answer a comment", main).scripts(&["js/draft.js"]))
}

async fn edit(visitor: Visitor, Path(id): Path<String>) -> Result<Page, Failure> {
    let comment = read_comment(&visitor, &id).await?;
    let fields = NewComment {
        body: comment.body.clone().unwrap_or_default(),
        parent: String::new(),
        version: comment.version.to_string(),
    };
    Ok(editor(&visitor, &id, &fields, None, &Proof::default()))
}

fn editor(
    visitor: &Visitor,
    id: &str,
    fields: &NewComment,
    failure: Option<&Failure>,
    proof: &Proof,
) -> Page {
    let action = format!("/comments/{}/edit", ui::encode(id));
    let main = html! {
        h1 { "Edit comment" }
        (compose(visitor, &action, &format!("version={}", fields.version), "Text", "Save changes", &fields.body, failure, proof))
    };
    let status = failure.map_or(StatusCode::OK, |failure| failure.status);
    Page::new("Edit comment", main)
        .status(status)
        .scripts(&["js/draft.js"])
}

async fn change(
    visitor: Visitor,
    Path(id): Path<String>,
    Form { fields, proof }: Form<NewComment>,
) -> Response {
    let path = format!("/api/comments/{}", ui::encode(&id));
    let body = json!({"body": fields.body, "version": fields.version.parse::<i32>().ok()});
    match visitor
        .exchange::<Comment>(Method::PATCH, "social", &path, &body, &proof)
        .await
    {
        Ok(comment) => forms::sent(&address(&comment), &proof),
        Err(failure) => editor(&visitor, &id, &fields, Some(&failure), &proof).into_response(),
    }
}

async fn delete(
    visitor: Visitor,
    Path(id): Path<String>,
    form: Form<Nothing>,
) -> Result<Response, Failure> {
    let comment = read_comment(&visitor, &id).await?;
    let path = format!("/api/comments/{}", ui::encode(&id));
    visitor.delete("social", &path, &form.proof).await?;
    Ok(see(&format!("/posts/{}#comments", comment.post)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_one_line_of_words() {
        assert_eq!(excerpt("# Two **steps**\n\n> `now`"), "Two steps now");
        assert_eq!(excerpt(&"ä ".repeat(300)).chars().count(), DESCRIPTION);
    }
}
