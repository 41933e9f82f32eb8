//! The steps of a turn so far, and what follows from them: the state of a turn is its steps.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::context::{Call, Step};

/// The number of calls of one answer that are made.
pub const MAX_CALLS: usize = 32;
/// The same call with the same result so often: the model is told.
pub const TOLD_AT: usize = 3;
/// The same call with the same result so often: the turn ends.
pub const LOOPING_AT: usize = 5;

/// The steps of a turn, in their order.
#[derive(Debug, Default)]
pub struct History(pub Vec<Step>);

/// A call of a tool that has no result yet.
#[derive(Debug, PartialEq)]
pub struct Pending {
    pub of_step: i32,
    pub index: usize,
    pub call: Call,
}

impl Pending {
    /// The call as the log names it.
    pub fn logged(&self) -> Value {
        json!({
            "of_step": self.of_step, "call": self.index, "name": self.call.name, "arguments": self.call.arguments,
        })
    }
}

impl History {
    /// The last answer of the model.
    pub fn last_answer(&self) -> Option<&Step> {
        let mut answers = self.0.iter().rev();
        answers.find(|step| step.is_model() && step.status == "succeeded")
    }

    /// The next call of the last answer that has no result.
    pub fn pending(&self) -> Option<Pending> {
        let answer = self.last_answer()?;
        let calls = answer.calls.iter().flatten().enumerate();
        let mut open = calls.filter(|(index, _)| {
            self.of_call(answer.number, *index)
                .is_none_or(|step| !step.has_ended())
        });
        open.next().map(|(index, call)| Pending {
            of_step: answer.number,
            index,
            call: call.clone(),
        })
    }

    /// The step of a call.
    pub fn of_call(&self, of_step: i32, index: usize) -> Option<&Step> {
        self.0.iter().find(|step| {
            step.of_step == Some(of_step)
                && step.call.and_then(|call| usize::try_from(call).ok()) == Some(index)
        })
    }

    /// The text with which the turn can end: the last answer asks for nothing more.
    pub fn final_text(&self) -> Option<&str> {
        let answer = self.last_answer()?;
        let asks = answer.calls.as_ref().is_some_and(|calls| !calls.is_empty());
        (!asks).then(|| answer.text.as_deref().unwrap_or_default())
    }

    /// The number of the same calls with the same result, up to a step.
    pub fn repetitions(&self, step: &Step) -> usize {
        let same = self.0.iter().filter(|other| {
            other.number <= step.number
                && other.fingerprint.is_some()
                && other.fingerprint == step.fingerprint
        });
        same.count()
    }

    /// The name of the first tool that told what strangers wrote.
    pub fn tainted_by(&self) -> Option<&str> {
        let mut strange = self.0.iter().filter(|step| step.is_tool() && step.tainted);
        strange.find_map(|step| step.name.as_deref())
    }

    /// Adds a step, or replaces the one with its number.
    pub fn put(&mut self, step: Step) {
        match self.0.iter_mut().find(|one| one.number == step.number) {
            Some(known) => *known = step,
            None => self.0.push(step),
        }
    }

    /// Tells what was done so far, for a turn that ends before its time.
    pub fn account(&self) -> String {
        let said = self.0.iter().filter(|step| step.is_model());
        let said = said.filter_map(|step| step.text.as_deref());
        let mut parts: Vec<String> = said
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
            .collect();
        let calls: Vec<&str> = self
            .0
            .iter()
            .filter(|step| step.is_tool() && step.status == "succeeded")
            .filter_map(|step| step.name.as_deref())
            .collect();
        if !calls.is_empty() {
            parts.push(format!("(Done so far: {}.)", calls.join(", ")));
        }
        parts.join("\n\n")
    }
}

/// What a call and its result have in common with the same one.
pub fn fingerprint(call: &Call, result: &str) -> String {
    let mut digest = Sha256::new();
    for part in [
        call.name.as_bytes(),
        call.arguments.to_string().as_bytes(),
        result.as_bytes(),
    ] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    hex::encode(digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(number: i32, calls: &[&str]) -> Step {
        let calls = calls.iter().map(|name| Call {
            name: (*name).to_owned(),
            arguments: json!({}),
        });
        Step {
            number,
            kind: "model".to_owned(),
            status: "succeeded".to_owned(),
            text: Some("So far.".to_owned()),
            calls: Some(calls.collect()),
            ..Step::default()
        }
    }

    fn result(number: i32, of_step: i32, call: i32, status: &str) -> Step {
        Step {
            number,
            kind: "tool".to_owned(),
            status: status.to_owned(),
            name: Some("search".to_owned()),
            of_step: Some(of_step),
            call: Some(call),
            ..Step::default()
        }
    }

    #[test]
    fn a_turn_goes_on_where_its_steps_end() {
        let mut history = History::default();
        assert_eq!((history.pending(), history.final_text()), (None, None));
        history.put(answer(1, &["a", "b"]));
        assert_eq!(history.pending().map(|one| one.index), Some(0));
        history.put(result(2, 1, 0, "started"));
        assert_eq!(
            history.pending().map(|one| one.index),
            Some(0),
            "it has no result"
        );
        history.put(result(2, 1, 0, "unknown"));
        assert_eq!(history.pending().map(|one| one.index), Some(1));
        history.put(result(3, 1, 1, "succeeded"));
        assert_eq!((history.pending(), history.final_text()), (None, None));
        history.put(answer(4, &[]));
        assert_eq!(
            (history.pending(), history.final_text()),
            (None, Some("So far."))
        );
        assert!(history.account().contains("Done so far: search"));
    }

    #[test]
    fn the_same_call_with_the_same_result_is_counted() {
        let mut history = History::default();
        for number in 1..=4 {
            let mut step = result(number, 1, number, "succeeded");
            step.fingerprint = Some(if number == 2 { "other" } else { "same" }.to_owned());
            history.put(step);
        }
        assert_eq!(history.repetitions(&history.0[3]), 3);
        let call = |name: &str| Call {
            name: name.to_owned(),
            arguments: json!({"a": 1}),
        };
        assert_eq!(fingerprint(&call("a"), "x"), fingerprint(&call("a"), "x"));
        assert_ne!(fingerprint(&call("a"), "x"), fingerprint(&call("b"), "x"));
    }
}
