//! What clients give: values, and where they may be put.

use std::fmt;

use axum::http::{HeaderName, StatusCode};
use garde::Validate;
use guest::{Problem, Result};
use serde::de::{Error, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use url::Url;
use utoipa::ToSchema;

/// The shortest value: a shorter one would be found in text that has nothing to do with it, and could not be masked.
const MIN_VALUE_BYTES: usize = 8;
/// The longest value.
const MAX_VALUE_BYTES: usize = 64 << 10;

/// The value of a secret, which no error and no log shows.
pub struct Value(String);

impl Value {
    /// The value's bytes, if they can be a secret.
    ///
    /// # Errors
    /// 413 for a value that is too large, 422 for one that could not be masked or sent.
    pub fn bytes(&self) -> Result<&[u8]> {
        let bytes = self.0.as_bytes();
        if bytes.len() > MAX_VALUE_BYTES {
            let detail = "A secret may have at most 64 KiB.";
            return Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body-too-large",
                detail,
            ));
        }
        let refused = if !bytes.iter().all(|byte| (b' '..=b'~').contains(byte)) {
            "must be printable ASCII, without line breaks"
        } else if bytes.len() < MIN_VALUE_BYTES {
            "must have at least 8 characters, so that it can be masked in answers"
        } else if bytes.starts_with(b" ") || bytes.ends_with(b" ") {
            "must not begin or end with a space"
        } else {
            return Ok(bytes);
        };
        Err(Problem::invalid("value", refused))
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Value")
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OnlyText)
    }
}

/// Reads a text. Its errors don't quote what was given instead.
struct OnlyText;

fn not_text<E: Error>() -> E {
    E::invalid_type(Unexpected::Other("another type"), &"a string")
}

