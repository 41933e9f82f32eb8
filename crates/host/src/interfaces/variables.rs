//! `spin:variables@3.0.0`: a component sees what its own `variables` table maps, and nothing else.

use super::{
    connections::Connections,
    interface::{GrantContext, In, Interface, View},
};
use anyhow::{Context as _, Result};
use std::{collections::BTreeMap, sync::Arc};
use wasm::Data;
use wasmtime::component::{Accessor, Linker};

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        interfaces: "import spin:variables/variables@3.0.0;",
        imports: { default: async | trappable },
        require_store_data_send: true,
    });
}
use generated::spin::variables::variables;

/// The variables of a component.
pub struct Grant {
    component: String,
    values: BTreeMap<String, String>,
}

/// The interface in one instance.
pub struct Variables(Arc<Grant>);

impl Interface for Variables {
    type Grant = Grant;

    fn grant(context: &GrantContext<'_>) -> Result<Grant> {
        let component = context.component;
        let mut values = BTreeMap::new();
        for (name, template) in &component.variables {
            let value = template
                .resolve(context.variables)
                .with_context(|| format!("variable `{name}` of component `{}`", component.id))?;
            values.insert(name.clone(), value);
        }
        Ok(Grant {
            component: component.id.clone(),
            values,
        })
    }

    fn new(grant: &Arc<Grant>, _: &Connections) -> Self {
        Self(grant.clone())
    }

    fn add_to_linker(
        linker: &mut Linker<Data>,
        view: fn(&mut Data) -> View<'_, Self>,
    ) -> wasmtime::Result<()> {
        variables::add_to_linker::<_, In<Self>>(linker, view)
    }
}

impl variables::Host for View<'_, Variables> {}

impl<T: Send> variables::HostWithStore<T> for In<Variables> {
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
        let grant = accessor.with(|mut access| access.get().own.0.clone());
        Ok(match grant.values.get(&name) {
            Some(value) => Ok(value.clone()),
            None => Err(variables::Error::Undefined(format!(
                "add it to [component.{}.variables]: {name} = \"…\"",
                grant.component
            ))),
        })
    }
}
