//! Calls with generated arguments. Each is made twice, to find calls that trap, overrun a limit or differ.

use crate::{
    call::{End, Fault, Outcome, Skill},
    grant::{Grant, UsedPermissions},
    runner::Runner,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use fastrand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};
use wasmtime::component::Type;

/// The number of findings that are shown.
const MAX_FINDINGS: usize = 5;
/// The number of refused requests that are shown.
const MAX_REFUSED: usize = 16;
/// The number of items in a generated list on the first level.
const MAX_ITEMS: usize = 8;

/// The order of a probe.
#[derive(Debug, Clone)]
pub struct Probe {
    /// The name of the tool.
    pub tool: String,
    /// The number of inputs.
    pub calls: u32,
    /// The seed that the inputs follow from.
    pub seed: u64,
    /// The time at which the probe stops.
    pub budget: Duration,
}

/// The result of a probe.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ProbeReport {
    /// The number of inputs that were tried.
    pub calls: u32,
    /// The number of inputs that were answered.
    pub succeeded: u32,
    /// The number of inputs that were answered with the skill's own error.
    pub failed: u32,
    /// The number of inputs on which the skill trapped.
    pub trapped: u32,
    /// The number of inputs on which the skill reached a limit: time, fuel, memory or output.
    pub overran: u32,
    /// The number of inputs on which the skill used something that it was not granted.
    pub denied: u32,
    /// The number of inputs on which the skill asked for a granted origin, which generated calls do not reach. How they
    /// ended says nothing about the skill, so they count nowhere else unless they returned an answer or an error of the
    /// skill.
    pub without_network: u32,
    /// The number of inputs that ended otherwise, or used other fuel, on the second try.
    pub nondeterministic: u32,
    /// The time of the probe, without the wait for a permit.
    pub elapsed_ms: u64,
    /// Whether the time was up before all inputs were tried.
    pub out_of_budget: bool,
    /// The fuel of the calls.
    pub fuel: Spread<u64>,
    /// The time of the calls.
    pub duration_ms: Spread<f64>,
    /// The largest memory of a call.
    pub memory_bytes: u64,
    /// The use made of the grants.
    pub used: UsedPermissions,
    /// The first calls that trapped, overran a limit, were denied or differed.
    pub findings: Vec<Finding>,
}

/// The median and the maximum of a figure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread<T> {
    /// The median.
    pub p50: T,
    /// The maximum.
    pub max: T,
}

/// A finding: a call that shows a fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The arguments of the call.
    pub arguments: Value,
    /// The problem's code, or `nondeterministic`.
    pub outcome: String,
    /// The details of the finding.
    pub detail: String,
}

/// Tries a tool. `None` if the skill has no such tool.
///
/// # Errors
/// The sandbox is busy or failed, which says nothing about the skill.
pub async fn probe(
    runner: &Runner,
    skill: &Skill,
    grant: &Grant,
    probe: &Probe,
) -> Result<Option<ProbeReport>, Fault> {
    let Some(params) = skill.params(&probe.tool) else {
        return Ok(None);
    };
    let began = Instant::now();
    let mut rng = Rng::with_seed(probe.seed);
    let mut report = ProbeReport::default();
    let (mut fuel, mut durations) = (Vec::new(), Vec::new());
    for _ in 0..probe.calls {
        if began.elapsed() > probe.budget {
            report.out_of_budget = true;
            break;
        }
        let arguments: Map<String, Value> = params
            .iter()
            .map(|(name, ty)| (name.clone(), generate(&mut rng, ty, MAX_ITEMS)))
            .collect();
        let first = runner
            .call(skill, &probe.tool, arguments.clone(), grant)
            .await;
        let again = runner
            .call(skill, &probe.tool, arguments.clone(), grant)
            .await;
        for outcome in [&first, &again] {
            if let End::Ended(fault @ (Fault::Busy | Fault::Internal(_))) = &outcome.end {
                return Err(fault.clone());
            }
        }
        fuel.push(first.usage.fuel);
        durations.push(first.usage.duration_ms);
        report.note(&arguments, &first, &again);
    }
    fuel.sort_unstable();
    durations.sort_unstable_by(f64::total_cmp);
    report.elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    report.fuel = spread(&fuel);
    report.duration_ms = spread(&durations);
    Ok(Some(report))
}

