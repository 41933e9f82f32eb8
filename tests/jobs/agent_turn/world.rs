//! A server with a scripted model of the platform's, a worker, and ada, whose agents think.

use anyhow::{Context, Result, ensure};
pub use e2e::models::{begins, calls, says, says_and_calls};
use e2e::{
    Database, Server,
    agents::Agent,
    errands::quick,
    models::{Asked, Models, Say},
};
use host::jobs::JobWorker;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The longest time until something has happened, on a machine with much to do.
const LIMIT: Duration = Duration::from_secs(60);

/// The body of a request to the model.
pub fn body(asked: &Asked) -> Value {
    serde_json::from_slice(&asked.body).unwrap_or_default()
}

/// The number of results of tools that a model is told of.
pub fn results(asked: &Asked) -> usize {
    let body = body(asked);
    let messages = body["messages"].as_array().into_iter().flatten();
    messages.filter(|message| message["role"] == "tool").count()
}

/// The agent that a request speaks as: its name.
pub fn speaker(asked: &Asked) -> String {
    let body = body(asked);
    let system = body["messages"][0]["content"].as_str().unwrap_or_default();
    let name = system
        .split("`@")
        .nth(1)
        .and_then(|rest| rest.split('`').next());
    name.unwrap_or_default().to_owned()
}

/// A server, a scripted model, and ada.
pub struct World {
    pub server: Server,
    pub models: Models,
    pub ada: Agent,
    worker: Option<JobWorker>,
}

impl World {
    /// With a model and a worker.
    pub async fn new(
        script: impl Fn(&Asked, usize) -> Say + Send + Sync + 'static,
    ) -> Result<Self> {
        let mut world = Self::without_worker(script).await?;
        world.worker = Some(world.server.worker(quick()).await?);
        Ok(world)
    }

    /// With a model, whose workers the test starts itself.
    pub async fn without_worker(
        script: impl Fn(&Asked, usize) -> Say + Send + Sync + 'static,
    ) -> Result<Self> {
        Self::beside(&[], script).await
    }

    /// With a model, and without workers, whose agents may also use what is at these origins.
    pub async fn beside(
        origins: &[&str],
        script: impl Fn(&Asked, usize) -> Say + Send + Sync + 'static,
    ) -> Result<Self> {
        Self::told(origins, &[], script).await
    }

    /// As [`World::beside`], with variables that replace the usual ones.
    pub async fn told(
        origins: &[&str],
        changes: &[(&str, &str)],
        script: impl Fn(&Asked, usize) -> Say + Send + Sync + 'static,
    ) -> Result<Self> {
        let models = Models::start(script).await?;
        let origins = [&[models.origin()][..], origins].concat();
        let server = Server::letting_out_told(&origins, changes).await?;
        Self::on(server, models).await
    }

    /// As [`World::without_worker`], over a database that exists and is migrated.
    pub async fn over(
        database: Database,
        script: impl Fn(&Asked, usize) -> Say + Send + Sync + 'static,
    ) -> Result<Self> {
        let models = Models::start(script).await?;
        let server = Server::over_letting_out(database, &[models.origin()]).await?;
        Self::on(server, models).await
    }

    async fn on(server: Server, models: Models) -> Result<Self> {
        let mut database = server.database.connect().await?;
        sqlx::query("select llm.put_platform_provider('llm', 'openai', $1, null)")
            .bind(&models.url)
            .execute(&mut database)
            .await?;
        sqlx::query("select llm.keep_platform_providers(array['llm'], $1)")
            .bind(json!({"default": {"provider": "llm", "model": "m"}}))
            .execute(&mut database)
            .await?;
        let ada = Agent::sign_in(&server, "ada", 1).await?;
        Ok(Self {
            server,
            models,
            ada,
            worker: None,
        })
    }

