//! Spin's HTTP routes: exact ones, `:name` segments, and a trailing `/...` wildcard.

use anyhow::{Result, bail};
use std::{collections::HashSet, sync::Arc};

/// A parsed route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pattern: Arc<str>,
    segments: Vec<Segment>,
    wildcard: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Param(String),
}

/// The match of a path.
#[derive(Debug, PartialEq, Eq)]
pub struct Match<'p> {
    /// The `:name` segments' values.
    pub params: Vec<(String, &'p str)>,
    /// The part of the path that the wildcard covers, with its leading slash; empty without a wildcard.
    pub rest: &'p str,
}

impl Route {
    /// Reads a route such as `/api/agents/:id` or `/api/...`.
    ///
    /// # Errors
    /// The pattern is malformed; the error says how.
    pub fn parse(pattern: &str) -> Result<Self> {
        if !pattern.starts_with('/') {
            bail!("route {pattern:?} must start with `/`");
        }
        let (path, wildcard) = match pattern.strip_suffix("/...") {
            Some(path) => (path, true),
            None => (pattern.strip_suffix('/').unwrap_or(pattern), false),
        };
        let mut segments = Vec::new();
        for segment in path.split('/').skip(1) {
            segments.push(match segment.strip_prefix(':') {
                Some("") => bail!("route {pattern:?} has a `:` without a name"),
                Some(name) => Segment::Param(name.to_owned()),
                None if segment == "..." => {
                    bail!("route {pattern:?}: `/...` must be the last segment")
                }
                None => Segment::Literal(segment.to_owned()),
            });
        }
        Ok(Self {
            pattern: pattern.into(),
            segments,
            wildcard,
        })
    }

    /// The route as the manifest has it.
    #[must_use]
    pub fn pattern(&self) -> &Arc<str> {
        &self.pattern
    }

    /// The pattern without its wildcard: Spin's `spin-component-route`.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.pattern.strip_suffix("/...").unwrap_or(&self.pattern)
    }

    /// Matches a path. A wildcard also matches the bare prefix.
    #[must_use]
    pub fn matches<'p>(&self, path: &'p str) -> Option<Match<'p>> {
        let mut rest = path
            .strip_suffix('/')
            .filter(|_| !self.wildcard)
            .unwrap_or(path);
        let mut params = Vec::new();
        for segment in &self.segments {
            let tail = rest.strip_prefix('/')?;
            let end = tail.find('/').unwrap_or(tail.len());
            let (value, after) = tail.split_at(end);
            match segment {
                Segment::Literal(literal) if literal == value => {}
                Segment::Param(name) if !value.is_empty() => params.push((name.clone(), value)),
                _ => return None,
            }
            rest = after;
        }
        (self.wildcard || rest.is_empty()).then_some(Match { params, rest })
    }

    /// Orders routes, of which the first that matches wins: exact before wildcard, longer before shorter,
    /// literal before parameter.
    fn specificity(&self) -> (bool, usize, usize) {
        let literals = self
            .segments
            .iter()
            .filter(|s| matches!(s, Segment::Literal(_)))
            .count();
        (!self.wildcard, self.segments.len(), literals)
    }

    /// The pattern with its parameters' names left out: equal for routes that match the same paths.
    fn shape(&self) -> (Vec<Option<&str>>, bool) {
        let segments = self
            .segments
            .iter()
            .map(|segment| match segment {
                Segment::Literal(literal) => Some(literal.as_str()),
                Segment::Param(_) => None,
            })
            .collect();
        (segments, self.wildcard)
    }
}

/// Refuses two routes that match the same paths.
///
/// # Errors
/// Two routes match the same paths; the error names the second.
pub fn check_distinct<'a>(routes: impl Iterator<Item = &'a Route>) -> Result<()> {
    let mut seen = HashSet::new();
    for route in routes {
        if !seen.insert(route.shape()) {
            bail!("route {:?} is declared twice", route.pattern);
        }
    }
    Ok(())
}

/// Routes with their targets, the most specific first.
#[derive(Debug)]
pub struct Router<T>(Vec<(Route, T)>);

impl<T> Router<T> {
    /// Orders the routes.
    #[must_use]
    pub fn new(mut routes: Vec<(Route, T)>) -> Self {
        routes.sort_by_key(|(route, _)| std::cmp::Reverse(route.specificity()));
        Self(routes)
    }