fn spread<T: Copy + Default>(sorted: &[T]) -> Spread<T> {
    Spread {
        p50: sorted.get(sorted.len() / 2).copied().unwrap_or_default(),
        max: sorted.last().copied().unwrap_or_default(),
    }
}

impl ProbeReport {
    fn note(&mut self, arguments: &Map<String, Value>, first: &Outcome, again: &Outcome) {
        self.calls += 1;
        self.memory_bytes = self.memory_bytes.max(first.usage.memory_bytes);
        self.used.merge(&first.used);
        let lacked_network = first.used.lacked_network() || again.used.lacked_network();
        match &first.end {
            End::Answered(_) => self.succeeded += 1,
            End::Failed(_) => self.failed += 1,
            End::Ended(fault) if !lacked_network || matches!(fault, Fault::Denied(_)) => {
                match fault {
                    Fault::Denied(_) => self.denied += 1,
                    Fault::Deadline | Fault::Fuel | Fault::Memory | Fault::Output(_) => {
                        self.overran += 1
                    }
                    _ => self.trapped += 1,
                }
                self.find(arguments, fault.code(), fault.detail());
            }
            End::Ended(_) => {}
        }
        if lacked_network {
            self.without_network += 1;
            return;
        }
        // Time is not a property of the skill: a call that ended by it may end elsewhere.
        let by_time = [first, again].iter().any(|outcome| outcome.met_deadline);
        if !by_time && (first.end != again.end || first.usage.fuel != again.usage.fuel) {
            self.nondeterministic += 1;
            self.find(
                arguments,
                "nondeterministic",
                "The same call ended otherwise, or used other fuel, when it was made again."
                    .to_owned(),
            );
        }
    }

    fn find(&mut self, arguments: &Map<String, Value>, outcome: &str, detail: String) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(Finding {
                arguments: Value::Object(arguments.clone()),
                outcome: outcome.to_owned(),
                detail,
            });
        }
    }
}

impl UsedPermissions {
    fn merge(&mut self, more: &Self) {
        for origin in &more.http {
            if !self.http.contains(origin) {
                self.http.push(origin.clone());
            }
        }
        for refused in &more.refused {
            if self.refused.len() < MAX_REFUSED && !self.refused.contains(refused) {
                self.refused.push(refused.clone());
            }
        }
        self.kv |= more.kv;
        self.clock |= more.clock;
        self.random |= more.random;
    }
}

