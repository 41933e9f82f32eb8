//! Passkeys, with a browser and a device in software.

use crate::functions::people::passkey_device::Device;
use anyhow::{Context, Result, ensure};
use e2e::{
    Server,
    client::code,
    people::{PASSWORD, Person},
};
use futures::future::join_all;
use reqwest::Response;
use serde_json::{Value, json};

fn new_device(server: &Server) -> Device {
    Device::new(server.url.replace("127.0.0.1", "localhost"))
}

/// Signs in as somebody would.
async fn sign_in(server: &Server, device: &mut Device) -> Result<Response> {
    let ceremony = begin_sign_in(server).await?;
    let credential = device.get(&ceremony)?;
    answer(server, &ceremony, &credential).await
}

async fn begin(server: &Server, person: &Person) -> Result<Value> {
    let path = "/api/users/me/passkeys/options";
    let given = json!({ "password": PASSWORD });
    let response = person
        .request(server, "POST", path)
        .json(&given)
        .send()
        .await?;
    ensure!(response.status() == 200, "{}", response.text().await?);
    Ok(response.json().await?)
}

async fn add(
    server: &Server,
    person: &Person,
    ceremony: &Value,
    credential: &Value,
) -> Result<Response> {
    let new = json!({ "name": "Laptop", "state": ceremony["state"], "credential": credential });
    let request = person
        .request(server, "POST", "/api/users/me/passkeys")
        .json(&new);
    Ok(request.send().await?)
}

/// A device that a person can sign in with.
async fn added(server: &Server, person: &Person) -> Result<(Device, Value)> {
    let mut device = new_device(server);
    let ceremony = begin(server, person).await?;
    let credential = device.create(&ceremony)?;
    let response = add(server, person, &ceremony, &credential).await?;
    ensure!(response.status() == 201, "{}", response.text().await?);
    Ok((device, response.json().await?))
}

async fn begin_sign_in(server: &Server) -> Result<Value> {
    let response = server
        .post("/api/sessions/passkey/options", &json!({}))
        .await?;
    ensure!(response.status() == 200, "{}", response.text().await?);
    Ok(response.json().await?)
}

async fn answer(server: &Server, ceremony: &Value, credential: &Value) -> Result<Response> {
    let given = json!({ "state": ceremony["state"], "credential": credential });
    server.post("/api/sessions/passkey", &given).await
}

fn refused() -> (u16, String) {
    (401, "authentication-failed".to_owned())
}

#[tokio::test]
async fn a_passkey_signs_its_owner_in() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let (mut device, passkey) = added(&server, &grace).await?;
    assert_eq!(passkey["name"], "Laptop");
    assert_eq!(passkey["last_used_at"], Value::Null);

    let again = Person::of(&server, &grace.email, sign_in(&server, &mut device).await?).await?;
    assert_eq!(again.id, grace.id);
    let (_, session) = again.get(&server, "/api/sessions/current").await?;
    assert_eq!(session["method"], "passkey");
    let by_cookie = server
        .http
        .get(format!("{}/api/users/me", server.url))
        .header("cookie", &again.cookie);
    assert_eq!(by_cookie.send().await?.status(), 200);

    let (_, mine) = grace.get(&server, "/api/users/me/passkeys").await?;
    assert_eq!(mine["items"][0]["id"], passkey["id"]);
    assert!(mine["items"][0]["last_used_at"].is_string(), "{mine}");
    let known = json!([passkey["id"]]);
    let (_, export) = grace.get(&server, "/api/accounts/me/export").await?;
    assert_eq!(json!([export["passkeys"][0]["id"]]), known);

    // On record with the account that it claims to be.
    let mut copy = new_device(&server);
    copy.passkey.clone_from(&device.passkey);
    copy.verifies = false;
    assert_eq!(code(sign_in(&server, &mut copy).await?).await?, refused());
    let subject: Option<String> = sqlx::query_scalar(
        "select subject from audit.entry where action = 'session.refused' and detail ->> 'method' = 'passkey'",
    )
    .fetch_one(&mut server.database.connect().await?)
    .await?;
    assert_eq!(subject, Some(grace.id.to_string()));

    let path = format!(
        "/api/users/me/passkeys/{}",
        passkey["id"].as_str().context("id")?
    );
    let mallory = Person::register(&server, "mallory").await?;
    let steal = mallory.request(&server, "DELETE", &path).send().await?;
    assert_eq!(steal.status(), 404);
    assert_eq!(mallory.get(&server, &path).await?.0, 404);
    assert_eq!(grace.get(&server, &path).await?.0, 200);
    let removed = grace.request(&server, "DELETE", &path).send().await?;
    assert_eq!(removed.status(), 204);
    assert_eq!(code(sign_in(&server, &mut device).await?).await?, refused());
    Ok(())
}

