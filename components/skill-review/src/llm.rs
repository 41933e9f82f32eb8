//! A language model behind one of the two protocols that most providers offer: OpenAI's chat completions and
//! Anthropic's messages. It is asked once for an answer of a given schema.

use std::fmt;
use std::time::Duration;

use axum::body::Body;
use guest::{fetch_whole, limit_silence, variable};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Request, Response};
use serde_json::{Value, json};

use crate::pause;

/// The largest answer in bytes.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// The largest number of tokens in an answer.
const MAX_TOKENS: u32 = 2_000;
/// The longest silence of a provider before and within its answer.
const SILENCE: Duration = Duration::from_secs(60);
/// The longest pause that a provider may ask for before the second attempt, and the pause if it asks for none.
const MAX_PAUSE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_secs(2);
/// The version of Anthropic's protocol.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// The protocol of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    OpenAi,
    Anthropic,
}

/// A configured model.
pub struct Model {
    protocol: Protocol,
    /// The base URL including the version, such as `https://api.openai.com/v1`.
    url: String,
    /// The model's name.
    pub name: String,
    key: String,
}

/// The reason why there is no answer, without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoAnswer(pub String);

impl fmt::Display for NoAnswer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl Model {
    /// The model that the component's variables configure; `None` if there is none.
    pub async fn configured() -> Option<Self> {
        let protocol = match variable("llm_provider").await?.as_ref() {
            "openai" => Protocol::OpenAi,
            "anthropic" => Protocol::Anthropic,
            other => {
                guest::warn!(
                    "llm_provider is neither openai nor anthropic",
                    provider = other
                );
                return None;
            }
        };
        Some(Self {
            protocol,
            url: variable("llm_url").await?.trim_end_matches('/').to_owned(),
            name: variable("llm_model").await?.to_string(),
            key: variable("llm_api_key")
                .await
                .map(|key| key.to_string())
                .unwrap_or_default(),
        })
    }

    /// The protocol's name in the configuration.
    pub fn provider(&self) -> &'static str {
        match self.protocol {
            Protocol::OpenAi => "openai",
            Protocol::Anthropic => "anthropic",
        }
    }

    /// Asks for an object of `schema`, with a second attempt if the provider is busy.
    ///
    /// # Errors
    /// The provider can't be reached, refuses, or answers with something else.
    pub async fn ask(
        &self,
        system: &str,
        question: &str,
        schema: &Value,
    ) -> Result<Value, NoAnswer> {
        let mut answer = self.send(system, question, schema).await?;
        let is_busy = answer.status().as_u16() == 429 || answer.status().is_server_error();
        if is_busy {
            pause(asked_pause(&answer)).await;
            answer = self.send(system, question, schema).await?;
        }
        if !answer.status().is_success() {
            return Err(NoAnswer(format!(
                "The provider answers with status {}.",
                answer.status().as_u16()
            )));
        }
        let body: Value = serde_json::from_slice(answer.body())
            .map_err(|_| NoAnswer("The provider's answer is not JSON.".to_owned()))?;
        self.read(&body).ok_or_else(|| {
            NoAnswer("The model did not answer in the form that was asked for.".to_owned())
        })
    }

    async fn send(
        &self,
        system: &str,
        question: &str,
        schema: &Value,
    ) -> Result<Response<bytes::Bytes>, NoAnswer> {
        let failed = |what: String| NoAnswer(format!("The provider can't be reached: {what}."));
        let mut request = self
            .request(system, question, schema)
            .map_err(|error| failed(error.to_string()))?;
        limit_silence(&mut request, SILENCE);
        let answer = fetch_whole(request, MAX_ANSWER_BYTES).await;
        answer.map_err(|error| failed(error.to_string()))
    }

    fn request(
        &self,
        system: &str,
        question: &str,
        schema: &Value,
    ) -> Result<Request<Body>, http::Error> {
        let secret = |text: String| {
            let mut value = HeaderValue::try_from(text)?;
            value.set_sensitive(true);
            Ok::<_, http::Error>(value)
        };
        let body = self.body(system, question, schema).to_string();
        let request = Request::post(match self.protocol {
            Protocol::OpenAi => format!("{}/chat/completions", self.url),
            Protocol::Anthropic => format!("{}/messages", self.url),
        })
        .header(CONTENT_TYPE, "application/json")
        // Some servers of small models do not accept a body in chunks.
        .header(CONTENT_LENGTH, body.len());
        let request = match self.protocol {
            Protocol::OpenAi if self.key.is_empty() => request,
            Protocol::OpenAi => {
                request.header(AUTHORIZATION, secret(format!("Bearer {}", self.key))?)
            }
            Protocol::Anthropic => request
                .header("anthropic-version", ANTHROPIC_VERSION)
                .header("x-api-key", secret(self.key.clone())?),
        };
        request.body(Body::from(body))
    }

    fn body(&self, system: &str, question: &str, schema: &Value) -> Value {
        match self.protocol {
            Protocol::OpenAi => json!({
                "model": self.name,
                "messages": [{"role": "system", "content": system}, {"role": "user", "content": question}],
                "max_completion_tokens": MAX_TOKENS,
                "response_format": {"type": "json_schema", "json_schema": {"name": "review", "strict": true, "schema": schema}},
            }),
            // A tool that the model must use makes it answer in the tool's form.
            Protocol::Anthropic => json!({
                "model": self.name,
                "max_tokens": MAX_TOKENS,
                "system": system,
                "messages": [{"role": "user", "content": question}],
                "tools": [{"name": "review", "description": "Gives the result of the review.", "input_schema": schema}],
                "tool_choice": {"type": "tool", "name": "review"},
            }),
        }
    }

    fn read(&self, body: &Value) -> Option<Value> {
        match self.protocol {
            Protocol::OpenAi => {
                serde_json::from_str(body["choices"][0]["message"]["content"].as_str()?).ok()
            }
            Protocol::Anthropic => {
                let blocks = body["content"].as_array()?;
                let used = blocks
                    .iter()
                    .find(|block| block["type"] == "tool_use" && block["name"] == "review")?;
                Some(used["input"].clone())
            }
        }
    }
}

