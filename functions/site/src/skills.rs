//! Skills: the list, and a skill's page with its tabs.

use axum::Router;
use axum::extract::Query;
use axum::routing::get;
use guest::{Path, required_variable};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::frame::Page;
use crate::group::{Group, Place, everybody};
use crate::ui;
use crate::visitor::Visitor;

mod arguments;
mod evidence;
mod ratings;
mod run;

pub use run::envelope;

/// The group of these pages.
pub static GROUP: Group = Group {
    places: &[Place {
        label: "Skills",
        path: "/skills",
        icon: "skills",
        key: "s",
        shown: everybody,
    }],
    routes: || {
        Router::new()
            .route("/skills", get(list))
            .route("/skills/{skill}/connect", get(connect))
            .route("/skills/{skill}/versions", get(versions))
            .merge(run::routes())
            .merge(evidence::routes())
            .merge(ratings::routes())
    },
};

#[derive(Debug, Deserialize)]
struct Owner {
    name: String,
}

/// A skill, as lists have it.
#[derive(Debug, Deserialize)]
struct Summary {
    name: String,
    description: String,
    tags: Vec<String>,
    owner: Owner,
    latest_version: Option<String>,
    rating: Option<f64>,
    ratings: i64,
    uses_30d: i64,
    users_30d: i64,
    updated_at: String,
}

/// A skill with its versions and tools.
#[derive(Debug, Deserialize)]
struct Skill {
    #[serde(flatten)]
    summary: Summary,
    tools: Vec<Tool>,
    versions: Vec<Version>,
}

/// A function that can be called.
#[derive(Debug, Deserialize)]
struct Tool {
    name: String,
    description: String,
    input_schema: Value,
}

/// A version, as lists have it.
#[derive(Debug, Deserialize)]
struct Version {
    version: String,
    status: String,
    held: bool,
    digest: String,
    size_bytes: i64,
    created_at: String,
}

impl Version {
    fn status(&self) -> Markup {
        match self.status.as_str() {
            "approved" => ui::status("good", "approved"),
            "rejected" => ui::status("bad", "rejected"),
            "yanked" => ui::status("quiet", "taken back"),
            _ if self.held => ui::status("warn", "held for a person"),
            _ => ui::status("busy", "in review"),
        }
    }
}

#[derive(Debug, Deserialize)]
struct List<T> {
    items: Vec<T>,
    next: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Filter {
    query: String,
    tag: String,
    author: String,
    sort: String,
    after: String,
}

impl Filter {
    fn query(&self, sort: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("query", self.query.as_str()),
            ("tag", &self.tag),
            ("author", &self.author),
            ("sort", sort),
        ] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        query.finish()
    }
}

async fn list(visitor: Visitor, Query(filter): Query<Filter>) -> Result<Page, Failure> {
    let sort = ["rank", "new", "used"]
        .into_iter()
        .find(|sort| *sort == filter.sort);
    // A search without an order begins with the best match.
    let sort = sort.unwrap_or(if filter.query.is_empty() { "rank" } else { "" });
    let query = filter.query(sort);
    let after = match filter.after.as_str() {
        "" => String::new(),
        after => format!("&after={}", ui::encode(after)),
    };
    let skills: List<Summary> = visitor
        .get("skills", &format!("/api/skills?{query}{after}"))
        .await?;
    let tab = |name: &'static str, label| {
        (
            label,
            format!("/skills?{}", filter.query(name)),
            sort == name,
        )
    };
    let main = html! {
        div.head { h1 { "Skills" } a.button href="/publish" { "Publish a skill" } }
        p.lead { "Tools that others published: reviewed, sandboxed, metered." }
        (ui::tabs("Order", &[tab("rank", "Best"), tab("new", "New"), tab("used", "Most used")]))
        form.filter action="/skills" {
            label.hidden for="words" { "Words" }
            input #words name="query" type="search" placeholder="What should it do?" value=(filter.query) maxlength="200";
            button.quiet { "Find" }
        }
        @if skills.items.is_empty() {
            @if filter.query.is_empty() {
                (ui::empty("No skill is published yet. Yours may be the first.", &html! { a.button.quiet href="/publish" { "Publish a skill" } }))
            } @else {
                (ui::empty("No skill does that yet.", &html! { a.button.quiet href="/skills" { "Show all" } }))
            }
        }
        ol.rows { @for skill in &skills.items { (row(skill)) } }
        (ui::more(&format!("/skills?{query}"), skills.next.as_deref()))
    };
    Ok(Page::new("Skills", main).description("Tools that agents and people can call."))
}

fn row(skill: &Summary) -> Markup {
    html! {
        li {
            h2 { a href=(path(&skill.name)) { code { (skill.name) } } " "
                @if let Some(version) = &skill.latest_version { span.meta { (version) } } }
            p { (skill.description) }
            p.meta { (facts(skill)) " " @for tag in &skill.tags { (ui::tag(tag, "/skills")) " " } }
        }
    }
}

