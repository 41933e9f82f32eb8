//! The same handlers in native axum and tokio-postgres.

use anyhow::Result;
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    routing::{get, post},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use ed25519_compact::{PublicKey, Signature};
use hmac::{Hmac, Mac};
use jwt_simple::prelude::{
    Claims, Duration as TokenTime, Ed25519KeyPair, EdDSAKeyPairLike, EdDSAPublicKeyLike,
    NoCustomClaims,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio_postgres::NoTls;
use uuid::Uuid;

struct App {
    pool: Pool,
    signer: Ed25519KeyPair,
    /// Verified tokens, as the guest remembers them.
    verified: Mutex<HashMap<String, Uuid>>,
}

type Shared = State<Arc<App>>;
type Answer<T> = Result<T, StatusCode>;

/// Serves until the process is killed.
///
/// # Errors
/// The database's address is none, or no port is free.
pub async fn serve(database: &str) -> Result<()> {
    let manager = Manager::from_config(
        database.parse()?,
        NoTls,
        ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        },
    );
    let app = App {
        pool: Pool::builder(manager).max_size(32).build()?,
        signer: Ed25519KeyPair::generate(),
        verified: Mutex::default(),
    };
    let router = Router::new()
        .route("/hello", get(async || "hello"))
        .route("/item/{id}", get(item))
        .route("/api/agents/register", post(async || Json(json!({}))))
        .route("/api/agents/me", get(me))
        .route("/api/agents/challenge", post(challenge))
        .route("/api/agents/authenticate", post(authenticate))
        .with_state(Arc::new(app));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    axum::serve(
        axum::serve::ListenerExt::tap_io(listener, |io| drop(io.set_nodelay(true))),
        router,
    )
    .await?;
    Ok(())
}

#[derive(Serialize)]
struct Item {
    id: i32,
    name: String,
}

fn internal(_: impl std::fmt::Debug) -> StatusCode {
    StatusCode::INTERNAL_SERVER_ERROR
}

async fn item(State(app): Shared, Path(id): Path<i32>) -> Answer<Json<Item>> {
    let db = app.pool.get().await.map_err(internal)?;
    let sql = "select id, name from public.item where id = $1";
    let statement = db.prepare_cached(sql).await.map_err(internal)?;
    let row = db.query_opt(&statement, &[&id]).await.map_err(internal)?;
    let row = row.ok_or(StatusCode::NOT_FOUND)?;
    Ok(Json(Item {
        id: row.get(0),
        name: row.get(1),
    }))
}

async fn me(State(app): Shared, headers: HeaderMap) -> Answer<Json<Value>> {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
        .ok_or(StatusCode::UNAUTHORIZED)?;
    let known = app.verified.lock().map_err(internal)?.get(token).copied();
    let account = match known {
        Some(account) => account,
        None => {
            let claims = app
                .signer
                .public_key()
                .verify_token::<NoCustomClaims>(token, None)
                .map_err(|_| StatusCode::UNAUTHORIZED)?;
            let account: Uuid = claims
                .subject
                .and_then(|s| s.parse().ok())
                .ok_or(StatusCode::UNAUTHORIZED)?;
            app.verified
                .lock()
                .map_err(internal)?
                .insert(token.to_owned(), account);
            account
        }
    };
    let db = app.pool.get().await.map_err(internal)?;
    let sql = "select id, name, public_key, description, status, created_at::text from identity.agent_profile where id = $1";
    let statement = db.prepare_cached(sql).await.map_err(internal)?;
    let row = db
        .query_opt(&statement, &[&account])
        .await
        .map_err(internal)?;
    let row = row.ok_or(StatusCode::NOT_FOUND)?;
    Ok(Json(json!({
        "id": row.get::<_, Uuid>(0), "name": row.get::<_, String>(1), "public_key": row.get::<_, String>(2),
        "description": row.get::<_, String>(3), "status": row.get::<_, String>(4), "created_at": row.get::<_, String>(5),
    })))
}

const SECRET: [u8; 32] = [3; 32];

fn mac(text: &str) -> String {
    let mac = <Hmac<Sha256> as Mac>::new_from_slice(&SECRET).expect("HMAC takes any key");
    BASE64_STANDARD.encode(mac.chain_update(text).finalize().into_bytes())
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

#[derive(Deserialize)]
struct ChallengeFor {
    public_key: String,
}

async fn challenge(Json(wanted): Json<ChallengeFor>) -> Json<Value> {
    let digest = Sha256::digest(wanted.public_key.as_bytes());
    let text = format!(
        "native agent-authentication {} {} {}",
        Uuid::now_v7().simple(),
        now() + 60,
        BASE64_STANDARD.encode(digest)
    );
    Json(json!({ "challenge": format!("{text} {}", mac(&text)), "expires_at": now() + 60 }))
}

#[derive(Deserialize)]
struct Signed {
    public_key: String,
    challenge: String,
    signature: String,
}

async fn authenticate(State(app): Shared, Json(signed): Json<Signed>) -> Answer<Json<Value>> {
    let refused = |_| StatusCode::UNAUTHORIZED;
    let (text, given) = signed
        .challenge
        .rsplit_once(' ')
        .ok_or(StatusCode::UNAUTHORIZED)?;
    if mac(text) != given {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let nonce = text
        .split(' ')
        .nth(2)
        .unwrap_or_default()
        .as_bytes()
        .to_vec();
    let key = BASE64_STANDARD
        .decode(&signed.public_key)
        .map_err(|_| StatusCode::UNAUTHORIZED)?;
    let signature = BASE64_STANDARD
        .decode(&signed.signature)
        .map_err(|_| StatusCode::UNAUTHORIZED)?;
    PublicKey::from_slice(&key)
        .and_then(|public| {
            public.verify(
                signed.challenge.as_bytes(),
                &Signature::from_slice(&signature)?,
            )
        })
        .map_err(refused)?;
    let refresh = Uuid::now_v7().simple().to_string();
    let hash = Sha256::digest(&refresh).to_vec();
    let db = app.pool.get().await.map_err(internal)?;
    let sql = "with known as (
                   select a.id from identity.agent g join identity.account a on a.id = g.account_id
                   where g.public_key = $1 and a.status = 'active'
               ), used as (
                   insert into identity.used_challenge (nonce, expires_at) select $2, now() + interval '60 s' from known
                   on conflict do nothing returning nonce
               ), opened as (
                   insert into identity.session (account_id, expires_at)
                   select known.id, now() + interval '30 days' from known, used returning id, account_id, expires_at
               ), token as (
                   insert into identity.refresh_token (hash, account_id, session_id, expires_at)
                   select $3, account_id, id, expires_at from opened
               )
               select id, account_id from opened";
    let statement = db.prepare_cached(sql).await.map_err(internal)?;
    let row = db
        .query_opt(&statement, &[&key, &nonce, &hash])
        .await
        .map_err(internal)?;
    let row = row.ok_or(StatusCode::UNAUTHORIZED)?;
    let claims = Claims::create(TokenTime::from(Duration::from_secs(900)))
        .with_subject(row.get::<_, Uuid>(1));
    let token = app.signer.sign(claims).map_err(internal)?;
    Ok(Json(
        json!({ "access_token": token, "token_type": "Bearer", "expires_in": 900, "refresh_token": refresh }),
    ))
}
