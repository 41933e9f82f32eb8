//! `{{ name }}` in the values of a component's `variables` and `allowed_outbound_hosts`.

use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;

/// A text with references to application variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(String),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// A `{{` is not closed, or a name is not a variable's.
    pub fn parse(mut text: &str) -> Result<Self> {
        let mut parts = Vec::new();
        while let Some((before, rest)) = text.split_once("{{") {
            let (name, after) = rest
                .split_once("}}")
                .with_context(|| format!("`{{{{` without `}}}}` in {text:?}"))?;
            let name = name.trim();
            if name.is_empty()
                || !name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            {
                bail!("{name:?} is not a variable's name (a-z, 0-9 and _)");
            }
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Variable(name.to_owned()));
            text = after;
        }
        if !text.is_empty() {
            parts.push(Part::Text(text.to_owned()));
        }
        Ok(Self(parts))
    }

    /// Replaces the references by the variables' values.
    ///
    /// # Errors
    /// The manifest does not declare a variable.
    pub fn resolve(&self, variables: &BTreeMap<String, String>) -> Result<String> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Variable(name) => text.push_str(
                    variables
                        .get(name)
                        .with_context(|| format!("[variables] has no `{name}`"))?,
                ),
            }
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates() {
        let variables = BTreeMap::from([("host".to_owned(), "db:5432".to_owned())]);
        let check = |text: &str, expected: Option<&str>| {
            let result = Template::parse(text).and_then(|t| t.resolve(&variables));
            assert_eq!(result.ok().as_deref(), expected, "{text}");
        };
        check("plain", Some("plain"));
        check("", Some(""));
        check("postgres://{{ host }}", Some("postgres://db:5432"));
        check("{{host}}{{host}}", Some("db:5432db:5432"));
        check("{{ missing }}", None);
        check("{{ host", None);
        check("{{ HOST }}", None);
    }
}
