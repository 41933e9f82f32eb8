//! Random components, by wasm-smith: none may crash the sandbox, hang it, or leave anything behind. A few with
//! every run; for more, and to repeat a sequence:
//! `GATHER_FUZZ_COMPONENTS=100000 GATHER_FUZZ_SEED=7 cargo test --workspace random_components -- --nocapture`.

use anyhow::{Context, Result, bail};
use arbitrary::Unstructured;
use e2e::{root, sandbox_child};
use futures::{StreamExt, TryStreamExt, stream};
use sandbox::{End, Fault, Grant, LoadError, Options, Runner};
use serde_json::Map;
use skill::{Limits, Permissions};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// Components of a run where nothing else is said.
const FEW: u64 = 60;
/// Bytes of randomness that one component is made of.
const RANDOM_BYTES: usize = 4_096;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(otherwise)
}

/// Random bytes that follow from a seed (splitmix64).
fn bytes(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).to_le_bytes()
    };
    std::iter::repeat_with(next)
        .take(RANDOM_BYTES / 8)
        .flatten()
        .collect()
}

/// A component of random types, instances and modules. Most offer nothing that can be called.
fn component(random: &[u8]) -> arbitrary::Result<Vec<u8>> {
    let mut random = Unstructured::new(random);
    Ok(wasm_smith::Component::new(wasm_smith::Config::default(), &mut random)?.to_bytes())
}

/// A random core module whose function `attack` a component lifts: this one runs.
fn running(random: &[u8]) -> Result<Vec<u8>> {
    let exports = wat::parse_str(r#"(module (func (export "attack")))"#)?;
    let config = wasm_smith::Config {
        exports: Some(exports),
        max_imports: 0,
        max_memory32_bytes: 1 << 32,
        memory64_enabled: false,
        gc_enabled: false,
        // References to what the host has (`externref`) need a collector, which skills' engine has not.
        reference_types_enabled: false,
        exceptions_enabled: false,
        threads_enabled: false,
        shared_everything_threads_enabled: false,
        custom_page_sizes_enabled: false,
        wide_arithmetic_enabled: false,
        ..wasm_smith::Config::default()
    };
    let module = wasm_smith::Module::new(config, &mut Unstructured::new(random))?.to_bytes();
    let text = wasmprinter::print_bytes(module)?;
    let body = text.strip_prefix("(module").context("a module")?;
    Ok(wat::parse_str(format!(
        r#"(component (core module $m {body} (core instance $i (instantiate $m))
            (func (export "attack") (canon lift (core func $i "attack"))))"#
    ))?)
}

#[tokio::test(flavor = "multi_thread")]
async fn none_crashes_hangs_or_leaks() -> Result<()> {
    let _machine = e2e::MACHINE.lock().await;
    let (count, seed) = (
        number("GATHER_FUZZ_COMPONENTS", FEW),
        number("GATHER_FUZZ_SEED", 1),
    );
    // A folder of its own, which goes: nobody wants a hundred thousand compiled files.
    let cache = tempfile::tempdir_in(root().join("target"))?;
    let runner = Arc::new(Runner::new(Options {
        loaded_bytes: 1 << 20,
        ..Options::new(cache.path().to_owned(), [7; 32], sandbox_child()?)
    })?);
    let limits = Limits {
        memory_bytes: 16 << 20,
        fuel: 50_000_000,
        deadline_ms: 200,
    };
    let grant = Grant {
        permissions: Permissions::default(),
        limits,
        key_value: None,
        reach: sandbox::Reach::default(),
    };
    let at_once = std::thread::available_parallelism()?.get();
    let ends = stream::iter(0..count)
        .map(|number| {
            let (runner, grant) = (runner.clone(), grant.clone());
            tokio::spawn(async move { one(&runner, &grant, seed, number).await })
        })
        .buffer_unordered(at_once)
        .map_err(anyhow::Error::from)
        .try_fold(BTreeMap::<String, u64>::new(), |mut ends, end| async move {
            *ends.entry(end?).or_default() += 1;
            let made: u64 = ends.values().sum();
            if made.is_multiple_of(10_000) {
                println!("{made} of {count}");
            }
            Ok(ends)
        })
        .await?;
    println!("{count} components of seed {seed}: {ends:?}");
    let ran: u64 = ends
        .iter()
        .filter(|(end, _)| {
            !["refused", "not made", "unusable"]
                .iter()
                .any(|no| end.starts_with(no))
        })
        .map(|(_, count)| count)
        .sum();
    assert!(ran > count / 4, "hardly any was run: {ends:?}");
    Ok(())
}

/// Makes the component of a number, and calls it; how that ended.
async fn one(runner: &Runner, grant: &Grant, seed: u64, number: u64) -> Result<String> {
    let random = bytes(seed.wrapping_mul(1_000_003).wrapping_add(number));
    let made = if number.is_multiple_of(4) {
        component(&random).map_err(Into::into)
    } else {
        running(&random)
    };
    let wasm = match made {
        Ok(wasm) => wasm,
        Err(error) => {
            let why: String = format!("{error:#}").chars().take(120).collect();
            return Ok(format!("not made: {why}"));
        }
    };
    let began = Instant::now();
    let end = call(runner, grant, wasm)
        .await
        .with_context(|| format!("number {number} of seed {seed}"))?;
    anyhow::ensure!(
        began.elapsed() < Duration::from_secs(20),
        "number {number} of seed {seed} took {:?}",
        began.elapsed()
    );
    Ok(end)
}

/// What is the same in refusals of the same kind.
fn beginning(text: &str) -> String {
    let same = text.chars().take_while(|c| !c.is_ascii_digit());
    same.take(65).collect()
}

async fn call(runner: &Runner, grant: &Grant, wasm: Vec<u8>) -> Result<String> {
    let inspection = match runner.inspect(&wasm).await? {
        Ok(inspection) => inspection,
        Err(refusal) => {
            return Ok(format!("refused: {}", beginning(&refusal.to_string())));
        }
    };
    let skill = match runner
        .load(&inspection.digest, async { Ok(Some(wasm)) })
        .await
    {
        Ok(skill) => skill,
        Err(LoadError::Unusable(why)) => return Ok(format!("unusable: {}", beginning(&why))),
        Err(error) => bail!("{error:?}"),
    };
    let mut last = String::new();
    for tool in &inspection.tools {
        let outcome = runner.call(&skill, &tool.name, Map::new(), grant).await;
        last = match outcome.end {
            End::Answered(_) => "answered".to_owned(),
            End::Failed(_) => "failed".to_owned(),
            End::Ended(Fault::Internal(why)) => bail!("{why}"),
            End::Ended(fault) => fault.code().to_owned(),
        };
    }
    Ok(last)
}
