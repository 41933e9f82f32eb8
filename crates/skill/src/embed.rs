//! Puts the doc comments of WIT into a component, because compilers drop them.

use crate::docs::SECTION;
use anyhow::{Context, Result};
use std::path::Path;
use wit_parser::{PackageMetadata, Resolve};

/// Adds the doc comments of the WIT package in a folder to a component, in the section `package-docs`, as the WIT tools
/// encode them. A component that already has that section stays as it is.
///
/// # Errors
/// The folder does not contain a valid WIT package.
pub fn embed_docs(component: &[u8], wit: &Path) -> Result<Vec<u8>> {
    let has_docs = wasmparser::Parser::new(0).parse_all(component).any(|payload| {
        matches!(payload, Ok(wasmparser::Payload::CustomSection(section)) if section.name() == SECTION)
    });
    if has_docs {
        return Ok(component.to_vec());
    }
    let mut resolve = Resolve::default();
    let (package, _) = resolve
        .push_dir(wit)
        .with_context(|| format!("{} is not a WIT package", wit.display()))?;
    let docs = PackageMetadata::extract(&resolve, package).encode()?;
    let mut content = Vec::with_capacity(docs.len() + SECTION.len() + 5);
    leb128(&mut content, SECTION.len());
    content.extend_from_slice(SECTION.as_bytes());
    content.extend_from_slice(&docs);
    let mut out = component.to_vec();
    out.push(0);
    leb128(&mut out, content.len());
    out.extend_from_slice(&content);
    Ok(out)
}

/// Writes unsigned LEB128, the encoding of sizes (WebAssembly core specification, section 5.2.2).
fn leb128(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let byte = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        if value == 0 {
            out.push(byte);
            return;
        }
        out.push(byte | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_of_the_wit_become_descriptions() {
        let folder = std::env::temp_dir().join(format!("skill-embed-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let wit = "package a:b;\nworld w {\n  /// Does it.\n  export do-it: func();\n}";
        std::fs::write(folder.join("a.wit"), wit).unwrap();
        let component = wat::parse_str(
            r#"(component (core module $m (func (export "f"))) (core instance $i (instantiate $m))
                (func (export "do-it") (canon lift (core func $i "f"))))"#,
        )
        .unwrap();
        let embedded = embed_docs(&component, &folder).unwrap();
        assert_eq!(
            crate::inspect(&embedded).unwrap().tools[0].description,
            "Does it."
        );
        assert_eq!(
            embed_docs(&embedded, &folder).unwrap(),
            embedded,
            "once is enough"
        );
        std::fs::remove_dir_all(folder).unwrap();
    }
}
