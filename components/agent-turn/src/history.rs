//! The steps of a turn so far, and what follows from them: the state of a turn is its steps.

use std::collections::BTreeSet;

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

    /// The calls of the same answer after one of them, up to the first that has a step.
    pub fn next_after(&self, pending: &Pending) -> impl Iterator<Item = Pending> {
        let answer = self.last_answer();
        let calls = answer.and_then(|answer| answer.calls.as_ref());
        let calls = calls.into_iter().flatten().enumerate();
        let (of_step, at) = (pending.of_step, pending.index);
        calls
            .skip(at + 1)
            .take_while(move |(index, _)| self.of_call(of_step, *index).is_none())
            .map(move |(index, call)| Pending {
                of_step,
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

    /// The number of answers, up to a step, that asked for the same call and got the same result. What one answer asks for
    /// twice counts once: the model has not been told yet.
    pub fn repetitions(&self, step: &Step) -> usize {
        let same = self.0.iter().filter(|other| {
            other.number <= step.number
                && other.fingerprint.is_some()
                && other.fingerprint == step.fingerprint
        });
        same.map(|other| other.of_step)
            .collect::<BTreeSet<_>>()
            .len()
    }

    /// Whether the last answer asked for a call whose result has been the same too often. One that is refused does no harm
    /// beside others that go on.
    pub fn is_looping(&self) -> bool {
        let last = self.last_answer().map(|answer| answer.number);
        let results = self.0.iter().filter(|step| step.of_step == last);
        let results: Vec<&Step> = results.filter(|step| step.is_tool()).collect();
        let is_same = |step: &&Step| self.repetitions(step) >= LOOPING_AT;
        let is_alone =
            self.pending().is_none() && results.iter().all(|step| step.begun_at.is_none());
        results
            .iter()
            .any(|step| is_same(step) && (is_alone || step.begun_at.is_some()))
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
        let calls = |is_done: bool| {
            let tools = self.0.iter().filter(|step| step.is_tool());
            let calls = tools.filter(|step| (step.status == "succeeded") == is_done);
            let names: Vec<&str> = calls.filter_map(|step| step.name.as_deref()).collect();
            names.join(", ")
        };
        match (calls(true), calls(false)) {
            (done, _) if !done.is_empty() => parts.push(format!("(Done so far: {done}.)")),
            (_, tried) if !tried.is_empty() => {
                parts.push(format!("(Tried without success: {tried}.)"));
            }
            _ => {}
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
            history.put(answer(2 * number - 1, &["search"]));
            let mut step = result(2 * number, 2 * number - 1, 0, "succeeded");
            step.fingerprint = Some(if number == 2 { "other" } else { "same" }.to_owned());
            history.put(step);
        }
        assert_eq!(history.repetitions(&history.0[7]), 3);
        assert!(!history.is_looping());
        for number in 9..=10 {
            let mut step = result(number, 7, number, "failed");
            step.fingerprint = Some("same".to_owned());
            history.put(step);
        }
        assert_eq!(history.repetitions(&history.0[9]), 3, "of one answer");
        for number in [11, 13] {
            history.put(answer(number, &["search"]));
            let mut step = result(number + 1, number, 0, "failed");
            step.fingerprint = Some("same".to_owned());
            history.put(step);
        }
        assert!(history.is_looping());
        let mut other = result(15, 13, 1, "succeeded");
        other.begun_at = Some(String::new());
        history.put(other);
        assert!(!history.is_looping(), "another call goes on");
        let call = |name: &str| Call {
            name: name.to_owned(),
            arguments: json!({"a": 1}),
        };
        assert_eq!(fingerprint(&call("a"), "x"), fingerprint(&call("a"), "x"));
        assert_ne!(fingerprint(&call("a"), "x"), fingerprint(&call("b"), "x"));
    }
}
