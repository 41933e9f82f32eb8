//! Publishing skills: what is refused, whose a name is, and what becomes of versions.

use super::catalogue::World;
use anyhow::Result;
use e2e::{
    client::read,
    publishing::{approved, fixture, manifest, upload},
};
use serde_json::json;

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
        read(request.multipart(body).send().await?).await
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
