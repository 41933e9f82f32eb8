//! Requests and answers in the form of OpenAI's protocol.

use axum::body::Body;
use axum::response::IntoResponse;
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderValue, Response, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{DIMENSIONS, MODEL};

/// The largest number of texts of a request.
const MAX_TEXTS: usize = 2048;
/// The largest text. The model reads no more than the first thousand or so of its bytes.
const MAX_TEXT_BYTES: usize = 64 << 10;

/// What a client asks for, once it is checked.
#[derive(Debug)]
pub struct Request {
    pub texts: Vec<String>,
    pub as_base64: bool,
}

#[derive(Deserialize)]
struct Fields {
    model: String,
    input: Value,
    dimensions: Option<Value>,
    encoding_format: Option<Value>,
}

impl Request {
    /// Reads a body.
    pub fn read(body: &[u8]) -> Result<Self, Refusal> {
        let body: Fields = serde_json::from_slice(body)
            .map_err(|error| Refusal::invalid(format!("The body is malformed: {error}.")))?;
        if body.model != MODEL {
            return Err(Refusal {
                status: StatusCode::NOT_FOUND,
                code: "model_not_found",
                detail: format!("There is no model but `{MODEL}` here."),
            });
        }
        if let Some(dimensions) = body.dimensions
            && dimensions.as_u64() != Some(DIMENSIONS as u64)
        {
            return Err(Refusal::invalid(format!(
                "`dimensions` can only be {DIMENSIONS}."
            )));
        }
        let format = body.encoding_format.as_ref().map(Value::as_str);
        let as_base64 = match format {
            None | Some(Some("float")) => false,
            Some(Some("base64")) => true,
            Some(_) => {
                let detail = "`encoding_format` must be `float` or `base64`.";
                return Err(Refusal::invalid(detail));
            }
        };
        Ok(Self {
            texts: texts(body.input)?,
            as_base64,
        })
    }
}

fn texts(input: Value) -> Result<Vec<String>, Refusal> {
    let texts = match input {
        Value::String(text) => vec![text],
        Value::Array(texts) => texts
            .into_iter()
            .map(|text| match text {
                Value::String(text) => Ok(text),
                _ => Err(Refusal::invalid(
                    "`input` must be a text or a list of texts; this model takes no numbers of tokens.",
                )),
            })
            .collect::<Result<_, _>>()?,
        _ => {
            return Err(Refusal::invalid(
                "`input` must be a text or a list of texts.",
            ));
        }
    };
    if texts.is_empty() || texts.len() > MAX_TEXTS {
        return Err(Refusal::invalid(format!(
            "`input` must have 1 to {MAX_TEXTS} texts."
        )));
    }
    if texts.iter().any(|text| text.len() > MAX_TEXT_BYTES) {
        return Err(Refusal::invalid(format!(
            "A text of `input` is larger than {MAX_TEXT_BYTES} bytes; divide it."
        )));
    }
    Ok(texts)
}

/// The answer with these vectors, which were made of so many tokens.
pub fn written(vectors: &[Vec<f32>], tokens: u64, as_base64: bool) -> Value {
    let data: Vec<_> = vectors
        .iter()
        .enumerate()
        .map(|(index, vector)| {
            let embedding = match as_base64 {
                true => json!(packed(vector)),
                false => json!(vector),
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    json!({
        "object": "list",
        "data": data,
        "model": MODEL,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    })
}

fn packed(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
    BASE64_STANDARD.encode(bytes)
}

/// A request that is not answered, in the form of OpenAI's errors.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: StatusCode,
    pub code: &'static str,
    pub detail: String,
}

impl Refusal {
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            code: "invalid_input",
            detail: detail.into(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response<Body> {
        let error =
            json!({"error": {"message": self.detail, "code": self.code, "type": self.code}});
        let mut response = (self.status, axum::Json(error)).into_response();
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(body: Value) -> Refusal {
        Request::read(body.to_string().as_bytes()).unwrap_err()
    }

    #[test]
    fn a_text_and_a_list_of_texts_are_read() {
        let one = json!({"model": MODEL, "input": "a", "user": "u", "encoding_format": "base64"});
        let request = Request::read(one.to_string().as_bytes()).unwrap();
        assert_eq!(
            (request.texts, request.as_base64),
            (vec!["a".to_owned()], true)
        );
        let two = json!({"model": MODEL, "input": ["a", ""], "dimensions": 384});
        let request = Request::read(two.to_string().as_bytes()).unwrap();
        assert_eq!((request.texts.len(), request.as_base64), (2, false));
    }

    #[test]
    fn what_the_model_cannot_do_is_refused() {
        for (body, status, word) in [
            (json!({"model": "other", "input": "a"}), 404, MODEL),
            (json!({"model": MODEL}), 422, "input"),
            (json!({"model": MODEL, "input": []}), 422, "1 to 2048"),
            (
                json!({"model": MODEL, "input": vec!["a"; 2049]}),
                422,
                "1 to 2048",
            ),
            (json!({"model": MODEL, "input": [1, 2]}), 422, "tokens"),
            (json!({"model": MODEL, "input": [[1, 2]]}), 422, "tokens"),
            (json!({"model": MODEL, "input": {}}), 422, "list of texts"),
            (
                json!({"model": MODEL, "input": "x".repeat(65_537)}),
                422,
                "65536",
            ),
            (
                json!({"model": MODEL, "input": "a", "dimensions": 256}),
                422,
                "384",
            ),
            (
                json!({"model": MODEL, "input": "a", "encoding_format": "int8"}),
                422,
                "base64",
            ),
        ] {
            let refused = refusal(body);
            assert_eq!(refused.status.as_u16(), status, "{refused:?}");
            assert!(refused.detail.contains(word), "{refused:?}");
        }
    }

    #[test]
    fn vectors_are_packed_as_little_endian_floats() {
        let answer = written(&[vec![1.0, -2.0]], 3, true);
        assert_eq!(answer["data"][0]["embedding"], "AACAPwAAAMA=");
        assert_eq!(answer["usage"]["prompt_tokens"], 3);
    }
}
