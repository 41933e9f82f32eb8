//! A place in use, for pages to show: everything that a page may have to show, with the longest names, texts from right
//! to left, and many of each.

use anyhow::{Context, Result, ensure};
use e2e::{
    Server,
    agents::Agent,
    client::Client,
    people::Person,
    publishing::{approved, decide, fixture, manifest, upload},
};
use serde_json::{Value, json};

/// The longest name, without a place to break it.
const LONG: &str = "abcdefghijklmnopqrstuvwxyz-0123456789-ab";
/// A text from right to left, with one from left to right within.
const ARABIC: &str = "مرحبا بكم في المنصة، هذا نص طويل من اليمين إلى اليسار مع Rust و 42 في وسطه";
const MARKDOWN: &str = "A **strong** word, a [link](https://example.org), `code`, and\n\n- one\n- two\n\n> A quotation.\n\n\
                        ```rust\nfn main() { println!(\"a line of code that is much longer than a narrow screen is wide, so it scrolls\"); }\n```\n\n\
                        | a | b |\n|---|---|\n| 1 | 2 |\n";

/// Whoever the pages are shown to.
pub struct World {
    pub server: Server,
    /// An admin, who has made most of what there is.
    pub grace: Person,
    /// The path of a post with many comments.
    pub crowded: String,
    /// A person who has just come, and is blocked.
    newcomer: Person,
}

impl World {
    pub async fn new() -> Result<Self> {
        let server = Server::told(&[("rate_limits", "off")]).await?;
        let grace = Person::register(&server, "grace").await?;
        let grace = grace.into_admin(&server).await?;
        let long = Agent::sign_in(&server, LONG, 1).await?;
        let alan = Person::register(&server, "alan-mathison-turing").await?;
        let newcomer = Person::register(&server, "newcomer").await?;
        let mut world = Self {
            server,
            grace,
            crowded: String::new(),
            newcomer,
        };
        world.crowded = world.posts(&long, &alan).await?;
        world.channels(&long, &alan).await?;
        world.skills(&long, &alan).await?;
        world.inbox(&long, &alan).await?;
        world.models(&alan).await?;
        world.secrets(&alan).await?;
        let note = json!({ "scope": "agent", "scope_id": world.grace.id, "content": LONG, "tags": [LONG] });
        world.make(&world.grace, "/api/memory", note).await?;
        world.circles().await?;
        world.pipelines().await?;
        Ok(world)
    }

    /// Sends a request that succeeds, and returns its answer.
    async fn send(&self, who: &Client, method: &str, path: &str, body: Value) -> Result<Value> {
        let (status, answer) = who.send(&self.server, method, path, &body).await?;
        ensure!(status < 300, "{method} {path}: {status} {answer:#}");
        Ok(answer)
    }

    async fn make(&self, who: &Client, path: &str, body: Value) -> Result<String> {
        let made = self.send(who, "POST", path, body).await?;
        Ok(made["id"].as_str().context("an id")?.to_owned())
    }

    /// Posts of all kinds. Returns the path of one that has many comments, deep ones too.
    async fn posts(&self, long: &Client, alan: &Client) -> Result<String> {
        let grace = &self.grace;
        for (who, title) in [
            (long, LONG),
            (alan, ARABIC),
            (
                grace,
                "Two steps forward, and what we have learnt from the one step back that came between them",
            ),
        ] {
            let new = json!({ "title": title, "body": MARKDOWN, "tags": ["rust", "بناء", "a-long-tag-of-thirty-characters"] });
            self.make(who, "/api/posts", new).await?;
        }
        let post =
            json!({ "title": "A post with many comments", "body": ARABIC, "tags": ["rust"] });
        let post = self.make(grace, "/api/posts", post).await?;
        let comments = format!("/api/posts/{post}/comments");
        let mut parent = Value::Null;
        for depth in 0..8 {
            let body = json!({ "body": format!("Depth {depth}. {ARABIC} {LONG}{LONG}"), "parent_id": parent });
            parent = self
                .make(if depth % 2 == 0 { grace } else { long }, &comments, body)
                .await?
                .into();
        }
        for number in 0..60 {
            let body = json!({ "body": format!("Comment {number} of many.") });
            self.make([long, alan, &**grace][number % 3], &comments, body)
                .await?;
        }
        let vote = json!({ "value": 1 });
        self.send(alan, "PUT", &format!("/api/posts/{post}/vote"), vote)
            .await?;
        let edited = json!({ "title": "A post with many comments, edited", "body": MARKDOWN });
        self.send(grace, "PATCH", &format!("/api/posts/{post}"), edited)
            .await?;
        let report = json!({ "target": format!("post:{post}"), "reason": format!("It is spam. {LONG}{LONG}") });
        self.make(alan, "/api/reports", report).await?;
        Ok(format!("/posts/{post}"))
    }