#[tokio::test]
async fn who_adds_a_passkey_gives_the_password_and_is_signed_in() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let path = "/api/users/me/passkeys/options";
    for given in [json!({}), json!({ "password": "not the password" })] {
        let response = grace
            .request(&server, "POST", path)
            .json(&given)
            .send()
            .await?;
        let expected = (403, "confirmation-refused".to_owned());
        assert_eq!(code(response).await?, expected, "{given}");
    }
    let agent = e2e::agents::Agent::sign_in(&server, "ada", 1).await?;
    let (status, _) = agent.send(&server, "POST", path, &json!({})).await?;
    assert_eq!(status, 404, "agents have keys of their own");

    // Another person's ceremony, and a session that has ended.
    let mut device = new_device(&server);
    let ceremony = begin(&server, &grace).await?;
    let credential = device.create(&ceremony)?;
    let mallory = Person::register(&server, "mallory").await?;
    let stolen = add(&server, &mallory, &ceremony, &credential).await?;
    assert_eq!(code(stolen).await?, (422, "invalid-input".to_owned()));
    let out = grace.request(&server, "DELETE", "/api/sessions/current");
    assert_eq!(out.send().await?.status(), 204);
    let late = add(&server, &grace, &ceremony, &credential).await?;
    assert_eq!(
        late.status(),
        401,
        "also while the access token is still believed"
    );

    // Each ceremony adds one passkey.
    let grace = Person::sign_in(&server, &grace.email, PASSWORD).await?;
    assert_eq!(
        add(&server, &grace, &ceremony, &credential).await?.status(),
        201
    );
    let twice = add(&server, &grace, &ceremony, &credential).await?;
    assert_eq!(code(twice).await?, (422, "invalid-input".to_owned()));
    let ceremony = begin(&server, &grace).await?;
    let excluded = &ceremony["options"]["excludeCredentials"][0]["id"];
    assert_eq!(
        excluded, &credential["id"],
        "so that a device makes no second one"
    );
    Ok(())
}

#[tokio::test]
async fn a_passkey_is_made_for_this_server_by_who_was_verified() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let elsewhere = "http://localhost:1".to_owned();
    for (verifies, page, what) in [
        (false, None, "not verified"),
        (true, Some(elsewhere.clone()), "of another origin"),
    ] {
        let mut device = new_device(&server);
        device.verifies = verifies;
        device.origin = page.unwrap_or(device.origin);
        let ceremony = begin(&server, &grace).await?;
        let credential = device.create(&ceremony)?;
        let response = add(&server, &grace, &ceremony, &credential).await?;
        assert_eq!(
            code(response).await?,
            (422, "invalid-input".to_owned()),
            "{what}"
        );
    }
    let (mut device, _) = added(&server, &grace).await?;
    device.verifies = false;
    assert_eq!(code(sign_in(&server, &mut device).await?).await?, refused());
    device.verifies = true;
    let page = std::mem::replace(&mut device.origin, elsewhere);
    assert_eq!(code(sign_in(&server, &mut device).await?).await?, refused());
    device.origin = page;
    assert_eq!(sign_in(&server, &mut device).await?.status(), 200);
    Ok(())
}

