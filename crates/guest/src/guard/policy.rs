//! The requirements of each operation, read from its OpenAPI entry.

use std::collections::HashMap;

use axum::extract::{MatchedPath, Request};
use foldhash::fast::RandomState;
use http::Method;
use http::header::{IF_MATCH, IF_NONE_MATCH};
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};

use crate::extract::MAX_BODY_BYTES;
use crate::limits::Tier;
use crate::{SCOPES, idempotency, openapi};

/// The requirements of an operation.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Policy {
    pub(super) tier: Tier,
    /// Whether the caller's identity is checked, if there is one.
    pub(super) looks: bool,
    /// Whether an identity is required. An operation that has more to say about authentication refuses by itself:
    /// `extensions(("x-own-challenge" = json!(true)))`.
    pub(super) required: bool,
    pub(super) scopes: Vec<String>,
    /// The largest body with an `Idempotency-Key`; `None` if the operation does not honour it. The `request_body` sets
    /// a larger limit with `extensions(("x-max-body-bytes" = json!(…)))`.
    pub(super) idempotent_up_to: Option<usize>,
    /// Whether the operation checks `If-Match` itself, which is then among its parameters.
    pub(super) matches: bool,
    /// Whether the operation checks `If-None-Match` itself.
    pub(super) matches_none: bool,
}

/// The policy for unknown paths and methods.
static NO_OPERATION: Policy = Policy {
    tier: Tier::Relaxed,
    looks: false,
    required: false,
    scopes: Vec::new(),
    idempotent_up_to: None,
    matches: false,
    matches_none: false,
};

impl Policy {
    /// # Errors
    /// The entry contains an unknown word.
    fn of(operation: &Operation) -> std::result::Result<Self, String> {
        let mut policy = Self {
            tier: Tier::Standard,
            ..NO_OPERATION.clone()
        };
        let (mut own, mut max_bytes) = (false, MAX_BODY_BYTES);
        for (name, value) in operation.extensions.iter().flat_map(|all| all.iter()) {
            let wrong = || format!("`{name}` can't be {value}");
            match name.as_str() {
                "x-rate-limit" => {
                    policy.tier = serde_json::from_value(value.clone()).map_err(|_| wrong())?;
                }
                "x-own-challenge" => own = value.as_bool().ok_or_else(wrong)?,
                _ => return Err(format!("the extension `{name}` is unknown")),
            }
        }
        let body = operation.request_body.as_ref();
        let body = body.and_then(|body| body.extensions.as_ref());
        for (name, value) in body.iter().flat_map(|all| all.iter()) {
            if name != "x-max-body-bytes" {
                return Err(format!("the extension `{name}` of a body is unknown"));
            }
            let bytes = value.as_u64().and_then(|bytes| usize::try_from(bytes).ok());
            max_bytes = bytes.ok_or_else(|| format!("`{name}` can't be {value}"))?;
        }
        let accepted = openapi::accepted(&operation.security)?;
        policy.looks = accepted.iter().any(Option::is_some);
        policy.required = !accepted.is_empty() && accepted.iter().all(Option::is_some) && !own;
        policy.scopes = accepted.into_iter().flatten().flatten().collect();
        let unknown = |scope: &&String| !SCOPES.contains(&scope.as_str());
        if let Some(scope) = policy.scopes.iter().find(unknown) {
            return Err(format!("no role grants the scope `{scope}`"));
        }
        let takes = |header: &str| {
            let mut parameters = operation.parameters.iter().flatten();
            parameters.any(|parameter: &Parameter| {
                matches!(parameter.parameter_in, ParameterIn::Header)
                    && parameter.name.eq_ignore_ascii_case(header)
            })
        };
        policy.idempotent_up_to = takes(idempotency::KEY.as_str()).then_some(max_bytes);
        policy.matches = takes(IF_MATCH.as_str());
        policy.matches_none = takes(IF_NONE_MATCH.as_str());
        Ok(policy)
    }
}

/// The policies, by path as the router spells it, and by method.
pub(super) struct Policies(HashMap<String, Vec<(Method, Policy)>, RandomState>);

impl Policies {
    pub(super) fn of(document: &OpenApi) -> std::result::Result<Self, String> {
        let mut all = HashMap::default();
        for (path, item) in &document.paths.paths {
            let mut policies = Vec::new();
            for (method, operation) in [
                (Method::GET, &item.get),
                (Method::HEAD, &item.head),
                (Method::POST, &item.post),
                (Method::PUT, &item.put),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ] {
                if let Some(operation) = operation {
                    let policy = Policy::of(operation);
                    let policy = policy.map_err(|wrong| format!("{method} {path}: {wrong}"))?;
                    policies.push((method, policy));
                }
            }
            all.insert(path.clone(), policies);
        }
        Ok(Self(all))
    }

