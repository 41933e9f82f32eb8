//! `spin:variables@3.0.0`: a component sees what its own `variables` table maps, and nothing else.

use super::{Host, spin::variables::variables};
use crate::state::State;
use wasmtime::component::Accessor;

impl variables::Host for &mut State {}

impl<T: Send> variables::HostWithStore<T> for Host {
    async fn get(
        accessor: &Accessor<T, Self>,
        name: String,
    ) -> wasmtime::Result<Result<String, variables::Error>> {
        let valid = name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if name.is_empty() || !valid {
            return Ok(Err(variables::Error::InvalidName(name)));
        }
        let rights = accessor.with(|mut access| access.get().rights.clone());
        Ok(match rights.variables.get(&name) {
            Some(value) => Ok(value.clone()),
            None => Err(variables::Error::Undefined(format!(
                "add it to [component.{}.variables]: {name} = \"…\"",
                rights.component
            ))),
        })
    }
}
