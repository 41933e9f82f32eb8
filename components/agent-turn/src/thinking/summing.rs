//! Summing up: the model does it in a step of its own, before it is told what follows.

use guest::{Failure, Job};
use serde_json::json;

use super::{Then, Thinking};
use crate::Arguments;
use crate::fault::Fault;
use crate::model::{self, Answer, Said};
use crate::summing::{Beginning, bounded, most_tokens};

impl Thinking {
    /// Lets the model sum up what it would have been told first. The step that had begun is that of the summary.
    pub(super) async fn sum_up(
        &mut self,
        job: &Job<Arguments>,
        number: i32,
        beginning: Beginning,
        left_output: Option<i64>,
    ) -> Result<Then, Failure> {
        let Beginning {
            seq,
            step,
            messages,
        } = beginning;
        if !self.log.sum_up(number, seq, step).await? {
            return Ok(Then::Stop);
        }
        let most = i64::try_from(most_tokens(self.context.limits.window_tokens));
        let most = most.unwrap_or(i64::MAX);
        let left = left_output.map_or(most, |left| left.min(most));
        let body = self.request(messages, Some(left));
        let question = self.question(number, &body, false);
        match model::ask(&self.log, job, &self.context, &question).await? {
            Said::Answer(answer) if answer.text.trim().is_empty() => {
                let fault = Fault::new("provider-failed", "The model summed up nothing.");
                self.failed(job, number, fault).await
            }
            Said::Answer(answer) => self.keep_summary(number, answer).await,
            Said::Failed(fault) => self.failed(job, number, fault).await,
            Said::Late(_) => self.late(number, String::new()).await,
            Said::Gone => Ok(Then::Stop),
        }
    }

    async fn keep_summary(&mut self, number: i32, answer: Answer) -> Result<Then, Failure> {
        self.failures = 0;
        let ended = json!({
            "status": "succeeded", "text": bounded(&answer.text, self.context.limits.window_tokens),
            "input_tokens": answer.input_tokens, "output_tokens": answer.output_tokens,
        });
        match self.log.end_summary(number, ended).await? {
            true => Ok(Then::GoOn),
            false => Ok(Then::Stop),
        }
    }
}
