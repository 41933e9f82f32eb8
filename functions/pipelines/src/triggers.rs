//! Triggers: events, and requests of other systems, that start runs.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use garde::Validate;
use guest::db::OnConstraint;
use guest::{
    Caller, Created, Db, Input, Items, Page, Path, Problem, Result, Unkept, args, given,
    required_variable,
};
use pipeline::{Expression, expressions};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;
use webhook::{Secret, hook_token};

use crate::{deliveries, pipelines};

/// A trigger: each event, or each request of another system, starts a run if it fits.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Trigger {
    /// The trigger's id.
    id: Uuid,
    /// The pipeline that is run.
    pipeline: Uuid,
    /// The kind of trigger.
    kind: TriggerKind,
    /// The type of the events: `message.created`, or `message.*` for all that begin so. Null of a webhook.
    #[serde(rename = "type")]
    event_type: Option<String>,
    /// How senders to a webhook sign; null: whoever knows the address may send.
    verify: Option<Signing>,
    /// The topic of the events; null: every topic that the owner may read.
    topic: Option<String>,
    /// The expression that decides, which reads `event`; null: every event counts.
    #[serde(rename = "where")]
    condition: Option<String>,
    /// The template of the run's input, whose expressions read `event`.
    #[schema(value_type = Object)]
    input: Value,
    /// Whether events start runs.
    enabled: bool,
    /// The time at which the trigger was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

/// The kind of a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TriggerKind {
    /// Events start runs.
    Event,
    /// Requests of other systems to an address of its own start runs.
    Webhook,
}

impl TriggerKind {
    fn text(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Webhook => "webhook",
        }
    }
}

/// How senders to a webhook sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = WebhookSigning)]
#[serde(rename_all = "kebab-case")]
pub enum Signing {
    /// As Standard Webhooks say.
    StandardWebhooks,
    /// As GitHub does, by `X-Hub-Signature-256`.
    #[serde(rename = "github")]
    GitHub,
}

impl Signing {
    fn text(self) -> &'static str {
        match self {
            Self::StandardWebhooks => "standard-webhooks",
            Self::GitHub => "github",
        }
    }
}

/// A trigger that was made. A webhook has an address and, if senders sign, a secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedTrigger {
    #[serde(flatten)]
    trigger: Trigger,
    /// The address of a webhook, which is shown only once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(
        nullable = false,
        example = "https://gather.example/api/hooks/pipeline/…"
    )]
    url: Option<String>,
    /// The secret that senders sign with, which is shown only once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "whsec_…")]
    secret: Option<String>,
}

/// A new trigger.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTrigger {
    /// The kind of trigger.
    #[garde(skip)]
    kind: TriggerKind,
    /// The type of the events: `message.created`, or `message.*` for all that begin so. Events only, which need it.
    #[garde(skip)]
    #[serde(rename = "type")]
    #[schema(max_length = 100)]
    event_type: Option<String>,
    /// How senders to a webhook sign; without it, whoever knows the address may send.
    #[garde(skip)]
    verify: Option<Signing>,
    /// The topic of the events; every topic that the caller may read if absent. Events only.
    #[garde(inner(custom(check_topic)))]
    #[schema(
        max_length = 120,
        example = "channel:0192f5c0-0000-7000-8000-000000000000"
    )]
    topic: Option<String>,
    /// The expression that decides, which reads `event {id, type, topic, data, created_at}`, of a webhook
    /// `{data: {body, headers}}`.
    #[garde(skip)]
    #[serde(rename = "where")]
    #[schema(max_length = 4096, example = "event.data.body.contains('deploy')")]
    condition: Option<String>,
    /// The template of the run's input; the event if absent.
    #[garde(custom(check_template))]
    #[serde(default = "whole")]
    #[schema(value_type = Object)]
    input: Value,
}

