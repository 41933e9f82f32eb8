//! A call of the model, through the platform's gateway: for the agent's owner, who pays with the agent's and the circle's
//! own limits. What the model says is passed on while it says it.

use std::pin::pin;
use std::time::{Duration, Instant};

use axum::body::Body;
use guest::task::{Ticker, Waited};
use guest::{Failure, Job, fetch, limit_silence, required_variable};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, Response};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sse::Events;

use crate::ACTING;
use crate::Arguments;
use crate::context::{Call, Context};
use crate::fault::{Fault, error_of, refusal};
use crate::history::MAX_CALLS;
use crate::log::Log;

/// The interval at which what was said is passed on.
const PASS_ON: Duration = Duration::from_millis(50);
/// The number of intervals after which what was said is kept.
const KEEP_EVERY: u32 = 10;
/// The number of intervals after which the database is asked whether the turn goes on.
const LOOK_EVERY: u32 = 20;
/// The longest time without a sign of life; the gateway sends pings.
const SILENCE: Duration = Duration::from_secs(120);
/// The largest text of an answer, in bytes.
const MAX_TEXT_BYTES: usize = 1 << 20;
/// The interval at which a turn that waits before it asks again is looked after.
const LOOK: Duration = Duration::from_secs(1);
/// The time for which one step waits until those who pay may call models again.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest piece that is passed on at once, since notifications are short.
const MAX_PIECE_CHARS: usize = 1_000;

/// The end of a call of the model.
pub enum Said {
    /// It answered.
    Answer(Answer),
    /// It failed.
    Failed(Fault),
    /// The turn's time was over, after this had been said.
    Late(String),
    /// The turn does not go on.
    Gone,
}

/// What a model is asked.
pub struct Question<'a> {
    /// The number of the step.
    pub number: i32,
    /// The number of tries before.
    pub failures: u32,
    pub body: &'a Value,
    /// Whether what it says is passed on.
    pub is_told: bool,
    /// The end of the turn's time.
    pub until: Instant,
}

/// An answer of the model.
#[derive(Debug, Default)]
pub struct Answer {
    pub text: String,
    pub calls: Vec<Call>,
    pub input_tokens: u64,
    pub output_tokens: u64,
}

/// The answer as far as it is known.
#[derive(Default)]
struct Reading {
    answer: Answer,
    /// Of each call: its name, and its arguments as text.
    calls: Vec<(String, String)>,
    /// The number of characters that were passed on, and their bytes.
    told: usize,
    told_bytes: usize,
    /// The number of bytes that are kept for who comes later.
    kept_bytes: usize,
    is_complete: bool,
    fault: Option<Fault>,
}

/// Waits before a model is asked again. Whether the turn goes on.
pub async fn wait(
    log: &Log,
    job: &Job<Arguments>,
    number: i32,
    pause: Duration,
) -> Result<bool, Failure> {
    let mut left = pause;
    while !left.is_zero() {
        let piece = left.min(LOOK);
        guest::task::sleep(piece).await;
        left -= piece;
        if job.is_cancelled() || !log.tell(number, 0, "", None).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Asks the model. Until those who pay may call models again, it waits for a while.
pub async fn ask(
    log: &Log,
    job: &Job<Arguments>,
    context: &Context,
    question: &Question<'_>,
) -> Result<Said, Failure> {
    let mut waited = Duration::ZERO;
    loop {
        match ask_once(log, job, context, question).await? {
            Said::Failed(fault) if fault.passes() && waited < PATIENCE => {
                let pause = fault.pause(LOOK);
                if question.is_late_in(pause) {
                    return Ok(Said::Late(String::new()));
                }
                if !wait(log, job, question.number, pause).await? {
                    return Ok(Said::Gone);
                }
                waited += pause;
            }
            said => return Ok(said),
        }
    }
}

async fn ask_once(
    log: &Log,
    job: &Job<Arguments>,
    context: &Context,
    question: &Question<'_>,
) -> Result<Said, Failure> {
    let request = match request(context, question).await {
        Ok(request) => request,
        Err(why) => return Ok(Said::Failed(Fault::new("unavailable", why))),
    };
    let mut watch = Watch {
        log,
        job,
        question,
        ticks: 0,
        ticker: Ticker::new(PASS_ON),
    };
    let mut sending = pin!(fetch(request));
    let answer = loop {
        match watch.ticker.beside(sending.as_mut()).await {
            Waited::Ready(answer) => break answer,
            Waited::Tick if question.is_late_in(Duration::ZERO) => {
                return Ok(Said::Late(String::new()));
            }
            Waited::Tick if !watch.goes_on(&mut Reading::default()).await? => {
                return Ok(Said::Gone);
            }
            Waited::Tick => {}
        }
    };
    match answer {
        Ok(answer) if answer.status().is_success() => watch.read(answer).await,
        Ok(answer) => Ok(Said::Failed(refusal(answer).await)),
        Err(error) => Ok(Said::Failed(Fault::new("unavailable", error.to_string()))),
    }
}

impl Question<'_> {
    /// Whether the turn's time is over after a pause.
    fn is_late_in(&self, pause: Duration) -> bool {
        Instant::now() + pause >= self.until
    }
}

async fn request(context: &Context, question: &Question<'_>) -> Result<Request<Body>, String> {
    let failed =
        |problem: guest::Problem| format!("The gateway can't be asked ({}).", problem.code());
    let url = required_variable("internal_url").await.map_err(failed)?;
    let token = ACTING
        .authorization(&url, context.owner.id, &["llm:call"])
        .await
        .map_err(failed)?;
    let body = question.body.to_string();
    let failures = question.failures;
    let mut request = Request::post(format!("{url}/v1/chat/completions"))
        .header(CONTENT_TYPE, "application/json")
        .header(AUTHORIZATION, token)
        .header("gather-purpose", "turn")
        .header("gather-parent", format!("turn:{}", context.turn))
        .header("gather-pays", context.pays.join(","))
        // An answer that came after the worker was lost is told again, and paid for once.
        .header(
            "idempotency-key",
            format!(
                "turn:{}:{}",
                context.turn,
                hex::encode(Sha256::digest(format!("{failures}:{body}")))
            ),
        )
        .body(Body::from(body))
        .map_err(|error| error.to_string())?;
    limit_silence(&mut request, SILENCE);
    Ok(request)
}

/// The watch over a call while it runs: what was said is passed on, and a turn that does not go on is noticed.
struct Watch<'a> {
    log: &'a Log,
    job: &'a Job<Arguments>,
    question: &'a Question<'a>,
    ticks: u32,
    ticker: Ticker,
}

