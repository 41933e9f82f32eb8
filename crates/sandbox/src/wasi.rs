//! The imports of skills: the library's WASI, with replacements for the functions that are not bounded there.

use crate::{key_value, state};
use anyhow::Result;
use std::time::Duration;
use wasm::Data;
use wasmtime::{
    Engine,
    component::{Linker, Resource},
};
use wasmtime_wasi::{
    clocks::WasiClocksView,
    p2::{DynPollable, bindings::clocks::monotonic_clock::Host as _},
};
use wasmtime_wasi_http::{WasiHttpView, p2, p3};

/// The interfaces in which functions are replaced, as the library names them.
const HTTP_P2: &str = "wasi:http/types@0.2.12";
const HTTP_P3: &str = "wasi:http/types@0.3.0";
const CLOCK_P2: &str = "wasi:clocks/monotonic-clock@0.2.12";
const CLOCK_P3: &str = "wasi:clocks/monotonic-clock@0.3.0";
/// The largest method or authority of a request in bytes, which the library would keep at any length.
const MAX_PART: usize = 8 << 10;

/// Makes the linker with everything that a skill may import. What it was not granted is inert, or refused when used.
///
/// # Errors
/// Two definitions have the same name, which is a mistake in this crate. Tests check that each replacement replaces
/// one.
pub fn linker(engine: &Engine) -> Result<Linker<Data>> {
    let mut linker = wasm::linker(engine)?;
    key_value::add_to_linker(&mut linker, |data| state::of(data).key_values())?;
    linker.allow_shadowing(true);
    bound_requests_of_p2(&mut linker)?;
    bound_requests_of_p3(&mut linker)?;
    still_clock_of_p2(&mut linker)?;
    still_clock_of_p3(&mut linker)?;
    linker.allow_shadowing(false);
    Ok(linker)
}

fn is_too_long(part: &str) -> bool {
    part.len() > MAX_PART
}

fn bound_requests_of_p2(linker: &mut Linker<Data>) -> wasmtime::Result<()> {
    use p2::bindings::http::types::{HostOutgoingRequest as _, Method};
    type Request = Resource<p2::types::HostOutgoingRequest>;
    let mut http = linker.instance(HTTP_P2)?;
    http.func_wrap(
        "[method]outgoing-request.set-method",
        |mut store, (request, method): (Request, Method)| {
            if matches!(&method, Method::Other(text) if is_too_long(text)) {
                return Ok((Err(()),));
            }
            Ok((store.data_mut().http().set_method(request, method)?,))
        },
    )?;
    http.func_wrap(
        "[method]outgoing-request.set-authority",
        |mut store, (request, authority): (Request, Option<String>)| {
            if authority.as_deref().is_some_and(is_too_long) {
                return Ok((Err(()),));
            }
            Ok((store.data_mut().http().set_authority(request, authority)?,))
        },
    )
}

fn bound_requests_of_p3(linker: &mut Linker<Data>) -> wasmtime::Result<()> {
    use p3::bindings::http::types::{HostRequest as _, Method};
    type Request = Resource<p3::Request>;
    let mut http = linker.instance(HTTP_P3)?;
    http.func_wrap(
        "[method]request.set-method",
        |mut store, (request, method): (Request, Method)| {
            if matches!(&method, Method::Other(text) if is_too_long(text)) {
                return Ok((Err(()),));
            }
            Ok((store.data_mut().http().set_method(request, method)?,))
        },
    )?;
    http.func_wrap(
        "[method]request.set-authority",
        |mut store, (request, authority): (Request, Option<String>)| {
            if authority.as_deref().is_some_and(is_too_long) {
                return Ok((Err(()),));
            }
            Ok((store.data_mut().http().set_authority(request, authority)?,))
        },
    )
}

/// Makes waiting take no time where the clock stands still, since the number of polls during a wait would be a clock.
fn still_clock_of_p2(linker: &mut Linker<Data>) -> wasmtime::Result<()> {
    type Pollable = (Resource<DynPollable>,);
    let mut clock = linker.instance(CLOCK_P2)?;
    clock.func_wrap(
        "subscribe-duration",
        |mut store, (duration,): (u64,)| -> wasmtime::Result<Pollable> {
            let state = state::of(store.data_mut());
            let duration = state.wait(duration);
            Ok((state.clocks().subscribe_duration(duration)?,))
        },
    )?;
    clock.func_wrap(
        "subscribe-instant",
        |mut store, (when,): (u64,)| -> wasmtime::Result<Pollable> {
            let state = state::of(store.data_mut());
            let when = state.wait(when);
            Ok((state.clocks().subscribe_instant(when)?,))
        },
    )
}

fn still_clock_of_p3(linker: &mut Linker<Data>) -> wasmtime::Result<()> {
    let mut clock = linker.instance(CLOCK_P3)?;
    clock.func_wrap_concurrent("wait-for", |accessor, (duration,): (u64,)| {
        Box::pin(async move {
            let duration = accessor.with(|mut access| state::of(access.get()).wait(duration));
            tokio::time::sleep(Duration::from_nanos(duration)).await;
            Ok(())
        })
    })?;
    clock.func_wrap_concurrent("wait-until", |accessor, (when,): (u64,)| {
        Box::pin(async move {
            let duration = accessor.with(|mut access| {
                let state = state::of(access.get());
                let when = state.wait(when);
                when.saturating_sub(state.elapsed())
            });
            tokio::time::sleep(Duration::from_nanos(duration)).await;
            Ok(())
        })
    })
}
