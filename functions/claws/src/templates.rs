//! Templates: what containers of claws are made of. Administrators say it, and claws name it.

use axum::Json;
use axum::http::{StatusCode, Uri};
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Created, Db, Input, Items, Page, Path, Problem, Result, args};
use public_address::{is_public, is_public_name};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A template: what containers of claws are made of.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ClawTemplate {
    /// The name by which claws choose the template.
    name: String,
    /// The kind of place where the claws live: `docker`, which is Docker's or Podman's containers.
    backend: String,
    /// The image, by its digest.
    image: String,
    /// The program and its arguments, in place of the image's own.
    command: Vec<String>,
    /// The computing time, in thousandths of a core.
    cpu_millis: i32,
    /// The memory, in bytes.
    memory_bytes: i64,
    /// The scratch space, in bytes.
    disk_bytes: i64,
    /// The origins that a claw may reach, besides the platform.
    egress: Vec<String>,
    /// Whether `/var/lib/claw` outlives the container.
    volume: bool,
    /// The time at which the template was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

/// A template to make.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewClawTemplate {
    /// The name by which claws shall choose the template.
    #[garde(custom(template_name))]
    #[schema(pattern = "^[a-z0-9][a-z0-9-]{0,39}$", example = "python")]
    name: String,
    /// The kind of place where the claws live: `docker`, which is Docker's or Podman's containers.
    #[garde(skip)]
    backend: Backend,
    /// The image, by its digest: `name@sha256:…`, or `sha256:…`, the id of an image.
    #[garde(length(max = 500))]
    #[schema(max_length = 500)]
    image: String,
    /// The program and its arguments, in place of the image's own.
    #[garde(length(max = 100), inner(length(max = 4_000), custom(argument)))]
    #[serde(default)]
    #[schema(max_items = 100)]
    command: Vec<String>,
    /// The computing time, in thousandths of a core.
    #[garde(range(min = 10, max = 256_000))]
    #[schema(minimum = 10, maximum = 256_000)]
    cpu_millis: i32,
    /// The memory, in bytes.
    #[garde(range(min = 16_777_216, max = 1_099_511_627_776))]
    #[schema(minimum = 16_777_216, maximum = 1_099_511_627_776_f64)]
    memory_bytes: i64,
    /// The scratch space, in bytes, which counts as memory.
    #[garde(range(min = 1_048_576, max = 1_099_511_627_776))]
    #[schema(minimum = 1_048_576, maximum = 1_099_511_627_776_f64)]
    disk_bytes: i64,
    /// The origins that a claw may reach, besides the platform.
    #[garde(length(max = 64), inner(length(max = 300)))]
    #[serde(default)]
    #[schema(max_items = 64, example = json!(["https://api.example.org"]))]
    egress: Vec<String>,
    /// Whether `/var/lib/claw` outlives the container, until the claw is deleted.
    #[garde(skip)]
    #[serde(default)]
    volume: bool,
}

/// The changes to a template. Absent properties stay as they are.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClawTemplateChange {
    /// The image, by its digest.
    #[garde(inner(length(max = 500)))]
    #[schema(max_length = 500)]
    image: Option<String>,
    /// The program and its arguments, in place of the image's own.
    #[garde(inner(length(max = 100), inner(length(max = 4_000), custom(argument))))]
    #[schema(max_items = 100)]
    command: Option<Vec<String>>,
    /// The computing time, in thousandths of a core.
    #[garde(inner(range(min = 10, max = 256_000)))]
    #[schema(minimum = 10, maximum = 256_000)]
    cpu_millis: Option<i32>,
    /// The memory, in bytes.
    #[garde(inner(range(min = 16_777_216, max = 1_099_511_627_776)))]
    #[schema(minimum = 16_777_216, maximum = 1_099_511_627_776_f64)]
    memory_bytes: Option<i64>,
    /// The scratch space, in bytes.
    #[garde(inner(range(min = 1_048_576, max = 1_099_511_627_776)))]
    #[schema(minimum = 1_048_576, maximum = 1_099_511_627_776_f64)]
    disk_bytes: Option<i64>,
    /// All origins that a claw may reach, besides the platform.
    #[garde(inner(length(max = 64), inner(length(max = 300))))]
    #[schema(max_items = 64)]
    egress: Option<Vec<String>>,
    /// Whether `/var/lib/claw` outlives the container.
    #[garde(skip)]
    volume: Option<bool>,
}

