//! What comes in by hooks: believed by its signature, and one event however often it comes.

use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD};
use e2e::{Server, agents::Agent, client::read};
use hmac::{Hmac, Mac};
use host::Limits;
use serde_json::{Value, json};
use sha2::Sha256;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A hook of ada's.
pub struct Hook {
    pub server: Server,
    pub ada: Agent,
    pub id: String,
    pub url: String,
    pub secret: String,
}

impl Hook {
    pub async fn new(source: &str) -> Result<Self> {
        Self::of(Server::start().await?, source).await
    }

    pub async fn of(server: Server, source: &str) -> Result<Self> {
        let ada = Agent::sign_in(&server, "ada", 1).await?;
        Self::made(server, ada, source).await
    }

    pub async fn made(server: Server, ada: Agent, source: &str) -> Result<Self> {
        let new = json!({ "source": source });
        let (status, made) = ada.send(&server, "POST", "/api/hooks", &new).await?;
        assert_eq!(status, 201, "{made}");
        let text = |name: &str| made[name].as_str().map(str::to_owned).context("a text");
        Ok(Self {
            id: text("id")?,
            url: text("url")?,
            secret: text("secret")?,
            server,
            ada,
        })
    }

    pub async fn send(&self, headers: &[(&str, String)], body: Vec<u8>) -> Result<(u16, Value)> {
        let mut request = self.server.http.post(&self.url).body(body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        read(request.send().await?).await
    }

    async fn sent_github(
        &self,
        kind: &str,
        delivery: &str,
        media: &str,
        body: Vec<u8>,
    ) -> Result<(u16, Value)> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).expect("any length");
        mac.update(&body);
        let tag = mac.finalize().into_bytes();
        let tag: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
        let headers = [
            ("x-hub-signature-256", format!("sha256={tag}")),
            ("x-github-event", kind.to_owned()),
            ("x-github-delivery", delivery.to_owned()),
            ("content-type", media.to_owned()),
        ];
        self.send(&headers, body).await
    }

    /// What came in, the oldest first.
    pub async fn events(&self) -> Result<Vec<Value>> {
        let (events, _) = self.events_since(None).await?;
        Ok(events)
    }

    /// The same, however many pages they are.
    pub async fn all_events(&self) -> Result<Vec<Value>> {
        let (mut events, mut position) = self.events_since(None).await?;
        loop {
            let (more, next) = self.events_since(Some(&position)).await?;
            if more.is_empty() {
                return Ok(events);
            }
            (position, events) = (next, [events, more].concat());
        }
    }

    async fn events_since(&self, position: Option<&str>) -> Result<(Vec<Value>, String)> {
        let since = position.map_or(String::new(), |position| format!("&since={position}"));
        let path = format!("/api/events?topic=hook:{}&limit=100{since}", self.id);
        let (_, page) = self.ada.get(&self.server, &path).await?;
        let items = page["items"].as_array();
        let position = page["position"].as_str();
        let page = items.cloned().zip(position.map(str::to_owned));
        page.context("a page of events")
    }
}

