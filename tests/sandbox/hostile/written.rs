//! Components written to do harm, straight to the sandbox: none may crash it, hang it or get anything.

use anyhow::{Context, Result, bail};
use e2e::root;
use sandbox::{End, Fault, Grant, LoadError, Options, Runner};
use serde_json::{Map, Value};
use skill::{Limits, Permissions};
use std::time::{Duration, Instant};

/// A runner that compiles with the command of the tests.
pub fn runner() -> Result<Runner> {
    Runner::new(Options::new(
        root().join("target/compiled-skills"),
        [7; 32],
        e2e::sandbox_child()?,
    ))
}

/// What hostile components are granted: nothing, and little of everything.
pub fn grant() -> Grant {
    let limits = Limits {
        memory_bytes: 32 << 20,
        fuel: 20_000_000_000,
        deadline_ms: 400,
    };
    Grant {
        permissions: Permissions::default(),
        limits,
        key_value: None,
        reach: sandbox::Reach::default(),
    }
}

/// How a component that exports `attack` ends, as a problem's code.
async fn attack(wat: &str) -> Result<String> {
    let runner = runner()?;
    let wasm = wat::parse_str(wat).context("the fixture is no valid text")?;
    if let Err(refusal) = runner.inspect(&wasm).await? {
        return Ok(format!("refused: {refusal}"));
    }
    let digest = skill::digest::of_bytes(&wasm);
    let skill = match runner.load(&digest, async { Ok(Some(wasm)) }).await {
        Ok(skill) => skill,
        Err(LoadError::Unusable(why)) => return Ok(format!("unusable: {why}")),
        Err(error) => bail!("{error:?}"),
    };
    let began = Instant::now();
    let outcome = runner.call(&skill, "attack", Map::new(), &grant()).await;
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "it took {:?}",
        began.elapsed()
    );
    Ok(match outcome.end {
        End::Answered(value) => format!(
            "answered: {}",
            value.to_string().chars().take(80).collect::<String>()
        ),
        End::Failed(value) => format!("failed: {value}"),
        End::Ended(Fault::Internal(why)) => bail!("{why}"),
        End::Ended(fault) => fault.code().to_owned(),
    })
}

/// A component around a core module that exports `memory`, `realloc` and `attack`, the latter lifted to
/// this type.
fn component(module: &str, result: &str) -> String {
    let options = if result.is_empty() {
        String::new()
    } else {
        "(memory (core memory $i \"memory\")) (realloc (core func $i \"realloc\"))".to_owned()
    };
    format!(
        r#"(component
            (core module $m {module})
            (core instance $i (instantiate $m))
            (func (export "attack") {result} (canon lift (core func $i "attack") {options})))"#
    )
}

const REALLOC: &str =
    r#"(func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)"#;