/// Where claws with a container live.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = ClawBackend)]
#[serde(rename_all = "lowercase")]
enum Backend {
    /// Docker's or Podman's containers.
    Docker,
}

#[derive(Debug, Deserialize)]
struct Done {
    done: bool,
}

fn template_name(text: &str, _: &()) -> garde::Result {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !(1..=40).contains(&text.len()) || text.starts_with('-') || !text.bytes().all(allowed) {
        return Err(garde::Error::new(
            "must be 1 to 40 of a-z, 0-9 and `-`, not beginning with `-`",
        ));
    }
    if text == "wasm" {
        return Err(garde::Error::new(
            "must not be `wasm`, which is always there",
        ));
    }
    Ok(())
}

fn argument(text: &str, _: &()) -> garde::Result {
    if text.contains('\0') {
        return Err(garde::Error::new("must not contain a zero character"));
    }
    Ok(())
}

/// Whether a text is an origin of the public web.
fn is_origin(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else {
        return false;
    };
    let is_web = matches!(uri.scheme_str(), Some("https" | "http"));
    let is_bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host = uri.host().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse();
    let is_open = address.map_or_else(|_| is_public_name(host), is_public);
    is_web && is_bare && !authority.contains('@') && is_open
}

fn is_pinned(image: &str) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    image.rsplit_once("sha256:").is_some_and(|(name, digest)| {
        digest.len() == 64
            && digest.bytes().all(is_digit)
            && (name.is_empty() || name.len() > 1 && name.find('@') == Some(name.len() - 1))
            && !name.contains(char::is_whitespace)
    })
}

/// Refuses an image that is not named by its digest, and origins that are not of the public web.
fn check(image: Option<&str>, egress: &[String]) -> Result<()> {
    let unfit = |code, detail| Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail));
    if !image.is_none_or(is_pinned) {
        return unfit(
            "image-not-pinned",
            "An image is named by its digest, such as registry.example/claw@sha256:….",
        );
    }
    if !egress.iter().all(|origin| is_origin(origin)) {
        return unfit(
            "origin-refused",
            "`egress` has origins of the public web, such as https://api.example.org.",
        );
    }
    Ok(())
}

/// Makes a template.
#[utoipa::path(
    post, path = "/api/claw-templates", tag = "claws", operation_id = "create_claw_template",
    params(("Idempotency-Key" = Option<String>, Header, description = "A key that makes a repeated request harmless.")),
    request_body = NewClawTemplate,
    responses(
        (status = 201, body = ClawTemplate, headers(("Location" = String))),
        (status = 409, description = "`name-taken`, `idempotency-mismatch`"),
        (status = 422, description = "`invalid-input`, `image-not-pinned`, `origin-refused`"),
    ),
    security(("token" = ["claws:templates"]))
)]
pub async fn create(
    db: Db,
    _caller: Caller,
    Input(new): Input<NewClawTemplate>,
) -> Result<Created<ClawTemplate>> {
    check(Some(&new.image), &new.egress)?;
    let made: ClawTemplate = db
        .one(
            "select name, backend, image, command, cpu_millis, memory_bytes, disk_bytes, egress, volume, created_at
             from create_template($1)",
            args![json!(new)],
        )
        .await
        .on_constraint(
            "template_pkey",
            Problem::conflict("name-taken", "Another template has this name."),
        )?;
    Ok(Created::at(
        format!("/api/claw-templates/{}", made.name),
        made,
    ))
}

/// Lists the templates of containers, by their names. `wasm`, which needs no container, is always there besides.
#[utoipa::path(
    get, path = "/api/claw-templates", tag = "claws", operation_id = "list_claw_templates", params(guest::PageParams),
    responses(
        (status = 200, body = Items<ClawTemplate>),
        (status = 422, description = "`invalid-input`, `invalid-cursor`"),
    ),
    security(("token" = []))
)]
pub async fn list(
    db: Db,
    _caller: Caller,
    page: Page<String>,
) -> Result<Json<Items<ClawTemplate>>> {
    let templates: Vec<ClawTemplate> = db
        .many(
            "select name, backend, image, command, cpu_millis, memory_bytes, disk_bytes, egress, volume, created_at
             from template where ($1::text is null or name > $1) order by name limit $2",
            args![page.after.clone(), page.fetch()],
        )
        .await?;
    Ok(Json(
        page.answer(templates, |one: &ClawTemplate| one.name.clone()),
    ))
}

