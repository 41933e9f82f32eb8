//! The names of tools.

use std::collections::HashMap;

/// An exported function of a component.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Export {
    /// The interface of the function, such as `acme:text/words@1.0.0`; `None` for the world itself.
    pub interface: Option<String>,
    /// The function's WIT name.
    pub function: String,
}

impl Export {
    /// Whether a toolchain exports the function for itself, such as componentize-py's initialiser, whose interface does
    /// not belong to a package.
    #[must_use]
    pub fn is_of_toolchain(&self) -> bool {
        self.interface.as_deref() == Some("exports") && self.function == "init"
    }

    /// The export as WIT writes it.
    #[must_use]
    pub fn path(&self) -> String {
        match &self.interface {
            Some(interface) => format!("{interface}#{}", self.function),
            None => self.function.clone(),
        }
    }
}

/// The name of each export as a tool, in their order: the function's name, or `interface.function` if two functions
/// share it. `None` if another export still has the same name, so that it can't be called.
#[must_use]
pub fn tool_names(exports: &[Export]) -> Vec<Option<String>> {
    let mut functions: HashMap<&str, usize> = HashMap::new();
    for export in exports {
        *functions.entry(&export.function).or_default() += 1;
    }
    let mut taken = HashMap::new();
    let names: Vec<String> = exports
        .iter()
        .map(|export| match &export.interface {
            Some(interface) if functions[export.function.as_str()] > 1 => {
                format!("{}.{}", short(interface), export.function)
            }
            _ => export.function.clone(),
        })
        .collect();
    for name in &names {
        *taken.entry(name.clone()).or_insert(0) += 1;
    }
    names
        .into_iter()
        .map(|name| (taken[&name] == 1).then_some(name))
        .collect()
}

/// The bare name of an interface: `words` for `acme:text/words@1.0.0`.
#[must_use]
pub fn short(interface: &str) -> &str {
    let name = interface.rsplit('/').next().unwrap_or(interface);
    name.split('@').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(exports: &[(Option<&str>, &str)]) -> Vec<Option<String>> {
        let exports: Vec<_> = exports
            .iter()
            .map(|(interface, function)| Export {
                interface: interface.map(str::to_owned),
                function: (*function).to_owned(),
            })
            .collect();
        tool_names(&exports)
    }

    #[test]
    fn a_function_has_its_own_name_unless_it_is_shared() {
        assert_eq!(
            names(&[
                (None, "add"),
                (Some("a:b/words@1.0.0"), "count"),
                (Some("a:b/lines"), "count"),
                (Some("a:b/x"), "add")
            ]),
            [
                Some("add".into()),
                Some("words.count".into()),
                Some("lines.count".into()),
                Some("x.add".into())
            ]
        );
    }

    #[test]
    fn what_cannot_be_told_apart_cannot_be_called() {
        assert_eq!(
            names(&[
                (Some("a:b/words@1.0.0"), "count"),
                (Some("a:c/words"), "count")
            ]),
            [None, None]
        );
    }
}
