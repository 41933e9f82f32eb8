//! Sockets of a single topic: `GET /ws?topic=<topic>` with an access token.

use serde::Deserialize;
use worker::{Env, Headers, Method, Request, RequestInit, Response, Result};

use crate::clock::{now_ms, pause};
use crate::front::pass;
use crate::metrics::count;
use crate::origin;
use crate::problem::ORIGIN_AWAY;
use crate::token::Claims;
use crate::topic;

/// The number of accounts to leave out, above which the origin holds the socket.
const MAX_WITHOUT: usize = 200;
/// The times that the origin is asked, if what it said ends before the socket is open.
const QUESTIONS: usize = 3;
/// The pause before it is asked again, so that it has learned of that by the last time.
const PAUSE_MS: u64 = 1_000;
/// The time that the origin has to say who may read a topic.
const PATIENCE_MS: u64 = 10_000;

/// The right to read a topic, as the origin says.
#[derive(Deserialize)]
struct Access {
    #[serde(default)]
    without: Vec<String>,
}

/// The topic of a request for a socket of a single topic.
pub fn topic_of(request: &Request) -> Result<Option<String>> {
    let upgrade = request.headers().get("upgrade")?.unwrap_or_default();
    if request.path() != "/ws" || !upgrade.eq_ignore_ascii_case("websocket") {
        return Ok(None);
    }
    Ok(parameter(request, "topic")?.filter(|topic| topic != "account:me"))
}

fn parameter(request: &Request, name: &str) -> Result<Option<String>> {
    let url = request.url()?;
    let mut pairs = url.query_pairs();
    Ok(pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned())))
}

/// Opens a socket at its topic, if the origin says that the account may read that.
pub async fn open(request: Request, env: &Env, claims: &Claims, topic: &str) -> Result<Response> {
    let since = parameter(&request, "since")?;
    for number in 0..QUESTIONS {
        if number > 0 {
            pause(PAUSE_MS).await;
        }
        let asked_at_ms = now_ms();
        let asked = question(&request, env, topic)?;
        let Ok(mut answer) = origin::send_within(asked, PATIENCE_MS).await else {
            break;
        };
        if answer.status_code() != 200 {
            count("pass");
            return Ok(answer);
        }
        let access: Access = answer.json().await?;
        if access.without.len() > MAX_WITHOUT {
            return pass(&request, env).await;
        }
        let reader = topic::Reader {
            account: claims.account.clone(),
            sid: claims.sid.clone(),
            exp: claims.exp,
            without: access.without,
            asked_at_ms,
        };
        let joined = topic::join(&request, env, topic, &reader, since.as_deref()).await?;
        if joined.status_code() != topic::ASK_AGAIN {
            count("socket");
            return Ok(joined);
        }
    }
    count("away");
    ORIGIN_AWAY.retried(&request, 1)
}

/// The question whether a client may read a topic.
fn question(request: &Request, env: &Env, topic: &str) -> Result<Request> {
    let encoded: String = url::form_urlencoded::byte_serialize(topic.as_bytes()).collect();
    let headers = Headers::new();
    for (from, to) in [
        ("authorization", "authorization"),
        ("cf-connecting-ip", "x-forwarded-for"),
        ("user-agent", "user-agent"),
    ] {
        if let Some(value) = request.headers().get(from)? {
            headers.set(to, &value)?;
        }
    }
    let mut init = RequestInit::new();
    init.with_method(Method::Get).with_headers(headers);
    let address = format!("{}/api/events/access?topic={encoded}", origin::url(env)?);
    Request::new_with_init(&address, &init)
}
