//! Signing in with a passkey.

use axum::Json;
use axum::http::StatusCode;
use axum::response::Response;
use garde::Validate;
use guest::{Client, Db, Input, Problem, Result, args};
use principal::{seal, signing_key};
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;
use webauthn_rp::bin::{Decode, Encode};
use webauthn_rp::request::TimedCeremony;
use webauthn_rp::request::auth::AuthenticationVerificationOptions;
use webauthn_rp::response::register::{DynamicState, StaticState};
use webauthn_rp::{
    AuthenticatedCredential, DiscoverableAuthentication, DiscoverableAuthenticationServerState,
    DiscoverableCredentialRequestOptions,
};

use crate::ceremony::{
    Ceremony, HANDLE_BYTES, Site, handle, is_backed_up, json_of, open_state, seal_state, unreadable,
};
use crate::sign_in::{NewSession, SignedIn};

/// What a state is sealed for, where it is not for an account.
const SIGN_IN: &[u8] = b"sign-in";

/// What the browser signed.
#[derive(Deserialize, Validate, ToSchema)]
pub struct Assertion {
    /// As it was given.
    #[garde(skip)]
    state: String,
    /// `credential.toJSON()`
    #[garde(skip)]
    #[schema(value_type = Object)]
    credential: Value,
}

/// Begins to sign in with a passkey: what `navigator.credentials.get` needs. It is the same for everybody.
#[utoipa::path(
    post, path = "/api/sessions/passkey/options", tag = "sessions",
    responses((status = 200, body = Ceremony), (status = 404, description = "`passkeys-unavailable`")),
    extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn begin_passkey_sign_in() -> Result<Json<Ceremony>> {
    let site = Site::ours().await?;
    let ceremony = DiscoverableCredentialRequestOptions::passkey(&site.id);
    let (server, browser) = ceremony.start_ceremony().map_err(Problem::internal)?;
    let state = server.encode().map_err(Problem::internal)?;
    Ok(Json(Ceremony {
        options: serde_json::to_value(&browser).map_err(Problem::internal)?,
        state: seal_state(SIGN_IN, &state).await?,
    }))
}

/// Signs a person in with a passkey. No second factor is asked for: the device has checked who uses it.
///
/// 401 `authentication-failed` is the same whatever was wrong.
#[utoipa::path(
    post, path = "/api/sessions/passkey", tag = "sessions", request_body = Assertion,
    responses(
        (status = 200, body = SignedIn, headers(("Set-Cookie" = String))),
        (status = 401, description = "`authentication-failed`"),
        (status = 404, description = "`passkeys-unavailable`"),
        (status = 422, description = "`invalid-input`: the credential is none"),
    ),
    extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn sign_in_with_passkey(
    db: Db,
    client: Client,
    Input(given): Input<Assertion>,
) -> Result<Response> {
    let site = Site::ours().await?;
    let response = json_of(&given.credential)?;
    let response = DiscoverableAuthentication::<HANDLE_BYTES>::from_json_relaxed(&response)
        .map_err(unreadable)?;
    let verified = match open_state(SIGN_IN, &given.state).await? {
        Some(state) => verify(&db, &site, &state, &response).await?,
        None => Err(None),
    };
    let verified = match verified {
        Ok(verified) => verified,
        Err(account) => {
            db.execute(
                "select audit.record(null, 'session.refused', $1, false, $2, $3, $4)",
                args![
                    account.map(|account: Uuid| account.to_string()),
                    &client.address,
                    &client.request_id,
                    json!({ "method": "passkey" })
                ],
            )
            .await?;
            return Err(failed());
        }
    };
    let session = NewSession::of(client);
    let granted = db
        .optional(
            "select g.* from identity.sign_in_with_passkey($1, $2, $3, $4, $5, $6::text::timestamptz, $7, $8, $9) g",
            args![
                verified.passkey,
                verified.former,
                verified.changing.encode().map_err(Problem::internal)?,
                is_backed_up(verified.changing),
                verified.nonce,
                verified.expires,
                session.refresh.hash(),
                json!(session.client),
                signing_key::remembered_kid()
            ],
        )
        .await?;
    session.answer(&db, granted.ok_or_else(failed)?).await
}

/// A passkey whose signature over our challenge is good.
struct Verified {
    passkey: Uuid,
    former: Vec<u8>,
    changing: DynamicState,
    nonce: [u8; 16],
    expires: OffsetDateTime,
}

/// On refusal, names the account that the passkey claims to belong to, if there is one.
async fn verify(
    db: &Db,
    site: &Site,
    state: &[u8],
    response: &DiscoverableAuthentication<HANDLE_BYTES>,
) -> Result<std::result::Result<Verified, Option<Uuid>>> {
    #[derive(Deserialize)]
    struct Row {
        id: Uuid,
        account_id: Uuid,
        fixed: String,
        changing: String,
    }
    let Ok(server) = DiscoverableAuthenticationServerState::decode(state) else {
        return Ok(Err(None));
    };
    let found: Option<Row> = db
        .optional(
            "select id, account_id, encode(static_state, 'base64') as fixed, encode(dynamic_state, 'base64') as changing
             from identity.passkey where credential_id = $1",
            args![response.raw_id().as_ref()],
        )
        .await?;
    let Some(found) = found else {
        return Ok(Err(None));
    };
    let former = seal::decode(&found.changing)?;
    let changing = former.as_slice().try_into().map_err(Problem::internal)?;
    let handle = handle(found.account_id);
    let mut credential = AuthenticatedCredential::new(
        response.raw_id(),
        &handle,
        StaticState::decode(&seal::decode(&found.fixed)?).map_err(Problem::internal)?,
        DynamicState::decode(changing).map_err(Problem::internal)?,
    )
    .map_err(Problem::internal)?;
    let (nonce, expires) = (server.sent_challenge().0, server.expiration());
    let options = AuthenticationVerificationOptions::<&str, &str> {
        allowed_origins: &[&site.origin],
        error_on_unsolicited_extensions: false,
        ..AuthenticationVerificationOptions::default()
    };
    if let Err(error) = server.verify(&site.id, response, &mut credential, &options) {
        guest::info!("a passkey was refused", cause = error.to_string());
        return Ok(Err(Some(found.account_id)));
    }
    Ok(Ok(Verified {
        passkey: found.id,
        former,
        changing: credential.dynamic_state(),
        nonce: nonce.to_be_bytes(),
        expires: OffsetDateTime::from(expires),
    }))
}

fn failed() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "authentication-failed",
        "The passkey was not accepted, or it took too long. Begin again.",
    )
}
