//! The settings of an account's inbox.

use std::collections::BTreeMap;

use axum::Json;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Db, Input, Problem, Result, args};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

/// The inbox settings of an account, by kind of notification.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(transparent)]
#[garde(transparent)]
pub struct InboxSettings(#[garde(length(max = 1000), dive)] BTreeMap<String, KindSetting>);

/// The setting for one kind of notification.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
pub struct KindSetting {
    /// Whether notifications of this kind appear in the inbox.
    #[garde(skip)]
    inbox: bool,
}

#[derive(Debug, Deserialize)]
struct Row {
    settings: InboxSettings,
}

/// Lists all kinds of notifications, and whether the caller wants each of them.
#[utoipa::path(
    get, path = "/api/inbox/settings", tag = "inbox", responses((status = 200, body = InboxSettings)),
    security(("token" = []))
)]
pub async fn settings(db: Db, caller: Caller) -> Result<Json<InboxSettings>> {
    read(&db, &caller).await
}

async fn read(db: &Db, caller: &Caller) -> Result<Json<InboxSettings>> {
    let row: Row = db
        .one(
            "select jsonb_object_agg(k.name, jsonb_build_object('inbox', coalesce(s.inbox, true))) as settings
             from kind k left join setting s on s.kind = k.name and s.account_id = $1",
            args![caller.id],
        )
        .await?;
    Ok(Json(row.settings))
}

/// Sets which kinds of notifications the caller wants.
///
/// Kinds that are left out appear in the inbox, as all kinds do by default.
#[utoipa::path(
    put, path = "/api/inbox/settings", tag = "inbox", request_body = InboxSettings,
    responses((status = 200, body = InboxSettings), (status = 422, description = "`invalid-input`")),
    security(("token" = []))
)]
pub async fn change_settings(
    db: Db,
    caller: Caller,
    Input(settings): Input<InboxSettings>,
) -> Result<Json<InboxSettings>> {
    db.execute(
        "with given as (
             select key as kind, (value ->> 'inbox')::boolean as inbox from jsonb_each($2)
         ), gone as (
             delete from setting s where s.account_id = $1 and s.kind not in (select g.kind from given g)
         )
         insert into setting (account_id, kind, inbox) select $1, g.kind, g.inbox from given g order by g.kind
         on conflict on constraint setting_pkey do update set inbox = excluded.inbox",
        args![caller.id, json!(settings)],
    )
    .await
    .on_constraint(
        "setting_kind_known",
        Problem::invalid("", "names a kind that is not among those of `GET /api/inbox/settings`"),
    )?;
    read(&db, &caller).await
}
