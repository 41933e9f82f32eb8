//! Expressions: CEL, without a clock, without chance, and bounded in everything.

mod bounds;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue};
use cel::objects::{Key, Map as CelMap};
use cel::{Context, Env, ExecutionError, Program, Value as Cel};
use serde_json::{Map, Number, Value};

use crate::cost::{Meter, bytes, charged};

/// The longest expression.
const MAX_BYTES: usize = 4 << 10;
/// The name of the sum so far in the later parts of a long sum. No expression can spell it.
const SUM: &str = "@sum";
/// The largest value, as JSON.
pub const MAX_VALUE_BYTES: usize = 1 << 20;
/// The names that expressions may use.
const NAMES: [&str; 6] = ["input", "nodes", "item", "index", "run", "event"];

/// The values of the names that an expression may use, by name.
pub type Names = Map<String, Value>;

/// What an expression can read. Only what it names is asked for.
pub trait Values {
    /// The value of a name other than `nodes`; `None` if it has none here.
    fn value(&self, name: &str) -> Option<Cow<'_, Value>>;
    /// The `{output, status, error}` of a node; `None` if it has not run.
    fn node(&self, id: &str) -> Option<Value>;
}

impl Values for Names {
    fn value(&self, name: &str) -> Option<Cow<'_, Value>> {
        self.get(name).map(Cow::Borrowed)
    }

    fn node(&self, id: &str) -> Option<Value> {
        self.get("nodes")?.get(id).cloned()
    }
}

/// The reason why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The code of the step's error.
    pub code: &'static str,
    /// The reason, for people.
    pub detail: String,
}

impl Fault {
    /// A fault of an expression.
    pub fn failed(detail: impl std::fmt::Display) -> Self {
        Self {
            code: "expression-failed",
            detail: detail.to_string().chars().take(300).collect(),
        }
    }

    pub(crate) fn too_large() -> Self {
        Self {
            code: "output-too-large",
            detail: "A value may have at most 1 MiB.".to_owned(),
        }
    }

    fn cost(detail: &str) -> Self {
        Self {
            code: "expression-cost",
            detail: detail.to_owned(),
        }
    }

    fn invalid(detail: &str) -> Self {
        Self {
            code: "output-invalid",
            detail: detail.to_owned(),
        }
    }
}

/// An expression that was parsed.
#[derive(Debug)]
pub struct Expression {
    /// The parts of a long sum, of which each but the first begins with the sum so far; else one tree.
    parts: Vec<IdedExpr>,
    read: Read,
}

/// What an expression reads.
#[derive(Debug, Default)]
struct Read {
    names: BTreeSet<&'static str>,
    nodes: BTreeSet<String>,
    functions: BTreeSet<String>,
}

thread_local! {
    /// The standard functions and types, which take longer to set up than most expressions to compute.
    static STANDARD: Arc<Env> = Arc::new(Env::stdlib());
}

