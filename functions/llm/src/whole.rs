//! A call whose answer comes in one piece.

use std::time::Instant;

use axum::body::Body;
use bytes::BytesMut;
use futures::channel::oneshot;
use guest::task::Ticker;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use http_body_util::BodyExt;
use serde_json::Value;

use crate::call::{Call, Head, Stop, TICK};
use crate::fault::{self, Fault};
use crate::outlet::Outlet;
use crate::protocol::{Protocol, Route};
use crate::tokens::Usage;
use crate::{egress, translate, watch};

/// The largest answer of a provider.
const MAX_ANSWER_BYTES: usize = 32 << 20;

/// A good answer.
struct Answer {
    body: Vec<u8>,
    usage: Usage,
    estimated: bool,
}

pub async fn run(mut call: Call, head: oneshot::Sender<Head>) {
    let mut outlet = Outlet::new(call.request.route.protocol(), head);
    let mut ticker = Ticker::new(TICK);
    loop {
        match attempt(&mut call, &mut ticker, &mut outlet).await {
            Ok(answer) => {
                call.record(None);
                call.passed_on(&answer.body);
                call.settle("succeeded", &answer.usage, answer.estimated, None)
                    .await;
                let mut headers = call.headers(call.attempts());
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                outlet.answer(Head::Whole {
                    headers,
                    body: answer.body,
                });
                return;
            }
            Err(Stop::Fault(fault)) => {
                match again(&mut call, &mut ticker, &mut outlet, &fault).await {
                    Ok(true) => {}
                    Ok(false) => {
                        call.settle("failed", &Usage::default(), true, Some(&fault))
                            .await;
                        let headers = call.headers(call.attempts());
                        return outlet.answer(Head::Failed { headers, fault });
                    }
                    Err(Stop::Settled) => return settled(&call, &mut outlet),
                    // Nothing was answered.
                    Err(_) => {
                        return call
                            .settle("cancelled", &Usage::default(), true, None)
                            .await;
                    }
                }
            }
            Err(Stop::Settled) => return settled(&call, &mut outlet),
            Err(Stop::Gone | Stop::Late | Stop::Cut) => return leave(&mut call).await,
        }
    }
}

/// Waits until a target may be asked again after a fault. Whether one may.
async fn again(
    call: &mut Call,
    ticker: &mut Ticker,
    outlet: &mut Outlet,
    fault: &Fault,
) -> Result<bool, Stop> {
    let Some(pause) = call.after(fault).await else {
        return Ok(false);
    };
    let cooling = call.rest().await?;
    call.pause(ticker, outlet, pause.max(cooling)).await
}

/// Tells the client that somebody else has settled the call.
fn settled(call: &Call, outlet: &mut Outlet) {
    let headers = call.headers(call.attempts());
    outlet.answer(Head::Failed {
        headers,
        fault: Fault::settled(),
    });
}

/// The client left. The provider read the input, and may be paid for it.
async fn leave(call: &mut Call) {
    let usage = Usage {
        input: call.request.input,
        ..Usage::default()
    };
    call.settle("cancelled", &usage, true, None).await;
}

async fn attempt(
    call: &mut Call,
    ticker: &mut Ticker,
    outlet: &mut Outlet,
) -> Result<Answer, Stop> {
    let sent = call.begin_attempt()?;
    let response = call.wait(ticker, outlet, egress::send(sent)).await??;
    call.answered(response.headers());
    let body = read(call, ticker, outlet, response).await?;
    Ok(check(call, body)?)
}

async fn read(
    call: &mut Call,
    ticker: &mut Ticker,
    outlet: &mut Outlet,
    response: Response<Body>,
) -> Result<BytesMut, Stop> {
    let mut body = response.into_body();
    let mut bytes = BytesMut::new();
    while let Some(frame) = call.wait(ticker, outlet, body.frame()).await? {
        let frame = frame.map_err(|_| Fault::broken("The provider's answer broke off."))?;
        let data = frame.into_data().unwrap_or_default();
        if call.first_token.is_none() {
            call.first_token = Some(call.elapsed());
        }
        call.progress.last_said = Instant::now();
        if bytes.len() + data.len() > MAX_ANSWER_BYTES {
            return Err(Fault::garbled("The provider's answer is larger than 32 MiB.").into());
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// Checks that an answer is one, and makes the client's of it.
fn check(call: &Call, body: BytesMut) -> Result<Answer, Fault> {
    let value: Value = serde_json::from_slice(&body)
        .map_err(|_| Fault::garbled("The provider's answer is not JSON."))?;
    if value.get("error").is_some_and(|error| !error.is_null()) {
        return Err(fault::of_error(&value["error"]));
    }
    let provider = call.target().protocol;
    let filled = |member: &Value| member.as_array().is_some_and(|items| !items.is_empty());
    let is_answer = match (call.request.route, provider) {
        (Route::Embeddings, _) => filled(&value["data"]),
        (_, Protocol::Openai) => {
            filled(&value["choices"]) && value["choices"][0]["message"].is_object()
        }
        (_, Protocol::Anthropic) => value["content"].is_array() && value["stop_reason"].is_string(),
    };
    if !is_answer {
        return Err(Fault::garbled("The provider's answer has no content."));
    }
    let mut usage = Usage::default();
    usage.learn(provider, &value["usage"]);
    let estimated = !(usage.knows_input && usage.knows_output);
    if !usage.knows_input {
        usage.input = call.request.input;
    }
    if !usage.knows_output && call.request.route != Route::Embeddings {
        usage.output = match provider {
            Protocol::Openai => watch::texts_of(&value["choices"]),
            Protocol::Anthropic => watch::texts_of(&value["content"]),
        };
    }
    let client = call.request.route.protocol();
    let body = if client == provider {
        body.to_vec()
    } else {
        translate::answer(client, &value, &usage)?
            .to_string()
            .into_bytes()
    };
    Ok(Answer {
        body,
        usage,
        estimated,
    })
}
