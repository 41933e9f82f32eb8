//! What follows from the answers to requests: an output, a failure, another attempt later, or doubt.

use pipeline::Retry;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::engine::Engine;
use crate::error;
use crate::outgoing::Answer;
use crate::state::{Effect, More, Status};

/// The attempts that a step has at least while a part of the platform is away: with growing pauses, a quarter of an hour.
const PATIENCE: u32 = 12;

impl Engine {
    /// Records the answer to a request. An answer to a step that was cancelled meanwhile is dropped.
    /// Tells whether it was not.
    pub fn record(&mut self, path: &str, answer: Answer) -> bool {
        let running = self.steps.get(path);
        let Some(step) = running.filter(|step| step.status == Status::Running) else {
            return false;
        };
        let (is_once, attempts) = (step.effect == Effect::Once, step.attempts);
        match answer {
            Answer::Away {
                error,
                after_ms,
                is_unsent,
            } if is_unsent || !is_once => self.wait_out(path, attempts, error, after_ms),
            Answer::Away { .. } => self.lose(path),
            // Nobody was asked for anything but the value, so it may be asked for again.
            Answer::Unknown if step.effect == Effect::Pure => {
                let error = error("timeout", "There was no answer in time, or it broke off.");
                self.wait_out(path, attempts, error, 0);
            }
            // What may be sent again counts as an attempt that has failed.
            Answer::Unknown if !is_once => {
                let error = error("timeout", "There was no answer in time, or it broke off.");
                self.retry(path, attempts, error, 0);
            }
            Answer::Unknown => self.lose(path),
            Answer::Output(output) => self.succeed(path, output, More::default()),
            Answer::OfSkill {
                output,
                fuel,
                receipt,
            } => {
                let spent = self.used.fuel.unwrap_or_default();
                self.used.fuel = Some(spent.saturating_add(fuel));
                let more = More {
                    fuel: Some(fuel),
                    receipt: Some(receipt).filter(|receipt| !receipt.is_null()),
                    ..More::default()
                };
                self.succeed(path, output, more);
            }
            Answer::Failure {
                error,
                retry: false,
                ..
            } => self.fail(path, error),
            Answer::Failure {
                error, after_ms, ..
            } => self.retry(path, attempts, error, after_ms),
        }
        true
    }

    /// Has a failed attempt repeated, if there are attempts left.
    pub(crate) fn retry(&mut self, path: &str, attempts: u32, error: Value, after_ms: u64) {
        let retries = self.node(path).map(|node| node.common.retry.clone());
        match retries.filter(|retries| attempts < retries.attempts && retries.allow(&error)) {
            Some(retries) => self.later(path, attempts, &retries, error, after_ms),
            None => self.fail(path, error),
        }
    }

    /// Has an attempt repeated for which a part of the platform was away, however few attempts the definition allows.
    fn wait_out(&mut self, path: &str, attempts: u32, error: Value, after_ms: u64) {
        let retries = self.node(path).map(|node| node.common.retry.clone());
        let retries = retries.unwrap_or_default();
        if attempts < retries.attempts.max(PATIENCE) {
            self.later(path, attempts, &retries, error, after_ms);
        } else {
            self.fail(path, error);
        }
    }

    fn later(&mut self, path: &str, attempts: u32, retries: &Retry, error: Value, after_ms: u64) {
        let exponent = i32::try_from(attempts.saturating_sub(1)).unwrap_or(i32::MAX);
        let pause =
            retries.first_ms as f64 * retries.factor.powi(exponent) * self.jitter(path, attempts);
        let pause = pause.min(retries.max_ms as f64).max(after_ms as f64);
        let later = More {
            wake_in_ms: Some(pause),
            ..More::default()
        };
        let error = self.told(path, error);
        self.change(path, later, |step| {
            step.status = Status::Retrying;
            step.error = error;
        });
    }

    /// A factor from 0.8 to 1.2 that spreads repetitions, and is the same whenever it is asked for.
    fn jitter(&self, path: &str, attempts: u32) -> f64 {
        let hash = Sha256::digest(format!("{}/{path}/{attempts}", self.run));
        0.8 + f64::from(hash[0]) / 255.0 * 0.4
    }
}
