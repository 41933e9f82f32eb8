//! One call of a tool, in a fresh instance that is metered and ended on time.

use crate::{
    grant::{Grant, UsedPermissions},
    network::Network,
    refused::Reach,
    state::{self, MAX_HANDED_OVER, State},
    value,
};
use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use skill::{
    FieldError,
    names::{Export, tool_names},
};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use wasm::Data;
use wasmtime::{
    Engine, PoolConcurrencyLimitError, Store, Trap,
    component::{
        Component, ComponentExportIndex, InstancePre, Linker, Type, Val,
        types::{ComponentFunc, ComponentItem},
    },
};
use wasmtime_wasi::I32Exit;

/// The largest result, in bytes of JSON.
const MAX_RESULT_BYTES: usize = 4 << 20;
/// The factor between the memory of flags and the size that the library counts, since it keeps each set flag as a
/// string.
const FLAGS_WEIGHT: usize = 16;
/// The time that a call may take beyond its deadline before it is cut off from outside, since the
/// engine's clock does not see a skill that waits.
const GRACE: Duration = Duration::from_millis(20);

/// A loaded component, ready to be called.
pub struct Skill {
    /// The digest of the component, `sha256:…`.
    pub digest: String,
    /// The approximate size in memory.
    pub bytes: usize,
    pre: InstancePre<Data>,
    tools: HashMap<String, Tool>,
}

struct Tool {
    index: ComponentExportIndex,
    params: Vec<(String, Type)>,
    result: Option<Type>,
    /// The largest result, in bytes as the library counts them.
    max_result: usize,
}

/// The resources that a call used.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// The fuel, which is the same for the same input unless a granted input differs.
    pub fuel: u64,
    /// The largest linear memory that it had.
    pub memory_bytes: u64,
    /// The time on the clock, including a fresh instance and both conversions.
    pub duration_ms: f64,
}

/// The report of a call.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The end of the call.
    pub end: End,
    /// The resources that the call used.
    pub usage: Usage,
    /// The use made of the grants.
    pub used: UsedPermissions,
    /// The output on stdout and stderr.
    pub log: String,
    /// Whether its time was up, whatever else the end says.
    pub met_deadline: bool,
}

/// The end of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// The call returned a result.
    Answered(Value),
    /// The call returned the skill's own error.
    Failed(Value),
    /// The call did not end by itself.
    Ended(Fault),
}

/// The reason why a call has no answer of the skill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The skill has no such tool.
    UnknownTool(String),
    /// The arguments do not fit the tool.
    InvalidArguments(Vec<FieldError>),
    /// The skill used something that it was not granted.
    Denied(String),
    /// The skill trapped or exited.
    Trapped(String),
    /// The time of the call was up.
    Deadline,
    /// The fuel of the call was used up.
    Fuel,
    /// The skill needs more memory than it may have.
    Memory,
    /// The result or the log is too large.
    Output(String),
    /// The sandbox has no room for the call at this moment.
    Busy,
    /// The sandbox itself failed.
    Internal(String),
}

impl Skill {
    /// Makes a component ready.
    ///
    /// # Errors
    /// The component imports what the sandbox does not have, or is larger than the pool's slots.
    pub fn new(
        linker: &Linker<Data>,
        component: &Component,
        digest: String,
        bytes: usize,
    ) -> Result<Self> {
        let tools = tools(component);
        let pre = linker.instantiate_pre(component)?;
        Ok(Self {
            digest,
            bytes,
            pre,
            tools,
        })
    }

    /// The names and types of a tool's arguments.
    #[must_use]
    pub fn params(&self, tool: &str) -> Option<&[(String, Type)]> {
        self.tools.get(tool).map(|tool| tool.params.as_slice())
    }