#[tokio::test]
async fn a_signed_challenge_counts_once_and_unchanged() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let (mut device, _) = added(&server, &grace).await?;
    let ceremony = begin_sign_in(&server).await?;
    let credential = device.get(&ceremony)?;

    let other = begin_sign_in(&server).await?;
    let adding = begin(&server, &grace).await?;
    let state = ceremony["state"].as_str().context("a state")?;
    let flipped = format!("{}A", &state[..state.len() - 1]);
    let states = [
        other["state"].clone(),
        adding["state"].clone(),
        json!("x"),
        json!(""),
        json!(flipped),
    ];
    for state in states.iter().filter(|other| **other != ceremony["state"]) {
        let response = answer(&server, &json!({ "state": state }), &credential).await?;
        assert_eq!(code(response).await?, refused(), "{state}");
    }
    for field in [
        "signature",
        "authenticatorData",
        "clientDataJSON",
        "userHandle",
    ] {
        let mut changed = credential.clone();
        let text = changed["response"][field].as_str().context("a text")?;
        let middle = text.len() / 2;
        let other = if &text[middle..=middle] == "A" {
            "B"
        } else {
            "A"
        };
        changed["response"][field] =
            json!(format!("{}{other}{}", &text[..middle], &text[middle + 1..]));
        let (status, _) = code(answer(&server, &ceremony, &changed).await?).await?;
        assert!([401, 422].contains(&status), "{field}: {status}");
    }
    for nothing in [
        json!(null),
        json!({}),
        json!("x"),
        json!({ "id": "x", "response": {} }),
    ] {
        let response = answer(&server, &ceremony, &nothing).await?;
        assert_eq!(
            code(response).await?,
            (422, "invalid-input".to_owned()),
            "{nothing}"
        );
    }
    // All at once: one wins.
    let tries = (0..8).map(|_| answer(&server, &ceremony, &credential));
    let mut statuses = Vec::new();
    for response in join_all(tries).await {
        statuses.push(response?.status().as_u16());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401, 401, 401, 401, 401, 401, 401]);
    assert_eq!(
        code(answer(&server, &ceremony, &credential).await?).await?,
        refused()
    );
    Ok(())
}

#[tokio::test]
async fn a_copied_device_is_found_out_by_its_counter() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let (mut device, _) = added(&server, &grace).await?;
    let mut copy = new_device(&server);
    copy.passkey.clone_from(&device.passkey);
    assert_eq!(sign_in(&server, &mut device).await?.status(), 200);
    assert_eq!(code(sign_in(&server, &mut copy).await?).await?, refused());
    assert_eq!(sign_in(&server, &mut device).await?.status(), 200);
    Ok(())
}

#[tokio::test]
async fn passkeys_end_with_what_they_belong_to() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let (mut device, _) = added(&server, &grace).await?;
    let status = |status: &str| {
        format!(
            "select identity.set_status('{}', '{status}', null, null, true, null, null)",
            grace.id
        )
    };
    server.database.execute(&status("suspended")).await?;
    assert_eq!(code(sign_in(&server, &mut device).await?).await?, refused());
    server.database.execute(&status("active")).await?;
    assert_eq!(sign_in(&server, &mut device).await?.status(), 200);

    // Who resets the password may have lost the account to somebody who added a passkey.
    let reset = format!(
        "with link as (
             insert into identity.link (email, purpose, expires_at)
             select email, 'reset', now() + interval '1 minute' from identity.person where account_id = '{0}' returning id)
         select identity.set_password('{0}', id, null, sha256('x'), 1::smallint, null, '{{}}') from link",
        grace.id
    );
    server.database.execute(&reset).await?;
    assert_eq!(code(sign_in(&server, &mut device).await?).await?, refused());
    Ok(())
}