impl Watch<'_> {
    async fn read(&mut self, answer: Response<Body>) -> Result<Said, Failure> {
        let mut body = answer.into_body();
        let (mut events, mut reading) = (Events::default(), Reading::default());
        while !reading.is_complete && reading.fault.is_none() {
            let frame = match self.ticker.beside(body.frame()).await {
                Waited::Tick if self.question.is_late_in(Duration::ZERO) => {
                    self.pass_on(&mut reading, true).await?;
                    return Ok(Said::Late(reading.answer.text));
                }
                Waited::Tick => {
                    if self.goes_on(&mut reading).await? {
                        continue;
                    }
                    self.keep(&reading).await?;
                    return Ok(Said::Gone);
                }
                Waited::Ready(frame) => frame,
            };
            match frame {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        events.push(&data);
                    }
                    while let Ok(Some(event)) = events.next_event() {
                        reading.take(event.data.as_deref().unwrap_or_default());
                    }
                    // The first words do not wait.
                    if reading.told == 0 && !reading.answer.text.is_empty() {
                        self.pass_on(&mut reading, true).await?;
                    }
                }
                Some(Err(_)) | None => {
                    let what = "The answer broke off.";
                    reading.fault = Some(Fault::new("provider-failed", what));
                }
            }
        }
        self.pass_on(&mut reading, true).await?;
        Ok(reading.ended())
    }

    /// Whether the turn goes on. What was said since is passed on.
    async fn goes_on(&mut self, reading: &mut Reading) -> Result<bool, Failure> {
        if self.job.is_cancelled() {
            return Ok(false);
        }
        self.ticks += 1;
        let length = if self.question.is_told {
            reading.answer.text.len()
        } else {
            0
        };
        let keep = self.ticks.is_multiple_of(KEEP_EVERY) && reading.kept_bytes < length;
        if keep || reading.told_bytes < length {
            return self.pass_on(reading, keep).await;
        }
        if self.ticks.is_multiple_of(LOOK_EVERY) {
            return self.log.tell(self.question.number, 0, "", None).await;
        }
        Ok(true)
    }

    async fn pass_on(&self, reading: &mut Reading, keep: bool) -> Result<bool, Failure> {
        let mut goes_on = true;
        if !self.question.is_told {
            return Ok(goes_on);
        }
        loop {
            let rest = &reading.answer.text[reading.told_bytes..];
            let piece: String = rest.chars().take(MAX_PIECE_CHARS).collect();
            let is_last = piece.len() == rest.len();
            let text = reading.answer.text.as_str();
            let partial = (keep && is_last && !text.is_empty()).then_some(text);
            if piece.is_empty() && partial.is_none() {
                return Ok(goes_on);
            }
            goes_on = self
                .log
                .tell(self.question.number, reading.told, &piece, partial)
                .await?;
            reading.told += piece.chars().count();
            reading.told_bytes += piece.len();
            if is_last && keep {
                reading.kept_bytes = reading.told_bytes;
            }
            if is_last {
                return Ok(goes_on);
            }
        }
    }

    /// Keeps what was said until the turn was cancelled.
    async fn keep(&self, reading: &Reading) -> Result<(), Failure> {
        let text = reading.answer.text.as_str();
        if self.question.is_told && !text.is_empty() {
            self.log
                .tell(self.question.number, reading.told, "", Some(text))
                .await?;
        }
        Ok(())
    }
}

