//! The search over everything: what the caller may read, the best first, and of the rest not even that it is there.

use crate::functions::channels::actions::{channel, each, post};
use crate::functions::channels::moderation::block;
use anyhow::{Context, Result};
use e2e::{
    Server,
    agents::Agent,
    client::{code, read, refusal},
    people::Person,
    publishing::{approved, fixture, manifest, upload},
};
use serde_json::{Value, json};

/// What somebody, or nobody who is signed in, finds.
pub async fn find(
    server: &Server,
    who: Option<&Agent>,
    query: &[(&str, &str)],
) -> Result<(u16, Value)> {
    let mut request = server
        .http
        .get(format!("{}/api/search", server.url))
        .query(query);
    if let Some(who) = who {
        request = request.bearer_auth(&who.token);
    }
    let response = request.send().await?;
    read(response).await
}

/// Type and title of each result.
pub async fn found(
    server: &Server,
    who: Option<&Agent>,
    query: &str,
) -> Result<Vec<(String, String)>> {
    let (status, page) = find(server, who, &[("query", query)]).await?;
    assert_eq!(status, 200, "{query}: {page:#}");
    assert_eq!(page["missing"], json!([]), "{query}");
    let text = |item: &Value, name: &str| item[name].as_str().unwrap_or_default().to_owned();
    let items = page["items"].as_array().context("items")?;
    Ok(items
        .iter()
        .map(|item| (text(item, "type"), text(item, "title")))
        .collect())
}

pub fn pair(kind: &str, title: &str) -> (String, String) {
    (kind.to_owned(), title.to_owned())
}

#[tokio::test]
async fn words_are_found_in_everything_and_the_best_come_first() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    Agent::sign_in(&server, "weather-watcher", 2).await?;
    let mut skill = manifest("weather", "1.0.0");
    skill["description"] = json!("Tells how it will be.");
    approved(&server, &ada, &skill, "adder").await?;
    let new = json!({ "name": "forecasts", "topic": "Weather of the week" });
    let (_, made) = ada.send(&server, "POST", "/api/channels", &new).await?;
    let id = made["id"].as_str().context("id")?;
    let message = post(
        &server,
        &ada,
        id,
        "Rain tomorrow, says the **weather** office",
    )
    .await?;

    let (_, page) = find(&server, Some(&ada), &[("query", "Weather")]).await?;
    let items = page["items"].as_array().context("items")?;
    let mut kinds: Vec<_> = items
        .iter()
        .filter_map(|item| item["type"].as_str())
        .collect();
    assert_eq!(kinds.first(), Some(&"skill"), "its very name: {page:#}");
    let ranks: Vec<_> = items
        .iter()
        .filter_map(|item| item["rank"].as_f64())
        .collect();
    assert!(ranks.is_sorted_by(|one, next| one >= next), "{ranks:?}");
    kinds.sort_unstable();
    assert_eq!(kinds, ["account", "channel", "message", "skill"]);
    let hit = items
        .iter()
        .find(|item| item["type"] == "message")
        .context("the message")?;
    assert_eq!(hit["id"], message["id"]);
    assert_eq!(hit["title"], "#forecasts");
    assert_eq!(hit["snippet"], "Rain tomorrow, says the weather office");
    let around = message["id"].as_str().context("id")?;
    assert_eq!(hit["url"], format!("/channels/{id}?around={around}"));
    assert_eq!(hit["created_at"], message["created_at"]);
    assert_eq!(page["next"], Value::Null);

    // By type, in the plural too, and by several.
    for (types, expected) in [
        ("channel", &["channel"][..]),
        ("channels", &["channel"]),
        ("account,skill", &["account", "skill"]),
    ] {
        let asked = [("query", "weather"), ("type", types)];
        let (_, page) = find(&server, Some(&ada), &asked).await?;
        let mut kinds = each(&page, "type");
        kinds.sort_by_key(|kind| kind.to_string());
        assert_eq!(kinds, expected, "{types}");
    }
    // A long text is shown around the word.
    let long = format!("{} needle {}", "hay ".repeat(300), "straw ".repeat(300));
    post(&server, &ada, id, &long).await?;
    let (_, page) = find(&server, Some(&ada), &[("query", "needle")]).await?;
    let snippet = page["items"][0]["snippet"].as_str().context("snippet")?;
    assert!(
        snippet.contains("needle") && snippet.chars().count() <= 202,
        "{snippet}"
    );
    Ok(())
}

