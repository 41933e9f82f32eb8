//! Acting for an account: a component of the platform exchanges its service token for the account's access token.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use garde::Validate;
use guest::{Client, Db, Input, Problem, Result, args, required_variable};
use principal::{Granted, grant_to_component, signing_key};
use serde::{Deserialize, Serialize};
use serde_json::json;
use service_token::{EXCHANGE, Verifier};
use utoipa::ToSchema;
use uuid::Uuid;

/// The type of the token that is issued (RFC 8693, section 3).
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// The account that a component wants to act for.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(as = TokenExchange)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// The id of the account.
    #[garde(skip)]
    account: Uuid,
    /// The scopes that the component needs. The token has those of them that the account has now.
    #[garde(length(max = 50), inner(length(min = 1, max = 100)))]
    #[schema(example = json!(["llm:call"]), max_items = 50)]
    scopes: Vec<String>,
    /// The server that the token is for; this one, if it is given at all.
    #[garde(skip)]
    audience: Option<String>,
}

/// An access token for an account, for a component that acts for it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExchangedToken)]
pub struct Exchanged {
    /// The access token, whose claim `act` names the component.
    access_token: String,
    /// The type of the issued token, always `urn:ietf:params:oauth:token-type:access_token`.
    issued_token_type: &'static str,
    /// The way to present the token, always `Bearer`.
    token_type: &'static str,
    /// The lifetime of the token, in seconds.
    expires_in: u64,
    /// The scopes of the token, separated by spaces.
    scope: String,
}

/// A component that may act for accounts.
#[derive(Debug, Deserialize)]
struct Caller {
    key: String,
    /// The scopes that it may ask for.
    scopes: Vec<String>,
}

/// The components that may act for accounts, as the manifest says.
struct Callers {
    verifier: Verifier,
    scopes: BTreeMap<String, Vec<String>>,
}

thread_local! {
    static CALLERS: RefCell<Option<Arc<Callers>>> = const { RefCell::new(None) };
}

async fn callers() -> Result<Arc<Callers>> {
    if let Some(known) = CALLERS.with_borrow(Clone::clone) {
        return Ok(known);
    }
    let text = required_variable("exchange_callers").await?;
    let given: BTreeMap<String, Caller> = serde_json::from_str(&text).map_err(|_| {
        Problem::internal("the variable `exchange_callers` is not what `gather` makes")
    })?;
    let keys = given.iter();
    let keys = keys.map(|(name, caller)| (name.as_str(), caller.key.as_str()));
    let verifier = Verifier::new(EXCHANGE, keys);
    let scopes = given
        .into_iter()
        .map(|(name, caller)| (name, caller.scopes));
    let scopes = scopes.collect();
    let callers = Arc::new(Callers { verifier, scopes });
    CALLERS.set(Some(callers.clone()));
    Ok(callers)
}

#[derive(Debug, Deserialize)]
struct Outcome {
    refused: Option<String>,
}

/// Exchanges a service token for an access token of an account (RFC 8693), for five minutes.
///
/// Only components of the platform can: `Authorization` has a service token, and the manifest says which scopes each may
/// ask for. The token has no more scopes than the account has now, and ends with the account's rights. The audit trail
/// names the component and the account.
#[utoipa::path(
    post, path = "/api/tokens/exchange", tag = "authentication", operation_id = "exchange_token", request_body = Exchange,
    responses(
        (status = 200, body = Exchanged),
        (status = 401, description = "`unauthenticated`: there is no valid service token"),
        (status = 403, description = "`forbidden`: the component may not ask for one of the scopes; `account-suspended`"),
        (status = 404, description = "`not-found`: the account"),
        (status = 422, description = "`invalid-input`"),
    ),
    extensions(("x-rate-limit" = json!("relaxed")))
)]
pub async fn exchange(
    db: Db,
    client: Client,
    headers: HeaderMap,
    Input(given): Input<Exchange>,
) -> Result<Json<Exchanged>> {
    let callers = callers().await?;
    let token = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.strip_prefix("Bearer "));
    let issuer = token.and_then(|token| callers.verifier.issuer(token));
    let issuer = issuer.ok_or_else(Problem::unauthenticated)?;
    let server = required_variable("public_url").await?;
    if given.audience.is_some_and(|audience| *audience != *server) {
        return Err(Problem::invalid(
            "audience",
            "must be this server's own address",
        ));
    }
    let allowed = callers
        .scopes
        .get(&issuer.component)
        .map_or(&[][..], Vec::as_slice);
    if let Some(scope) = given.scopes.iter().find(|scope| !allowed.contains(scope)) {
        return Err(Problem::forbidden(format!(
            "The component may not ask for the scope `{}`; `exchange` in its manifest says for which it may.",
            scope.chars().take(50).collect::<String>()
        )));
    }
    let granted: Option<Granted> = db
        .optional(
            "select g.* from identity.exchange($1, $2, $3, $4, $5) g",
            args![
                given.account,
                issuer.component.clone(),
                given.scopes,
                json!(client),
                signing_key::remembered_kid()
            ],
        )
        .await?;
    let Some(granted) = granted else {
        return Err(refusal(&db, given.account).await?);
    };
    let scope = granted.scope().to_owned();
    let (access_token, expires_in) = grant_to_component(&db, granted, &issuer.component).await?;
    Ok(Json(Exchanged {
        access_token,
        issued_token_type: ACCESS_TOKEN,
        token_type: "Bearer",
        expires_in,
        scope,
    }))
}

/// The reason why there is no token for an account.
async fn refusal(db: &Db, account: Uuid) -> Result<Problem> {
    let outcome: Option<Outcome> = db
        .optional(
            "select a.status as refused from identity.account a where a.id = $1",
            args![account],
        )
        .await?;
    let status = outcome.and_then(|outcome| outcome.refused);
    Ok(match status.as_deref() {
        None | Some("deleted") => Problem::not_found("account"),
        Some(_) => Problem::new(
            StatusCode::FORBIDDEN,
            "account-suspended",
            "Nobody can act for an account that is suspended.",
        ),
    })
}