impl Reading {
    /// Takes one event of the stream.
    fn take(&mut self, data: &[u8]) {
        if data == b"[DONE]" {
            self.is_complete = true;
            return;
        }
        let Ok(event) = serde_json::from_slice::<Value>(data) else {
            return;
        };
        if !event["error"].is_null() {
            self.fault = Some(error_of(&event["error"], 502));
            return;
        }
        let usage = &event["usage"];
        if let (Some(input), Some(output)) = (
            usage["prompt_tokens"].as_u64(),
            usage["completion_tokens"].as_u64(),
        ) {
            (self.answer.input_tokens, self.answer.output_tokens) = (input, output);
        }
        let delta = &event["choices"][0]["delta"];
        if let Some(text) = delta["content"].as_str()
            && self.answer.text.len() + text.len() <= MAX_TEXT_BYTES
        {
            self.answer.text.push_str(&text.replace('\0', ""));
        }
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            self.take_call(call);
        }
    }

    fn take_call(&mut self, call: &Value) {
        let index = call["index"]
            .as_u64()
            .and_then(|index| usize::try_from(index).ok());
        let index = index.unwrap_or(self.calls.len());
        // More than are made: the last of those that are made says so.
        if index >= MAX_CALLS {
            return;
        }
        while self.calls.len() <= index {
            self.calls.push(Default::default());
        }
        let known = &mut self.calls[index];
        known
            .0
            .push_str(call["function"]["name"].as_str().unwrap_or_default());
        let piece = call["function"]["arguments"].as_str().unwrap_or_default();
        if known.1.len() + piece.len() <= MAX_TEXT_BYTES {
            known.1.push_str(piece);
        }
    }

    fn ended(mut self) -> Said {
        if let Some(mut fault) = self.fault {
            fault.partial = self.answer.text;
            return Said::Failed(fault);
        }
        let calls = self.calls.into_iter();
        self.answer.calls = calls
            .map(|(name, arguments)| Call {
                name: name.replace('\0', "").chars().take(200).collect(),
                arguments: parsed(&arguments),
            })
            .collect();
        Said::Answer(self.answer)
    }
}

/// Arguments as an object; null if they do not make one. PostgreSQL stores no zero characters.
fn parsed(arguments: &str) -> Value {
    if arguments.trim().is_empty() {
        return json!({});
    }
    match serde_json::from_str::<Value>(arguments) {
        Ok(object @ Value::Object(_)) if !arguments.contains("\\u0000") => object,
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_an_answer_become_one() {
        let mut reading = Reading::default();
        for event in [
            r#"{"choices":[{"delta":{"role":"assistant","content":"Hel"}}]}"#,
            r#"{"choices":[{"delta":{"content":"lo"}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"x","function":{"name":"search","arguments":"{\"que"}}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"ry\":1}"}}]},"finish_reason":"tool_calls"}]}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7}}"#,
            "[DONE]",
        ] {
            reading.take(event.as_bytes());
        }
        assert!(reading.is_complete);
        let Said::Answer(answer) = reading.ended() else {
            panic!("no answer");
        };
        assert_eq!(
            (
                answer.text.as_str(),
                answer.input_tokens,
                answer.output_tokens
            ),
            ("Hello", 5, 7)
        );
        assert_eq!(
            answer.calls,
            [Call {
                name: "search".to_owned(),
                arguments: json!({"query": 1})
            }]
        );
    }

    #[test]
    fn arguments_that_are_no_object_are_null() {
        assert_eq!(parsed(""), json!({}));
        for bad in ["{", "[]", "1", r#"{"a":"\u0000"}"#] {
            assert_eq!(parsed(bad), Value::Null, "{bad}");
        }
    }

    #[test]
    fn an_error_in_the_stream_ends_it() {
        let mut reading = Reading::default();
        reading.take(br#"{"choices":[{"delta":{"content":"Hal"}}]}"#);
        reading.take(br#"{"error":{"code":"budget-exhausted","message":"No more."}}"#);
        let Said::Failed(fault) = reading.ended() else {
            panic!("no fault");
        };
        assert_eq!(
            (fault.partial.as_str(), fault.ends()),
            ("Hal", Some(("limited", "budget")))
        );
    }
}
