//! What ends by itself, and who is told.

use super::target::{Target, ok};
use super::world::{CANARY, code, fetch, store, until};
use anyhow::{Context, Result};
use e2e::{Server, agents::Agent};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// The types of the events on a topic, in order.
async fn events(server: &Server, topic: &str) -> Result<Vec<String>> {
    let types: Vec<(String,)> = sqlx::query_as(
        "select type from events.event where topic = $1 and type like 'secret.%' order by number",
    )
    .bind(topic)
    .fetch_all(&mut server.database.connect().await?)
    .await?;
    Ok(types.into_iter().map(|(kind,)| kind).collect())
}

#[tokio::test]
async fn what_is_over_is_erased_and_owners_are_told_before() -> Result<()> {
    let target = Target::start(|_| ok("fine")).await?;
    let server = Server::letting_out(&[&target.origin]).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let id = store(&server, &ada, "github", &target.origin).await?;
    let topic = format!("account:{}", ada.id);
    server
        .database
        .execute(&format!(
            "update vault.secret set expires_at = now() + interval '6 days' where id = '{id}'; select vault.sweep();
             select vault.sweep(); update vault.secret set expires_at = now() where id = '{id}'; select vault.sweep()"
        ))
        .await?;
    let told = events(&server, &topic).await?;
    assert_eq!(told, ["secret.created", "secret.expiring"], "once");
    let left: i64 =
        sqlx::query_scalar("select count(*) from vault.version where sealed is not null")
            .fetch_one(&mut server.database.connect().await?)
            .await?;
    assert_eq!(left, 0);
    let (_, read) = ada.get(&server, "/api/vault/secrets/github").await?;
    assert_eq!(read["state"], json!("expired"));
    let later = json!({"expires_at": "2999-01-01T00:00:00Z"});
    let change = ada
        .request(&server, "PATCH", "/api/vault/secrets/github")
        .header("if-match", "*");
    assert_eq!(
        change.json(&later).send().await?.status(),
        410,
        "nothing revives it"
    );
    for _ in 0..3 {
        let (status, body) = fetch(&server, &ada, &target, "github", "/x").await?;
        assert_eq!((status, code(&body).as_str()), (410, "secret-expired"));
    }
    let told = events(&server, &topic).await?;
    assert_eq!(
        told,
        ["secret.created", "secret.expiring", "secret.refused"],
        "once a minute"
    );
    Ok(())
}

#[tokio::test]
async fn who_leaves_a_team_uses_its_secrets_no_more() -> Result<()> {
    let target = Target::start(|_| ok("fine")).await?;
    let server = Server::letting_out(&[&target.origin]).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let (_, team) = ada
        .send(&server, "POST", "/api/teams", &json!({"name": "crew"}))
        .await?;
    let team = team["id"].as_str().context("id")?;
    let member = format!("/api/teams/{team}/members/{}", bob.id);
    ada.send(&server, "PUT", &member, &json!({"role": "member"}))
        .await?;
    let used = json!({"origins": [target.origin], "place": {"header": "x-key"}});
    let new =
        json!({"name": "deploy", "kind": "token", "value": CANARY, "use": used, "team_id": team});
    let (_, made) = ada
        .send(&server, "POST", "/api/vault/secrets", &new)
        .await?;
    let id = made["id"].as_str().context("id")?;
    for agent in [&ada, &bob] {
        let (status, body) = fetch(&server, agent, &target, id, "/x").await?;
        assert_eq!((status, code(&body).as_str()), (403, "secret-not-granted"));
    }
    let grant = format!("/api/vault/secrets/{id}/grants/team:{team}");
    assert_eq!(ada.send(&server, "PUT", &grant, &json!({})).await?.0, 200);
    assert_eq!(fetch(&server, &bob, &target, id, "/x").await?.0, 200);
    assert_eq!(
        ada.send(&server, "DELETE", &member, &Value::Null).await?.0,
        204
    );
    assert_eq!(
        fetch(&server, &bob, &target, id, "/x").await?.0,
        404,
        "at once"
    );
    assert_eq!(
        events(&server, &format!("team:{team}")).await?,
        ["secret.created", "secret.refused"]
    );
    Ok(())
}

#[tokio::test]
async fn an_account_that_leaves_takes_its_secrets_along() -> Result<()> {
    let target = Target::start(|_| ok("fine")).await?;
    let server = Server::letting_out(&[&target.origin]).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let id = store(&server, &ada, "github", &target.origin).await?;
    let grant = format!("/api/vault/secrets/{id}/grants/account:{}", bob.id);
    ada.send(&server, "PUT", &grant, &json!({})).await?;
    assert_eq!(fetch(&server, &bob, &target, &id, "/x").await?.0, 200);
    let (_, export) = bob.get(&server, "/api/accounts/me/export").await?;
    assert_eq!(
        export["vault"]["granted"][0]["secret"],
        json!(id),
        "{export}"
    );
    let (_, export) = ada.get(&server, "/api/accounts/me/export").await?;
    assert_eq!(
        export["vault"]["secrets"][0]["name"],
        json!("github"),
        "{export}"
    );
    server
        .database
        .execute(&format!("select identity.leave('{}', '{{}}')", ada.id))
        .await?;
    assert_eq!(fetch(&server, &bob, &target, &id, "/x").await?.0, 404);
    let left: i64 = sqlx::query_scalar("select count(*) from vault.secret")
        .fetch_one(&mut server.database.connect().await?)
        .await?;
    assert_eq!(left, 0);
    Ok(())
}

