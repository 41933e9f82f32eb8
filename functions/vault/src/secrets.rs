//! Secrets, without their values.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::ETAG;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{
    Caller, Client, Created, Db, IfMatch, Input, Items, Moment, Page, Path, Problem, Result, args,
    given,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;
use vault_seal::{Binding, Owner};

use crate::input::{Use, Value, printable, secret_name};
use crate::problems::Refused;
use crate::public_key;

/// The scope for the platform's own secrets.
const OF_PLATFORM: &str = "llm:manage";

/// A secret, without its value.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Secret {
    /// The secret's id.
    pub id: Uuid,
    /// The secret's name among those of its owner.
    #[schema(example = "github")]
    name: String,
    /// The kind of secret.
    kind: Kind,
    /// The owner's note.
    note: String,
    /// The account that owns the secret; null if a team or the platform does.
    account_id: Option<Uuid>,
    /// The team that owns the secret; null if an account or the platform does.
    team_id: Option<Uuid>,
    /// Whether the platform itself owns the secret.
    platform: bool,
    /// The requests that the secret may be put into; null for none.
    #[serde(rename = "use")]
    used: Option<Use>,
    /// The version of the secret, which grows with each change. `ETag` has it, too.
    pub version: u32,
    /// The state of the secret. An expired one is never used again.
    state: State,
    /// The time at which the secret expires; null if it does not expire.
    #[serde(with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
    /// The time at which the secret was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// The time of the last change.
    #[serde(with = "time::serde::rfc3339")]
    changed_at: OffsetDateTime,
    /// The latest values, without the values themselves, the newest first.
    versions: Vec<Version>,
}

/// A value of a secret, without the value itself.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = SecretVersion)]
pub struct Version {
    /// The version that the secret had when the value came.
    version: u32,
    /// The state of the value.
    state: VersionState,
    /// The time until which a former value may be used, or at which an ended one ended; null for the current one.
    #[serde(with = "time::serde::rfc3339::option")]
    until: Option<OffsetDateTime>,
    /// The time at which the value came.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

/// The kind of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = SecretKind)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A token or an API key.
    Token,
    /// A password for Basic authentication.
    Basic,
    /// A token or password for a Git host.
    Git,
    /// A key that signs messages.
    Hmac,
    /// The key of a provider of language models, which goes to that provider alone.
    Provider,
    /// Anything else.
    Opaque,
}

/// The state of a secret.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = SecretState)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It can be used.
    Active,
    /// Its time is over.
    Expired,
}

/// The state of a value.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = SecretVersionState)]
#[serde(rename_all = "lowercase")]
pub enum VersionState {
    /// It is used unless another version is asked for.
    Current,
    /// It can be used for a while still, if it is asked for.
    Former,
    /// It was erased.
    Ended,
}

/// A secret to store.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(as = NewVaultSecret)]
#[serde(deny_unknown_fields)]
pub struct NewSecret {
    /// The name, which no other secret of the owner has.
    #[garde(custom(secret_name))]
    #[schema(example = "github", min_length = 1, max_length = 100)]
    name: String,
    /// The kind of secret.
    #[garde(skip)]
    kind: Kind,
    /// The value: 8 characters to 64 KiB of printable ASCII. It is never shown again.
    #[garde(skip)]
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 65536)]
    value: Value,
    /// The team that shall own the secret; the caller if absent.
    #[garde(skip)]
    team_id: Option<Uuid>,
    /// Whether the platform itself shall own the secret, which takes the scope `llm:manage`.
    #[garde(skip)]
    #[serde(default)]
    platform: bool,
    /// The requests that the secret may be put into; none if absent.
    #[garde(dive)]
    #[serde(rename = "use")]
    used: Option<Use>,
    /// The time at which the secret expires, in the future; absent if it should not expire.
    #[garde(skip)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Moment>,
    /// A note for whoever sees the secret.
    #[garde(inner(length(chars, max = 1000), custom(printable)))]
    #[schema(max_length = 1000)]
    note: Option<String>,
}

/// A change of a secret. Absent fields stay as they are; the value changes with a new version only.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretChange {
    /// The new name.
    #[garde(inner(custom(secret_name)))]
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
    /// The new requests that the secret may be put into; null for none.
    #[garde(dive)]
    #[serde(default, rename = "use", deserialize_with = "given")]
    #[schema(value_type = Option<Use>)]
    used: Option<Option<Use>>,
    /// The new time at which the secret expires; null if it should not expire.
    #[garde(skip)]
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Option<Moment>>,
    /// The new note.
    #[garde(inner(length(chars, max = 1000), custom(printable)))]
    #[schema(max_length = 1000)]
    note: Option<String>,
}

