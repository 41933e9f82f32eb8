//! Channels in a browser without scripts: made, found, joined, written in and read.

use anyhow::{Context, Result};
use e2e::{
    Server,
    browser::{Browser, Page},
    people::Person,
};
use reqwest::StatusCode;

const HOSTILE: &str = "<img src=x onerror=alert(1)> [x](javascript:alert(1)) <div hx-get=/sign-out data-hx-on:click=alert(1)>**bold**</div>";

/// Two people with browsers of their own, of whom the first has made a channel.
struct World {
    server: Server,
    grace: Browser,
    alan: Browser,
}

impl World {
    async fn new() -> Result<Self> {
        let server = Server::start().await?;
        let grace = Person::register(&server, "grace").await?.browser(&server)?;
        let alan = Person::register(&server, "alan").await?.browser(&server)?;
        let page = grace.get("/channels/new").await?;
        let fields = [("name", "general"), ("topic", "All <b>things</b>")];
        let page = grace
            .submit(&page, "form[action='/channels']", &fields)
            .await?;
        assert_eq!(
            (page.path.as_str(), page.status),
            ("/channels/general", StatusCode::OK)
        );
        Ok(Self {
            server,
            grace,
            alan,
        })
    }

    /// Writes a message, and returns the page that follows.
    async fn write(&self, browser: &Browser, body: &str) -> Result<Page> {
        let page = browser.get("/channels/general").await?;
        let page = browser
            .submit(&page, "#composer", &[("body", body)])
            .await?;
        assert_eq!(page.status, StatusCode::OK, "{}", page.html);
        Ok(page)
    }

    async fn join(&self, browser: &Browser) -> Result<()> {
        let page = browser.get("/channels").await?;
        let page = browser
            .submit(&page, "form[action='/channels/general/join']", &[])
            .await?;
        assert!(page.has("#composer"), "{}", page.html);
        Ok(())
    }
}

/// The ids of the messages on a page, in their order.
fn ids(page: &Page) -> Vec<String> {
    let messages = page.all(".message");
    let ids = messages
        .iter()
        .filter_map(|message| message.attr("data-id"));
    ids.map(str::to_owned).collect()
}

#[tokio::test]
async fn people_talk_without_scripts_and_the_mention_is_in_the_inbox() -> Result<()> {
    let world = World::new().await?;
    let World { grace, alan, .. } = &world;
    world.join(alan).await?;
    world.write(grace, "Hello @alan, it is **green**").await?;
    let page = alan.get("/channels").await?;
    assert_eq!(page.text(".channels .count"), "1 unread");
    let page = alan.get("/inbox").await?;
    assert!(
        page.text("title").starts_with("(1) "),
        "{}",
        page.text("title")
    );
    let link = page.attribute(".inbox [data-unread=true] .title a", "href");
    let page = alan.get(&link.context("a link to the message")?).await?;
    assert_eq!(page.text(".message[aria-current] .text strong"), "green");
    assert_eq!(page.text("#unread-line"), "Unread");
    assert_eq!(page.headers["cache-control"], "private, no-store");
    // Looking at it has changed nothing; the button does.
    assert_eq!(
        alan.get("/channels").await?.text(".channels .count"),
        "1 unread"
    );
    alan.submit(&page, "form.mark", &[]).await?;
    assert!(!alan.get("/channels").await?.has(".channels .count"));

    let reply = page
        .attribute("a.reply", "href")
        .context("a way to reply")?;
    let page = alan.get(&reply).await?;
    let page = alan
        .submit(&page, "#composer", &[("body", "It is")])
        .await?;
    assert!(
        page.text(".message .answers")
            .contains("grace: Hello @alan"),
        "{}",
        page.html
    );
    let items = grace.get("/inbox?kind=reply").await?;
    assert!(
        items.text(".inbox .title").contains("alan replied"),
        "{}",
        items.html
    );
    Ok(())
}

#[tokio::test]
async fn hostile_text_stays_text() -> Result<()> {
    let world = World::new().await?;
    let page = world.write(&world.grace, HOSTILE).await?;
    let part = page.attribute(".message", "data-id").context("a message")?;
    let part = world
        .grace
        .get(&format!("/parts/channels/general/messages/{part}"))
        .await?;
    let one = world
        .grace
        .get(&format!("/channels/general/messages/{}", ids(&page)[0]))
        .await?;
    let directory = world.alan.get("/channels").await?;
    for page in [&page, &part, &one, &directory] {
        for selector in [
            "main img:not(.avatar)",
            "main [onerror]",
            "main [data-hx-on\\:click]",
            "a[href^='javascript']",
            ".text [hx-get]",
            ".topic b",
            "h3 + p b",
        ] {
            assert!(!page.has(selector), "{selector} in {}", page.path);
        }
    }
    assert!(
        directory.html.contains("All &lt;b&gt;things"),
        "{}",
        directory.html
    );
    Ok(())
}

