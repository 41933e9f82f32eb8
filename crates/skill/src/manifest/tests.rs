//! What a manifest may say, and what it may not.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn parse(change: impl FnOnce(&mut Value)) -> Result<Manifest, Vec<FieldError>> {
    let mut manifest = json!({"name": "word-count", "version": "1.0.0", "description": "Counts words.",
        "permissions": {}, "examples": [{"tool": "count", "arguments": {"text": "a b"}, "result": 2}]});
    change(&mut manifest);
    Manifest::parse(manifest.to_string().as_bytes())
}

#[test]
fn a_small_manifest_is_enough() {
    let manifest = parse(|_| ()).unwrap();
    assert_eq!(manifest.limits, Limits::default());
    assert_eq!(manifest.examples[0].expected, Expected::Result(json!(2)));
    let again = Manifest::parse(&serde_json::to_vec(&manifest).unwrap()).unwrap();
    assert_eq!(again, manifest, "what is written is read");
}

#[test]
fn limits_may_stand_in_the_permissions() {
    let flat = parse(|m| m["permissions"] = json!({"deadline_ms": 100, "clock": true})).unwrap();
    let nested =
        parse(|m| m["permissions"] = json!({"limits": {"deadline_ms": 100}, "clock": true}))
            .unwrap();
    assert_eq!(flat, nested);
    assert_eq!(flat.limits.deadline_ms, 100);
}

#[test]
fn a_whole_number_may_have_a_fraction_and_an_exponent() {
    let text = |limits: &str, kv: &str| {
        format!(
            r#"{{"name": "word-count", "version": "1.0.0", "description": "Counts words.",
                "permissions": {{"kv": {{"max_bytes": {kv}}}}}, "limits": {limits}}}"#
        )
    };
    let limits = r#"{"memory_bytes": 1048576.0, "fuel": 5e9, "deadline_ms": 1e3}"#;
    let manifest = Manifest::parse(text(limits, "1024.0").as_bytes()).unwrap();
    let expected = Limits {
        memory_bytes: 1 << 20,
        fuel: 5_000_000_000,
        deadline_ms: 1_000,
    };
    assert_eq!(manifest.limits, expected);
    assert_eq!(manifest.permissions.kv, Some(KeyValue { max_bytes: 1_024 }));
    for wrong in ["1.5", "-1", "\"1\"", "1e300"] {
        assert!(
            Manifest::parse(text("{}", wrong).as_bytes()).is_err(),
            "{wrong}"
        );
    }
}

#[test]
fn each_fault_is_named() {
    type Change = (&'static str, fn(&mut Value));
    let changes: [Change; 14] = [
        ("name", |m| m["name"] = json!("A--b")),
        ("name", |m| m["name"] = json!("a--b")),
        ("version", |m| m["version"] = json!("1.0")),
        ("version", |m| m["version"] = json!("1.0.0+build")),
        ("description", |m| m["description"] = json!("")),
        ("tags[0]", |m| m["tags"] = json!(["A"])),
        ("permissions.http[0]", |m| {
            m["permissions"]["http"] = json!(["https://a.org/path"])
        }),
        ("permissions.http[0]", |m| {
            m["permissions"]["http"] = json!(["https://*.a.org"])
        }),
        ("permissions.http[0]", |m| {
            m["permissions"]["http"] = json!(["http://169.254.169.254"])
        }),
        ("permissions.http[0]", |m| {
            m["permissions"]["http"] = json!(["http://localhost"])
        }),
        ("permissions.http[0]", |m| {
            m["permissions"]["http"] = json!(["ftp://a.org"])
        }),
        ("limits.memory_bytes", |m| {
            m["permissions"]["memory_bytes"] = json!(257 << 20)
        }),
        ("limits.deadline_ms", |m| {
            m["limits"] = json!({"deadline_ms": 30_001})
        }),
        ("permissions.kv.max_bytes", |m| {
            m["permissions"]["kv"] = json!({"max_bytes": 0})
        }),
    ];
    for (field, change) in changes {
        let errors = parse(change).expect_err(field);
        assert_eq!(errors[0].field, format!("manifest.{field}"), "{errors:?}");
    }
    let errors = parse(|m| m["examples"][0]["arguments"]["text"] = json!("\0")).expect_err("zero");
    assert!(errors[0].detail.contains("zero character"), "{errors:?}");
    let errors = parse(|m| m["permissions"]["root"] = json!(true)).expect_err("unknown");
    assert!(errors[0].field.contains("permissions"), "{errors:?}");
}

/// The chain of SemVer 2.0.0, section 11.4.
#[test]
fn precedence_orders_as_the_specification_does() {
    let chain = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "2.0.0",
        "2.1.0",
        "10.0.0",
    ];
    let keys: Vec<_> = chain
        .iter()
        .map(|v| precedence(&semver::Version::parse(v).unwrap()))
        .collect();
    assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "{keys:#?}");
}

proptest! {
    #[test]
    fn precedence_agrees_with_semver(a in "[0-9]{1,3}\\.[0-9]\\.[0-9](-[a-z0-9]{1,4}(\\.[a-z0-9-]{1,4}){0,2})?", b in "[0-9]{1,3}\\.[0-9]\\.[0-9](-[a-z0-9]{1,4}(\\.[a-z0-9-]{1,4}){0,2})?") {
        let (Ok(a), Ok(b)) = (semver::Version::parse(&a), semver::Version::parse(&b)) else { return Ok(()) };
        prop_assert_eq!(precedence(&a).cmp(&precedence(&b)), a.cmp(&b), "{} {}", a, b);
    }

    #[test]
    fn any_bytes_are_a_manifest_or_errors(json: Vec<u8>) {
        prop_assert!(Manifest::parse(&json).is_err());
    }
}