    /// Calls a tool.
    pub async fn call(
        &self,
        network: &Arc<Network>,
        tool: &str,
        arguments: Map<String, Value>,
        grant: &Grant,
        seed: [u8; 32],
    ) -> Outcome {
        let began = Instant::now();
        let deadline = began + Duration::from_millis(grant.limits.deadline_ms);
        let ready = self.prepare(tool, arguments);
        let ready = ready.and_then(|ready| {
            let store = state::store(self.pre.engine(), network, grant, seed, deadline);
            store
                .map(|store| (ready, store))
                .map_err(|error| Fault::Internal(format!("{error:#}")))
        });
        let ((tool, params), mut store) = match ready {
            Ok(ready) => ready,
            Err(fault) => return Outcome::without_running(fault, began),
        };
        let running = self.run(&mut store, tool, &params);
        let end = match tokio::time::timeout_at((deadline + GRACE).into(), running).await {
            Ok(Ok(end)) => end,
            Ok(Err(error)) => End::Ended(fault_of(&error, &store)),
            Err(_) => End::Ended(Fault::Deadline),
        };
        let met_deadline = end == End::Ended(Fault::Deadline);
        let state = store.data().get::<State>();
        let end = match state.denied() {
            Some(what) => End::Ended(Fault::Denied(what)),
            None if state.log.has_overflowed() => End::Ended(Fault::Output(
                "It wrote more than 64 KiB to stdout and stderr.".to_owned(),
            )),
            // It gave up for want of what it was promised. A review makes no example again, so it is told how that
            // went.
            None if state.was_starved()
                && matches!(grant.reach, Reach::Granted)
                && matches!(end, End::Failed(_) | End::Ended(Fault::Trapped(_))) =>
            {
                End::Ended(Fault::Busy)
            }
            None => end,
        };
        Outcome {
            end,
            usage: Usage {
                fuel: grant
                    .limits
                    .fuel
                    .saturating_sub(store.get_fuel().unwrap_or_default()),
                memory_bytes: state.memory.peak as u64,
                duration_ms: milliseconds(began),
            },
            used: state.used(),
            log: state.log.text(),
            met_deadline,
        }
    }

    fn prepare(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
    ) -> Result<(&Tool, Vec<Val>), Fault> {
        let found = self.tools.get(tool).ok_or_else(|| {
            let mut names: Vec<_> = self.tools.keys().map(String::as_str).collect();
            names.sort_unstable();
            Fault::UnknownTool(names.join(", "))
        })?;
        let params = value::arguments(&found.params, arguments).map_err(Fault::InvalidArguments)?;
        Ok((found, params))
    }

    async fn run(
        &self,
        store: &mut Store<Data>,
        tool: &Tool,
        params: &[Val],
    ) -> wasmtime::Result<End> {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        let func = instance
            .get_func(&mut *store, tool.index)
            .ok_or_else(|| wasmtime::format_err!("the export is not a function"))?;
        store.set_hostcall_fuel(tool.max_result);
        let mut results = [Val::Bool(false)];
        let results = &mut results[..usize::from(tool.result.is_some())];
        func.call_async(&mut *store, params, results).await?;
        let Some(ty) = &tool.result else {
            return Ok(End::Answered(Value::Null));
        };
        let value = std::mem::replace(&mut results[0], Val::Bool(false));
        let end = match (ty, value) {
            (Type::Result(result), Val::Result(outcome)) => {
                let (ty, payload, failed) = match outcome {
                    Ok(payload) => (result.ok(), payload, false),
                    Err(payload) => (result.err(), payload, true),
                };
                let value = match (ty, payload) {
                    (Some(ty), Some(payload)) => value::lift(&ty, *payload)?,
                    _ => Value::Null,
                };
                if failed {
                    End::Failed(value)
                } else {
                    End::Answered(value)
                }
            }
            (ty, value) => End::Answered(value::lift(ty, value)?),
        };
        Ok(bounded(end))
    }
}

impl Outcome {
    fn without_running(fault: Fault, began: Instant) -> Self {
        Self {
            end: End::Ended(fault),
            usage: Usage {
                fuel: 0,
                memory_bytes: 0,
                duration_ms: milliseconds(began),
            },
            used: UsedPermissions::default(),
            log: String::new(),
            met_deadline: false,
        }
    }
}

/// The time, to the microsecond.
fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_micros() as f64 / 1000.0
}

