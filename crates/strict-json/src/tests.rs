use super::*;
use proptest::prelude::*;
use serde_json::json;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

#[derive(Debug, PartialEq, Deserialize)]
struct Outer {
    name: String,
    #[serde(default)]
    inner: Option<Inner>,
    #[serde(default)]
    many: Vec<Inner>,
    #[serde(default)]
    by_name: BTreeMap<String, Inner>,
    #[serde(default)]
    wrapped: Option<Wrapped>,
    #[serde(default)]
    choice: Option<Choice>,
    #[serde(default)]
    kind: Option<Kind>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inner {
    size: u8,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Wrapped(Inner);

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Choice {
    Nothing,
    One(Inner),
    Named { size: i64 },
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Agent,
    User,
}

fn check<T: DeserializeOwned + std::fmt::Debug>(json: &str, path: &str, detail: &str) {
    let expected = Refusal::Invalid {
        path: path.to_owned(),
        detail: detail.to_owned(),
    };
    assert_eq!(
        read::<T>(json.as_bytes()).expect_err(json),
        expected,
        "{json}"
    );
    let value: Value = serde_json::from_str(json).expect("JSON");
    assert_eq!(
        from_value::<T>(value).expect_err(json),
        expected,
        "{json} as a value"
    );
}

#[test]
fn an_array_is_no_object_at_any_depth() {
    let detail = "must be an object, not an array";
    check::<Outer>(r#"["a"]"#, "", detail);
    check::<Outer>("[]", "", detail);
    for (json, path) in [
        (r#"{"name": "a", "inner": [1]}"#, "inner"),
        (r#"{"name": "a", "many": [{"size": 1}, [1]]}"#, "many[1]"),
        (r#"{"name": "a", "by_name": {"x": [1]}}"#, "by_name.x"),
        (r#"{"name": "a", "by_name": []}"#, "by_name"),
        (r#"{"name": "a", "wrapped": [1]}"#, "wrapped"),
        (r#"{"name": "a", "choice": {"one": [1]}}"#, "choice.one"),
        (r#"{"name": "a", "choice": {"named": [1]}}"#, "choice.named"),
    ] {
        check::<Outer>(json, path, detail);
    }
}

#[test]
fn each_kind_of_refusal_is_in_words_of_json() {
    for (json, path, detail) in [
        ("7", "", "must be an object, not a number"),
        ("\"x\"", "", "must be an object, not a string"),
        ("null", "", "must be an object, not null"),
        ("{}", "name", "is missing"),
        (r#"{"name": 1}"#, "name", "must be a string, not a number"),
        (r#"{"name": 1.5}"#, "name", "must be a string, not a number"),
        (
            r#"{"name": true}"#,
            "name",
            "must be a string, not a boolean",
        ),
        (r#"{"name": null}"#, "name", "must be a string, not null"),
        (r#"{"name": {}}"#, "name", "must be a string, not an object"),
        (r#"{"name": []}"#, "name", "must be a string, not an array"),
        (
            r#"{"name": "a", "many": {}}"#,
            "many",
            "must be an array, not an object",
        ),
        (r#"{"name": "a", "inner": {}}"#, "inner.size", "is missing"),
        (
            r#"{"name": "a", "inner": {"size": 300}}"#,
            "inner.size",
            "must be an integer from 0 to 255",
        ),
        (
            r#"{"name": "a", "inner": {"size": -1}}"#,
            "inner.size",
            "must be an integer from 0 to 255",
        ),
        (
            r#"{"name": "a", "inner": {"size": 1.5}}"#,
            "inner.size",
            "must be an integer from 0 to 255, not a number with a fraction",
        ),
        (
            r#"{"name": "a", "inner": {"size": "1"}}"#,
            "inner.size",
            "must be an integer from 0 to 255, not a string",
        ),
        (
            r#"{"name": "a", "inner": {"size": 1, "x": 2}}"#,
            "inner.x",
            "is unknown here; known are `size`",
        ),
        (
            r#"{"name": "a", "kind": "cat"}"#,
            "kind",
            "must be one of `agent`, `user`",
        ),
        (
            r#"{"name": "a", "kind": 5}"#,
            "kind",
            "must be one of `agent`, `user`, not a number",
        ),
        (
            r#"{"name": "a", "kind": []}"#,
            "kind",
            "must be one of `agent`, `user`, not an array",
        ),
        (
            r#"{"name": "a", "choice": "else"}"#,
            "choice",
            "must be one of `nothing`, `one`, `named`",
        ),
    ] {
        check::<Outer>(json, path, detail);
    }
    check::<Vec<bool>>("[true, 1]", "[1]", "must be a boolean, not a number");
    check::<f64>("\"1\"", "", "must be a number, not a string");
    check::<()>("1", "", "must be null, not a number");
    check::<(u8, u8)>("[1]", "", "must be an array, not one of length 1");
    let repeated = read::<Outer>(br#"{"name": "a", "name": "b"}"#);
    let expected = Refusal::Invalid {
        path: "name".into(),
        detail: "is given twice".into(),
    };
    assert_eq!(repeated.expect_err("a repeated member"), expected);
}

#[test]
fn the_words_of_other_crates_are_translated() {
    for (message, detail) in [
        (
            "invalid type: integer `1`, expected a formatted UUID string",
            "must be a UUID, not a number",
        ),
        (
            "UUID parsing failed: invalid character: found `x` at 1",
            "must be a UUID",
        ),
        ("invalid digit found in string", "must be an integer"),
        (
            "provided string was not `true` or `false`",
            "must be `true` or `false`",
        ),
        ("number too large to fit in target type", "is too large"),
        ("unknown variant `x`, expected `a`", "must be `a`"),
        (
            "unknown variant `x`, expected `a` or `b`",
            "must be one of `a`, `b`",
        ),
        (
            "unknown variant `, expected `, expected one of `a`, `b`, `c`",
            "must be one of `a`, `b`, `c`",
        ),
        (
            "invalid value: string \"a, expected b\", expected a UUID string",
            "must be a UUID",
        ),
        (
            "invalid type: map, expected a string",
            "must be a string, not an object",
        ),
        ("a sentence of our own", "a sentence of our own"),
    ] {
        let expected = Refusal::Invalid {
            path: "x".into(),
            detail: detail.into(),
        };
        assert_eq!(explain("x", message), expected);
    }
}

#[test]
fn what_is_not_json_says_where_it_breaks() {
    for json in ["{", "", "{\"name\": \"a\"} x", "{\"name\": ,"] {
        let Err(Refusal::Malformed(detail)) = read::<Outer>(json.as_bytes()) else {
            panic!("{json} is taken");
        };
        assert!(detail.contains("at line 1 column"), "{detail}");
    }
}

#[test]
fn what_fits_is_read_as_serde_reads_it() {
    let json = r#"{"name": "é", "inner": {"size": 5.0}, "many": [{"size": 1}], "by_name": {"x": {"size": 2}},
        "wrapped": {"size": 3}, "choice": {"named": {"size": -4.0}}, "kind": "user", "unknown": [1]}"#;
    let outer: Outer = read(json.as_bytes()).expect("it fits");
    assert_eq!(outer.inner, Some(Inner { size: 5 }));
    assert_eq!(outer.choice, Some(Choice::Named { size: -4 }));
    assert_eq!(outer.kind, Some(Kind::User));
    let raw: Box<RawValue> = read(b" {\"a\" : 1.0} ").expect("any JSON");
    assert_eq!(raw.get(), "{\"a\" : 1.0}");
    assert_eq!(read::<Choice>(b"\"nothing\""), Ok(Choice::Nothing));
    assert!(read::<Choice>(br#"{"named": {"size": 1}, "one": {"size": 1}}"#).is_err());
}

#[test]
fn an_integer_may_have_a_fraction_of_zero_and_an_exponent() {
    let size = |text: &str| read::<Inner>(format!("{{\"size\": {text}}}").as_bytes());
    for five in ["5", "5.0", "5e0", "0.5e1", "50E-1"] {
        assert_eq!(size(five), Ok(Inner { size: 5 }), "{five}");
    }
    for other in ["5.5", "\"5\"", "256", "-1.0", "1e300", "null", "[5]"] {
        assert!(size(other).is_err(), "{other}");
    }
    let deep = br#"{"name": "a", "many": [{"size": 5.0}], "by_name": {"x": {"size": 1e2}}}"#;
    let deep: Outer = read(deep).expect("integers at any depth");
    assert_eq!(deep.many, [Inner { size: 5 }]);
    assert_eq!(deep.by_name["x"], Inner { size: 100 });
}

#[test]
fn repeated_members_are_found_at_any_depth() {
    for (json, path) in [
        (r#"{"a": 1, "a": 1}"#, "a"),
        (r#"{"x": [{"a": 1, "\u0061": 2}]}"#, "x[0].a"),
        (r#"{"a": {"a": {"b": 1, "b": 2}}}"#, "a.a.b"),
    ] {
        let expected = Refusal::Invalid {
            path: path.to_owned(),
            detail: "is given twice".to_owned(),
        };
        assert_eq!(
            refuse_repeated(json.as_bytes()),
            Err(expected.clone()),
            "{json}"
        );
        assert_eq!(
            read_unique::<Value>(json.as_bytes()),
            Err(expected),
            "{json}"
        );
    }
    assert_eq!(
        refuse_repeated(br#"[{"a": 1}, {"a": [null, true, -1, 2.5, "x"]}]"#),
        Ok(())
    );
    assert!(matches!(refuse_repeated(b"{"), Err(Refusal::Malformed(_))));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(
                prop_oneof!["name", "inner", "size", "many", "choice", "one", ".*"],
                inner,
                0..4
            )
            .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Puts an array of an object's values in its place, somewhere in a value that fits.
fn with_array(position: usize) -> Value {
    let mut value = json!({
        "name": "a", "inner": {"size": 1}, "many": [{"size": 1}], "by_name": {"x": {"size": 2}},
        "wrapped": {"size": 3}, "choice": {"one": {"size": 4}},
    });
    let paths = [
        "",
        "/inner",
        "/many/0",
        "/by_name",
        "/by_name/x",
        "/wrapped",
        "/choice/one",
    ];
    let place = value
        .pointer_mut(paths[position % paths.len()])
        .expect("a place");
    let members = place
        .as_object()
        .into_iter()
        .flat_map(|object| object.values());
    *place = members.cloned().collect();
    value
}

proptest! {
    #[test]
    fn any_json_is_read_as_it_is(value in any_json()) {
        let text = value.to_string();
        prop_assert_eq!(read_unique::<Value>(text.as_bytes()), Ok(value.clone()));
        prop_assert_eq!(from_value::<Value>(value.clone()), Ok(value));
    }

    #[test]
    fn what_is_taken_serde_takes_too_and_no_refusal_speaks_rust(value in any_json()) {
        match read::<Outer>(value.to_string().as_bytes()) {
            Ok(outer) => prop_assert!(value.is_object() && outer.name == value["name"]),
            Err(Refusal::Invalid { detail, .. }) => {
                for word in ["struct", "enum ", "expected", "u8", "sequence", "map"] {
                    prop_assert!(!detail.contains(word), "{}", detail);
                }
            }
            Err(Refusal::Malformed(detail)) => prop_assert!(false, "{}", detail),
        }
    }

    #[test]
    fn an_array_anywhere_is_refused(position: usize) {
        let text = with_array(position).to_string();
        prop_assert!(read::<Outer>(text.as_bytes()).is_err(), "{}", text);
    }

    #[test]
    fn any_text_is_a_value_or_a_refusal(text in ".*", bytes: Vec<u8>) {
        drop(read_unique::<Outer>(text.as_bytes()));
        drop(read_unique::<Outer>(&bytes));
    }
}
