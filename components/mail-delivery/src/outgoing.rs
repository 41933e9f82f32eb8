//! Sending mail through the host.

use crate::letter::Letter;

/// The reason why a mail was not sent. The host's log has the details.
#[derive(Debug)]
#[cfg_attr(
    not(target_family = "wasm"),
    expect(dead_code, reason = "natively nothing is refused")
)]
pub enum Unsent {
    /// The mail was refused for good.
    Refused,
    /// The mail may be accepted later.
    Unavailable,
}

#[cfg(target_family = "wasm")]
mod bindings {
    #![allow(missing_docs, reason = "generated")]
    spin_sdk::wit_bindgen::generate!({
        path: "../../wit",
        world: "gather:mail/sender",
        runtime_path: "spin_sdk::wit_bindgen::rt",
    });
}

/// Passes a letter to the host.
#[cfg(target_family = "wasm")]
pub async fn send(to: String, letter: Letter) -> Result<(), Unsent> {
    use bindings::gather::mail::outgoing::{self, Error, Mail};
    let mail = Mail {
        to,
        subject: letter.subject,
        text: letter.text,
    };
    outgoing::send(mail).await.map_err(|error| {
        let (unsent, cause) = match error {
            Error::Refused(cause) => (Unsent::Refused, cause),
            Error::Unavailable(cause) => (Unsent::Unavailable, cause),
        };
        guest::warn!("a mail was not sent", cause = cause);
        unsent
    })
}

/// Fails in native builds, which have no host.
#[cfg(not(target_family = "wasm"))]
pub async fn send(_: String, _: Letter) -> Result<(), Unsent> {
    Err(Unsent::Unavailable)
}
