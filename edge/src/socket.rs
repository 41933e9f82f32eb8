//! Sockets of a single topic: `GET /ws?topic=<topic>` with an access token.

use serde::Deserialize;
use worker::{Env, Fetch, Headers, Method, Request, RequestInit, Response, Result};

use crate::front::pass;
use crate::metrics::count;
use crate::origin;
use crate::problem::ORIGIN_AWAY;
use crate::token::Claims;
use crate::topic;

/// The number of accounts to leave out, above which the origin holds the socket.
const MAX_WITHOUT: usize = 200;

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
    let encoded: String = url::form_urlencoded::byte_serialize(topic.as_bytes()).collect();
    let path = format!("/api/events/access?topic={encoded}");
    let headers = Headers::new();
    for name in ["authorization", "cf-connecting-ip", "user-agent"] {
        if let Some(value) = request.headers().get(name)? {
            let name = if name == "cf-connecting-ip" {
                "x-forwarded-for"
            } else {
                name
            };
            headers.set(name, &value)?;
        }
    }
    let mut init = RequestInit::new();
    init.with_method(Method::Get).with_headers(headers);
    let asked = Request::new_with_init(&format!("{}{path}", origin::url(env)?), &init)?;
    let Ok(mut answer) = Fetch::Request(asked).send().await else {
        count("away");
        return ORIGIN_AWAY.retried(&request, 1);
    };
    if answer.status_code() != 200 {
        count("pass");
        return Ok(answer);
    }
    let access: Access = answer.json().await?;
    if access.without.len() > MAX_WITHOUT {
        return pass(&request, env).await;
    }
    count("socket");
    let reader = topic::Reader {
        account: claims.account.clone(),
        sid: claims.sid.clone(),
        exp: claims.exp,
        without: access.without,
    };
    topic::join(&request, env, topic, &reader, parameter(&request, "since")?).await
}
