//! Grants: who else may have a secret put into requests.

use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Client, Db, Input, Items, Moment, Page, Path, Problem, Result, args};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::problems::Refused;

/// The kinds of subjects that a secret can be granted to.
const KINDS: [&str; 6] = ["account", "team", "claw", "skill", "pipeline", "project"];

/// A grant of a secret.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = SecretGrant)]
pub struct Grant {
    /// The account, team or other object that the secret is granted to.
    #[schema(example = "account:0192f0c1-2345-7abc-8def-0123456789ab")]
    subject: String,
    /// The time at which the grant ends; null if it does not end.
    #[serde(with = "time::serde::rfc3339::option")]
    until: Option<OffsetDateTime>,
    /// The number of uses that are granted; null for any number.
    calls: Option<u32>,
    /// The number of uses that were made. They are counted only if `calls` limits them.
    used: u32,
    /// The time of the grant.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

/// The limits of a grant.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(as = NewSecretGrant)]
#[serde(deny_unknown_fields)]
pub struct NewGrant {
    /// The time at which the grant ends, in the future; absent if it should not end.
    #[garde(skip)]
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Moment>,
    /// The number of uses; any number if absent.
    #[garde(inner(range(min = 1)))]
    #[schema(minimum = 1)]
    calls: Option<i32>,
}

#[derive(Debug, Deserialize)]
struct Row {
    given: Grant,
}

#[derive(Debug, Deserialize)]
struct Named {
    secret: Uuid,
}

/// The subject as it is stored. `account:me` is the caller.
fn subject(caller: &Caller, text: &str) -> Result<String> {
    if text == "account:me" {
        return Ok(format!("account:{}", caller.id));
    }
    let parts = text.split_once(':');
    let known = parts.filter(|(kind, _)| KINDS.contains(kind));
    let known = known.and_then(|(kind, id)| Some((kind, id.parse::<Uuid>().ok()?)));
    // What is malformed can't name anything.
    let (kind, id) = known.ok_or_else(|| {
        let detail = "`subject` in the path must be `account:`, `team:`, `claw:`, `skill:`, `pipeline:` or `project:` with an id.";
        Problem::new(StatusCode::NOT_FOUND, "not-found", detail)
    })?;
    Ok(format!("{kind}:{id}"))
}

/// The id of a secret whose grants and uses the caller may read.
pub async fn managed(db: &Db, caller: &Caller, secret: String) -> Result<Uuid> {
    let named: Named = db
        .one(
            "select vault.read_by_manager($1, $2) as secret",
            args![caller.id, secret],
        )
        .await
        .refused()?;
    Ok(named.secret)
}

/// Lists whom a secret is granted to, in the order of subjects.
#[utoipa::path(
    get, path = "/api/vault/secrets/{secret}/grants", tag = "vault", operation_id = "list_secret_grants",
    params(("secret" = String, Path, description = "The secret's id or, for its owner, its name."), guest::PageParams),
    responses(
        (status = 200, body = Items<Grant>),
        (status = 403, description = "`forbidden`: the caller may only use the secret"),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`, `invalid-cursor`"),
    ),
    security(("token" = ["vault:use"]))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    Path(secret): Path<String>,
    page: Page<String>,
) -> Result<Json<Items<Grant>>> {
    let id = managed(&db, &caller, secret).await?;
    let rows: Vec<Row> = db
        .many(
            "select vault.grant_json(g) as given from vault.secret_grant g
             where g.secret_id = $1 and ($2::text is null or g.subject > $2) order by g.subject limit $3",
            args![id, page.after.clone(), page.fetch()],
        )
        .await?;
    let grants = rows.into_iter().map(|row| row.given).collect();
    Ok(Json(
        page.answer(grants, |grant: &Grant| grant.subject.clone()),
    ))
}

/// Reads one grant of a secret.
#[utoipa::path(
    get, path = "/api/vault/secrets/{secret}/grants/{subject}", tag = "vault", operation_id = "get_secret_grant",
    params(
        ("secret" = String, Path, description = "The secret's id or, for its owner, its name."),
        ("subject" = String, Path, description = "`account:`, `team:`, `claw:`, `skill:`, `pipeline:` or `project:` with an id."),
    ),
    responses(
        (status = 200, body = Grant),
        (status = 403, description = "`forbidden`: the caller may only use the secret"),
        (status = 404, description = "`not-found`"),
    ),
    security(("token" = ["vault:use"]))
)]
pub async fn get(
    db: Db,
    caller: Caller,
    Path((secret, named)): Path<(String, String)>,
) -> Result<Json<Grant>> {
    let subject = subject(&caller, &named)?;
    let id = managed(&db, &caller, secret).await?;
    let row: Option<Row> = db
        .optional(
            "select vault.grant_json(g) as given from vault.secret_grant g where g.secret_id = $1 and g.subject = $2",
            args![id, subject],
        )
        .await?;
    let row = row.ok_or_else(|| Problem::not_found("grant"))?;
    Ok(Json(row.given))
}

/// Grants a secret to an account, a team or another object, in place of what it was granted before.
#[utoipa::path(
    put, path = "/api/vault/secrets/{secret}/grants/{subject}", tag = "vault", operation_id = "grant_secret",
    params(
        ("secret" = String, Path, description = "The secret's id or, for its owner, its name."),
        ("subject" = String, Path, description = "`account:`, `team:`, `claw:`, `skill:`, `pipeline:` or `project:` with an id."),
    ),
    request_body = NewGrant,
    responses(
        (status = 200, body = Grant),
        (status = 403, description = "`forbidden`: the caller may only use the secret"),
        (status = 404, description = "`not-found`: the secret, the account or the team"),
        (status = 409, description = "`vault-full`"),
        (status = 410, description = "`secret-expired`"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = ["vault:write"]))
)]
pub async fn put(
    db: Db,
    caller: Caller,
    client: Client,
    Path((secret, named)): Path<(String, String)>,
    Input(new): Input<NewGrant>,
) -> Result<Json<Grant>> {
    let subject = subject(&caller, &named)?;
    let row: Row = db
        .one(
            "select vault.put_grant($1, $2, $3, $4::text::timestamptz, $5, $6) as given",
            args![
                caller.id,
                secret,
                subject,
                new.until,
                new.calls,
                json!(client)
            ],
        )
        .await
        .refused()
        .on_constraint("grant_subject", Problem::not_found("subject"))
        .on_constraint(
            "grant_until",
            Problem::invalid("until", "must be in the future"),
        )
        .on_constraint(
            "grant_count",
            Problem::conflict(
                "vault-full",
                "A secret can have 1,000 grants. Delete one first.",
            ),
        )?;
    Ok(Json(row.given))
}

/// Takes a grant of a secret back, in force at once.
#[utoipa::path(
    delete, path = "/api/vault/secrets/{secret}/grants/{subject}", tag = "vault", operation_id = "end_secret_grant",
    params(
        ("secret" = String, Path, description = "The secret's id or, for its owner, its name."),
        ("subject" = String, Path, description = "`account:`, `team:`, `claw:`, `skill:`, `pipeline:` or `project:` with an id."),
    ),
    responses(
        (status = 204, description = "The grant was taken back."),
        (status = 403, description = "`forbidden`: the caller may only use the secret"),
        (status = 404, description = "`not-found`"),
    ),
    security(("token" = ["vault:write"]))
)]
pub async fn delete(
    db: Db,
    caller: Caller,
    client: Client,
    Path((secret, named)): Path<(String, String)>,
) -> Result<StatusCode> {
    let subject = subject(&caller, &named)?;
    db.execute(
        "select vault.drop_grant($1, $2, $3, $4)",
        args![caller.id, secret, subject, json!(client)],
    )
    .await
    .refused()?;
    Ok(StatusCode::NO_CONTENT)
}
