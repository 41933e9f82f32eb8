//! Streams of tasks, which live on the gateway's events, and go on without it.

use anyhow::{Context, Result, bail};
use e2e::agents::Agent;
use e2e::spin::Difference;
use reqwest::Response;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;

use crate::jobs::agent_turn::world::{World, ask, calls, results, says, text, with};

/// Counts how often a task is read.
const COUNTED: &str = "
create sequence public.looks;
alter function circles.a2a_state(text, circles.turn) rename to a2a_state_read;
create function circles.a2a_state(kind text, t circles.turn) returns text language plpgsql security definer as $$
begin
    perform nextval('public.looks');
    return circles.a2a_state_read(kind, t);
end
$$;
";
/// The number of streams that an account may have at a gateway.
const STREAMS: usize = 20;

/// A stream of a task.
struct Stream {
    answer: Response,
    unread: String,
}

impl Stream {
    async fn open(world: &World, who: &Agent, method: &str, params: &Value) -> Result<Self> {
        let request = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
        let url = format!("{}/a2a/agents/bot", world.server.url);
        let request = world.server.http.post(url).json(&request);
        let request = request.bearer_auth(&who.token).header("a2a-version", "1.0");
        let answer = request.send().await?.error_for_status()?;
        if answer.headers()["content-type"] != "text/event-stream" {
            bail!("{}", answer.text().await?);
        }
        Ok(Self {
            answer,
            unread: String::new(),
        })
    }

    async fn of_message(world: &World, who: &Agent, id: &str) -> Result<Self> {
        let message = json!({"message": {"messageId": id, "role": "ROLE_USER", "parts": [{"text": "Post it."}]}});
        Self::open(world, who, "SendStreamingMessage", &message).await
    }

    /// The next result; `None` at the end.
    async fn next(&mut self) -> Result<Option<Value>> {
        loop {
            if let Some((event, rest)) = self.unread.split_once("\n\n") {
                let event = event.to_owned();
                self.unread = rest.to_owned();
                if let Some(data) = event.strip_prefix("data: ") {
                    let message: Value = serde_json::from_str(data)?;
                    return Ok(Some(message["result"].clone()));
                }
                continue;
            }
            match timeout(Duration::from_secs(60), self.answer.chunk()).await?? {
                Some(chunk) => self.unread.push_str(std::str::from_utf8(&chunk)?),
                None => return Ok(None),
            }
        }
    }

    /// The results until the task has a state.
    async fn until(&mut self, state: &str) -> Result<Vec<Value>> {
        let mut all = Vec::new();
        loop {
            let result = self.next().await?.context("the stream ended")?;
            let status = ["task", "statusUpdate"]
                .map(|one| result[one]["status"]["state"].clone())
                .contains(&json!(format!("TASK_STATE_{state}")));
            all.push(result);
            if status {
                return Ok(all);
            }
        }
    }
}

/// The number of looks at tasks so far.
async fn looks(world: &World) -> Result<i64> {
    let mut database = world.server.database.connect().await?;
    let count = sqlx::query_scalar(
        "select case when is_called then last_value else 0 end from public.looks",
    );
    Ok(count.fetch_one(&mut database).await?)
}

/// Approves the only question.
async fn approve(world: &World) -> Result<()> {
    let open = world.get("/api/approvals?state=pending").await?;
    let id = text(&open["items"][0]["id"])?;
    let asked = world.get(&format!("/api/approvals/{id}")).await?;
    let yes = json!({"decision": "approve", "digest": asked["digest"]});
    let path = format!("/api/approvals/{id}/decision");
    world.ask("POST", &path, &yes, 200).await?;
    Ok(())
}

