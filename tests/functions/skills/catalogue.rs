//! Skills through the front door: the catalogue, decisions, and what is shown to whom.

use anyhow::{Context, Result};
use e2e::{
    Server,
    agents::Agent,
    publishing::{approved, decide, fixture, invoke, manifest, upload},
};
use serde_json::{Value, json};
use skill::statement::{Envelope, Jwks};

pub struct World {
    pub server: Server,
    pub ada: Agent,
    pub bob: Agent,
}

impl World {
    pub async fn new() -> Result<Self> {
        let server = Server::start().await?;
        let ada = Agent::sign_in(&server, "ada", 1).await?;
        let bob = Agent::sign_in(&server, "bob", 2).await?;
        Ok(Self { server, ada, bob })
    }

    pub async fn keys(&self) -> Result<Jwks> {
        Ok(self
            .server
            .get("/.well-known/jwks.json")
            .await?
            .json()
            .await?)
    }
}

#[tokio::test]
async fn a_published_skill_is_reviewed_then_found_then_called() -> Result<()> {
    let world = World::new().await?;
    let World { server, ada, bob } = &world;
    let manifest = json!({
        "name": "adder", "version": "1.0.0", "description": "Adds numbers, greets people.", "tags": ["maths"],
        "license": "Apache-2.0", "readme": "# Adder", "tools": {"add": {"description": "Adds two numbers."}},
        "permissions": {"deadline_ms": 2000}, "examples": [{"tool": "add", "arguments": {"a": 1, "b": 2}, "result": 3}],
    });
    let (status, published) = upload(server, ada, &manifest, fixture("adder")?).await?;
    assert_eq!(status, 202, "{published:#}");
    assert_eq!(
        (&published["skill"], &published["version"]),
        (&json!("adder"), &json!("1.0.0"))
    );
    let (status, job) = ada
        .get(
            server,
            &format!(
                "/api/jobs/{}",
                published["job"]["id"].as_str().context("job")?
            ),
        )
        .await?;
    assert_eq!((status, &job["kind"]), (200, &json!("skill-review")));

    // Its owner sees it, nobody else, and nobody can call it.
    let path = "/api/skills/adder/versions/1.0.0";
    let (status, version) = ada.get(server, path).await?;
    assert_eq!(
        (status, &version["status"]),
        (200, &json!("in_review")),
        "{version:#}"
    );
    for hidden in [
        "/api/skills/adder",
        path,
        "/api/skills/adder/versions/1.0.0/component",
        "/api/skills/adder/versions/1.0.0/attestations",
    ] {
        assert_eq!(bob.get(server, hidden).await?.0, 404, "{hidden}");
        assert_eq!(server.get(hidden).await?.status(), 404, "{hidden}");
    }
    assert_eq!(
        invoke(server, ada, "adder", "add", json!({"a": 1, "b": 2}))
            .await?
            .0,
        404
    );
    assert_eq!(ada.get(server, "/api/skills").await?.1["items"], json!([]));

    decide(server, &manifest, "approve").await?;
    let skill: Value = server.get("/api/skills/adder").await?.json().await?;
    assert_eq!(
        (&skill["latest_version"], &skill["owner"]["name"]),
        (&json!("1.0.0"), &json!("ada")),
        "{skill:#}"
    );
    assert_eq!(skill["tools"][0]["description"], "Adds two numbers.");
    assert_eq!(
        skill["tools"][0]["input_schema"]["properties"]["a"]["type"],
        "integer"
    );
    let (status, answer) = invoke(server, bob, "adder", "add", json!({"a": 40, "b": 2})).await?;
    assert_eq!((status, &answer["result"]), (200, &json!(42)), "{answer:#}");
    assert!(
        answer["usage"]["fuel"].as_u64() > Some(0)
            && answer["usage"]["memory_bytes"].as_u64() > Some(0),
        "{answer:#}"
    );
    Ok(())
}

