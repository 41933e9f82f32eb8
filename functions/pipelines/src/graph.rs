//! The graph of a definition, or of a run, as it is drawn.

use std::collections::BTreeMap;

use axum::Json;
use guest::{Caller, Db, Path, Problem, Result, args};
use pipeline::{Definition, Outcome, layout, taken};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::runs;

/// A graph with the places of its nodes.
#[derive(Debug, Serialize, ToSchema)]
pub struct Graph {
    /// The nodes of the graph.
    nodes: Vec<GraphNode>,
    /// The edges of the graph.
    edges: Vec<GraphEdge>,
}

/// A node of a graph.
#[derive(Debug, Serialize, ToSchema)]
pub struct GraphNode {
    /// The id of the node.
    id: String,
    /// The type of the node.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The column, beginning with 0: after those of the nodes that lead to this one.
    column: usize,
    /// The row, beginning with 0.
    row: usize,
    /// The state of the step; null if it has not begun.
    status: Option<String>,
}

/// An edge of a graph.
#[derive(Debug, Serialize, ToSchema)]
pub struct GraphEdge {
    /// The node where the edge begins.
    from: String,
    /// The node where the edge ends.
    to: String,
    /// The outcome for which the edge is taken.
    on: String,
    /// Whether the edge was taken; null while that is open.
    taken: Option<bool>,
}

#[derive(Deserialize)]
struct Stored {
    definition: serde_json::Value,
}

#[derive(Deserialize)]
struct Step {
    path: String,
    status: String,
    chosen: Option<String>,
}

/// Draws a definition; `steps` are those of a run.
pub fn drawn(definition: &Definition) -> Graph {
    draw(definition, &[])
}

fn draw(definition: &Definition, steps: &[Step]) -> Graph {
    let statuses: BTreeMap<&str, &Step> = steps
        .iter()
        .map(|step| (step.path.as_str(), step))
        .collect();
    let ended = statuses.iter().filter_map(|(id, step)| {
        let outcome = match step.status.as_str() {
            "succeeded" => Outcome::Succeeded(step.chosen.clone()),
            "failed" | "timed_out" | "cancelled" => Outcome::Failed,
            "skipped" => Outcome::Skipped,
            _ => return None,
        };
        Some(((*id).to_owned(), outcome))
    });
    let ended = ended.collect();
    let places = layout(definition);
    let nodes = definition.nodes.iter().map(|(id, node)| {
        let (column, row) = places.get(id.as_str()).copied().unwrap_or_default();
        GraphNode {
            id: id.clone(),
            kind: node.work.name(),
            column,
            row,
            status: statuses.get(id.as_str()).map(|step| step.status.clone()),
        }
    });
    let edges = definition.edges.iter().map(|edge| GraphEdge {
        from: edge.from.clone(),
        to: edge.to.clone(),
        on: edge.on.clone(),
        taken: taken(definition, edge, &ended),
    });
    Graph {
        nodes: nodes.collect(),
        edges: edges.collect(),
    }
}

/// Reads the graph of a run: its nodes with their places and states, and which edges were taken.
#[utoipa::path(
    get, path = "/api/runs/{run}/graph", tag = "pipelines", operation_id = "get_run_graph",
    params(("run" = Uuid, Path, description = "The run's id.")),
    responses((status = 200, body = Graph), (status = 404, description = "`not-found`")),
    security(("token" = []))
)]
pub async fn get(db: Db, caller: Caller, Path(run): Path<Uuid>) -> Result<Json<Graph>> {
    let run = runs::one(&db, &caller, run).await?;
    let version = i32::try_from(run.version).unwrap_or(i32::MAX);
    let stored: Stored = db
        .one(
            "select definition from version where pipeline_id = $1 and number = $2",
            args![run.pipeline, version],
        )
        .await?;
    let definition = pipeline::check(&stored.definition)
        .definition
        .ok_or_else(|| Problem::internal("a stored definition has problems"))?;
    let names: Vec<&String> = definition.nodes.keys().collect();
    let steps: Vec<Step> = db
        .many(
            "select path, status, chosen from step_view where account_id = $1 and run_id = $2 and path = any($3)",
            args![caller.id, run.id, names.into_iter().cloned().collect::<Vec<String>>()],
        )
        .await?;
    Ok(Json(draw(&definition, &steps)))
}
