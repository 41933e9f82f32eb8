//! Passkeys (Web Authentication, level 3): a device signs in for its owner, after it has checked that it is them.
//!
//! A ceremony has two requests. The first gives what the browser's API wants, and `state`, which comes back with the
//! second; it is sealed, so nothing is stored until a challenge is used.

use axum::Json;
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{
    Caller, Client, Created, Db, Input, Items, Page, Path, Problem, Result, args, required_variable,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use url::{Host, Url};
use utoipa::ToSchema;
use uuid::Uuid;
use webauthn_rp::bin::{Decode, Encode};
use webauthn_rp::request::auth::AuthenticationVerificationOptions;
use webauthn_rp::request::register::{
    Nickname, PublicKeyCredentialUserEntity, RegistrationVerificationOptions, UserHandle16,
    Username,
};
use webauthn_rp::request::{AsciiDomain, PublicKeyCredentialDescriptor, RpId, TimedCeremony};
use webauthn_rp::response::register::{DynamicState, StaticState};
use webauthn_rp::response::{AuthTransports, Backup, CredentialId};
use webauthn_rp::{
    AuthenticatedCredential, DiscoverableAuthentication, DiscoverableAuthenticationServerState,
    DiscoverableCredentialRequestOptions, PublicKeyCredentialCreationOptions, Registration,
    RegistrationServerState,
};

use crate::input::printable;
use crate::sign_in::{NewSession, SignedIn};
use crate::users::Confirmation;
use crate::{keys, secrets, users};

/// A user handle is the account's id.
const HANDLE_BYTES: usize = 16;

/// Of one account; `sql/identity/add_passkey.sql` counts them too.
const MOST: usize = 20;

/// What a state is sealed for, where it is not for an account.
const SIGN_IN: &[u8] = b"sign-in";

/// A passkey, as its owner knows it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Passkey {
    id: Uuid,
    #[schema(example = "Laptop")]
    name: String,
    /// What devices know it by, base64.
    credential_id: String,
    /// Whether there is a copy of it: in a password manager, or in the device maker's cloud.
    backed_up: bool,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    last_used_at: Option<OffsetDateTime>,
}

/// The first half of a ceremony.
#[derive(Debug, Serialize, ToSchema)]
pub struct Ceremony {
    /// As JSON, for `PublicKeyCredential.parseCreationOptionsFromJSON` or `parseRequestOptionsFromJSON`.
    #[schema(value_type = Object)]
    options: Value,
    /// To be sent back with the credential: once, within five minutes.
    state: String,
}

/// What the browser made of the options.
#[derive(Deserialize, Validate, ToSchema)]
pub struct NewPasskey {
    /// What its owner calls it.
    #[garde(length(chars, min = 1, max = 100), custom(printable))]
    #[schema(example = "Laptop", min_length = 1, max_length = 100)]
    name: String,
    /// As it was given.
    #[garde(skip)]
    state: String,
    /// `credential.toJSON()`
    #[garde(skip)]
    #[schema(value_type = Object)]
    credential: Value,
}

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