/// A row with one secret.
#[derive(Debug, Deserialize)]
pub struct Row {
    pub secret: Secret,
}

/// A secret with its `ETag`.
pub type Tagged = ([(axum::http::HeaderName, String); 1], Json<Secret>);

/// Adds the `ETag` of a secret.
pub fn tagged(secret: Secret) -> Tagged {
    ([(ETAG, format!("\"{}\"", secret.version))], Json(secret))
}

/// Stores a secret, sealed so that this server's functions can't read it.
///
/// The value is never shown again, so `Idempotency-Key` is not honoured.
#[utoipa::path(
    post, path = "/api/vault/secrets", tag = "vault", operation_id = "create_secret", request_body = NewSecret,
    responses(
        (status = 201, body = Secret, headers(("Location" = String))),
        (status = 403, description = "`forbidden`: the caller does not own the team, or lacks the scope `llm:manage`"),
        (status = 404, description = "`not-found`: the team"),
        (status = 409, description = "`name-taken`, `vault-full`"),
        (status = 413, description = "`body-too-large`"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = ["vault:write"])), extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn create(
    db: Db,
    caller: Caller,
    client: Client,
    Input(new): Input<NewSecret>,
) -> Result<Created<Secret>> {
    let value = new.value.bytes()?;
    if new.platform && new.team_id.is_some() {
        return Err(Problem::invalid("platform", "excludes `team_id`"));
    }
    if new.platform && !caller.allows(OF_PLATFORM) {
        return Err(Problem::insufficient_scope(OF_PLATFORM));
    }
    let id = Uuid::now_v7();
    let binding = Binding {
        secret: id,
        version: 1,
        owner: match new.team_id {
            Some(team) => Owner::Team(team),
            None if new.platform => Owner::Platform,
            None => Owner::Account(caller.id),
        },
    };
    let sealed = public_key().await?.seal(&binding, value);
    let sealed = sealed.ok_or_else(|| Problem::internal("a value can't be sealed"))?;
    let made: Row = db
        .one(
            "select vault.create_secret($1, $2, $3, $4, $5, $6, $7, $8, $9::text::timestamptz, $10, $11) as secret",
            args![
                id,
                caller.id,
                new.team_id,
                new.platform,
                new.name,
                kind_name(new.kind),
                new.note.unwrap_or_default(),
                new.used.map(|used| json!(used.normal())),
                new.expires_at,
                sealed,
                json!(client)
            ],
        )
        .await
        .refused()
        .checked()
        .on_constraint("secret_team", Problem::not_found("team"))?;
    Ok(Created::at(format!("/api/vault/secrets/{id}"), made.secret))
}

fn kind_name(kind: Kind) -> String {
    let name = serde_json::to_value(kind).unwrap_or_default();
    name.as_str().unwrap_or_default().to_owned()
}

/// Refusals of what a secret consists of.
trait Checked: Sized {
    /// Turns them into problems.
    fn checked(self) -> Self;
}

impl<T> Checked for Result<T, guest::db::Error> {
    fn checked(mut self) -> Self {
        for name in [
            "secret_account_name",
            "secret_team_name",
            "secret_platform_name",
        ] {
            let taken = "Another secret of this owner has this name.";
            self = self.on_constraint(name, Problem::conflict("name-taken", taken));
        }
        self.on_constraint(
            "secret_paths",
            Problem::invalid(
                "use.paths",
                "must not have `..`, `//`, `\\`, `;`, or what decodes to them",
            ),
        )
        .on_constraint(
            "secret_expires",
            Problem::invalid("expires_at", "must be in the future"),
        )
        .on_constraint(
            "secret_count",
            Problem::conflict(
                "vault-full",
                "An owner can have 500 secrets. Delete one first.",
            ),
        )
    }
}