/// Reads a template.
#[utoipa::path(
    get, path = "/api/claw-templates/{template}", tag = "claws", operation_id = "get_claw_template",
    params(("template" = String, Path, description = "The name of the template.")),
    responses((status = 200, body = ClawTemplate), (status = 404, description = "`not-found`")),
    security(("token" = []))
)]
pub async fn get(
    db: Db,
    _caller: Caller,
    Path(template): Path<String>,
) -> Result<Json<ClawTemplate>> {
    let found: Option<ClawTemplate> = db
        .optional(
            "select name, backend, image, command, cpu_millis, memory_bytes, disk_bytes, egress, volume, created_at
             from template where name = $1",
            args![template],
        )
        .await?;
    found
        .map(Json)
        .ok_or_else(|| Problem::not_found("template"))
}

/// Changes what a template's containers are made of. Claws that run keep theirs until they begin anew.
#[utoipa::path(
    patch, path = "/api/claw-templates/{template}", tag = "claws", operation_id = "change_claw_template",
    params(("template" = String, Path, description = "The name of the template.")), request_body = ClawTemplateChange,
    responses(
        (status = 200, body = ClawTemplate),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`, `image-not-pinned`, `origin-refused`"),
    ),
    security(("token" = ["claws:templates"]))
)]
pub async fn change(
    db: Db,
    _caller: Caller,
    Path(template): Path<String>,
    Input(change): Input<ClawTemplateChange>,
) -> Result<Json<ClawTemplate>> {
    check(
        change.image.as_deref(),
        change.egress.as_deref().unwrap_or_default(),
    )?;
    let changed: Option<ClawTemplate> = db
        .optional(
            "update template o set image = coalesce(t.image, o.image), command = coalesce(t.command, o.command),
                 cpu_millis = coalesce(t.cpu_millis, o.cpu_millis), memory_bytes = coalesce(t.memory_bytes, o.memory_bytes),
                 disk_bytes = coalesce(t.disk_bytes, o.disk_bytes), egress = coalesce(t.egress, o.egress),
                 volume = coalesce(t.volume, o.volume)
             from jsonb_populate_record(null::template, $2) t where o.name = $1
             returning o.name, o.backend, o.image, o.command, o.cpu_millis, o.memory_bytes, o.disk_bytes, o.egress, o.volume,
                 o.created_at",
            args![template, json!(change)],
        )
        .await?;
    changed
        .map(Json)
        .ok_or_else(|| Problem::not_found("template"))
}

/// Deletes a template. Claws that were made of it run on, and can't begin anew.
#[utoipa::path(
    delete, path = "/api/claw-templates/{template}", tag = "claws", operation_id = "delete_claw_template",
    params(("template" = String, Path, description = "The name of the template.")),
    responses(
        (status = 204, description = "The template is deleted."),
        (status = 404, description = "`not-found`"),
    ),
    security(("token" = ["claws:templates"]))
)]
pub async fn delete(db: Db, _caller: Caller, Path(template): Path<String>) -> Result<StatusCode> {
    let gone: Done = db
        .one(
            "with gone as (delete from template where name = $1 returning name)
             select exists (select from gone) as done",
            args![template],
        )
        .await?;
    if !gone.done {
        return Err(Problem::not_found("template"));
    }
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_pinned_and_origins_public() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let pinned = format!("registry.example/claw@{digest}");
        assert!(is_pinned(&digest) && is_pinned(&pinned));
        let unnamed = format!("@{digest}");
        let joined = format!("claw{digest}");
        for image in ["claw", "claw:latest", "@", &unnamed, &joined, &digest[..70]] {
            assert!(!is_pinned(image), "{image}");
        }
        assert!(is_origin("https://api.example.org") && is_origin("http://api.example.org:8080/"));
        for origin in [
            "https://10.0.0.1",
            "https://[::1]",
            "http://localhost",
            "https://a.example.org/x",
            "ftp://a.example.org",
            "https://u@a.example.org",
            "x",
        ] {
            assert!(!is_origin(origin), "{origin}");
        }
    }
}
