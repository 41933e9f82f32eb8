//! The client of `gather provisioner`, which alone touches containers.

use std::time::Duration;

use axum::body::Body;
use guest::{Failure, Problem, fetch_whole, limit_silence, required_variable};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode};
use serde_json::Value;
use service_token::{OnBehalf, PROVISIONER, make};

/// The name by which the provisioner knows this component.
const COMPONENT: &str = "claw-provision";
/// The longest silence of the provisioner: a container runtime may be slow.
const SILENCE: Duration = Duration::from_secs(100);
/// The largest answer.
const MAX_ANSWER_BYTES: usize = 8 << 20;

/// The answer of the provisioner.
pub enum Answer {
    /// It is done.
    Done(Value),
    /// It is refused, and would be again: the code of the problem, and its detail.
    Refused(String, String),
}

/// Asks the provisioner. `body` is sent by POST; without one, a path is read.
///
/// # Errors
/// It is away, or can't do it at the moment: that is tried again.
pub async fn ask(path: &str, body: Option<&Value>) -> Result<Answer, Failure> {
    let request = request(path, body)
        .await
        .map_err(|problem| Failure::Retry(problem.detail().to_owned()))?;
    let away = |why: String| Failure::Retry(format!("The provisioner does not answer ({why})."));
    let answer = fetch_whole(request, MAX_ANSWER_BYTES)
        .await
        .map_err(|error| away(format!("{error:?}")))?;
    let status = answer.status();
    let mut said: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    replace_zeros(&mut said);
    if status.is_success() {
        return Ok(Answer::Done(said));
    }
    let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
    let (code, detail) = (text("code"), text("detail"));
    // Only the provisioner itself refuses for good: by the name of the problem.
    let is_refused = status.is_client_error() || code == "start-failed";
    if code.is_empty() || status == StatusCode::UNAUTHORIZED || !is_refused {
        return Err(Failure::Retry(format!(
            "The containers' backend is unavailable ({status}): {detail}"
        )));
    }
    Ok(Answer::Refused(code, detail))
}

/// Replaces zero characters, which programs may write and PostgreSQL does not store.
fn replace_zeros(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace('\0', "\u{fffd}"),
        Value::Array(values) => values.iter_mut().for_each(replace_zeros),
        Value::Object(fields) => fields.values_mut().for_each(replace_zeros),
        _ => {}
    }
}

async fn request(path: &str, body: Option<&Value>) -> Result<Request<Body>, Problem> {
    let url = required_variable("provisioner_url").await?;
    let key = required_variable("provisioner_key").await?;
    let token = make(&key, COMPONENT, PROVISIONER, &OnBehalf::default());
    let token = token.map_err(Problem::internal)?;
    let mut header = HeaderValue::try_from(format!("Bearer {token}")).map_err(Problem::internal)?;
    header.set_sensitive(true);
    let method = match body {
        Some(_) => Method::POST,
        None => Method::GET,
    };
    let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let mut request = Request::builder()
        .method(method)
        .uri(format!("{url}{path}"))
        .header(AUTHORIZATION, header)
        .header(CONTENT_TYPE, "application/json")
        .body(body)
        .map_err(Problem::internal)?;
    limit_silence(&mut request, SILENCE);
    Ok(request)
}
