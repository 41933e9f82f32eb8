//! Inspects a component without running it: the tools that it offers, and its parts.

use crate::{
    docs::{self, PackageDocs},
    imports::{self, Wasi},
    names::{Export, short, tool_names},
    schema::{DIALECT, Schemas},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use wasmparser::{ComponentTypeRef, Encoding, Parser, Payload, Validator, WasmFeatures};
use wit_parser::{
    Function, FunctionKind, Resolve, Type, TypeDefKind, WorldId, WorldItem, decoding::DecodedWasm,
};

/// The largest number of tools in a skill.
const MAX_TOOLS: usize = 200;
/// The number of custom sections that are listed.
const MAX_SECTIONS: usize = 100;
/// The deepest nesting of components. The time to validate them grows with its square.
const MAX_DEPTH: usize = 50;

/// A function that agents can call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// The function's WIT name, or `interface.function` where two have that name.
    pub name: String,
    /// What the tool does, from the WIT doc comment or the manifest.
    pub description: String,
    /// The JSON Schema of the arguments, an object with a member for each parameter.
    pub input_schema: Value,
    /// The JSON Schema of the result.
    pub output_schema: Value,
    /// The JSON Schema of the error, if the function returns a `result`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_schema: Option<Value>,
}

/// The parts of a component.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The imports, such as `wasi:io/poll@0.2.3`.
    pub imports: Vec<String>,
    /// The exported interfaces and functions.
    pub exports: Vec<String>,
    /// The exported functions that can't be tools.
    pub refused: Vec<Refused>,
    /// The tools that made the component, by kind (`language`, `processed-by`, `sdk`), each with its version.
    pub producers: BTreeMap<String, Vec<String>>,
    /// The custom sections, at most 100.
    pub custom_sections: Vec<Section>,
    /// The number of core modules within the component.
    pub core_modules: usize,
    /// The size of the component in bytes.
    pub size_bytes: usize,
    /// The version of WASI that the component uses: `0.2`, `0.3`, `both` or `none`.
    pub wasi: String,
}

/// An exported function that can't be a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The export, as a path.
    pub export: String,
    /// The reason why it can't be a tool.
    pub reason: String,
}

/// A custom section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// The section's name.
    pub name: String,
    /// The size of the section's content in bytes.
    pub size_bytes: usize,
}

/// The result of [`inspect`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inspection {
    /// The digest of the component.
    pub digest: String,
    /// The tools that agents can call, at least one.
    pub tools: Vec<Tool>,
    /// The parts of the component.
    pub facts: Facts,
}

/// The reason why a file can't be a skill.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "code", content = "detail", rename_all = "kebab-case")]
pub enum Refusal {
    /// The file is not a valid component.
    #[error("{0}")]
    NotAComponent(String),
    /// The component imports something that the sandbox does not have.
    #[error("{0}")]
    ImportRefused(String),
    /// No exported function can be a tool.
    #[error("{0}")]
    NothingCallable(String),
}

/// Inspects a component. It is validated completely, so that an accepted component can be compiled.
///
/// # Errors
/// The file can't be a skill.
pub fn inspect(bytes: &[u8]) -> Result<Inspection, Refusal> {
    check_kind(bytes)?;
    let anatomy = Anatomy::of(bytes)?;
    Validator::new_with_features(features())
        .validate_all(bytes)
        .map_err(|error| not_valid(&error))?;
    let decoded = wit_parser::decoding::decode(&anatomy.without_docs(bytes)).map_err(|error| {
        Refusal::NotAComponent(format!("The component's types can't be read: {error:#}."))
    })?;
    let DecodedWasm::Component(resolve, world) = decoded else {
        return Err(Refusal::NotAComponent(
            "This is a WIT package: types without code. Compile a component that exports them."
                .to_owned(),
        ));
    };
    let imports = imported(&resolve, world)?;
    let (tools, exports, refused) = offered(&resolve, world, &anatomy.docs)?;
    let has = |wasi| {
        imports
            .iter()
            .any(|import| imports::allowed(import) == Some(wasi))
    };
    let wasi = match (has(Wasi::P2), has(Wasi::P3)) {
        (true, true) => "both",
        (true, false) => "0.2",
        (false, true) => "0.3",
        (false, false) => "none",
    };
    Ok(Inspection {
        digest: crate::digest::of_bytes(bytes),
        tools,
        facts: Facts {
            imports,
            exports,
            refused,
            producers: anatomy.producers,
            custom_sections: anatomy.custom_sections,
            core_modules: anatomy.core_modules,
            size_bytes: bytes.len(),
            wasi: wasi.to_owned(),
        },
    })
}

