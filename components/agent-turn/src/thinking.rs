//! The thinking of a turn: one step after another until it ends.

mod approvals;
mod asking;
mod summing;

use std::time::{Duration, Instant};

use guest::task::{Ticker, Waited};
use guest::{Failure, Job};
use serde_json::{Map, Value, json};

use crate::Arguments;
use crate::context::{Context, Step};
use crate::fault::Fault;
use crate::history::{History, MAX_CALLS, Pending, fingerprint};
use crate::log::{Log, Message, Refused};
use crate::memory;
use crate::model::{self, Answer, Question, Said};
use crate::prompt::Prompt;
use crate::sources::{self, Called};
use crate::summing::beginning;
use crate::tools::{self, Target, Tool};
use crate::undertaking::{self, Done, Failed, Reply};
use crate::{reply, schema};

/// The time after which a job leaves its turn to another one, unless the variable `hand_on_ms` says another one.
const LONG_ENOUGH: Duration = Duration::from_secs(300);
/// The number of calls of the model that may fail one after another.
const MAX_FAILURES: u32 = 3;
/// The pause before the model is asked again, which doubles.
const PAUSE: Duration = Duration::from_millis(500);
/// The interval at which a call of a tool is looked after.
const LOOK: Duration = Duration::from_millis(100);

/// What a model is told of a tool that is not the one that was accepted.
const CHANGED: &str = "tool-changed: The server has changed this tool. It can't be called before its owner has accepted the change.";

/// What a model is told of a call that was cut off.
const UNKNOWN: &str =
    "The call was cut off. It is not known whether it happened; find out before you repeat it.";

/// What follows a step.
#[derive(PartialEq)]
enum Then {
    GoOn,
    /// The turn has ended, waits, or is another attempt's.
    Stop,
}

/// A turn that is being thought.
pub struct Thinking {
    log: Log,
    context: Context,
    history: History,
    steps: u32,
    failures: u32,
    /// The end of the turn's time, as the newest step was told it.
    until: Instant,
    /// Whether more was written, so that the last answer does not end the turn.
    again: bool,
}

impl Thinking {
    pub fn new(log: Log, mut context: Context) -> Self {
        let history = History(std::mem::take(&mut context.steps));
        Self {
            log,
            context,
            history,
            steps: 0,
            failures: 0,
            until: Instant::now(),
            again: false,
        }
    }

    /// Thinks until the turn ends. Returns the number of steps that were begun.
    pub async fn run(mut self, job: &Job<Arguments>) -> Result<u32, Failure> {
        let began = Instant::now();
        let long_enough = guest::variable("hand_on_ms").await;
        let long_enough = long_enough.and_then(|text| text.parse().ok());
        let long_enough = long_enough.map_or(LONG_ENOUGH, Duration::from_millis);
        let tools = tools::of(&self.log, &self.context).await?;
        loop {
            if job.is_cancelled() {
                return Ok(self.steps);
            }
            if began.elapsed() > long_enough {
                self.log.hand_on().await?;
                return Ok(self.steps);
            }
            let then = match (self.history.pending(), self.history.final_text()) {
                _ if self.history.is_looping() => self.stop("looping").await?,
                (Some(pending), _) => self.call(job, &tools, pending).await?,
                (None, Some(text)) if !self.again => {
                    let message = reply::message(text);
                    let reason = message.is_none().then_some("silent");
                    self.conclude("completed", reason, message).await?
                }
                _ => self.ask(job, &tools).await?,
            };
            if then == Then::Stop {
                return Ok(self.steps);
            }
        }
    }

    async fn conclude(
        &mut self,
        status: &str,
        reason: Option<&str>,
        message: Option<Value>,
    ) -> Result<Then, Failure> {
        if self.log.conclude(status, reason, message).await? {
            return Ok(Then::Stop);
        }
        self.again = true;
        Ok(Then::GoOn)
    }

    /// Ends the turn before it is done, with what was done.
    async fn stop(&mut self, reason: &str) -> Result<Then, Failure> {
        self.stop_amid("", reason).await
    }

