//! What travels over a socket: one JSON object a frame.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

/// What a client sends.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum FromClient {
    /// Signs in, where the upgrade carried no credentials.
    Authenticate {
        /// An access token or an API key.
        token: String,
    },
    /// Goes on with another token of the same account.
    Renew {
        /// The new access token.
        token: String,
    },
    /// Asks for the events of topics.
    Subscribe {
        /// The topics: `channel:<id>`, `account:me`, …
        topics: Vec<String>,
        /// Only events of these types; all where absent. `message.*` stands for all that begin with `message.`.
        types: Option<Vec<String>>,
        /// Where the client stands: events after that position come first.
        since: Option<String>,
    },
    /// Asks for no more events of topics.
    Unsubscribe {
        /// The topics that are meant, as `<kind>:<id>`.
        topics: Vec<String>,
    },
    /// Posts a message to a channel, as `POST /api/channels/{id}/messages` does.
    Post {
        /// The id of the channel that it is about.
        channel: Uuid,
        /// The text, as Markdown.
        body: String,
        /// The client's own id of the message, so that it can be sent again.
        client_id: Option<String>,
        /// Comes back with a refusal.
        #[serde(rename = "ref")]
        reference: Option<String>,
    },
    /// Says that the client's account is typing in a channel.
    Typing {
        /// The id of the channel that it is about.
        channel: Uuid,
    },
    /// Says whether somebody is there at this socket. An account is as present as the most present of its sockets.
    Presence {
        /// Whether somebody is there.
        state: Presence,
    },
    /// Asks for a `pong`.
    Ping,
}

/// Whether somebody is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// Is not connected any more.
    Offline,
    /// Is connected and looks elsewhere.
    Away,
    /// Looks at the platform.
    Online,
}

/// What the gateway sends beside events.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum FromServer<'a> {
    /// The socket is signed in.
    Authenticated {
        /// The account that the credentials stand for.
        account: Uuid,
        /// How long to wait, in milliseconds, before coming back where the connection is lost.
        retry_after_ms: u64,
    },
    /// The socket is closed next, for no fault of the client's.
    Closing {
        /// How long to wait, in milliseconds, before coming back: not all at once.
        retry_after_ms: u64,
    },
    /// Events of the topic come from `position` on.
    Subscribed {
        /// The topic that was asked for.
        topic: &'a str,
        /// Where the subscription begins; it resumes there.
        position: String,
    },
    /// A part of the topic's history after the client's position is not kept any more. The subscription begins now.
    Gone {
        /// The topic that was asked for.
        topic: &'a str,
        /// The position from which everything that is left can be read.
        oldest: String,
    },
    /// There is no such topic, or the account may not read it, or not any more.
    Denied {
        /// The topic that was asked for.
        topic: &'a str,
    },
    /// The socket goes on with the new token.
    Renewed,
    /// Answers a `ping`.
    Pong,
    /// A frame was refused.
    Error {
        /// What is wrong with it: a problem's code.
        code: &'a str,
        /// What to do about it.
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<&'a str>,
        /// The refused frame's own.
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<&'a str>,
    },
}

impl FromServer<'_> {
    /// The frame's text.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// An event as a frame.
#[derive(Debug, Serialize)]
pub struct EventFrame<'a> {
    /// What happened.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// The event's id.
    pub id: Uuid,
    /// The topic that it is told on.
    pub topic: &'a str,
    /// Where a reader stands that has seen it.
    pub position: &'a str,
    /// When it happened.
    pub created_at: &'a str,
    /// The object that changed.
    pub data: &'a RawValue,
}

/// Why a socket is closed (RFC 6455, section 7.4.2: 4000 and above are the application's own).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// Nobody signed in, or the token ended.
    NotSignedIn,
    /// The client reads more slowly than events come.
    TooSlow,
    /// The account has too many sockets.
    TooMany,
    /// A frame is larger than 64 KiB.
    TooLarge,
    /// A frame is not text.
    NotText,
    /// A text is not UTF-8.
    NotUtf8,
    /// What came is no frame of RFC 6455, or is compressed, which was not agreed.
    Malformed,
    /// Who may read what can't be told at the moment.
    Unavailable,
    /// The gateway stops: come back with `since`.
    GoingAway,
}

impl Close {
    /// The close code.
    pub fn code(self) -> u16 {
        match self {
            Self::NotSignedIn => 4401,
            Self::TooSlow => 4408,
            Self::TooMany => 4409,
            Self::TooLarge => 4413,
            Self::NotText => 1003,
            Self::NotUtf8 => 1007,
            Self::Malformed => 1002,
            Self::Unavailable => 1013,
            Self::GoingAway => 1001,
        }
    }

    /// Whether the client did nothing wrong, and is to come back.
    pub fn invites_back(self) -> bool {
        matches!(self, Self::TooSlow | Self::Unavailable | Self::GoingAway)
    }

    /// The reason in words.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotSignedIn => "sign in with a token that is valid",
            Self::TooSlow => "events came faster than they were read; come back with `since`",
            Self::TooMany => "this account has too many sockets",
            Self::TooLarge => "a frame may have 64 KiB",
            Self::NotText => "frames are JSON text",
            Self::NotUtf8 => "text is UTF-8",
            Self::Malformed => "a frame as RFC 6455 has it, uncompressed",
            Self::Unavailable => "rights can't be looked up; come back with `since`",
            Self::GoingAway => "the server stops; come back with `since`",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_read_as_documented() {
        let frame = |text: &str| serde_json::from_str::<FromClient>(text);
        assert!(matches!(frame(r#"{"type":"ping"}"#), Ok(FromClient::Ping)));
        let subscribe = frame(r#"{"type":"subscribe","topics":["account:me"],"since":"x"}"#);
        assert!(matches!(
            subscribe,
            Ok(FromClient::Subscribe { types: None, .. })
        ));
        let post = frame(
            r#"{"type":"post","channel":"01890000-0000-7000-8000-000000000000","body":"a","client_id":"c","ref":"r"}"#,
        );
        assert!(matches!(post, Ok(FromClient::Post { .. })));
        assert!(frame(r#"{"type":"nothing"}"#).is_err());
        assert!(frame("[]").is_err());
    }

    #[test]
    fn answers_are_flat_objects() {
        let denied = FromServer::Denied { topic: "job:x" };
        assert_eq!(denied.text(), r#"{"type":"denied","topic":"job:x"}"#);
        let error = FromServer::Error {
            code: "not-found",
            detail: None,
            reference: Some("7"),
        };
        assert_eq!(
            error.text(),
            r#"{"type":"error","code":"not-found","ref":"7"}"#
        );
    }
}
