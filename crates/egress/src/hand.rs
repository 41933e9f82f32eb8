//! Values that are handed to the programs of claws in containers, instead of being put into requests.

use crate::problem::Problem;
use crate::service::Shared;
use crate::vault::{self, Opened};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// The component that asks for claws. No other gets a value.
const CLAWS: &str = "claws";
/// The most secrets of one request, which is the most that a claw has.
const MAX_SECRETS: usize = 50;

/// The secrets that a claw asks for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    secrets: Vec<Uuid>,
}

/// The values of secrets, and the codes of refusals, by the secrets' ids.
#[derive(Default, Serialize)]
struct Answer {
    values: BTreeMap<Uuid, String>,
    refused: BTreeMap<Uuid, &'static str>,
}

/// POST /hand: the values of those secrets that are handed to containers, for the claw that the token names.
pub async fn hand(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let handed = handed(&shared, &headers, &body).await;
    if let Err(problem) = &handed {
        shared.metrics.refused(problem.code);
    }
    let mut response = Json(handed?).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn handed(shared: &Shared, headers: &HeaderMap, body: &[u8]) -> Result<Answer, Problem> {
    let issuer = shared.issuer(headers)?;
    if issuer.component != CLAWS {
        return Err(Problem::unauthenticated());
    }
    let subjects = issuer.on_behalf.subjects.iter();
    let claw = subjects
        .filter_map(|subject| subject.strip_prefix("claw:")?.parse().ok())
        .next();
    let (Some(owner), Some(claw)) = (issuer.on_behalf.account, claw) else {
        return Err(Problem::invalid(
            "The token does not name a claw and its owner.",
        ));
    };
    let request: Request = serde_json::from_slice(body)
        .map_err(|_| Problem::invalid("The body is not a list of secrets."))?;
    if request.secrets.len() > MAX_SECRETS {
        return Err(Problem::invalid("A claw has at most 50 secrets."));
    }
    let mut answer = Answer::default();
    for (secret, opened) in vault::hand(
        &shared.pool,
        &shared.key,
        CLAWS,
        owner,
        claw,
        &request.secrets,
    )
    .await?
    {
        match opened {
            Opened::Value(value) => {
                answer.values.insert(secret, value.text().to_owned());
            }
            Opened::Refused(code) => {
                shared.metrics.refused(code);
                answer.refused.insert(secret, code);
            }
        }
    }
    Ok(answer)
}
