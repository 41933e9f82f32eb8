//! What both ceremonies of passkeys need: the site as browsers know it, and the state between the two requests.

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use guest::{Problem, Result, required_variable};
use principal::seal;
use serde::Serialize;
use serde_json::Value;
use url::{Host, Url};
use utoipa::ToSchema;
use uuid::Uuid;
use webauthn_rp::bin::Decode;
use webauthn_rp::request::register::UserHandle16;
use webauthn_rp::request::{AsciiDomain, RpId};
use webauthn_rp::response::Backup;
use webauthn_rp::response::register::DynamicState;

/// A user handle is the account's id.
pub const HANDLE_BYTES: usize = 16;

/// The first half of a ceremony.
#[derive(Debug, Serialize, ToSchema)]
pub struct Ceremony {
    /// As JSON, for `PublicKeyCredential.parseCreationOptionsFromJSON` or `parseRequestOptionsFromJSON`.
    #[schema(value_type = Object)]
    pub options: Value,
    /// To be sent back with the credential: once, within five minutes.
    pub state: String,
}

/// Who we are to browsers.
pub struct Site {
    /// The domain that passkeys are bound to.
    pub id: RpId,
    /// Where pages may use them.
    pub origin: String,
}

impl Site {
    /// From the public URL. Passkeys belong to domains: an address of this machine counts as `localhost`, and for any
    /// other address there are none.
    pub async fn ours() -> Result<Self> {
        Self::of(&required_variable("public_url").await?).ok_or_else(|| {
            Problem::new(
                StatusCode::NOT_FOUND,
                "passkeys-unavailable",
                "Passkeys need a server whose public URL has a domain name and https, or is this machine's.",
            )
        })
    }

    fn of(public_url: &str) -> Option<Self> {
        let mut url: Url = public_url.parse().ok()?;
        let is_loopback = match url.host()? {
            Host::Domain(_) => false,
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        if is_loopback {
            url.set_host(Some("localhost")).ok()?;
        }
        let domain = url.domain()?;
        // Elsewhere browsers have no passkeys (Secure Contexts, section 3.1).
        if url.scheme() != "https" && domain != "localhost" {
            return None;
        }
        Some(Self {
            id: RpId::Domain(AsciiDomain::try_from(domain.to_owned()).ok()?),
            origin: url.origin().ascii_serialization(),
        })
    }
}

/// The user handle of an account.
pub fn handle(account: Uuid) -> UserHandle16 {
    UserHandle16::decode(account.into_bytes()).unwrap_or_else(|never| match never {})
}

/// Whether there is a copy of the passkey.
pub fn is_backed_up(state: DynamicState) -> bool {
    matches!(state.backup, Backup::Exists)
}

/// Seals the server's half of a ceremony for an account, or for signing in.
pub async fn seal_state(owner: &[u8], state: &[u8]) -> Result<String> {
    let sealed = seal::seal(&seal::subkey("passkey").await?, owner, state)?;
    Ok(URL_SAFE_NO_PAD.encode(sealed))
}

/// The server's half of a ceremony, if it was sealed for this account or purpose.
pub async fn open_state(owner: &[u8], state: &str) -> Result<Option<Vec<u8>>> {
    let key = seal::subkey("passkey").await?;
    let sealed = URL_SAFE_NO_PAD.decode(state).ok();
    Ok(sealed.and_then(|sealed| seal::open(&key, owner, &sealed)))
}

/// A credential as the text that its parser takes.
pub fn json_of(credential: &Value) -> Result<Vec<u8>> {
    serde_json::to_vec(credential).map_err(Problem::internal)
}

/// 422: the credential does not parse.
pub fn unreadable(error: serde_json::Error) -> Problem {
    Problem::invalid("credential", error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passkeys_belong_to_the_domain_of_the_public_url() {
        for (url, expected) in [
            (
                "https://gather.example",
                Some(("gather.example", "https://gather.example")),
            ),
            (
                "https://Gather.example:8443",
                Some(("gather.example", "https://gather.example:8443")),
            ),
            (
                "http://127.0.0.1:3000",
                Some(("localhost", "http://localhost:3000")),
            ),
            (
                "http://[::1]:3000",
                Some(("localhost", "http://localhost:3000")),
            ),
            (
                "https://gather.example:443/",
                Some(("gather.example", "https://gather.example")),
            ),
            (
                "http://localhost:80",
                Some(("localhost", "http://localhost")),
            ),
            (
                "https://bücher.example",
                Some(("xn--bcher-kva.example", "https://xn--bcher-kva.example")),
            ),
            ("http://gather.example", None),
            ("http://192.0.2.1", None),
            ("https://[2001:db8::1]:443", None),
        ] {
            let site = Site::of(url);
            let found = site
                .as_ref()
                .map(|site| (site.id.as_ref(), site.origin.as_str()));
            assert_eq!(found, expected, "{url}");
        }
    }
}
