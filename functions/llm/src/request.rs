//! A client's request: read once, and sent on byte for byte where the provider speaks its protocol.

use bytes::Bytes;
use guest::{Problem, Result};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::ledger::{Plan, Target};
use crate::protocol::{Protocol, Route};
use crate::splice::{Members, apply};
use crate::{tokens, translate};

/// The largest body of a request.
pub const MAX_BYTES: usize = 32 << 20;
/// The headers that go on to a provider as they are.
const HEADERS: [&str; 3] = ["anthropic-version", "anthropic-beta", "openai-beta"];

/// A request as a client sent it.
#[derive(Debug)]
pub struct Request {
    pub route: Route,
    pub raw: Bytes,
    pub value: Value,
    pub model: String,
    pub stream: bool,
    /// Whether the client asked for the chunk with the usage.
    pub wants_usage: bool,
    /// The largest answer that the client wants, in tokens, with all of its choices.
    pub max_output: Option<u64>,
    /// The number of answers that the client wants at once.
    choices: u64,
    /// The estimated tokens of the input.
    pub input: u64,
    /// The headers for the provider.
    pub headers: Vec<(&'static str, String)>,
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid-input", detail.into())
}

impl Request {
    /// Reads a body.
    ///
    /// # Errors
    /// The body is not JSON with the members that every request has.
    pub fn read(route: Route, headers: &HeaderMap, raw: Bytes) -> Result<Self> {
        let value: Value = serde_json::from_slice(&raw)
            .map_err(|error| invalid(format!("The body is not JSON: {error}.")))?;
        if Members::of(&raw).is_none() {
            return Err(invalid(
                "The body must be a JSON object that names no member twice.",
            ));
        }
        if has_zero(&value) {
            return Err(invalid("The body contains the character U+0000."));
        }
        let Some(model) = value["model"].as_str().filter(|model| !model.is_empty()) else {
            return Err(invalid("`model` must be the name of a model."));
        };
        let stream = match &value["stream"] {
            Value::Null => false,
            Value::Bool(stream) => *stream && route != Route::Embeddings,
            _ => return Err(invalid("`stream` must be true or false.")),
        };
        let list = if route == Route::Embeddings {
            "input"
        } else {
            "messages"
        };
        if value[list].is_null() || (route != Route::Embeddings && !value[list].is_array()) {
            return Err(invalid(format!("`{list}` is missing.")));
        }
        let max_output = max_output(route, &value)?;
        let choices = value["n"].as_u64().unwrap_or(1).clamp(1, 128);
        let sent = HEADERS.iter().filter_map(|name| {
            let value = headers.get(*name)?.to_str().ok()?;
            Some((*name, value.to_owned()))
        });
        Ok(Self {
            route,
            model: model.to_owned(),
            stream,
            wants_usage: value["stream_options"]["include_usage"] == true,
            max_output: max_output.map(|most| most * choices),
            choices,
            input: tokens::of_request(&value) + tokens::OVERHEAD_TOKENS,
            headers: sent.collect(),
            raw,
            value,
        })
    }

    /// The body for a target. Where the protocols are the same, only the model changes, and what the ledger needs.
    ///
    /// # Errors
    /// The target can't do something that the request asks for.
    pub fn body_for(&self, target: &Target, plan: &Plan) -> std::result::Result<Vec<u8>, Fault> {
        let limit = self.output_limit(target, plan);
        if self.route.protocol() != target.protocol {
            let mut body = translate::request(self.route, &self.value, plan.drop_unsupported)?;
            body["model"] = json!(target.model);
            if let Some(limit) = limit {
                body[limit_name(target)] = json!(limit);
            }
            return Ok(body.to_string().into_bytes());
        }
        let Some(members) = Members::of(&self.raw) else {
            return Err(Fault::unsupported("body"));
        };
        let mut changes = vec![members.set("model", &json!(target.model).to_string())];
        if self.stream && target.protocol == Protocol::Openai && !self.wants_usage {
            changes.push(self.with_usage(&members));
        }
        if let Some(limit) = limit {
            let present = ["max_completion_tokens", "max_tokens"];
            let mut present = present
                .into_iter()
                .filter(|name| members.get(name).is_some())
                .peekable();
            if present.peek().is_none() {
                changes.push(members.set(limit_name(target), &limit.to_string()));
            }
            changes.extend(present.map(|name| members.set(name, &limit.to_string())));
        }
        Ok(apply(&self.raw, changes))
    }