/// The features of the sandbox's engine: those of the standard, and components with asynchronous functions.
fn features() -> WasmFeatures {
    WasmFeatures::WASM3
        .union(WasmFeatures::COMPONENT_MODEL)
        .union(WasmFeatures::CM_ASYNC)
        .difference(WasmFeatures::MEMORY64)
        .difference(WasmFeatures::THREADS)
        .difference(WasmFeatures::GC)
        .difference(WasmFeatures::GC_TYPES)
        .difference(WasmFeatures::EXCEPTIONS)
}

fn check_kind(bytes: &[u8]) -> Result<(), Refusal> {
    if Parser::is_component(bytes) {
        return Ok(());
    }
    let detail = if Parser::is_core_wasm(bytes) {
        "This is a core module, not a component. Wrap it: `wasm-tools component new skill.wasm -o component.wasm` (with `--adapt wasi_snapshot_preview1.reactor.wasm` if it was built for wasip1), or build for `wasm32-wasip2`."
    } else if bytes.starts_with(b"(") {
        "This is WebAssembly text. Assemble it: `wasm-tools parse skill.wat -o skill.wasm`."
    } else {
        "This is not a WebAssembly component: it does not begin like one."
    };
    Err(Refusal::NotAComponent(detail.to_owned()))
}

/// The contents of the file beside its types.
#[derive(Default)]
struct Anatomy {
    docs: PackageDocs,
    producers: BTreeMap<String, Vec<String>>,
    custom_sections: Vec<Section>,
    core_modules: usize,
    /// The offsets of the names of documentation sections.
    docs_at: Vec<usize>,
}

impl Anatomy {
    fn of(bytes: &[u8]) -> Result<Self, Refusal> {
        let mut anatomy = Self::default();
        let mut depth = 0_usize;
        let mut refused = Vec::new();
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(|error| not_valid(&error))? {
                Payload::Version { encoding, .. } => {
                    depth += 1;
                    if depth > MAX_DEPTH {
                        return Err(Refusal::NotAComponent(format!(
                            "Its components nest more than {MAX_DEPTH} levels deep."
                        )));
                    }
                    anatomy.core_modules += usize::from(encoding == Encoding::Module);
                }
                Payload::End(_) => depth -= 1,
                Payload::CustomSection(section) => anatomy.note(&section, depth),
                Payload::ComponentImportSection(imports) if depth == 1 => {
                    for import in imports {
                        let import = import.map_err(|error| not_valid(&error))?;
                        if let ComponentTypeRef::Module(_) | ComponentTypeRef::Component(_) =
                            import.ty
                        {
                            refused.push(import.name.name.to_owned());
                        }
                    }
                }
                _ => {}
            }
        }
        if refused.is_empty() {
            return Ok(anatomy);
        }
        Err(import_refused(&refused))
    }

    /// Renames the sections of doc comments: the decoder requires them to be about a world that it made itself, and
    /// refuses those of a WIT package.
    fn without_docs(&self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for at in &self.docs_at {
            bytes[*at] = b'-';
        }
        bytes
    }

    fn note(&mut self, section: &wasmparser::CustomSectionReader<'_>, depth: usize) {
        if self.custom_sections.len() < MAX_SECTIONS {
            let name: String = crate::without_zeros(section.name())
                .chars()
                .take(200)
                .collect();
            self.custom_sections.push(Section {
                name,
                size_bytes: section.data().len(),
            });
        }
        if section.name() == docs::SECTION {
            self.docs_at
                .push(section.data_offset() - docs::SECTION.len());
            if depth == 1 {
                self.docs = PackageDocs::read(section.data());
            }
        }
        if section.name() == "producers"
            && let Ok(producers) =
                wasm_metadata::Producers::from_bytes(section.data(), section.data_offset())
        {
            for (field, values) in producers.iter() {
                let known = self
                    .producers
                    .entry(crate::without_zeros(field))
                    .or_default();
                for (name, version) in values.iter() {
                    let text = crate::without_zeros(&format!("{name} {version}"));
                    let text: String = text.trim_end().chars().take(200).collect();
                    if !known.contains(&text) && known.len() < MAX_SECTIONS {
                        known.push(text);
                    }
                }
            }
        }
    }
}

fn imported(resolve: &Resolve, world: WorldId) -> Result<Vec<String>, Refusal> {
    let mut imports = Vec::new();
    let mut refused = Vec::new();
    for (key, item) in &resolve.worlds[world].imports {
        let name = resolve.name_world_key(key);
        match item {
            WorldItem::Type { .. } => continue,
            WorldItem::Interface { .. } if imports::allowed(&name).is_some() => {}
            WorldItem::Interface { .. } | WorldItem::Function(_) => refused.push(name.clone()),
        }
        imports.push(name);
    }
    if refused.is_empty() {
        return Ok(imports);
    }
    Err(import_refused(&refused))
}

