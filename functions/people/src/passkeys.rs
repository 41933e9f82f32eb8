//! Passkeys (Web Authentication, level 3): a device signs in for its owner, after it has checked that it is them.
//!
//! A ceremony has two requests. The first returns the options for the browser's API, and `state`, which comes back with
//! the second. The state is sealed, so nothing is stored until a challenge is used.

use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Client, Created, Db, Input, Items, Page, Path, Problem, Result, args};
use principal::{printable, seal};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;
use webauthn_rp::bin::{Decode, Encode};
use webauthn_rp::request::register::{
    CredProtect, Nickname, PublicKeyCredentialUserEntity, RegistrationVerificationOptions, Username,
};
use webauthn_rp::request::{ExtensionInfo, PublicKeyCredentialDescriptor, TimedCeremony};
use webauthn_rp::response::{AuthTransports, CredentialId};
use webauthn_rp::{PublicKeyCredentialCreationOptions, Registration, RegistrationServerState};

use crate::ceremony::{
    Ceremony, HANDLE_BYTES, Site, handle, is_backed_up, json_of, open_state, seal_state, unreadable,
};
use crate::users::{self, Confirmation};

/// The largest number of passkeys of an account; `sql/identity/add_passkey.sql` checks it too.
const MOST: usize = 20;

/// A passkey, as its owner sees it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Passkey {
    /// The passkey's id.
    id: Uuid,
    /// The passkey's name, as its owner chose it.
    #[schema(example = "Laptop")]
    name: String,
    /// The id by which devices know the passkey, encoded as base64.
    credential_id: String,
    /// Whether a copy of the passkey exists, in a password manager or in the device maker's cloud.
    backed_up: bool,
    /// The time at which the passkey was added.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// The time of the last use; null if it was never used.
    #[serde(with = "time::serde::rfc3339::option")]
    last_used_at: Option<OffsetDateTime>,
}

/// The credential that the browser made from the options.
#[derive(Deserialize, Validate, ToSchema)]
pub struct NewPasskey {
    /// The passkey's name, for its owner.
    #[garde(length(chars, min = 1, max = 100), custom(printable))]
    #[schema(example = "Laptop", min_length = 1, max_length = 100)]
    name: String,
    /// The `state` of the ceremony, unchanged.
    #[garde(skip)]
    state: String,
    /// The credential, as `credential.toJSON()` returns it.
    #[garde(skip)]
    #[schema(value_type = Object)]
    credential: Value,
}

/// Begins to add a passkey, and returns the options for `navigator.credentials.create`.
#[utoipa::path(
    post, path = "/api/users/me/passkeys/options", tag = "users", request_body = Confirmation,
    responses(
        (status = 200, body = Ceremony),
        (status = 403, description = "`confirmation-refused`, `second-factor-required`"),
        (status = 404, description = "`not-found`: the caller is not a person; `passkeys-unavailable`"),
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
            id: CredentialId::decode(seal::decode(&row.credential)?).map_err(Problem::internal)?,
            transports: AuthTransports::decode(0).map_err(Problem::internal)?,
        });
    }
    let handle = handle(caller.id);
    let entity = PublicKeyCredentialUserEntity {
        name: Username::try_from(user.name.as_str()).map_err(Problem::internal)?,
        id: &handle,
        display_name: Nickname::try_from(user.name.as_str()).ok(),
    };
    let mut ceremony = PublicKeyCredentialCreationOptions::passkey(&site.id, entity, exclude);
    // Where the device can, it shows the passkey to nobody before it knows the user. If that were enforced, browsers
    // would refuse the many devices that can't: those of most phones and computers. The server checks the user anyway.
    let protect = CredProtect::UserVerificationRequired(ExtensionInfo::AllowDontEnforceValue);
    ceremony.extensions.cred_protect = protect;
    let (server, browser) = ceremony.start_ceremony().map_err(Problem::internal)?;
    let state = server.encode().map_err(Problem::internal)?;
    Ok(Json(Ceremony {
        options: serde_json::to_value(&browser).map_err(Problem::internal)?,
        state: seal_state(caller.id.as_bytes(), &state).await?,
    }))
}

/// Adds the passkey that the browser made.
#[utoipa::path(
    post, path = "/api/users/me/passkeys", tag = "users", request_body = NewPasskey,
    responses(
        (status = 201, body = Passkey),
        (status = 403, description = "`confirmation-refused`: an account without a password needs a new session"),
        (status = 404, description = "`passkeys-unavailable`"),
        (status = 409, description = "`passkey-exists`, `too-many-passkeys`"),
        (status = 422, description = "`invalid-input`: the credential does not fit the options, comes too late, or was already used"),
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
    let state = open_state(caller.id.as_bytes(), &new.state).await?;
    let state = state.ok_or_else(wrong_state)?;
    let server = RegistrationServerState::<HANDLE_BYTES>::decode(&state);
    let server = server.map_err(|_| wrong_state())?;
    let (nonce, expires) = (server.sent_challenge().0, server.expiration());
    let response = json_of(&new.credential)?;
    let response = Registration::from_json_relaxed(&response).map_err(unreadable)?;
    let options = RegistrationVerificationOptions::<&str, &str> {
        allowed_origins: &[&site.origin],
        // Some devices send more members than were asked for.
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
    let location = format!("/api/users/me/passkeys/{}", passkey.id);
    Ok(Created::at(location, passkey))
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

/// Reads one of the caller's passkeys.
#[utoipa::path(
    get, path = "/api/users/me/passkeys/{passkey}", tag = "users",
    params(("passkey" = Uuid, Path, description = "The passkey's id.")),
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

/// Removes a passkey. Sessions that it opened stay open.
#[utoipa::path(
    delete, path = "/api/users/me/passkeys/{passkey}", tag = "users",
    params(("passkey" = Uuid, Path, description = "The passkey's id.")),
    responses((status = 204, description = "The passkey was removed."), (status = 404, description = "`not-found`")),
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

fn wrong_state() -> Problem {
    Problem::invalid(
        "state",
        "was used already, is too old, or is not yours: begin again",
    )
}

fn exists() -> Problem {
    Problem::conflict("passkey-exists", "This passkey was already added.")
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