    /// Asks as ada, and expects a status.
    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        body: &Value,
        expected: u16,
    ) -> Result<Value> {
        ask(&self.server, &self.ada, method, path, body, expected).await
    }

    /// Reads as ada.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let (status, found) = self.ada.get(&self.server, path).await?;
        ensure!(status == 200, "{path}: {status} {found}");
        Ok(found)
    }

    /// Lets each token that a model says cost a microdollar.
    pub async fn price(&self) -> Result<()> {
        let price = json!({"provider": "llm", "model": "*", "input_microusd": 0, "output_microusd": 1_000_000});
        let admin = self
            .ada
            .with_scope(&self.server.database, "admin:all")
            .await?;
        ask(&self.server, &admin, "PUT", "/api/llm/prices", &price, 200).await?;
        Ok(())
    }

    /// Makes a persona of ada's, and returns its id.
    pub async fn persona(&self, definition: &Value) -> Result<String> {
        let made = self.ask("POST", "/api/personas", definition, 201).await?;
        text(&made["id"])
    }

    /// Makes a circle of ada's with a seat for each of the names, all with one persona. Returns its id.
    pub async fn circle(&self, new: &Value, persona: &Value, seats: &[&str]) -> Result<String> {
        let circle = self.ask("POST", "/api/circles", new, 201).await?;
        let circle = text(&circle["id"])?;
        let persona = self.persona(persona).await?;
        for name in seats {
            let member = json!({"persona": persona, "name": name});
            self.ask(
                "POST",
                &format!("/api/circles/{circle}/members"),
                &member,
                201,
            )
            .await?;
        }
        Ok(circle)
    }

    /// A conversation of ada with one agent that has this persona, which is called `bot`. Returns the conversation's id.
    pub async fn talk(&self, persona: &Value) -> Result<String> {
        let circle = self
            .circle(&json!({"name": "circle"}), persona, &["bot"])
            .await?;
        let change = json!({"mode": "round_robin"});
        self.ask("PATCH", &format!("/api/circles/{circle}"), &change, 200)
            .await?;
        self.conversation(&json!({"circle": circle})).await
    }

    /// Makes a conversation, and returns its id.
    pub async fn conversation(&self, new: &Value) -> Result<String> {
        let made = self.ask("POST", "/api/conversations", new, 201).await?;
        text(&made["id"])
    }

    /// Posts a message, and returns it with its turns.
    pub async fn post(&self, conversation: &str, message: &Value) -> Result<Value> {
        let path = format!("/api/conversations/{conversation}/messages");
        self.ask("POST", &path, message, 201).await
    }

    /// Posts a text that makes one turn, and returns the turn's id.
    pub async fn say(&self, conversation: &str, body: &str) -> Result<String> {
        let posted = self.post(conversation, &json!({"body": body})).await?;
        ensure!(
            posted["turns"]
                .as_array()
                .is_some_and(|turns| turns.len() == 1),
            "{posted:#}"
        );
        text(&posted["turns"][0]["id"])
    }

    /// A turn when `is_so` is true of it.
    pub async fn until(&self, turn: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
        let path = format!("/api/turns/{turn}");
        let begin = Instant::now();
        loop {
            let turn = self.get(&path).await?;
            if is_so(&turn) {
                return Ok(turn);
            }
            ensure!(begin.elapsed() < LIMIT, "still {turn:#}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A turn when it has ended.
    pub async fn ended(&self, turn: &str) -> Result<Value> {
        self.until(turn, |turn| !turn["finished_at"].is_null())
            .await
    }

    /// All turns of a conversation, the eldest first, when all have ended.
    pub async fn rested(&self, conversation: &str) -> Result<Vec<Value>> {
        let path = format!("/api/conversations/{conversation}/turns?limit=100");
        let begin = Instant::now();
        loop {
            let page = self.get(&path).await?;
            let mut turns = page["items"].as_array().context("items")?.clone();
            if turns.iter().all(|turn| !turn["finished_at"].is_null()) {
                turns.reverse();
                return Ok(turns);
            }
            ensure!(begin.elapsed() < LIMIT, "still {turns:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The steps of a turn.
    pub async fn steps(&self, turn: &str) -> Result<Vec<Value>> {
        let page = self
            .get(&format!("/api/turns/{turn}/steps?limit=100"))
            .await?;
        Ok(page["items"].as_array().context("items")?.clone())
    }

    /// The messages of a conversation, the eldest first: who wrote what.
    pub async fn messages(&self, conversation: &str) -> Result<Vec<(String, String)>> {
        let path = format!("/api/conversations/{conversation}/messages?limit=100&since=0");
        let page = self.get(&path).await?;
        let messages = page["items"].as_array().context("items")?.iter();
        messages
            .map(|message| Ok((text(&message["author"]["name"])?, text(&message["body"])?)))
            .collect()
    }
}

/// Asks as somebody, and expects a status.
pub async fn ask(
    server: &Server,
    who: &Agent,
    method: &str,
    path: &str,
    body: &Value,
    expected: u16,
) -> Result<Value> {
    let (status, answer) = who.send(server, method, path, body).await?;
    ensure!(status == expected, "{method} {path}: {status} {answer:#}");
    Ok(answer)
}

/// A text in JSON.
pub fn text(value: &Value) -> Result<String> {
    Ok(value
        .as_str()
        .with_context(|| format!("a text: {value}"))?
        .to_owned())
}

/// A persona without tools.
pub fn plain() -> Value {
    json!({"name": "plain", "instructions": "Answer in one sentence."})
}

/// A persona with tools and limits.
pub fn with(tools: &[&str], limits: &Value) -> Value {
    let tools: Vec<Value> = tools.iter().map(|tool| json!({"use": tool})).collect();
    json!({"name": "handy", "instructions": "Use your tools.", "tools": tools, "limits": limits})
}

/// Whether a turn has ended so, and for this reason.
pub fn assert_ended(turn: &Value, status: &str, reason: &str) {
    assert_eq!(
        (&turn["status"], &turn["reason"]),
        (&json!(status), &json!(reason)),
        "{turn:#}"
    );
}