#[tokio::test]
async fn states_are_held_by_the_database() -> Result<()> {
    let target = Target::start(|_| ok("fine")).await?;
    let server = Server::letting_out(&[&target.origin]).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    store(&server, &ada, "github", &target.origin).await?;
    for (statement, constraint) in [
        (
            "update vault.secret set state = 'revived'",
            "secret_state_known",
        ),
        (
            "update vault.secret set state = 'expired'",
            "secret_expired",
        ),
        (
            "update vault.secret set state = 'deleted'",
            "secret_deleted",
        ),
        (
            "update vault.secret set deleted_at = now()",
            "secret_deleted",
        ),
        (
            "update vault.version set state = 'lost'",
            "version_state_known",
        ),
        ("update vault.version set state = 'former'", "version_until"),
        ("update vault.version set sealed = null", "version_erased"),
        (
            "update vault.version set state = 'ended', until = now()",
            "version_erased",
        ),
        (
            "insert into vault.version (secret_id, number, sealed) select secret_id, 2, sealed from vault.version",
            "version_one_current",
        ),
        (
            "insert into vault.secret_grant (secret_id, subject, calls, used)
             select id, 'account:' || account_id, 1, 2 from vault.secret",
            "secret_grant_calls",
        ),
        (
            "insert into vault.use (secret_id, component, origin, method, path, status, refused)
             select id, 'x', 'x', 'GET', '/', 200, 'origin-refused' from vault.secret",
            "use_status",
        ),
    ] {
        let done = server.database.execute(statement).await;
        let refused = done
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        assert!(refused.contains(constraint), "{statement}: {refused}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_handed_to_containers_is_put_into_no_request() -> Result<()> {
    let target = Target::start(|_| ok("fine")).await?;
    let server = Server::letting_out(&[&target.origin]).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let used = json!({"origins": [target.origin], "place": {"handed": true}});
    let new = json!({"name": "handed", "kind": "token", "value": CANARY, "use": used});
    let (status, made) = ada
        .send(&server, "POST", "/api/vault/secrets", &new)
        .await?;
    assert_eq!(status, 201, "{made}");
    let (status, body) = fetch(&server, &ada, &target, "handed", "/x").await?;
    assert_eq!((status, code(&body).as_str()), (403, "origin-refused"));
    let provider =
        json!({"name": "p", "protocol": "openai", "url": target.origin, "secret": "vault:handed"});
    let (status, refused) = ada
        .send(&server, "POST", "/api/llm/providers", &provider)
        .await?;
    assert_eq!(status, 422, "{refused}");
    assert!(target.seen().is_empty());
    let (_, uses) = ada.get(&server, "/api/vault/secrets/handed/uses").await?;
    assert_eq!(
        uses["items"][0]["refused"],
        json!("origin-refused"),
        "{uses}"
    );
    Ok(())
}

#[tokio::test]
async fn a_silent_host_is_given_up() -> Result<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello";
    let target = Target::waiting(move |seen| {
        if seen.line.contains("/head") {
            Vec::new()
        } else {
            head.as_bytes().to_vec()
        }
    })
    .await?;
    let server = Server::letting_out(&[&target.origin]).await?;
    let send = |path: &str, limit: &str| {
        let url = format!("{}{path}", target.origin);
        let request = super::world::forward(&server, "vault", None, &[], &url)?;
        let request = request.header(limit, "200");
        Ok::<_, anyhow::Error>(request.timeout(Duration::from_secs(20)).send())
    };
    let answer = send("/head", "gather-timeout-ms")?.await?;
    assert_eq!(answer.status(), 504);
    assert_eq!(answer.headers()["gather-egress"], "fetch-timeout");
    let is_closed = || target.closed() >= 1;
    assert!(until(is_closed, Duration::from_secs(20)).await);
    for (number, limit) in ["gather-idle-ms", "gather-total-ms"].iter().enumerate() {
        let answer = send("/body", limit)?.await?;
        assert_eq!(answer.status(), 200, "{limit}");
        let error = answer.bytes().await.expect_err("it breaks off");
        assert!(!error.is_timeout(), "{limit}: the way out ends it: {error}");
        let is_closed = || target.closed() >= number + 2;
        assert!(until(is_closed, Duration::from_secs(20)).await, "{limit}");
    }
    Ok(())
}

/// DNS rebinding: each look-up is checked, and what was checked is connected to.
#[tokio::test]
async fn a_name_that_leads_inside_is_refused_and_looked_up_once() -> Result<()> {
    let target = Target::start(|_| ok("inside")).await?;
    let server = Server::letting_out(&[]).await?;
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let inside: SocketAddr = target.host().parse()?;
    let resolve: outgoing::Resolve = Arc::new(move |host, port| {
        counter.fetch_add(1, Relaxed);
        let public = SocketAddr::from(([1, 1, 1, 1], port));
        let found = match host.as_str() {
            "mixed.example" => vec![public, inside],
            _ => vec![SocketAddr::new(inside.ip(), port)],
        };
        Box::pin(async move { Ok(found) })
    });
    let egress = gather::egress::start(gather::egress::Start {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        manifest: &e2e::manifest()?,
        database: &server.database.admin,
        key: &e2e::master_key(),
        trusted_origins: BTreeSet::new(),
        provider_origins: BTreeSet::new(),
        resolve: Some(resolve),
    })
    .await?;
    let url = format!("http://{}", egress.address());
    for (number, host) in ["mixed.example", "rebound.example"].into_iter().enumerate() {
        let target = format!("https://{host}/x");
        let request = super::world::forward_through(&server, &url, "vault", None, &[], &target)?;
        let answer = request.send().await?;
        assert_eq!(answer.status(), 403, "{host}");
        assert_eq!(answer.headers()["gather-egress"], "origin-refused");
        assert_eq!(asked.load(Relaxed), number + 1, "{host}");
    }
    assert!(target.seen().is_empty());
    egress.shutdown(Duration::ZERO).await;
    Ok(())
}
