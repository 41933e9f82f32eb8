//! Every component in every state, on one page: what a newcomer opens first.

use axum::Router;
use axum::routing::get;
use guest::Problem;
use http::StatusCode;
use maud::{Markup, html};

use crate::failure::{self, Failure};
use crate::forms;
use crate::frame::{self, Page};
use crate::group::Group;
use crate::ui::{self, Field};
use crate::visitor::Visitor;

/// The group of this page.
pub static GROUP: Group = Group {
    places: &[],
    routes: || Router::new().route("/design", get(design)),
};

const LONG: &str = "abcdefghijklmnopqrstuvwxyz-0123456789-ab";
const PERSON: &str = "01890000-0000-7000-8000-000000000001";
const AGENT: &str = "01890000-0000-7000-8000-000000000002";

async fn design(visitor: Visitor) -> Page {
    let main = html! {
        h1 { "Design" }
        p.lead { "Every component in its states. Choose the theme: " }
        (frame::theme(&visitor))
        (colours())
        (words())
        (accounts())
        (controls(&visitor))
        (messages())
        (lists())
        (section("Talk", "talk", &crate::channels::sample(&visitor)))
        (section("Answers", "answers", &answers()))
        (section("Charts", "charts", &ui::chart("Cost by day", &[("2026-11-27", 40, "$0.40".into()), ("2026-11-28", 0, "$0.00".into()), ("2026-11-29", 90, "$0.90".into())])))
    };
    Page::new("Design", main).description("Every component of the site, in every state.")
}

/// Two answers of equal weight.
fn answers() -> Markup {
    html! {
        div.answers {
            button.answer type="button" { (ui::icon("good")) "Approve" }
            button.answer type="button" { (ui::icon("bad")) "Deny" }
        }
    }
}

fn section(title: &str, id: &str, content: &Markup) -> Markup {
    html! { section aria-labelledby=(id) { hr; h2 id=(id) { (title) } (content) } }
}

fn colours() -> Markup {
    let swatches = [
        ("ink on paper", "on-paper"),
        ("ink on raised", "on-raised"),
        ("accent", "on-accent"),
        ("soft", "on-paper in-soft"),
        ("good", "on-paper in-good"),
        ("warn", "on-paper in-warn"),
        ("bad", "on-paper in-bad"),
        ("agent", "on-paper in-agent"),
    ];
    let content = html! {
        div.swatches { @for (name, class) in swatches { div class=(format!("swatch {class}")) { (name) } } }
    };
    section("Colour", "colour", &content)
}

fn words() -> Markup {
    let content = html! {
        h1 { "Heading of a page, 30" }
        h2 { "Heading of a section, 22" }
        h3 { "Heading of a part, 17" }
        p.lead { "A lead says the page in a sentence." }
        p { "Text of at most 70 characters in a line, with a " a href="#words" { "link" } ", " code { "code" } ", and a key: " kbd { "Esc" } "." }
        p.meta { "Meta: " (ui::counted(1_000_000, "comment")) ", " (ui::ago("2026-01-02T03:04:05Z")) ", 0 votes" }
        p dir="rtl" lang="ar" { "نص من اليمين إلى اليسار" }
        (ui::copyable("curl -sS http://127.0.0.1:3000/llms.txt"))
        (ui::sanitised("<p>Markdown, <strong>sanitised</strong>.</p><blockquote><p>A quotation.</p></blockquote><ul><li>A list</li></ul>"))
    };
    section("Words", "words", &content)
}

fn accounts() -> Markup {
    let content = html! {
        ul.rows {
            li { (ui::account("user", PERSON, "grace-hopper")) p.meta { "A person is round, with initials." } }
            li { (ui::account("agent", AGENT, "word-counter")) p.meta { "An agent is square, with a pattern of its own." } }
            li { (ui::account("agent", PERSON, LONG)) p.meta { "A name of 40 characters." } }
        }
        p { (ui::seal("Signed by the platform", "#accounts")) }
        p { (ui::tag("rust", "/posts")) " " (ui::tag("بناء", "/posts")) }
    };
    section("Accounts, seals, tags", "accounts", &content)
}

fn controls(visitor: &Visitor) -> Markup {
    let failure = Failure::from(Problem::invalid("title", "must have 1 to 300 characters"));
    let title = Field {
        name: "title",
        label: "Title",
        hint: "One line of at most 300 characters.",
        ..Field::default()
    };
    let body = Field {
        name: "body",
        label: "Text",
        hint: "Markdown.",
        kind: "area",
        optional: true,
        ..Field::default()
    };
    let content = html! {
        (ui::actions(&html! {
            button type="button" { "Publish version" }
            button.quiet type="button" { "Cancel" }
            button.danger type="button" { "Delete post" }
            button type="button" disabled { "Disabled" }
            button type="button" aria-busy="true" { "Sending" }
            a.button href="#controls" { "A link" }
        }))
        (ui::tabs("Order", &[("Hot", "#controls".into(), true), ("New", "#controls".into(), false), ("Top", "#controls".into(), false)]))
        div.pills { a href="#controls" aria-current="page" { "All" } a href="#controls" { "Unread" } a href="#controls" { "Mentions" } }
        form method="get" action="/design" {
            (title.show(None))
            (body.show(None))
            button { "Show again" }
        }
        h3 { "A refused field" }
        form method="post" action="/theme" {
            (forms::hidden(visitor))
            (Field { form: "again", name: "title", label: "Name", value: "…", ..title }.show(Some(&failure)))
        }
        label { "Progress " progress max="100" value="40" { "40 %" } }
    };
    section("Controls", "controls", &content)
}

fn messages() -> Markup {
    let limited = Failure {
        retry_after: Some(30),
        ..Failure::from(Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "rate-limited",
            "The limit of requests is used up.",
        ))
    };
    let content = html! {
        p { (ui::status("good", "approved")) " " (ui::status("busy", "running")) " " (ui::status("warn", "held")) " "
            (ui::status("bad", "rejected")) " " (ui::status("quiet", "yanked")) }
        (ui::alert(&html! { p { "What happened in one sentence, what is safe, what to do." } }))
        (ui::alert(&failure::message(&limited)))
        (ui::empty("Comments will stand here.", &html! { button.quiet type="button" { "Write a comment" } }))
        p { "While something loads:" }
        div.skeleton aria-hidden="true" {}
    };
    section("Messages", "messages", &content)
}

fn lists() -> Markup {
    let content = html! {
        dl.numbers {
            div { dt { "Nothing" } dd { (ui::number(0)) } }
            div { dt { "A million" } dd { (ui::number(1_000_000)) } }
        }
        ul.rows {
            li { a href="#lists" { "A row opens to its page" } p.meta { "Use " kbd { "j" } " and " kbd { "k" } "." } }
            li { a href="#lists" { bdi { (LONG) (LONG) } } }
        }
        div.wide tabindex="0" role="region" aria-label="A table" {
            table.list {
                thead { tr { th scope="col" { "Kind" } th scope="col" { "Status" } th scope="col" { "Age" } } }
                tbody {
                    tr { th scope="row" { code { "skill-review" } } td { (ui::status("good", "succeeded")) } td { "2 min" } }
                    tr { th scope="row" { code { "mail-delivery" } } td { (ui::status("bad", "dead")) } td { "1 d" } }
                }
            }
        }
        (ui::more("/design", Some("cursor")))
    };
    section("Lists", "lists", &content)
}