#[tokio::test]
async fn a_server_without_a_domain_has_no_passkeys() -> Result<()> {
    let server = Server::told(&[("public_url", "http://192.0.2.1")]).await?;
    let response = server
        .post("/api/sessions/passkey/options", &json!({}))
        .await?;
    assert_eq!(
        code(response).await?,
        (404, "passkeys-unavailable".to_owned())
    );
    Ok(())
}

#[tokio::test]
async fn who_has_a_second_factor_shows_it_to_add_a_passkey_or_to_remove_it() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let factor = "/api/users/me/second-factor";
    let password = json!({ "password": PASSWORD });
    let (_, begun) = grace.send(&server, "POST", factor, &password).await?;
    let secret = begun["secret"].as_str().context("a secret")?;
    let totp = totp_rs::Builder::new()
        .with_secret(totp_rs::Secret::try_from_base32(secret)?)
        .build()?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let confirm = json!({ "code": totp.generate(now.as_secs()).to_string() });
    let confirmed = grace
        .request(&server, "POST", &format!("{factor}/confirm"))
        .json(&confirm);
    let confirmed: Value = confirmed.send().await?.json().await?;
    let recovery =
        |at: usize| json!({ "password": PASSWORD, "code": confirmed["recovery_codes"][at] });
    let wrong = json!({ "password": PASSWORD, "code": "000000" });
    for (method, path) in [
        ("POST", "/api/users/me/passkeys/options"),
        ("DELETE", factor),
    ] {
        let ask = async |given: &Value| {
            let request = grace.request(&server, method, path).json(given);
            anyhow::Ok(request.send().await?)
        };
        let missing = (403, "second-factor-required".to_owned());
        assert_eq!(code(ask(&password).await?).await?, missing, "{path}");
        let refused = (403, "confirmation-refused".to_owned());
        assert_eq!(code(ask(&wrong).await?).await?, refused, "{path}");
        let at = usize::from(method == "DELETE");
        assert!(ask(&recovery(at)).await?.status().is_success(), "{path}");
    }
    assert_eq!(grace.send(&server, "POST", factor, &password).await?.0, 200);
    Ok(())
}

#[tokio::test]
async fn who_has_no_password_adds_a_passkey_just_after_signing_in() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let lose = "update identity.person set password = null, password_version = null";
    server.database.execute(lose).await?;
    let mut device = new_device(&server);
    let ceremony = begin(&server, &grace).await?;
    let credential = device.create(&ceremony)?;
    let age = "update identity.session set created_at = now() - interval '11 minutes'";
    server.database.execute(age).await?;
    let late = add(&server, &grace, &ceremony, &credential).await?;
    assert_eq!(code(late).await?, (403, "confirmation-refused".to_owned()));
    let renew = "update identity.session set created_at = now()";
    server.database.execute(renew).await?;
    let made = add(&server, &grace, &ceremony, &credential).await?;
    assert_eq!(made.status(), 201);
    Ok(())
}

#[tokio::test]
async fn an_account_has_twenty_passkeys_and_is_told_before_a_device_makes_another() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let mut device = new_device(&server);
    let ceremony = begin(&server, &grace).await?;
    let credential = device.create(&ceremony)?;
    let many = format!(
        "insert into identity.passkey (account_id, credential_id, name, static_state, dynamic_state, backed_up)
         select '{}', sha256(n::text::bytea), n::text, 'x', '1234567', false from generate_series(1, 20) n",
        grace.id
    );
    server.database.execute(&many).await?;
    let expected = (409, "too-many-passkeys".to_owned());
    let given = json!({ "password": PASSWORD });
    let again = grace
        .request(&server, "POST", "/api/users/me/passkeys/options")
        .json(&given);
    assert_eq!(code(again.send().await?).await?, expected);
    let begun = add(&server, &grace, &ceremony, &credential).await?;
    assert_eq!(code(begun).await?, expected);
    Ok(())
}
