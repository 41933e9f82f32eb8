//! Access and refresh tokens, and the sessions that they belong to.

use super::client::{Agent, key, me, problem, refresh, tokens};
use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use e2e::{Server, client::until_status};
use futures::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

#[tokio::test]
async fn forged_tokens_are_refused_alike() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::register(&server, 1).await?;
    let token = ada.sign_in(&server).await?.access;
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        panic!("no JWT: {token}");
    };
    let decode = |part: &str| -> Result<Value> {
        Ok(serde_json::from_slice(
            &BASE64_URL_SAFE_NO_PAD.decode(part)?,
        )?)
    };
    let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let good_claims = decode(claims)?;
    let good_header = decode(header)?;
    assert_eq!(good_header["alg"], "EdDSA");
    for claim in ["sub", "kind", "scope", "jti", "sid", "iss", "exp", "iat"] {
        assert!(
            !good_claims[claim].is_null(),
            "{claim} is missing from {good_claims}"
        );
    }
    let with = |value: &Value, key: &str, new: Value| {
        let mut changed = value.clone();
        changed[key] = new;
        encode(&changed)
    };
    let forger = key(66);
    let forge = |header: &str, claims: &str| {
        let signed = format!("{header}.{claims}");
        let signature = forger.sk.sign(signed.as_bytes(), None);
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(*signature))
    };
    let none = with(&good_header, "alg", "none".into());
    let jwk =
        json!({ "kty": "OKP", "crv": "Ed25519", "x": BASE64_URL_SAFE_NO_PAD.encode(*forger.pk) });
    let forged = [
        format!("{none}.{claims}."),
        format!("{none}.{claims}.{signature}"),
        format!("{header}.{claims}."),
        format!("{header}.{claims}"),
        format!(
            "{header}.{}.{signature}",
            with(&good_claims, "sub", Uuid::now_v7().to_string().into())
        ),
        format!(
            "{header}.{}.{signature}",
            with(&good_claims, "exp", json!(4_000_000_000_u64))
        ),
        forge(header, claims),
        forge(&with(&good_header, "kid", "' or true --".into()), claims),
        forge(
            &with(&good_header, "kid", "../../etc/passwd".into()),
            claims,
        ),
        forge(&with(&good_header, "jwk", jwk), claims),
        forge(&with(&good_header, "alg", "HS256".into()), claims),
        format!("{token}x"),
        "not a token".into(),
        String::new(),
        "x".repeat(20_000),
    ];
    for token in forged {
        assert_eq!(
            problem(me(&server, &token).await?, 401).await?,
            "unauthenticated",
            "{token}"
        );
    }
    assert_eq!(
        problem(server.get("/api/agents/me").await?, 401).await?,
        "unauthenticated"
    );
    let basic = server
        .http
        .get(format!("{}/api/agents/me", server.url))
        .basic_auth("a", Some(&token));
    assert_eq!(problem(basic.send().await?, 401).await?, "unauthenticated");
    assert_eq!(me(&server, &token).await?.status(), 200);
    Ok(())
}

#[tokio::test]
async fn a_refresh_token_works_once_and_its_reuse_ends_the_session() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::register(&server, 1).await?;
    let first = ada.sign_in(&server).await?;
    let second = tokens(refresh(&server, &first.refresh).await?).await?;
    assert_eq!(me(&server, &second.access).await?.status(), 200);
    let reuse = refresh(&server, &first.refresh).await?;
    assert_eq!(reuse.status(), 401);
    assert_eq!(
        refresh(&server, &second.refresh).await?.status(),
        401,
        "the family lives on"
    );
    revoked_within_two_seconds(&server, &second.access).await?;
    assert_eq!(refresh(&server, "made up").await?.status(), 401);
    Ok(())
}

#[tokio::test]
async fn of_two_refreshes_at_once_one_wins() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::register(&server, 1).await?;
    let first = ada.sign_in(&server).await?;
    let race = join_all((0..6).map(|_| refresh(&server, &first.refresh))).await;
    let mut won = 0;
    for response in race {
        won += usize::from(response?.status() == 200);
    }
    assert!(won <= 1, "{won} refreshes of one token won");
    Ok(())
}

pub async fn revoked_within_two_seconds(server: &Server, token: &str) -> Result<()> {
    until_status(401, async || {
        anyhow::Ok(me(server, token).await?.status().as_u16())
    })
    .await
}

#[tokio::test]
async fn sessions_are_listed_and_ended() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::register(&server, 1).await?;
    let bob = Agent::register(&server, 2).await?;
    let [here, there, other] = [
        ada.sign_in(&server).await?,
        ada.sign_in(&server).await?,
        bob.sign_in(&server).await?,
    ];
    let list = async |token: &str| -> Result<Vec<Value>> {
        let request = server
            .http
            .get(format!("{}/api/sessions", server.url))
            .bearer_auth(token);
        let body: Value = request.send().await?.json().await?;
        Ok(body["items"].as_array().context("items")?.clone())
    };
    let delete = async |token: &str, which: &str| {
        let url = format!("{}/api/sessions/{which}", server.url);
        server.http.delete(url).bearer_auth(token).send().await
    };
    let sessions = list(&here.access).await?;
    assert_eq!(sessions.len(), 2, "{sessions:?}");
    let bobs = list(&other.access).await?;
    assert_eq!(bobs.len(), 1);
    // What is not the caller's does not exist.
    let foreign = bobs[0]["id"].as_str().context("id")?;
    assert_eq!(delete(&here.access, foreign).await?.status(), 404);
    assert_eq!(me(&server, &other.access).await?.status(), 200);
    assert_eq!(delete(&there.access, "current").await?.status(), 204);
    revoked_within_two_seconds(&server, &there.access).await?;
    assert_eq!(refresh(&server, &there.refresh).await?.status(), 401);
    assert_eq!(me(&server, &here.access).await?.status(), 200);
    assert_eq!(list(&here.access).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn an_ended_session_gives_no_new_tokens() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::register(&server, 1).await?;
    let session = ada.sign_in(&server).await?;
    // The database's clock decides here; that of access tokens is tested in the guest library.
    server
        .database
        .execute("update identity.session set expires_at = now() - interval '1 s'; update identity.refresh_token set expires_at = now() - interval '1 s'")
        .await?;
    assert_eq!(refresh(&server, &session.refresh).await?.status(), 401);
    Ok(())
}
