//! Hooks: addresses that others send to.

use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{
    Caller, Created, Db, Input, Items, Page, Path, Problem, Result, args, required_variable,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;
use webhook::{Secret, hook_token};

use crate::input::source_name;

/// An address that others send to. Each accepted request becomes an event on the topic `hook:<id>`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Hook {
    /// The hook's id.
    id: Uuid,
    /// The kind of sender.
    #[schema(example = "github")]
    source: String,
    /// The time at which the hook was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// The time of the last accepted request, to the minute; null if there was none.
    #[serde(with = "time::serde::rfc3339::option")]
    received_at: Option<OffsetDateTime>,
}

/// A new hook.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewHook {
    /// The kind of sender: `github` for a repository or an organization on GitHub, whose events are `github.push`,
    /// `github.issues` and so on; `generic` for any sender with the secret, whose event is `hook.received`; or one that
    /// this server's functions have added.
    #[garde(custom(source_name))]
    #[schema(example = "github", pattern = "^[a-z]{1,30}$")]
    source: String,
}

/// A hook with the address and the secret for the sender.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedHook {
    #[serde(flatten)]
    hook: Hook,
    /// The address to send to, which is shown only once.
    #[schema(example = "https://gather.example/api/hooks/github/…")]
    url: String,
    /// The secret that the sender signs with, which is shown only once.
    #[schema(example = "whsec_…")]
    secret: String,
}

#[derive(Deserialize)]
struct Made {
    id: Uuid,
}

/// Makes an address that others can send to; their requests become events.
///
/// Its secret is shown once, so `Idempotency-Key` is not honoured.
#[utoipa::path(
    post, path = "/api/hooks", tag = "hooks", operation_id = "create_hook", request_body = NewHook,
    responses(
        (status = 201, body = CreatedHook, headers(("Location" = String))),
        (status = 409, description = "`too-many-hooks`"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = [])), extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn create(
    db: Db,
    caller: Caller,
    Input(new): Input<NewHook>,
) -> Result<Created<CreatedHook>> {
    let made: Made = db
        .one(
            "select webhooks.create_hook($1, $2) as id",
            args![caller.id, &new.source],
        )
        .await
        .on_constraint("account_active", Problem::unauthenticated())
        .on_constraint(
            "hook_source_fkey",
            Problem::invalid(
                "source",
                "must be `github`, `generic` or a kind that this server has added",
            ),
        )
        .on_constraint(
            "hook_count",
            Problem::conflict(
                "too-many-hooks",
                "An account can have 50 hooks. Delete one first.",
            ),
        )?;
    let public_url = required_variable("public_url").await?;
    let key = crate::key().await?;
    let token = hook_token(&key, made.id);
    let created = CreatedHook {
        hook: one(&db, &caller, made.id).await?,
        url: format!("{public_url}/api/hooks/{}/{token}", new.source),
        secret: Secret::of_hook(&key, made.id).text(),
    };
    Ok(Created::at(format!("/api/hooks/{}", made.id), created))
}

async fn one(db: &Db, caller: &Caller, id: Uuid) -> Result<Hook> {
    let found = db
        .optional(
            "select id, source, created_at, received_at from hook where owner_id = $1 and id = $2",
            args![caller.id, id],
        )
        .await?;
    found.ok_or_else(|| Problem::not_found("hook"))
}

/// Lists the caller's hooks, the newest first.
#[utoipa::path(
    get, path = "/api/hooks", tag = "hooks", operation_id = "list_hooks", params(guest::PageParams),
    responses((status = 200, body = Items<Hook>), (status = 422, description = "`invalid-input`, `invalid-cursor`")),
    security(("token" = []))
)]
pub async fn list(db: Db, caller: Caller, page: Page<Uuid>) -> Result<Json<Items<Hook>>> {
    let hooks: Vec<Hook> = db
        .many(
            "select id, source, created_at, received_at from hook
             where owner_id = $1 and ($2::uuid is null or id < $2) order by id desc limit $3",
            args![caller.id, page.after, page.fetch()],
        )
        .await?;
    Ok(Json(page.answer(hooks, |hook| hook.id)))
}

/// Reads one of the caller's hooks.
#[utoipa::path(
    get, path = "/api/hooks/{hook}", tag = "hooks", operation_id = "get_hook", params(("hook" = Uuid, Path, description = "The hook's id")),
    responses((status = 200, body = Hook), (status = 404, description = "`not-found`")),
    security(("token" = []))
)]
pub async fn get(db: Db, caller: Caller, Path(hook): Path<Uuid>) -> Result<Json<Hook>> {
    one(&db, &caller, hook).await.map(Json)
}

/// Deletes a hook, so that its address accepts nothing any more.
#[utoipa::path(
    delete, path = "/api/hooks/{hook}", tag = "hooks", operation_id = "delete_hook", params(("hook" = Uuid, Path, description = "The hook's id")),
    responses((status = 204, description = "The hook was deleted"), (status = 404, description = "`not-found`")),
    security(("token" = []))
)]
pub async fn delete(db: Db, caller: Caller, Path(hook): Path<Uuid>) -> Result<StatusCode> {
    let deleted: Option<Made> = db
        .optional(
            "delete from hook where owner_id = $1 and id = $2 returning id",
            args![caller.id, hook],
        )
        .await?;
    deleted.ok_or_else(|| Problem::not_found("hook"))?;
    Ok(StatusCode::NO_CONTENT)
}