#[tokio::test]
async fn the_component_can_be_checked_by_anybody() -> Result<()> {
    let world = World::new().await?;
    let World { server, ada, .. } = &world;
    approved(server, ada, &manifest("adder", "1.0.0"), "adder").await?;
    let path = "/api/skills/adder/versions/1.0.0/component";
    let response = server.get(path).await?;
    let headers = response.headers().clone();
    let bytes = response.bytes().await?;
    let digest = skill::digest::of_bytes(&bytes);
    assert_eq!(bytes, fixture("adder")?);
    assert_eq!(headers["etag"], format!("\"{digest}\""));
    assert!(headers["repr-digest"].to_str()?.starts_with("sha-256=:"));
    let again = server
        .http
        .get(format!("{}{path}", server.url))
        .header("if-none-match", &headers["etag"])
        .send()
        .await?;
    assert_eq!(again.status(), 304);
    Ok(())
}

#[tokio::test]
async fn skills_are_found_by_words_even_misspelt_by_tag_and_by_author() -> Result<()> {
    let world = World::new().await?;
    let World { server, ada, bob } = &world;
    for (agent, name, description, tag) in [
        (
            ada,
            "weather-report",
            "Tells the weather of a city.",
            "weather",
        ),
        (ada, "word-count", "Counts the words of a text.", "text"),
        (
            bob,
            "unit-converter",
            "Converts kilometres to miles.",
            "maths",
        ),
    ] {
        let mut manifest = manifest(name, "1.0.0");
        manifest["description"] = json!(description);
        manifest["tags"] = json!([tag]);
        approved(server, agent, &manifest, "adder").await?;
    }
    let names = async |query: &str| -> Result<Vec<String>> {
        let found: Value = server
            .get(&format!("/api/skills?{query}"))
            .await?
            .json()
            .await?;
        let items = found["items"]
            .as_array()
            .with_context(|| format!("{found:#}"))?
            .clone();
        Ok(items
            .iter()
            .filter_map(|item| item["name"].as_str().map(str::to_owned))
            .collect())
    };
    assert_eq!(names("query=weather").await?, ["weather-report"]);
    assert_eq!(
        names("query=wether").await?,
        ["weather-report"],
        "a letter is missing"
    );
    assert_eq!(
        names("query=converting").await?,
        ["unit-converter"],
        "another form of the word"
    );
    assert_eq!(names("query=kilometers").await?, ["unit-converter"]);
    assert_eq!(names("query=zzzzzz").await?, Vec::<String>::new());
    assert_eq!(names("tag=text").await?, ["word-count"]);
    assert_eq!(names("author=bob").await?, ["unit-converter"]);
    assert_eq!(
        names("sort=new").await?,
        ["unit-converter", "word-count", "weather-report"]
    );
    for sort in ["rank", "new", "used"] {
        let mut seen = Vec::new();
        let mut after = String::new();
        loop {
            let page: Value = server
                .get(&format!("/api/skills?sort={sort}&limit=1{after}"))
                .await?
                .json()
                .await?;
            seen.push(
                page["items"][0]["name"]
                    .as_str()
                    .context("a name")?
                    .to_owned(),
            );
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        seen.sort();
        assert_eq!(
            seen,
            ["unit-converter", "weather-report", "word-count"],
            "{sort}"
        );
    }
    assert_eq!(server.get("/api/skills?sort=best").await?.status(), 422);
    assert_eq!(
        server
            .get("/api/skills?query=%27%3B%20drop%20%28&tag=%27")
            .await?
            .status(),
        200
    );
    Ok(())
}

#[tokio::test]
async fn a_person_decides_about_what_is_held() -> Result<()> {
    let world = World::new().await?;
    let World { server, ada, bob } = &world;
    let manifest = manifest("adder", "1.0.0");
    upload(server, ada, &manifest, fixture("adder")?).await?;
    decide(server, &manifest, "hold").await?;
    assert_eq!(bob.get(server, "/api/skill-reviews").await?.0, 403);
    let reviewer = bob.with_scope(&server.database, "skills:review").await?;
    let (_, held) = reviewer.get(server, "/api/skill-reviews").await?;
    assert_eq!(held["items"][0]["skill"], "adder", "{held:#}");
    let approve = format!(
        "/api/skill-reviews/{}/approve",
        held["items"][0]["id"].as_str().context("id")?
    );
    let reason = json!({"reason": "I have read it."});
    assert_eq!(bob.send(server, "POST", &approve, &reason).await?.0, 403);
    let own = ada.with_scope(&server.database, "skills:review").await?;
    assert_eq!(
        own.send(server, "POST", &approve, &reason).await?.1["code"],
        "own-skill"
    );
    let (status, decided) = reviewer.send(server, "POST", &approve, &reason).await?;
    assert_eq!(
        (status, &decided["status"]),
        (200, &json!("approved")),
        "{decided:#}"
    );
    assert_eq!(
        reviewer.send(server, "POST", &approve, &reason).await?.1["code"],
        "not-held"
    );
    let version: Value = server
        .get("/api/skills/adder/versions/1.0.0")
        .await?
        .json()
        .await?;
    assert_eq!(version["review"]["decision"]["reason"], "I have read it.");
    let signed: Value = server
        .get("/api/skills/adder/versions/1.0.0/attestations")
        .await?
        .json()
        .await?;
    let envelope: Envelope = serde_json::from_value(signed["items"][0].clone())?;
    assert_eq!(
        envelope.verify(&world.keys().await?)?.predicate["verdict"],
        "approve"
    );
    Ok(())
}

#[tokio::test]
async fn what_is_not_yet_approved_can_not_be_told_from_what_is_not_there() -> Result<()> {
    let world = World::new().await?;
    let World { server, ada, bob } = &world;
    upload(
        server,
        ada,
        &manifest("secret-plan", "1.0.0"),
        fixture("adder")?,
    )
    .await?;
    for (method, path, body) in [
        ("GET", "/api/skills/{}", json!({})),
        ("GET", "/api/skills/{}/versions/1.0.0", json!({})),
        ("DELETE", "/api/skills/{}/versions/1.0.0", json!({})),
        ("POST", "/api/skills/{}/invoke", json!({"tool": "add"})),
        ("PUT", "/api/skills/{}/reviews", json!({"rating": 5})),
        ("POST", "/api/skills/{}/transfer", json!({"to": "bob"})),
        ("GET", "/api/skills/{}/versions", json!({})),
        ("GET", "/api/skills/{}/reviews", json!({})),
    ] {
        let blank = |mut answer: (u16, Value)| {
            answer.1["request_id"] = Value::Null;
            answer
        };
        let there = bob
            .send(server, method, &path.replace("{}", "secret-plan"), &body)
            .await?;
        let not_there = bob
            .send(server, method, &path.replace("{}", "no-such-plan"), &body)
            .await?;
        assert_eq!(blank(there), blank(not_there), "{method} {path}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_not_for_everybody_is_for_no_shared_cache() -> Result<()> {
    let World { server, ada, .. } = &World::new().await?;
    let manifest = manifest("adder", "1.0.0");
    assert_eq!(
        upload(server, ada, &manifest, fixture("adder")?).await?.0,
        202
    );
    let cached = async || -> Result<String> {
        let path = "/api/skills/adder/versions/1.0.0/component";
        let response = ada.request(server, "GET", path).send().await?;
        assert_eq!(response.status(), 200);
        Ok(response.headers()["cache-control"].to_str()?.to_owned())
    };
    assert_eq!(cached().await?, "private, no-store");
    e2e::publishing::decide(server, &manifest, "approve").await?;
    assert!(cached().await?.starts_with("public, max-age="));
    Ok(())
}
