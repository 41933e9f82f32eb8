//! The search: words in any form, with swapped letters, or alike; the best first, and in pages.

use anyhow::{Context, Result};
use e2e::{
    Server,
    agents::Agent,
    publishing::{approved, manifest},
};
use serde_json::{Value, json};

/// A server with some skills: name, description, tag.
async fn start() -> Result<Server> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    for (name, description, tag) in [
        ("weather-report", "Tells the weather of a city.", "climate"),
        ("word-count", "Counts the words of a text.", "texts"),
        ("unit-converter", "Converts kilometres to miles.", "maths"),
        ("trial-log", "Keeps the log of a trial.", "law"),
        ("trail-map", "Shows a trail on a map.", "maps"),
    ] {
        let mut manifest = manifest(name, "1.0.0");
        manifest["description"] = json!(description);
        manifest["tags"] = json!([tag]);
        approved(&server, &ada, &manifest, "adder").await?;
    }
    Ok(server)
}

async fn page(server: &Server, query: &str, more: &str) -> Result<Value> {
    let url = format!("{}/api/skills?{more}", server.url);
    let request = server.http.get(url).query(&[("query", query)]);
    let response = request.send().await?;
    assert_eq!(response.status(), 200, "{query}");
    Ok(response.json().await?)
}

fn names(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().into_iter().flatten();
    items.filter_map(|item| item["name"].as_str()).collect()
}

#[tokio::test]
async fn swapped_letters_and_other_forms_are_found() -> Result<()> {
    let server = start().await?;
    for (query, expected) in [
        // Two letters swapped, in short words and long ones.
        ("wrod", "word-count"),
        ("uint", "unit-converter"),
        ("mlies", "unit-converter"),
        ("waether", "weather-report"),
        ("kilometers", "unit-converter"),
        ("wrod conut", "word-count"),
        ("the waether reoprt", "weather-report"),
        // Other forms: of the name, the tags and the description.
        ("reports", "weather-report"),
        ("reporting", "weather-report"),
        ("counted", "word-count"),
        ("math", "unit-converter"),
        ("conversion", "unit-converter"),
        // A letter missing, one too many, one that is wrong.
        ("wether", "weather-report"),
        ("weatherr", "weather-report"),
        ("kilometrez", "unit-converter"),
        // One word of several is not there.
        ("convert kilometres into miles please", "unit-converter"),
        ("Word Count", "word-count"),
        ("WORD-COUNT", "word-count"),
        ("\"of a city\"", "weather-report"),
        ("trial -map", "trial-log"),
    ] {
        let found = page(&server, query, "").await?;
        assert_eq!(
            names(&found).first(),
            Some(&expected),
            "{query}: {:?}",
            names(&found)
        );
    }
    for nothing in [
        "zzzzzz",
        "weather -city",
        "\"city weather\"",
        "'; drop (",
        "&|!<->\\:*",
        "€ \\ '",
    ] {
        let found = page(&server, nothing, "").await?;
        assert_eq!(names(&found), Vec::<&str>::new(), "{nothing}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_written_alike_comes_after_what_is_written_so() -> Result<()> {
    let server = start().await?;
    let trial = page(&server, "trial", "").await?;
    assert_eq!(names(&trial), ["trial-log", "trail-map"]);
    let trail = page(&server, "trails", "").await?;
    assert_eq!(names(&trail), ["trail-map", "trial-log"]);
    Ok(())
}

#[tokio::test]
async fn what_is_found_comes_in_pages_each_once() -> Result<()> {
    let server = start().await?;
    server
        .database
        .execute(
            "insert into skills.skill (name, owner_id) select 'weather-' || lpad(n::text, 2, '0'), owner_id
             from skills.skill, generate_series(1, 30) n where name = 'weather-report';
             insert into skills.version (skill_id, version, precedence, is_prerelease, digest, manifest, tools, facts, status, published_by)
             select c.id, '1.0.0', v.precedence, false, v.digest, v.manifest || jsonb_build_object('name', c.name), v.tools,
                 v.facts, 'approved', v.published_by
             from skills.skill c, skills.version v
             where c.name ~ '^weather-[0-9]' and v.id = (select latest_id from skills.skill where name = 'weather-report');
             select skills.choose_latest(s.id) from skills.skill s where s.name ~ '^weather-[0-9]'",
        )
        .await?;
    for query in ["weather", "waether", "wether"] {
        let whole = page(&server, query, "limit=100").await?;
        let whole = names(&whole);
        assert_eq!(whole.len(), 31, "{query}: {whole:?}");
        let mut seen: Vec<String> = Vec::new();
        let mut next = None;
        loop {
            let after = next.map_or(String::new(), |next: String| format!("&after={next}"));
            let part = page(&server, query, &format!("limit=7{after}")).await?;
            seen.extend(names(&part).into_iter().map(str::to_owned));
            next = part["next"].as_str().map(str::to_owned);
            if next.is_none() {
                break;
            }
        }
        assert_eq!(seen, whole, "{query}");
    }
    let found = page(&server, "weather", "tag=climate&author=ada&limit=1").await?;
    found["next"].as_str().context("more")?;
    Ok(())
}
