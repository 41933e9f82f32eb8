//! Sockets of a single topic: `GET /ws?topic=<topic>` with an access token.

use worker::{Env, Headers, Request, Response, Result};

use crate::clock::{now_ms, pause};
use crate::front::pass;
use crate::metrics::count;
use crate::problem::ORIGIN_AWAY;
use crate::token::Claims;
use crate::{access, topic};

/// The times that the origin is asked, if what it said ends before the socket is open.
const QUESTIONS: usize = 4;
/// The assumed difference between this clock and that of a topic which has not told it yet.
const CLOCKS_APART_MS: i64 = 1_000;
/// The topics whose sockets the origin holds: what happens there is on other topics, too.
const OF_THE_ORIGIN: [&str; 2] = ["account:me", "all:all"];

/// The topic of a request for a socket of a single topic.
pub fn topic_of(request: &Request) -> Result<Option<String>> {
    let upgrade = request.headers().get("upgrade")?.unwrap_or_default();
    if request.path() != "/ws" || !upgrade.eq_ignore_ascii_case("websocket") {
        return Ok(None);
    }
    Ok(parameter(request, "topic")?.filter(|topic| !OF_THE_ORIGIN.contains(&&**topic)))
}

fn parameter(request: &Request, name: &str) -> Result<Option<String>> {
    let url = request.url()?;
    let mut pairs = url.query_pairs();
    Ok(pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned())))
}

/// Opens a socket at its topic, if the origin says that the account may read that.
pub async fn open(request: Request, env: &Env, claims: &Claims, topic: &str) -> Result<Response> {
    let since = parameter(&request, "since")?;
    let (mut ahead_ms, mut wait_ms) = (-CLOCKS_APART_MS, 0);
    for _ in 0..QUESTIONS {
        pause(wait_ms).await;
        let asked_at_ms = now_ms().saturating_add_signed(ahead_ms);
        let access = match access::ask(env, topic, of_client(&request)?).await {
            Ok(Ok(access)) => access,
            Ok(Err(refusal)) => {
                count("pass");
                return Ok(refusal);
            }
            Err(_) => break,
        };
        if access.is_for_the_origin() {
            return pass(&request, env).await;
        }
        let reader = topic::Reader {
            account: claims.account.clone(),
            sid: claims.sid.clone(),
            exp: claims.exp,
            access,
            asked_at_ms,
        };
        let mut joined = topic::join(&request, env, topic, &reader, since.as_deref()).await?;
        if joined.status_code() != topic::ASK_AGAIN {
            count("socket");
            return Ok(joined);
        }
        let again: topic::AskAgain = joined.json().await?;
        ahead_ms = again.now_ms.cast_signed() - now_ms().cast_signed();
        wait_ms = again.wait_ms;
    }
    count("away");
    ORIGIN_AWAY.retried(&request, 1)
}

/// The headers by which the origin knows a client.
fn of_client(request: &Request) -> Result<Headers> {
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
    Ok(headers)
}
