//! The log of a turn: every write names the attempt that makes it. Each statement has a connection of its own, since models
//! and tools take their time between two of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use guest::{Db, Failure, Job, args};
use mcp_client::Definition;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::Arguments;
use crate::context::Context;

/// The log of a turn, for one attempt at it.
pub struct Log {
    db: Db,
    turn: Uuid,
    holder: String,
}

/// Longer than any job.
const NO_END: Duration = Duration::from_secs(86_400);

/// The beginning of a step.
#[derive(Debug, Deserialize)]
pub struct Begun {
    pub number: Option<i32>,
    /// The reason why the turn ends instead.
    pub stop: Option<String>,
    /// The number of the last message of the conversation.
    pub read_seq: Option<i64>,
    /// The summary that stands for what was before the messages.
    pub summary: Option<Summary>,
    #[serde(default)]
    pub messages: Vec<Message>,
    /// The tokens that the turn's models may still say.
    pub left_output: Option<i64>,
    /// The time that is left of the turn's; absent if that has no end.
    pub left_ms: Option<u64>,
}

impl Begun {
    /// The end of the turn's time.
    pub fn until(&self) -> Instant {
        Instant::now() + self.left_ms.map_or(NO_END, Duration::from_millis)
    }
}

/// What became of questions to other agents.
#[derive(Debug, Deserialize)]
pub struct AskedAgents {
    /// The number of those that were asked, the first ones.
    #[serde(default)]
    pub count: u32,
    /// The reason why the turn ends instead.
    pub stop: Option<String>,
    /// The reason why the first one is not asked, for the model.
    pub refused: Option<String>,
}

/// A call of a tool that never begins.
#[derive(Debug, Deserialize)]
pub struct Refused {
    /// The number of its step.
    pub number: Option<i32>,
    /// The reason why the turn ends instead.
    pub stop: Option<String>,
}

/// A summary of the beginning of the conversation, and of what the turn did.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Summary {
    pub text: String,
    /// The last message that it stands for.
    pub seq: i64,
    /// The last answer of the model that it stands for.
    pub step: i32,
    /// Whether what strangers wrote is in it.
    pub tainted: bool,
}

/// A message of the conversation.
#[derive(Debug, Clone, Deserialize)]
pub struct Message {
    pub seq: i64,
    pub author: Uuid,
    pub name: String,
    pub body: String,
    pub is_owner: bool,
    pub is_whisper: bool,
}

/// The end of an approval.
#[derive(Debug, Deserialize)]
pub struct Approved {
    pub state: String,
    pub digest: String,
    pub reason: Option<String>,
}

/// An agent that may be asked.
#[derive(Debug, Deserialize)]
pub struct OtherAgent {
    pub id: Uuid,
    pub name: String,
    pub description: Option<String>,
}

/// A server of tools, as its owner has accepted it.
#[derive(Debug, Clone, Deserialize)]
pub struct Source {
    pub id: Uuid,
    pub name: String,
    pub url: String,
    pub revision: String,
    pub tools: Vec<Definition>,
    /// The account on whose behalf it is asked.
    pub account: Uuid,
    /// Whether its headers name a secret, which may be gone.
    pub names_secret: bool,
    pub secret: Option<Uuid>,
    pub headers: BTreeMap<String, String>,
}

/// A tool of a skill, as it is stored.
#[derive(Debug, Deserialize)]
pub struct SkillTool {
    pub skill: String,
    pub version: String,
    pub digest: String,
    pub tool: String,
    pub description: Option<String>,
    pub input_schema: Value,
    pub is_harmless: bool,
}

#[derive(Debug, Deserialize)]
struct Answer<T> {
    answer: Option<T>,
}

