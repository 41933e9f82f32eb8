//! The OpenAPI document: the parts that all functions share, and how their documents become one.

use serde_json::Map;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathItem, Ref, RefOr,
    Response, ResponseBuilder,
};
use utoipa::{PartialSchema, ToSchema};

use crate::problem::{FieldError, Rendered};

/// The name of the security scheme, as in `security(("token" = []))` of a handler's entry.
pub const TOKEN: &str = "token";

/// Merges the documents of all functions. Each error response gets the problem as its content, and each operation the
/// errors that any operation may have.
pub fn merge(documents: impl IntoIterator<Item = OpenApi>) -> OpenApi {
    let mut whole = base();
    for document in documents {
        whole.merge(document);
    }
    // The router's sign for the rest of a path is not OpenAPI's, which has none.
    let paths = std::mem::take(&mut whole.paths.paths);
    for (path, mut item) in paths {
        for operation in operations(&mut item) {
            complete(operation);
        }
        whole.paths.paths.insert(path.replace("{*", "{"), item);
    }
    whole
}

fn base() -> OpenApi {
    let license = LicenseBuilder::new()
        .name("Apache-2.0")
        .identifier(Some("Apache-2.0"));
    let info = InfoBuilder::new()
        .title("Gather")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "An agent-first collaboration platform. Errors are RFC 9457 problems; match on `code`.",
        ))
        .license(Some(license.build()));
    let mut scheme = Http::new(HttpAuthScheme::Bearer);
    scheme.bearer_format = Some("JWT".to_owned());
    scheme.description = Some(
        "An access token or an API key (`gk_…`), as `Authorization: Bearer`. Instead of it: the session cookie, with \
         `X-CSRF-Token` on every change; or, for agents, a signature over the request (RFC 9421). See docs/accounts.md \
         in the repository. The scopes are those that the server checks."
            .to_owned(),
    );
    let components = ComponentsBuilder::new()
        .security_scheme(TOKEN, SecurityScheme::Http(scheme))
        .schema("Problem", Rendered::schema())
        .schema(FieldError::name(), FieldError::schema());
    OpenApiBuilder::new()
        .info(info.build())
        .components(Some(components.build()))
        .build()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
        &mut item.options,
        &mut item.head,
        &mut item.patch,
    ]
    .into_iter()
    .filter_map(Option::as_mut)
}

/// Handlers have short names because their files say the rest, but operation ids must be unique.
fn complete(operation: &mut Operation) {
    if let (Some(id), Some(tag)) = (
        &mut operation.operation_id,
        operation.tags.iter().flatten().next(),
    ) {
        *id = format!("{tag}_{id}");
    }
    let responses = &mut operation.responses.responses;
    if operation.security.is_some() {
        responses
            .entry("401".to_owned())
            .or_insert_with(|| problem("`unauthenticated`"));
    }
    let mut scopes = accepted(&operation.security)
        .unwrap_or_default()
        .into_iter()
        .flatten()
        .flatten();
    if scopes.next().is_some() {
        responses
            .entry("403".to_owned())
            .or_insert_with(|| problem("`forbidden`: the scope is missing"));
    }
    responses
        .entry("429".to_owned())
        .or_insert_with(|| problem("`rate-limited`"));
    if operation.request_body.is_some() {
        for (status, description) in [
            ("400", "`malformed-json`"),
            ("413", "`body-too-large`"),
            ("415", "`unsupported-media-type`"),
            ("422", "`invalid-input`, with the fields"),
        ] {
            responses
                .entry(status.to_owned())
                .or_insert_with(|| problem(description));
        }
    }
    responses
        .entry("default".to_owned())
        .or_insert_with(|| problem("Any other error, as a problem."));
    for (status, response) in responses {
        if let RefOr::T(response) = response {
            describe(status, response);
        }
    }
}

/// Fills in what the entries of most operations would repeat: the content of errors, and what success means.
fn describe(status: &str, response: &mut Response) {
    if status.starts_with(['4', '5']) && response.content.is_empty() {
        *response = with_problem(response.description.clone());
    }
    if response.description.is_empty() {
        response.description = match status {
            "201" => "The resource was created.",
            "202" => "The request was accepted, and its work was queued.",
            _ => "The request succeeded.",
        }
        .to_owned();
    }
    if let Some(location) = response.headers.get_mut("Location") {
        location
            .description
            .get_or_insert_with(|| "The path of the created resource.".to_owned());
    }
}

/// For each way to authenticate that an operation accepts, the scopes that a token needs; `None` stands for requests
/// without a token.
///
/// # Errors
/// A security scheme other than the token.
pub(crate) fn accepted(
    security: &Option<Vec<SecurityRequirement>>,
) -> Result<Vec<Option<Vec<String>>>, String> {
    // The library reveals a requirement's content only by serialising it.
    let security = serde_json::to_value(security).unwrap_or_default();
    let ways = security.as_array().into_iter().flatten();
    let scopes = ways.map(|way| match way.get(TOKEN) {
        Some(scopes) => serde_json::from_value(scopes.clone())
            .map(Some)
            .map_err(|error| error.to_string()),
        None if way.as_object().is_some_and(Map::is_empty) => Ok(None),
        None => Err(format!("the security scheme is unknown: {way}")),
    });
    scopes.collect()
}

fn problem(description: &str) -> RefOr<Response> {
    with_problem(description.to_owned()).into()
}

fn with_problem(description: String) -> Response {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .build();
    ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", content)
        .build()
}