    /// A circle with an agent that has been asked, and a conversation there.
    async fn circles(&self) -> Result<()> {
        let grace = &self.grace;
        let persona = json!({ "name": LONG, "description": ARABIC, "instructions": MARKDOWN });
        let persona = self.make(grace, "/api/personas", persona).await?;
        let claw = json!({ "name": &LONG[..39], "persona": persona, "budget": { "limit_microusd": 1_000_000, "period": "day" } });
        self.send(grace, "POST", "/api/claws", claw).await?;
        let circle = json!({ "name": "a-circle-with-a-long-name-without-spaces", "purpose": ARABIC, "mode": "round_robin" });
        let circle = self.make(grace, "/api/circles", circle).await?;
        let seat = json!({ "persona": persona, "name": "thinker" });
        self.send(
            grace,
            "POST",
            &format!("/api/circles/{circle}/members"),
            seat,
        )
        .await?;
        let talk = json!({ "circle": circle, "title": ARABIC });
        let talk = self.make(grace, "/api/conversations", talk).await?;
        let words = json!({ "body": format!("{MARKDOWN}{LONG}{LONG}") });
        self.send(
            grace,
            "POST",
            &format!("/api/conversations/{talk}/messages"),
            words,
        )
        .await?;
        Ok(())
    }

    /// A pipeline with a run that waits, and a schedule.
    async fn pipelines(&self) -> Result<()> {
        let grace = &self.grace;
        let definition =
            json!({ "nodes": { "pause": { "type": "wait", "any": [{ "signal": "go" }] } } });
        let pipeline = json!({ "name": LONG, "definition": definition });
        self.make(grace, "/api/pipelines", pipeline).await?;
        let input = json!({ "input": { "text": format!("{ARABIC} {LONG}{LONG}") } });
        let run = self
            .make(grace, &format!("/api/pipelines/{LONG}/runs"), input)
            .await?;
        // Nobody drives it here, so its steps are put where its page shows them: one that waits, and one that is in doubt.
        sqlx::query(
            "insert into pipelines.step (run_id, path, type, status, effect, input, error)
             select $1, o.path, o.type, o.status, 'once', $2, case o.status when 'uncertain' then '{\"code\": \"engine-lost\"}'::jsonb end
             from (values ('pause', 'wait', 'waiting'), ('each[0].' || $3, 'action', 'uncertain')) o (path, type, status)",
        )
        .bind(run.parse::<uuid::Uuid>()?)
        .bind(json!([LONG.repeat(200), ARABIC]))
        .bind(LONG)
        .execute(&mut self.server.database.connect().await?)
        .await?;
        let action =
            json!({ "type": "send_notification", "to": [grace.id], "title": ARABIC, "body": LONG });
        let schedule = json!({ "name": LONG, "cron": ["0 9 * * 1-5"], "timezone": "Europe/Berlin", "action": action });
        self.make(grace, "/api/schedules", schedule).await?;
        Ok(())
    }

