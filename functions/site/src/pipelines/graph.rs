//! The graph of a definition or of a run, as the function of pipelines lays it out, drawn as SVG.

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde::Deserialize;

/// The width of a column and the height of a row.
const CELL: (usize, usize) = (180, 64);
/// The width and the height of a node.
const NODE: (usize, usize) = (140, 40);
/// The space around the graph.
const MARGIN: usize = 10;
/// The longest name that fits into a node.
const MAX_NAME: usize = 16;

/// A graph with the places of its nodes.
#[derive(Debug, Deserialize)]
pub struct Graph {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
}

/// Where the nodes of a run's graph lead to.
pub struct Links<'a> {
    /// The address of a step.
    pub address: &'a dyn Fn(&str) -> String,
    /// The path of the step that is open.
    pub open: &'a str,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    column: usize,
    row: usize,
    status: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Edge {
    from: String,
    to: String,
    on: String,
    taken: Option<bool>,
}

impl Node {
    fn corner(&self) -> (usize, usize) {
        (self.column * CELL.0 + MARGIN, self.row * CELL.1 + MARGIN)
    }

    fn show(&self) -> Markup {
        let (x, y) = self.corner();
        html! {
            g class=(format!("node {}", self.status.as_deref().unwrap_or("none"))) {
                rect x=(x) y=(y) width=(NODE.0) height=(NODE.1) rx="6" {}
                text x=(x + NODE.0 / 2) y=(y + 25) text-anchor="middle" { (short(&self.id)) }
            }
        }
    }
}

impl Graph {
    /// Draws the graph. What it says stands in the table or the definition beside it, too. With links, the nodes
    /// whose steps have begun lead to them.
    pub fn show(&self, links: Option<&Links<'_>>) -> Markup {
        let corners: BTreeMap<&str, (usize, usize)> = self
            .nodes
            .iter()
            .map(|node| (node.id.as_str(), node.corner()))
            .collect();
        let size = |of: fn(&(usize, usize)) -> usize, node: usize| {
            corners.values().map(of).max().unwrap_or_default() + node + MARGIN
        };
        let (width, height) = (size(|at| at.0, NODE.0), size(|at| at.1, NODE.1));
        html! {
            div.graph #graph tabindex="0" {
                svg viewBox=(format!("0 0 {width} {height}")) width=(width) height=(height) role=(if links.is_some() { "group" } else { "img" })
                    aria-label="The steps and what leads from one to another; the table or the definition has the same" {
                    @for edge in &self.edges {
                        @if let (Some(from), Some(to)) = (corners.get(edge.from.as_str()), corners.get(edge.to.as_str())) {
                            (line(edge, *from, *to))
                        }
                    }
                    @for node in &self.nodes {
                        @match links.filter(|_| node.status.is_some()) {
                            Some(links) => a href=((links.address)(&node.id)) aria-current=[(links.open == node.id).then_some("step")] { (node.show()) },
                            None => (node.show()),
                        }
                    }
                }
            }
        }
    }
}

fn line(edge: &Edge, from: (usize, usize), to: (usize, usize)) -> Markup {
    let (x1, y1) = (from.0 + NODE.0, from.1 + NODE.1 / 2);
    let (x2, y2) = (to.0, to.1 + NODE.1 / 2);
    let state = match edge.taken {
        Some(true) => "edge taken",
        Some(false) => "edge untaken",
        None => "edge",
    };
    html! {
        g class=(state) {
            line x1=(x1) y1=(y1) x2=(x2) y2=(y2) {}
            // What an edge is taken for is beside the node that it comes from, where edges are still apart.
            @if edge.on != "success" {
                text x=(x1 + 2) y=((3 * y1 + y2) / 4 - 3) { (short(&edge.on)) }
            }
        }
    }
}

fn short(name: &str) -> String {
    if name.chars().count() <= MAX_NAME {
        return name.to_owned();
    }
    let beginning: String = name.chars().take(MAX_NAME - 1).collect();
    format!("{beginning}…")
}
