//! The reasons why an attempt, or a whole call, has no answer.

use guest::Problem;
use http::StatusCode;
use http::header::RETRY_AFTER;

/// Whether the request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// The request itself is wrong, or it was paid for.
    Never,
    /// Another target may answer it; this one would not.
    Elsewhere,
    /// The target may have taken it, and be paid for it.
    Uncertain,
    /// It was certainly not answered.
    Anywhere,
}

/// The reason why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub status: u16,
    pub code: &'static str,
    pub detail: String,
    pub repeat: Repeat,
    /// How it counts against the target: `rate` or `failed`; `None` if it is not the target's own fault.
    pub blame: Option<&'static str>,
    /// The wait that the provider asks for.
    pub retry_after_ms: Option<u64>,
}

impl Fault {
    pub fn new(status: u16, code: &'static str, detail: impl Into<String>, repeat: Repeat) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            repeat,
            blame: None,
            retry_after_ms: None,
        }
    }

    /// The provider answered something that is no answer.
    pub fn garbled(detail: impl Into<String>) -> Self {
        Self::new(502, "provider-failed", detail, Repeat::Elsewhere).blamed("failed")
    }

    /// The provider's answer broke off.
    pub fn broken(detail: impl Into<String>) -> Self {
        Self::new(502, "provider-failed", detail, Repeat::Uncertain).blamed("failed")
    }

    /// The provider said nothing for too long.
    pub fn silent() -> Self {
        let detail = "The provider did not answer in time.";
        Self::new(504, "provider-timeout", detail, Repeat::Uncertain)
    }

    /// Somebody else has ended the call in the ledger, since this function did not say for too long that it is under way.
    pub fn settled() -> Self {
        let detail = "The call was given up, since the server did not get on with it in time.";
        Self::new(503, "call-lost", detail, Repeat::Uncertain)
    }

    /// The target's protocol has no word for a part of the request.
    pub fn unsupported(what: &str) -> Self {
        let detail = format!("The target of this model can't do `{what}`.");
        Self::new(400, "unsupported-parameter", detail, Repeat::Elsewhere)
    }

    pub fn blamed(mut self, kind: &'static str) -> Self {
        self.blame = Some(kind);
        self
    }

    /// The status as HTTP has it.
    pub fn http_status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_GATEWAY)
    }

    /// The fault as an answer's problem.
    pub fn problem(&self) -> Problem {
        let problem = Problem::new(self.http_status(), self.code, self.detail.clone());
        match self.retry_after_ms {
            Some(wait) => {
                problem.retry_after(u32::try_from(wait.div_ceil(1000)).unwrap_or(u32::MAX))
            }
            None => problem,
        }
    }

    /// Whether a client's own repetition can help and pays nothing twice.
    pub fn may_be_asked_again(&self) -> bool {
        self.repeat == Repeat::Anywhere && matches!(self.status, 429 | 503 | 529)
    }
}

/// The fault that a provider's status and error mean.
pub fn of_answer(status: u16, headers: &http::HeaderMap, body: &[u8]) -> Fault {
    let text = message(body);
    let lower = text.to_lowercase();
    let retry_after_ms = retry_after(headers);
    let too_large = lower.contains("context_length")
        || lower.contains("context length")
        || lower.contains("prompt is too long")
        || lower.contains("context window");
    let mut fault = match status {
        400 | 413 | 422 if too_large => Fault::new(400, "context-too-large", text, Repeat::Never),
        400 | 405 | 406 | 409 | 415 | 422 => Fault::new(400, "invalid-input", text, Repeat::Never),
        413 => Fault::new(413, "body-too-large", text, Repeat::Never),
        404 => Fault::new(404, "model-unknown", text, Repeat::Never),
        401..=403 => {
            let detail =
                format!("The provider does not accept the key that is stored for it: {text}");
            Fault::new(502, "provider-failed", detail, Repeat::Elsewhere).blamed("failed")
        }
        429 => Fault::new(429, "provider-rate-limited", text, Repeat::Anywhere).blamed("rate"),
        408 | 504 => Fault::new(504, "provider-timeout", text, Repeat::Uncertain),
        503 | 529 => {
            Fault::new(529, "provider-overloaded", text, Repeat::Anywhere).blamed("failed")
        }
        500..=599 => Fault::new(502, "provider-failed", text, Repeat::Anywhere).blamed("failed"),
        other => Fault::garbled(format!("The provider answered with the status {other}.")),
    };
    if fault.blame.is_some() {
        fault.retry_after_ms = retry_after_ms;
    }
    fault
}

