//! The way out for secrets: a service of the platform that puts a secret into a request, sends it, and takes the secret
//! out of the answer. Functions reach it over HTTP at the variable `egress_url`, with a short-lived token made from
//! `egress_key`.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Request, Response, Uri};
use serde::Deserialize;
use serde_json::json;
use service_token::{EGRESS, OnBehalf};
use uuid::Uuid;

use crate::{Problem, Result, fetch, fetch_whole, limit_silence, required_variable, service};

/// The header of an answer that has the code of a refusal by the way out itself. No answer of a target has it.
pub const REFUSED: HeaderName = HeaderName::from_static("gather-egress");
/// The header of an answer that has the version of the secret that was put in.
pub const SECRET_VERSION: HeaderName = HeaderName::from_static("gather-secret-version");

/// The time that the way out may take longer than what it waits for.
const MARGIN: Duration = Duration::from_secs(5);
/// The longest time until secrets are handed over.
const HANDED_WITHIN: Duration = Duration::from_secs(10);
/// The largest answer with secrets: fifty of the largest.
const MAX_HANDED_BYTES: usize = 8 << 20;

/// A client of the way out for the component with this id, such as `vault`.
#[derive(Debug, Clone, Copy)]
pub struct Egress(pub &'static str);

/// A request for the way out.
#[derive(Debug, Clone)]
pub struct Forward<'a> {
    /// The address, which is sent byte for byte.
    pub target: &'a str,
    /// The account on whose behalf it is sent; `None` for the platform itself.
    pub account: Option<Uuid>,
    /// What acts for the account, such as `claw:<id>`.
    pub subjects: Vec<String>,
    /// The id of the secret that is put in, if one is.
    pub secret: Option<Uuid>,
    /// The version of the secret; `None` for the current one.
    pub version: Option<u32>,
    /// The longest time until the head of the answer.
    pub head_within: Duration,
    /// The longest silence within the answer.
    pub silence: Duration,
    /// The longest time of the whole answer, at most an hour. The way out keeps it even if nobody reads any more.
    pub whole: Duration,
}

impl Egress {
    /// Sends a request, whose address is replaced by the target's, and returns the answer as it arrives. A refusal of the
    /// way out has the header [`REFUSED`].
    ///
    /// # Errors
    /// 503 `egress-unavailable` if the way out can't be reached.
    pub async fn forward(
        self,
        forward: Forward<'_>,
        mut request: Request<Body>,
    ) -> Result<Response<Body>> {
        let url = required_variable("egress_url").await?;
        let uri: Uri = format!("{url}/forward")
            .parse()
            .map_err(Problem::internal)?;
        *request.uri_mut() = uri;
        let on_behalf = OnBehalf {
            account: forward.account,
            subjects: forward.subjects,
        };
        let token = service::token_for(self.0, EGRESS, "egress_key", &on_behalf).await?;
        let target = HeaderValue::try_from(forward.target)
            .map_err(|_| Problem::invalid("target", "must be an address of the web"))?;
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, token);
        headers.insert("gather-target", target);
        headers.insert("gather-timeout-ms", milliseconds(forward.head_within));
        headers.insert("gather-idle-ms", milliseconds(forward.silence));
        headers.insert("gather-total-ms", milliseconds(forward.whole));
        headers.remove("gather-secret");
        if let Some(secret) = forward.secret {
            let version = forward.version.map(|version| format!("@{version}"));
            let named = format!("{secret}{}", version.unwrap_or_default());
            let named = HeaderValue::try_from(named).map_err(Problem::internal)?;
            headers.insert("gather-secret", named);
        }
        limit_silence(
            &mut request,
            forward.head_within.max(forward.silence) + MARGIN,
        );
        fetch(request).await.map_err(|error| unavailable(&error))
    }

    /// Takes those of the secrets of a claw that are handed to its program, within the owner's right and the claw's grants.
    /// A secret that is put into requests instead is in neither list.
    ///
    /// # Errors
    /// 503 `egress-unavailable` if the way out can't be reached.
    pub async fn hand(self, owner: Uuid, claw: Uuid, secrets: &[Uuid]) -> Result<Handed> {
        let url = required_variable("egress_url").await?;
        let on_behalf = OnBehalf {
            account: Some(owner),
            subjects: vec![format!("claw:{claw}")],
        };
        let token = service::token_for(self.0, EGRESS, "egress_key", &on_behalf).await?;
        let mut request = Request::post(format!("{url}/hand"))
            .header(AUTHORIZATION, token)
            .body(Body::from(json!({"secrets": secrets}).to_string()))
            .map_err(Problem::internal)?;
        limit_silence(&mut request, HANDED_WITHIN);
        let answer = fetch_whole(request, MAX_HANDED_BYTES).await;
        let answer = answer.map_err(|error| unavailable(&error))?;
        if !answer.status().is_success() {
            return Err(unavailable(&answer.status()));
        }
        serde_json::from_slice(answer.body()).map_err(|_| unavailable(&"its answer can't be read"))
    }
}

/// The values of the secrets of a claw that are handed to its program, by the ids of the secrets.
#[derive(Deserialize)]
pub struct Handed {
    /// The values that the program is given.
    pub values: BTreeMap<Uuid, String>,
    /// The problem codes of those that are refused.
    pub refused: BTreeMap<Uuid, String>,
}

fn unavailable(cause: &dyn std::fmt::Display) -> Problem {
    crate::error!("egress unavailable", cause = cause.to_string());
    Problem::unavailable(
        "egress-unavailable",
        "The way out for secrets can't be reached at the moment.",
        1,
    )
}

fn milliseconds(time: Duration) -> HeaderValue {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).into()
}
