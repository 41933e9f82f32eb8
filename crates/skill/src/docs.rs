//! The WIT doc comments that a component carries in its custom section `package-docs`, encoded like `wit-parser`'s
//! `PackageMetadata`: a version byte, then JSON.

use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;

/// The name of the section.
pub const SECTION: &str = "package-docs";

/// The doc comments of a package, by the item that they describe.
#[derive(Debug, Default, Deserialize)]
pub struct PackageDocs {
    #[serde(default)]
    worlds: HashMap<String, World>,
    #[serde(default)]
    interfaces: HashMap<String, Interface>,
}

#[derive(Debug, Default, Deserialize)]
struct World {
    #[serde(default)]
    types: HashMap<String, TypeDocs>,
    /// Older encoders do not distinguish imports and exports.
    #[serde(default)]
    funcs: HashMap<String, Value>,
    #[serde(default)]
    func_exports: HashMap<String, Value>,
    #[serde(default)]
    interface_exports: HashMap<String, Interface>,
}

#[derive(Debug, Default, Deserialize)]
struct Interface {
    #[serde(default)]
    funcs: HashMap<String, Value>,
    #[serde(default)]
    types: HashMap<String, TypeDocs>,
}

#[derive(Debug, Default, Deserialize)]
struct TypeDocs {
    #[serde(default)]
    items: HashMap<String, String>,
}

impl PackageDocs {
    /// Reads the section's content. Malformed content counts as empty.
    #[must_use]
    pub fn read(section: &[u8]) -> Self {
        match section.split_first() {
            Some((0 | 1, json)) => strict_json::read(json).unwrap_or_default(),
            _ => Self::default(),
        }
    }

    /// The doc comment of a function. `interface` is the interface's bare name; `None` stands for the world.
    #[must_use]
    pub fn function(&self, interface: Option<&str>, function: &str) -> Option<String> {
        let docs = match interface {
            Some(interface) => self.interface(interface)?.funcs.get(function),
            None => self.worlds.values().find_map(|world| {
                world
                    .func_exports
                    .get(function)
                    .or_else(|| world.funcs.get(function))
            }),
        };
        // A bare string in the first version of the format, an object in later versions.
        let docs = docs?;
        let text = docs.as_str().or_else(|| docs["docs"].as_str());
        text.map(crate::without_zeros)
    }

    /// The doc comment of a field or a case of a type.
    #[must_use]
    pub fn item(&self, interface: Option<&str>, kind: &str, item: &str) -> Option<String> {
        let docs = match interface {
            Some(interface) => self.interface(interface)?.types.get(kind),
            None => self.worlds.values().find_map(|world| world.types.get(kind)),
        };
        docs?.items.get(item).map(|text| crate::without_zeros(text))
    }

    fn interface(&self, name: &str) -> Option<&Interface> {
        self.interfaces.get(name).or_else(|| {
            self.worlds
                .values()
                .find_map(|world| world.interface_exports.get(name))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_the_format_are_read() {
        let old = br#"{"worlds":{"w":{"funcs":{"add":"Adds."}}}}"#;
        let new = br#"{"worlds":{"w":{"func_exports":{"add":{"docs":"Adds."}}}},"interfaces":{"words":{"funcs":{"count":{"docs":"Counts."}},"types":{"r":{"items":{"x":"An x."}}}}}}"#;
        let old = PackageDocs::read(&[&[0], &old[..]].concat());
        let new = PackageDocs::read(&[&[1], &new[..]].concat());
        assert_eq!(old.function(None, "add").as_deref(), Some("Adds."));
        assert_eq!(new.function(None, "add").as_deref(), Some("Adds."));
        assert_eq!(
            new.function(Some("words"), "count").as_deref(),
            Some("Counts.")
        );
        assert_eq!(new.item(Some("words"), "r", "x").as_deref(), Some("An x."));
        assert_eq!(new.function(None, "count"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_section_is_read(section: Vec<u8>, name in ".*") {
            let docs = PackageDocs::read(&section);
            proptest::prop_assert!(docs.function(None, &name).is_none() || !section.is_empty());
        }
    }
}