/// Begins to add a passkey: what `navigator.credentials.create` needs.
#[utoipa::path(
    post, path = "/api/users/me/passkeys/options", tag = "users", request_body = Confirmation,
    responses(
        (status = 200, body = Ceremony),
        (status = 403, description = "`confirmation-refused`, `second-factor-required`"),
        (status = 404, description = "The caller is no person, or `passkeys-unavailable`"),
        (status = 409, description = "`too-many-passkeys`"),
        (status = 429, description = "`too-many-attempts`, `rate-limited`"),
    ),
    security(("token" = ["account:manage"])), extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn begin_passkey(
    db: Db,
    caller: Caller,
    client: Client,
    Input(given): Input<Confirmation>,
) -> Result<Json<Ceremony>> {
    #[derive(Deserialize)]
    struct Row {
        credential: String,
    }
    let site = Site::ours().await?;
    let user = users::read(&db, caller.id).await?;
    users::confirm(&db, &client, &caller, &given).await?;
    let known: Vec<Row> = db
        .many(
            "select encode(credential_id, 'base64') as credential from identity.passkey where account_id = $1",
            args![caller.id],
        )
        .await?;
    if known.len() >= MOST {
        return Err(too_many());
    }
    let mut exclude = Vec::new();
    for row in known {
        exclude.push(PublicKeyCredentialDescriptor {
            id: CredentialId::decode(secrets::decode(&row.credential)?)
                .map_err(Problem::internal)?,
            transports: AuthTransports::decode(0).map_err(Problem::internal)?,
        });
    }
    let handle = handle(caller.id);
    let entity = PublicKeyCredentialUserEntity {
        name: Username::try_from(user.name.as_str()).map_err(Problem::internal)?,
        id: &handle,
        display_name: Nickname::try_from(user.name.as_str()).ok(),
    };
    let ceremony = PublicKeyCredentialCreationOptions::passkey(&site.id, entity, exclude);
    let (server, browser) = ceremony.start_ceremony().map_err(Problem::internal)?;
    let state = server.encode().map_err(Problem::internal)?;
    Ok(Json(Ceremony {
        options: serde_json::to_value(&browser).map_err(Problem::internal)?,
        state: seal(caller.id.as_bytes(), &state).await?,
    }))
}

/// Adds the passkey that the browser made.
#[utoipa::path(
    post, path = "/api/users/me/passkeys", tag = "users", request_body = NewPasskey,
    responses(
        (status = 201, body = Passkey),
        (status = 403, description = "`confirmation-refused`: without a password, the session must be new"),
        (status = 404, description = "`passkeys-unavailable`"),
        (status = 409, description = "`passkey-exists`, `too-many-passkeys`"),
        (status = 422, description = "`invalid-input`: not what was asked for, too late, or used already"),
    ),
    security(("token" = ["account:manage"])), extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn add_passkey(
    db: Db,
    caller: Caller,
    client: Client,
    Input(new): Input<NewPasskey>,
) -> Result<Created<Passkey>> {
    let site = Site::ours().await?;
    let state = open(caller.id.as_bytes(), &new.state).await?;
    let state = state.ok_or_else(wrong_state)?;
    let server = RegistrationServerState::<HANDLE_BYTES>::decode(&state);
    let server = server.map_err(|_| wrong_state())?;
    let (nonce, expires) = (server.sent_challenge().0, server.expiration());
    let response = json_of(&new.credential)?;
    let response = Registration::from_json_relaxed(&response).map_err(unreadable)?;
    let options = RegistrationVerificationOptions::<&str, &str> {
        allowed_origins: &[&site.origin],
        // Some devices say more than they were asked.
        error_on_unsolicited_extensions: false,
        ..RegistrationVerificationOptions::default()
    };
    let made = server
        .verify(&site.id, &response, &options)
        .map_err(|error| Problem::invalid("credential", error.to_string()))?;
    let passkey: Passkey = db
        .one(
            "select p.id, p.name, translate(encode(p.credential_id, 'base64'), E'\\n', '') as credential_id,
                    p.backed_up, p.created_at, p.last_used_at
             from identity.add_passkey($1, $2, $3, $4, $5, $6, $7, $8, $9::text::timestamptz, $10) p",
            args![
                caller.id,
                caller.session,
                new.name,
                made.id().as_ref(),
                made.static_state().encode().map_err(Problem::internal)?,
                made.dynamic_state().encode().map_err(Problem::internal)?,
                is_backed_up(made.dynamic_state()),
                nonce.to_be_bytes(),
                OffsetDateTime::from(expires),
                json!(client)
            ],
        )
        .await
        .on_constraint("account_active", Problem::unauthenticated())
        .on_constraint("used_challenge_pkey", wrong_state())
        .on_constraint("passkey_credential_id_key", exists())
        .on_constraint("passkey_count", too_many())
        .on_constraint(
            "passkey_static_state_size",
            Problem::invalid("credential", "has an RSA key of more than 4,096 bits"),
        )
        .on_constraint("session_fresh", not_fresh())?;
    let place = format!("/api/users/me/passkeys/{}", passkey.id);
    Ok(Created::at(place, passkey))
}

