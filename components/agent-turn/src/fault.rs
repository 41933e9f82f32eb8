//! The reason why a model has not answered, and what follows from it.

use std::time::{Duration, SystemTime};

use axum::body::Body;
use http::Response;
use http_body_util::{BodyExt, Limited};
use serde_json::Value;

/// The longest wait that the gateway or a provider may ask for: whoever wants more is asked again soon, in vain or not.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The largest error that is read.
const MAX_ERROR_BYTES: usize = 64 << 10;

/// The reason why there is no answer.
#[derive(Debug, Default)]
pub struct Fault {
    /// The code of the error, as the gateway says it.
    pub code: String,
    pub detail: String,
    /// The words that were said until then.
    pub partial: String,
    /// The time after which the gateway wants to be asked again.
    retry_after: Option<Duration>,
}

impl Fault {
    pub fn new(code: &str, detail: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            detail: detail.into(),
            ..Self::default()
        }
    }

    /// Whether those who pay have as many calls as they may have at the moment: that passes, and is nobody's failure.
    pub fn passes(&self) -> bool {
        self.code == "rate-limited"
    }

    /// The time before the model is asked again: what the gateway says, unless that is too long, but not less than this.
    pub fn pause(&self, least: Duration) -> Duration {
        let wanted = self.retry_after.filter(|wait| *wait <= LONGEST_WAIT);
        wanted.map_or(least, |wait| wait.max(least))
    }

    /// The status and the reason of a turn that ends with it; `None` if the model may be asked again.
    pub fn ends(&self) -> Option<(&'static str, &'static str)> {
        match self.code.as_str() {
            "no-provider-configured" => Some(("failed", "no-provider-configured")),
            "budget-exhausted" => Some(("limited", "budget")),
            "context-too-large" | "body-too-large" => Some(("failed", "context-too-large")),
            "invalid-input"
            | "model-unknown"
            | "unsupported-parameter"
            | "price-unknown"
            | "insufficient-scope"
            | "payer-refused" => Some(("failed", "provider-failed")),
            _ => None,
        }
    }
}

/// The fault that an answer tells of.
pub async fn refusal(answer: Response<Body>) -> Fault {
    let status = answer.status().as_u16();
    let retry_after = guest::retry_after(answer.headers(), SystemTime::now());
    let body = Limited::new(answer.into_body(), MAX_ERROR_BYTES);
    let body = body.collect().await.map(|body| body.to_bytes());
    let body: Value = serde_json::from_slice(&body.unwrap_or_default()).unwrap_or_default();
    Fault {
        retry_after,
        ..error_of(&body["error"], status)
    }
}

/// The fault of an error in OpenAI's form.
pub fn error_of(error: &Value, status: u16) -> Fault {
    let detail = error["message"]
        .as_str()
        .unwrap_or("The gateway gave no reason.");
    let code = error["code"].as_str().unwrap_or(if status == 402 {
        "budget-exhausted"
    } else {
        "provider-failed"
    });
    Fault::new(code, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_as_long_as_the_gateway_says_within_bounds() {
        let fault = |seconds: u64| Fault {
            retry_after: Some(Duration::from_secs(seconds)),
            ..Fault::new("provider-rate-limited", "Not now.")
        };
        let least = Duration::from_secs(2);
        for (wanted, pause) in [(0, 2), (7, 7), (60, 60), (600, 2)] {
            assert_eq!(fault(wanted).pause(least), Duration::from_secs(pause));
        }
        assert_eq!(Fault::new("unavailable", "").pause(least), least);
    }
}
