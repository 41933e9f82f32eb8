//! The two protocols, and the routes on which clients speak them.

use guest::dialect::Dialect;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The protocol of a client or a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// OpenAI's Chat Completions, which most providers speak.
    Openai,
    /// Anthropic's Messages.
    Anthropic,
}

/// The route of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    Chat,
    Messages,
    Embeddings,
}

impl Route {
    /// The protocol that clients speak on this route.
    pub fn protocol(self) -> Protocol {
        match self {
            Self::Chat | Self::Embeddings => Protocol::Openai,
            Self::Messages => Protocol::Anthropic,
        }
    }

    /// The name in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Messages => "messages",
            Self::Embeddings => "embeddings",
        }
    }

    /// The path at a provider, after the version; `None` if the provider's protocol has none.
    pub fn path_at(self, provider: Protocol) -> Option<&'static str> {
        match (self, provider) {
            (Self::Embeddings, Protocol::Openai) => Some("embeddings"),
            (Self::Embeddings, Protocol::Anthropic) => None,
            (_, Protocol::Openai) => Some("chat/completions"),
            (_, Protocol::Anthropic) => Some("messages"),
        }
    }
}

impl Protocol {
    fn dialect(self) -> Dialect {
        match self {
            Self::Openai => Dialect::OpenAi,
            Self::Anthropic => Dialect::Anthropic,
        }
    }

    /// The header in which a key is sent; `sql/llm/key_header.sql` binds secrets to the same.
    pub fn key_header(self) -> &'static str {
        match self {
            Self::Openai => "authorization",
            Self::Anthropic => "x-api-key",
        }
    }

    /// The bytes that keep a silent stream open.
    pub fn ping(self) -> &'static str {
        match self {
            Self::Openai => ": ping\n\n",
            Self::Anthropic => "event: ping\ndata: {\"type\": \"ping\"}\n\n",
        }
    }

    /// The event that tells an error in a stream.
    pub fn error_event(self, status: StatusCode, code: &str, detail: &str) -> Vec<u8> {
        let error = self.dialect().error(status, code, detail);
        match self {
            Self::Openai => format!("data: {error}\n\n"),
            Self::Anthropic => format!("event: error\ndata: {error}\n\n"),
        }
        .into_bytes()
    }
}

/// The address of a path at a provider whose base URL may end with the version, or not.
pub fn address(base: &str, path: &str) -> String {
    let base = base.trim_end_matches('/');
    let has_version = base.rsplit('/').next().is_some_and(|last| {
        let digits = last.strip_prefix('v').unwrap_or_default();
        digits.starts_with(|c: char| c.is_ascii_digit())
    });
    if has_version {
        format!("{base}/{path}")
    } else {
        format!("{base}/v1/{path}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_may_have_a_version() {
        for (base, expected) in [
            ("https://a.example", "https://a.example/v1/models"),
            ("https://a.example/", "https://a.example/v1/models"),
            ("https://a.example/v1", "https://a.example/v1/models"),
            ("https://a.example/v1/", "https://a.example/v1/models"),
            (
                "https://a.example/v1beta",
                "https://a.example/v1beta/models",
            ),
            ("https://a.example/api", "https://a.example/api/v1/models"),
        ] {
            assert_eq!(address(base, "models"), expected);
        }
    }
}
