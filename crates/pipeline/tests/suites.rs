//! What others agree on: the conformance suite of CEL, without protocol buffers, and the JSON Schema Test Suite for draft
//! 2020-12. The cases that go another way are named in `*/deviations.txt`, and those have to be all of them.
//! `UPDATE=1` writes the lists again; a heading there says why.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::{Engine, prelude::BASE64_STANDARD};
use pipeline::{Expression, Names, Schema};
use serde::Deserialize;
use serde_json::{Map, Number, Value, json};

/// Separates the names of suites and cases.
const WITHIN: &str = " > ";

/// A case of CEL's suite.
#[derive(Debug, Deserialize)]
struct Cel {
    path: Vec<String>,
    expr: String,
    value: Option<Value>,
    bindings: Map<String, Value>,
    fails: bool,
}

/// A case of the suite of JSON Schema.
#[derive(Debug, Deserialize)]
struct Checked {
    path: Vec<String>,
    schema: Value,
    data: Value,
    valid: bool,
}

/// A value of CEL, as its suite writes it, in JSON; `None` if JSON has none.
fn json_of(value: &Value) -> Option<Value> {
    let (kind, value) = value.as_object()?.iter().next()?;
    let text = || value.as_str().map(str::to_owned);
    Some(match kind.as_str() {
        "nullValue" => Value::Null,
        "boolValue" | "stringValue" => value.clone(),
        "int64Value" => text()?.parse::<i64>().ok()?.into(),
        "uint64Value" => text()?.parse::<u64>().ok()?.into(),
        "doubleValue" => Value::Number(Number::from_f64(value.as_f64()?)?),
        "bytesValue" => {
            // The suite leaves out the padding of some.
            let bytes = BASE64_STANDARD.decode(text()?).ok()?;
            json!(BASE64_STANDARD.encode(bytes))
        }
        "listValue" => {
            let items = value["values"].as_array().into_iter().flatten();
            Value::Array(items.map(json_of).collect::<Option<_>>()?)
        }
        "mapValue" => {
            let entries = value["entries"].as_array().into_iter().flatten();
            let entries = entries.map(|entry| {
                let key = entry["key"]["stringValue"].as_str()?.to_owned();
                Some((key, json_of(&entry["value"])?))
            });
            Value::Object(entries.collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

/// What an expression is, as a pipeline evaluates it. Its variables are bound by macros, since a pipeline has fixed names.
fn evaluated(case: &Cel) -> Option<Result<Value, String>> {
    let mut text = case.expr.clone();
    let mut input = Map::new();
    for (name, bound) in &case.bindings {
        input.insert(name.clone(), json_of(&bound["value"])?);
        text = format!("[input['{name}']].map({name}, {text})[0]");
    }
    let names = json!({"input": input});
    let names: Names = names.as_object().cloned().unwrap_or_default();
    let parsed = Expression::parse(&text);
    Some(parsed.and_then(|parsed| parsed.evaluate(&names).map_err(|fault| fault.detail)))
}

/// Whether an expression is what the suite says. What JSON can't hold is refused, as a step refuses it.
fn conforms(case: &Cel) -> bool {
    let Some(evaluated) = evaluated(case) else {
        return false;
    };
    if case.fails {
        return evaluated.is_err();
    }
    // A case without a value is true.
    let expected = case.value.clone().unwrap_or(json!({"boolValue": true}));
    match json_of(&expected) {
        Some(expected) => evaluated == Ok(expected),
        None => false,
    }
}

fn is_valid(case: &Checked) -> bool {
    Schema::new(&case.schema).is_ok_and(|schema| schema.refusal(&case.data).is_none())
}

/// Names the cases that deviate, with one name for a suite of which all do.
fn named(cases: &BTreeMap<Vec<String>, bool>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (path, conforms) in cases {
        if *conforms {
            continue;
        }
        let within = |suite: &[String]| {
            cases
                .iter()
                .any(|(path, conforms)| *conforms && path.starts_with(suite))
        };
        let whole = (1..path.len()).find(|length| !within(&path[..*length]));
        names.insert(match whole {
            Some(length) => path[..length].join(WITHIN) + WITHIN + "*",
            None => path.join(WITHIN),
        });
    }
    names
}

/// The folder of a suite among the sources.
fn sources(suite: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(suite)
}

/// Holds the cases that deviate against the list of them.
fn hold(suite: &str, cases: &BTreeMap<Vec<String>, bool>) {
    let file = sources(suite).join("deviations.txt");
    let found = named(cases);
    let known = fs::read_to_string(&file).unwrap_or_default();
    let listed: BTreeSet<String> = known
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    if std::env::var_os("UPDATE").is_some() {
        // Headings stay where they are; what is new comes last, for somebody to say why.
        let kept = known
            .lines()
            .filter(|line| line.is_empty() || line.starts_with('#') || found.contains(*line));
        let new = found.difference(&listed).map(String::as_str);
        let lines: Vec<&str> = kept.chain(new).collect();
        fs::write(&file, lines.join("\n") + "\n").expect("the list is written");
        return;
    }
    let more: Vec<_> = found.difference(&listed).collect();
    let fewer: Vec<_> = listed.difference(&found).collect();
    assert!(
        more.is_empty() && fewer.is_empty(),
        "{suite}: these deviate and are not listed: {more:#?}; these are listed and don't: {fewer:#?}"
    );
}

/// Runs programs one after the other in a folder of the target folder that has a suite's files, and answers what the last
/// one prints. `None`, with a word about it, if one does not work here; where nothing may be skipped that is a failure.
fn said(suite: &str, programs: &[&[&str]]) -> Option<String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(suite);
    fs::create_dir_all(&folder).expect("a folder");
    for file in fs::read_dir(sources(suite)).expect("the suite's files") {
        let file = file.expect("a file");
        fs::copy(file.path(), folder.join(file.file_name())).expect("a copy");
    }
    let mut said = String::new();
    for program in programs {
        let done = Command::new(program[0])
            .args(&program[1..])
            .current_dir(&folder)
            .output();
        let done = done.ok().filter(|done| done.status.success());
        let Some(done) = done else {
            let why = format!("{} does not work here", program.join(" "));
            let skips = std::env::var_os("GATHER_TESTS_SKIP_NONE").is_none();
            assert!(skips, "nothing may be skipped: {why}");
            eprintln!("skipped: {why}");
            return None;
        };
        said = String::from_utf8_lossy(&done.stdout).into_owned();
    }
    Some(said)
}

#[test]
fn expressions_are_those_of_cel() {
    let install = ["npm", "install", "--no-audit", "--no-fund", "--silent"];
    let Some(said) = said("cel", &[&install, &["node", "cel.mjs"]]) else {
        return;
    };
    let cases: Vec<Cel> = serde_json::from_str(&said).expect("cases");
    // Frames of a build for debugging are many times as large as those of a component.
    let thread = std::thread::Builder::new().stack_size(64 << 20);
    let held = thread.spawn(move || {
        let mut held = BTreeMap::new();
        for case in &cases {
            // A few share a name.
            *held.entry(case.path.clone()).or_insert(true) &= conforms(case);
        }
        held
    });
    let held = held.expect("a thread").join().expect("no panic");
    assert!(held.len() > 1_600, "{}", held.len());
    hold("cel", &held);
}

#[test]
fn schemas_are_those_of_json_schema() {
    let source = [
        "download",
        "--quiet",
        "--no-deps",
        "--no-binary",
        "jsonschema",
        "jsonschema==4.25.1",
    ];
    let pip = [&["venv/bin/pip"][..], &source].concat();
    let programs: [&[&str]; 3] = [
        &["python3", "-m", "venv", "venv"],
        &pip,
        &["python3", "schemas.py"],
    ];
    let Some(said) = said("schemas", &programs) else {
        return;
    };
    let cases: Vec<Checked> = serde_json::from_str(&said).expect("cases");
    let mut held = BTreeMap::new();
    for case in &cases {
        held.insert(case.path.clone(), is_valid(case) == case.valid);
    }
    assert!(held.len() > 1_200, "{}", held.len());
    hold("schemas", &held);
}
