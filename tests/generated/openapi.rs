//! `static/openapi.json`, merged from the documents that the built functions export.

use super::packages::Packages;
use anyhow::{Context, Result};
use e2e::root;
use sha2::{Digest, Sha256};
use std::fs;
use utoipa::openapi::OpenApi;
use wasmtime::{
    Config, Engine, OptLevel, Store,
    component::{Component, Linker},
};

const DESCRIPTION: &str = "gather:function/description@1.0.0";

pub async fn document(packages: &Packages) -> Result<String> {
    let mut config = Config::new();
    config
        .wasm_component_model_async(true)
        .cranelift_opt_level(OptLevel::None);
    let engine = Engine::new(&config)?;
    let mut documents = Vec::new();
    for function in &packages.functions {
        let name = &function.name;
        let document = described(&engine, &fs::read(e2e::component_file(name))?).await;
        let document = document.with_context(|| format!("the OpenAPI document of {name}"))?;
        let document: OpenApi = serde_json::from_str(&document)
            .with_context(|| format!("the OpenAPI document of {name}: a schema without a type"))?;
        documents.push(document);
    }
    Ok(guest::openapi::merge(documents).to_pretty_json()? + "\n")
}

/// Calls the function's export `description` and keeps the answer by the digest of the file, since compiling takes seconds.
async fn described(engine: &Engine, wasm: &[u8]) -> Result<String> {
    let folder = root().join("target/described");
    let kept = folder.join(format!("{:x}.json", Sha256::digest(wasm)));
    if let Ok(kept) = fs::read_to_string(&kept) {
        return Ok(kept);
    }
    let component = Component::new(engine, wasm)?;
    let mut linker = Linker::<()>::new(engine);
    for (name, _) in component.component_type().imports(engine) {
        // The standard library's hash tables need it. Any other call of the host traps.
        if name.starts_with("wasi:random/insecure-seed@") {
            let mut random = linker.instance(name)?;
            random.func_wrap("insecure-seed", |_, ()| Ok(((0_u64, 0_u64),)))?;
        }
    }
    linker.define_unknown_imports_as_traps(&component)?;
    let mut store = Store::new(engine, ());
    let instance = linker.instantiate_async(&mut store, &component).await?;
    let interface = instance
        .get_export_index(&mut store, None, DESCRIPTION)
        .with_context(|| format!("it does not export {DESCRIPTION}"))?;
    let openapi = instance.get_export_index(&mut store, Some(&interface), "openapi");
    let openapi = openapi.context("openapi")?;
    let openapi = instance.get_typed_func::<(), (Result<String, String>,)>(&mut store, &openapi)?;
    let (document,) = openapi.call_async(&mut store, ()).await?;
    let document = document.map_err(anyhow::Error::msg)?;
    fs::create_dir_all(&folder)?;
    fs::write(&kept, &document)?;
    Ok(document)
}