/// The exported functions by their names as tools. `skill::inspect` gives the same names, because
/// both use `skill::names`.
fn tools(component: &Component) -> HashMap<String, Tool> {
    let ty = component.component_type();
    let engine: &Engine = component.engine();
    let mut exports: Vec<(Export, ComponentExportIndex, ComponentFunc)> = Vec::new();
    for (name, item) in ty.exports(engine) {
        match item.ty {
            ComponentItem::ComponentFunc(func) => {
                if let Some(index) = component.get_export_index(None, name) {
                    exports.push((
                        Export {
                            interface: None,
                            function: name.to_owned(),
                        },
                        index,
                        func,
                    ));
                }
            }
            ComponentItem::ComponentInstance(instance) => {
                let Some(outer) = component.get_export_index(None, name) else {
                    continue;
                };
                for (function, item) in instance.exports(engine) {
                    let ComponentItem::ComponentFunc(func) = item.ty else {
                        continue;
                    };
                    if let Some(index) = component.get_export_index(Some(&outer), function) {
                        let export = Export {
                            interface: Some(name.to_owned()),
                            function: function.to_owned(),
                        };
                        exports.push((export, index, func));
                    }
                }
            }
            _ => {}
        }
    }
    exports.retain(|(export, ..)| !export.is_of_toolchain());
    let paths: Vec<Export> = exports.iter().map(|(export, ..)| export.clone()).collect();
    let named = tool_names(&paths).into_iter().zip(exports);
    named
        .filter_map(|(name, (_, index, func))| {
            let params = func
                .params()
                .map(|(name, ty)| (name.to_owned(), ty))
                .collect();
            let result = func.results().next();
            let max_result = match &result {
                Some(ty) if has_flags(ty) => MAX_HANDED_OVER / FLAGS_WEIGHT,
                _ => MAX_HANDED_OVER,
            };
            let tool = Tool {
                index,
                params,
                result,
                max_result,
            };
            Some((name?, tool))
        })
        .collect()
}

/// Whether values of this type contain flags.
fn has_flags(ty: &Type) -> bool {
    match ty {
        Type::Flags(_) => true,
        Type::List(list) => has_flags(&list.ty()),
        Type::Record(record) => record.fields().any(|field| has_flags(&field.ty)),
        Type::Tuple(tuple) => tuple.types().any(|ty| has_flags(&ty)),
        Type::Variant(variant) => variant
            .cases()
            .filter_map(|case| case.ty)
            .any(|ty| has_flags(&ty)),
        Type::Option(option) => has_flags(&option.ty()),
        Type::Result(result) => [result.ok(), result.err()]
            .into_iter()
            .flatten()
            .any(|ty| has_flags(&ty)),
        _ => false,
    }
}

fn bounded(end: End) -> End {
    let (End::Answered(value) | End::Failed(value)) = &end else {
        return end;
    };
    let mut size = Counter(0);
    match serde_json::to_writer(&mut size, value) {
        Ok(()) => end,
        Err(_) => End::Ended(Fault::Output(
            "Its result is larger than 4 MiB of JSON.".to_owned(),
        )),
    }
}

/// A writer that counts its bytes, and refuses more than a result may have.
struct Counter(usize);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        if self.0 > MAX_RESULT_BYTES {
            return Err(std::io::Error::other("too large"));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn fault_of(error: &wasmtime::Error, store: &Store<Data>) -> Fault {
    let trap = error.downcast_ref::<Trap>();
    match trap {
        Some(Trap::Interrupt) => return Fault::Deadline,
        Some(Trap::OutOfFuel) => return Fault::Fuel,
        _ if store.data().get::<State>().memory.refused => return Fault::Memory,
        _ => {}
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return Fault::Busy;
    }
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return Fault::Trapped(format!("It exited with status {}.", exit.0));
    }
    let text = error.root_cause().to_string();
    // The library gives this error no type of its own.
    if text.contains("hostcalls has been exhausted") {
        return Fault::Output(
            "It handed over more than 64 MiB at once, or 4 MiB with flags.".to_owned(),
        );
    }
    Fault::Trapped(format!("{}.", text.trim_start_matches("wasm trap: ")))
}