    pub(super) fn get(&self, request: &Request) -> &Policy {
        let path = request.extensions().get::<MatchedPath>();
        let operations = path.and_then(|path| self.0.get(path.as_str()));
        let find = |wanted: &Method| {
            let mut operations = operations.into_iter().flatten();
            operations.find(|(method, _)| method == wanted)
        };
        let head = || (*request.method() == Method::HEAD).then(|| find(&Method::GET));
        let found = find(request.method()).or_else(|| head().flatten());
        found.map_or(&NO_OPERATION, |(_, policy)| policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::guarded;
    use utoipa_axum::router::OpenApiRouter;

    mod documented {
        #[utoipa::path(get, path = "/open", responses())]
        pub async fn open() {}
        #[utoipa::path(get, path = "/known", responses(), security(("token" = [])))]
        pub async fn known() {}
        #[utoipa::path(get, path = "/looked-at", responses(), security((), ("token" = [])))]
        pub async fn looked_at() {}
        #[utoipa::path(
            post, path = "/scoped", responses(), security(("token" = ["kb:write"])),
            extensions(("x-rate-limit" = json!("bulk")))
        )]
        pub async fn scoped() {}
        #[utoipa::path(
            post, path = "/once", responses(),
            params(
                ("Idempotency-Key" = Option<String>, Header, description = "A key that makes a repeated request harmless."),
                ("If-Match" = String, Header, description = "The `ETag` of what is changed."),
            ),
            request_body(content = String, extensions(("x-max-body-bytes" = json!(5))))
        )]
        pub async fn once() {}
        #[utoipa::path(get, path = "/a", responses(), extensions(("x-rate-limit" = json!("stricd"))))]
        pub async fn unknown_tier() {}
        #[utoipa::path(get, path = "/b", responses(), security(("token" = ["kb:wriet"])))]
        pub async fn unknown_scope() {}
        #[utoipa::path(get, path = "/c", responses(), security(("tokne" = [])))]
        pub async fn unknown_scheme() {}
        #[utoipa::path(get, path = "/d", responses(), extensions(("x-rate-limits" = json!("strict"))))]
        pub async fn unknown_extension() {}
        #[utoipa::path(post, path = "/e", responses(), request_body(content = String, extensions(("x-max-body-bytes" = json!("5")))))]
        pub async fn no_size() {}
    }

    #[test]
    fn an_entry_that_asks_for_what_nobody_knows_fails_with_the_operation() {
        use documented::{
            __path_no_size, __path_unknown_extension, __path_unknown_scheme, __path_unknown_scope,
            __path_unknown_tier, no_size, unknown_extension, unknown_scheme, unknown_scope,
            unknown_tier,
        };
        use utoipa_axum::routes;
        let new = OpenApiRouter::<()>::new;
        for (router, operation, word) in [
            (new().routes(routes!(unknown_tier)), "GET /a", "stricd"),
            (new().routes(routes!(unknown_scope)), "GET /b", "kb:wriet"),
            (new().routes(routes!(unknown_scheme)), "GET /c", "tokne"),
            (
                new().routes(routes!(unknown_extension)),
                "GET /d",
                "x-rate-limits",
            ),
            (
                new().routes(routes!(no_size)),
                "POST /e",
                "x-max-body-bytes",
            ),
        ] {
            let made = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| guarded(router)));
            let message = made.expect_err(operation);
            let message = message.downcast_ref::<String>().expect("a text");
            assert!(
                message.contains(operation) && message.contains(word),
                "{message}"
            );
        }
    }

    #[test]
    fn policies_are_what_is_documented() {
        use documented::{
            __path_known, __path_looked_at, __path_once, __path_open, __path_scoped, known,
            looked_at, once, open, scoped,
        };
        use utoipa_axum::routes;
        let router: OpenApiRouter = OpenApiRouter::new()
            .routes(routes!(open))
            .routes(routes!(known))
            .routes(routes!(looked_at))
            .routes(routes!(scoped))
            .routes(routes!(once));
        let policies = Policies::of(&router.into_openapi()).expect("known words");
        let policy = |path: &str| &policies.0[path][0].1;
        let standard = |looks, required| Policy {
            tier: Tier::Standard,
            looks,
            required,
            scopes: Vec::new(),
            idempotent_up_to: None,
            matches: false,
            matches_none: false,
        };
        assert_eq!(*policy("/open"), standard(false, false));
        assert_eq!(*policy("/known"), standard(true, true));
        assert_eq!(*policy("/looked-at"), standard(true, false));
        let scoped = Policy {
            tier: Tier::Bulk,
            looks: true,
            required: true,
            scopes: vec!["kb:write".to_owned()],
            idempotent_up_to: None,
            matches: false,
            matches_none: false,
        };
        assert_eq!(*policy("/scoped"), scoped);
        assert_eq!(policy("/once").idempotent_up_to, Some(5));
        assert!(policy("/once").matches && !policy("/open").matches);
    }
}
