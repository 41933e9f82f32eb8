//! A language model, asked through the gateway of the platform: one of the platform's own providers, by its alias
//! `default`, on behalf of the account that published. It is asked once for an answer of a given schema.

use std::fmt;
use std::time::Duration;

use axum::body::Body;
use guest::{Acting, fetch_whole, limit_silence, required_variable};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{Request, Response};
use serde_json::{Value, json};
use uuid::Uuid;

/// The exchange of tokens, with the name by which it knows this component.
const ACTING: Acting = Acting("skill-review");
/// An alias of the platform's own, whatever the account calls `default`: nobody chooses who reads their skill.
const MODEL: &str = "platform:default";
/// The largest answer in bytes.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// The largest number of tokens in an answer.
const MAX_TOKENS: u32 = 2_000;
/// The longest time until the answer.
const SILENCE: Duration = Duration::from_secs(120);

/// An answer, with the name of the model that gave it.
#[derive(Debug, PartialEq)]
pub struct Answer {
    /// The provider and the model, as the gateway names them.
    pub model: (String, String),
    /// The object, or the reason why there is none.
    pub object: Result<Value, NoAnswer>,
}

/// The reason why there is no answer, without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoAnswer(pub String);

impl fmt::Display for NoAnswer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Asks for an object of `schema` on behalf of an account. `None` if the platform has no model.
pub async fn ask(
    account: Uuid,
    job: Uuid,
    system: &str,
    question: &str,
    schema: &Value,
) -> Option<Answer> {
    match send(account, job, system, question, schema).await {
        Ok(answer) => read(&answer),
        Err(why) => Some(Answer {
            model: Default::default(),
            object: Err(why),
        }),
    }
}

async fn send(
    account: Uuid,
    job: Uuid,
    system: &str,
    question: &str,
    schema: &Value,
) -> Result<Response<bytes::Bytes>, NoAnswer> {
    let failed = |what: &dyn fmt::Display| NoAnswer(format!("The gateway can't be asked: {what}."));
    let url = required_variable("internal_url")
        .await
        .map_err(|error| failed(&error.code()))?;
    let token = ACTING.authorization(&url, account, &["llm:call"]).await;
    let token = token.map_err(|error| failed(&error.code()))?;
    let body = body(system, question, schema).to_string();
    let mut request = Request::post(format!("{url}/v1/chat/completions"))
        .header(CONTENT_TYPE, "application/json")
        .header(CONTENT_LENGTH, body.len())
        .header(AUTHORIZATION, token)
        .header("gather-purpose", "skill-review")
        .header("gather-parent", format!("job:{job}"))
        .body(Body::from(body))
        .map_err(|error| failed(&error))?;
    limit_silence(&mut request, SILENCE);
    let answer = fetch_whole(request, MAX_ANSWER_BYTES).await;
    answer.map_err(|error| failed(&error))
}

/// A tool that the model must use makes it answer in the tool's form, whatever the protocol of its provider.
fn body(system: &str, question: &str, schema: &Value) -> Value {
    json!({
        "model": MODEL,
        "messages": [{"role": "system", "content": system}, {"role": "user", "content": question}],
        "max_tokens": MAX_TOKENS,
        "tools": [{"type": "function", "function": {
            "name": "review", "description": "Gives the result of the review.", "parameters": schema}}],
        "tool_choice": {"type": "function", "function": {"name": "review"}},
    })
}

fn read(answer: &Response<bytes::Bytes>) -> Option<Answer> {
    let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let status = answer.status();
    let code = body["error"]["code"].as_str().unwrap_or_default();
    if !status.is_success() && matches!(code, "no-provider-configured" | "model-unknown") {
        return None;
    }
    let named = answer
        .headers()
        .get("gather-model")
        .and_then(|name| name.to_str().ok());
    let (provider, model) = named
        .and_then(|name| name.split_once('/'))
        .unwrap_or_default();
    let object = if status.is_success() {
        object(&body["choices"][0]["message"]).ok_or_else(|| {
            NoAnswer("The model did not answer in the form that was asked for.".to_owned())
        })
    } else {
        Err(NoAnswer(format!(
            "The gateway answers with status {} {code}.",
            status.as_u16()
        )))
    };
    Some(Answer {
        model: (provider.to_owned(), model.to_owned()),
        object,
    })
}

/// The arguments of the tool, or the text of a model that answers without the tool.
fn object(message: &Value) -> Option<Value> {
    let calls = message["tool_calls"].as_array().into_iter().flatten();
    let mut called = calls.filter(|call| call["function"]["name"] == "review");
    let arguments = called
        .next()
        .and_then(|call| call["function"]["arguments"].as_str());
    serde_json::from_str(arguments.or_else(|| message["content"].as_str())?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: &Value) -> Option<Answer> {
        let answer = Response::builder()
            .status(status)
            .header("gather-model", "openai/m/x")
            .body(bytes::Bytes::from(body.to_string()))
            .expect("an answer");
        read(&answer)
    }

    #[test]
    fn the_tools_arguments_are_the_answer() {
        let verdict = json!({"verdict": "approve"});
        let call = json!({"id": "a", "type": "function", "function": {"name": "review", "arguments": verdict.to_string()}});
        for message in [
            json!({"content": null, "tool_calls": [call]}),
            json!({"content": verdict.to_string()}),
        ] {
            let answer =
                answered(200, &json!({"choices": [{"message": message}]})).expect("an answer");
            assert_eq!(answer.model, ("openai".to_owned(), "m/x".to_owned()));
            assert_eq!(answer.object, Ok(verdict.clone()));
        }
        for nonsense in [
            json!(null),
            json!({"choices": []}),
            json!({"choices": [{"message": {"content": "approve!"}}]}),
        ] {
            assert!(
                answered(200, &nonsense).expect("an answer").object.is_err(),
                "{nonsense}"
            );
        }
    }

    #[test]
    fn without_a_model_there_is_no_reading() {
        let error = |code: &str| json!({"error": {"code": code}});
        assert_eq!(answered(503, &error("no-provider-configured")), None);
        assert_eq!(answered(404, &error("model-unknown")), None);
        let busy = answered(529, &error("provider-overloaded")).expect("a failure");
        assert!(
            busy.object
                .expect_err("a failure")
                .0
                .contains("529 provider-overloaded")
        );
    }
}
