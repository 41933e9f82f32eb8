//! `gather:mail/outgoing`: mail, for queued components that may send it.

use super::Host;
use crate::state::{self, State};
use anyhow::{Result, bail};
use wasm::Data;
use wasmtime::component::{Accessor, Component, Linker};

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "gather:mail/sender",
        imports: { default: async | trappable },
        require_store_data_send: true,
    });
}
use generated::gather::mail::outgoing;
pub use outgoing::{Error, Mail};

impl outgoing::Host for &mut State {}

impl<T: Send> outgoing::HostWithStore<T> for Host {
    async fn send(accessor: &Accessor<T, Self>, mail: Mail) -> wasmtime::Result<Result<(), Error>> {
        let rights = accessor.with(|mut access| access.get().rights.clone());
        Ok(match &rights.mail {
            Some(mailer) => mailer.send(&mail).await,
            None => Err(Error::Refused(not_granted(&rights.component))),
        })
    }
}

/// Defines the interface, for queued components only.
///
/// # Errors
/// A name that is defined already.
pub fn add_to_linker(linker: &mut Linker<Data>) -> wasmtime::Result<()> {
    outgoing::add_to_linker::<_, Host>(linker, state::of)
}

/// Refuses a component that would send mail without being granted it, before it runs.
///
/// # Errors
/// Names the key that grants it.
pub fn check(id: &str, component: &Component, granted: bool) -> Result<()> {
    let ty = component.component_type();
    let sends = ty
        .imports(component.engine())
        .any(|(name, _)| name.starts_with("gather:mail/"));
    if sends && !granted {
        bail!(not_granted(id));
    }
    Ok(())
}

fn not_granted(id: &str) -> String {
    format!(
        "component `{id}` may not send mail; if it shall, add `mail = true` to [component.{id}.tool.gather]"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::{Config, Engine};

    #[test]
    fn mail_is_granted_by_its_key_only() {
        let mut config = Config::new();
        config.wasm_component_model_async(true);
        let engine = Engine::new(&config).expect("an engine");
        let component = |text: &str| {
            let wasm = wat::parse_str(text).expect("a component's text");
            Component::new(&engine, wasm).expect("a component")
        };
        let sends = component(
            r#"(component (import "gather:mail/outgoing@1.0.0" (instance (export "send" (func)))))"#,
        );
        let error = check("post", &sends, false).expect_err("it was not granted");
        assert!(
            error
                .to_string()
                .contains("`mail = true` to [component.post.tool.gather]"),
            "{error}"
        );
        assert!(check("post", &sends, true).is_ok());
        assert!(check("other", &component("(component)"), false).is_ok());
    }
}