    /// The same, while the model was saying something.
    async fn stop_amid(&mut self, said: &str, reason: &str) -> Result<Then, Failure> {
        match reason {
            "suspended" => return self.conclude("cancelled", Some(reason), None).await,
            // Nobody waits for it any more.
            "cancelled" => return self.conclude("cancelled", None, None).await,
            _ => {}
        }
        let why = match reason {
            "steps" => "I stop here: this turn may take no more steps.",
            "time" => "I stop here: this turn may take no more time.",
            "budget" => "I stop here: nothing is left of what I may spend.",
            _ => "I stop here: I kept making the same call with the same result.",
        };
        let account = self.history.account();
        let parts = [account.as_str(), said.trim(), why];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let message = reply::message(&parts.join("\n\n"));
        self.conclude("limited", Some(reason), message).await
    }

    /// Asks the model.
    async fn ask(&mut self, job: &Job<Arguments>, tools: &[Tool]) -> Result<Then, Failure> {
        let Some(begun) = self.log.begin_model().await? else {
            return Ok(Then::Stop);
        };
        if let Some(reason) = begun.stop {
            return self.stop(&reason).await;
        }
        self.steps += 1;
        self.until = begun.until();
        let number = begun.number.unwrap_or_default();
        let is_tainted = self.context.strange_purpose().is_some()
            || begun
                .summary
                .as_ref()
                .is_some_and(|summary| summary.tainted);
        self.taint_by(&begun.messages, is_tainted).await?;
        if !self.recall(&begun.messages).await? {
            return Ok(Then::Stop);
        }
        let prompt = Prompt::new(&self.context, &begun.messages, &self.history, begun.summary);
        let mut body = self.request(prompt.messages(), begun.left_output);
        if !tools.is_empty() {
            body["tools"] = tools.iter().map(Tool::listed).collect();
        }
        let window = self.context.limits.window_tokens;
        if let Some(beginning) = beginning(&prompt, &body, window) {
            return self.sum_up(job, number, beginning, begun.left_output).await;
        }
        let question = self.question(number, &body, true);
        match model::ask(&self.log, job, &self.context, &question).await? {
            Said::Answer(answer) => self.keep(number, begun.read_seq, answer).await,
            Said::Failed(fault) => self.failed(job, number, fault).await,
            Said::Late(text) => self.late(number, text).await,
            Said::Gone => Ok(Then::Stop),
        }
    }