fn facts(skill: &Summary) -> Markup {
    html! {
        "by " a href=(format!("/profiles/{}", ui::encode(&skill.owner.name))) { bdi { (skill.owner.name) } }
        " · " (ui::counted(skill.uses_30d, "call")) " by " (ui::counted(skill.users_30d, "account")) " in 30 days"
        @if let Some(rating) = skill.rating { " · " (format!("{rating:.1}")) " of 5 (" (ui::counted(skill.ratings, "rating")) ")" }
        " · updated " (ui::ago(&skill.updated_at))
    }
}

fn path(name: &str) -> String {
    format!("/skills/{}", ui::encode(name))
}

async fn read(visitor: &Visitor, name: &str) -> Result<Skill, Failure> {
    visitor.get("skills", &format!("/api{}", path(name))).await
}

/// The page of a skill with one of its tabs.
fn page(skill: &Skill, tab: &str, content: &Markup) -> Page {
    let summary = &skill.summary;
    let path = path(&summary.name);
    let link = |label: &'static str, end: &str| (label, format!("{path}{end}"), tab == end);
    let newest = skill.versions.first();
    let main = html! {
        header.skill {
            h1 { code { (summary.name) } " " @if let Some(version) = &summary.latest_version { span.meta { (version) } } }
            p.lead { (summary.description) }
            p.meta { (facts(summary)) " " @for tag in &summary.tags { (ui::tag(tag, "/skills")) " " } }
            p {
                @if summary.latest_version.is_some() { (ui::seal("Reviewed and signed", &format!("{path}/evidence"))) }
                @else if let Some(newest) = newest { (newest.status()) }
            }
        }
        (ui::tabs("Skill", &[link("Use", ""), link("Connect", "/connect"), link("Versions", "/versions"), link("Evidence", "/evidence"), link("Ratings", "/ratings")]))
        (content)
    };
    Page::new(summary.name.as_str(), main).description(summary.description.as_str())
}

async fn connect(visitor: Visitor, Path(name): Path<String>) -> Result<Page, Failure> {
    let url = required_variable("public_url").await?;
    let skill = read(&visitor, &name).await?;
    let tool = skill.tools.first();
    let example = tool.map_or(json!({}), |tool| arguments::example(&tool.input_schema));
    let call = json!({"tool": tool.map_or("", |tool| &tool.name), "arguments": example});
    let quoted = call.to_string().replace('\'', "'\\''");
    let configuration = json!({"mcpServers": {"gather": {"type": "http", "url": format!("{url}/mcp"), "headers": {"Authorization": "Bearer gk_…"}}}});
    let configuration = serde_json::to_string_pretty(&configuration).unwrap_or_default();
    let own = path(&skill.summary.name);
    let listed = format!(
        "{}__{}",
        skill.summary.name,
        tool.map_or("", |tool| &tool.name)
    );
    let content = html! {
        h2 { "MCP" }
        p { "Clients of the Model Context Protocol list the tool as " code { (listed) } ". The key is an API key of yours, from "
            a href="/settings" { "your settings" } "." }
        (ui::copyable(&configuration))
        h2 { "Command and curl" }
        (ui::copyable(&format!("gather agent register --name my-agent --server {url}\nTOKEN=$(gather agent login --name my-agent --server {url} --json | jq -r .access_token)\ncurl -sS {url}/api{own}/invoke -H \"Authorization: Bearer $TOKEN\" \\\n    -H 'Content-Type: application/json' -d '{quoted}'")))
        @if let Some(version) = &skill.summary.latest_version {
            h2 { "Check what was signed" }
            (ui::copyable(&format!("curl -sS {url}/api{own}/versions/{version}/attestations > attestations.json\ngather skill verify attestations.json --server {url}")))
        }
    };
    Ok(page(&skill, "/connect", &content))
}

async fn versions(visitor: Visitor, Path(name): Path<String>) -> Result<Page, Failure> {
    let skill = read(&visitor, &name).await?;
    let path = path(&name);
    let content = html! {
        table.list {
            thead { tr { th scope="col" { "Version" } th scope="col" { "Status" } th scope="col" { "Size" } th scope="col" { "Published" } th scope="col" { "Digest" } } }
            tbody {
                @for version in &skill.versions {
                    tr {
                        th scope="row" { a href=(format!("{path}/versions/{}", ui::encode(&version.version))) { (version.version) } }
                        td { (version.status()) }
                        td { (ui::number(version.size_bytes / 1024)) " KiB" }
                        td { (ui::ago(&version.created_at)) }
                        td { code { (version.digest) } }
                    }
                }
            }
        }
    };
    Ok(page(&skill, "/versions", &content))
}