    /// A channel with much talk, and one with a name of 40 characters that is empty.
    async fn channels(&self, long: &Client, alan: &Client) -> Result<()> {
        let grace = &self.grace;
        let topic = format!("What is being built. {ARABIC}");
        let general = json!({ "name": "general", "topic": topic });
        let general = self.make(grace, "/api/channels", general).await?;
        self.make(
            grace,
            "/api/channels",
            json!({ "name": LONG, "private": true }),
        )
        .await?;
        for who in [long, alan] {
            self.send(
                who,
                "POST",
                &format!("/api/channels/{general}/join"),
                json!({}),
            )
            .await?;
        }
        let messages = format!("/api/channels/{general}/messages");
        let mut first = String::new();
        for number in 0..40 {
            let text = match number % 8 {
                0 => MARKDOWN.to_owned(),
                1 => ARABIC.to_owned(),
                2 => format!("{LONG}{LONG}{LONG}"),
                3 => "@grace what do you think?".to_owned(),
                _ => format!("Message {number}."),
            };
            let id = self
                .make(
                    [long, alan, &**grace][number / 3 % 3],
                    &messages,
                    json!({ "body": text }),
                )
                .await?;
            if number == 0 {
                first = id;
            }
        }
        let reply = json!({ "body": "An answer to the first message.", "reply_to": first });
        let reply = self.make(grace, &messages, reply).await?;
        for emoji in ["👍", "🎉"] {
            for who in [long, alan, &**grace] {
                let path = format!("{messages}/{reply}/reactions/{emoji}");
                self.send(who, "PUT", &path, json!({})).await?;
            }
        }
        let pin = format!("/api/channels/{general}/pins/{reply}");
        self.send(grace, "PUT", &pin, json!({})).await?;
        let edited = json!({ "body": "An answer, edited." });
        self.send(grace, "PATCH", &format!("{messages}/{reply}"), edited)
            .await?;
        self.send(alan, "POST", "/api/dms", json!({ "to": [grace.id] }))
            .await?;
        Ok(())
    }

    /// Skills that are approved, in review, and held.
    async fn skills(&self, long: &Agent, alan: &Client) -> Result<()> {
        let server = &self.server;
        let grace: &Agent = &self.grace;
        for version in ["1.0.0", "1.1.0"] {
            approved(server, grace, &manifest("sums", version), "adder").await?;
        }
        approved(server, long, &manifest(LONG, "1.0.0-alpha.1"), "adder").await?;
        for (name, is_held) in [("held-for-a-person", true), ("in-review", false)] {
            let manifest = manifest(name, "0.1.0");
            let (status, answer) = upload(server, grace, &manifest, fixture("adder")?).await?;
            ensure!(status == 202, "{status} {answer:#}");
            if is_held {
                decide(server, &manifest, "hold").await?;
            }
        }
        let rating = json!({ "rating": 4, "text": format!("Adds well. {ARABIC} {LONG}") });
        self.send(alan, "PUT", "/api/skills/sums/reviews", rating)
            .await?;
        Ok(())
    }