/// The pause that the provider asks for, within bounds. Dates instead of seconds are ignored.
fn asked_pause<T>(answer: &Response<T>) -> Duration {
    let header = answer.headers().get(RETRY_AFTER);
    let seconds = header.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    seconds.map_or(PAUSE, Duration::from_secs).min(MAX_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(protocol: Protocol) -> Model {
        Model {
            protocol,
            url: "https://llm.example/v1".into(),
            name: "m".into(),
            key: "s3cret".into(),
        }
    }

    #[test]
    fn each_protocol_is_asked_and_read_in_its_own_way() {
        let schema = json!({"type": "object"});
        let openai = model(Protocol::OpenAi);
        let request = openai
            .request("system", "question", &schema)
            .expect("a request");
        assert_eq!(request.uri(), "https://llm.example/v1/chat/completions");
        assert_eq!(request.headers()[AUTHORIZATION], "Bearer s3cret");
        assert!(request.headers()[AUTHORIZATION].is_sensitive());
        let answer = json!({"choices": [{"message": {"content": "{\"verdict\": \"approve\"}"}}]});
        assert_eq!(openai.read(&answer), Some(json!({"verdict": "approve"})));

        let anthropic = model(Protocol::Anthropic);
        let request = anthropic
            .request("system", "question", &schema)
            .expect("a request");
        assert_eq!(request.uri(), "https://llm.example/v1/messages");
        assert_eq!(request.headers()["x-api-key"], "s3cret");
        let answer = json!({"content": [{"type": "text", "text": "Well."}, {"type": "tool_use", "name": "review", "input": {"verdict": "hold"}}]});
        assert_eq!(anthropic.read(&answer), Some(json!({"verdict": "hold"})));
        for nonsense in [
            json!(null),
            json!({"choices": []}),
            json!({"content": "x"}),
            json!({"choices": [{"message": {"content": "approve!"}}]}),
        ] {
            assert_eq!(
                (openai.read(&nonsense), anthropic.read(&nonsense)),
                (None, None)
            );
        }
    }

    #[test]
    fn the_key_is_in_no_error() {
        let mut bad = model(Protocol::OpenAi);
        bad.key = "s3cret\n".into();
        let error = bad.request("", "", &json!({})).expect_err("no header");
        assert!(!format!("{error} {error:?}").contains("s3cret"));
    }

    #[test]
    fn a_provider_may_ask_for_a_pause_within_bounds() {
        let check = |header: Option<&str>| {
            let mut answer = Response::new(());
            if let Some(header) = header {
                let value = header.parse().expect("a value");
                answer.headers_mut().insert(RETRY_AFTER, value);
            }
            asked_pause(&answer).as_secs()
        };
        assert_eq!(check(Some("3")), 3);
        assert_eq!(check(Some("0")), 0);
        assert_eq!(check(Some("86400")), 20);
        assert_eq!(check(Some("Wed, 21 Oct 2026 07:28:00 GMT")), 2);
        assert_eq!(check(Some("-1")), 2);
        assert_eq!(check(None), 2);
    }
}
