//! Calls `greet` in Extism: JSON in, JSON out, as the sandbox does it. Prints two lines: with an instance that is
//! kept, as its documentation shows, and with a fresh one a call, as strangers' code needs it.

use anyhow::{Context, Result, ensure};
use extism::{CompiledPlugin, Manifest, Plugin, PluginBuilder, Wasm};
use std::time::{Duration, Instant};

const CALLS: usize = 5_000;
const ARGUMENTS: &str = r#"{"name":"Ada"}"#;

fn main() -> Result<()> {
    let path = std::env::args().nth(1).context("the plugin's path")?;
    let manifest = Manifest::new([Wasm::data(std::fs::read(path)?)]).with_timeout(Duration::from_secs(5));
    let compiled = CompiledPlugin::new(PluginBuilder::new(manifest).with_wasi(false))?;
    let mut kept = Plugin::new_from_compiled(&compiled)?;
    measure("kept instance", || call(&mut kept))?;
    measure("fresh instance", || call(&mut Plugin::new_from_compiled(&compiled)?))
}

fn call(plugin: &mut Plugin) -> Result<()> {
    let answer: &str = plugin.call("greet", ARGUMENTS)?;
    let answer: serde_json::Value = serde_json::from_str(answer)?;
    ensure!(answer["length"] == 11, "{answer}");
    Ok(())
}

fn measure(name: &str, mut call: impl FnMut() -> Result<()>) -> Result<()> {
    let mut times = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let began = Instant::now();
        call()?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    let at = |share: usize| times[CALLS * share / 100].as_nanos() as f64 / 1e3;
    println!("  extism, {name:<15} p50 {:>6.1} µs  p99 {:>6.1} µs", at(50), at(99));
    Ok(())
}