/// Lists the secrets that the caller may see: its own, its teams', and those that it was granted; the newest first.
#[utoipa::path(
    get, path = "/api/vault/secrets", tag = "vault", operation_id = "list_secrets", params(guest::PageParams),
    responses((status = 200, body = Items<Secret>), (status = 422, description = "`invalid-input`, `invalid-cursor`")),
    security(("token" = ["vault:use"]))
)]
pub async fn list(db: Db, caller: Caller, page: Page<Uuid>) -> Result<Json<Items<Secret>>> {
    let rows: Vec<Row> = db
        .many(
            "select vault.secret_json(s) as secret
             from vault.seen_by($1) seen join vault.secret s on s.id = seen and s.state <> 'deleted'
             where $2::uuid is null or s.id < $2 order by s.id desc limit $3",
            args![caller.id, page.after, page.fetch()],
        )
        .await?;
    let secrets = rows.into_iter().map(|row| row.secret).collect();
    Ok(Json(page.answer(secrets, |secret: &Secret| secret.id)))
}

/// Reads a secret, without its value.
#[utoipa::path(
    get, path = "/api/vault/secrets/{secret}", tag = "vault", operation_id = "get_secret",
    params(("secret" = String, Path, description = "The secret's id or, for its owner, its name.")),
    responses(
        (status = 200, body = Secret, headers(("ETag" = String, description = "The version of the secret, for `If-Match`"))),
        (status = 404, description = "`not-found`"),
    ),
    security(("token" = ["vault:use"]))
)]
pub async fn get(db: Db, caller: Caller, Path(secret): Path<String>) -> Result<Tagged> {
    let found: Option<Row> = db
        .optional(
            "select vault.secret_json(s) as secret from vault.secret s where s.id = vault.resolve_secret($1, $2)",
            args![secret, caller.id],
        )
        .await?;
    let found = found.ok_or_else(|| Problem::not_found("secret"))?;
    Ok(tagged(found.secret))
}

/// Changes all of a secret but its value.
#[utoipa::path(
    patch, path = "/api/vault/secrets/{secret}", tag = "vault", operation_id = "change_secret",
    params(
        ("secret" = String, Path, description = "The secret's id or, for its owner, its name."),
        ("If-Match" = String, Header, description = "The `ETag` of the secret that is changed."),
    ),
    request_body = SecretChange,
    responses(
        (status = 200, body = Secret, headers(("ETag" = String, description = "The version of the secret, for `If-Match`"))),
        (status = 403, description = "`forbidden`: the caller may only use the secret"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`name-taken`"),
        (status = 410, description = "`secret-expired`"),
        (status = 412, description = "`version-mismatch`"),
        (status = 422, description = "`invalid-input`"),
        (status = 428, description = "`precondition-required`"),
    ),
    security(("token" = ["vault:write"]))
)]
pub async fn change(
    db: Db,
    caller: Caller,
    client: Client,
    expected: IfMatch,
    Path(secret): Path<String>,
    Input(change): Input<SecretChange>,
) -> Result<Tagged> {
    let mut changes = serde_json::Map::new();
    if let Some(name) = change.name {
        changes.insert("name".to_owned(), name.into());
    }
    if let Some(note) = change.note {
        changes.insert("note".to_owned(), note.into());
    }
    if let Some(used) = change.used {
        changes.insert("use".to_owned(), json!(used.map(Use::normal)));
    }
    if let Some(expires_at) = change.expires_at {
        changes.insert("expires_at".to_owned(), json!(expires_at));
    }
    let changed: Row = db
        .one(
            "select vault.change_secret($1, $2, $3, $4, $5) as secret",
            args![
                caller.id,
                secret,
                expected.versions(),
                serde_json::Value::Object(changes),
                json!(client)
            ],
        )
        .await
        .refused()
        .checked()?;
    Ok(tagged(changed.secret))
}

/// Deletes a secret and its values. Nothing is put into requests from then on.
#[utoipa::path(
    delete, path = "/api/vault/secrets/{secret}", tag = "vault", operation_id = "delete_secret",
    params(
        ("secret" = String, Path, description = "The secret's id or, for its owner, its name."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the secret that is deleted; any version if absent."),
    ),
    responses(
        (status = 204, description = "The secret was deleted."),
        (status = 403, description = "`forbidden`: the caller may only use the secret"),
        (status = 404, description = "`not-found`"),
        (status = 412, description = "`version-mismatch`"),
    ),
    security(("token" = ["vault:write"]))
)]
pub async fn delete(
    db: Db,
    caller: Caller,
    client: Client,
    expected: Option<IfMatch>,
    Path(secret): Path<String>,
) -> Result<StatusCode> {
    db.execute(
        "select vault.delete_secret($1, $2, $3, $4)",
        args![
            caller.id,
            secret,
            expected.and_then(|expected| expected.versions()),
            json!(client)
        ],
    )
    .await
    .refused()?;
    Ok(StatusCode::NO_CONTENT)
}