fn memory(pages: u32) -> String {
    format!(r#"(memory (export "memory") {pages}) {REALLOC}"#)
}

async fn check(wat: &str, expected: &str) -> Result<()> {
    let ended = attack(wat).await?;
    assert!(ended.starts_with(expected), "{ended}, not {expected}");
    Ok(())
}

#[tokio::test]
async fn loops_without_end() -> Result<()> {
    check(
        &component(
            r#"(func $s (loop br 0)) (start $s) (func (export "attack"))"#,
            "",
        ),
        "skill-deadline",
    )
    .await?;
    check(
        &component(r#"(func (export "attack") (loop br 0))"#, ""),
        "skill-deadline",
    )
    .await?;
    // In the allocator, which the host calls for an argument's bytes: there is none here, so in post-return.
    let post = r#"(component
        (core module $m (func (export "attack")) (func (export "post") (loop br 0)))
        (core instance $i (instantiate $m))
        (func (export "attack") (canon lift (core func $i "attack") (post-return (core func $i "post")))))"#;
    check(post, "skill-deadline").await
}

#[tokio::test]
async fn a_loop_in_the_allocator() -> Result<()> {
    let wat = r#"(component
        (core module $m (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (loop br 0) unreachable)
            (func (export "attack") (param i32 i32)))
        (core instance $i (instantiate $m))
        (func (export "attack") (param "text" string)
            (canon lift (core func $i "attack") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))"#;
    let runner = runner()?;
    let wasm = wat::parse_str(wat)?;
    let skill = runner
        .load(&skill::digest::of_bytes(&wasm), async { Ok(Some(wasm)) })
        .await
        .map_err(|e| anyhow::anyhow!("{e:?}"))?;
    let arguments = Map::from_iter([("text".to_owned(), Value::from("x"))]);
    let outcome = runner.call(&skill, "attack", arguments, &grant()).await;
    assert_eq!(outcome.end, End::Ended(Fault::Deadline));
    Ok(())
}

#[tokio::test]
async fn too_much_memory() -> Result<()> {
    let grow = |pages: u32| {
        format!(
            r#"{} (func (export "attack") (if (i32.eq (memory.grow (i32.const {pages})) (i32.const -1)) (then unreachable)))"#,
            memory(1)
        )
    };
    check(&component(&grow(60_000), ""), "skill-memory").await?;
    let steps = format!(
        r#"{} (func (export "attack") (loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable)"#,
        memory(1)
    );
    check(&component(&steps, ""), "skill-memory").await?;
    let declared = format!(r#"{} (func (export "attack"))"#, memory(65_536));
    let ended = attack(&component(&declared, "")).await?;
    assert!(
        ended.starts_with("unusable") || ended.starts_with("refused") || ended == "skill-memory",
        "{ended}"
    );
    let table = r#"(table 10000000 funcref) (func (export "attack"))"#;
    let ended = attack(&component(table, "")).await?;
    assert!(
        ended.starts_with("unusable") || ended.starts_with("refused") || ended == "skill-trapped",
        "{ended}"
    );
    Ok(())
}

#[tokio::test]
async fn recursion_ends_in_a_trap() -> Result<()> {
    check(
        &component(r#"(func $f (export "attack") call $f)"#, ""),
        "skill-trapped",
    )
    .await
}

#[tokio::test]
async fn lies_about_results() -> Result<()> {
    // The result of a string or list is a pointer to (pointer, length).
    let with = |data: &str, result: &str| {
        component(
            &format!(
                r#"{} (data (i32.const 16) "{data}") (func (export "attack") (result i32) i32.const 16)"#,
                memory(1)
            ),
            &format!("(result {result})"),
        )
    };
    let cases = [
        (
            "a length beyond the memory",
            r"\00\00\00\00\f0\ff\ff\ff",
            "(list u8)",
        ),
        (
            "a pointer beyond the memory",
            r"\00\00\ff\ff\01\00\00\00",
            "string",
        ),
        (
            "bytes that are not UTF-8",
            r"\20\00\00\00\02\00\00\00\00\00\00\00\00\00\00\00\ff\fe",
            "string",
        ),
        (
            "a length that overflows",
            r"\00\00\00\00\ff\ff\ff\ff",
            "(list u64)",
        ),
        (
            "a misaligned list",
            r"\11\00\00\00\01\00\00\00",
            "(list u64)",
        ),
    ];
    for (what, data, result) in cases {
        let ended = attack(&with(data, result)).await?;
        assert_eq!(ended, "skill-trapped", "{what}");
    }
    let far = component(
        &format!(
            r#"{} (func (export "attack") (result i32) i32.const -8)"#,
            memory(1)
        ),
        "(result string)",
    );
    check(&far, "skill-trapped").await?;
    let character = component(
        &format!(
            r#"{} (func (export "attack") (result i32) i32.const 0x110000)"#,
            memory(1)
        ),
        "(result char)",
    );
    check(&character, "skill-trapped").await
}

/// Ten million strings that all lie at the same place: small in the skill, terabytes in the host.
#[tokio::test]
async fn amplification_is_bounded() -> Result<()> {
    let module = format!(
        r#"{} (func (export "attack") (result i32)
            (local $at i32) (local.set $at (i32.const 2097152))
            (loop
                (i32.store (local.get $at) (i32.const 1048576))
                (i32.store offset=4 (local.get $at) (i32.const 1000000))
                (local.set $at (i32.add (local.get $at) (i32.const 8)))
                (br_if 0 (i32.lt_u (local.get $at) (i32.const 18874368))))
            (i32.store (i32.const 16) (i32.const 2097152))
            (i32.store (i32.const 20) (i32.const 2000000))
            i32.const 16)"#,
        memory(300)
    );
    check(
        &component(&module, "(result (list string))"),
        "skill-output",
    )
    .await
}

#[tokio::test]
async fn a_trap_after_the_result_is_a_trap() -> Result<()> {
    let wat = r#"(component
        (core module $m (func (export "attack") (result i32) i32.const 1) (func (export "post") (param i32) unreachable))
        (core instance $i (instantiate $m))
        (func (export "attack") (result u32) (canon lift (core func $i "attack") (post-return (core func $i "post")))))"#;
    check(wat, "skill-trapped").await
}

#[tokio::test]
async fn very_many_functions_are_compiled_or_refused_in_time() -> Result<()> {
    let _machine = e2e::MACHINE.lock().await;
    let functions: String = (0..10_000)
        .map(|n| format!("(func (param i32) (result i32) (i32.mul (local.get 0) (i32.const {n})))"))
        .collect();
    let ended = attack(&component(
        &format!(r#"{functions} (func (export "attack"))"#),
        "",
    ))
    .await?;
    assert_eq!(ended, "answered: null");
    Ok(())
}

#[tokio::test]
async fn instance_and_component_bombs() -> Result<()> {
    let instances: String = (0..1_000)
        .map(|_| "(core instance (instantiate $n))")
        .collect();
    let many = format!(
        r#"(component (core module $n (memory 1)) {instances}
            (core module $m (func (export "attack"))) (core instance $i (instantiate $m))
            (func (export "attack") (canon lift (core func $i "attack"))))"#
    );
    let ended = attack(&many).await?;
    assert!(
        ended.starts_with("unusable") || ended.starts_with("refused"),
        "{ended}"
    );
    let nested: String = (0..900).map(|_| "(component)").collect();
    let components = format!(
        r#"(component {nested} (core module $m (func (export "attack"))) (core instance $i (instantiate $m))
            (func (export "attack") (canon lift (core func $i "attack"))))"#
    );
    let ended = attack(&components).await?;
    assert!(
        ended.starts_with("answered") || ended.starts_with("refused"),
        "{ended}"
    );
    Ok(())
}

