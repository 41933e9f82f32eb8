//! Making a call of a tool: as the agent itself, through the platform's own API.

use std::time::Duration;

use axum::body::Body;
use guest::{FetchError, fetch_whole, limit_silence, required_variable};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request};
use serde_json::{Map, Value, json};

use crate::ACTING;
use crate::context::Context;
use crate::history::History;
use crate::memory;
use crate::prompt::{Sizes, page};
use crate::tools::{Target, Tool};

/// The largest answer that is kept.
pub const MAX_ANSWER_BYTES: usize = 1 << 20;
/// The longest time until an answer.
const SILENCE: Duration = Duration::from_secs(90);

/// The status of what can't be asked at the moment.
const UNAVAILABLE: u16 = 503;
/// The pauses after which a harmless call is made again that found the platform unavailable.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// The result of a call, or the reason why there is none.
pub type Done = Result<Reply, Failed>;

/// The reason why a call has no result.
#[derive(Debug, PartialEq)]
pub enum Failed {
    /// The error that the model is told.
    Told(String),
    /// The platform was lost while it worked, and nobody knows whether the call happened.
    Lost,
}

impl From<String> for Failed {
    fn from(text: String) -> Self {
        Self::Told(text)
    }
}

/// The result of a call.
#[derive(Debug, PartialEq)]
pub struct Reply {
    /// What the model is told.
    pub text: String,
    /// The signed receipt of a skill.
    pub receipt: Option<Value>,
}

impl From<String> for Reply {
    fn from(text: String) -> Self {
        Self {
            text,
            receipt: None,
        }
    }
}

/// A request to the platform.
pub struct Asked {
    pub method: Method,
    pub path: String,
    pub body: Option<Value>,
    /// The scopes that it needs.
    pub scopes: Vec<&'static str>,
}

/// Makes a call. `key` makes a repeated one harmless, where the operation honours it.
pub async fn make(
    tool: &Tool,
    context: &Context,
    history: &History,
    arguments: &Map<String, Value>,
    key: &str,
) -> Done {
    let asked = match &tool.target {
        Target::Operation(endpoint) => {
            let mut arguments = arguments.clone();
            // Replies of turns are known by it.
            arguments.remove("client_id");
            let (path, body) = endpoint.request(arguments)?;
            Asked {
                method: endpoint.method.clone(),
                path,
                body,
                scopes: endpoint.scopes().collect(),
            }
        }
        Target::Skill {
            skill,
            version,
            tool,
            ..
        } => Asked {
            method: Method::POST,
            path: format!("/api/skills/{skill}/invoke"),
            body: Some(json!({"tool": tool, "arguments": arguments, "version": version})),
            scopes: vec!["skills:call"],
        },
        Target::Remember => memory::remember(context, arguments)?,
        Target::LookUp => memory::look_up(context, arguments),
        Target::Rest => {
            let sizes = Sizes::of(context.limits.window_tokens);
            return Ok(Reply::from(rest(history, arguments, sizes.page)?));
        }
        Target::Next | Target::Agent(_) | Target::Server { .. } => {
            return Err("This is not a call of the platform.".to_owned().into());
        }
    };
    let is_skill = matches!(tool.target, Target::Skill { .. });
    let mut pauses = PAUSES.iter();
    loop {
        let (status, text) = ask(context, &asked, Some(key)).await?;
        // What passes is no result, where asking again does no harm.
        match pauses.next() {
            Some(pause) if status == UNAVAILABLE && tool.target.is_repeatable() => {
                guest::task::sleep(*pause).await;
            }
            _ if status == UNAVAILABLE && !tool.target.is_harmless() && !was_refused(&text) => {
                return Err(Failed::Lost);
            }
            _ => return read(status, &text, is_skill),
        }
    }
}

