//! A greeting through Extism, for comparison: a fresh instance a call, as the sandbox does, and one that is
//! reused.

use anyhow::Result;
use extism::{CompiledPlugin, Manifest, Plugin, PluginBuilder, Wasm};
use std::time::Instant;

/// Copies the input behind `Hello, `: as little as a plugin can do. By Extism's kernel, a byte at a time.
const GREET: &str = r#"(module
    (import "extism:host/env" "input_length" (func $input_length (result i64)))
    (import "extism:host/env" "input_load_u8" (func $input_load (param i64) (result i32)))
    (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
    (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
    (import "extism:host/env" "output_set" (func $output (param i64 i64)))
    (memory (export "memory") 1)
    (data (i32.const 0) "Hello, ")
    (func (export "greet") (result i32)
        (local $length i64) (local $at i64) (local $out i64)
        (local.set $length (call $input_length))
        (local.set $out (call $alloc (i64.add (local.get $length) (i64.const 7))))
        (loop $prefix
            (call $store (i64.add (local.get $out) (local.get $at)) (i32.load8_u (i32.wrap_i64 (local.get $at))))
            (local.set $at (i64.add (local.get $at) (i64.const 1)))
            (br_if $prefix (i64.lt_u (local.get $at) (i64.const 7))))
        (local.set $at (i64.const 0))
        (block $done (loop $copy
            (br_if $done (i64.ge_u (local.get $at) (local.get $length)))
            (call $store (i64.add (i64.add (local.get $out) (i64.const 7)) (local.get $at)) (call $input_load (local.get $at)))
            (local.set $at (i64.add (local.get $at) (i64.const 1)))
            (br $copy)))
        (call $output (local.get $out) (i64.add (local.get $length) (i64.const 7)))
        i32.const 0))"#;

fn main() -> Result<()> {
    let manifest = Manifest::new([Wasm::data(wat::parse_str(GREET)?)]);
    let compiled = CompiledPlugin::new(PluginBuilder::new(manifest).with_wasi(false))?;
    let mut fresh = Vec::new();
    for _ in 0..2_000 {
        let began = Instant::now();
        let mut plugin = Plugin::new_from_compiled(&compiled)?;
        let answer: String = plugin.call("greet", "Ada")?;
        fresh.push(began.elapsed());
        anyhow::ensure!(answer == "Hello, Ada", "{answer}");
    }
    let mut plugin = Plugin::new_from_compiled(&compiled)?;
    let mut reused = Vec::new();
    for _ in 0..10_000 {
        let began = Instant::now();
        let _: String = plugin.call("greet", "Ada")?;
        reused.push(began.elapsed());
    }
    fresh.sort();
    reused.sort();
    println!("extism: greet with a fresh instance p50 {:?}, reused p50 {:?}", fresh[1_000], reused[5_000]);
    Ok(())
}
