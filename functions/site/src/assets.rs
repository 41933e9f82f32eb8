//! The files of `static/site`: style, scripts, and what others wrote, beside its licence.
//!
//! All of them share one version in their addresses, so a script imports another by its relative address, and no
//! browser ever mixes two versions. A page that was open during an update asks for files by the former version; it gets
//! the present ones, and does not keep them.

use axum::response::{IntoResponse, Response};
use guest::{Path, Problem, Result};
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderName, HeaderValue};

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The script that answers where the server can't be reached.
const OFFLINE_WORKER: &str = "js/offline-worker.js";

/// A file as it was, and compressed.
struct Asset {
    name: &'static str,
    kind: &'static str,
    plain: &'static [u8],
    gzip: &'static [u8],
    brotli: &'static [u8],
}

/// The address of a file, such as `site.css`.
pub fn address(name: &str) -> String {
    format!("/static/{VERSION}/{name}")
}

/// Serves a file, as `/static/<version>/<name>` or `/static/<name>`.
pub async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Result<Response> {
    let current = path
        .strip_prefix(VERSION)
        .and_then(|rest| rest.strip_prefix('/'));
    let name = current.unwrap_or_else(|| without_version(&path));
    let asset = ASSETS.iter().find(|asset| asset.name == name);
    let asset = asset.ok_or_else(|| Problem::not_found("file"))?;
    let cache = match current {
        Some(_) => "public, max-age=31536000, immutable",
        None => "public, no-cache",
    };
    let mut response = asset.answer(&headers, cache);
    let headers = response.headers_mut();
    if name == OFFLINE_WORKER {
        // It answers for all pages, though it does not lie above them.
        let allowed = HeaderName::from_static("service-worker-allowed");
        headers.insert(allowed, HeaderValue::from_static("/"));
    }
    Ok(response)
}

/// A text for programs, such as `openapi.json`, compressed as the client accepts it.
pub fn text(name: &str, headers: &HeaderMap) -> Result<Response> {
    let text = TEXTS.iter().find(|text| text.name == name);
    let text = text.ok_or_else(|| Problem::not_found("file"))?;
    Ok(text.answer(headers, "public, max-age=300"))
}

impl Asset {
    /// The file in the best encoding that the client accepts.
    fn answer(&self, headers: &HeaderMap, cache: &'static str) -> Response {
        let (body, encoding) = match accepted(headers) {
            Some("br") if self.brotli.len() < self.plain.len() => (self.brotli, Some("br")),
            Some("gzip") if self.gzip.len() < self.plain.len() => (self.gzip, Some("gzip")),
            _ => (self.plain, None),
        };
        let mut response = body.into_response();
        let headers = response.headers_mut();
        for (name, value) in [
            (CONTENT_TYPE, self.kind),
            (CACHE_CONTROL, cache),
            (VARY, "accept-encoding"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Some(encoding) = encoding {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        response
    }
}

/// The name in an address with a former version.
fn without_version(path: &str) -> &str {
    let is_version =
        |part: &str| part.len() == VERSION.len() && part.bytes().all(|b| b.is_ascii_hexdigit());
    match path.split_once('/') {
        Some((version, name)) if is_version(version) => name,
        _ => path,
    }
}

/// The better of the encodings that the client accepts.
fn accepted(headers: &HeaderMap) -> Option<&'static str> {
    let lines = headers.get_all(ACCEPT_ENCODING).iter();
    let ranges = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','));
    let accepted: Vec<&str> = ranges
        .filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let coding = parts.next()?;
            let refused = parts.any(|part| {
                let weight = part
                    .strip_prefix("q=")
                    .and_then(|weight| weight.parse::<f32>().ok());
                weight == Some(0.0)
            });
            (!refused).then_some(coding)
        })
        .collect();
    ["br", "gzip"]
        .into_iter()
        .find(|known| accepted.contains(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_accepted_encoding_is_chosen() {
        for (line, expected) in [
            ("gzip, deflate, br, zstd", Some("br")),
            ("gzip;q=1.0, br;q=0", Some("gzip")),
            ("gzip; q=0.5", Some("gzip")),
            ("identity", None),
            ("brr", None),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(line))]);
            assert_eq!(accepted(&headers), expected, "{line}");
        }
    }

    #[test]
    fn a_former_version_leads_to_the_present_file() {
        assert_eq!(without_version("0123456789abcdef/js/app.js"), "js/app.js");
        assert_eq!(without_version("js/app.js"), "js/app.js");
    }

    #[test]
    fn scripts_import_what_there_is() {
        let scripts = ASSETS
            .iter()
            .filter(|asset| asset.name.ends_with(".js") && !asset.name.starts_with("vendor/"));
        for script in scripts {
            let text = std::str::from_utf8(script.plain).expect("UTF-8");
            let imports = text.split(" from \"").skip(1).filter_map(|rest| {
                let (path, _) = rest.split_once('"')?;
                path.starts_with('.').then_some(path)
            });
            for import in imports {
                let mut parts: Vec<&str> = script.name.split('/').collect();
                parts.pop();
                for part in import.split('/') {
                    match part {
                        "." => {}
                        ".." => _ = parts.pop(),
                        other => parts.push(other),
                    }
                }
                let name = parts.join("/");
                let is_there = ASSETS.iter().any(|asset| asset.name == name);
                assert!(is_there, "{} imports {import}", script.name);
            }
        }
    }

    #[test]
    fn files_of_others_have_their_licence_beside_them() {
        for asset in ASSETS
            .iter()
            .filter(|asset| asset.name.starts_with("vendor/"))
        {
            let package = asset.name.split(['-', '.']).next().unwrap_or_default();
            let licence = format!("{package}-LICENSE.txt");
            assert!(
                ASSETS.iter().any(|other| other.name == licence),
                "{licence}"
            );
        }
    }
}