#[tokio::test]
async fn what_github_sends_becomes_one_event_each() -> Result<()> {
    let hook = Hook::new("github").await?;
    let bob = Agent::sign_in(&hook.server, "bob", 2).await?;
    let json = "application/json; charset=utf-8";
    let push = json!({
        "ref": "refs/heads/main", "repository": { "full_name": "ada/x", "private": true }, "sender": { "login": "ada" },
        "commits": [{ "id": "1", "message": "Fix 🐛 \u{0}", "author": { "name": "Ada" }, "added": ["a"] }],
    });
    let push = push.to_string().into_bytes();
    let (status, first) = hook.sent_github("push", "d-1", json, push.clone()).await?;
    assert_eq!(status, 202, "{first}");
    assert!(first["event"].is_string());
    // Again; and what somebody saw, under another id, which no signature covers.
    for delivery in ["d-1", "d-2"] {
        let again = hook
            .sent_github("push", delivery, json, push.clone())
            .await?;
        assert_eq!(again, (202, json!({ "event": null })));
    }
    let form = "payload=%7B%22zen%22%3A%22%F0%9F%90%99+%26+so+on%22%7D"
        .as_bytes()
        .to_vec();
    let (status, _) = hook
        .sent_github("ping", "d-3", "application/x-www-form-urlencoded", form)
        .await?;
    assert_eq!(status, 202);
    let broken = b"{\"action\": \"created\", \"x\": \"\xff\"}".to_vec();
    let (status, _) = hook
        .sent_github("never_heard_of", "d-4", json, broken)
        .await?;
    assert_eq!(status, 202);
    let large = json!({ "action": "opened", "issue": { "number": 7, "title": "t", "body": "y".repeat(24_000_000) } });
    let (status, answer) = hook
        .sent_github("issues", "d-5", json, large.to_string().into_bytes())
        .await?;
    assert_eq!(status, 202, "{answer}");

    let events = hook.events().await?;
    let types: Vec<_> = events
        .iter()
        .filter_map(|event| event["type"].as_str())
        .collect();
    assert_eq!(
        types,
        [
            "github.push",
            "github.ping",
            "github.never-heard-of",
            "github.issues"
        ]
    );
    let data = &events[0]["data"];
    assert_eq!(data["payload"]["commits"][0]["message"], "Fix 🐛 ");
    assert_eq!(
        (&data["cut"], &data["payload"]["total_commits"]),
        (&json!(false), &json!(1))
    );
    assert_eq!(events[1]["data"]["payload"]["zen"], "🐙 & so on");
    let data = &events[3]["data"];
    assert_eq!(
        (&data["cut"], &data["payload"]["issue"]["number"]),
        (&json!(true), &json!(7))
    );
    assert!(data["size_bytes"].as_u64() > Some(24_000_000) && data.to_string().len() < 60_000);
    // It is the owner's alone.
    let path = format!("/api/events?topic=hook:{}", hook.id);
    assert_eq!(bob.get(&hook.server, &path).await?.0, 404);
    Ok(())
}

#[tokio::test]
async fn what_is_forged_too_large_or_no_hooks_is_refused() -> Result<()> {
    // So long the host waits for a body that it has refused already.
    let impatient = Limits {
        stall_timeout: Duration::from_secs(2),
        ..Limits::default()
    };
    let hook = Hook::of(Server::start_with(impatient).await?, "github").await?;
    let json = "application/json";
    let tag = |text: &str| ("x-hub-signature-256", text.to_owned());
    let rest = [
        ("x-github-event", "push".to_owned()),
        ("x-github-delivery", "d".to_owned()),
        ("content-type", json.to_owned()),
    ];
    for forged in [
        "",
        "sha256=",
        &format!("sha256={}", "0".repeat(64)),
        "sha1=00",
    ] {
        let headers = [&rest[..], &[tag(forged)]].concat();
        let (status, problem) = hook.send(&headers, b"{}".to_vec()).await?;
        assert_eq!(
            (status, &problem["code"]),
            (401, &json!("hook-refused")),
            "{forged}"
        );
    }
    // Its length is enough to refuse it.
    let address = hook
        .server
        .url
        .strip_prefix("http://")
        .context("an address")?;
    let path = hook.url.strip_prefix(&hook.server.url).context("a path")?;
    let mut socket = tokio::net::TcpStream::connect(address).await?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: {json}\r\ncontent-length: 26000000\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await?;
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).await?;
    assert_eq!(&answer, b"HTTP/1.1 413");
    for (kind, delivery, media, body, expected) in [
        ("push", "d", json, "{", (400, "malformed-json")),
        (
            "push",
            "d",
            "text/html",
            "{}",
            (415, "unsupported-media-type"),
        ),
        (
            "push",
            "d",
            "application/x-www-form-urlencoded",
            "a=b",
            (422, "invalid-input"),
        ),
        ("push", "", json, "{}", (422, "invalid-input")),
        ("", "d", json, "{}", (422, "invalid-input")),
    ] {
        let (status, problem) = hook.sent_github(kind, delivery, media, body.into()).await?;
        assert_eq!(
            (status, &problem["code"]),
            (expected.0, &json!(expected.1)),
            "{problem}"
        );
    }
    // An id that came with something unusable is not used up.
    let (status, received) = hook.sent_github("push", "d", json, b"{}".to_vec()).await?;
    assert_eq!(status, 202);
    assert!(received["event"].is_string(), "{received}");

    let elsewhere = hook.url.replace("/github/", "/generic/");
    let guessed = format!("{}x", hook.url);
    let unknown = hook.url.replace("/github/", "/gitlab/");
    for url in [elsewhere, guessed, unknown] {
        let answer = hook.server.http.post(&url).body("{}").send().await?;
        assert_eq!(answer.status(), 404, "{url}");
    }
    let path = format!("/api/hooks/{}", hook.id);
    let gone = hook.ada.request(&hook.server, "DELETE", &path);
    assert_eq!(gone.send().await?.status(), 204);
    let (status, _) = hook.sent_github("push", "e", json, b"{}".to_vec()).await?;
    assert_eq!(status, 404);
    Ok(())
}