    /// The change that asks for the usage at the end of a stream.
    fn with_usage(&self, members: &Members) -> (std::ops::Range<usize>, String) {
        let Some(range) = members.get("stream_options") else {
            return members.set("stream_options", r#"{"include_usage":true}"#);
        };
        let options = &self.raw[range.clone()];
        let changed = Members::of(options)
            .map(|inner| apply(options, vec![inner.set("include_usage", "true")]))
            .and_then(|changed| String::from_utf8(changed).ok());
        (
            range,
            changed.unwrap_or_else(|| r#"{"include_usage":true}"#.to_owned()),
        )
    }

    /// The largest answer that the target is told to give, if a limit makes it smaller than the client wants.
    fn output_limit(&self, target: &Target, plan: &Plan) -> Option<u64> {
        if self.route == Route::Embeddings {
            return None;
        }
        let budget = (plan.clamped || (plan.metered && !self.stream)).then_some(plan.granted);
        let budget = budget.map(|granted| (granted / self.choices).max(1));
        let bound = target.max_output.filter(|_| target.is_bounded);
        let limit = [budget, bound].into_iter().flatten().min()?;
        let wanted = self.max_output.map(|most| most / self.choices);
        wanted.is_none_or(|wanted| wanted > limit).then_some(limit)
    }
}

/// The name by which a target knows the largest answer.
fn limit_name(target: &Target) -> &'static str {
    let is_openai = target.url.contains("//api.openai.com");
    if target.protocol == Protocol::Openai && is_openai {
        "max_completion_tokens"
    } else {
        "max_tokens"
    }
}

fn max_output(route: Route, value: &Value) -> Result<Option<u64>> {
    if route == Route::Embeddings {
        return Ok(Some(0));
    }
    let mut most: Option<u64> = None;
    for name in ["max_completion_tokens", "max_tokens"] {
        match &value[name] {
            Value::Null => {}
            limit => match limit
                .as_u64()
                .filter(|limit| *limit > 0 && *limit < 1 << 31)
            {
                Some(limit) => most = Some(most.map_or(limit, |most| most.min(limit))),
                None => return Err(invalid(format!("`{name}` must be a positive number."))),
            },
        }
    }
    Ok(most)
}

fn has_zero(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_zero),
        Value::Object(members) => members
            .iter()
            .any(|(name, value)| name.contains('\0') || has_zero(value)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan::for_tests(vec![
            Target::for_tests(Protocol::Openai),
            Target::for_tests(Protocol::Anthropic),
        ])
    }

    fn read(route: Route, body: &str) -> Result<Request> {
        Request::read(route, &HeaderMap::new(), Bytes::from(body.to_owned()))
    }

    fn sent(route: Route, body: &str, plan: &Plan, target: usize) -> String {
        let request = read(route, body).expect("a request");
        let body = request
            .body_for(&plan.targets[target], plan)
            .expect("a body");
        String::from_utf8(body).expect("text")
    }

    #[test]
    fn only_the_model_and_the_usage_change() {
        let odd = r#"{ "zeta":1.0,"model" :"x", "n":1, "big":9007199254740993,"a\u0062":"\u0041", "messages":[ ]}"#;
        assert_eq!(
            sent(Route::Chat, odd, &plan(), 0),
            odd.replace("\"x\"", "\"m\"")
        );
        let streamed = r#"{"stream":true,"model":"x","messages":[],"stream_options":{"include_usage":false,"y":1}}"#;
        assert_eq!(
            sent(Route::Chat, streamed, &plan(), 0),
            r#"{"stream":true,"model":"m","messages":[],"stream_options":{"include_usage":true,"y":1}}"#
        );
        let bare = r#"{"stream":true,"model":"x","messages":[]}"#;
        assert_eq!(
            sent(Route::Chat, bare, &plan(), 0),
            r#"{"stream_options":{"include_usage":true},"stream":true,"model":"m","messages":[]}"#
        );
        let messages = r#"{"model":"x","max_tokens":5,"messages":[{"role":"user","content":[{"type":"thinking","signature":"=="}]}],"stream":true}"#;
        assert_eq!(
            sent(Route::Messages, messages, &plan(), 1),
            messages.replace("\"x\"", "\"m\"")
        );
    }

    #[test]
    fn a_limit_lowers_the_length() {
        let mut plan = plan();
        (plan.clamped, plan.granted) = (true, 7);
        let body = r#"{"model":"x","messages":[],"max_tokens":50}"#;
        assert_eq!(
            sent(Route::Chat, body, &plan, 0),
            r#"{"model":"m","messages":[],"max_tokens":7}"#
        );
        let body = r#"{"model":"x","messages":[]}"#;
        assert_eq!(
            sent(Route::Chat, body, &plan, 0),
            r#"{"max_tokens":7,"model":"m","messages":[]}"#
        );
        let short = r#"{"model":"x","messages":[],"max_tokens":5}"#;
        assert_eq!(
            sent(Route::Chat, short, &plan, 0),
            short.replace("\"x\"", "\"m\"")
        );
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for body in [
            "",
            "[]",
            "{",
            r#"{"model":1,"messages":[]}"#,
            r#"{"model":"x"}"#,
            r#"{"model":"x","messages":{}}"#,
            r#"{"model":"x","model":"y","messages":[]}"#,
            r#"{"model":"x","messages":["\u0000"]}"#,
            r#"{"model":"x","messages":["\ud800"]}"#,
            r#"{"model":"x","messages":[],"max_tokens":0}"#,
            r#"{"model":"x","messages":[],"stream":"yes"}"#,
        ] {
            let problem = read(Route::Chat, body).expect_err(body);
            assert_eq!(
                (problem.status().as_u16(), problem.code()),
                (400, "invalid-input"),
                "{body}"
            );
        }
    }
}
