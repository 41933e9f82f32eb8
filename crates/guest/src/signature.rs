//! Requests that an agent signs instead of carrying a token: HTTP Message Signatures (RFC 9421) with Ed25519.
//!
//! A request has one signature. It covers `@method`, then `@target-uri` or `@authority`, `@path` and, if there is a
//! query, `@query`; if there is a body, `content-digest` (RFC 9530) too. Its parameters are `created` (at most a minute
//! ago), `keyid` (the agent's public key, base64) and `nonce`, which works once. Bodies have at most 1 MiB; larger
//! uploads need a token.

use std::collections::HashSet;

use axum::RequestPartsExt;
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_compact::{PublicKey, Signature};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use sfv::{BareItem, Dictionary, FieldType, InnerList, List, ListEntry, Parser};
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

use crate::caller::Checked;
use crate::clock::unix_now;
use crate::extract::{self, MAX_BODY_BYTES};
use crate::token::Found;
use crate::{Db, Problem, Result, args, required_variable};

/// The largest age of a signature.
const SECONDS: i64 = 60;
/// The tolerated difference between clocks.
const LEEWAY_SECONDS: i64 = 5;

/// Whether a request is signed. A token takes precedence over a signature.
pub(crate) fn is_signed(headers: &HeaderMap) -> bool {
    headers.contains_key("signature-input") && !headers.contains_key("authorization")
}

/// Identifies the agent that signed the request. The body is read and compared with its digest.
///
/// # Errors
/// The body is too large or broken, or the database can't be reached.
pub(crate) async fn check(parts: &mut Parts, body: &mut Body) -> Result<Checked> {
    let bytes = extract::read(&parts.headers, std::mem::take(body), MAX_BODY_BYTES).await?;
    let server = required_variable("public_url").await?;
    let verified = read(&parts.headers).and_then(|signed| {
        let signed_at = signed.check_parameters(i64::try_from(unix_now()).unwrap_or(i64::MAX))?;
        signed.check_coverage(parts, &bytes)?;
        let base = signed.base(parts, &server)?;
        signed.verify(&base)?;
        Ok((signed, signed_at))
    });
    *body = Body::from(bytes);
    let (signed, signed_at) = match verified {
        Ok(verified) => verified,
        Err(why) => return Ok(Checked::Invalid(refused(why))),
    };
    let key = *signed.key()?;
    // The nonce is bound to the key, so that no agent can use up another's.
    let nonce: [u8; 32] = Sha256::digest([&key[..], signed.nonce().as_bytes()].concat()).into();
    let expires = time::OffsetDateTime::from_unix_timestamp(signed_at + SECONDS + LEEWAY_SECONDS)
        .map_err(Problem::internal)?;
    #[derive(Deserialize)]
    struct Row {
        caller: Option<Found>,
    }
    let db = parts.extract::<Db>().await?;
    let row: Row = db
        .one(
            "select identity.signed_by($1, $2, $3::text::timestamptz) as caller",
            args![key, nonce, expires],
        )
        .await?;
    Ok(match row.caller {
        Some(found) => Checked::Known(found.caller()),
        None => Checked::Invalid(refused(
            "The key does not belong to an active agent, or the nonce was used before.",
        )),
    })
}

fn refused(why: &'static str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "signature-invalid", why)
}

/// The reason why a signature is refused. It reveals only the request's form.
type Checks<T> = std::result::Result<T, &'static str>;

/// The signature of a request, as in its headers.
struct Signed {
    covered: InnerList,
    signature: Vec<u8>,
}

fn read(headers: &HeaderMap) -> Checks<Signed> {
    const FORM: &str = "`Signature-Input` and `Signature` must be structured fields (RFC 9421) with one signature.";
    let inputs = dictionary(headers, "signature-input").ok_or(FORM)?;
    let signatures = dictionary(headers, "signature").ok_or(FORM)?;
    let mut inputs = inputs.into_iter();
    let (Some((label, ListEntry::InnerList(covered))), None) = (inputs.next(), inputs.next())
    else {
        return Err(FORM);
    };
    match signatures.get(&label) {
        Some(ListEntry::Item(item)) if signatures.len() == 1 => match &item.bare_item {
            BareItem::ByteSequence(bytes) => Ok(Signed {
                covered,
                signature: bytes.clone(),
            }),
            _ => Err(FORM),
        },
        _ => Err(FORM),
    }
}

fn dictionary(headers: &HeaderMap, name: &str) -> Option<Dictionary> {
    let text = combined(headers, name)?;
    Parser::new(&text).parse().ok()
}

/// All lines of a field as one value (RFC 9421, section 2.1).
fn combined(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(name).iter();
    let lines: Option<Vec<&str>> = lines
        .map(|line| line.to_str().ok().map(str::trim))
        .collect();
    lines
        .filter(|lines| !lines.is_empty())
        .map(|lines| lines.join(", "))
}

impl Signed {
    fn parameter(&self, name: &str) -> Option<&BareItem> {
        self.covered.params.get(name)
    }

    fn text(&self, name: &str) -> Option<&str> {
        match self.parameter(name)? {
            BareItem::String(text) => Some(text.as_str()),
            _ => None,
        }
    }

