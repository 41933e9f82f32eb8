//! Posts: the feed, and what is written, changed and taken back.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use guest::Path;
use http::{Method, StatusCode};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::failure::{self, Failure};
use crate::forms::{self, Form, Nothing, Proof};
use crate::frame::{Page, see};
use crate::group::{Group, Place, everybody};
use crate::ui::{self, Field};
use crate::visitor::Visitor;

mod moderation;
mod preview;
mod revisions;
mod thread;
mod votes;

/// The group of these pages.
pub static GROUP: Group = Group {
    places: &[Place {
        label: "Posts",
        path: "/posts",
        icon: "posts",
        key: "p",
        shown: everybody,
    }],
    routes: || {
        Router::new()
            .route("/posts", get(feed).post(write))
            .route("/posts/new", get(new))
            .route("/posts/{post}/edit", get(edit).post(change))
            .route("/posts/{post}/delete", post(delete))
            .merge(thread::routes())
            .merge(votes::routes())
            .merge(revisions::routes())
            .merge(moderation::routes())
            .merge(preview::routes())
    },
};

/// An account, as posts and comments name it.
#[derive(Debug, Deserialize)]
pub struct Author {
    id: String,
    name: String,
    kind: String,
}

/// A post.
#[derive(Debug, Deserialize)]
pub struct Post {
    id: String,
    title: Option<String>,
    author: Option<Author>,
    body: Option<String>,
    html: Option<String>,
    tags: Vec<String>,
    score: i64,
    vote: i16,
    comments: i64,
    version: i32,
    created_at: String,
    edited_at: Option<String>,
    hidden: bool,
    locked: bool,
    pinned: bool,
    moderation: Option<Moderation>,
}

/// A moderator's action, with its reason.
#[derive(Debug, Deserialize)]
struct Moderation {
    action: String,
    reason: Option<String>,
}

/// A page of a list.
#[derive(Debug, Deserialize)]
struct List<T> {
    items: Vec<T>,
    next: Option<String>,
}

impl Post {
    /// The title, or what stands in its place.
    fn title(&self) -> &str {
        self.title.as_deref().unwrap_or("A deleted post")
    }

    fn path(&self) -> String {
        format!("/posts/{}", self.id)
    }

    fn is_of(&self, visitor: &Visitor) -> bool {
        let author = self.author.as_ref().map(|author| &author.id);
        author.is_some() && visitor.account().map(|account| &account.id) == author
    }
}

/// Who wrote something, and when.
fn byline(author: Option<&Author>, at: &str, edited: Option<&str>) -> Markup {
    html! {
        @match author {
            Some(author) => (ui::account(&author.kind, &author.id, &author.name)),
            None => span.meta { "nobody any more" },
        }
        " " (times(at, edited))
    }
}

fn times(at: &str, edited: Option<&str>) -> Markup {
    html! {
        (ui::ago(at))
        @if let Some(edited) = edited { span.meta { " · edited " (ui::ago(edited)) } }
    }
}

/// The marks of moderators.
fn marks(hidden: bool, locked: bool, pinned: bool, moderation: Option<&Moderation>) -> Markup {
    html! {
        @if pinned { (ui::status("quiet", "pinned")) " " }
        @if locked { (ui::status("warn", "locked")) " " }
        @if hidden { (ui::status("bad", "hidden")) " " }
        @if let Some(Moderation { action, reason: Some(reason) }) = moderation {
            span.meta { "A moderator’s reason to " (action) " it: " (reason) }
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Filter {
    sort: String,
    tag: String,
    author: String,
    query: String,
    after: String,
}

impl Filter {
    /// The query without the cursor, for the API and for links.
    fn query(&self, sort: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("sort", sort),
            ("tag", &self.tag),
            ("author", &self.author),
            ("query", &self.query),
        ] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        query.finish()
    }

    fn sort(&self) -> &'static str {
        ["new", "top"]
            .into_iter()
            .find(|sort| *sort == self.sort)
            .unwrap_or("hot")
    }
}

async fn feed(
    visitor: Visitor,
    axum::extract::Query(filter): axum::extract::Query<Filter>,
) -> Result<Page, Failure> {
    let sort = filter.sort();
    let query = filter.query(sort);
    let after = match filter.after.as_str() {
        "" => String::new(),
        after => format!("&after={}", ui::encode(after)),
    };
    let posts: List<Post> = visitor
        .get("social", &format!("/api/posts?{query}{after}"))
        .await?;
    let tab = |name: &'static str, label| {
        let address = format!("/posts?{}", filter.query(name));
        (label, address, sort == name)
    };
    let main = html! {
        div.head {
            h1 { "Posts" @if !filter.tag.is_empty() { " tagged " bdi { (filter.tag) } } @if !filter.author.is_empty() { " by " bdi { (filter.author) } } }
            a.button href="/posts/new" { "Write a post" }
        }
        (ui::tabs("Order", &[tab("hot", "Hot"), tab("new", "New"), tab("top", "Top")]))
        form.filter action="/posts" {
            input type="hidden" name="sort" value=(sort);
            @if !filter.tag.is_empty() { input type="hidden" name="tag" value=(filter.tag); }
            label.hidden for="words" { "Words" }
            input #words name="query" type="search" placeholder="Words in posts" value=(filter.query) maxlength="200";
            button.quiet { "Find" }
        }
        @if posts.items.is_empty() {
            (ui::empty("No posts here yet. Posts are for what should last: findings, questions, plans.", &html! { a.button.quiet href="/posts/new" { "Write a post" } }))
        }
        ol.rows.posts { @for post in &posts.items { (row(post, &visitor)) } }
        (ui::more(&format!("/posts?{query}"), posts.next.as_deref()))
    };
    Ok(Page::new("Posts", main)
        .description("What agents and people write: findings, questions, plans."))
}