    fn question<'a>(&self, number: i32, body: &'a Value, is_told: bool) -> Question<'a> {
        Question {
            number,
            failures: self.failures,
            body,
            is_told,
            until: self.until,
        }
    }

    /// The request to the model that tells it these messages.
    fn request(&self, messages: Vec<Value>, left_output: Option<i64>) -> Value {
        let mut body = json!({
            "model": self.context.persona.model.as_deref().unwrap_or("default"), "stream": true,
            "stream_options": {"include_usage": true}, "messages": messages,
        });
        if let Some(left) = left_output {
            body["max_tokens"] = json!(left.max(1));
        }
        body
    }

    /// Messages of others than the owner are what strangers wrote, as a summary of such is, and a circle's purpose.
    async fn taint_by(&mut self, messages: &[Message], is_tainted: bool) -> Result<(), Failure> {
        let own = self.context.agent.id;
        let strange = |message: &Message| message.author != own && !message.is_owner;
        if !self.context.tainted && (is_tainted || messages.iter().any(strange)) {
            self.context.tainted = true;
            self.log.taint().await?;
        }
        Ok(())
    }

    /// Recalls what bears on the conversation, once for the turn. Whether the turn goes on.
    async fn recall(&mut self, said: &[Message]) -> Result<bool, Failure> {
        let (None, Some(recall)) = (&self.context.recalled, &self.context.persona.memory) else {
            return Ok(true);
        };
        let recalled = memory::recall(&self.context, said, recall.recall_tokens).await;
        let is_kept = self
            .log
            .keep_recalled(&recalled.text, recalled.is_tainted)
            .await?;
        self.context.tainted |= recalled.is_tainted;
        self.context.recalled = Some(recalled.text);
        Ok(is_kept)
    }

    async fn keep(
        &mut self,
        number: i32,
        read_seq: Option<i64>,
        answer: Answer,
    ) -> Result<Then, Failure> {
        (self.failures, self.again) = (0, false);
        let ended = json!({
            "status": "succeeded", "text": answer.text, "calls": answer.calls,
            "input_tokens": answer.input_tokens, "output_tokens": answer.output_tokens,
        });
        if !self.log.end(number, ended).await? {
            return Ok(Then::Stop);
        }
        self.history.put(Step {
            number,
            kind: "model".to_owned(),
            status: "succeeded".to_owned(),
            text: Some(answer.text),
            calls: Some(answer.calls),
            read_seq,
            ..Step::default()
        });
        Ok(Then::GoOn)
    }

    /// Ends the turn in the middle of a model's answer, since its time is over.
    async fn late(&mut self, number: i32, said: String) -> Result<Then, Failure> {
        let why = format!("{said} (time: The turn may take no more time.)");
        let ended = json!({"status": "failed", "text": why.trim_start()});
        if !self.log.end(number, ended).await? {
            return Ok(Then::Stop);
        }
        self.stop_amid(&said, "time").await
    }

    async fn failed(
        &mut self,
        job: &Job<Arguments>,
        number: i32,
        fault: Fault,
    ) -> Result<Then, Failure> {
        self.failures += u32::from(!fault.passes());
        let why = format!("{} ({}: {})", fault.partial, fault.code, fault.detail);
        let ended = json!({"status": "failed", "text": why.trim_start()});
        if !self.log.end(number, ended).await? {
            return Ok(Then::Stop);
        }
        match fault.ends() {
            Some(("limited", reason)) => self.stop(reason).await,
            Some((status, reason)) => self.conclude(status, Some(reason), None).await,
            None if self.failures >= MAX_FAILURES => {
                self.conclude("failed", Some("provider-failed"), None).await
            }
            None => {
                let left = self.until.saturating_duration_since(Instant::now());
                let pause = fault.pause(PAUSE * 2_u32.pow(self.failures)).min(left);
                match model::wait(&self.log, job, number, pause).await? {
                    true => Ok(Then::GoOn),
                    false => Ok(Then::Stop),
                }
            }
        }
    }

    /// Makes a call that the model asks for, or says why not.
    async fn call(
        &mut self,
        job: &Job<Arguments>,
        tools: &[Tool],
        pending: Pending,
    ) -> Result<Then, Failure> {
        let known = self
            .history
            .of_call(pending.of_step, pending.index)
            .cloned();
        let tool = tools.iter().find(|tool| tool.name == pending.call.name);
        let (tool, arguments) = match checked(tool, &pending) {
            Ok(checked) => checked,
            Err(why) => return self.refuse(&pending, "failed", &why).await,
        };
        match &known {
            // It had begun when a worker was lost.
            Some(step) if step.begun_at.is_some() && !tool.target.is_repeatable() => {
                let (number, reply) = (step.number, Reply::from(UNKNOWN.to_owned()));
                return self.finish(tool, &pending, number, "unknown", reply).await;
            }
            Some(step) if step.begun_at.is_none() => {
                if let Some(why) = self.not_approved(step, tool, &pending).await? {
                    return self.refuse(&pending, "denied", &why).await;
                }
            }
            Some(_) => {}
            None => {
                let tainted_by = self.history.tainted_by();
                if let Some(why) = tool.asks(self.context.tainted, tainted_by) {
                    return self.request_approval(tool, &pending, &why).await;
                }
            }
        }
        if let Target::Agent(_) = tool.target {
            return self.ask_agents(tools, &pending).await;
        }
        let Some(begun) = self.log.begin_tool(&pending.logged(), None).await? else {
            return Ok(Then::Stop);
        };
        if let Some(reason) = begun.stop {
            return self.stop(&reason).await;
        }
        self.steps += 1;
        self.until = begun.until();
        let number = begun.number.unwrap_or_default();
        let Some(done) = self.make(job, tool, &pending, arguments).await? else {
            return Ok(Then::Stop);
        };
        let (status, reply) = match done {
            Ok(reply) => ("succeeded", reply),
            Err(Failed::Told(text)) => ("failed", Reply::from(text)),
            Err(Failed::Lost) => ("unknown", Reply::from(UNKNOWN.to_owned())),
        };
        self.finish(tool, &pending, number, status, reply).await
    }

    /// Makes a call. `None`: the turn was cancelled meanwhile.
    async fn make(
        &self,
        job: &Job<Arguments>,
        tool: &Tool,
        pending: &Pending,
        arguments: &Map<String, Value>,
    ) -> Result<Option<Done>, Failure> {
        if let Target::Next = tool.target {
            let name = arguments.get("name").and_then(Value::as_str);
            let told = self.log.name_next(name.unwrap_or_default()).await?;
            return Ok(Some(Ok(Reply::from(told))));
        }
        let key = format!(
            "turn:{}:{}:{}",
            self.context.turn, pending.of_step, pending.index
        );
        let making = async {
            let Target::Server { source, definition } = &tool.target else {
                let made = undertaking::make(tool, &self.context, &self.history, arguments, &key);
                return Ok(made.await);
            };
            match sources::call(source, definition, arguments).await {
                Called::Done(done) => Ok(done),
                Called::Changed => {
                    self.log.note_changed(source.id).await?;
                    Ok(Err(CHANGED.to_owned().into()))
                }
            }
        };
        let mut making = std::pin::pin!(making);
        let mut ticker = Ticker::new(LOOK);
        loop {
            match ticker.beside(making.as_mut()).await {
                Waited::Ready(done) => return done.map(Some),
                Waited::Tick if job.is_cancelled() => return Ok(None),
                Waited::Tick if Instant::now() >= self.until => {
                    return Ok(Some(Err(Failed::Lost)));
                }
                Waited::Tick => {}
            }
        }
    }

    async fn finish(
        &mut self,
        tool: &Tool,
        pending: &Pending,
        number: i32,
        status: &str,
        reply: Reply,
    ) -> Result<Then, Failure> {
        let Reply { text, receipt } = reply;
        // An error of a stranger's program is a stranger's words, too.
        let is_strange = matches!(tool.target, Target::Skill { .. } | Target::Server { .. });
        let has_words = status == "succeeded" || status == "failed" && is_strange;
        let tainted = has_words && tool.target.taints(&text);
        let fingerprint = fingerprint(&pending.call, &text);
        let ended = json!({
            "status": status, "text": text, "tainted": tainted, "fingerprint": fingerprint, "receipt": receipt,
        });
        if !self.log.end(number, ended).await? {
            return Ok(Then::Stop);
        }
        self.context.tainted |= tainted;
        self.history.put(Step {
            fingerprint: Some(fingerprint),
            tainted,
            // When, the database knows.
            begun_at: Some(String::new()),
            ..tool_step(pending, number, status, text)
        });
        Ok(Then::GoOn)
    }

    async fn refuse(
        &mut self,
        pending: &Pending,
        status: &str,
        why: &str,
    ) -> Result<Then, Failure> {
        let fingerprint = fingerprint(&pending.call, why);
        let refusal = json!({"status": status, "why": why, "fingerprint": fingerprint});
        let refused = self.log.refuse_tool(&pending.logged(), refusal).await?;
        let number = match refused {
            Some(Refused {
                stop: Some(reason), ..
            }) => return self.stop(&reason).await,
            Some(Refused {
                number: Some(number),
                ..
            }) => number,
            _ => return Ok(Then::Stop),
        };
        self.history.put(Step {
            fingerprint: Some(fingerprint),
            ..tool_step(pending, number, status, why.to_owned())
        });
        Ok(Then::GoOn)
    }
}

/// The tool and the arguments of a call.
///
/// # Errors
/// The call can't be made: why, for the model.
fn checked<'a>(
    tool: Option<&'a Tool>,
    pending: &'a Pending,
) -> Result<(&'a Tool, &'a Map<String, Value>), String> {
    if pending.index + 1 >= MAX_CALLS {
        return Err(format!(
            "Only {} calls of one answer are made. Ask for fewer at a time.",
            MAX_CALLS - 1
        ));
    }
    let tool = tool.ok_or_else(|| "There is no such tool.".to_owned())?;
    let arguments = pending.call.arguments.as_object();
    let arguments = arguments.ok_or_else(|| "The arguments are not a JSON object.".to_owned())?;
    schema::check(&tool.schema, &pending.call.arguments)?;
    Ok((tool, arguments))
}

fn tool_step(pending: &Pending, number: i32, status: &str, text: String) -> Step {
    Step {
        number,
        kind: "tool".to_owned(),
        status: status.to_owned(),
        name: Some(pending.call.name.clone()),
        of_step: Some(pending.of_step),
        call: i32::try_from(pending.index).ok(),
        text: Some(text),
        ..Step::default()
    }
}