/// A change of a trigger. Absent fields stay as they are.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TriggerChange {
    /// Whether events start runs.
    #[garde(skip)]
    enabled: Option<bool>,
    /// The expression that decides; null if every event counts.
    #[garde(skip)]
    #[serde(default, rename = "where", deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 4096)]
    condition: Option<Option<String>>,
    /// The template of the run's input.
    #[garde(inner(custom(check_template)))]
    #[schema(value_type = Object, nullable = false)]
    input: Option<Value>,
}

/// What became of an event, or of a delivery to a webhook.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct TriggerFiring {
    /// The firing's id.
    id: Uuid,
    /// The event's id; null of a webhook.
    event: Option<Uuid>,
    /// `started`; `filtered`: the expression is false; `suppressed`: it would go on and on; or `failed`.
    status: String,
    /// The reason, if no run was started.
    reason: Option<String>,
    /// The run that was started.
    run: Option<Uuid>,
    /// The time of the decision.
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
}

#[derive(Deserialize)]
struct Made {
    id: Option<Uuid>,
}

#[derive(Deserialize)]
struct Done {
    done: bool,
}

fn whole() -> Value {
    serde_json::json!({"$": "event"})
}

/// The database decides about topics; it refuses other forms by a constraint, and clients get an answer here.
fn check_topic(text: &str, (): &()) -> garde::Result {
    let is_fit = match text.split_once(':') {
        Some(("tag", name)) => {
            (1..=40).contains(&name.chars().count())
                && !name.contains([':', '\0'])
                && !name.contains(char::is_whitespace)
        }
        Some((kind, id)) => {
            !kind.is_empty()
                && kind.bytes().all(|byte| byte.is_ascii_lowercase())
                && (1..=100).contains(&id.len())
                && id
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        }
        None => false,
    };
    if is_fit {
        return Ok(());
    }
    Err(garde::Error::new("must be a topic such as `channel:<id>`"))
}

fn reads_events(text: &str) -> garde::Result {
    let expression = Expression::parse(text).map_err(garde::Error::new)?;
    if let Some(name) = expression.unknown_function() {
        let why = format!("uses the unknown function `{name}`");
        return Err(garde::Error::new(why));
    }
    if expression.names().iter().all(|name| *name == "event") {
        return Ok(());
    }
    Err(garde::Error::new("may only read `event`"))
}

/// Checks an expression under the name that its field has in requests.
fn check_expression(text: Option<&String>) -> Result<()> {
    let checked = text.map_or(Ok(()), |text| reads_events(text));
    checked.map_err(|error| Problem::invalid("where", error.message().to_owned()))
}

fn check_template(template: &Value, (): &()) -> garde::Result {
    if template.to_string().len() > 64 << 10 {
        return Err(garde::Error::new("must have at most 64 KiB"));
    }
    pipeline::fit(template).map_err(|fault| garde::Error::new(fault.detail))?;
    let mut result = Ok(());
    expressions(template, "", &mut |_, text| {
        let text = text.as_str().unwrap_or_default();
        if let Err(error) = reads_events(text) {
            result = Err(error);
        }
    });
    result
}

impl NewTrigger {
    /// Checks that the fields belong to the kind.
    fn check(&self) -> Result<()> {
        let is_event = self.kind == TriggerKind::Event;
        let of = |is_there: bool, fits: bool, field: &'static str| match is_there == fits {
            true => Ok(()),
            false => Err(Problem::invalid(field, "does not belong to this kind")),
        };
        // Types are lower-case words between points and hyphens; `.*` may end them.
        match &self.event_type {
            None if is_event => return Err(Problem::invalid("type", "is missing")),
            Some(text) if is_event && !pipeline::is_event_type(text) => {
                let why = "must be a type such as `message.created`, or `message.*`";
                return Err(Problem::invalid("type", why));
            }
            given => of(given.is_some(), is_event, "type")?,
        }
        check_expression(self.condition.as_ref())?;
        of(
            self.topic.is_some(),
            is_event && self.topic.is_some(),
            "topic",
        )?;
        of(
            self.verify.is_some(),
            !is_event && self.verify.is_some(),
            "verify",
        )
    }
}

