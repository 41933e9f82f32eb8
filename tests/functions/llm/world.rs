//! A server with a stand-in for a provider, and an agent who uses it.

use anyhow::{Context, Result, ensure};
use e2e::{
    Server,
    agents::Agent,
    models::{Asked, Models, Say},
};
use reqwest::Response;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What OpenAI's protocol streams: two words, the end, the usage.
pub const OPENAI_STREAM: &str = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n\
data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"日本 \"},\"finish_reason\":null}]}\r\n\r\n\
data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"🙂\"},\"finish_reason\":null}]}\n\n\
data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":25,\"completion_tokens\":15,\"total_tokens\":40}}\n\n\
data: [DONE]\n\n";

/// What Anthropic's protocol streams: the same.
pub const ANTHROPIC_STREAM: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n\
event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
event: ping\ndata: {\"type\": \"ping\"}\n\n\
event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"日本 \"}}\n\n\
event: content_block_delta\r\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"🙂\"}}\r\n\r\n\
event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n\
event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":15}}\n\n\
event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// A whole answer of OpenAI's protocol, spaced oddly.
pub const OPENAI_ANSWER: &str = "{ \"id\":\"c1\",\"zeta\":1.0,\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Hi\"},\"finish_reason\":\"stop\"}], \"usage\":{\"prompt_tokens\":25,\"completion_tokens\":15,\"total_tokens\":40}}";

/// A whole answer of Anthropic's protocol.
pub const ANTHROPIC_ANSWER: &str = "{\"id\":\"m1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[{\"type\":\"text\",\"text\":\"Hi\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":25,\"output_tokens\":15}}";

/// What a well-behaved model says: by its protocol, which the path shows, and whether a stream is asked for.
pub fn well(asked: &Asked) -> Say {
    let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    let is_anthropic = asked.path.ends_with("/messages");
    match (body["stream"] == true, is_anthropic) {
        (true, false) => Say::stream(OPENAI_STREAM),
        (true, true) => Say::stream(ANTHROPIC_STREAM),
        (false, false) => Say::Whole(200, vec![], OPENAI_ANSWER.to_owned()),
        (false, true) => Say::Whole(200, vec![], ANTHROPIC_ANSWER.to_owned()),
    }
}

/// A server, a provider with both protocols as `open` and `anth`, and ada, who owns them.
pub struct World {
    pub server: Server,
    pub models: Models,
    pub ada: Agent,
    /// Ada, with the right to manage limits and prices.
    pub admin: Agent,
}

impl World {
    pub async fn new(
        script: impl Fn(&Asked, usize) -> Say + Send + Sync + 'static,
    ) -> Result<Self> {
        let models = Models::start(script).await?;
        let server = Server::letting_out(&[models.origin()]).await?;
        Self::on(server, models).await
    }

    /// The same on a server that reaches the models.
    pub async fn on(server: Server, models: Models) -> Result<Self> {
        let ada = Agent::sign_in(&server, "ada", 1).await?;
        let admin = ada.with_scope(&server.database, "admin:all").await?;
        let world = Self {
            server,
            models,
            ada,
            admin,
        };
        world.provider("open", "openai", &world.models.url).await?;
        world
            .provider("anth", "anthropic", &world.models.url)
            .await?;
        Ok(world)
    }

    /// Makes a provider of ada's without a key.
    pub async fn provider(&self, name: &str, protocol: &str, url: &str) -> Result<Value> {
        let new = json!({"name": name, "protocol": protocol, "url": url});
        let (status, made) = self
            .ada
            .send(&self.server, "POST", "/api/llm/providers", &new)
            .await?;
        ensure!(status == 201, "{status} {made}");
        Ok(made)
    }

    /// Sets the price of all models of `open` and `anth`: a microdollar for each token.
    pub async fn price(&self) -> Result<()> {
        for provider in ["open", "anth"] {
            let price = json!({"provider": provider, "model": "*", "input_microusd": 1_000_000, "output_microusd": 1_000_000});
            let (status, put) = self
                .ada
                .send(&self.server, "PUT", "/api/llm/prices", &price)
                .await?;
            ensure!(status == 200, "{status} {put}");
        }
        Ok(())
    }

    /// Limits what ada may spend in all.
    pub async fn limit(&self, microusd: i64) -> Result<()> {
        let limits = json!({"limits": [{"period": "total", "limit_microusd": microusd}]});
        self.limits(&limits).await
    }

    /// Sets ada's limits.
    pub async fn limits(&self, limits: &Value) -> Result<()> {
        let path = format!("/api/llm/limits/account:{}", self.ada.id);
        let (status, put) = self.admin.send(&self.server, "PUT", &path, limits).await?;
        ensure!(status == 200, "{status} {put}");
        Ok(())
    }

    /// What ada has spent, and what is set aside for her.
    pub async fn spent(&self) -> Result<(i64, i64)> {
        let path = format!("/api/llm/limits/account:{}", self.ada.id);
        let (_, limits) = self.ada.get(&self.server, &path).await?;
        let budget = &limits["limits"][0];
        let number = |name: &str| {
            budget[name]
                .as_i64()
                .with_context(|| format!("{name}: {limits}"))
        };
        Ok((number("spent_microusd")?, number("reserved_microusd")?))
    }

    /// Makes an alias of ada's.
    pub async fn alias(&self, name: &str, settings: &Value) -> Result<()> {
        let path = format!("/api/llm/models/{name}");
        let (status, put) = self.ada.send(&self.server, "PUT", &path, settings).await?;
        ensure!(status == 200, "{status} {put}");
        Ok(())
    }

    /// Asks a model.
    pub async fn ask(&self, path: &str, body: &Value) -> Result<Response> {
        Ok(self
            .ada
            .request(&self.server, "POST", path)
            .json(body)
            .send()
            .await?)
    }

    /// Asks by OpenAI's protocol.
    pub async fn chat(&self, model: &str, stream: bool) -> Result<Response> {
        self.ask("/v1/chat/completions", &chat(model, stream)).await
    }

    /// Asks by Anthropic's protocol.
    pub async fn message(&self, model: &str, stream: bool) -> Result<Response> {
        self.ask("/v1/messages", &chat(model, stream)).await
    }

    /// The call that an answer names, once it has ended.
    pub async fn call(&self, response: &Response) -> Result<Value> {
        let id = response.headers().get("gather-call").context("a call")?;
        self.ended(id.to_str()?).await
    }

    /// A call, once it has ended.
    pub async fn ended(&self, id: &str) -> Result<Value> {
        let begin = Instant::now();
        loop {
            let (_, call) = self
                .ada
                .get(&self.server, &format!("/api/llm/calls/{id}"))
                .await?;
            if call["status"] != "running" {
                return Ok(call);
            }
            ensure!(begin.elapsed() < Duration::from_secs(60), "{call}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ada's calls, the newest first.
    pub async fn calls(&self) -> Result<Vec<Value>> {
        let (_, page) = self
            .ada
            .get(&self.server, "/api/llm/calls?limit=100")
            .await?;
        Ok(page["items"].as_array().context("items")?.clone())
    }

    /// Checks that what was spent is the sum of the calls.
    pub async fn audit(&self) -> Result<Value> {
        let audit: Value = sqlx::query_scalar("select llm.audit()")
            .fetch_one(&mut self.server.database.connect().await?)
            .await?;
        ensure!(audit["differences"] == json!([]), "{audit}");
        Ok(audit)
    }
}

/// A small request that both protocols have.
pub fn chat(model: &str, stream: bool) -> Value {
    json!({"model": model, "stream": stream, "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]})
}