#[tokio::test]
async fn history_is_read_page_by_page_and_around_a_message() -> Result<()> {
    let world = World::new().await?;
    let grace = Person::sign_in(&world.server, "grace@example.org", e2e::people::PASSWORD).await?;
    // An account younger than a day is held back after sixty messages an hour.
    let aged = "update identity.account set created_at = now() - interval '2 days'";
    world.server.database.execute(aged).await?;
    let mut all = Vec::new();
    for number in 0..120 {
        let body = serde_json::json!({"body": format!("message {number}")});
        let path = "/api/channels/general/messages";
        let (status, message) = grace.send(&world.server, "POST", path, &body).await?;
        assert_eq!(status, 201, "{message}");
        all.push(message["id"].as_str().context("an id")?.to_owned());
    }
    let newest = world.grace.get("/channels/general").await?;
    assert_eq!(ids(&newest), all[70..]);
    let earlier = newest
        .attribute("a[rel=prev]", "href")
        .context("earlier ones")?;
    let middle = world.grace.get(&earlier).await?;
    assert_eq!(ids(&middle), all[20..70]);
    let later = middle
        .attribute("a[rel=next]", "href")
        .context("later ones")?;
    assert_eq!(ids(&world.grace.get(&later).await?), all[70..]);
    let earliest = middle
        .attribute("a[rel=prev]", "href")
        .context("the earliest")?;
    let earliest = world.grace.get(&earliest).await?;
    assert_eq!(ids(&earliest), all[..20]);
    assert!(!earliest.has("a[rel=prev]") && !newest.has("a[rel=next]"));
    let around = world
        .grace
        .get(&format!("/channels/general?around={}", all[50]))
        .await?;
    assert!(around.has(&format!("#m-{}[aria-current]", all[50])));
    assert!(ids(&around).contains(&all[49]) && ids(&around).contains(&all[51]));
    // What the script asks for is the same.
    let part = world
        .grace
        .get("/parts/channels/general/messages?after=100")
        .await?;
    assert_eq!(ids(&part), all[100..]);
    assert!(!part.has("nav.rail") && part.has("ol[data-later=false]"));
    Ok(())
}

#[tokio::test]
async fn messages_are_changed_deleted_and_reacted_to() -> Result<()> {
    let world = World::new().await?;
    let World { grace, alan, .. } = &world;
    world.join(alan).await?;
    let page = world.write(grace, "First").await?;
    let id = ids(&page).remove(0);
    let own = format!("/channels/general/messages/{id}");
    let csrf = page
        .attribute("#react input[name=csrf]", "value")
        .context("a token")?;
    let action = format!("{own}/reactions");
    let react = async |change: (&str, &str)| grace.post(&action, &[("csrf", &csrf), change]).await;
    let page = react(("add", "👍")).await?;
    assert_eq!(
        page.attribute(".reaction[aria-pressed=true]", "value")
            .as_deref(),
        Some("👍")
    );
    assert!(
        !react(("remove", "👍"))
            .await?
            .has(".reaction[aria-pressed=true]")
    );

    let page = grace.get(&own).await?;
    let edit = format!("form[action='{own}']");
    let page = grace.submit(&page, &edit, &[("body", "Second")]).await?;
    assert!(page.has(".message[aria-current]") && page.text(".message .text") == "Second");
    let page = grace.get(&own).await?;
    assert_eq!(
        page.texts("#versions ~ ol .text, section .rows .text"),
        ["Second", "First"]
    );
    // Others change nothing, by no way.
    let other = alan.get(&own).await?;
    assert!(
        !other.has(&edit) && !other.has("form[action$='/delete']") && !other.html.contains("First")
    );
    let csrf = other
        .attribute("input[name=csrf]", "value")
        .context("a token")?;
    for path in [own.clone(), format!("{own}/delete")] {
        let refused = alan
            .post(&path, &[("csrf", &csrf), ("body", "Mine")])
            .await?;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path}");
    }
    let delete = format!("form[action='{own}/delete']");
    let page = grace.submit(&page, &delete, &[]).await?;
    assert_eq!(page.text(".message > .meta"), "This message was deleted.");
    Ok(())
}

#[tokio::test]
async fn a_form_without_its_token_changes_nothing_and_keeps_the_text() -> Result<()> {
    let world = World::new().await?;
    for (before, csrf) in ["", "made-up"].into_iter().enumerate() {
        let page = world
            .grace
            .post(
                "/channels/general/messages",
                &[("csrf", csrf), ("body", "A long text")],
            )
            .await?;
        assert_eq!(page.status, StatusCode::FORBIDDEN);
        assert_eq!(page.text("#body"), "A long text");
        assert!(page.has("[role=alert]") && ids(&page).len() == before);
        // The form on that page is good.
        let page = world.grace.submit(&page, "#composer", &[]).await?;
        assert_eq!(
            page.texts(".message .text"),
            vec!["A long text"; before + 1]
        );
    }
    for path in [
        "/channels",
        "/channels/general/leave",
        "/directs",
        "/channels/general/settings",
    ] {
        let page = world
            .grace
            .post(
                path,
                &[("name", "other"), ("to", "alan"), ("what", "archive")],
            )
            .await?;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}");
    }
    // Nobody is signed in any more: the text is kept, too.
    let stranger = Browser::open(&world.server)?;
    let page = stranger
        .post("/channels/general/messages", &[("body", "A long text")])
        .await?;
    assert_eq!(
        (page.status, page.text("#body")),
        (StatusCode::UNAUTHORIZED, "A long text".into())
    );
    let page = world.grace.submit(&page, "main form", &[]).await?;
    assert_eq!(
        (page.status, page.text("#composer #body")),
        (StatusCode::OK, "A long text".into())
    );
    Ok(())
}