async fn one(db: &Db, caller: &Caller, id: Uuid) -> Result<Trigger> {
    let found = db
        .optional(
            "select id, pipeline_id as pipeline, kind, type, verify, topic, condition as \"where\", input, enabled, created_at
             from trigger where owner_id = $1 and id = $2",
            args![caller.id, id],
        )
        .await?;
    found.ok_or_else(|| Problem::not_found("trigger"))
}

/// Makes a trigger, whose runs are the caller's: by events that fit and that the caller may read at that time, or by
/// requests of other systems to an address of its own.
///
/// Work that would set itself off again and again is suppressed: eight starts lead to no ninth. The address and the secret
/// of a webhook are shown once, so `Idempotency-Key` is only honoured for events.
#[utoipa::path(
    post, path = "/api/pipelines/{pipeline}/triggers", tag = "pipelines", operation_id = "create_trigger",
    params(
        ("pipeline" = String, Path, description = "The pipeline's id, or its name."),
        ("Idempotency-Key" = Option<String>, Header, description = "A key that makes a repeated request harmless, if the trigger is of the kind `event`."),
    ),
    request_body = NewTrigger,
    responses(
        (status = 201, body = CreatedTrigger, headers(("Location" = String))),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`pipeline-archived`, `too-many-triggers`"),
        (status = 422, description = "`invalid-input`: also if the caller may not read the topic"),
    ),
    security(("token" = ["pipelines:write"]))
)]
pub async fn create(
    db: Db,
    caller: Caller,
    Path(pipeline): Path<String>,
    Input(new): Input<NewTrigger>,
) -> Result<Response> {
    new.check()?;
    let id = pipelines::find(&db, &caller, &pipeline).await?;
    let many = Problem::conflict("too-many-triggers", "A pipeline can have 50 triggers.");
    let unread = Problem::invalid("topic", "must be a topic that you may read");
    let made: Made = db
        .one(
            "select create_trigger($1, $2, $3, $4, $5, $6, $7, $8) as id",
            args![
                caller.id,
                id,
                new.kind.text(),
                new.event_type,
                new.topic,
                new.verify.map(Signing::text),
                new.condition,
                new.input
            ],
        )
        .await
        .on_constraint("account_active", Problem::unauthenticated())
        .on_constraint("pipeline_archived", pipelines::archived())
        .on_constraint("trigger_count", many)
        .on_constraint("trigger_topic", unread)?;
    let id = made.id.ok_or_else(|| Problem::not_found("pipeline"))?;
    let trigger = one(&db, &caller, id).await?;
    let mut created = CreatedTrigger {
        trigger,
        url: None,
        secret: None,
    };
    if new.kind == TriggerKind::Webhook {
        let key = deliveries::key().await?;
        let public_url = required_variable("public_url").await?;
        let token = hook_token(&key, id);
        created.url = Some(format!("{public_url}/api/hooks/pipeline/{token}"));
        created.secret = new.verify.map(|_| Secret::of_hook(&key, id).text());
    }
    let mut answer = Created::at(format!("/api/triggers/{id}"), created).into_response();
    if new.kind == TriggerKind::Webhook {
        answer.extensions_mut().insert(Unkept);
    }
    Ok(answer)
}