/// Lists the caller's passkeys, the newest first.
#[utoipa::path(
    get, path = "/api/users/me/passkeys", tag = "users", params(guest::PageParams),
    responses((status = 200, body = Items<Passkey>), (status = 422, description = "`invalid-input`, `invalid-cursor`")),
    security(("token" = ["account:manage"]))
)]
pub async fn list_passkeys(
    db: Db,
    caller: Caller,
    page: Page<Uuid>,
) -> Result<Json<Items<Passkey>>> {
    let passkeys: Vec<Passkey> = db
        .many(
            "select id, name, translate(encode(credential_id, 'base64'), E'\\n', '') as credential_id,
                    backed_up, created_at, last_used_at from identity.passkey
             where account_id = $1 and ($2::uuid is null or id < $2) order by id desc limit $3",
            args![caller.id, page.after, page.fetch()],
        )
        .await?;
    Ok(Json(page.answer(passkeys, |passkey| passkey.id)))
}

/// One of the caller's passkeys.
#[utoipa::path(
    get, path = "/api/users/me/passkeys/{passkey}", tag = "users",
    params(("passkey" = Uuid, Path)),
    responses((status = 200, body = Passkey), (status = 404, description = "`not-found`")),
    security(("token" = ["account:manage"]))
)]
pub async fn get_passkey(
    db: Db,
    caller: Caller,
    Path(passkey): Path<Uuid>,
) -> Result<Json<Passkey>> {
    let found: Option<Passkey> = db
        .optional(
            "select id, name, translate(encode(credential_id, 'base64'), E'\\n', '') as credential_id,
                    backed_up, created_at, last_used_at from identity.passkey
             where account_id = $1 and id = $2",
            args![caller.id, passkey],
        )
        .await?;
    found.map(Json).ok_or_else(|| Problem::not_found("passkey"))
}

