//! What the expressions of a graph can read.

use std::borrow::Cow;

use pipeline::Values;
use serde_json::{Value, json};

use crate::engine::{Engine, Frame};

/// What the expressions of a graph can read.
pub struct View<'a> {
    /// The run whose input and steps are read.
    pub engine: &'a Engine,
    /// The graph whose names are known, with those around it.
    pub frame: &'a Frame,
    /// An item of a filter, and its place.
    pub item: Option<(&'a Value, usize)>,
    /// The event that a wait decides about.
    pub event: Option<&'a Value>,
}

impl Values for View<'_> {
    fn value(&self, name: &str) -> Option<Cow<'_, Value>> {
        match name {
            "input" => Some(Cow::Borrowed(&self.engine.input)),
            "run" => Some(self.engine.about()),
            "event" => self.event.map(Cow::Borrowed),
            "item" | "index" => {
                let mut frames =
                    std::iter::successors(Some(self.frame), |frame| frame.up.as_deref());
                let of_map =
                    || frames.find_map(|frame| frame.item.as_ref().map(|(item, at)| (item, *at)));
                let (item, at) = self.item.or_else(of_map)?;
                Some(if name == "item" {
                    Cow::Borrowed(item)
                } else {
                    Cow::Owned(json!(at))
                })
            }
            _ => None,
        }
    }

    fn node(&self, id: &str) -> Option<Value> {
        let mut frames = std::iter::successors(Some(self.frame), |frame| frame.up.as_deref());
        let frame = frames.find(|frame| frame.definition.nodes.contains_key(id))?;
        let step = self.engine.steps.get(&frame.path(id))?;
        Some(json!({"output": step.output, "status": step.status.name(), "error": step.error}))
    }
}