/// Sends a request as the agent, and returns the status and the text of the answer.
///
/// # Errors
/// There is no answer: why, for the model.
pub async fn ask(
    context: &Context,
    asked: &Asked,
    key: Option<&str>,
) -> Result<(u16, String), String> {
    let may = |scope: &&str| {
        let mut scopes = context.scopes.iter();
        scopes.any(|own| own == scope || own == guest::ALL)
    };
    if let Some(scope) = asked.scopes.iter().find(|scope| !may(scope)) {
        return Err(format!(
            "The agent's owner does not have the scope `{scope}`."
        ));
    }
    let Ok(url) = required_variable("internal_url").await else {
        return Ok(unavailable());
    };
    let token = ACTING.authorization(&url, context.agent.id, &asked.scopes);
    let Ok(token) = token.await else {
        return Ok(unavailable());
    };
    let mut request = Request::builder()
        .method(asked.method.clone())
        .uri(format!("{url}{}", asked.path))
        .header(AUTHORIZATION, token);
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    let mut content = Body::empty();
    if let Some(body) = &asked.body {
        request = request.header(CONTENT_TYPE, "application/json");
        content = Body::from(body.to_string());
    }
    let mut request = request
        .body(content)
        .map_err(|_| "The arguments make no request.".to_owned())?;
    limit_silence(&mut request, SILENCE);
    match fetch_whole(request, MAX_ANSWER_BYTES).await {
        Ok(answer) => {
            let text = String::from_utf8_lossy(answer.body()).replace('\0', "");
            Ok((answer.status().as_u16(), text))
        }
        Err(FetchError::TooLarge) => {
            Err("The result is larger than 1 MiB. Ask for less.".to_owned())
        }
        Err(FetchError::Failed(_)) => Ok(unavailable()),
    }
}

/// The answer of a platform that can't be asked.
fn unavailable() -> (u16, String) {
    let problem =
        json!({"code": "unavailable", "detail": "The platform can't be asked at the moment."});
    (UNAVAILABLE, problem.to_string())
}

/// Whether the answer of a platform that is not available says that nothing was begun.
fn was_refused(text: &str) -> bool {
    let body: Value = serde_json::from_str(text).unwrap_or_default();
    body["code"] == "sandbox-busy"
}

/// What an answer means: of a skill, its result, and its receipt apart; of a problem, its code and detail.
fn read(status: u16, text: &str, is_skill: bool) -> Done {
    let mut body: Value = serde_json::from_str(text).unwrap_or_default();
    if (200..300).contains(&status) {
        let told = match &body["result"] {
            Value::String(result) if is_skill => result.clone(),
            result if is_skill => result.to_string(),
            _ if text.is_empty() => "Done.".to_owned(),
            _ => text.to_owned(),
        };
        let receipt = is_skill.then(|| body["receipt"].take());
        return Ok(Reply {
            text: told,
            receipt: receipt.filter(|receipt| !receipt.is_null()),
        });
    }
    let mut told = format!(
        "{status} {}: {}",
        body["code"].as_str().unwrap_or("error"),
        body["detail"].as_str().unwrap_or_default()
    );
    for error in body["errors"].as_array().into_iter().flatten() {
        let field = error["field"].as_str().unwrap_or_default();
        let detail = error["detail"].as_str().unwrap_or_default();
        told.push_str(&format!(" `{field}` {detail}."));
    }
    if !body["error"].is_null() {
        told.push_str(&format!(" {}", body["error"]));
    }
    Err(told.into())
}

/// A page of an earlier result.
fn rest(history: &History, arguments: &Map<String, Value>, most: usize) -> Result<String, String> {
    let number = |name: &str| {
        arguments
            .get(name)
            .and_then(Value::as_i64)
            .unwrap_or_default()
    };
    let wanted = number("step");
    let mut steps = history.0.iter();
    let step = steps.find(|step| i64::from(step.number) == wanted && step.is_tool());
    let text = step.and_then(|step| step.text.as_deref());
    let text = text.ok_or_else(|| "There is no such result.".to_owned())?;
    let offset = usize::try_from(number("offset")).unwrap_or_default();
    // The page and the words after it are told whole.
    let (part, left) = page(text, offset, most - 256);
    Ok(if left > 0 {
        format!(
            "{part}\n[{left} more bytes, from offset {}.]",
            offset + part.len()
        )
    } else {
        part.to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_skills_come_without_receipts() {
        let answer = json!({"result": 3, "receipt": {"payload": "x"}}).to_string();
        let reply = read(200, &answer, true).expect("a result");
        assert_eq!(
            (reply.text.as_str(), reply.receipt),
            ("3", Some(json!({"payload": "x"})))
        );
        let plain = Reply::from(r#"{"a":1}"#.to_owned());
        assert_eq!(read(200, r#"{"a":1}"#, false), Ok(plain));
    }

    #[test]
    fn problems_are_told_with_their_fields() {
        let problem = json!({"code": "invalid-input", "detail": "No.", "errors": [{"field": "a", "detail": "is missing"}]});
        assert_eq!(
            read(422, &problem.to_string(), false),
            Err(Failed::Told(
                "422 invalid-input: No. `a` is missing.".to_owned()
            ))
        );
        assert!(read(502, "<html>", false).is_err());
    }
}