#[tokio::test]
async fn other_scripts_and_misspelt_words_are_found() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let about = json!({ "description": "Übersetzt 文書を翻訳します" });
    let changed = ada.send(&server, "PATCH", "/api/agents/me", &about).await?;
    assert_eq!(changed.0, 200);
    let mut skill = manifest("tenki", "1.0.0");
    skill["description"] = json!("今日の天気を教えます");
    approved(&server, &ada, &skill, "adder").await?;
    let new = json!({ "name": "kaigi", "topic": "会議の予定" });
    let (_, made) = ada.send(&server, "POST", "/api/channels", &new).await?;
    let id = made["id"].as_str().context("id")?;
    for body in [
        "明日の会議は十時です",
        "我们下周开会讨论",
        "Привет, Кот",
        "The deployment is finished",
        "cafe\u{301}",
    ] {
        post(&server, &ada, id, body).await?;
    }
    let message = pair("message", "#kaigi");
    for (query, expected) in [
        ("会議", vec![pair("channel", "#kaigi"), message.clone()]),
        ("开会", vec![message.clone()]),
        ("讨论 下周", vec![message.clone()]),
        ("天気", vec![pair("skill", "tenki")]),
        ("翻訳", vec![pair("account", "ada")]),
        ("ÜBERSETZT", vec![pair("account", "ada")]),
        ("ПРИВЕТ кот", vec![message.clone()]),
        ("CAFÉ", vec![message.clone()]),
        ("deploymnet", vec![message.clone()]),
        ("finised deploymet", vec![message.clone()]),
        ("tenkki", vec![pair("skill", "tenki")]),
        ("kaiggi", vec![pair("channel", "#kaigi")]),
        ("会議 zzzzzz", vec![]),
        ("%", vec![]),
        ("'; drop (", vec![]),
    ] {
        let mut found = found(&server, Some(&ada), query).await?;
        found.sort();
        assert_eq!(found, expected, "{query}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_not_for_the_caller_is_not_there() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let eve = Agent::sign_in(&server, "eve", 3).await?;
    let none: Vec<(String, String)> = vec![];

    // A private channel: its members find it and what is said in it, until they are none.
    let secret = channel(&server, &ada, "zebra-plans", true).await?;
    let members = format!("/api/channels/{secret}/members");
    ada.send(&server, "POST", &members, &json!({ "account": "bob" }))
        .await?;
    post(&server, &ada, &secret, "the zebra arrives").await?;
    let both = [
        pair("channel", "#zebra-plans"),
        pair("message", "#zebra-plans"),
    ];
    let mut seen = found(&server, Some(&bob), "zebra").await?;
    seen.sort();
    assert_eq!(seen, both);
    for who in [Some(&eve), None] {
        for query in ["zebra", "zebra-plans", "zebre", secret.as_str()] {
            assert_eq!(found(&server, who, query).await?, none, "{query}");
        }
    }
    let kicked = ada
        .send(
            &server,
            "DELETE",
            &format!("{members}/{}", bob.id),
            &json!({}),
        )
        .await?;
    assert!(kicked.0 < 300, "{kicked:?}");
    assert_eq!(found(&server, Some(&bob), "zebra").await?, none);

    // A direct message.
    let (_, direct) = ada
        .send(&server, "POST", "/api/dms", &json!({ "to": ["bob"] }))
        .await?;
    let direct = direct["id"].as_str().context("id")?;
    post(&server, &ada, direct, "a giraffe for you").await?;
    assert_eq!(
        found(&server, Some(&bob), "giraffe").await?,
        [pair("message", "Direct message")]
    );
    assert_eq!(found(&server, Some(&eve), "giraffe").await?, none);

    // A message that is edited, hidden, whispered or deleted.
    let open = channel(&server, &ada, "general", false).await?;
    let messages = format!("/api/channels/{open}/messages");
    let said = post(&server, &ada, &open, "an antelope").await?;
    let path = format!("{messages}/{}", said["id"].as_str().context("id")?);
    assert_eq!(found(&server, Some(&eve), "antelope").await?.len(), 1);
    assert_eq!(
        found(&server, None, "antelope").await?,
        none,
        "channels are read signed in"
    );
    ada.send(&server, "PATCH", &path, &json!({ "body": "a buffalo" }))
        .await?;
    assert_eq!(found(&server, Some(&eve), "antelope").await?, none);
    assert_eq!(found(&server, Some(&eve), "buffalo").await?.len(), 1);
    let id = said["id"].as_str().context("id")?;
    for (state, undo) in [
        ("hidden_at = now()".to_owned(), "hidden_at = null"),
        (
            format!("visible_to = '{{{}}}'", bob.id),
            "visible_to = null",
        ),
    ] {
        let set = |what: &str| format!("update channels.message set {what} where id = '{id}'");
        server.database.execute(&set(&state)).await?;
        assert_eq!(
            found(&server, Some(&eve), "buffalo").await?,
            none,
            "{state}"
        );
        server.database.execute(&set(undo)).await?;
    }
    ada.send(&server, "DELETE", &path, &json!({})).await?;
    for who in [&ada, &eve] {
        assert_eq!(found(&server, Some(who), "buffalo").await?, none);
    }

    // Whom one has blocked.
    post(&server, &ada, &open, "a crocodile").await?;
    block(&server, &eve, ada.id).await?;
    for query in ["crocodile", "crocodlie", "ada"] {
        assert_eq!(found(&server, Some(&eve), query).await?, none, "{query}");
        assert_eq!(found(&server, Some(&bob), query).await?.len(), 1, "{query}");
    }
    Ok(())
}

#[tokio::test]
async fn accounts_and_skills_are_found_while_they_are_active_and_approved() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let gone = Agent::sign_in(&server, "flamingo", 2).await?;
    Agent::sign_in(&server, "flamingo-two", 3).await?;
    Person::register(&server, "flamingo-person").await?;
    let names = async |who: Option<&Agent>| {
        let mut found = found(&server, who, "flamingo").await?;
        found.sort();
        anyhow::Ok(
            found
                .into_iter()
                .map(|(_, title)| title)
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(
        names(Some(&ada)).await?,
        ["flamingo", "flamingo-person", "flamingo-two"]
    );
    let person = Person::register(&server, "grace").await?;
    let about = json!({ "description": "Counts Flamingos" });
    let changed = person.send(&server, "PATCH", "/api/users/me", &about);
    assert_eq!(changed.await?.0, 200);
    assert!(names(Some(&ada)).await?.contains(&"grace".to_owned()));
    let none = json!({ "description": "" });
    let changed = person.send(&server, "PATCH", "/api/users/me", &none);
    assert_eq!(changed.await?.0, 200);
    assert_eq!(
        names(None).await?,
        Vec::<String>::new(),
        "accounts are listed to accounts"
    );
    let admin = Person::register(&server, "operator")
        .await?
        .into_admin(&server)
        .await?;
    let suspend = format!("/api/accounts/{}/suspend", gone.id);
    let answer = admin
        .request(&server, "POST", &suspend)
        .json(&json!({}))
        .send()
        .await?;
    assert!(answer.status().is_success(), "{}", answer.text().await?);
    server
        .database
        .execute(
            "select identity.leave(id, '{}') from identity.account where name = 'flamingo-two'",
        )
        .await?;
    assert_eq!(names(Some(&ada)).await?, ["flamingo-person"]);

    // Anybody finds a skill, once it is approved and until it is withdrawn.
    let new = manifest("pelican", "1.0.0");
    upload(&server, &ada, &new, fixture("adder")?).await?;
    let skill = async |who| found(&server, who, "pelican").await;
    assert_eq!(skill(Some(&ada)).await?, []);
    e2e::publishing::decide(&server, &new, "approve").await?;
    assert_eq!(skill(None).await?, [pair("skill", "pelican")]);
    let version = "/api/skills/pelican/versions/1.0.0";
    let yanked = ada.send(&server, "DELETE", version, &json!({})).await?;
    assert!(yanked.0 < 300, "{yanked:?}");
    assert_eq!(skill(None).await?, []);
    Ok(())
}

#[tokio::test]
async fn a_query_has_words_and_bounds() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let long = "é".repeat(200);
    assert_eq!(find(&server, None, &[("query", &long)]).await?.0, 200);
    for (parameters, field) in [
        (vec![], "query"),
        (vec![("query", "")], "query"),
        (vec![("query", " \u{3000}\t")], "query"),
        (vec![("query", &*format!("{long}e"))], "query"),
        (vec![("query", "a"), ("type", "unicorn")], "type"),
        (vec![("query", "a"), ("type", "")], "type"),
        (vec![("query", "a"), ("type", "message,")], "type"),
        (vec![("query", "a"), ("limit", "0")], "limit"),
        (vec![("query", "a"), ("limit", "101")], "limit"),
    ] {
        let answer = find(&server, Some(&ada), &parameters).await?;
        assert_eq!(refusal(&answer), (422, "invalid-input"), "{parameters:?}");
        let told = answer.1["errors"].to_string();
        assert!(told.contains(field), "{parameters:?}: {told}");
    }
    let zero = find(&server, None, &[("query", "a\0b")]).await?;
    assert_eq!(refusal(&zero), (422, "invalid-input"));
    let stranger = server
        .http
        .get(format!("{}/api/search?query=a", server.url));
    let refused = code(stranger.bearer_auth("nonsense").send().await?).await?;
    assert_eq!(refused, (401, "unauthenticated".to_owned()));
    Ok(())
}

#[tokio::test]
async fn results_come_in_pages_each_once() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let id = channel(&server, &ada, "herd", false).await?;
    post(&server, &ada, &id, "the first gnu").await?;
    // More than are shown at all, some at the same moment.
    server
        .database
        .execute(
            "insert into channels.message (channel_id, seq, author_id, body, html, plain, words, created_at)
             select m.channel_id, 1 + n, m.author_id, m.body, m.html, m.plain, m.words,
                 m.created_at + n / 3 * interval '1 s'
             from channels.message m, generate_series(1, 250) n",
        )
        .await?;
    let (_, whole) = find(&server, Some(&ada), &[("query", "gnu"), ("limit", "100")]).await?;
    let mut seen: Vec<Value> = vec![];
    let mut after = None::<String>;
    loop {
        let mut query = vec![("query", "gnu"), ("limit", "30")];
        query.extend(after.as_deref().map(|after| ("after", after)));
        let (status, page) = find(&server, Some(&ada), &query).await?;
        assert_eq!(status, 200, "{page:#}");
        seen.extend(page["items"].as_array().context("items")?.clone());
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 200);
    assert_eq!(&seen[..100], whole["items"].as_array().context("items")?);
    let times: Vec<_> = seen
        .iter()
        .filter_map(|hit| hit["created_at"].as_str())
        .collect();
    assert!(
        times.is_sorted_by(|newer, older| newer >= older),
        "{times:?}"
    );
    let ids: std::collections::HashSet<_> = seen.iter().map(|hit| hit["id"].to_string()).collect();
    assert_eq!(ids.len(), 200);
    Ok(())
}
