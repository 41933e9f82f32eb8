//! Search by meaning over posts, messages and memories: made by a job, added to the search by words, and never more than the
//! caller may read.

use super::results::find;
use crate::functions::channels::actions::{channel, post};
use crate::functions::channels::moderation::block;
use crate::functions::memory::world::note;
use anyhow::{Context, Result, ensure};
use e2e::{
    Server,
    agents::Agent,
    client::refusal,
    errands::quick,
    meanings::{Meanings, vector},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A platform whose embedding model is a stand-in.
pub struct World {
    pub server: Server,
    pub meanings: Meanings,
    pub ada: Agent,
    pub bob: Agent,
}

impl World {
    pub async fn new() -> Result<Self> {
        let (server, meanings) = Meanings::serve().await?;
        let ada = Agent::sign_in(&server, "ada", 1).await?;
        let bob = Agent::sign_in(&server, "bob", 2).await?;
        Ok(Self {
            server,
            meanings,
            ada,
            bob,
        })
    }

    pub async fn number(&self, sql: &'static str) -> Result<i64> {
        let mut database = self.server.database.connect().await?;
        Ok(sqlx::query_scalar(sql).fetch_one(&mut database).await?)
    }

    /// Waits until no text lacks its vectors.
    pub async fn embedded(&self) -> Result<()> {
        let began = Instant::now();
        let left = "select (select count(*) from search.wanted)
             + (select count(*) from memory.version where not embedded and replaced_at is null)";
        while self.number(left).await? > 0 {
            ensure!(
                began.elapsed() < Duration::from_secs(120),
                "texts have no vectors"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// The page that an account finds in a mode, as soon as the model is asked again.
    pub async fn page(&self, who: &Agent, mode: &str, query: &[(&str, &str)]) -> Result<Value> {
        let began = Instant::now();
        let query = [query, &[("mode", mode)]].concat();
        loop {
            let (status, page) = find(&self.server, Some(who), &query).await?;
            if (status, &page["degraded"]) == (200, &json!(false)) {
                assert_eq!(page["mode"], mode, "{page:#}");
                assert_eq!(page["missing"], json!([]), "{page:#}");
                return Ok(page);
            }
            ensure!(
                began.elapsed() < Duration::from_secs(60),
                "{status}: {page:#}"
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Type and snippet of what an account finds in a mode, sorted.
    pub async fn found(&self, who: &Agent, mode: &str, query: &str) -> Result<Vec<String>> {
        let page = self.page(who, mode, &[("query", query)]).await?;
        let mut found = snippets(&page)?;
        found.sort();
        Ok(found)
    }

    /// Writes a post; its id.
    pub async fn post(&self, who: &Agent, title: &str, body: &str) -> Result<String> {
        let new = json!({ "title": title, "body": body });
        let (status, made) = who.send(&self.server, "POST", "/api/posts", &new).await?;
        ensure!(status == 201, "{status}: {made:#}");
        id(&made)
    }
}

pub fn id(made: &Value) -> Result<String> {
    Ok(made["id"].as_str().context("id")?.to_owned())
}

/// Type and snippet of each result, in their order.
pub fn snippets(page: &Value) -> Result<Vec<String>> {
    let items = page["items"].as_array().context("items")?;
    let text = |item: &Value, name: &str| item[name].as_str().unwrap_or_default().to_owned();
    Ok(items
        .iter()
        .map(|item| format!("{}: {}", text(item, "type"), text(item, "snippet")))
        .collect())
}

fn ranks(page: &Value) -> Vec<f64> {
    let items = page["items"].as_array().into_iter().flatten();
    items.filter_map(|item| item["rank"].as_f64()).collect()
}

#[tokio::test]
async fn what_means_the_same_is_found_without_a_word_of_it() -> Result<()> {
    let world = World::new().await?;
    let (server, ada, bob) = (&world.server, &world.ada, &world.bob);
    let _worker = server.worker(quick()).await?;
    world.post(ada, "On the road", "An automobile.").await?;
    world
        .post(ada, "The vehicle", "Without a word in its text.")
        .await?;
    let general = channel(server, ada, "general", false).await?;
    post(server, ada, &general, "My car is **red**.").await?;
    post(server, ada, &general, "A physician came.").await?;
    note(server, ada, "She drives at night.", json!({})).await?;
    world.embedded().await?;

    let expected = [
        "memory: She drives at night.",
        "message: My car is red.",
        "post: An automobile.",
        "post: Without a word in its text.",
    ];
    assert_eq!(world.found(ada, "semantic", "Vehicle").await?, expected);
    assert_eq!(
        world.found(bob, "semantic", "vehicle").await?,
        expected[1..]
    );
    assert_eq!(
        world.found(ada, "text", "automobile").await?,
        expected[2..3]
    );
    let (_, page) = find(server, Some(ada), &[("query", "automobile")]).await?;
    assert_eq!(page["mode"], "text", "the mode is text if absent");
    assert_eq!(snippets(&page)?, expected[2..3]);
    assert_eq!(
        world
            .page(
                ada,
                "semantic",
                &[("query", "car"), ("type", "memories,post")]
            )
            .await?["items"]
            .as_array()
            .map(Vec::len),
        Some(3)
    );
    let channels = [("query", "car"), ("type", "channel,comment")];
    let page = world.page(ada, "semantic", &channels).await?;
    assert_eq!(page["items"], json!([]), "they have no meaning");

    // A memory is found by its words, too, unless the token does not allow to read it.
    assert_eq!(world.found(ada, "text", "DRIVES").await?, expected[..1]);
    assert_eq!(world.found(ada, "text", "drivs").await?, expected[..1]);
    let less = ada.with_scope(&server.database, "skills:call").await?;
    for mode in ["text", "semantic", "hybrid"] {
        let found = world.found(&less, mode, "drives").await?;
        assert!(
            !found.contains(&expected[0].to_owned()),
            "{mode}: {found:?}"
        );
    }
    let counts: Vec<(String, f64)> = sqlx::query_as(
        "select value, number from search.measures() m (name, help, is_total, label, value, number)
         where name = 'gather_searches_total' and number > 0 order by value",
    )
    .fetch_all(&mut server.database.connect().await?)
    .await?;
    let modes: Vec<_> = counts.iter().map(|(mode, _)| mode.as_str()).collect();
    assert_eq!(modes, ["hybrid", "semantic", "text"], "{counts:?}");
    Ok(())
}

#[tokio::test]
async fn the_halves_are_added_and_a_name_comes_first() -> Result<()> {
    let world = World::new().await?;
    let (server, ada) = (&world.server, &world.ada);
    let _worker = server.worker(quick()).await?;
    channel(server, ada, "car", false).await?;
    let general = channel(server, ada, "general", false).await?;
    for body in [
        "The car park is closed.",
        "An automobile.",
        "A car of a physician.",
    ] {
        post(server, ada, &general, body).await?;
    }
    world.embedded().await?;
    let asked = [("query", "car")];
    let text = world.page(ada, "text", &asked).await?;
    let semantic = world.page(ada, "semantic", &asked).await?;
    let hybrid = world.page(ada, "hybrid", &asked).await?;
    let order = snippets(&hybrid)?;
    assert_eq!(
        order,
        [
            "channel: ",
            "message: The car park is closed.",
            "message: A car of a physician.",
            "message: An automobile."
        ]
    );
    let rank = |page: &Value, wanted: &str| {
        let all = snippets(page).unwrap_or_default();
        let place = all.iter().position(|found| found == wanted);
        place.and_then(|place| ranks(page).get(place).copied())
    };
    for wanted in &order {
        let words = rank(&text, wanted)
            .map_or(0.0, |rank| rank / 3.0 + if rank >= 3.0 { 1.0 } else { 0.0 });
        let sum = words + rank(&semantic, wanted).unwrap_or_default();
        let added = rank(&hybrid, wanted).context("a rank")?;
        assert!((added - sum).abs() < 0.0002, "{wanted}: {added} {sum}");
    }
    assert_eq!(rank(&semantic, "message: An automobile."), Some(1.0));
    let near = rank(&semantic, "message: A car of a physician.").context("near")?;
    assert!(
        near > 0.5 && near < 0.9,
        "the best of a bad list is not 1: {near}"
    );
    // A rank depends neither on the size of the page, nor on what else is asked for.
    let one = [("query", "car"), ("type", "message"), ("limit", "1")];
    let one = world.page(ada, "hybrid", &one).await?;
    assert_eq!(ranks(&one)[0], ranks(&hybrid)[1]);
    Ok(())
}

#[tokio::test]
async fn what_is_private_never_crosses() -> Result<()> {
    let world = World::new().await?;
    let (server, ada, bob) = (&world.server, &world.ada, &world.bob);
    let _worker = server.worker(quick()).await?;
    let eve = Agent::sign_in(server, "eve", 3).await?;
    let secret = channel(server, ada, "secret", true).await?;
    let members = format!("/api/channels/{secret}/members");
    ada.send(server, "POST", &members, &json!({ "account": "bob" }))
        .await?;
    post(server, ada, &secret, "A car in secret.").await?;
    let (_, direct) = ada
        .send(server, "POST", "/api/dms", &json!({ "to": ["bob"] }))
        .await?;
    post(server, ada, &id(&direct)?, "A car for you.").await?;
    let open = channel(server, ada, "open", false).await?;
    let whisper = id(&post(server, ada, &open, "A whispered car.").await?)?;
    let for_bob = format!(
        "update channels.message set visible_to = '{{{}}}' where id = '{whisper}'",
        bob.id
    );
    server.database.execute(&for_bob).await?;
    post(server, ada, &open, "A car for all.").await?;
    world.post(ada, "Title", "A car in a post.").await?;
    note(server, ada, "A car of mine.", json!({})).await?;
    world.embedded().await?;

    let both = [
        "message: A car for all.",
        "message: A car for you.",
        "message: A car in secret.",
        "message: A whispered car.",
        "post: A car in a post.",
    ];
    for mode in ["semantic", "hybrid"] {
        let query = "vehicle";
        assert_eq!(world.found(bob, mode, query).await?, both, "{mode}");
        assert_eq!(
            world.found(&eve, mode, query).await?,
            [both[0], both[4]],
            "{mode}"
        );
    }
    // Who is not a member any more, and who has blocked the author.
    let kick = format!("{members}/{}", bob.id);
    ada.send(server, "DELETE", &kick, &json!({})).await?;
    let left = world.found(bob, "semantic", "vehicle").await?;
    assert_eq!(left, [both[0], both[1], both[3], both[4]]);
    block(server, &eve, ada.id).await?;
    let none: [&str; 0] = [];
    for mode in ["semantic", "hybrid"] {
        assert_eq!(world.found(&eve, mode, "vehicle").await?, none, "{mode}");
    }
    Ok(())
}

#[tokio::test]
async fn what_may_not_be_read_makes_no_page_shorter() -> Result<()> {
    let world = World::new().await?;
    let (server, ada, bob) = (&world.server, &world.ada, &world.bob);
    let eve = Agent::sign_in(server, "eve", 3).await?;
    let open = channel(server, ada, "open", false).await?;
    let members = format!("/api/channels/{open}/members");
    ada.send(server, "POST", &members, &json!({ "account": "bob" }))
        .await?;
    let message = id(&post(server, bob, &open, "A car.").await?)?;
    for n in 0..3 {
        post(server, ada, &open, &format!("Car {n} of a physician.")).await?;
    }
    world.post(bob, "Car", "A car.").await?;
    world.post(ada, "Car and physician", "Both.").await?;
    // More that are nearer than a page has, and than are looked at in all, by somebody whom the reader does not see.
    let copies = format!(
        "insert into channels.message (channel_id, seq, author_id, body, html, plain, words)
         select channel_id, 100 + n, author_id, body, html, plain, words from channels.message, generate_series(1, 400) n
         where id = '{message}';
         insert into search.vector (kind, id, model, passage, place, embedding)
         select w.kind, w.id, 'local', 1, w.place, case when w.author_id = '{}' then '{near}' else '{far}' end::vector.halfvec
         from search.wanted w;
         delete from search.wanted",
        bob.id,
        near = json!(vector("car")),
        far = json!(vector("car of a physician")),
    );
    server.database.execute(&copies).await?;
    block(server, &eve, bob.id).await?;
    for mode in ["semantic", "hybrid"] {
        let asked = [("query", "vehicle"), ("limit", "3")];
        let page = world.page(&eve, mode, &asked).await?;
        assert_eq!(snippets(&page)?.len(), 3, "{mode}: {page:#}");
        let all = [("query", "vehicle"), ("limit", "100")];
        let page = world.page(&eve, mode, &all).await?;
        assert_eq!(snippets(&page)?.len(), 4, "{mode}: {page:#}");
        assert_eq!(page["next"], Value::Null);
    }
    // The others find them all, each once, page by page.
    let (mut seen, mut last) = (Vec::new(), f64::MAX);
    let mut after = None::<String>;
    loop {
        let mut asked = vec![("query", "car"), ("limit", "70")];
        asked.extend(after.as_deref().map(|after| ("after", after)));
        let page = world.page(ada, "hybrid", &asked).await?;
        for (item, rank) in page["items"]
            .as_array()
            .context("items")?
            .iter()
            .zip(ranks(&page))
        {
            assert!(rank <= last, "{page:#}");
            last = rank;
            seen.push(id(item)?);
        }
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 200);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 200, "a result came twice");
    let (_, first) = find(server, Some(ada), &[("query", "car"), ("limit", "5")]).await?;
    let after = first["next"].as_str().context("next")?;
    let other = [("query", "car"), ("mode", "hybrid"), ("after", after)];
    let refused = find(server, Some(ada), &other).await?;
    assert_eq!(refusal(&refused), (422, "invalid-cursor"));
    Ok(())
}

#[tokio::test]
async fn a_mode_is_one_of_three_and_strangers_search_words() -> Result<()> {
    let world = World::new().await?;
    let (server, ada) = (&world.server, &world.ada);
    world.post(ada, "Road", "An automobile.").await?;
    for mode in ["", "magic", "TEXT", "text,semantic"] {
        let refused = find(server, Some(ada), &[("query", "a"), ("mode", mode)]).await?;
        assert_eq!(refusal(&refused), (422, "invalid-input"), "{mode}");
    }
    let asked = |mode| [("query", "automobile"), ("mode", mode)];
    let refused = find(server, None, &asked("semantic")).await?;
    assert_eq!(refusal(&refused), (401, "unauthenticated"));
    let (status, page) = find(server, None, &asked("hybrid")).await?;
    assert_eq!(
        (status, &page["mode"], &page["degraded"]),
        (200, &json!("text"), &json!(true))
    );
    assert_eq!(snippets(&page)?, ["post: An automobile."]);
    assert!(
        world.meanings.models.asked().is_empty(),
        "nobody pays for strangers"
    );
    Ok(())
}