impl Log {
    /// Begins or resumes the job's turn. `None`: there is nothing to do.
    pub async fn resume(db: Db, job: &Job<Arguments>) -> Result<Option<(Self, Context)>, Failure> {
        let attempt = i32::try_from(job.attempt).unwrap_or(i32::MAX);
        let found: Answer<Context> = db
            .apart()
            .one(
                "select resume_turn($1, $2, $3) as answer",
                args![job.payload.turn, job.id, attempt],
            )
            .await?;
        Ok(found.answer.map(|context| {
            let (turn, holder) = (context.turn, context.holder.clone());
            (Self { db, turn, holder }, context)
        }))
    }

    /// Begins a call of the model. `None`: the turn is not this attempt's any more.
    pub async fn begin_model(&self) -> Result<Option<Begun>, Failure> {
        let begun: Answer<Begun> = self
            .db
            .apart()
            .one(
                "select begin_model_step($1, $2) as answer",
                args![self.turn, &self.holder],
            )
            .await?;
        Ok(begun.answer)
    }

    /// Begins a call of a tool, or asks for its approval.
    pub async fn begin_tool(
        &self,
        call: &Value,
        approval: Option<Value>,
    ) -> Result<Option<Begun>, Failure> {
        let begun: Answer<Begun> = self
            .db
            .apart()
            .one(
                "select begin_tool_step($1, $2, $3, $4) as answer",
                args![self.turn, &self.holder, call.clone(), approval],
            )
            .await?;
        Ok(begun.answer)
    }

    /// Writes a call of a tool that never begins. `None`: the turn is not this attempt's any more.
    pub async fn refuse_tool(
        &self,
        call: &Value,
        refusal: Value,
    ) -> Result<Option<Refused>, Failure> {
        let written: Answer<Refused> = self
            .db
            .apart()
            .one(
                "select refuse_tool_step($1, $2, $3, $4) as answer",
                args![self.turn, &self.holder, call.clone(), refusal],
            )
            .await?;
        Ok(written.answer)
    }

    /// Ends a step. Whether the turn is still this attempt's.
    pub async fn end(&self, number: i32, ended: Value) -> Result<bool, Failure> {
        let is_ended: Answer<bool> = self
            .db
            .apart()
            .one(
                "select end_step($1, $2, $3, $4) as answer",
                args![self.turn, &self.holder, number, ended],
            )
            .await?;
        Ok(is_ended.answer.unwrap_or(false))
    }

    /// Writes that the call of the model that has begun sums up instead. Whether the turn is still this attempt's.
    pub async fn sum_up(&self, number: i32, seq: i64, step: i32) -> Result<bool, Failure> {
        let begun: Answer<bool> = self
            .db
            .apart()
            .one(
                "select sum_up($1, $2, $3, $4, $5) as answer",
                args![self.turn, &self.holder, number, seq, step],
            )
            .await?;
        Ok(begun.answer.unwrap_or(false))
    }

    /// Ends a summary. Whether the turn is still this attempt's.
    pub async fn end_summary(&self, number: i32, ended: Value) -> Result<bool, Failure> {
        let is_ended: Answer<bool> = self
            .db
            .apart()
            .one(
                "select end_summary($1, $2, $3, $4) as answer",
                args![self.turn, &self.holder, number, ended],
            )
            .await?;
        Ok(is_ended.answer.unwrap_or(false))
    }

    /// Passes on a piece of what the model says. Whether the turn still goes on.
    pub async fn tell(
        &self,
        step: i32,
        at: usize,
        piece: &str,
        partial: Option<&str>,
    ) -> Result<bool, Failure> {
        let at = i32::try_from(at).unwrap_or(i32::MAX);
        let goes_on: Answer<bool> = self
            .db
            .apart()
            .one(
                "select tell_delta($1, $2, $3, $4, $5, $6) as answer",
                args![self.turn, &self.holder, step, at, piece, partial],
            )
            .await?;
        Ok(goes_on.answer.unwrap_or(false))
    }

    /// Notes that the turn has read what strangers wrote.
    pub async fn taint(&self) -> Result<(), Failure> {
        self.db
            .apart()
            .execute("select taint_turn($1, $2)", args![self.turn, &self.holder])
            .await?;
        Ok(())
    }

