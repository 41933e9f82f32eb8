//! `gather:mail/outgoing`: mail, for queued components that may send it.

use super::{
    connections::Connections,
    interface::{GrantContext, In, Interface, View},
};
use crate::mail::{
    Mailer,
    wit::{self, Error, Mail},
};
use anyhow::{Result, bail};
use std::sync::Arc;
use wasm::Data;
use wasmtime::component::{Accessor, Component, Linker};

/// The grant of mail, with the mailer.
pub struct Grant {
    component: String,
    mailer: Option<Arc<Mailer>>,
}

/// The interface in one instance.
pub struct Outgoing(Arc<Grant>);

impl Interface for Outgoing {
    type Grant = Grant;
    const QUEUED_ONLY: bool = true;

    fn grant(context: &GrantContext<'_>) -> Result<Grant> {
        let granted = context.component.settings.mail;
        Ok(Grant {
            component: context.component.id.clone(),
            mailer: context.mailer.filter(|_| granted).cloned(),
        })
    }

    fn new(grant: &Arc<Grant>, _: &Connections) -> Self {
        Self(grant.clone())
    }

    fn add_to_linker(
        linker: &mut Linker<Data>,
        view: fn(&mut Data) -> View<'_, Self>,
    ) -> wasmtime::Result<()> {
        wit::add_to_linker::<_, In<Self>>(linker, view)
    }
}

impl wit::Host for View<'_, Outgoing> {}

impl<T: Send> wit::HostWithStore<T> for In<Outgoing> {
    async fn send(accessor: &Accessor<T, Self>, mail: Mail) -> wasmtime::Result<Result<(), Error>> {
        let grant = accessor.with(|mut access| access.get().own.0.clone());
        Ok(match &grant.mailer {
            Some(mailer) => mailer.send(&mail).await,
            None => Err(Error::Refused(not_granted(&grant.component))),
        })
    }
}

/// Refuses a component that imports mail without the grant, before it runs.
///
/// # Errors
/// The component lacks the grant. The error names the key that gives it.
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
