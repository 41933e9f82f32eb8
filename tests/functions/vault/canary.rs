//! A value that was stored, used, refused and rotated stands nowhere in the clear, however it is written.

use super::target::{Target, ok};
use super::world::{CANARY, fetch, store};
use anyhow::Result;
use base64::{Engine, prelude::BASE64_STANDARD};
use e2e::{Server, agents::Agent};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row};

/// The value in five encodings.
pub fn encodings() -> [String; 5] {
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    let percent: String = CANARY.bytes().map(|byte| format!("%{byte:02x}")).collect();
    [
        CANARY.to_owned(),
        BASE64_STANDARD.encode(CANARY),
        hex,
        percent,
        serde_json::to_string(CANARY).unwrap_or_default(),
    ]
}

/// Every row of every table, as text.
pub async fn dump(server: &Server) -> Result<String> {
    let mut connection = server.database.connect().await?;
    let tables: Vec<(String,)> = sqlx::query_as(
        "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema')",
    )
    .fetch_all(&mut connection)
    .await?;
    let mut text = String::new();
    for (table,) in tables {
        let rows = sqlx::query(AssertSqlSafe(format!("select t::text from {table} t")));
        for row in rows.fetch_all(&mut connection).await? {
            text += &row.try_get::<String, _>(0)?;
            text.push('\n');
        }
    }
    Ok(text)
}

#[tokio::test]
async fn a_value_is_in_no_table_answer_event_or_metric() -> Result<()> {
    let target = Target::start(|seen| ok(format!("{:?}", seen.headers))).await?;
    let server = Server::letting_out(&[&target.origin]).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let id = store(&server, &ada, "github", &target.origin).await?;
    let mut shown = Vec::new();
    let path = format!("/api/vault/secrets/{id}");
    let grant = format!("{path}/grants/account:{}", bob.id);
    ada.send(&server, "PUT", &grant, &json!({"calls": 1}))
        .await?;
    for (agent, secret) in [(&ada, "github"), (&bob, id.as_str()), (&bob, id.as_str())] {
        shown.push(fetch(&server, agent, &target, secret, "/echo").await?.1);
    }
    let rotation = ada
        .request(&server, "POST", &format!("{path}/versions"))
        .header("if-match", "*");
    let rotation = rotation
        .json(&json!({"value": CANARY, "overlap_ms": 1000}))
        .send()
        .await?;
    assert_eq!(rotation.status(), 201);
    shown.push(rotation.text().await?);
    let taken = json!({"name": "github", "kind": "token", "value": CANARY});
    shown.push(
        ada.send(&server, "POST", "/api/vault/secrets", &taken)
            .await?
            .1
            .to_string(),
    );
    let misplaced = json!({"name": "x", "kind": CANARY, "value": {"it": CANARY}});
    let (status, refused) = ada
        .send(&server, "POST", "/api/vault/secrets", &misplaced)
        .await?;
    assert_eq!(status, 422);
    shown.push(refused.to_string());
    for path in [
        path.clone(),
        format!("{path}/uses"),
        format!("{path}/grants"),
        "/api/vault/secrets".to_owned(),
        "/api/accounts/me/export".to_owned(),
    ] {
        let response = ada.request(&server, "GET", &path).send().await?;
        shown.push(response.text().await?);
    }
    let metrics = format!("{}/metrics", server.variables["egress_url"]);
    shown.push(server.http.get(metrics).send().await?.text().await?);
    let dumped = dump(&server).await?;
    assert!(
        dumped.contains("secret.created")
            && dumped.contains("secret.refused")
            && dumped.contains("secret.rotated")
    );
    let sent: Value = json!(
        target
            .seen()
            .iter()
            .map(|seen| &seen.headers["x-key"])
            .collect::<Vec<_>>()
    );
    assert_eq!(
        sent,
        json!([format!("Bearer {CANARY}"), format!("Bearer {CANARY}")])
    );
    shown.push(dumped);
    for text in &shown {
        for encoding in encodings() {
            assert!(!text.contains(&encoding), "{encoding} in {text}");
        }
    }
    Ok(())
}