#[tokio::test]
async fn a_private_channel_is_nobody_elses() -> Result<()> {
    let world = World::new().await?;
    let World { grace, alan, .. } = &world;
    let page = grace.get("/channels/new").await?;
    let fields = [("name", "secret"), ("private", "true")];
    let page = grace
        .submit(&page, "form[action='/channels']", &fields)
        .await?;
    let path = page.path.clone();
    for path in [
        path.clone(),
        format!("{path}/settings"),
        format!("/parts{path}/messages"),
        format!("/parts{path}/members"),
        "/channels/secret".into(),
    ] {
        assert_eq!(
            alan.get(&path).await?.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    assert!(
        !alan
            .get("/channels")
            .await?
            .has("a[href='/channels/secret']")
    );
    // Its owner lets others in.
    let settings = grace.get(&format!("{path}/settings")).await?;
    let add = format!("form.filter[action='{path}/members']");
    let page = grace
        .submit(&settings, &add, &[("account", "@alan")])
        .await?;
    assert!(page.text(".rows").contains("alan"), "{}", page.html);
    assert_eq!(alan.get(&path).await?.status, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn people_write_directly() -> Result<()> {
    let world = World::new().await?;
    let World { grace, alan, .. } = &world;
    let page = grace.get("/channels/new?to=alan").await?;
    let page = grace.submit(&page, "form[action='/directs']", &[]).await?;
    assert_eq!(page.text("h1"), "alan");
    let page = grace
        .submit(&page, "#composer", &[("body", "Between us")])
        .await?;
    let path = page.path.split('#').next().unwrap_or_default().to_owned();
    let page = alan.get(&path).await?;
    assert_eq!(
        (page.text("h1"), page.text(".message .text")),
        ("grace".into(), "Between us".into())
    );
    let unknown = grace.get("/channels/new").await?;
    let page = grace
        .submit(
            &unknown,
            "form[action='/directs']",
            &[("to", "nobody-at-all")],
        )
        .await?;
    assert!(page.status == StatusCode::UNPROCESSABLE_ENTITY && page.has("#to-error"));
    Ok(())
}

#[tokio::test]
async fn own_pages_get_streams_with_the_cookie() -> Result<()> {
    let world = World::new().await?;
    let grace = Person::sign_in(&world.server, "grace@example.org", e2e::people::PASSWORD).await?;
    let channel = world.grace.get("/channels/general").await?;
    let id = channel
        .attribute(".chat", "data-channel")
        .context("an id")?;
    for path in [
        format!("/api/events/stream?topics=channel:{id}"),
        format!("/api/channels/{id}/presence"),
    ] {
        for (site, status) in [
            ("same-origin", 200),
            ("same-site", 403),
            ("cross-site", 403),
        ] {
            let request = world.server.http.get(format!("{}{path}", world.server.url));
            let request = request
                .header("cookie", &grace.cookie)
                .header("sec-fetch-site", site);
            assert_eq!(request.send().await?.status(), status, "{path} {site}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_rail_shows_joined_channels_with_their_unread_counts() -> Result<()> {
    let world = World::new().await?;
    let World { grace, alan, .. } = &world;
    assert!(!alan.get("/posts").await?.has(".rail .joined"));
    world.join(alan).await?;
    let page = alan.get("/posts").await?;
    assert_eq!(
        page.texts(".rail .joined a"),
        ["#general", "Browse channels"]
    );
    assert!(!page.has(".rail .joined .count"));
    world.write(grace, "Hello").await?;
    world.write(grace, "Is anybody here?").await?;
    let page = alan.get("/posts").await?;
    assert_eq!(page.text(".rail .joined .count"), "2 unread");
    assert!(!grace.get("/posts").await?.has(".rail .joined .count"));
    let page = alan.get("/channels/general").await?;
    assert!(page.has(".rail .joined a[aria-current=page]"));
    alan.submit(&page, "form.mark", &[]).await?;
    assert!(!alan.get("/posts").await?.has(".rail .joined .count"));
    let stranger = Browser::open(&world.server)?.get("/posts").await?;
    assert!(!stranger.has(".rail .joined"));
    Ok(())
}