/// Lists the triggers of a pipeline, the newest first.
#[utoipa::path(
    get, path = "/api/pipelines/{pipeline}/triggers", tag = "pipelines", operation_id = "list_triggers",
    params(("pipeline" = String, Path, description = "The pipeline's id, or its name."), guest::PageParams),
    responses(
        (status = 200, body = Items<Trigger>),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`, `invalid-cursor`"),
    ),
    security(("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    Path(pipeline): Path<String>,
    page: Page<Uuid>,
) -> Result<Json<Items<Trigger>>> {
    let id = pipelines::find(&db, &caller, &pipeline).await?;
    let triggers: Vec<Trigger> = db
        .many(
            "select id, pipeline_id as pipeline, kind, type, verify, topic, condition as \"where\", input, enabled, created_at
             from trigger where pipeline_id = $1 and ($2::uuid is null or id < $2) order by id desc limit $3",
            args![id, page.after, page.fetch()],
        )
        .await?;
    Ok(Json(page.answer(triggers, |trigger| trigger.id)))
}

/// Reads one of the caller's triggers.
#[utoipa::path(
    get, path = "/api/triggers/{trigger}", tag = "pipelines", operation_id = "get_trigger",
    params(("trigger" = Uuid, Path, description = "The trigger's id.")),
    responses((status = 200, body = Trigger), (status = 404, description = "`not-found`")),
    security(("token" = []))
)]
pub async fn get(db: Db, caller: Caller, Path(trigger): Path<Uuid>) -> Result<Json<Trigger>> {
    one(&db, &caller, trigger).await.map(Json)
}

/// Changes a trigger, enables it or disables it.
#[utoipa::path(
    patch, path = "/api/triggers/{trigger}", tag = "pipelines", operation_id = "change_trigger",
    params(("trigger" = Uuid, Path, description = "The trigger's id.")), request_body = TriggerChange,
    responses(
        (status = 200, body = Trigger),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = ["pipelines:write"]))
)]
pub async fn change(
    db: Db,
    caller: Caller,
    Path(trigger): Path<Uuid>,
    Input(change): Input<TriggerChange>,
) -> Result<Json<Trigger>> {
    check_expression(change.condition.as_ref().and_then(Option::as_ref))?;
    let done: Done = db
        .one(
            "select change_trigger($1, $2, $3, $4, $5) as done",
            args![
                caller.id,
                trigger,
                change.enabled,
                change.condition.map(Option::unwrap_or_default),
                change.input
            ],
        )
        .await?;
    if !done.done {
        return Err(Problem::not_found("trigger"));
    }
    one(&db, &caller, trigger).await.map(Json)
}

/// Deletes a trigger. Runs that it has started go on.
#[utoipa::path(
    delete, path = "/api/triggers/{trigger}", tag = "pipelines", operation_id = "delete_trigger",
    params(("trigger" = Uuid, Path, description = "The trigger's id.")),
    responses((status = 204, description = "The trigger is deleted"), (status = 404, description = "`not-found`")),
    security(("token" = ["pipelines:write"]))
)]
pub async fn delete(db: Db, caller: Caller, Path(trigger): Path<Uuid>) -> Result<StatusCode> {
    let done: Done = db
        .one(
            "select delete_trigger($1, $2) as done",
            args![caller.id, trigger],
        )
        .await?;
    if !done.done {
        return Err(Problem::not_found("trigger"));
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Lists what became of the events of a trigger, the newest first.
#[utoipa::path(
    get, path = "/api/triggers/{trigger}/firings", tag = "pipelines", operation_id = "list_trigger_firings",
    params(("trigger" = Uuid, Path, description = "The trigger's id."), guest::PageParams),
    responses(
        (status = 200, body = Items<TriggerFiring>),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`, `invalid-cursor`"),
    ),
    security(("token" = []))
)]
pub async fn firings(
    db: Db,
    caller: Caller,
    Path(trigger): Path<Uuid>,
    page: Page<Uuid>,
) -> Result<Json<Items<TriggerFiring>>> {
    one(&db, &caller, trigger).await?;
    let firings: Vec<TriggerFiring> = db
        .many(
            "select id, event_id as event, status, reason, run_id as run, at from trigger_firing
             where trigger_id = $1 and ($2::uuid is null or id < $2) order by id desc limit $3",
            args![trigger, page.after, page.fetch()],
        )
        .await?;
    Ok(Json(page.answer(firings, |firing| firing.id)))
}
