//! Skills through the front door: publishing, the catalogue, calls, ratings, decisions.

use anyhow::{Context, Result};
use e2e::{
    Server,
    agents::Agent,
    publishing::{approved, decide, fixture, invoke, manifest, upload},
};
use serde_json::{Value, json};
use skill::statement::{Envelope, Jwks, RECEIPT};
use sqlx::Connection;

struct World {
    server: Server,
    ada: Agent,
    bob: Agent,
}

impl World {
    async fn new() -> Result<Self> {
        let server = Server::start().await?;
        let ada = Agent::sign_in(&server, "ada", 1).await?;
        let bob = Agent::sign_in(&server, "bob", 2).await?;
        Ok(Self { server, ada, bob })
    }

    async fn keys(&self) -> Result<Jwks> {
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
async fn a_receipt_says_what_was_called_and_holds() -> Result<()> {
    let world = World::new().await?;
    let World { server, ada, bob } = &world;
    approved(server, ada, &manifest("adder", "1.0.0"), "adder").await?;
    let (_, answer) = invoke(server, bob, "adder", "greet", json!({"name": "Zoë"})).await?;
    assert_eq!(
        answer["result"],
        json!({"text": "Hello, Zoë!", "length": 11})
    );
    let envelope: Envelope = serde_json::from_value(answer["receipt"].clone())?;
    // The sandbox publishes its key when it starts, beside the calls.
    let statement = envelope.verify(&world.keys().await?)?;
    assert_eq!(statement.predicate_type, RECEIPT);
    assert_eq!(statement.subject[0].name, "adder@1.0.0");
    assert_eq!(
        format!("sha256:{}", statement.subject[0].digest.sha256),
        skill::digest::of_bytes(&fixture("adder")?)
    );
    assert_eq!(
        statement.predicate["input"]["sha256"],
        skill::digest::of_json(&json!({"name": "Zoë"}))?
    );
    assert_eq!(
        statement.predicate["output"]["sha256"],
        skill::digest::of_json(&answer["result"])?
    );
    assert_eq!(statement.predicate["account"], json!(bob.id));

    let (status, failed) = invoke(server, bob, "adder", "greet", json!({"name": ""})).await?;
    assert_eq!(
        (status, &failed["code"], &failed["error"]),
        (422, &json!("skill-failed"), &json!("nobody is there"))
    );
    let envelope: Envelope = serde_json::from_value(failed["receipt"].clone())?;
    assert_eq!(
        envelope.verify(&world.keys().await?)?.predicate["outcome"],
        "failed"
    );
    Ok(())
}

#[tokio::test]
async fn the_same_input_uses_the_same_fuel() -> Result<()> {
    let world = World::new().await?;
    let World { server, ada, bob } = &world;
    approved(server, ada, &manifest("adder", "1.0.0"), "adder").await?;
    let mut fuel = Vec::new();
    for _ in 0..5 {
        let (_, answer) = invoke(server, bob, "adder", "greet", json!({"name": "Ada"})).await?;
        fuel.push(answer["usage"]["fuel"].as_u64());
    }
    assert!(
        fuel[0].is_some() && fuel.iter().all(|one| *one == fuel[0]),
        "{fuel:?}"
    );
    Ok(())
}

#[tokio::test]
async fn what_is_no_skill_is_refused_with_the_reason() -> Result<()> {
    let world = World::new().await?;
    let World { server, ada, .. } = &world;
    let module = wat::parse_str("(module)")?;
    let foreign = wat::parse_str(
        r#"(component (import "evil:corp/root@1.0.0" (instance (export "f" (func)))))"#,
    )?;
    let cases: [(&str, Vec<u8>, &str); 5] = [
        ("not-a-component", module, "component new"),
        ("not-a-component", b"GIF89a".to_vec(), "not a WebAssembly"),
        ("not-a-component", Vec::new(), "not a WebAssembly"),
        ("import-refused", foreign, "evil:corp/root"),
        (
            "nothing-callable",
            wat::parse_str("(component)")?,
            "does not export a function",
        ),
    ];
    for (code, wasm, word) in cases {
        let (status, problem) = upload(server, ada, &manifest("bad", "1.0.0"), wasm).await?;
        assert_eq!(
            (status, &problem["code"]),
            (422, &json!(code)),
            "{problem:#}"
        );
        assert!(
            problem["detail"]
                .as_str()
                .is_some_and(|detail| detail.contains(word)),
            "{problem:#}"
        );
        assert!(problem["request_id"].is_string(), "{problem:#}");
    }
    let mut wrong = manifest("adder", "1.0");
    wrong["examples"] = json!([{"tool": "nope", "arguments": {}, "result": 1}]);
    let (status, problem) = upload(server, ada, &wrong, fixture("adder")?).await?;
    assert_eq!(
        (status, &problem["errors"][0]["field"]),
        (422, &json!("manifest.version")),
        "{problem:#}"
    );
    wrong["version"] = json!("1.0.0");
    let (status, problem) = upload(server, ada, &wrong, fixture("adder")?).await?;
    assert_eq!(
        (status, &problem["errors"][0]["field"]),
        (422, &json!("manifest.examples[0].tool")),
        "{problem:#}"
    );
    Ok(())
}

#[tokio::test]
async fn uploads_are_bounded_and_need_a_scope() -> Result<()> {
    let world = World::new().await?;
    let World { server, ada, .. } = &world;
    let (status, problem) = upload(
        server,
        ada,
        &manifest("big", "1.0.0"),
        vec![0; (32 << 20) + 1],
    )
    .await?;
    assert_eq!(
        (status, &problem["code"]),
        (413, &json!("body-too-large")),
        "{problem:#}"
    );
    let guest = ada.with_scope(&server.database, "agent").await?;
    let (status, problem) = upload(
        server,
        &guest,
        &manifest("adder", "1.0.0"),
        fixture("adder")?,
    )
    .await?;
    assert_eq!((status, &problem["code"]), (403, &json!("forbidden")));
    let (status, problem) = ada
        .send(server, "POST", "/api/skills", &json!({"name": "x"}))
        .await?;
    assert_eq!(
        (status, &problem["code"]),
        (415, &json!("unsupported-media-type"))
    );
    let half = ada
        .request(server, "POST", "/api/skills")
        .header("content-type", "multipart/form-data; boundary=x")
        .body("--x\r\n");
    assert_eq!(half.send().await?.status(), 400);
    Ok(())
}

#[tokio::test]
async fn a_name_is_its_first_publishers_and_a_version_never_changes() -> Result<()> {
    let world = World::new().await?;
    let World { server, ada, bob } = &world;
    let wasm = fixture("adder")?;
    let (first, other) = (manifest("adder", "1.0.0"), manifest("adder", "1.1.0"));
    // Both at once: one of them has the name.
    let (one, two) = tokio::join!(
        upload(server, ada, &first, wasm.clone()),
        upload(server, bob, &other, wasm.clone())
    );
    let mut answers = [one?, two?];
    answers.sort_by_key(|(status, _)| *status);
    assert_eq!((answers[0].0, answers[1].0), (202, 409), "{answers:?}");
    assert_eq!(answers[1].1["code"], "name-taken");
    let owner = if answers[0].1["version"] == "1.0.0" {
        ada
    } else {
        bob
    };
    let taken = if answers[0].1["version"] == "1.0.0" {
        &first
    } else {
        &other
    };
    let (status, problem) = upload(server, owner, taken, wasm.clone()).await?;
    assert_eq!((status, &problem["code"]), (409, &json!("version-exists")));
    assert_eq!(
        upload(server, owner, &manifest("adder", "2.0.0"), wasm)
            .await?
            .0,
        202
    );
    let stored: i64 = sqlx::query_scalar("select count(*) from skills.component")
        .fetch_one(&mut server.database.connect().await?)
        .await?;
    assert_eq!(stored, 1, "the same component is stored once");
    Ok(())
}

#[tokio::test]
async fn a_version_whose_review_was_cancelled_can_be_published_again() -> Result<()> {
    let World { server, ada, .. } = &World::new().await?;
    let (wasm, manifest) = (fixture("adder")?, manifest("adder", "1.0.0"));
    let (_, first) = upload(server, ada, &manifest, wasm.clone()).await?;
    let cancel = format!(
        "/api/jobs/{}/cancel",
        first["job"]["id"].as_str().unwrap_or_default()
    );
    let (status, _) = ada.send(server, "POST", &cancel, &json!({})).await?;
    assert_eq!(status, 200);
    let mut other = manifest.clone();
    other["description"] = json!("Another one.");
    assert_eq!(upload(server, ada, &other, wasm.clone()).await?.0, 409);
    let (status, again) = upload(server, ada, &manifest, wasm.clone()).await?;
    assert_eq!(status, 202, "{again:#}");
    assert_ne!(again["job"]["id"], first["job"]["id"]);
    assert_eq!(upload(server, ada, &manifest, wasm).await?.0, 409);
    Ok(())
}

#[tokio::test]
async fn a_repeated_upload_with_its_key_is_one() -> Result<()> {
    let world = World::new().await?;
    let World { server, ada, .. } = &world;
    let body = |text: &str| {
        let wasm = reqwest::multipart::Part::bytes(fixture("adder")?).file_name("a.wasm");
        let form = reqwest::multipart::Form::new().text("manifest", text.to_owned());
        anyhow::Ok(form.part("component", wasm))
    };
    // Each form is sent with a boundary of its own.
    let send = async |body: reqwest::multipart::Form| {
        let request = ada
            .request(server, "POST", "/api/skills")
            .header("idempotency-key", "once");
        let response = request.multipart(body).send().await?;
        anyhow::Ok((response.status().as_u16(), response.json::<Value>().await?))
    };
    let text = manifest("adder", "1.0.0").to_string();
    let (one, two) = tokio::join!(send(body(&text)?), send(body(&text)?));
    let (one, two) = (one?, two?);
    assert_eq!((one.0, two.0), (202, 202), "{one:?} {two:?}");
    assert_eq!(one.1["job"], two.1["job"]);
    let (status, problem) = send(body(&manifest("adder", "2.0.0").to_string())?).await?;
    assert_eq!(
        (status, &problem["code"]),
        (409, &json!("idempotency-mismatch"))
    );
    Ok(())
}

#[tokio::test]
async fn the_highest_approved_version_is_called_until_it_is_taken_back() -> Result<()> {
    let world = World::new().await?;
    let World { server, ada, bob } = &world;
    for version in ["1.9.0", "1.10.0", "2.0.0-beta.1"] {
        approved(server, ada, &manifest("adder", version), "adder").await?;
    }
    let latest = async || -> Result<Value> {
        Ok(server
            .get("/api/skills/adder")
            .await?
            .json::<Value>()
            .await?["latest_version"]
            .clone())
    };
    assert_eq!(latest().await?, "1.10.0");
    let path = "/api/skills/adder/versions/1.10.0";
    assert_eq!(bob.send(server, "DELETE", path, &json!({})).await?.0, 403);
    assert_eq!(ada.send(server, "DELETE", path, &json!({})).await?.0, 204);
    assert_eq!(
        ada.send(server, "DELETE", path, &json!({})).await?.0,
        204,
        "again is no harm"
    );
    assert_eq!(latest().await?, "1.9.0");
    let (status, yanked) = bob.get(server, path).await?;
    assert_eq!((status, &yanked["status"]), (200, &json!("yanked")));
    assert_eq!(
        server.get(&format!("{path}/component")).await?.status(),
        200,
        "still downloadable"
    );
    let call = json!({"tool": "add", "arguments": {"a": 1, "b": 1}, "version": "1.10.0"});
    assert_eq!(
        bob.send(server, "POST", "/api/skills/adder/invoke", &call)
            .await?
            .0,
        200,
        "who names it goes on"
    );
    for (version, status) in [("9.9.9", 404), ("2.0.0-beta.1", 200)] {
        let call = json!({"tool": "add", "arguments": {"a": 1, "b": 1}, "version": version});
        assert_eq!(
            bob.send(server, "POST", "/api/skills/adder/invoke", &call)
                .await?
                .0,
            status,
            "{version}"
        );
    }
    let versions: Value = server
        .get("/api/skills/adder/versions?limit=2")
        .await?
        .json()
        .await?;
    assert_eq!(
        (
            &versions["items"][0]["version"],
            &versions["items"][1]["version"]
        ),
        (&json!("2.0.0-beta.1"), &json!("1.10.0"))
    );
    let next = versions["next"].as_str().context("a next page")?;
    let versions: Value = server
        .get(&format!("/api/skills/adder/versions?limit=2&after={next}"))
        .await?
        .json()
        .await?;
    assert_eq!(
        (&versions["items"][0]["version"], &versions["next"]),
        (&json!("1.9.0"), &Value::Null)
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
async fn everybody_but_the_owner_rates_once() -> Result<()> {
    let world = World::new().await?;
    let World { server, ada, bob } = &world;
    approved(server, ada, &manifest("adder", "1.0.0"), "adder").await?;
    let path = "/api/skills/adder/reviews";
    let (status, problem) = ada.send(server, "PUT", path, &json!({"rating": 5})).await?;
    assert_eq!((status, &problem["code"]), (403, &json!("own-skill")));
    for rating in [4, 2] {
        let (status, rated) = bob
            .send(
                server,
                "PUT",
                path,
                &json!({"rating": rating, "text": "It adds."}),
            )
            .await?;
        assert_eq!(
            (status, &rated["rating"]),
            (200, &json!(rating)),
            "{rated:#}"
        );
    }
    let list: Value = server.get(path).await?.json().await?;
    assert_eq!(
        (
            list["items"].as_array().map(Vec::len),
            &list["items"][0]["account"]["name"]
        ),
        (Some(1), &json!("bob"))
    );
    for bad in [
        json!({"rating": 0}),
        json!({"rating": 6}),
        json!({"text": "x"}),
        json!({"rating": "5"}),
    ] {
        assert_eq!(bob.send(server, "PUT", path, &bad).await?.0, 422, "{bad}");
    }
    assert_eq!(
        bob.send(
            server,
            "PUT",
            "/api/skills/none/reviews",
            &json!({"rating": 1})
        )
        .await?
        .0,
        404
    );
    assert_eq!(bob.send(server, "DELETE", path, &json!({})).await?.0, 204);
    assert_eq!(
        server.get(path).await?.json::<Value>().await?["items"],
        json!([])
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
async fn a_skill_is_handed_over_by_its_owner_only() -> Result<()> {
    let world = World::new().await?;
    let World { server, ada, bob } = &world;
    approved(server, ada, &manifest("adder", "1.0.0"), "adder").await?;
    let path = "/api/skills/adder/transfer";
    assert_eq!(
        bob.send(server, "POST", path, &json!({"to": "bob"}))
            .await?
            .0,
        403
    );
    assert_eq!(
        ada.send(server, "POST", path, &json!({"to": "nobody"}))
            .await?
            .0,
        422
    );
    let (status, done) = ada
        .send(server, "POST", path, &json!({"to": "bob"}))
        .await?;
    assert_eq!((status, &done["owner"]["name"]), (200, &json!("bob")));
    assert_eq!(
        ada.send(server, "POST", path, &json!({"to": "ada"}))
            .await?
            .0,
        403
    );
    assert_eq!(
        upload(server, ada, &manifest("adder", "2.0.0"), fixture("adder")?)
            .await?
            .1["code"],
        "name-taken"
    );
    assert_eq!(
        upload(server, bob, &manifest("adder", "2.0.0"), fixture("adder")?)
            .await?
            .0,
        202
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

#[tokio::test]
async fn who_published_a_skill_cannot_rate_it_for_its_next_owner() -> Result<()> {
    let World { server, ada, bob } = &World::new().await?;
    approved(server, ada, &manifest("adder", "1.0.0"), "adder").await?;
    let transfer = "/api/skills/adder/transfer";
    // An account that nobody has ever used may be purged: nothing can be its.
    let ghost = json!({"name": "ghost", "public_key": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", "description": ""});
    let register = format!("{}/api/agents/register", server.url);
    let registered = server.http.post(register).json(&ghost).send().await?;
    assert_eq!(registered.status(), 201);
    let (status, problem) = ada
        .send(server, "POST", transfer, &json!({"to": "ghost"}))
        .await?;
    assert_eq!(
        (status, &problem["code"]),
        (422, &json!("invalid-input")),
        "{problem:#}"
    );

    let rating = json!({"rating": 5, "text": ""});
    let rate = async |agent: &Agent| {
        agent
            .send(server, "PUT", "/api/skills/adder/reviews", &rating)
            .await
    };
    assert_eq!(rate(bob).await?.0, 200);
    let (status, _) = ada
        .send(server, "POST", transfer, &json!({"to": "bob"}))
        .await?;
    assert_eq!(status, 200);
    for agent in [ada, bob] {
        let (status, problem) = rate(agent).await?;
        assert_eq!(
            (status, &problem["code"]),
            (403, &json!("own-skill")),
            "{problem:#}"
        );
    }
    let (_, ratings) = ada.get(server, "/api/skills/adder/reviews").await?;
    assert_eq!(ratings["items"], json!([]), "what the heir rated is gone");
    Ok(())
}

#[tokio::test]
async fn a_version_taken_back_while_another_is_approved_is_not_the_latest() -> Result<()> {
    let World { server, ada, .. } = &World::new().await?;
    approved(server, ada, &manifest("adder", "2.0.0"), "adder").await?;
    let older = manifest("adder", "1.5.0");
    assert_eq!(upload(server, ada, &older, fixture("adder")?).await?.0, 202);
    let mut connection = server.database.connect().await?;
    let mut taking_back = connection.begin().await?;
    sqlx::query("select skills.yank(id) from skills.version where version = '2.0.0'")
        .execute(&mut *taking_back)
        .await?;
    let approving = e2e::publishing::decide(server, &older, "approve");
    let committing = async {
        // By then the other one waits for this one's row.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        taking_back.commit().await
    };
    let (approving, committing) = tokio::join!(approving, committing);
    approving?;
    committing?;
    let (_, skill) = ada.get(server, "/api/skills/adder").await?;
    assert_eq!(skill["latest_version"], "1.5.0", "{skill:#}");
    Ok(())
}