    fn nonce(&self) -> &str {
        self.text("nonce").unwrap_or_default()
    }

    fn key(&self) -> Result<PublicKey> {
        let key = STANDARD.decode(self.text("keyid").unwrap_or_default());
        let key = key.ok().and_then(|key| PublicKey::from_slice(&key).ok());
        key.ok_or_else(|| refused(KEY_ID))
    }

    /// Checks all parameters and returns the time of signing.
    fn check_parameters(&self, now: i64) -> Checks<i64> {
        let Some(BareItem::Integer(created)) = self.parameter("created") else {
            return Err("The signature needs the parameter `created`: the Unix time.");
        };
        let created = i64::from(*created);
        if created < now - SECONDS || created > now + LEEWAY_SECONDS {
            return Err("The signature was not created within the last minute.");
        }
        match self.parameter("expires") {
            None => {}
            Some(BareItem::Integer(expires)) if i64::from(*expires) >= now => {}
            Some(_) => return Err("The signature has expired."),
        }
        if !(8..=128).contains(&self.nonce().len()) {
            return Err(
                "The signature needs the parameter `nonce`: 8 to 128 characters, new for each request.",
            );
        }
        match self.parameter("alg") {
            None => {}
            Some(_) if self.text("alg") == Some("ed25519") => {}
            Some(_) => return Err("The parameter `alg` must be \"ed25519\", or absent."),
        }
        self.key().map(|_| created).map_err(|_| KEY_ID)
    }

    /// The names of the covered components, each of which occurs once and has no parameters.
    fn names(&self) -> Checks<Vec<&str>> {
        const FORM: &str = "The covered components must be names without parameters, each once.";
        let mut names = Vec::new();
        let mut seen = HashSet::new();
        for item in &self.covered.items {
            match &item.bare_item {
                BareItem::String(name) if item.params.is_empty() && seen.insert(name.as_str()) => {
                    names.push(name.as_str());
                }
                _ => return Err(FORM),
            }
        }
        Ok(names)
    }

    /// Checks that the signature covers everything that defines a request.
    fn check_coverage(&self, parts: &Parts, body: &[u8]) -> Checks<()> {
        let names = self.names()?;
        let covers = |name: &str| names.contains(&name);
        let query = parts.uri.query().is_none() || covers("@query");
        let target = covers("@target-uri") || (covers("@authority") && covers("@path") && query);
        if !covers("@method") || !target {
            return Err(
                "The signature must cover \"@method\" and \"@target-uri\", or \"@authority\", \"@path\" and \"@query\".",
            );
        }
        // A removed body shows by its digest.
        match covers("content-digest") {
            true => check_digest(&parts.headers, body),
            false if body.is_empty() => Ok(()),
            false => Err("The signature must cover \"content-digest\", as the request has a body."),
        }
    }

    /// The signature base, which is the signed text (RFC 9421, section 2.5).
    fn base(&self, parts: &Parts, server: &str) -> Checks<String> {
        let mut base = String::new();
        for name in self.names()? {
            let value = component(name, parts, server)
                .ok_or("The signature covers something that the request does not have, or that is not supported.")?;
            base.push_str(&format!("\"{name}\": {value}\n"));
        }
        let list: List = vec![ListEntry::InnerList(self.covered.clone())];
        let parameters = list.serialize().ok_or("The signature covers nothing.")?;
        Ok(base + "\"@signature-params\": " + &parameters)
    }

    fn verify(&self, base: &str) -> Checks<()> {
        const WRONG: &str = "The signature is not by this key over this request.";
        let key = self.key().map_err(|_| KEY_ID)?;
        let signature = Signature::from_slice(&self.signature).map_err(|_| WRONG)?;
        key.verify(base, &signature).map_err(|_| WRONG)
    }
}

const KEY_ID: &str = "The parameter `keyid` must be the agent's public key in base64.";

fn component(name: &str, parts: &Parts, server: &str) -> Option<String> {
    let (scheme, authority) = server.split_once("://")?;
    let target = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    Some(match name {
        "@method" => parts.method.to_string(),
        "@scheme" => scheme.to_ascii_lowercase(),
        "@authority" => authority.to_ascii_lowercase(),
        "@target-uri" => format!("{server}{target}"),
        "@request-target" => target.to_owned(),
        "@path" => parts.uri.path().to_owned(),
        "@query" => format!("?{}", parts.uri.query().unwrap_or_default()),
        derived if derived.starts_with('@') => return None,
        field => combined(&parts.headers, field)?,
    })
}

