//! Requests and answers between the two protocols, by the table in `docs/llm.md`. What the other protocol has no word for
//! is refused by name.

mod answers;
mod anthropic_request;
mod anthropic_stream;
mod openai_request;
mod openai_stream;
mod stops;

use serde_json::Value;

use crate::fault::Fault;
use crate::protocol::{Protocol, Route};
use crate::tokens::Usage;
use anthropic_stream::AnthropicStream;
use openai_stream::OpenaiStream;
use sse::Event;

/// Translates a request for a provider of the other protocol. With `drops`, parameters that can't be translated are left
/// out.
///
/// # Errors
/// Names the part that the other protocol has no word for.
pub fn request(route: Route, request: &Value, drops: bool) -> Result<Value, Fault> {
    match route {
        Route::Chat => anthropic_request::from_openai(request, drops),
        Route::Messages => openai_request::from_anthropic(request, drops),
        Route::Embeddings => Err(Fault::unsupported("embeddings")),
    }
}

/// Translates a whole answer for the client.
///
/// # Errors
/// The answer has a part that is not known.
pub fn answer(client: Protocol, answer: &Value, usage: &Usage) -> Result<Value, Fault> {
    match client {
        Protocol::Openai => answers::to_openai(answer, usage),
        Protocol::Anthropic => answers::to_anthropic(answer, usage),
    }
}

/// Makes the client's stream of a provider's.
#[derive(Debug)]
pub enum Translator {
    /// Both speak the same protocol: the bytes go on. The client may not have asked for the usage.
    Same {
        hides_usage: bool,
    },
    ToOpenai(OpenaiStream),
    ToAnthropic(AnthropicStream),
}

impl Translator {
    pub fn new(client: Protocol, provider: Protocol, model: &str, wants_usage: bool) -> Self {
        match (client, provider) {
            (Protocol::Openai, Protocol::Anthropic) => {
                Self::ToOpenai(OpenaiStream::new(model, wants_usage))
            }
            (Protocol::Anthropic, Protocol::Openai) => {
                Self::ToAnthropic(AnthropicStream::new(model))
            }
            _ => Self::Same {
                hides_usage: client == Protocol::Openai && !wants_usage,
            },
        }
    }

    /// The bytes for the client that an event becomes.
    ///
    /// # Errors
    /// The event has a part that is not known.
    pub fn event(
        &mut self,
        event: Event,
        data: &Value,
        usage_only: bool,
        usage: &Usage,
    ) -> Result<Vec<u8>, Fault> {
        match self {
            Self::Same { hides_usage } if *hides_usage && usage_only => Ok(Vec::new()),
            Self::Same { .. } => Ok(event.raw),
            Self::ToOpenai(stream) => stream.event(data, usage),
            Self::ToAnthropic(stream) => stream.event(data),
        }
    }

    /// The bytes that end a complete stream, if the provider's own end does not.
    pub fn end(&mut self, client: Protocol, provider_ended: bool, usage: &Usage) -> Vec<u8> {
        match self {
            Self::Same { .. } if client == Protocol::Openai && !provider_ended => {
                b"data: [DONE]\n\n".to_vec()
            }
            Self::Same { .. } => Vec::new(),
            Self::ToOpenai(stream) => stream.end(usage),
            Self::ToAnthropic(stream) => stream.end(usage),
        }
    }

    /// The bytes that end a stream that a budget cuts; `None` if the bytes of the provider's protocol do.
    pub fn cut(&mut self, usage: &Usage) -> Option<Vec<u8>> {
        match self {
            Self::Same { .. } => None,
            Self::ToOpenai(stream) => Some(stream.cut(usage)),
            Self::ToAnthropic(stream) => Some(stream.cut(usage)),
        }
    }
}

/// One event of OpenAI's stream.
fn openai_event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

/// One event of Anthropic's stream.
fn anthropic_event(data: &Value) -> String {
    let name = data["type"].as_str().unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n")
}

/// Refuses a parameter, unless it is to be left out.
fn refuse(drops: bool, name: &str) -> Result<(), Fault> {
    if drops {
        Ok(())
    } else {
        Err(Fault::unsupported(name))
    }
}

/// The text of a content that is a string, or a list of texts.
fn plain_text(content: &Value, what: &str) -> Result<String, Fault> {
    match content {
        Value::String(text) => Ok(text.clone()),
        Value::Null => Ok(String::new()),
        Value::Array(parts) => parts
            .iter()
            .map(
                |part| match (part["type"].as_str(), part["text"].as_str()) {
                    (Some("text"), Some(text)) => Ok(text),
                    (kind, _) => Err(Fault::unsupported(&format!(
                        "{what}.{}",
                        kind.unwrap_or("content")
                    ))),
                },
            )
            .collect(),
        _ => Err(Fault::unsupported(what)),
    }
}

/// The media type and the data of a data URL.
fn data_url(url: &str) -> Option<(&str, &str)> {
    url.strip_prefix("data:")?.split_once(";base64,")
}
