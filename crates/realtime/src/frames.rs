//! The frames of a socket, each of which is a JSON object.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

/// The frames that a client sends.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum FromClient {
    /// Signs in, if the upgrade had no credentials.
    Authenticate {
        /// The access token or API key.
        token: String,
    },
    /// Continues with another token of the same account.
    Renew {
        /// The new access token.
        token: String,
    },
    /// Asks for the events of topics.
    Subscribe {
        /// The topics: `channel:<id>`, `account:me`, …
        topics: Vec<String>,
        /// The types of events to send; all if absent. `message.*` stands for all that begin with `message.`.
        types: Option<Vec<String>>,
        /// The position of the client. Events after it come first.
        since: Option<String>,
    },
    /// Ends the events of topics.
    Unsubscribe {
        /// The topics that are meant, as `<kind>:<id>`.
        topics: Vec<String>,
    },
    /// Posts a message to a channel, as `POST /api/channels/{id}/messages` does.
    Post {
        /// The id of the channel.
        channel: Uuid,
        /// The text, as Markdown.
        body: String,
        /// The client's own id of the message, so that it can be sent again.
        client_id: Option<String>,
        /// The client's own id of the frame, which a refusal repeats.
        #[serde(rename = "ref")]
        reference: Option<String>,
    },
    /// Tells that the client's account is typing in a channel.
    Typing {
        /// The id of the channel.
        channel: Uuid,
    },
    /// Tells the presence of the client's account at this socket. The presence of an account is the highest of its sockets.
    Presence {
        /// The presence at this socket.
        state: Presence,
    },
    /// Asks for a `pong`.
    Ping,
}

/// The presence of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// The account is not connected any more.
    Offline,
    /// The account is connected and looks elsewhere.
    Away,
    /// The account looks at the platform.
    Online,
}

/// The frames that the gateway sends besides events.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum FromServer<'a> {
    /// The socket is signed in.
    Authenticated {
        /// The account that the credentials stand for.
        account: Uuid,
        /// The time to wait, in milliseconds, before reconnecting after a lost connection.
        retry_after_ms: u64,
    },
    /// The socket is about to be closed, without a fault of the client.
    Closing {
        /// The time to wait, in milliseconds, before reconnecting, which differs between clients.
        retry_after_ms: u64,
    },
    /// Events of the topic come from `position` on.
    Subscribed {
        /// The topic that was requested.
        topic: &'a str,
        /// The position where the subscription begins, from which it can be resumed.
        position: String,
    },
    /// A part of the topic's history after the client's position is not kept any more. The subscription begins now.
    Gone {
        /// The topic that was requested.
        topic: &'a str,
        /// The position from which everything that is left can be read.
        oldest: String,
    },
    /// The topic does not exist, or the account may not read it (any more).
    Denied {
        /// The topic that was requested.
        topic: &'a str,
    },
    /// The socket continues with the new token.
    Renewed,
    /// Answers a `ping`.
    Pong,
    /// A frame was refused.
    Error {
        /// The code of the problem.
        code: &'a str,
        /// The detail of the problem, with advice.
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<&'a str>,
        /// The client's own id of the refused frame.
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<&'a str>,
    },
}

impl FromServer<'_> {
    /// The text of the frame.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// An event as a frame.
#[derive(Debug, Serialize)]
pub struct EventFrame<'a> {
    /// The type of the event.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// The event's id.
    pub id: Uuid,
    /// The topic of the event.
    pub topic: &'a str,
    /// The position of a reader that has seen the event.
    pub position: &'a str,
    /// The time of the event.
    pub created_at: &'a str,
    /// The object that changed.
    pub data: &'a RawValue,
    /// The account whose words or actions the event shows, for an edge, which leaves it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<Uuid>,
    /// The only accounts that are told of the event, for an edge, which tells nobody else; `None` for all readers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<&'a [Uuid]>,
}

/// The reason why a socket is closed (RFC 6455, section 7.4.2: 4000 and above are for applications).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// The client did not sign in, or the token expired.
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
    /// A frame is not one of RFC 6455, or is compressed without agreement.
    Malformed,
    /// The rights of the account can't be checked at the moment.
    Unavailable,
    /// The gateway stops, and the client may reconnect with `since`.
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

    /// Whether the client is not at fault, and may reconnect.
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