#[tokio::test]
async fn a_stream_asks_the_database_when_something_happens_and_hardly_otherwise() -> Result<()> {
    let world = World::new(|asked, _| match results(asked) {
        0 => calls(&[(
            "create_post",
            "{\"title\": \"News\", \"body\": \"It happened.\"}",
        )]),
        _ => says("It is posted."),
    })
    .await?;
    let mut persona = with(&["api:create_post"], &json!({}));
    persona["tools"][0]["approval"] = json!("always");
    let persona = world.persona(&persona).await?;
    let new = json!({"name": "open", "mode": "mention", "members": [
        {"persona": persona, "name": "bot", "public": true}]});
    world.ask("POST", "/api/circles", &new, 201).await?;
    world.server.database.execute(COUNTED).await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;

    let mut stream = Stream::of_message(&world, &bob, "m1").await?;
    let task = stream.until("AUTH_REQUIRED").await?[0]["task"].clone();
    let mut second =
        Stream::open(&world, &bob, "SubscribeToTask", &json!({"id": task["id"]})).await?;
    second.until("AUTH_REQUIRED").await?;
    let before = looks(&world).await?;
    // Nothing happens, and that is what is looked at.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let asked = looks(&world).await? - before;
    // For each stream: the look after it has subscribed and that a second later; without a gateway one every two seconds.
    assert!(asked <= 6, "{asked} looks while nothing happened");
    approve(&world).await?;
    for stream in [&mut stream, &mut second] {
        let told = stream.until("COMPLETED").await?;
        let whole = |one: &Value| {
            one["artifactUpdate"]["artifact"]["parts"][0]["text"] == "It is posted."
                && one["artifactUpdate"]["lastChunk"] == true
        };
        assert!(told.iter().any(whole), "{told:#?}");
        assert!(stream.next().await?.is_none(), "the stream has ended");
    }

    // An account with as many streams as it may have, and one more.
    let url = format!("{}/api/events/stream?topics=account:me", world.server.url);
    let follow = || world.server.http.get(&url).bearer_auth(&bob.token).send();
    let mut open = Vec::new();
    for _ in 0..STREAMS {
        open.push(follow().await?);
    }
    if !Difference::Operation.shows() {
        assert_eq!(follow().await?.status(), 429);
    }
    let mut refused = Stream::of_message(&world, &bob, "m2").await?;
    let told = refused.next().await?.context("the task")?;
    let id = &told["task"]["id"];
    assert!(id.is_string(), "{told:#}");
    if !Difference::Operation.shows() {
        // The error has no result.
        assert_eq!(refused.next().await?, Some(Value::Null));
        assert!(refused.next().await?.is_none(), "the stream has ended");
        // A key of the account's counts as the account.
        let new = json!({"name": "key", "scopes": ["chat:create"]});
        let key = ask(&world.server, &bob, "POST", "/api/keys", &new, 201).await?;
        let again =
            json!({"jsonrpc": "2.0", "id": 1, "method": "SubscribeToTask", "params": {"id": id}});
        let url = format!("{}/a2a/agents/bot", world.server.url);
        let request = world
            .server
            .http
            .post(url)
            .header("x-api-key", text(&key["key"])?);
        let request = request.header("a2a-version", "1.0").json(&again).send();
        let told = timeout(Duration::from_secs(30), async {
            request.await?.text().await
        });
        assert!(told.await??.contains("-32000"), "the stream is refused");
    }
    let cancel = json!({"jsonrpc": "2.0", "id": 1, "method": "CancelTask", "params": {"id": id}});
    let url = format!("{}/a2a/agents/bot", world.server.url);
    let request = world.server.http.post(url).bearer_auth(&bob.token);
    let request = request.header("a2a-version", "1.0").json(&cancel);
    let cancelled: Value = request.send().await?.json().await?;
    assert!(cancelled["error"].is_null(), "{cancelled:#}");
    drop(open);

    // A credential that has ended ends the stream, though the task goes on.
    let eve = Agent::sign_in(&world.server, "eve", 3).await?;
    let mut stream = Stream::of_message(&world, &eve, "m3").await?;
    stream.until("AUTH_REQUIRED").await?;
    ask(
        &world.server,
        &eve,
        "DELETE",
        "/api/sessions/current",
        &json!({}),
        204,
    )
    .await?;
    if !Difference::Operation.shows() {
        assert!(stream.next().await?.is_none(), "the stream has ended");
    }
    Ok(())
}