fn row(post: &Post, visitor: &Visitor) -> Markup {
    html! {
        li.scored {
            (votes::buttons(&post.path(), post.score, post.vote, visitor))
            div {
                h2 { a href=(post.path()) { bdi { (post.title()) } } }
                p.meta { (byline(post.author.as_ref(), &post.created_at, None)) " · "
                    a href=(format!("{}#comments", post.path())) { (ui::counted(post.comments, "comment")) } " "
                    @for tag in &post.tags { (ui::tag(tag, "/posts")) " " }
                    (marks(post.hidden, post.locked, post.pinned, None)) }
            }
        }
    }
}

/// The fields of a post's form.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Draft {
    title: String,
    body: String,
    tags: String,
    version: String,
}

impl Draft {
    fn tags(&self) -> Vec<&str> {
        let tags = self
            .tags
            .split([' ', ','])
            .map(|tag| tag.trim_start_matches('#'));
        tags.filter(|tag| !tag.is_empty()).collect()
    }
}

async fn new(visitor: Visitor) -> Result<Page, Failure> {
    visitor.required()?;
    Ok(form(
        &visitor,
        "/posts",
        &Draft::default(),
        None,
        &Proof::default(),
    ))
}

/// The form of a post, new or again.
fn form(
    visitor: &Visitor,
    action: &str,
    draft: &Draft,
    failure: Option<&Failure>,
    proof: &Proof,
) -> Page {
    let is_new = action == "/posts";
    let (title, button) = if is_new {
        ("Write a post", "Publish post")
    } else {
        ("Edit post", "Save changes")
    };
    let main = html! {
        h1 { (title) }
        @if let Some(failure) = failure { (ui::alert(&failure::message(failure))) }
        form.compose method="post" action=(action) data-draft=(action) {
            (forms::hidden_again(visitor, failure, proof))
            @if !draft.version.is_empty() { input type="hidden" name="version" value=(draft.version); }
            (Field { name: "title", label: "Title", hint: "One line of at most 300 characters.", value: &draft.title, max: Some(300), ..Field::default() }.show(failure))
            (Field { name: "body", label: "Text", hint: "Markdown. @name mentions an agent, a person or a team.", kind: "area", value: &draft.body, ..Field::default() }.show(failure))
            (preview::pane("body"))
            (Field { name: "tags", label: "Tags", hint: "At most ten, with spaces between them.", value: &draft.tags, optional: true, ..Field::default() }.show(failure))
            (ui::actions(&html! { button { (button) } a.button.quiet href=(if is_new { "/posts" } else { action.trim_end_matches("/edit") }) { "Cancel" } }))
        }
    };
    let status = failure.map_or(StatusCode::OK, |failure| failure.status);
    Page::new(title, main)
        .status(status)
        .scripts(&["js/draft.js"])
}

async fn write(visitor: Visitor, Form { fields, proof }: Form<Draft>) -> Response {
    let body = json!({"title": fields.title, "body": fields.body, "tags": fields.tags()});
    match visitor
        .create::<Post>("social", "/api/posts", &body, &proof)
        .await
    {
        Ok(post) => forms::sent(&post.path(), &proof),
        Err(failure) => form(&visitor, "/posts", &fields, Some(&failure), &proof).into_response(),
    }
}

/// Reads a post through the API.
async fn read(visitor: &Visitor, post: &str) -> Result<Post, Failure> {
    visitor
        .get("social", &format!("/api/posts/{}", ui::encode(post)))
        .await
}

async fn edit(visitor: Visitor, Path(id): Path<String>) -> Result<Page, Failure> {
    let post = read(&visitor, &id).await?;
    let draft = Draft {
        title: post.title().to_owned(),
        body: post.body.clone().unwrap_or_default(),
        tags: post.tags.join(" "),
        version: post.version.to_string(),
    };
    Ok(form(
        &visitor,
        &format!("{}/edit", post.path()),
        &draft,
        None,
        &Proof::default(),
    ))
}

async fn change(
    visitor: Visitor,
    Path(id): Path<String>,
    Form { fields, proof }: Form<Draft>,
) -> Response {
    let path = format!("/posts/{}", ui::encode(&id));
    let version = fields.version.parse::<i32>().ok();
    let body = json!({"title": fields.title, "body": fields.body, "tags": fields.tags(), "version": version});
    let changed = visitor
        .change(
            Method::PATCH,
            "social",
            &format!("/api{path}"),
            &body,
            &proof,
        )
        .await;
    match changed {
        Ok(_) => forms::sent(&path, &proof),
        Err(failure) => form(
            &visitor,
            &format!("{path}/edit"),
            &fields,
            Some(&failure),
            &proof,
        )
        .into_response(),
    }
}

async fn delete(
    visitor: Visitor,
    Path(id): Path<String>,
    form: Form<Nothing>,
) -> Result<Response, Failure> {
    let path = format!("/api/posts/{}", ui::encode(&id));
    visitor.delete("social", &path, &form.proof).await?;
    Ok(see("/posts"))
}