    /// Ends the turn. Whether it has ended: if not, it has to read what was written meanwhile.
    pub async fn conclude(
        &self,
        status: &str,
        reason: Option<&str>,
        message: Option<Value>,
    ) -> Result<bool, Failure> {
        let ended: Answer<Value> = self
            .db
            .apart()
            .one(
                "select conclude_turn($1, $2, $3, $4, $5) as answer",
                args![self.turn, &self.holder, status, reason, message],
            )
            .await?;
        Ok(ended
            .answer
            .is_none_or(|answer| answer["again"] != json!(true)))
    }

    /// Leaves the turn to another job.
    pub async fn hand_on(&self) -> Result<(), Failure> {
        self.db
            .apart()
            .execute("select hand_on($1, $2)", args![self.turn, &self.holder])
            .await?;
        Ok(())
    }

    /// Reads the end of a step's approval.
    pub async fn approval(&self, number: i32) -> Result<Option<Approved>, Failure> {
        let found: Answer<Approved> = self
            .db
            .apart()
            .one(
                "select approval_of($1, $2) as answer",
                args![self.turn, number],
            )
            .await?;
        Ok(found.answer)
    }

    /// Names who speaks next, and returns what the model is told.
    pub async fn name_next(&self, name: &str) -> Result<String, Failure> {
        let told: Answer<String> = self
            .db
            .apart()
            .one(
                "select name_next($1, $2, $3) as answer",
                args![self.turn, &self.holder, name],
            )
            .await?;
        Ok(told.answer.unwrap_or_default())
    }

    /// The tools of a skill.
    pub async fn skill(
        &self,
        name: &str,
        version: Option<&str>,
    ) -> Result<Vec<SkillTool>, Failure> {
        let found: Answer<Vec<SkillTool>> = self
            .db
            .apart()
            .one("select tools_of($1, $2) as answer", args![name, version])
            .await?;
        Ok(found.answer.unwrap_or_default())
    }

    /// Asks other agents; the turn then waits for all of them.
    pub async fn ask_agents(&self, questions: Value) -> Result<Option<AskedAgents>, Failure> {
        let asked: Answer<AskedAgents> = self
            .db
            .apart()
            .one(
                "select ask_agents($1, $2, $3) as answer",
                args![self.turn, &self.holder, questions],
            )
            .await?;
        Ok(asked.answer)
    }

    /// An agent that may be asked, by its id or name.
    pub async fn agent(&self, name: &str) -> Result<Option<OtherAgent>, Failure> {
        let found: Answer<OtherAgent> = self
            .db
            .apart()
            .one("select agent_for($1, $2) as answer", args![self.turn, name])
            .await?;
        Ok(found.answer)
    }

    /// A source of tools of the agent's owner, with another secret than its headers name, if one is named.
    pub async fn source(
        &self,
        name: &str,
        secret: Option<&str>,
    ) -> Result<Option<Source>, Failure> {
        let found: Answer<Source> = self
            .db
            .apart()
            .one(
                "select source_for($1, $2, $3) as answer",
                args![self.turn, name, secret],
            )
            .await?;
        Ok(found.answer)
    }

    /// Notes that a source has other definitions than those that were accepted.
    pub async fn note_changed(&self, source: Uuid) -> Result<(), Failure> {
        self.db
            .apart()
            .execute("select note_changed_source($1)", args![source])
            .await?;
        Ok(())
    }

    /// Keeps what was recalled. Whether the turn is still this attempt's.
    pub async fn keep_recalled(&self, text: &str, is_tainted: bool) -> Result<bool, Failure> {
        let kept: Answer<bool> = self
            .db
            .apart()
            .one(
                "select keep_recalled($1, $2, $3, $4) as answer",
                args![self.turn, &self.holder, text, is_tainted],
            )
            .await?;
        Ok(kept.answer.unwrap_or(false))
    }
}