/// Checks the body's digests: every known algorithm must match, and at least one must be known (RFC 9530).
fn check_digest(headers: &HeaderMap, body: &[u8]) -> Checks<()> {
    const WRONG: &str = "`Content-Digest` must be the SHA-256 or SHA-512 of the body (RFC 9530).";
    let digests = dictionary(headers, "content-digest").ok_or(WRONG)?;
    let mut known = false;
    for (algorithm, entry) in &digests {
        let actual = match algorithm.as_str() {
            "sha-256" => Sha256::digest(body).to_vec(),
            "sha-512" => Sha512::digest(body).to_vec(),
            _ => continue,
        };
        let ListEntry::Item(item) = entry else {
            return Err(WRONG);
        };
        let BareItem::ByteSequence(given) = &item.bare_item else {
            return Err(WRONG);
        };
        if !bool::from(given.as_slice().ct_eq(&actual)) {
            return Err(WRONG);
        }
        known = true;
    }
    if known { Ok(()) } else { Err(WRONG) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 9421, appendix B.2: the request, and B.2.6: its signature with `test-key-ed25519`.
    const BODY: &[u8] = br#"{"hello": "world"}"#;
    const KEY: &str = "JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=";

    fn request(change: &[(&'static str, &str)]) -> Parts {
        let mut request = http::Request::builder()
            .method("POST")
            .uri("/foo?param=Value&Pet=dog")
            .header("date", "Tue, 20 Apr 2021 02:07:55 GMT")
            .header("content-type", "application/json")
            .header(
                "content-digest",
                "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
            )
            .header("content-length", "18")
            .header(
                "signature-input",
                r#"sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#,
            )
            .header(
                "signature",
                "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:",
            )
            .body(())
            .expect("a request")
            .into_parts()
            .0;
        for (name, value) in change {
            request
                .headers
                .insert(*name, value.parse().expect("a value"));
        }
        request
    }

    #[test]
    fn the_published_signature_is_verified() {
        let parts = request(&[]);
        let signed = read(&parts.headers).expect("a signature");
        let base = signed.base(&parts, "https://example.com").expect("a base");
        let expected = "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n\"@method\": POST\n\"@path\": /foo\n\
             \"@authority\": example.com\n\"content-type\": application/json\n\"content-length\": 18\n\
             \"@signature-params\": (\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\")\
             ;created=1618884473;keyid=\"test-key-ed25519\"";
        assert_eq!(base, expected);
        let key = PublicKey::from_slice(&STANDARD.decode(KEY).expect("base64")).expect("a key");
        let signature = Signature::from_slice(&signed.signature).expect("64 bytes");
        assert!(key.verify(&base, &signature).is_ok());
        assert!(key.verify(base.replace("POST", "PUT"), &signature).is_err());
        assert!(check_digest(&parts.headers, BODY).is_ok());
        assert!(check_digest(&parts.headers, b"{}").is_err());
    }

    fn refusal(input: &str, body: &[u8]) -> Option<&'static str> {
        let parts = request(&[("signature-input", input)]);
        let signed = match read(&parts.headers) {
            Ok(signed) => signed,
            Err(why) => return Some(why),
        };
        let checks = signed
            .check_parameters(1000)
            .and_then(|_| signed.check_coverage(&parts, body))
            .and_then(|()| signed.base(&parts, "https://example.com"))
            .and_then(|base| signed.verify(&base));
        checks.err()
    }

    #[test]
    fn what_does_not_cover_the_request_is_refused() {
        let parameters = format!(r#"created=990;nonce="12345678";keyid="{KEY}""#);
        let with = |covered: &str| format!("sig-b26=({covered});{parameters}");
        let all = r#""@method" "@authority" "@path" "@query" "content-digest""#;
        let wrong = "The signature is not by this key over this request.";
        assert_eq!(
            refusal(&with(all), BODY),
            Some(wrong),
            "all of its form is right"
        );
        assert_eq!(
            refusal(&with(r#""@method" "@target-uri""#), b""),
            Some(wrong)
        );
        for (input, body, why) in [
            (with(r#""@method" "@target-uri""#), BODY, "content-digest"),
            (
                with(r#""@method" "@authority" "@path""#),
                b"" as &[u8],
                "@query",
            ),
            (with(r#""@target-uri""#), b"", "@method"),
            (
                with(r#""@method" "@target-uri" "@method""#),
                b"",
                "each once",
            ),
            (
                with(r#""@method";req "@target-uri""#),
                b"",
                "without parameters",
            ),
            (
                with(r#""@method" "@target-uri" "x-absent""#),
                b"",
                "does not have",
            ),
            (with(all).replace("990", "939"), BODY, "last minute"),
            (with(all).replace("990", "1006"), BODY, "last minute"),
            (with(all) + ";expires=999", BODY, "expired"),
            (with(all) + ";expires=\"never\"", BODY, "expired"),
            (with(all) + ";alg=\"hmac-sha256\"", BODY, "ed25519"),
            (with(all).replace("12345678", "1"), BODY, "nonce"),
            (with(all).replace(KEY, "ada"), BODY, "keyid"),
            (with(all) + ", other=(\"@method\")", BODY, "one signature"),
            ("rubbish((".to_owned(), BODY, "structured fields"),
        ] {
            let told = refusal(&input, body).unwrap_or_default();
            assert!(told.contains(why), "{input}: {told}");
        }
    }

    proptest! {
        #[test]
        fn any_headers_are_refused_quietly(input in "[ -~]*", signature in "[ -~]*") {
            let parts = request(&[("signature-input", &input), ("signature", &signature)]);
            if let Ok(signed) = read(&parts.headers) {
                prop_assert!(signed.check_parameters(1000).is_err());
            }
        }
    }
}