impl Expression {
    /// Parses an expression.
    ///
    /// # Errors
    /// The reason, for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err("has more than 4 KiB".to_owned());
        }
        let (mut parts, mut read) = (Vec::new(), Read::default());
        for (at, part) in bounds::parts(text)?.iter().enumerate() {
            let mut tree = parsed(part)?;
            if at > 0 {
                rename_sum(&mut tree);
            }
            names(&tree, &mut vec![SUM.to_owned()], &mut read)?;
            parts.push(tree);
        }
        Ok(Self { parts, read })
    }

    /// The names that it reads.
    pub fn names(&self) -> &BTreeSet<&'static str> {
        &self.read.names
    }

    /// The nodes that it reads.
    pub fn nodes(&self) -> &BTreeSet<String> {
        &self.read.nodes
    }

    /// A function that it calls and that there is not, such as one that tells the time.
    pub fn unknown_function(&self) -> Option<&String> {
        let context = Context::with_env(STANDARD.with(Arc::clone));
        let is_unknown = |name: &&String| {
            // Called without arguments, which only tells whether there is such a function, or such a method.
            let undeclared = |target: Option<Box<IdedExpr>>| {
                let (func_name, args) = ((*name).clone(), Vec::new());
                let call = CallExpr {
                    func_name,
                    target,
                    args,
                };
                let expr = Expr::Call(call);
                let result = context.resolve(&IdedExpr { id: 0, expr });
                matches!(result, Err(ExecutionError::UndeclaredReference(_)))
            };
            let null = Expr::Literal(LiteralValue::Null);
            undeclared(None) && undeclared(Some(Box::new(IdedExpr { id: 0, expr: null })))
        };
        self.read.functions.iter().find(is_unknown)
    }

    /// The value of the expression.
    ///
    /// # Errors
    /// It fails, costs too much, or has a value that JSON can't hold.
    pub fn evaluate(&self, values: &dyn Values) -> Result<Value, Fault> {
        let meter = Meter::default();
        let mut context = Context::with_env(STANDARD.with(Arc::clone));
        meter.install(&mut context);
        let mut sizes = HashMap::new();
        for name in &self.read.names {
            let value = match *name {
                "nodes" => self.read_nodes(values),
                name => match values.value(name) {
                    Some(value) => cel_of(&value),
                    None => continue,
                },
            };
            sizes.insert(*name, bytes(&value));
            context.add_variable_from_value(*name, value);
        }
        let mut value = Cel::Null;
        for (at, part) in self.parts.iter().enumerate() {
            if at > 0 {
                sizes.insert(SUM, bytes(&value));
                context.add_variable_from_value(SUM, value);
            }
            let mut tree = part.clone();
            let (steps, read) = charged(&mut tree, &|name| {
                sizes.get(name).copied().unwrap_or_default()
            });
            if !meter.charge(steps, read) {
                return Err(Fault::cost(
                    "The values that the expression reads are too large.",
                ));
            }
            let result = context.resolve(&tree);
            if meter.is_over() {
                return Err(Fault::cost("The expression takes too many steps."));
            }
            value = result.map_err(Fault::failed)?;
        }
        let value = json_of(&value)?;
        fit(&value)?;
        Ok(value)
    }

    /// The value as `true` or `false`.
    ///
    /// # Errors
    /// The errors of [`Expression::evaluate`], and another value.
    pub fn decide(&self, values: &dyn Values) -> Result<bool, Fault> {
        match self.evaluate(values)? {
            Value::Bool(decision) => Ok(decision),
            other => Err(Fault::failed(format!(
                "`{other}` is neither true nor false"
            ))),
        }
    }

    /// Only the nodes that are named are converted. One that has not run has null for everything.
    fn read_nodes(&self, values: &dyn Values) -> Cel {
        let mut out = HashMap::new();
        for id in &self.read.nodes {
            let node = values.node(id).unwrap_or_else(
                || serde_json::json!({"output": null, "status": null, "error": null}),
            );
            out.insert(Key::from(id.clone()), cel_of(&node));
        }
        Cel::Map(CelMap { map: Arc::new(out) })
    }
}

/// Checks that a value is not too large, and that the database can hold it.
///
/// # Errors
/// `output-too-large` or `output-invalid`.
pub fn fit(value: &Value) -> Result<(), Fault> {
    let text = value.to_string();
    if text.len() > MAX_VALUE_BYTES {
        return Err(Fault::too_large());
    }
    // Six characters, which stand for a zero only behind an even number of backslashes.
    let zero = text.match_indices("\\u0000").any(|(at, _)| {
        let before = text[..at]
            .bytes()
            .rev()
            .take_while(|byte| *byte == b'\\')
            .count();
        before % 2 == 0
    });
    if zero {
        return Err(Fault::invalid("A text must not contain a zero character."));
    }
    Ok(())
}

fn parsed(text: &str) -> Result<IdedExpr, String> {
    let program = Program::compile(text).map_err(|error| {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        format!("is not CEL: {}", line.chars().take(200).collect::<String>())
    })?;
    Ok(program.expression().clone())
}

/// Gives the sum so far, which a later part begins with, the name that no expression can spell.
fn rename_sum(mut tree: &mut IdedExpr) {
    loop {
        match &mut tree.expr {
            Expr::Ident(name) => return *name = SUM.to_owned(),
            Expr::Call(call) if !call.args.is_empty() => tree = &mut call.args[0],
            _ => return,
        }
    }
}

