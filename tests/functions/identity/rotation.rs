//! Keys that are replaced: those of agents, and those that sign tokens.

use super::client::{Agent, key, me, problem, refresh, tokens};
use super::tokens::revoked_within_two_seconds;
use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD};
use e2e::Server;
use ed25519_compact::KeyPair;
use futures::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

#[tokio::test]
async fn a_new_key_needs_the_old_one_and_ends_every_session() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::register(&server, 1).await?;
    let tokens = ada.sign_in(&server).await?;
    let new = key(2);
    let rotate = async |signer: &KeyPair, new: &KeyPair| {
        let body = json!({
            "public_key": BASE64_STANDARD.encode(*new.pk),
            "signature": BASE64_STANDARD.encode(*signer.sk.sign(*new.pk, None)),
        });
        let request = server
            .http
            .post(format!("{}/api/agents/me/key", server.url));
        request.bearer_auth(&tokens.access).json(&body).send().await
    };
    let by_new = rotate(&new, &new).await?;
    assert!(by_new.status().is_client_error(), "{}", by_new.status());
    let rotated = rotate(&ada.pair, &new).await?;
    assert!(rotated.status().is_success(), "{}", rotated.text().await?);
    revoked_within_two_seconds(&server, &tokens.access).await?;
    assert_eq!(refresh(&server, &tokens.refresh).await?.status(), 401);
    let old = ada.answer(&ada.challenge(&server).await?);
    assert_eq!(
        server
            .post("/api/agents/authenticate", &old)
            .await?
            .status(),
        401
    );
    let renewed = Agent {
        name: ada.name,
        pair: new,
    };
    assert_eq!(
        me(&server, &renewed.sign_in(&server).await?.access)
            .await?
            .status(),
        200
    );
    Ok(())
}

#[tokio::test]
async fn signing_keys_rotate_without_a_logout() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::register(&server, 1).await?;
    let before = ada.sign_in(&server).await?;
    let jwks = async || -> Result<Vec<String>> {
        let body: Value = server.get("/.well-known/jwks.json").await?.json().await?;
        let keys = body["keys"].as_array().context("keys")?;
        for key in keys {
            assert_eq!(
                (&key["kty"], &key["crv"]),
                (&json!("OKP"), &json!("Ed25519")),
                "{key}"
            );
            assert_eq!(key.get("d"), None, "a private key in public");
        }
        Ok(keys
            .iter()
            // The keys of receipts are there for good.
            .filter(|key| {
                !key["kid"]
                    .as_str()
                    .is_some_and(|kid| kid.starts_with("attest-"))
            })
            .filter_map(|k| Some(k["kid"].as_str()?.to_owned()))
            .collect())
    };
    assert_eq!(jwks().await?.len(), 1);
    server
        .database
        .execute("select identity.rotate_signing_key()")
        .await?;
    let after = ada.sign_in(&server).await?;
    assert_eq!(
        jwks().await?.len(),
        2,
        "the outgoing key must stay while it may be in use"
    );
    let kid = |token: &str| token.split('.').next().map(str::to_owned);
    assert_ne!(kid(&before.access), kid(&after.access));
    for token in [&before.access, &after.access] {
        assert_eq!(me(&server, token).await?.status(), 200);
    }
    // The private half is nowhere to be read in the clear, and gone when the key retires.
    let mut connection = server.database.connect().await?;
    let sealed: Vec<(Option<Vec<u8>>, bool)> = sqlx::query_as(
        "select sealed, retired_at is null from identity.signing_key order by created_at",
    )
    .fetch_all(&mut connection)
    .await?;
    assert_eq!(sealed[0].0, None);
    assert!(sealed[1].1 && sealed[1].0.as_ref().is_some_and(|s| s.len() > 32));
    Ok(())
}

#[tokio::test]
async fn a_sign_in_beside_a_key_rotation_is_ended_by_it_or_refused_after_it() -> Result<()> {
    let server = Server::start().await?;
    let mut ada = Agent::register(&server, 1).await?;
    for (number, sign_in_first) in (2..).zip([true, false]) {
        let before = ada.sign_in(&server).await?;
        let known: Value = me(&server, &before.access).await?.json().await?;
        let id: Uuid = known["id"].as_str().context("id")?.parse()?;
        let new = key(number);
        let body = json!({
            "public_key": BASE64_STANDARD.encode(*new.pk),
            "signature": BASE64_STANDARD.encode(*ada.pair.sk.sign(*new.pk, None)),
        });
        let rotate = server
            .http
            .post(format!("{}/api/agents/me/key", server.url))
            .bearer_auth(&before.access)
            .json(&body);
        let answer = ada.answer(&ada.challenge(&server).await?);
        let sign_in = server
            .http
            .post(format!("{}/api/agents/authenticate", server.url))
            .json(&answer);
        // Both have found the key when they get to the account.
        let held = server.database.hold_account(id).await?;
        let (signed_in, rotated) = if sign_in_first {
            let [signed_in, rotated] = server.in_turn(held, sign_in, rotate).await?;
            (signed_in, rotated)
        } else {
            let [rotated, signed_in] = server.in_turn(held, rotate, sign_in).await?;
            (signed_in, rotated)
        };
        assert_eq!(rotated.status(), 200);
        if sign_in_first {
            assert_eq!(signed_in.status(), 200);
            let opened = tokens(signed_in).await?;
            assert_eq!(refresh(&server, &opened.refresh).await?.status(), 401);
            revoked_within_two_seconds(&server, &opened.access).await?;
        } else {
            assert_eq!(problem(signed_in, 401).await?, "authentication-failed");
        }
        let living: i64 = sqlx::query_scalar(
            "select count(*) from identity.session where account_id = $1 and revoked_at is null",
        )
        .bind(id)
        .fetch_one(&mut server.database.connect().await?)
        .await?;
        assert_eq!(living, 0);
        ada.pair = new;
    }
    assert_eq!(
        me(&server, &ada.sign_in(&server).await?.access)
            .await?
            .status(),
        200
    );
    Ok(())
}

#[tokio::test]
async fn no_session_of_a_former_key_outlives_its_rotation() -> Result<()> {
    let server = Server::start().await?;
    let mut ada = Agent::register(&server, 1).await?;
    let mut opened = Vec::new();
    for number in 2..10 {
        let before = ada.sign_in(&server).await?;
        let mut answers = Vec::new();
        for _ in 0..6 {
            answers.push(ada.answer(&ada.challenge(&server).await?));
        }
        let new = key(number);
        let body = json!({
            "public_key": BASE64_STANDARD.encode(*new.pk),
            "signature": BASE64_STANDARD.encode(*ada.pair.sk.sign(*new.pk, None)),
        });
        let rotate = server
            .http
            .post(format!("{}/api/agents/me/key", server.url))
            .bearer_auth(&before.access)
            .json(&body);
        let sign_ins = answers
            .iter()
            .map(|answer| server.post("/api/agents/authenticate", answer));
        let (signed_in, rotated) = tokio::join!(join_all(sign_ins), rotate.send());
        assert_eq!(rotated?.status(), 200);
        for response in signed_in {
            let response = response?;
            if response.status() == 200 {
                opened.push(tokens(response).await?);
            } else {
                assert_eq!(problem(response, 401).await?, "authentication-failed");
            }
        }
        opened.push(before);
        ada.pair = new;
    }
    for tokens in opened {
        revoked_within_two_seconds(&server, &tokens.access).await?;
        assert_eq!(refresh(&server, &tokens.refresh).await?.status(), 401);
    }
    Ok(())
}
