//! Components in an object store: a stand-in that speaks S3's protocol over a real socket.

use anyhow::Result;
use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::put,
};
use e2e::{
    Database, Server,
    agents::Agent,
    publishing::{fixture, manifest, upload},
};
use sandbox::Storage;
use sqlx::PgPool;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use tokio::net::TcpListener;

type Objects = Arc<Mutex<BTreeMap<String, Bytes>>>;

/// A signature of version 4 is wanted, as S3 does; it is not computed again.
fn is_signed(headers: &HeaderMap) -> bool {
    headers
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("AWS4-HMAC-SHA256 Credential=key-id/"))
}

async fn store(
    State(objects): State<Objects>,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !is_signed(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    objects.lock().expect("not poisoned").insert(path, body);
    [("etag", "\"1\"")].into_response()
}

async fn fetch(
    State(objects): State<Objects>,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Response {
    let object = objects.lock().expect("not poisoned").get(&path).cloned();
    match object {
        Some(object) if is_signed(&headers) => {
            let headers = [
                ("etag", "\"1\""),
                ("last-modified", "Sat, 21 Nov 2026 00:00:00 GMT"),
            ];
            (headers, object).into_response()
        }
        _ => (
            StatusCode::NOT_FOUND,
            "<Error><Code>NoSuchKey</Code></Error>",
        )
            .into_response(),
    }
}

/// DeleteObjects: the keys stand in the body.
async fn forget(
    State(objects): State<Objects>,
    Path(bucket): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Response {
    if !is_signed(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let keys = body
        .split("<Key>")
        .skip(1)
        .filter_map(|rest| rest.split("</Key>").next());
    let mut deleted = String::new();
    for key in keys {
        objects
            .lock()
            .expect("not poisoned")
            .remove(&format!("{bucket}/{key}"));
        deleted += &format!("<Deleted><Key>{key}</Key></Deleted>");
    }
    let answer =
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><DeleteResult>{deleted}</DeleteResult>");
    ([("content-type", "application/xml")], answer).into_response()
}

async fn s3() -> Result<(String, Objects)> {
    let objects = Objects::default();
    let router = Router::new()
        .route("/{*path}", put(store).get(fetch).post(forget))
        .with_state(objects.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok((endpoint, objects))
}

fn variables(endpoint: &str) -> Vec<(String, String)> {
    let variables = [
        ("AWS_ENDPOINT", endpoint),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ACCESS_KEY_ID", "key-id"),
        ("AWS_SECRET_ACCESS_KEY", "s3cret"),
        ("AWS_REGION", "eu-1"),
    ];
    variables
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

#[tokio::test]
async fn components_can_be_in_an_object_store() -> Result<()> {
    let (endpoint, objects) = s3().await?;
    let database = Database::create().await?;
    let pool = PgPool::connect(database.admin.as_str()).await?;
    let url = "s3://bucket/skills".parse()?;
    let storage = Storage::new(pool.clone(), Some(&url), variables(&endpoint))?;
    let wasm = fixture("adder")?;
    let digest = skill::digest::of_bytes(&wasm);
    storage.put(&digest, &wasm).await?;
    storage.put(&digest, &wasm).await?;
    let key = format!(
        "bucket/skills/{}.wasm",
        digest.trim_start_matches("sha256:")
    );
    assert_eq!(
        objects
            .lock()
            .expect("not poisoned")
            .keys()
            .collect::<Vec<_>>(),
        [&key]
    );
    assert_eq!(
        storage.get(&digest).await?.as_deref(),
        Some(wasm.as_slice())
    );
    assert_eq!(storage.get(&digest.replace('a', "b")).await?, None);
    let kept: Option<Vec<u8>> = sqlx::query_scalar("select bytes from skills.component")
        .fetch_one(&pool)
        .await?;
    assert_eq!(kept, None, "the database has only that it is there");
    // Nobody has published it: after a day it goes, there and here.
    assert_eq!(storage.sweep().await?, 0);
    sqlx::query("update skills.component set created_at = now() - interval '25 hours'")
        .execute(&pool)
        .await?;
    assert_eq!(storage.sweep().await?, 1);
    assert!(objects.lock().expect("not poisoned").is_empty());
    assert!(Storage::new(pool, Some(&"ftp://bucket/x".parse()?), Vec::new()).is_err());
    Ok(())
}

#[tokio::test]
async fn what_is_published_is_never_swept() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    assert_eq!(
        upload(
            &server,
            &ada,
            &manifest("adder", "1.0.0"),
            fixture("adder")?
        )
        .await?
        .0,
        202
    );
    let pool = PgPool::connect(server.database.admin.as_str()).await?;
    sqlx::query("update skills.component set created_at = now() - interval '25 hours'")
        .execute(&pool)
        .await?;
    let storage = Storage::new(pool, None, Vec::new())?;
    assert_eq!(storage.sweep().await?, 0);
    assert!(
        storage
            .get(&skill::digest::of_bytes(&fixture("adder")?))
            .await?
            .is_some()
    );
    Ok(())
}