fn import_refused(names: &[String]) -> Refusal {
    Refusal::ImportRefused(format!(
        "The component imports what the sandbox does not have: {}. It has WASI 0.2 and 0.3 (io, cli, clocks, filesystem, random, sockets, http) and wasi:keyvalue@0.2.0-draft2.",
        names.join(", ")
    ))
}

fn not_valid(error: &wasmparser::BinaryReaderError) -> Refusal {
    Refusal::NotAComponent(format!("The component is not valid: {error}."))
}

type Offered = (Vec<Tool>, Vec<String>, Vec<Refused>);

fn offered(resolve: &Resolve, world: WorldId, docs: &PackageDocs) -> Result<Offered, Refusal> {
    let mut exports = Vec::new();
    let mut functions: Vec<(Export, &Function)> = Vec::new();
    let mut refused = Vec::new();
    for (key, item) in &resolve.worlds[world].exports {
        let name = resolve.name_world_key(key);
        match item {
            WorldItem::Function(function) => {
                functions.push((
                    Export {
                        interface: None,
                        function: function.name.clone(),
                    },
                    function,
                ));
            }
            WorldItem::Interface { id, .. } => {
                for function in resolve.interfaces[*id].functions.values() {
                    let export = Export {
                        interface: Some(name.clone()),
                        function: function.name.clone(),
                    };
                    functions.push((export, function));
                }
            }
            WorldItem::Type { .. } => continue,
        }
        exports.push(name);
    }
    let (hooks, functions): (Vec<_>, Vec<_>) = functions
        .into_iter()
        .partition(|(export, _)| export.is_of_toolchain());
    refused.extend(hooks.iter().map(|(export, _)| Refused {
        export: export.path(),
        reason: "it is the toolchain's own".to_owned(),
    }));
    let paths: Vec<Export> = functions.iter().map(|(export, _)| export.clone()).collect();
    let mut tools = Vec::new();
    for ((export, function), name) in functions.iter().zip(tool_names(&paths)) {
        let tool = match name {
            Some(name) => tool(resolve, docs, export, function, name),
            None => Err("another exported function has the same name".to_owned()),
        };
        match tool {
            Ok(tool) => tools.push(tool),
            Err(reason) => refused.push(Refused {
                export: export.path(),
                reason,
            }),
        }
    }
    if tools.len() > MAX_TOOLS {
        return Err(Refusal::NothingCallable(format!(
            "A skill has at most {MAX_TOOLS} tools; this one exports {}.",
            tools.len()
        )));
    }
    if !tools.is_empty() {
        return Ok((tools, exports, refused));
    }
    let reasons: Vec<_> = refused
        .iter()
        .take(10)
        .map(|r| format!("{} ({})", r.export, r.reason))
        .collect();
    Err(Refusal::NothingCallable(if reasons.is_empty() {
        "The component does not export a function. Export at least one, in an interface or in the world itself.".to_owned()
    } else {
        format!(
            "No exported function can be a tool: {}.",
            reasons.join("; ")
        )
    }))
}

fn tool(
    resolve: &Resolve,
    docs: &PackageDocs,
    export: &Export,
    function: &Function,
    name: String,
) -> Result<Tool, String> {
    if !matches!(
        function.kind,
        FunctionKind::Freestanding | FunctionKind::AsyncFreestanding
    ) {
        return Err("it belongs to a resource, which JSON can't carry".to_owned());
    }
    let mut schemas = Schemas {
        resolve,
        docs,
        types: 0,
    };
    let parameters: Vec<_> = function
        .params
        .iter()
        .map(|p| (p.name.clone(), p.ty, None))
        .collect();
    let mut input_schema = schemas.of_fields(&parameters, 0)?;
    input_schema["$schema"] = json!(DIALECT);
    let (output, error) = outcome(resolve, function);
    let mut output_schema = match output {
        Some(ty) => schemas.of(&ty, 0)?,
        None => json!({"type": "null"}),
    };
    output_schema["$schema"] = json!(DIALECT);
    let error_schema = error.map(|ty| schemas.of(&ty, 0)).transpose()?;
    let interface = export.interface.as_deref().map(short);
    let description = docs
        .function(interface, &export.function)
        .or_else(|| function.docs.contents.clone())
        .unwrap_or_default();
    Ok(Tool {
        name,
        description: description.trim().to_owned(),
        input_schema,
        output_schema,
        error_schema,
    })
}

/// The types of a function's result, and of its error if it returns a `result`.
fn outcome(resolve: &Resolve, function: &Function) -> (Option<Type>, Option<Type>) {
    let mut ty = function.result;
    while let Some(Type::Id(id)) = ty {
        match &resolve.types[id].kind {
            TypeDefKind::Type(alias) => ty = Some(*alias),
            TypeDefKind::Result(result) => return (result.ok, result.err),
            _ => break,
        }
    }
    (function.result, None)
}

#[cfg(test)]
mod tests;
