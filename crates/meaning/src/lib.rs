//! The meanings of texts as vectors, which the gateway's embedding model makes on behalf of an account; and the division of
//! long texts into passages that the model reads whole.

mod passages;
mod query;

use std::time::Duration;

use axum::body::Body;
use guest::{Acting, fetch_whole, limit_silence, required_variable};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{Request, StatusCode};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

pub use passages::passages;
pub use query::of_query;

/// The name of the model among the vectors that are stored.
pub const MODEL: &str = "local";
/// The number of texts that are sent at once.
pub const BATCH: usize = 32;
/// The platform's own alias of the model, whatever an account calls `local`: vectors of two models are never compared.
const ALIAS: &str = "platform:local";
/// The number of dimensions of a vector.
const DIMENSIONS: usize = 384;
/// The largest answer in bytes.
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// The reason why there are no vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// The platform has no embedding model.
    Model,
    /// The account can't be acted for, has used up its limits, or these texts are refused. The text has no secrets.
    Refused(String),
    /// The model or the gateway can't be asked at the moment. The text has no secrets.
    Answer(String),
}

/// A component that asks for vectors.
#[derive(Debug, Clone)]
pub struct Asker {
    /// The exchange of tokens, with the name of the component.
    pub acting: Acting,
    /// The account on whose behalf the model is asked.
    pub account: Uuid,
    /// The purpose in the ledger of calls.
    pub purpose: &'static str,
    /// What the call is for, as `job:<id>`, in the ledger of calls.
    pub parent: Option<String>,
    /// The longest time until the answer.
    pub within: Duration,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Embedding>,
}

#[derive(Deserialize)]
struct Embedding {
    index: usize,
    embedding: Vec<f32>,
}

impl Asker {
    /// The vectors of texts, in their order; [`BATCH`] texts at most.
    ///
    /// # Errors
    /// There is no model, or it does not answer as it should.
    pub async fn vectors(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Missing> {
        let failed =
            |what: String| Missing::Answer(format!("The embedding model can't be asked: {what}."));
        let url = required_variable("internal_url")
            .await
            .map_err(|problem| failed(problem.code().to_owned()))?;
        let token = self.acting.authorization(&url, self.account, &["llm:call"]);
        let token = token.await.map_err(|problem| match problem.status() {
            StatusCode::FORBIDDEN => Missing::Refused(problem.detail().to_owned()),
            _ => failed(problem.code().to_owned()),
        })?;
        let body = json!({"model": ALIAS, "input": texts}).to_string();
        let mut request = Request::post(format!("{url}/v1/embeddings"))
            .header(CONTENT_TYPE, "application/json")
            .header(CONTENT_LENGTH, body.len())
            .header(AUTHORIZATION, token)
            .header("gather-purpose", self.purpose);
        if let Some(parent) = &self.parent {
            request = request.header("gather-parent", parent);
        }
        let request = request.body(Body::from(body));
        let mut request = request.map_err(|error| failed(error.to_string()))?;
        limit_silence(&mut request, self.within);
        let answer = fetch_whole(request, MAX_ANSWER_BYTES).await;
        let answer = answer.map_err(|error| failed(error.to_string()))?;
        read(answer.status(), answer.body(), texts.len())
    }
}

/// Reads the answer of the gateway.
fn read(status: StatusCode, body: &[u8], count: usize) -> Result<Vec<Vec<f32>>, Missing> {
    if status != StatusCode::OK {
        let error: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let code = error["error"]["code"].as_str().unwrap_or_default();
        if matches!(code, "no-provider-configured" | "model-unknown") {
            return Err(Missing::Model);
        }
        let why = format!(
            "The gateway answers with status {} {code}.",
            status.as_u16()
        );
        return Err(
            match status.is_client_error() && code != "provider-rate-limited" {
                true => Missing::Refused(why),
                false => Missing::Answer(why),
            },
        );
    }
    let malformed = || Missing::Answer("The model's answer can't be read.".to_owned());
    let mut answer: Answer = serde_json::from_slice(body).map_err(|_| malformed())?;
    answer.data.sort_by_key(|one| one.index);
    let is_whole = answer.data.len() == count
        && answer.data.iter().enumerate().all(|(at, one)| {
            let is_number = one.embedding.iter().all(|number| number.is_finite());
            one.index == at && one.embedding.len() == DIMENSIONS && is_number
        });
    if !is_whole {
        return Err(malformed());
    }
    Ok(answer.data.into_iter().map(|one| one.embedding).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn answer(status: u16, body: &Value) -> Result<Vec<Vec<f32>>, Missing> {
        let status = StatusCode::from_u16(status).expect("a status");
        read(status, body.to_string().as_bytes(), 2)
    }

    #[test]
    fn vectors_are_read_in_the_order_of_their_texts() {
        let one = |index: usize, first: f32| {
            let mut embedding = vec![0.0; DIMENSIONS];
            embedding[0] = first;
            json!({"index": index, "embedding": embedding})
        };
        let vectors = answer(200, &json!({"data": [one(1, 0.5), one(0, 0.25)]})).expect("vectors");
        assert_eq!((vectors[0][0], vectors[1][0]), (0.25, 0.5));
        for data in [
            json!([one(0, 1.0)]),
            json!([one(0, 1.0), one(0, 1.0)]),
            json!([one(0, 1.0), {"index": 1, "embedding": [1.0]}]),
            json!(null),
        ] {
            assert!(matches!(
                answer(200, &json!({"data": data})),
                Err(Missing::Answer(_))
            ));
        }
    }

    #[test]
    fn a_platform_without_a_model_is_told_from_a_failure() {
        let error = |code: &str| json!({"error": {"code": code}});
        assert_eq!(
            answer(503, &error("no-provider-configured")),
            Err(Missing::Model)
        );
        assert_eq!(answer(404, &error("model-unknown")), Err(Missing::Model));
        for (status, code) in [(502, "provider-failed"), (429, "provider-rate-limited")] {
            assert!(matches!(
                answer(status, &error(code)),
                Err(Missing::Answer(_))
            ));
        }
    }

    #[test]
    fn a_refusal_of_the_account_is_told_from_a_failure() {
        for (status, code) in [(402, "budget-exhausted"), (429, "rate-limited")] {
            assert!(matches!(
                answer(status, &json!({"error": {"code": code}})),
                Err(Missing::Refused(_))
            ));
        }
    }
}