#[tokio::test]
async fn sections_that_are_large_or_many() -> Result<()> {
    let plain = wat::parse_str(component(r#"(func (export "attack"))"#, ""))?;
    let mut large = plain.clone();
    let content = vec![b'A'; 8 << 20];
    large.push(0);
    leb128(&mut large, content.len() + 2);
    large.extend([1, b'x']);
    large.extend(content);
    let mut many = plain;
    for _ in 0..50_000 {
        many.extend([0, 2, 1, b'x']);
    }
    let runner = runner()?;
    for wasm in [large, many] {
        let found = runner
            .inspect(&wasm)
            .await?
            .map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
        assert!(found.facts.custom_sections.len() <= 100);
        let skill = runner
            .load(&skill::digest::of_bytes(&wasm), async { Ok(Some(wasm)) })
            .await
            .map_err(|e| anyhow::anyhow!("{e:?}"))?;
        let outcome = runner.call(&skill, "attack", Map::new(), &grant()).await;
        assert_eq!(outcome.end, End::Answered(Value::Null));
    }
    Ok(())
}

fn leb128(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        out.push(if value == 0 { byte } else { byte | 0x80 });
        if value == 0 {
            return;
        }
    }
}

/// Native code that somebody slipped into the cache is not run.
#[tokio::test]
async fn a_changed_cache_file_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let options = || {
        anyhow::Ok(Options::new(
            folder.path().to_owned(),
            [7; 32],
            e2e::sandbox_child()?,
        ))
    };
    let wasm = wat::parse_str(component(r#"(func (export "attack"))"#, ""))?;
    let digest = skill::digest::of_bytes(&wasm);
    let load = async |options: Options, bytes: Option<Vec<u8>>| {
        let loaded = Runner::new(options)?
            .load(&digest, async { Ok(bytes) })
            .await;
        anyhow::Ok(loaded.map(|_| ()))
    };
    assert!(load(options()?, Some(wasm.clone())).await?.is_ok());
    assert!(load(options()?, None).await?.is_ok(), "from the file");
    let file = std::fs::read_dir(folder.path())?
        .next()
        .context("a file")??
        .path();
    let mut bytes = std::fs::read(&file)?;
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&file, &bytes)?;
    assert!(
        matches!(load(options()?, None).await?, Err(LoadError::NotFound)),
        "the changed file is not used"
    );
    let mut other = options()?;
    other.seal_key = [8; 32];
    bytes[last] ^= 1;
    std::fs::write(&file, &bytes)?;
    assert!(
        matches!(load(other, None).await?, Err(LoadError::NotFound)),
        "nor one with another key's seal"
    );
    assert!(load(options()?, None).await?.is_ok());
    Ok(())
}
