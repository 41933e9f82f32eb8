//! A group of pages: one file with its handlers, its routes, and its place in the rail.

use axum::Router;

use crate::visitor::Visitor;

/// A group of pages, as `lib.rs` lists them.
pub struct Group {
    /// The group's entries in the rail.
    pub places: &'static [Place],
    /// The routes of the pages and of the parts that scripts ask for.
    pub routes: fn() -> Router,
}

/// An entry of the rail.
pub struct Place {
    /// The label.
    pub label: &'static str,
    /// The path that it leads to. It is the present place on this path and below it.
    pub path: &'static str,
    /// The name of its icon in `ui::icon`.
    pub icon: &'static str,
    /// The letter that leads there after `g`.
    pub key: &'static str,
    /// Who sees it.
    pub shown: fn(&Visitor) -> bool,
}

impl Place {
    /// Whether a path is this place.
    pub fn is_at(&self, path: &str) -> bool {
        match path.strip_prefix(self.path) {
            Some(rest) => rest.is_empty() || (self.path != "/" && rest.starts_with('/')),
            None => false,
        }
    }
}

/// A place that everybody sees.
pub fn everybody(_: &Visitor) -> bool {
    true
}

/// A place that those see who are signed in.
pub fn signed_in(visitor: &Visitor) -> bool {
    visitor.account().is_some()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::GROUPS;

    #[test]
    fn a_letter_leads_to_one_place() {
        let mut paths = BTreeMap::new();
        for place in GROUPS.iter().flat_map(|group| group.places) {
            let other = paths.insert(place.key, place.path);
            assert_eq!(other, None, "{} leads to {} as well", place.key, place.path);
        }
    }
}
