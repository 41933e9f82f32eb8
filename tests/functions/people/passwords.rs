//! People sign in with passwords and second factors.

use anyhow::{Context, Result};
use e2e::{
    Server,
    client::{code, until_status},
    people::{PASSWORD, Person},
};
use futures::future::join_all;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use totp_rs::{Builder, Secret};

pub async fn sign_in_from(
    server: &Server,
    address: &str,
    email: &str,
    password: &str,
) -> Result<Response> {
    Ok(signing_in(server, address, email, password).send().await?)
}

pub fn signing_in(server: &Server, address: &str, email: &str, password: &str) -> RequestBuilder {
    let given = json!({ "email": email, "password": password });
    let request = server
        .http
        .post(format!("{}/api/sessions", server.url))
        .json(&given);
    request.header("x-forwarded-for", address)
}

#[tokio::test]
async fn a_person_registers_signs_in_and_out() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let (_, me) = grace.get(&server, "/api/users/me").await?;
    assert_eq!(me["name"], "grace");
    assert_eq!(me["email"], "grace@example.org");
    assert_eq!(me["roles"], json!(["user"]));
    // The same token everywhere.
    assert_eq!(grace.get(&server, "/api/jobs").await?.0, 200);
    assert_eq!(grace.get(&server, "/api/agents/me").await?.0, 404);
    let (_, sessions) = grace.get(&server, "/api/sessions").await?;
    assert_eq!(sessions["items"][0]["method"], "password", "{sessions}");
    assert_eq!(sessions["items"][0]["address"], "127.0.0.1");

    let elsewhere = Person::sign_in(&server, " GRACE@example.org ", PASSWORD).await?;
    let out = grace
        .request(&server, "DELETE", "/api/sessions/current")
        .send()
        .await?;
    assert_eq!(out.status(), 204);
    let cookie = out.headers()["set-cookie"].to_str()?;
    assert!(
        cookie.starts_with("__Host-gather-session=;") && cookie.contains("Max-Age=0"),
        "{cookie}"
    );
    until_status(401, async || {
        anyhow::Ok(grace.get(&server, "/api/users/me").await?.0)
    })
    .await?;
    assert_eq!(elsewhere.get(&server, "/api/users/me").await?.0, 200);
    let again = Person::sign_in(&server, &grace.email, PASSWORD).await?;
    let everywhere = again
        .request(&server, "DELETE", "/api/sessions")
        .send()
        .await?;
    assert_eq!(everywhere.status(), 204);
    for gone in [&elsewhere, &again] {
        until_status(401, async || {
            anyhow::Ok(gone.get(&server, "/api/users/me").await?.0)
        })
        .await?;
        let refresh = json!({ "refresh_token": gone.refresh });
        assert_eq!(
            server.post("/api/tokens/refresh", &refresh).await?.status(),
            401
        );
    }
    Ok(())
}

#[tokio::test]
async fn what_can_not_be_a_person_is_refused_by_field() -> Result<()> {
    let server = Server::start().await?;
    Person::register(&server, "grace").await?;
    let new = |email: &str, name: &str, password: &str| json!({ "email": email, "name": name, "password": password });
    for (body, field) in [
        (new("no address", "ada", PASSWORD), "email"),
        (new("a@b.c\nBcc: d@e.f", "ada", PASSWORD), "email"),
        (new("ada@example.org", "Ada L", PASSWORD), "name"),
        (new("ada@example.org", "admin", PASSWORD), "name"),
        (new("ada@example.org", "deleted-ada", PASSWORD), "name"),
        (new("ada@example.org", "ada", "short"), "password"),
        (new("ada@example.org", "ada", "password1234"), "password"),
        (
            new("ada@example.org", "ada", "ada@example.org!"),
            "password",
        ),
    ] {
        let answer: Value = server
            .post("/api/users/register", &body)
            .await?
            .json()
            .await?;
        assert_eq!(answer["code"], "invalid-input", "{body}");
        assert_eq!(answer["errors"][0]["field"], field, "{answer}");
        assert!(!answer.to_string().contains("password1234"), "{answer}");
    }
    let taken = server
        .post(
            "/api/users/register",
            &new("b@example.org", "grace", PASSWORD),
        )
        .await?;
    assert_eq!(code(taken).await?, (409, "name-taken".to_owned()));
    // Sent twice with a key, somebody registers once; nothing of the password can be guessed from what is kept.
    let body = new("ada@example.org", "ada", PASSWORD);
    let request = || {
        let request = server
            .http
            .post(format!("{}/api/users/register", server.url));
        request.json(&body).header("idempotency-key", "once").send()
    };
    let (one, two) = (request().await?, request().await?);
    assert_eq!(
        (one.status(), two.status()),
        (201.try_into()?, 201.try_into()?)
    );
    assert_eq!(one.text().await?, two.text().await?);
    Ok(())
}