/// The fault that an error object within an answer of 200 means, by its words.
pub fn of_error(error: &serde_json::Value) -> Fault {
    let word = |name: &str| error[name].as_str().unwrap_or_default().to_lowercase();
    let words = format!("{} {}", word("type"), word("code"));
    let status = error["code"].as_u64().or_else(|| error["status"].as_u64());
    let status = match status.and_then(|status| u16::try_from(status).ok()) {
        Some(status) if (400..600).contains(&status) => status,
        _ if words.contains("rate_limit") => 429,
        _ if words.contains("overloaded") => 529,
        _ if words.contains("invalid_request") || words.contains("context_length") => 400,
        _ if words.contains("authentication") || words.contains("permission") => 401,
        _ => 500,
    };
    let body = serde_json::json!({ "error": error }).to_string();
    of_answer(status, &http::HeaderMap::new(), body.as_bytes())
}

/// The words of a provider's error, without anything that looks like a key.
fn message(body: &[u8]) -> String {
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let error = &json["error"];
    let texts = [&error["message"], error, &json["message"], &json["detail"]];
    let said = texts.iter().find_map(|text| text.as_str());
    let code = error["code"].as_str().or_else(|| error["type"].as_str());
    let said = match (said, code) {
        (Some(said), Some(code)) => format!("{said} ({code})"),
        (Some(said), None) => said.to_owned(),
        (None, Some(code)) => code.to_owned(),
        (None, None) => "The provider failed, and did not say why.".to_owned(),
    };
    // PostgreSQL does not store texts with a zero character.
    let said = said.chars().filter(|c| *c != '\0').take(1000);
    without_keys(&said.collect::<String>())
}

/// Replaces what looks like a key: long words of letters and digits, and words with the prefixes of keys.
pub fn without_keys(text: &str) -> String {
    let is_part =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '*' | '.' | '+' | '/' | '=');
    let mut cleaned = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let has_digit = word.contains(|c: char| c.is_ascii_digit());
        let is_key = ["sk-", "gk_", "key-", "pk-"]
            .iter()
            .any(|prefix| word.starts_with(prefix))
            || (word.len() >= 24 && has_digit && !word.contains("://"));
        cleaned.push_str(if is_key { "***" } else { word });
        let next = after.find(is_part).unwrap_or(after.len());
        cleaned.push_str(&after[..next]);
        rest = &after[next..];
    }
    cleaned
}

/// The wait that a provider asks for, in milliseconds: `retry-after-ms`, or `Retry-After` in seconds or as a date.
fn retry_after(headers: &http::HeaderMap) -> Option<u64> {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::trim)
    };
    if let Some(wait) = text("retry-after-ms").and_then(|text| text.parse::<f64>().ok()) {
        return milliseconds(wait);
    }
    let after = text(RETRY_AFTER.as_str())?;
    if let Ok(seconds) = after.parse::<f64>() {
        return milliseconds(seconds * 1000.0);
    }
    let wait = guest::retry_after(headers, time::OffsetDateTime::now_utc().into())?;
    Some(u64::try_from(wait.as_millis()).unwrap_or_default())
}

fn milliseconds(wait: f64) -> Option<u64> {
    (wait.is_finite() && wait >= 0.0).then_some(wait as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_taken_out_of_errors() {
        let key = "sk-proj-aZ9_xyz";
        let told = without_keys(&format!(
            "Incorrect API key provided: {key}. See https://a.example/keys"
        ));
        assert_eq!(
            told,
            "Incorrect API key provided: ***. See https://a.example/keys".replace("***.", "***")
        );
        assert!(!told.contains("aZ9"));
        let long = "abcdefghij0123456789klmnop";
        assert_eq!(
            without_keys(&format!("x-api-key: {long}!")),
            "x-api-key: ***!"
        );
        assert_eq!(
            without_keys("max_completion_tokens is too large: 5"),
            "max_completion_tokens is too large: 5"
        );
    }

    #[test]
    fn a_wait_is_read_in_each_form() {
        let wait = |name: &'static str, value: &str| {
            let mut headers = http::HeaderMap::new();
            headers.insert(name, value.parse().expect("a value"));
            retry_after(&headers)
        };
        assert_eq!(wait("retry-after", "2"), Some(2000));
        assert_eq!(wait("retry-after", "0"), Some(0));
        assert_eq!(wait("retry-after-ms", "1500"), Some(1500));
        assert_eq!(wait("retry-after", "soon"), None);
        assert_eq!(wait("retry-after", "-1"), None);
        assert_eq!(
            wait("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(0)
        );
        assert!(
            wait("retry-after", "Sat, 06 Nov 2094 08:49:37 GMT")
                .is_some_and(|wait| wait > 1_000_000)
        );
    }

    #[test]
    fn an_error_within_a_good_answer_is_read_by_its_words() {
        for (error, status, code) in [
            (
                serde_json::json!({"type": "overloaded_error", "message": "x"}),
                529,
                "provider-overloaded",
            ),
            (
                serde_json::json!({"code": 429, "message": "x"}),
                429,
                "provider-rate-limited",
            ),
            (
                serde_json::json!({"code": null, "message": "x"}),
                502,
                "provider-failed",
            ),
            (serde_json::json!("broken"), 502, "provider-failed"),
        ] {
            let fault = of_error(&error);
            assert_eq!((fault.status, fault.code), (status, code), "{error}");
        }
    }
}