    /// The most specific route that matches the path.
    #[must_use]
    pub fn find<'p>(&self, path: &'p str) -> Option<(&Route, &T, Match<'p>)> {
        self.0
            .iter()
            .find_map(|(route, target)| Some((route, target, route.matches(path)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;

    #[test]
    fn the_most_specific_route_wins() {
        let patterns = [
            "/...",
            "/api/...",
            "/api/agents/...",
            "/api/agents/:id",
            "/api/agents/me",
            "/api",
            "/",
        ];
        let routes = patterns
            .iter()
            .map(|p| (Route::parse(p).expect("valid"), *p))
            .collect();
        let router = Router::new(routes);
        let check = |path: &str, expected: &str| {
            assert_eq!(
                router.find(path).map(|(_, p, _)| *p),
                Some(expected),
                "{path}"
            );
        };
        check("/", "/");
        check("/api", "/api");
        check("/api/", "/api");
        check("/api/x", "/api/...");
        check("/api/agents", "/api/agents/...");
        check("/api/agents/", "/api/agents/...");
        check("/api/agents/me", "/api/agents/me");
        check("/api/agents/7", "/api/agents/:id");
        check("/api/agents/7/key", "/api/agents/...");
        check("/elsewhere", "/...");
        check("/apix", "/...");
    }

    #[test]
    fn a_match_tells_parameters_and_rest() {
        let route = Route::parse("/a/:x/b/...").expect("valid");
        let found = route.matches("/a/1/b/c/d").expect("matches");
        assert_eq!(found.params, [("x".to_owned(), "1")]);
        assert_eq!(found.rest, "/c/d");
        assert_eq!(route.matches("/a/1/b").expect("matches").rest, "");
        assert_eq!(route.matches("/a//b"), None);
    }

    #[test]
    fn bad_and_double_routes_are_refused() {
        for pattern in ["", "api", "/a/.../b", "/:"] {
            assert!(Route::parse(pattern).is_err(), "{pattern}");
        }
        let routes = ["/a/:x", "/a/:y"].map(|p| Route::parse(p).expect("valid"));
        assert!(check_distinct(routes.iter()).is_err());
    }

    /// The components that our router and Spin's choose for a path of the platform. Both read the routes in the order
    /// of the manifest.
    struct Both {
        ours: Router<String>,
        spins: routefinder::Router<String>,
    }

    impl Both {
        fn of_the_platform() -> Self {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spin.toml");
            let manifest = crate::Manifest::load(&file).expect("the manifest");
            let mut spins = routefinder::Router::new();
            let mut routes = Vec::new();
            for trigger in manifest.routes {
                let route = trigger.route.expect("no route of the platform is private");
                // As Spin writes its routes for this router (`crates/routes` there).
                let pattern = route.pattern().trim_end_matches('/');
                let pattern = match pattern.strip_suffix("/...") {
                    Some(prefix) => format!("{prefix}/*"),
                    None => pattern.to_owned(),
                };
                let added = spins.add(pattern.as_str(), trigger.component.clone());
                added.expect("a route that Spin takes");
                routes.push((route, trigger.component));
            }
            let ours = Router::new(routes);
            Self { ours, spins }
        }

        fn check(&self, path: &str) {
            let ours = self.ours.find(path).map(|(_, component, _)| component);
            let spins = self.spins.best_match(path);
            let spins = spins.as_ref().map(|found| found.handler());
            assert_eq!(ours, spins, "ours and Spin's component for {path}");
        }
    }

    #[test]
    fn every_documented_path_goes_where_spin_sends_it() {
        let both = Both::of_the_platform();
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../static/openapi.json");
        let text = std::fs::read_to_string(file).expect("the reference");
        let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let paths = document["paths"].as_object().expect("paths");
        assert!(paths.len() > 50, "{} paths", paths.len());
        let values = [
            "me", "7", "a.b", ".hidden", "..", "a%2Fb", "%00", "provider", "-",
        ];
        for pattern in paths.keys() {
            for value in values {
                let pieces = pattern.split('/').map(|segment| match segment {
                    "" => "",
                    segment if segment.starts_with('{') => value,
                    segment => segment,
                });
                let path = pieces.collect::<Vec<_>>().join("/");
                both.check(&path);
                for odd in ["/", "/x", "/.x", "/x/y/z"] {
                    both.check(&format!("{}{odd}", path.trim_end_matches('/')));
                }
            }
        }
    }

    #[test]
    fn odd_paths_go_where_spin_sends_them() {
        let both = Both::of_the_platform();
        for path in [
            "/api",
            "/api/",
            "/api/agentsx",
            "/API/agents",
            "/apix",
            "/.well-known",
            "/.well-known/",
            "/.well-known/jwks.json.bak",
            "/.well-known/oauth-protected-resource/a/b",
            "/.well-known/spin/health",
            "/.env",
            "/..",
            "/../api/agents",
            "/mcp/",
            "/mcp/x",
            "/account",
            "/accounts",
            "/health",
            "/favicon.ico",
            "/api/status/x",
            "/api/skill-reviews",
            "/api/skill",
        ] {
            both.check(path);
        }
    }

    proptest! {
        #[test]
        fn no_path_panics(path in "/[ -~/]{0,40}", pattern in "/[a-z:/]{0,12}(/\\.\\.\\.)?") {
            if let Ok(route) = Route::parse(&pattern) {
                let _ = route.matches(&path);
            }
        }
    }
}
