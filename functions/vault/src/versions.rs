//! The values of a secret, by version.

use axum::http::StatusCode;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Client, Created, Db, IfMatch, Input, Path, Problem, Result, args};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;
use vault_seal::{Binding, Owner};

use crate::input::Value;
use crate::problems::{Refused, version_mismatch};
use crate::public_key;
use crate::secrets::{Row, Secret};

/// How often a rotation that expects no version tries again when others rotate at the same moment.
const TRIES: usize = 5;

/// A new value for a secret.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(as = NewSecretVersion)]
#[serde(deny_unknown_fields)]
pub struct NewVersion {
    /// The new value: 8 characters to 64 KiB of printable ASCII. It is never shown again.
    #[garde(skip)]
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 65536)]
    value: Value,
    /// The time for which the former value may be used still, in milliseconds, at most 30 days; 0 if absent.
    #[garde(inner(range(min = 0, max = 2_592_000_000_i64)))]
    #[schema(minimum = 0, maximum = 2_592_000_000_f64)]
    overlap_ms: Option<i64>,
}

/// The values that the next seal is bound to.
#[derive(Debug, Deserialize)]
struct Rotating {
    next: Next,
}

#[derive(Debug, Deserialize)]
struct Next {
    id: Uuid,
    account_id: Option<Uuid>,
    team_id: Option<Uuid>,
    number: u32,
}

impl Next {
    fn binding(&self) -> Binding {
        Binding {
            secret: self.id,
            version: self.number,
            owner: match (self.account_id, self.team_id) {
                (Some(account), _) => Owner::Account(account),
                (None, Some(team)) => Owner::Team(team),
                (None, None) => Owner::Platform,
            },
        }
    }
}

/// Rotates a secret: gives it a new value. The former one may be used for `overlap_ms` still, by whoever asks for it.
///
/// A deleted or expired secret stays so. The value is never shown again, so `Idempotency-Key` is not honoured.
#[utoipa::path(
    post, path = "/api/vault/secrets/{secret}/versions", tag = "vault", operation_id = "rotate_secret",
    params(
        ("secret" = String, Path, description = "The secret's id or, for its owner, its name."),
        ("If-Match" = String, Header, description = "The `ETag` of the secret that is rotated."),
    ),
    request_body = NewVersion,
    responses(
        (status = 201, body = Secret, headers(("Location" = String))),
        (status = 403, description = "`forbidden`: the caller may only use the secret"),
        (status = 404, description = "`not-found`"),
        (status = 410, description = "`secret-expired`"),
        (status = 412, description = "`version-mismatch`"),
        (status = 413, description = "`body-too-large`"),
        (status = 422, description = "`invalid-input`"),
        (status = 428, description = "`precondition-required`"),
    ),
    security(("token" = ["vault:write"])), extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn rotate(
    db: Db,
    caller: Caller,
    client: Client,
    expected: IfMatch,
    Path(secret): Path<String>,
    Input(new): Input<NewVersion>,
) -> Result<Created<Secret>> {
    let value = new.value.bytes()?;
    let key = public_key().await?;
    for _ in 0..TRIES {
        let Rotating { next } = db
            .one(
                "select vault.rotating($1, $2, $3) as next",
                args![caller.id, secret.clone(), expected.versions()],
            )
            .await
            .refused()?;
        let sealed = key.seal(&next.binding(), value);
        let sealed = sealed.ok_or_else(|| Problem::internal("a value can't be sealed"))?;
        let number = i32::try_from(next.number).map_err(Problem::internal)?;
        let rotated: Result<Row, _> = db
            .one(
                "select vault.rotate($1, $2, $3, $4, $5, $6) as secret",
                args![
                    caller.id,
                    next.id,
                    number,
                    sealed,
                    new.overlap_ms.unwrap_or(0),
                    json!(client)
                ],
            )
            .await
            .refused();
        match rotated {
            // Somebody was faster. Whoever expects no version does not mind.
            Err(guest::db::Error::Problem(problem))
                if problem.code() == "version-mismatch" && expected.versions().is_none() => {}
            rotated => {
                let location = format!("/api/vault/secrets/{}", next.id);
                return Ok(Created::at(location, rotated?.secret));
            }
        }
    }
    Err(version_mismatch())
}

/// Ends a former value of a secret before its time.
#[utoipa::path(
    delete, path = "/api/vault/secrets/{secret}/versions/{version}", tag = "vault", operation_id = "end_secret_version",
    params(
        ("secret" = String, Path, description = "The secret's id or, for its owner, its name."),
        ("version" = i32, Path, description = "The version that the secret had when the value came."),
        ("If-Match" = String, Header, description = "The `ETag` of the secret."),
    ),
    responses(
        (status = 204, description = "The value was erased."),
        (status = 403, description = "`forbidden`: the caller may only use the secret"),
        (status = 404, description = "`not-found`"),
        (status = 412, description = "`version-mismatch`"),
        (status = 422, description = "`invalid-input`: it is the current value"),
        (status = 428, description = "`precondition-required`"),
    ),
    security(("token" = ["vault:write"]))
)]
pub async fn end(
    db: Db,
    caller: Caller,
    client: Client,
    expected: IfMatch,
    Path((secret, version)): Path<(String, i32)>,
) -> Result<StatusCode> {
    db.execute(
        "select vault.end_version($1, $2, $3, $4, $5)",
        args![
            caller.id,
            secret,
            expected.versions(),
            version,
            json!(client)
        ],
    )
    .await
    .refused()
    .on_constraint(
        "version_current",
        Problem::invalid(
            "version",
            "is the current one: rotate the secret, or delete it",
        ),
    )?;
    Ok(StatusCode::NO_CONTENT)
}