/// Generates a value of a type, often at an edge. `items` bounds the lists of this level; each level has half as many.
fn generate(rng: &mut Rng, ty: &Type, items: usize) -> Value {
    match ty {
        Type::Bool => rng.bool().into(),
        Type::S8 => signed(rng, i8::MIN.into(), i8::MAX.into()),
        Type::S16 => signed(rng, i16::MIN.into(), i16::MAX.into()),
        Type::S32 => signed(rng, i32::MIN.into(), i32::MAX.into()),
        Type::S64 => signed(rng, i64::MIN, i64::MAX).to_string().into(),
        Type::U8 => unsigned(rng, u8::MAX.into()),
        Type::U16 => unsigned(rng, u16::MAX.into()),
        Type::U32 => unsigned(rng, u32::MAX.into()),
        Type::U64 => unsigned(rng, u64::MAX).to_string().into(),
        Type::Float32 | Type::Float64 => float(rng),
        Type::Char => rng.char(..).to_string().into(),
        Type::String => text(rng).into(),
        Type::List(list) => {
            let inner = list.ty();
            let count = rng.usize(0..=items);
            if matches!(inner, Type::U8) {
                let bytes: Vec<u8> = (0..count * 8).map(|_| rng.u8(..)).collect();
                return BASE64_STANDARD.encode(bytes).into();
            }
            (0..count)
                .map(|_| generate(rng, &inner, items / 2))
                .collect()
        }
        Type::Record(record) => {
            let fields = record
                .fields()
                .map(|field| (field.name.to_owned(), generate(rng, &field.ty, items / 2)));
            Value::Object(fields.collect())
        }
        Type::Tuple(tuple) => tuple
            .types()
            .map(|ty| generate(rng, &ty, items / 2))
            .collect(),
        Type::Variant(variant) => {
            let cases: Vec<_> = variant
                .cases()
                .map(|case| (case.name.to_owned(), case.ty))
                .collect();
            case(rng, cases, items)
        }
        Type::Enum(kind) => {
            let names: Vec<_> = kind.names().collect();
            rng.choice(names).unwrap_or_default().into()
        }
        Type::Option(option) => {
            let inner = option.ty();
            if rng.bool() {
                return Value::Null;
            }
            let value = generate(rng, &inner, items);
            if matches!(inner, Type::Option(_)) {
                json!({"some": value})
            } else {
                value
            }
        }
        Type::Result(result) => case(
            rng,
            vec![
                ("ok".to_owned(), result.ok()),
                ("err".to_owned(), result.err()),
            ],
            items,
        ),
        Type::Flags(flags) => {
            let names: Vec<_> = flags.names().filter(|_| rng.bool()).collect();
            json!(names)
        }
        _ => Value::Null,
    }
}

fn case(rng: &mut Rng, cases: Vec<(String, Option<Type>)>, items: usize) -> Value {
    match rng.choice(cases) {
        Some((name, Some(ty))) => {
            let payload = generate(rng, &ty, items / 2);
            Value::Object(Map::from_iter([(name, payload)]))
        }
        Some((name, None)) => name.into(),
        None => Value::Null,
    }
}

fn signed(rng: &mut Rng, least: i64, most: i64) -> Value {
    let edges = [least, -1, 0, 1, most];
    match rng.u8(0..3) {
        0 => edges[rng.usize(0..edges.len())].into(),
        1 => rng.i64(-100.max(least)..=100.min(most)).into(),
        _ => rng.i64(least..=most).into(),
    }
}

fn unsigned(rng: &mut Rng, most: u64) -> Value {
    match rng.u8(0..3) {
        0 => [0, 1, most][rng.usize(0..3)].into(),
        1 => rng.u64(0..=100.min(most)).into(),
        _ => rng.u64(0..=most).into(),
    }
}

fn float(rng: &mut Rng) -> Value {
    match rng.u8(0..6) {
        0 => "NaN".into(),
        1 => "Infinity".into(),
        2 => "-Infinity".into(),
        3 => json!(-0.0),
        _ => json!((rng.f64() - 0.5) * 1e6),
    }
}

fn text(rng: &mut Rng) -> String {
    const TEXTS: [&str; 10] = [
        "",
        " ",
        "0",
        "-1",
        "null",
        "{\"a\": [1]}",
        "<script>alert(1)</script>",
        "The quick brown fox jumps over the lazy dog.",
        "e\u{301}\u{202e}\u{1f469}\u{200d}\u{1f680}\u{0}",
        "../../etc/passwd",
    ];
    match rng.u8(0..4) {
        0 => TEXTS[rng.usize(0..TEXTS.len())].to_owned(),
        1 => (0..rng.usize(0..40)).map(|_| rng.char(..)).collect(),
        2 => (0..rng.usize(0..400))
            .map(|_| rng.char(' '..='~'))
            .collect(),
        _ => (0..rng.usize(0..12))
            .map(|_| {
                if rng.u8(0..5) == 0 {
                    ' '
                } else {
                    rng.alphanumeric()
                }
            })
            .collect(),
    }
}
