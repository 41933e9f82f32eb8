//! Pipelines whose runs pass through all states, and what people do for them.

use e2e::receiver::Receiver;
use serde_json::{Value, json};

use super::faults::World;
use super::world::transform;

/// A pipeline, and what people do for its runs.
pub struct Scenario {
    pub name: &'static str,
    pub definition: Value,
    /// What the request of the step `a` counts as if it is uncertain.
    pub outcome: &'static str,
    /// The run is cancelled when it waits for this step.
    pub cancels: Option<&'static str>,
}

/// Stand-ins that fail: with a status, by breaking off, by saying nothing.
pub struct Others {
    pub bad: Receiver,
    pub reset: Receiver,
    pub silent: Receiver,
}

fn address(of: &Receiver) -> String {
    format!("http://{}", of.address)
}

fn send(to: &Receiver, method: &str, more: Value) -> Value {
    let mut input = json!({"method": method, "url": format!("{}/", address(to))});
    if method == "POST" {
        input["body"] = json!({});
    }
    let mut node = json!({"type": "action", "do": "http", "input": input});
    for (name, value) in more.as_object().into_iter().flatten() {
        node[name] = value.clone();
    }
    node
}

/// A request that breaks off, and is asked about.
fn verified(reset: &Receiver, by: &Receiver, arrived: &str, more: Value) -> Value {
    let mut node = send(reset, "POST", more);
    let input = json!({"url": format!("{}/", address(by))});
    node["verify"] = json!({"do": "http", "input": input, "arrived": arrived});
    node
}

/// The scenarios. The first one that makes a change is disturbed there, so those whose changes depend on the moment, and
/// those that run the pipelines `leaf` and `broken`, come last.
pub(super) fn scenarios(world: &World, others: &Others) -> Vec<Scenario> {
    let Others { bad, reset, silent } = others;
    let ok = &world.target;
    let nothing = || json!({});
    let never = json!({"type": "wait", "any": [{"signal": "never"}]});
    let told = json!({"nodes": {"told": transform("run.status")}});
    let rests = json!({"nodes": {"rests": {"type": "wait", "any": [{"signal": "done"}]}}});
    let often = json!({"attempts": 50, "first_ms": 20, "max_ms": 200});
    let twice = json!({"retry": {"attempts": 2, "first_ms": 20}});
    let seldom = json!({"retry": {"attempts": 9, "first_ms": 60_000, "max_ms": 60_000}});
    let open = json!({"holds": never, "sends": send(silent, "POST", nothing()), "asks": send(reset, "POST", nothing()),
        "tries": send(bad, "GET", seldom)});
    let held = |on_open: &str| {
        let breaker = json!({"failures": 1, "cooldown_ms": 600_000, "on_open": on_open});
        let more = json!({"retry": {"attempts": 5, "first_ms": 20}, "breaker": breaker});
        json!({"nodes": {"a": send(bad, "GET", more)}})
    };
    let whole = json!({
        "nodes": {
            "begin": transform("[1, 2]"), "pay": send(ok, "POST", json!({"on_uncertain": "retry"})),
            "again": send(ok, "POST", json!({"effect": "repeatable", "retry": often})),
            "hold": {"type": "wait", "any": [{"signal": "go"}]}, "leaf": {"type": "pipeline", "pipeline": "leaf"},
            "each": {"type": "map", "items": "nodes.begin.output", "body": {"nodes": {"one": transform("item + 1")}}},
        },
        "edges": [{"from": "begin", "to": "each"}, {"from": "begin", "to": "again"}, {"from": "hold", "to": "pay"}],
        "result": {"$": "nodes.each.output[1].output"}, "finally": told,
    });
    let repeats = json!({"type": "pipeline", "pipeline": "broken", "retry": twice["retry"]});
    let fails = json!({"nodes": {"each": {"type": "map", "items": "[1]", "body": {"nodes": {"b": send(bad, "GET", twice)}}}}});
    let spends = json!({"budget": {"steps": 1}, "nodes": {"a": transform("1"), "b": transform("nodes.a.output")},
        "edges": [{"from": "a", "to": "b"}]});
    let absent =
        json!({"timeout_ms": 1_500, "nodes": {"a": verified(reset, ok, "false", nothing())}});
    let unknown = verified(reset, bad, "true", json!({"on_uncertain": "fail"}));
    let of = |name, definition, outcome, cancels| {
        let mut definition: Value = definition;
        let receivers = [ok, bad, reset, silent];
        definition["permissions"] = json!({"http": receivers.map(address)});
        Scenario {
            name,
            definition,
            outcome,
            cancels,
        }
    };
    let resting = Some("finally.rests");
    vec![
        of("fails", fails, "", None),
        of(
            "doubt",
            json!({"nodes": {"a": send(reset, "POST", nothing())}}),
            "retry",
            None,
        ),
        of(
            "found",
            json!({"nodes": {"a": verified(reset, ok, "true", nothing())}}),
            "",
            None,
        ),
        of("unknown", json!({"nodes": {"a": unknown}}), "", None),
        of(
            "late",
            json!({"timeout_ms": 1_500, "nodes": open, "finally": told}),
            "",
            None,
        ),
        of("cancelled", json!({"nodes": open}), "", Some("tries")),
        of("spends", spends, "", None),
        of("skips", held("skip"), "", None),
        of("opens", held("fail"), "", None),
        of(
            "closes",
            json!({"nodes": {"a": transform("1")}, "finally": rests}),
            "",
            resting,
        ),
        of(
            "fails-first",
            json!({"nodes": {"a": transform("1 / 0")}, "finally": rests}),
            "",
            resting,
        ),
        of(
            "late-first",
            json!({"timeout_ms": 300, "nodes": {"a": never}, "finally": rests}),
            "",
            resting,
        ),
        of("absent", absent, "", None),
        of("whole", whole, "", None),
        of("repeats", json!({"nodes": {"a": repeats}}), "", None),
    ]
}
