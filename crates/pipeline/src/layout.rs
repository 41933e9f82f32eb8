//! Where the nodes of a graph are drawn.

use std::collections::{BTreeMap, BTreeSet};

use crate::definition::Definition;

/// The column and the row of each node: every node stands in a column after those of the nodes that lead to it.
pub fn layout(definition: &Definition) -> BTreeMap<&str, (usize, usize)> {
    let mut columns: BTreeMap<&str, usize> =
        definition.nodes.keys().map(|id| (id.as_str(), 0)).collect();
    for _ in 0..definition.nodes.len() {
        let before = columns.clone();
        for edge in &definition.edges {
            let after = before
                .get(edge.from.as_str())
                .map_or(0, |column| column + 1);
            if let Some(column) = columns.get_mut(edge.to.as_str()) {
                *column = (*column).max(after);
            }
        }
        if columns == before {
            break;
        }
    }
    let mut taken: BTreeSet<(usize, usize)> = BTreeSet::new();
    let places = columns.into_iter().map(|(id, column)| {
        let free = (0..).find(|row| !taken.contains(&(column, *row)));
        let row = free.unwrap_or_default();
        taken.insert((column, row));
        (id, (column, row))
    });
    places.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check;
    use serde_json::json;

    #[test]
    fn each_node_stands_behind_those_that_lead_to_it() {
        let node = json!({"type": "transform", "value": 1});
        let definition = json!({
            "nodes": {"a": node, "b": node, "c": node, "d": node},
            "edges": [{"from": "a", "to": "b"}, {"from": "a", "to": "c"}, {"from": "b", "to": "d"}, {"from": "c", "to": "d"}],
        });
        let definition = check(&definition).definition.expect("a definition");
        let expected = [("a", (0, 0)), ("b", (1, 0)), ("c", (1, 1)), ("d", (2, 0))];
        assert_eq!(layout(&definition), expected.into());
    }
}