/// Collects the nodes that an expression reads, and refuses unknown names. `own` has the variables of its macros.
fn names(expression: &IdedExpr, own: &mut Vec<String>, read: &mut Read) -> Result<(), String> {
    match &expression.expr {
        Expr::Ident(name) if own.contains(name) => {}
        Expr::Ident(name) if name == "nodes" => {
            return Err("must name the node: `nodes.<id>`".to_owned());
        }
        Expr::Ident(name) if is_type(name) => {}
        Expr::Ident(name) => {
            let known = NAMES.iter().find(|known| *known == name);
            let known = known.ok_or_else(|| format!("uses the unknown name `{name}`"))?;
            read.names.insert(known);
        }
        Expr::Select(select) => match &select.operand.expr {
            Expr::Ident(name) if name == "nodes" && !own.contains(name) => {
                read.names.insert("nodes");
                read.nodes.insert(select.field.clone());
            }
            _ => names(&select.operand, own, read)?,
        },
        Expr::Call(call) => {
            if let (Some(operand), Some(index)) = (call.args.first(), call.args.get(1))
                && call.func_name == "_[_]"
                && matches!(&operand.expr, Expr::Ident(name) if name == "nodes" && !own.contains(name))
                && let Expr::Literal(LiteralValue::String(id)) = &index.expr
            {
                read.names.insert("nodes");
                read.nodes.insert(id.inner().to_owned());
                return Ok(());
            }
            // Operators have names that begin with a sign.
            if call
                .func_name
                .starts_with(|first: char| first.is_ascii_alphabetic())
            {
                read.functions.insert(call.func_name.clone());
            }
            for part in call.target.iter().map(AsRef::as_ref).chain(&call.args) {
                names(part, own, read)?;
            }
        }
        Expr::List(list) => {
            for part in &list.elements {
                names(part, own, read)?;
            }
        }
        Expr::Map(map) => {
            for entry in &map.entries {
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    names(&entry.key, own, read)?;
                    names(&entry.value, own, read)?;
                }
            }
        }
        Expr::Comprehension(loop_) => {
            names(&loop_.iter_range, own, read)?;
            names(&loop_.accu_init, own, read)?;
            let before = own.len();
            own.extend([loop_.iter_var.clone(), loop_.accu_var.clone()]);
            own.extend(loop_.iter_var2.clone());
            let parts = [&loop_.loop_cond, &loop_.loop_step, &loop_.result];
            let all = parts
                .into_iter()
                .try_for_each(|part| names(part, own, read));
            own.truncate(before);
            all?;
        }
        Expr::Struct(_) => return Err("makes a message, which is not JSON".to_owned()),
        Expr::Literal(_) | Expr::Unspecified => {}
    }
    Ok(())
}

fn is_type(name: &str) -> bool {
    [
        "bool",
        "bytes",
        "double",
        "int",
        "list",
        "map",
        "null_type",
        "string",
        "type",
        "uint",
    ]
    .contains(&name)
}

/// Whole numbers are integers of CEL if they fit, and everything else is a double, so that `input.count + 1` works.
fn cel_of(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(value) => Cel::Bool(*value),
        Value::Number(number) => number
            .as_i64()
            .map_or_else(|| Cel::Float(number.as_f64().unwrap_or_default()), Cel::Int),
        Value::String(text) => Cel::String(Arc::new(text.clone())),
        Value::Array(items) => Cel::List(Arc::new(items.iter().map(cel_of).collect())),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| (Key::from(name.clone()), cel_of(value)));
            Cel::Map(CelMap {
                map: Arc::new(fields.collect()),
            })
        }
    }
}

fn json_of(value: &Cel) -> Result<Value, Fault> {
    Ok(match value {
        Cel::Null => Value::Null,
        Cel::Bool(value) => Value::Bool(*value),
        Cel::Int(number) => Value::from(*number),
        Cel::UInt(number) => Value::from(*number),
        Cel::Float(number) => Value::Number(
            Number::from_f64(*number).ok_or_else(|| Fault::invalid("A number is not finite."))?,
        ),
        Cel::String(text) => Value::String(text.to_string()),
        Cel::Bytes(bytes) => Value::String(BASE64_STANDARD.encode(bytes.as_slice())),
        Cel::List(items) => Value::Array(items.iter().map(json_of).collect::<Result<_, _>>()?),
        Cel::Map(map) => {
            let mut out = Map::new();
            for (key, value) in map.map.iter() {
                let Key::String(name) = key else {
                    return Err(Fault::invalid("The keys of a map must be texts."));
                };
                out.insert(name.to_string(), json_of(value)?);
            }
            Value::Object(out)
        }
        _ => return Err(Fault::invalid("The value is not JSON.")),
    })
}

#[cfg(test)]
mod tests;