/// Removes a passkey. Sessions that it opened stay.
#[utoipa::path(
    delete, path = "/api/users/me/passkeys/{passkey}", tag = "users",
    params(("passkey" = Uuid, Path)),
    responses((status = 204, description = "Removed"), (status = 404, description = "`not-found`")),
    security(("token" = ["account:manage"]))
)]
pub async fn remove_passkey(
    db: Db,
    caller: Caller,
    client: Client,
    Path(passkey): Path<Uuid>,
) -> Result<StatusCode> {
    #[derive(Deserialize)]
    struct Row {
        removed: bool,
    }
    let row: Row = db
        .one(
            "select identity.remove_passkey($1, $2, $3) as removed",
            args![caller.id, passkey, json!(client)],
        )
        .await?;
    if row.removed {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found("passkey"))
    }
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
        state: seal(SIGN_IN, &state).await?,
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
    let verified = match open(SIGN_IN, &given.state).await? {
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
                keys::remembered_kid()
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

/// Refused, for whichever reason, it is the account whose passkey this claims to be, if there is one.
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
    let former = secrets::decode(&found.changing)?;
    let changing = former.as_slice().try_into().map_err(Problem::internal)?;
    let handle = handle(found.account_id);
    let mut credential = AuthenticatedCredential::new(
        response.raw_id(),
        &handle,
        StaticState::decode(&secrets::decode(&found.fixed)?).map_err(Problem::internal)?,
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

/// Who we are to browsers.
struct Site {
    /// The domain that passkeys are bound to.
    id: RpId,
    /// Where pages may use them.
    origin: String,
}

impl Site {
    /// From the public URL. Passkeys belong to domains: an address of this machine counts as `localhost`, and for any
    /// other address there are none.
    async fn ours() -> Result<Self> {
        Self::of(&required_variable("public_url").await?).ok_or_else(|| {
            Problem::new(
                StatusCode::NOT_FOUND,
                "passkeys-unavailable",
                "Passkeys need a server whose public URL has a domain name and https, or is this machine's.",
            )
        })
    }

    fn of(public_url: &str) -> Option<Self> {
        let mut url: Url = public_url.parse().ok()?;
        let is_loopback = match url.host()? {
            Host::Domain(_) => false,
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        if is_loopback {
            url.set_host(Some("localhost")).ok()?;
        }
        let domain = url.domain()?;
        // Elsewhere browsers have no passkeys (Secure Contexts, section 3.1).
        if url.scheme() != "https" && domain != "localhost" {
            return None;
        }
        Some(Self {
            id: RpId::Domain(AsciiDomain::try_from(domain.to_owned()).ok()?),
            origin: url.origin().ascii_serialization(),
        })
    }
}

fn handle(account: Uuid) -> UserHandle16 {
    UserHandle16::decode(account.into_bytes()).unwrap_or_else(|never| match never {})
}

fn is_backed_up(state: DynamicState) -> bool {
    matches!(state.backup, Backup::Exists)
}

/// Seals the server's half of a ceremony for an account, or for signing in.
async fn seal(owner: &[u8], state: &[u8]) -> Result<String> {
    let sealed = secrets::seal(&secrets::subkey("passkey").await?, owner, state)?;
    Ok(URL_SAFE_NO_PAD.encode(sealed))
}

async fn open(owner: &[u8], state: &str) -> Result<Option<Vec<u8>>> {
    let key = secrets::subkey("passkey").await?;
    let sealed = URL_SAFE_NO_PAD.decode(state).ok();
    Ok(sealed.and_then(|sealed| secrets::open(&key, owner, &sealed)))
}

fn json_of(credential: &Value) -> Result<Vec<u8>> {
    serde_json::to_vec(credential).map_err(Problem::internal)
}

fn unreadable(error: serde_json::Error) -> Problem {
    Problem::invalid("credential", error.to_string())
}

fn wrong_state() -> Problem {
    Problem::invalid(
        "state",
        "was used already, is too old, or is not yours: begin again",
    )
}

fn exists() -> Problem {
    Problem::conflict("passkey-exists", "This passkey was added already.")
}

fn too_many() -> Problem {
    let detail = format!("An account has at most {MOST} passkeys. Remove one first.");
    Problem::conflict("too-many-passkeys", detail)
}

fn not_fresh() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "confirmation-refused",
        "Sign in anew, and add the passkey within ten minutes.",
    )
}

fn failed() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "authentication-failed",
        "The passkey was not accepted, or it took too long. Begin again.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passkeys_belong_to_the_domain_of_the_public_url() {
        for (url, expected) in [
            (
                "https://gather.example",
                Some(("gather.example", "https://gather.example")),
            ),
            (
                "https://Gather.example:8443",
                Some(("gather.example", "https://gather.example:8443")),
            ),
            (
                "http://127.0.0.1:3000",
                Some(("localhost", "http://localhost:3000")),
            ),
            (
                "http://[::1]:3000",
                Some(("localhost", "http://localhost:3000")),
            ),
            (
                "https://gather.example:443/",
                Some(("gather.example", "https://gather.example")),
            ),
            (
                "http://localhost:80",
                Some(("localhost", "http://localhost")),
            ),
            (
                "https://bücher.example",
                Some(("xn--bcher-kva.example", "https://xn--bcher-kva.example")),
            ),
            ("http://gather.example", None),
            ("http://192.0.2.1", None),
            ("https://[2001:db8::1]:443", None),
        ] {
            let site = Site::of(url);
            let found = site
                .as_ref()
                .map(|site| (site.id.as_ref(), site.origin.as_str()));
            assert_eq!(found, expected, "{url}");
        }
    }
}