impl<'de> Visitor<'de> for OnlyText {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        Ok(Value(text))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Value, E> {
        Err(not_text())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Value, E> {
        Err(not_text())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Value, E> {
        Err(not_text())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Value, E> {
        Err(not_text())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Err(not_text())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Value, A::Error> {
        Err(not_text())
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Value, A::Error> {
        Err(not_text())
    }
}

/// The requests that a secret may be put into, and its place in them.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
#[schema(as = SecretUse)]
#[serde(deny_unknown_fields)]
pub struct Use {
    /// The origins that the secret may be sent to. Plain http, other ports and private hosts are reached only if the operator lists them.
    #[garde(length(min = 1, max = 20), inner(custom(origin)))]
    #[schema(example = json!(["https://api.example.org"]), min_items = 1, max_items = 20)]
    pub origins: Vec<String>,
    /// The methods; all methods if absent.
    #[garde(inner(length(min = 1, max = 20), inner(custom(method))))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["GET"]), min_items = 1, max_items = 20)]
    pub methods: Option<Vec<String>>,
    /// The beginnings of paths; all paths if absent. With any, paths that could be read in two ways are refused: `..`, `//`, `\`, `;`, and what decodes to them.
    #[garde(inner(length(min = 1, max = 20), inner(custom(path))))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["/repos/ada"]), min_items = 1, max_items = 20)]
    pub paths: Option<Vec<String>>,
    /// The place of the value in a request.
    #[garde(dive)]
    pub place: Place,
}

/// The place of a secret's value in a request. Exactly one of `header`, `query`, `basic`, `placeholder` and `handed` is given.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Validate, ToSchema)]
#[schema(as = SecretPlace)]
#[garde(custom(one_place))]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The header whose value is the secret.
    #[garde(inner(custom(header_name)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "authorization")]
    pub header: Option<String>,
    /// The text of the header, with `{}` in place of the secret.
    #[garde(inner(custom(header_format)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "Bearer {}")]
    pub format: Option<String>,
    /// The parameter of the query whose value is the secret.
    #[garde(inner(length(min = 1, max = 100), ascii))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The user's name for Basic authentication, with the secret as the password.
    #[garde(inner(custom(user)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<String>,
    /// Whether the secret replaces `{{vault:<name>}}` in headers, and in bodies of at most 1 MiB.
    #[garde(inner(custom(is_true)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placeholder: Option<bool>,
    /// Whether the secret is handed to a container that names it, instead of being put into requests.
    #[garde(inner(custom(is_true)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed: Option<bool>,
}

impl Use {
    /// The same with its origins as they are compared, and without a missing format.
    #[must_use]
    pub fn normal(mut self) -> Self {
        for origin in &mut self.origins {
            if let Some(normal) = normal_origin(origin) {
                *origin = normal;
            }
        }
        self.origins.sort();
        self.origins.dedup();
        if self.place.header.is_some() && self.place.format.is_none() {
            self.place.format = Some("{}".to_owned());
        }
        self
    }
}

fn normal_origin(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let is_web = matches!(url.scheme(), "http" | "https");
    let is_bare = matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    (is_web && is_bare).then(|| url.origin().ascii_serialization())
}

fn origin(text: &str, _: &()) -> garde::Result {
    if text.len() <= 300 && normal_origin(text).is_some() {
        return Ok(());
    }
    Err(garde::Error::new(
        "must be an origin such as https://api.example.org",
    ))
}

fn method(text: &str, _: &()) -> garde::Result {
    if (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Ok(());
    }
    Err(garde::Error::new("must be a method such as GET"))
}

fn path(text: &str, _: &()) -> garde::Result {
    let is_visible = |byte: u8| (b'!'..=b'~').contains(&byte) && !b"?#".contains(&byte);
    if text.starts_with('/') && text.len() <= 1000 && text.bytes().all(is_visible) {
        return Ok(());
    }
    Err(garde::Error::new("must be a path such as /repos/ada"))
}

fn header_name(text: &str, _: &()) -> garde::Result {
    // These belong to the connection or to the platform.
    const FORBIDDEN: [&str; 12] = [
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    let name = text.to_ascii_lowercase();
    let is_name = HeaderName::try_from(&name).is_ok() && name.len() <= 100;
    if is_name && !name.starts_with("gather-") && !FORBIDDEN.contains(&name.as_str()) {
        return Ok(());
    }
    Err(garde::Error::new(
        "must be a header that a request may have, such as authorization",
    ))
}

fn header_format(text: &str, _: &()) -> garde::Result {
    let is_printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if text.len() <= 200 && is_printable && text.matches("{}").count() == 1 {
        return Ok(());
    }
    Err(garde::Error::new(
        "must be printable ASCII with `{}` once, for the secret",
    ))
}

fn user(text: &str, _: &()) -> garde::Result {
    let is_plain = |byte: u8| (b'!'..=b'~').contains(&byte) && byte != b':';
    if text.len() <= 200 && text.bytes().all(is_plain) {
        return Ok(());
    }
    Err(garde::Error::new("must be printable ASCII without `:`"))
}

fn is_true(given: &bool, _: &()) -> garde::Result {
    if *given {
        return Ok(());
    }
    Err(garde::Error::new("must be true, or absent"))
}

fn one_place(place: &Place, _: &()) -> garde::Result {
    let given = [
        place.header.is_some(),
        place.query.is_some(),
        place.basic.is_some(),
        place.placeholder.is_some(),
        place.handed.is_some(),
    ];
    if given.iter().filter(|given| **given).count() != 1 {
        return Err(garde::Error::new(
            "must have one of `header`, `query`, `basic`, `placeholder`, `handed`",
        ));
    }
    if place.format.is_some() && place.header.is_none() {
        return Err(garde::Error::new("has `format` without `header`"));
    }
    Ok(())
}

/// Checks that a text has no zero character, which PostgreSQL does not store.
pub fn printable(text: &str, _: &()) -> garde::Result {
    if text.contains('\0') {
        return Err(garde::Error::new("must not contain a zero character"));
    }
    Ok(())
}

/// Checks the name of a secret.
pub fn secret_name(text: &str, _: &()) -> garde::Result {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let begins_well = text
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphanumeric());
    if !begins_well || text.len() > 100 || !text.bytes().all(is_word) {
        return Err(garde::Error::new(
            "must be 1 to 100 of A-Z, a-z, 0-9, `.`, `_` and `-`, and begin with a letter or a digit",
        ));
    }
    if text.parse::<uuid::Uuid>().is_ok() {
        return Err(garde::Error::new("must not have the form of an id"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_another_type_is_refused_unquoted() {
        for given in [
            "41424344",
            "4.25",
            "true",
            "null",
            "[\"canary\"]",
            "{\"a\":\"canary\"}",
        ] {
            let error = serde_json::from_str::<Value>(given).expect_err(given);
            let error = error.to_string();
            assert!(error.contains("expected a string"), "{error}");
            assert!(
                !error.contains("canary") && !error.contains("4142"),
                "{error}"
            );
        }
        let value: Value = serde_json::from_str("\"canary-1234\"").expect("a text");
        assert_eq!(format!("{value:?}"), "Value");
    }

    #[test]
    fn what_no_header_holds_or_no_mask_finds_is_refused_unquoted() {
        for bad in [
            "canary\n1",
            "canary\r1",
            "canary\0 1",
            "canärychen",
            "canary1",
            " canary12",
            "canary12 ",
            "",
        ] {
            let problem = Value(bad.to_owned()).bytes().expect_err("refused");
            assert_eq!(problem.code(), "invalid-input", "{bad:?}");
            let detail = format!("{:?}", problem.errors());
            assert!(!detail.contains("canary"), "{detail}");
        }
        let large = Value("x".repeat(70_000));
        assert_eq!(large.bytes().expect_err("large").status(), 413);
        assert!(Value("can ary/+=%\"\\1".to_owned()).bytes().is_ok());
    }

    #[test]
    fn a_use_names_origins_and_one_place() {
        let check = |text: &str| {
            let given: Use = serde_json::from_str(text).map_err(|error| error.to_string())?;
            given.validate().map_err(|report| report.to_string())?;
            Ok::<_, String>(given.normal())
        };
        let good = r#"{"origins": ["https://API.example.org:443/", "https://api.example.org"],
            "paths": ["/repos/a"], "place": {"header": "X-Key"}}"#;
        let good = check(good).expect("a use");
        assert_eq!(good.origins, ["https://api.example.org"]);
        assert_eq!(good.place.format.as_deref(), Some("{}"));
        for bad in [
            r#"{"origins": [], "place": {"handed": true}}"#,
            r#"{"origins": ["https://a.example/x"], "place": {"handed": true}}"#,
            r#"{"origins": ["https://u@a.example"], "place": {"handed": true}}"#,
            r#"{"origins": ["ftp://a.example"], "place": {"handed": true}}"#,
            r#"{"origins": ["https://a.example"], "place": {}}"#,
            r#"{"origins": ["https://a.example"], "place": {"handed": false}}"#,
            r#"{"origins": ["https://a.example"], "place": {"handed": true, "query": "key"}}"#,
            r#"{"origins": ["https://a.example"], "place": {"query": "key", "format": "{}"}}"#,
            r#"{"origins": ["https://a.example"], "place": {"header": "host"}}"#,
            r#"{"origins": ["https://a.example"], "place": {"header": "gather-x"}}"#,
            r#"{"origins": ["https://a.example"], "place": {"header": "x", "format": "Bearer"}}"#,
            r#"{"origins": ["https://a.example"], "place": {"basic": "a:b"}}"#,
            r#"{"origins": ["https://a.example"], "methods": ["get"], "place": {"handed": true}}"#,
            r#"{"origins": ["https://a.example"], "paths": ["x"], "place": {"handed": true}}"#,
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_not_ids() {
        for good in ["github", "GITHUB_TOKEN", "a.b-c", "7"] {
            assert!(secret_name(good, &()).is_ok(), "{good}");
        }
        for bad in [
            "",
            "-a",
            "a b",
            "a@1",
            "a:b",
            "ä",
            "00000000-0000-0000-0000-000000000000",
        ] {
            assert!(secret_name(bad, &()).is_err(), "{bad}");
        }
    }
}