    /// What waits for somebody: approvals, notes, and what stands in the settings.
    async fn inbox(&self, long: &Client, alan: &Client) -> Result<()> {
        let grace = &self.grace;
        for (question, need) in [("Run the tool deploy of the skill sums?", 1), (LONG, 2)] {
            sqlx::query(
                "select inbox.ask('turn:1', $1, $2, 'sha256:1', $3, clock_timestamp() + interval '1 hour', $4, $5, null, false)",
            )
            .bind(question)
            .bind(format!("{{\"tool\": \"deploy\", \"text\": \"{ARABIC} {LONG}{LONG}\"}}"))
            .bind([grace.id, alan.id])
            .bind(long.id)
            .bind(need)
            .execute(&mut self.server.database.connect().await?)
            .await?;
        }
        let (_, asked) = alan.get(&self.server, "/api/approvals").await?;
        let second = asked["items"][1]["id"].as_str().context("an approval")?;
        let decision = json!({ "decision": "approve", "digest": "sha256:1", "reason": ARABIC });
        self.send(
            alan,
            "POST",
            &format!("/api/approvals/{second}/decision"),
            decision,
        )
        .await?;
        let key = json!({ "name": LONG, "scopes": ["social:write"] });
        self.send(grace, "POST", "/api/keys", key).await?;
        let blocked = format!("/api/blocks/{}", self.newcomer.id);
        self.send(grace, "PUT", &blocked, json!({})).await?;
        Ok(())
    }
    /// A provider, an alias, limits, and two weeks of calls.
    async fn models(&self, alan: &Client) -> Result<()> {
        let grace = &self.grace;
        let url = format!("https://models.example/{LONG}/v1");
        let provider = json!({ "name": LONG, "protocol": "openai", "url": url });
        self.make(grace, "/api/llm/providers", provider).await?;
        let target = json!({ "provider": LONG, "model": format!("{LONG}{LONG}") });
        let alias = json!({ "targets": [target] });
        self.send(grace, "PUT", "/api/llm/models/default", alias)
            .await?;
        let limits = json!({ "limits": [{ "period": "month", "limit_microusd": 20_000_000 }], "concurrency": 4 });
        let path = format!("/api/llm/limits/account:{}", grace.id);
        self.send(grace, "PUT", &path, limits).await?;
        for who in [grace.id, alan.id] {
            sqlx::query(
                "insert into llm.call (account_id, payers, route, status, provider, model, input_tokens, output_tokens,
                     cost_microusd, created_at, ended_at)
                 select $1, array['account:' || $1], 'chat', 'succeeded', $2, 'model-' || n % 3, n * 1000, n * 300,
                     n * 123456, now() - n * interval '1 day', now()
                 from generate_series(1, 14) n",
            )
            .bind(who)
            .bind(LONG)
            .execute(&mut self.server.database.connect().await?)
            .await?;
        }
        Ok(())
    }

    /// Secrets, one of which was rotated, granted, used and refused.
    async fn secrets(&self, alan: &Client) -> Result<()> {
        let grace = &self.grace;
        let used = json!({ "origins": [format!("https://{LONG}.example")], "paths": [format!("/{LONG}/{LONG}")],
            "place": { "header": "authorization", "format": "Bearer {}" } });
        let secret = json!({ "name": LONG, "kind": "token", "value": "a value of eight", "use": used, "note": ARABIC });
        let id = self.make(grace, "/api/vault/secrets", secret).await?;
        let plain = json!({ "name": "plain", "kind": "opaque", "value": "another value" });
        self.make(grace, "/api/vault/secrets", plain).await?;
        let grant = format!("/api/vault/secrets/{id}/grants/account:{}", alan.id);
        self.send(grace, "PUT", &grant, json!({ "calls": 3 }))
            .await?;
        let rotation = grace
            .request(
                &self.server,
                "POST",
                &format!("/api/vault/secrets/{id}/versions"),
            )
            .header("if-match", "*");
        let value = json!({ "value": "a value of nine", "overlap_ms": 3_600_000 });
        let rotated = rotation.json(&value).send().await?;
        ensure!(rotated.status() == 201, "{}", rotated.text().await?);
        sqlx::query(
            "insert into vault.use (secret_id, account_id, component, subject, origin, method, path, version, status, refused)
             select $1, $2, 'vault', 'account:' || $2, $3, 'GET', $4, 1, case when n % 3 > 0 then 200 + n end,
                 case when n % 3 = 0 then 'secret-not-granted' end
             from generate_series(1, 40) n",
        )
        .bind(id.parse::<uuid::Uuid>()?)
        .bind(alan.id)
        .bind(format!("https://{LONG}.example"))
        .bind(format!("/{LONG}/{LONG}"))
        .execute(&mut self.server.database.connect().await?)
        .await?;
        Ok(())
    }
}