#[tokio::test]
async fn anybody_with_the_secret_can_send() -> Result<()> {
    let hook = Hook::new("generic").await?;
    let shown = |secret: &str, delivery: &str, media: &str| {
        [
            ("x-hook-secret", secret.to_owned()),
            ("x-hook-delivery", delivery.to_owned()),
            ("content-type", media.to_owned()),
        ]
    };
    let (status, first) = hook
        .send(
            &shown(&hook.secret, "a", "application/json"),
            b"{\"n\": \"\\u0000x\"}".to_vec(),
        )
        .await?;
    assert_eq!(status, 202, "{first}");
    let again = hook
        .send(
            &shown(&hook.secret, "a", "application/json"),
            b"{}".to_vec(),
        )
        .await?;
    assert_eq!(again, (202, json!({ "event": null })));
    let (status, _) = hook
        .send(
            &shown(&hook.secret, "b", "text/plain"),
            "z".repeat(60_000).into(),
        )
        .await?;
    assert_eq!(status, 202);
    let (status, problem) = hook
        .send(
            &shown(&hook.secret, "c", "application/json"),
            b"no".to_vec(),
        )
        .await?;
    assert_eq!((status, &problem["code"]), (400, &json!("malformed-json")));
    let (status, problem) = hook
        .send(&shown("whsec_x", "d", "application/json"), b"{}".to_vec())
        .await?;
    assert_eq!((status, &problem["code"]), (401, &json!("hook-refused")));
    let (status, problem) = hook
        .send(
            &shown(&hook.secret, "e", "text/plain"),
            vec![b'x'; (1 << 20) + 1],
        )
        .await?;
    assert_eq!((status, &problem["code"]), (413, &json!("body-too-large")));

    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let key = BASE64_STANDARD.decode(hook.secret.strip_prefix("whsec_").context("a secret")?)?;
    let signed = |id: &str, at: u64, body: &[u8]| -> Result<Vec<(&'static str, String)>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any length");
        mac.update(format!("{id}.{at}.").as_bytes());
        mac.update(body);
        let tag = BASE64_STANDARD.encode(mac.finalize().into_bytes());
        Ok(vec![
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", at.to_string()),
            ("webhook-signature", format!("v1,AAAA v1,{tag}")),
            ("content-type", "application/json".to_owned()),
        ])
    };
    let body = b"{\"type\": \"x\"}";
    let (status, received) = hook.send(&signed("m", now, body)?, body.to_vec()).await?;
    assert_eq!(status, 202, "{received}");
    let again = hook.send(&signed("m", now, body)?, body.to_vec()).await?;
    assert_eq!(again, (202, json!({ "event": null })));
    for (at, sent) in [
        (now - 600, body.to_vec()),
        (now + 600, body.to_vec()),
        (now, b"{}".to_vec()),
    ] {
        let (status, problem) = hook.send(&signed("n", at, body)?, sent).await?;
        assert_eq!((status, &problem["code"]), (401, &json!("hook-refused")));
    }
    let events = hook.events().await?;
    assert_eq!(events.len(), 3, "{events:?}");
    assert!(events.iter().all(|event| event["type"] == "hook.received"));
    assert_eq!(events[0]["data"]["payload"]["n"], "x");
    assert_eq!(
        (&events[1]["data"]["cut"], &events[1]["data"]["size_bytes"]),
        (&json!(true), &json!(60_000))
    );
    assert_eq!(events[2]["data"]["payload"]["type"], "x");
    Ok(())
}
