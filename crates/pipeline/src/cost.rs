//! The cost of an expression. The evaluator of CEL counts nothing by itself, so each list that a macro goes through is
//! charged before it does: its length times the size of the macro's body, and the bytes that the body may copy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue};
use cel::objects::Key;
use cel::{Context, ExecutionError, Value};

/// The largest number of evaluated parts of an expression.
const MAX_STEPS: u64 = 1_000_000;
/// The largest number of bytes that the parts of an expression may copy.
const MAX_BYTES: u64 = 256 << 20;
/// The name of the function that charges. No expression can spell it.
const CHARGE: &str = "@charge";

/// Counts what is left of an expression's budget.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Spent>);

#[derive(Debug, Default)]
struct Spent {
    steps: AtomicU64,
    bytes: AtomicU64,
    is_over: AtomicBool,
}

impl Meter {
    /// Whether the budget is used up.
    pub fn is_over(&self) -> bool {
        self.0.is_over.load(Ordering::Relaxed)
    }

    /// Charges steps and bytes. Returns whether they are within the budget.
    pub fn charge(&self, steps: u64, bytes: u64) -> bool {
        let add = |counter: &AtomicU64, more: u64| {
            let sum = counter.load(Ordering::Relaxed).saturating_add(more);
            counter.store(sum, Ordering::Relaxed);
            sum
        };
        let is_over =
            add(&self.0.steps, steps) > MAX_STEPS || add(&self.0.bytes, bytes) > MAX_BYTES;
        self.0.is_over.fetch_or(is_over, Ordering::Relaxed);
        !is_over
    }

    /// Lets expressions charge this meter.
    pub fn install(&self, context: &mut Context<'_, '_>) {
        let meter = self.clone();
        let charge = move |range: Value, nodes: i64, root_bytes: i64| {
            let (nodes, roots) = (nodes.unsigned_abs(), root_bytes.unsigned_abs());
            let (length, bytes) = (length(&range), bytes(&range));
            let copied = bytes
                .saturating_mul(nodes)
                .saturating_add(length.saturating_mul(roots));
            if meter.charge(length.saturating_mul(nodes), copied) {
                Ok(range)
            } else {
                Err(ExecutionError::function_error(CHARGE, "it costs too much"))
            }
        };
        // The name is not declared anywhere else, so this can't fail.
        let _ = context.add_function(CHARGE, charge);
    }
}

fn length(value: &Value) -> u64 {
    match value {
        Value::List(items) => items.len() as u64,
        Value::Map(map) => map.map.len() as u64,
        _ => 1,
    }
}

/// About the bytes that a value takes.
pub fn bytes(value: &Value) -> u64 {
    16 + match value {
        Value::String(text) => text.len() as u64,
        Value::Bytes(bytes) => bytes.len() as u64,
        Value::List(items) => items.iter().map(bytes).sum(),
        Value::Map(map) => map
            .map
            .iter()
            .map(|(key, value)| bytes_of_key(key) + bytes(value))
            .sum(),
        _ => 0,
    }
}

fn bytes_of_key(key: &Key) -> u64 {
    match key {
        Key::String(text) => 16 + text.len() as u64,
        _ => 16,
    }
}

/// Charges each macro of an expression, where `sizes` tells the bytes of a variable. Returns the number of the
/// expression's parts, and the bytes that they read.
pub fn charged(expression: &mut IdedExpr, sizes: &impl Fn(&str) -> u64) -> (u64, u64) {
    let mut sum = (1_u64, 0_u64);
    let mut add = |more: (u64, u64)| {
        sum = (sum.0.saturating_add(more.0), sum.1.saturating_add(more.1));
    };
    match &mut expression.expr {
        Expr::Ident(name) => add((0, sizes(name))),
        Expr::Call(call) => {
            let target = call.target.as_deref_mut();
            for part in target.into_iter().chain(call.args.iter_mut()) {
                add(charged(part, sizes));
            }
        }
        Expr::List(list) => list
            .elements
            .iter_mut()
            .for_each(|part| add(charged(part, sizes))),
        Expr::Select(select) => add(charged(&mut select.operand, sizes)),
        Expr::Map(map) => {
            for entry in &mut map.entries {
                if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                    add(charged(&mut entry.key, sizes));
                    add(charged(&mut entry.value, sizes));
                }
            }
        }
        Expr::Comprehension(macro_) => {
            let body = charged(&mut macro_.loop_step, sizes);
            add(charged(&mut macro_.iter_range, sizes));
            add(charged(&mut macro_.accu_init, sizes));
            add(charged(&mut macro_.result, sizes));
            let range = std::mem::take(&mut macro_.iter_range);
            macro_.iter_range = charge(range, body);
        }
        Expr::Struct(_) | Expr::Literal(_) | Expr::Unspecified => {}
    }
    sum
}

fn charge(range: IdedExpr, (nodes, bytes): (u64, u64)) -> IdedExpr {
    let number = |number: u64| IdedExpr {
        id: 0,
        expr: Expr::Literal(LiteralValue::Int(
            i64::try_from(number).unwrap_or(i64::MAX).into(),
        )),
    };
    IdedExpr {
        id: 0,
        expr: Expr::Call(CallExpr {
            func_name: CHARGE.to_owned(),
            target: None,
            args: vec![range, number(nodes), number(bytes)],
        }),
    }
}