#[tokio::test]
async fn a_password_is_the_same_on_every_keyboard() -> Result<()> {
    let server = Server::start().await?;
    let (composed, decomposed) = (
        "gr\u{fc}ne \u{e4}pfel am baum",
        "gru\u{308}ne a\u{308}pfel\u{a0}am baum",
    );
    for (name, chosen, typed) in [("one", composed, decomposed), ("two", decomposed, composed)] {
        let email = format!("{name}@example.org");
        let new = json!({ "email": email, "name": name, "password": chosen });
        let response = server.post("/api/users/register", &new).await?;
        assert_eq!(response.status(), 201);
        let person = Person::sign_in(&server, &email, typed).await?;
        let body = json!({ "current_password": typed, "password": format!("{typed} \u{1f916}") });
        let change = person.request(&server, "PUT", "/api/users/me/password");
        assert_eq!(change.json(&body).send().await?.status(), 204);
        Person::sign_in(&server, &email, &format!("{chosen} \u{1f916}")).await?;
    }
    // Characters are counted, not bytes, as they are kept.
    let register = async |name: &str, password: &str| {
        let new = json!({ "email": "c@example.org", "name": name, "password": password });
        let response = server.post("/api/users/register", &new).await?;
        anyhow::Ok(response.status().as_u16())
    };
    let longest: String = (0..256)
        .filter_map(|n| char::from_u32(0xac00 + 31 * n))
        .collect();
    let longer = format!("{longest}x");
    for (name, password, status) in [
        ("long", longest.as_str(), 201),
        ("longer", &longer, 422),
        ("short", "a\u{308}b\u{323}c\u{327}d\u{323}e\u{301}f", 422),
        ("control", "a few\trandom words", 422),
    ] {
        assert_eq!(register(name, password).await?, status, "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn a_changed_password_ends_the_other_sessions() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let other = Person::sign_in(&server, &grace.email, PASSWORD).await?;
    let change = |current: &str, new: &str| {
        let body = json!({ "current_password": current, "password": new });
        grace
            .request(&server, "PUT", "/api/users/me/password")
            .json(&body)
            .send()
    };
    let refused = change("not the password", "a new and better one").await?;
    assert_eq!(
        code(refused).await?,
        (403, "confirmation-refused".to_owned())
    );
    assert_eq!(code(change(PASSWORD, "password1234").await?).await?.0, 422);
    assert_eq!(
        change(PASSWORD, "a new and better one").await?.status(),
        204
    );
    until_status(401, async || {
        anyhow::Ok(other.get(&server, "/api/users/me").await?.0)
    })
    .await?;
    assert_eq!(
        grace.get(&server, "/api/users/me").await?.0,
        200,
        "this one goes on"
    );
    assert!(
        Person::sign_in(&server, &grace.email, PASSWORD)
            .await
            .is_err()
    );
    Person::sign_in(&server, &grace.email, "a new and better one").await?;
    Ok(())
}

#[tokio::test]
async fn a_second_factor_is_asked_for_and_each_code_works_once() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let begin = || {
        let body = json!({ "password": PASSWORD });
        grace
            .request(&server, "POST", "/api/users/me/second-factor")
            .json(&body)
            .send()
    };
    let begun: Value = begin().await?.json().await?;
    let secret = begun["secret"]
        .as_str()
        .with_context(|| begun.to_string())?
        .to_owned();
    assert!(
        begun["uri"]
            .as_str()
            .is_some_and(|uri| uri.contains(&secret)),
        "{begun}"
    );
    let totp = Builder::new()
        .with_secret(Secret::try_from_base32(&secret)?)
        .build()?;
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |now| now.as_secs())
    };
    let confirm = |code: String| {
        let body = json!({ "code": code });
        grace
            .request(&server, "POST", "/api/users/me/second-factor/confirm")
            .json(&body)
            .send()
    };
    // Until it is confirmed it counts for nothing.
    Person::sign_in(&server, &grace.email, PASSWORD).await?;
    assert_eq!(code(confirm("000000".to_owned()).await?).await?.0, 422);
    // A step back, so that this step's code is still there to sign in with.
    let first = totp.generate(now() - 30).to_string();
    let confirmed: Value = confirm(first.clone()).await?.json().await?;
    let recovery = confirmed["recovery_codes"][0]
        .as_str()
        .with_context(|| confirmed.to_string())?
        .to_owned();
    assert_eq!(
        confirmed["recovery_codes"].as_array().map(Vec::len),
        Some(10)
    );
    assert_eq!(
        code(begin().await?).await?,
        (409, "second-factor-exists".to_owned())
    );

    let sign_in = |password: &str, given: Option<&str>| {
        let body = json!({ "email": grace.email, "password": password, "code": given });
        let url = format!("{}/api/sessions", server.url);
        server.http.post(url).json(&body).send()
    };
    assert_eq!(
        code(sign_in(PASSWORD, None).await?).await?,
        (401, "second-factor-required".to_owned())
    );
    assert_eq!(
        code(sign_in("wrong password", None).await?).await?,
        (401, "authentication-failed".to_owned())
    );
    assert_eq!(
        code(sign_in(PASSWORD, Some(&first)).await?).await?.0,
        401,
        "used to confirm"
    );
    let current = totp.generate(now()).to_string();
    assert_eq!(sign_in(PASSWORD, Some(&current)).await?.status(), 200);
    assert_eq!(
        code(sign_in(PASSWORD, Some(&current)).await?).await?.0,
        401,
        "used"
    );
    assert_eq!(
        sign_in(PASSWORD, Some(&recovery.to_uppercase()))
            .await?
            .status(),
        200
    );
    assert_eq!(
        code(sign_in(PASSWORD, Some(&recovery)).await?).await?.0,
        401,
        "used"
    );

    let another = confirmed["recovery_codes"][1].clone();
    let remove = |password: &str| {
        let body = json!({ "password": password, "code": another });
        grace
            .request(&server, "DELETE", "/api/users/me/second-factor")
            .json(&body)
            .send()
    };
    assert_eq!(
        code(remove("wrong password").await?).await?,
        (403, "confirmation-refused".to_owned())
    );
    assert_eq!(remove(PASSWORD).await?.status(), 204);
    assert_eq!(sign_in(PASSWORD, None).await?.status(), 200);
    Ok(())
}

#[tokio::test]
async fn many_sign_in_at_once() -> Result<()> {
    let _machine = e2e::MACHINE.lock().await;
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    // Each costs a twentieth of a second of a core, so some are told to come again.
    let given = json!({ "email": grace.email, "password": PASSWORD });
    let all = (0..60).map(|_| server.post("/api/sessions", &given));
    let mut signed_in = 0;
    for response in join_all(all).await {
        let response = response?;
        match response.status().as_u16() {
            200 => signed_in += 1,
            503 => assert!(response.headers().contains_key("retry-after")),
            other => panic!("{other}: {}", response.text().await?),
        }
    }
    assert!(signed_in >= 20, "{signed_in}");
    Ok(())
}
