//! Tests of the inspection of components.

use super::*;

fn look(wat: &str) -> Result<Inspection, Refusal> {
    inspect(&wat::parse_str(wat).expect("valid text"))
}

/// A component that exports one function of this type, whose code does nothing.
fn exporting(types: &str, params: &str, result: &str) -> String {
    format!(
        r#"(component
            {types}
            (core module $m
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 0)
                (func (export "f") {}))
            (core instance $i (instantiate $m))
            (func (export "do-it") {params} {result}
                (canon lift (core func $i "f") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))"#,
        if result.is_empty() {
            "(param i32 i32)"
        } else {
            "(result i32) i32.const 0"
        },
    )
}

#[test]
fn parameters_become_properties() {
    let found = look(&exporting("", "(param \"text\" string)", "")).unwrap();
    assert_eq!(found.tools.len(), 1);
    assert_eq!(found.tools[0].name, "do-it");
    assert_eq!(
        found.tools[0].input_schema["properties"]["text"],
        json!({"type": "string"})
    );
    assert_eq!(found.tools[0].output_schema["type"], "null");
    assert_eq!(
        (found.facts.wasi.as_str(), found.facts.core_modules),
        ("none", 1)
    );
}

#[test]
fn what_is_no_component_is_told_what_to_do() {
    let refusal = inspect(&wat::parse_str("(module)").unwrap()).unwrap_err();
    assert!(
        matches!(&refusal, Refusal::NotAComponent(why) if why.contains("component new")),
        "{refusal}"
    );
    assert!(matches!(inspect(b"GIF89a"), Err(Refusal::NotAComponent(_))));
    let mut whole = wat::parse_str(exporting("", "(param \"text\" string)", "")).unwrap();
    whole.truncate(whole.len() - 9);
    assert!(matches!(inspect(&whole), Err(Refusal::NotAComponent(_))));
}

#[test]
fn imports_that_the_sandbox_lacks_are_named() {
    let refusal =
        look(r#"(component (import "evil:corp/root@1.0.0" (instance (export "f" (func)))))"#)
            .unwrap_err();
    assert!(
        matches!(&refusal, Refusal::ImportRefused(why) if why.contains("evil:corp/root@1.0.0")),
        "{refusal}"
    );
}

#[test]
fn a_component_without_functions_offers_nothing() {
    assert!(matches!(
        look("(component)"),
        Err(Refusal::NothingCallable(_))
    ));
}

#[test]
fn types_that_double_with_each_level_are_too_large() {
    let mut types = String::from(
        "(type $t0' (record (field \"a\" u32) (field \"b\" u32))) (export $t0 \"t0\" (type $t0'))",
    );
    for level in 1..40 {
        let below = level - 1;
        types += &format!(
            "(type $t{level}' (tuple $t{below} $t{below})) (export $t{level} \"t{level}\" (type $t{level}'))"
        );
    }
    let wat = exporting(&types, "(param \"x\" (list $t39))", "");
    match look(&wat) {
        Err(Refusal::NothingCallable(why)) => assert!(why.contains("too large"), "{why}"),
        Err(Refusal::NotAComponent(_)) => {}
        other => panic!("{other:?}"),
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_inspected(bytes: Vec<u8>) {
        assert!(inspect(&bytes).is_err());
        let mut begun = b"\0asm\x0d\0\x01\0".to_vec();
        begun.extend(&bytes);
        drop(inspect(&begun));
    }
}
