//! The site's pages, as its own sources list them: a page that somebody adds is one that the tests visit.

use anyhow::{Result, ensure};
use e2e::{
    browser::{Browser, Page},
    root,
};
use proc_macro2::{TokenStream, TokenTree};
use scraper::ElementRef;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::platform::statements::{literal, sources};

/// The number of addresses of one route that are read for links to other ones.
const READ: usize = 6;
/// What no page's address begins with: what scripts ask for, and the site's files.
const PARTS: [&str; 2] = ["/parts/", "/static/"];

/// A path with its variable segments, such as `/posts/{post}`.
pub type Route = String;

/// Whether a path is one of a route.
fn is_of(route: &str, path: &str) -> bool {
    let (route, path): (Vec<_>, Vec<_>) = (route.split('/').collect(), path.split('/').collect());
    route.len() == path.len()
        && route
            .iter()
            .zip(&path)
            .all(|(one, other)| one == other || (one.starts_with('{') && !other.is_empty()))
}

/// The routes of all pages that a browser opens with GET.
pub fn routes() -> Result<Vec<Route>> {
    let mut routes = Vec::new();
    for file in sources(&root().join("functions/site/src"))? {
        collect(&file, &mut routes)?;
    }
    routes.retain(|route: &Route| PARTS.iter().all(|part| !route.starts_with(part)));
    routes.sort();
    routes.dedup();
    ensure!(routes.len() > 40, "{routes:?}");
    Ok(routes)
}

fn collect(file: &Path, routes: &mut Vec<Route>) -> Result<()> {
    let parsed: Result<TokenStream, _> = fs::read_to_string(file)?.parse();
    let parsed = parsed.map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
    of_tokens(parsed, routes);
    Ok(())
}

/// Finds each `.route("/path", … get(…) …)`.
fn of_tokens(tokens: TokenStream, routes: &mut Vec<Route>) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        let TokenTree::Group(group) = token else {
            continue;
        };
        of_tokens(group.stream(), routes);
        let is_route =
            at > 0 && matches!(&tokens[at - 1], TokenTree::Ident(name) if name == "route");
        let mut arguments = group.stream().into_iter();
        let path = arguments.next().filter(|_| is_route);
        let path = path.as_ref().and_then(literal);
        let is_get =
            arguments.any(|token| matches!(token, TokenTree::Ident(name) if name == "get"));
        routes.extend(path.filter(|_| is_get));
    }
}

/// What a visitor finds of the routes.
#[derive(Default)]
pub struct Found {
    /// An address of each route that shows a page: those without variable segments as they are, the others where links
    /// lead. What is refused is a page too.
    pub pages: BTreeMap<Route, String>,
    /// The routes that lead on to another page.
    pub leading_on: BTreeSet<Route>,
}

/// Follows the links of all pages from where everybody may begin, and from `also`.
pub async fn visit(routes: &[Route], visitor: &Browser, also: &[&str]) -> Result<Found> {
    let mut found = Found::default();
    let mut read: BTreeMap<Route, BTreeSet<String>> = BTreeMap::new();
    let plain = routes.iter().filter(|route| !route.contains('{'));
    let mut waiting: Vec<_> = plain.cloned().collect();
    // The last one is followed first, so that the pages of `also` are those that are shown.
    waiting.extend(also.iter().map(|&address| address.to_owned()));
    while let Some(address) = waiting.pop() {
        let path = without_query(&address);
        let of = routes.iter().filter(|route| is_of(route, path));
        let Some(route) = of.min_by_key(|route| route.matches('{').count()) else {
            continue;
        };
        let known = read.entry(route.clone()).or_default();
        // A search and its results have one path.
        let is_asked_for = also.contains(&address.as_str());
        let name = if is_asked_for { &address } else { path };
        let has_room = is_asked_for || known.len() < READ;
        if !has_room || !known.insert(name.to_owned()) {
            continue;
        }
        let page = visitor.get(&address).await?;
        ensure!(!page.status.is_server_error(), "{address}: {}", page.status);
        waiting.extend(links(&page));
        if without_query(&page.path) != path {
            found.leading_on.insert(route.clone());
            waiting.push(page.path);
        } else if page.status.is_success() || !route.contains('{') {
            found.pages.entry(route.clone()).or_insert(address);
        }
    }
    Ok(found)
}

fn without_query(address: &str) -> &str {
    address.split(['?', '#']).next().unwrap_or_default()
}

/// The addresses that links and the forms of searches lead to.
fn links(page: &Page) -> Vec<String> {
    let links = page.all("a[href^='/'], form[action^='/']:not([method='post'])");
    let address =
        |link: &ElementRef<'_>| link.attr("href").or(link.attr("action")).map(str::to_owned);
    links.iter().filter_map(address).collect()
}
