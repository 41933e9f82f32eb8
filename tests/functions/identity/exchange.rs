//! Acting for an account: service tokens that are exchanged for access tokens.

use anyhow::{Context, Result, anyhow};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use e2e::{Server, agents::Agent, people::Person};
use serde_json::{Value, json};
use service_token::{EGRESS, EXCHANGE, OnBehalf};
use std::time::{Duration, Instant};
use uuid::Uuid;

const KEY: &str = "the key of a component";

/// A platform whose component `errand` may act for accounts.
async fn server() -> Result<Server> {
    let callers = json!({"errand": {"key": KEY, "scopes": ["skills:call", "skills:review", "social:write", "vault:write"]}});
    Server::told(&[("exchange_callers", &callers.to_string())]).await
}

fn token(key: &str, audience: &str) -> Result<String> {
    service_token::make(key, "errand", audience, &OnBehalf::default())
        .map_err(|error| anyhow!("{error}"))
}

async fn exchange(
    server: &Server,
    token: &str,
    account: Uuid,
    scopes: &[&str],
) -> Result<(u16, Value)> {
    let request = server
        .http
        .post(format!("{}/api/tokens/exchange", server.url));
    let body = json!({"account": account, "scopes": scopes});
    let response = request.bearer_auth(token).json(&body).send().await?;
    Ok((response.status().as_u16(), response.json().await?))
}

/// The action of an entry of the audit, its actor, what acted for that, and the request.
type Recorded = (String, Option<Uuid>, Option<String>, Option<String>);

#[tokio::test]
async fn a_component_gets_what_it_asks_for_and_the_account_has() -> Result<()> {
    let server = server().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let service = token(KEY, EXCHANGE)?;
    let (status, given) =
        exchange(&server, &service, ada.id, &["skills:review", "skills:call"]).await?;
    assert_eq!(status, 200, "{given}");
    assert_eq!(given["scope"], "skills:call", "no reviewer");
    assert_eq!(given["expires_in"], 300);
    assert_eq!(
        given["issued_token_type"],
        "urn:ietf:params:oauth:token-type:access_token"
    );
    let access = given["access_token"].as_str().context("token")?;
    let claims = access.split('.').nth(1).context("claims")?;
    let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims)?)?;
    assert_eq!(claims["act"], json!({"sub": "errand"}));
    assert_eq!(claims["sub"], json!(ada.id));
    let lifetime =
        claims["exp"].as_u64().context("exp")? - claims["iat"].as_u64().context("iat")?;
    assert_eq!(lifetime, 300);

    let acting = Agent {
        id: ada.id,
        token: access.to_owned(),
    };
    let (status, me) = acting.get(&server, "/api/agents/me").await?;
    assert_eq!((status, &me["name"]), (200, &json!("ada")));
    let post = json!({"title": "x", "body": "x"});
    assert_eq!(
        acting.send(&server, "POST", "/api/posts", &post).await?.0,
        403,
        "it did not ask for this scope"
    );
    let recorded: Vec<(Option<Uuid>, Value)> =
        sqlx::query_as("select actor_id, detail from audit.entry where action = 'token.exchanged'")
            .fetch_all(&mut server.database.connect().await?)
            .await?;
    assert_eq!(
        recorded,
        [(
            Some(ada.id),
            json!({"component": "errand", "scope": "skills:call"})
        )]
    );
    Ok(())
}

#[tokio::test]
async fn what_a_component_does_is_on_record_as_both_s() -> Result<()> {
    let server = server().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let (_, given) = exchange(&server, &token(KEY, EXCHANGE)?, ada.id, &["vault:write"]).await?;
    let access = given["access_token"].as_str().context("token")?.to_owned();
    let acting = Agent {
        id: ada.id,
        token: access,
    };
    let secret = |name: &str| json!({"name": name, "kind": "opaque", "value": "a-value-of-hers"});
    for (agent, name) in [(&ada, "own"), (&acting, "acted")] {
        let (status, made) = agent
            .send(&server, "POST", "/api/vault/secrets", &secret(name))
            .await?;
        assert_eq!(status, 201, "{made}");
    }
    let post = json!({"title": "x", "body": "x"});
    assert_eq!(
        acting.send(&server, "POST", "/api/posts", &post).await?.0,
        403
    );
    let recorded: Vec<Recorded> = sqlx::query_as(
        "select action, actor_id, detail ->> 'act', request_id from audit.entry
         where action in ('vault.secret-created', 'access.refused') order by at, id",
    )
    .fetch_all(&mut server.database.connect().await?)
    .await?;
    let told: Vec<_> = recorded
        .iter()
        .map(|(action, actor, act, _)| (action.as_str(), *actor, act.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            ("vault.secret-created", Some(ada.id), None),
            ("vault.secret-created", Some(ada.id), Some("errand")),
            ("access.refused", Some(ada.id), Some("errand")),
        ]
    );
    for (action, _, _, request) in &recorded {
        let request = request.as_deref().unwrap_or_default();
        assert!(
            !request.is_empty() && !request.contains(['\n', ' ']),
            "{action}: {request}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn nobody_but_components_of_the_manifest_acts_for_accounts() -> Result<()> {
    let server = server().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    for bad in [
        token("another long key", EXCHANGE)?,
        token(KEY, EGRESS)?,
        ada.token.clone(),
        String::new(),
    ] {
        let (status, refused) = exchange(&server, &bad, ada.id, &["skills:call"]).await?;
        assert_eq!(
            (status, &refused["code"]),
            (401, &json!("unauthenticated")),
            "{bad}"
        );
    }
    let service = token(KEY, EXCHANGE)?;
    let (status, refused) =
        exchange(&server, &service, ada.id, &["skills:call", "admin:all"]).await?;
    assert_eq!(
        (status, &refused["code"]),
        (403, &json!("forbidden")),
        "more than the manifest says"
    );
    let (status, refused) = exchange(&server, &service, Uuid::now_v7(), &["skills:call"]).await?;
    assert_eq!((status, &refused["code"]), (404, &json!("not-found")));
    let request = server
        .http
        .post(format!("{}/api/tokens/exchange", server.url))
        .bearer_auth(&service);
    let other = json!({"account": ada.id, "scopes": [], "audience": "https://elsewhere.example"});
    assert_eq!(request.json(&other).send().await?.status(), 422);
    Ok(())
}

#[tokio::test]
async fn a_suspended_account_is_acted_for_no_more() -> Result<()> {
    let server = server().await?;
    let root = Person::register(&server, "grace")
        .await?
        .into_admin(&server)
        .await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let service = token(KEY, EXCHANGE)?;
    let (_, given) = exchange(&server, &service, ada.id, &["skills:call"]).await?;
    let access = given["access_token"].as_str().context("token")?.to_owned();
    let acting = Agent {
        id: ada.id,
        token: access,
    };
    assert_eq!(acting.get(&server, "/api/agents/me").await?.0, 200);
    let suspend = format!("/api/accounts/{}/suspend", ada.id);
    let response = root
        .request(&server, "POST", &suspend)
        .json(&json!({}))
        .send()
        .await?;
    assert!(response.status().is_success(), "{}", response.text().await?);
    let (status, refused) = exchange(&server, &service, ada.id, &["skills:call"]).await?;
    assert_eq!(
        (status, &refused["code"]),
        (403, &json!("account-suspended"))
    );
    let begin = Instant::now();
    while acting.get(&server, "/api/agents/me").await?.0 != 401 {
        assert!(
            begin.elapsed() < Duration::from_secs(3),
            "the token lives on"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let refusals: i64 = sqlx::query_scalar(
        "select count(*) from audit.entry where action = 'token.refused' and not allowed",
    )
    .fetch_one(&mut server.database.connect().await?)
    .await?;
    assert_eq!(refusals, 1);
    Ok(())
}
