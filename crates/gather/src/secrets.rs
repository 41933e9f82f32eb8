//! The master key, and the secrets that are derived from it.

use std::{
    collections::BTreeMap,
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use anyhow::{Context, Result, anyhow, bail};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use serde_json::json;
use sha2::Sha256;
use url::Url;
use uuid::Uuid;
use vault_seal::{PrivateKey, PublicKey};

use crate::manifest::Manifest;

/// The name of the master key's file in the state folder.
pub const FILE_NAME: &str = "master.key";

/// The label of the key for one-time links.
const LINK: &str = "link";
/// The label of the key that seals positions in the stream of events.
const POSITION: &str = "position";
/// The label of the key that authenticates clients' addresses between the platform's parts.
const VISITOR: &str = "visitor";
/// The label of the key with which edges prove themselves.
const EDGE: &str = "edge";

/// The one secret from which the functions' secrets are derived. Losing it loses the token signing keys and people's
/// passwords.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    /// Reads a key given as base64 or as 64 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let bytes = if text.len() == 64 {
            hex::decode(text).ok()
        } else {
            BASE64_STANDARD.decode(text).ok()
        };
        let key = bytes.and_then(|bytes| bytes.try_into().ok());
        key.map(Self).ok_or_else(|| {
            anyhow!("the master key must be 32 bytes as base64 or as 64 hexadecimal digits; `openssl rand -hex 32` makes one")
        })
    }

    /// Loads the key in `folder`, which is made there if it does not exist yet.
    pub fn load_or_create(folder: &Path) -> Result<Self> {
        match Self::load(folder)? {
            Some(key) => Ok(key),
            None => Self::create(folder)
                .with_context(|| format!("can't write {}", folder.join(FILE_NAME).display())),
        }
    }

    /// Reads the key in `folder`, if there is one. Refuses a file that others may read.
    pub fn load(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(FILE_NAME);
        let mode = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other
                .with_context(|| format!("can't read {}", path.display()))?
                .permissions()
                .mode(),
        };
        if mode & 0o077 != 0 {
            bail!(
                "{path} can be read by others (mode {:o}); run: chmod 600 {path}",
                mode & 0o777,
                path = path.display()
            );
        }
        let text =
            fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
        Self::parse(&text)
            .with_context(|| format!("{} is damaged", path.display()))
            .map(Some)
    }

    /// Makes a key in `folder`. The first process to link its finished file wins, so that concurrent first starts
    /// agree.
    fn create(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE_NAME);
        let mut draft = tempfile::NamedTempFile::new_in(folder)?;
        draft
            .as_file()
            .set_permissions(Permissions::from_mode(0o600))?;
        writeln!(draft, "{}", hex::encode(random::<32>()))?;
        draft.as_file().sync_all()?;
        if let Err(failed) = draft.persist_noclobber(&path)
            && failed.error.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(failed.error.into());
        }
        File::open(folder)?.sync_all()?;
        Self::load(folder)?.ok_or_else(|| anyhow!("it vanished"))
    }

    /// The secret for one purpose: HKDF-SHA256 with `label` as info, as 64 hexadecimal digits.
    pub fn derive(&self, label: &str) -> String {
        hex::encode(self.derive_bytes(label))
    }

    /// The secret of [`MasterKey::derive`] as bytes.
    pub fn derive_bytes(&self, label: &str) -> [u8; 32] {
        let mut secret = [0; 32];
        Hkdf::<Sha256>::new(None, &self.0)
            .expand(label.as_bytes(), &mut secret)
            .expect("32 bytes is a valid length for HKDF-SHA256");
        secret
    }

    /// The password of a function's database role.
    pub fn role_password(&self, role: &str) -> String {
        self.derive(&format!("database-role:{role}"))
    }
}

/// The verifier that PostgreSQL keeps of a password (SCRAM-SHA-256, RFC 5803), with a random salt. Sent instead of the
/// password, it keeps that out of the server's log, and makes the server's own choice of a hash irrelevant.
pub fn password_verifier(password: &str) -> String {
    postgres_protocol::password::scram_sha_256(password.as_bytes())
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.chain_update(message).finalize().into_bytes().into()
}

/// The token of a one-time link, as the functions make and read it: the id of its row and a MAC over it, so that the
/// database holds nothing that could be used.
pub fn link_token(key: &MasterKey, id: Uuid) -> String {
    let message = [b"gather-link-v1\0", id.as_bytes().as_slice()].concat();
    let tag = hmac(&key.derive_bytes(LINK), &message);
    BASE64_URL_SAFE_NO_PAD.encode([id.as_bytes().as_slice(), &tag].concat())
}

/// The key that seals positions in the stream of events, for native readers. Functions get it as a variable.
pub fn position_key(key: &MasterKey) -> [u8; 32] {
    key.derive_bytes(POSITION)
}

/// The key that authenticates the address of a request's client between a gateway and the functions.
pub fn visitor_key(key: &MasterKey) -> [u8; 32] {
    key.derive_bytes(VISITOR)
}

/// The key with which edges and this platform know each other. Functions get it as a variable.
pub fn edge_key(key: &MasterKey) -> String {
    key.derive(EDGE)
}

/// The key with which a component proves its identity to a service, such as `sandbox`.
pub fn service_key(key: &MasterKey, service: &str, component: &str) -> String {
    key.derive(&format!("{service}:{component}"))
}

/// The key pair of secrets. Only the egress has the private one.
pub fn sealing_keys(key: &MasterKey) -> (PrivateKey, PublicKey) {
    vault_seal::key_pair(&key.derive_bytes("egress"))
}

/// The settings that the functions get in the variable `platform`.
#[derive(Debug, Clone, Copy)]
pub struct Platform<'a> {
    /// The URL by which clients reach the platform.
    pub public_url: &'a str,
    /// The URL by which the functions reach the sandbox.
    pub sandbox_url: &'a str,
    /// The URL by which the functions reach the egress.
    pub egress_url: &'a str,
    /// The URL by which components and services reach the functions.
    pub internal_url: &'a str,
    /// The origins whose pages may call the API.
    pub cors_origins: &'a str,
    /// The networks of proxies that are trusted to name a client's address.
    pub trusted_proxies: &'a str,
    /// The limits of requests in a minute that differ from the defaults.
    pub rate_limits: &'a str,
}

/// The application variables that the functions get: settings and secrets.
pub fn function_variables(
    manifest: &Manifest,
    database: &Url,
    key: &MasterKey,
    platform: Platform<'_>,
) -> Result<BTreeMap<String, String>> {
    let host = database.host_str().filter(|host| !host.is_empty()).ok_or_else(|| {
        anyhow!("the database's address has no host; functions reach it by TCP only, so use postgres://user:password@host:port/name")
    })?;
    let public_url = platform.public_url.trim_end_matches('/');
    let shared = json!({
        "public_url": public_url,
        "cors_origins": platform.cors_origins,
        "trusted_proxies": platform.trusted_proxies,
        "rate_limits": platform.rate_limits,
        "visitor_key": key.derive(VISITOR),
    });
    let mut variables = BTreeMap::from([
        (
            "pg_host".to_owned(),
            format!("{host}:{}", database.port().unwrap_or(5432)),
        ),
        ("public_url".to_owned(), public_url.to_owned()),
        ("platform".to_owned(), shared.to_string()),
        (
            "sandbox_url".to_owned(),
            platform.sandbox_url.trim_end_matches('/').to_owned(),
        ),
        (
            "egress_url".to_owned(),
            platform.egress_url.trim_end_matches('/').to_owned(),
        ),
        (
            "internal_url".to_owned(),
            platform.internal_url.trim_end_matches('/').to_owned(),
        ),
        (
            "egress_public_key".to_owned(),
            hex::encode(sealing_keys(key).1.to_bytes()),
        ),
        (
            "exchange_callers".to_owned(),
            exchange_callers(manifest, key),
        ),
    ]);
    for purpose in manifest.key_purposes() {
        variables.insert(format!("{purpose}_key"), key.derive(purpose));
    }
    let asking = manifest.sandbox_callers().map(|(id, _)| ("sandbox", id));
    let asking = asking.chain(manifest.egress_callers().map(|id| ("egress", id)));
    let asking = asking.chain(manifest.exchange_callers().map(|(id, _)| ("exchange", id)));
    for (service, component) in asking {
        variables.insert(
            format!("{}_{service}_key", component.replace('-', "_")),
            service_key(key, service, component),
        );
    }
    for (id, role) in manifest.roles() {
        variables.insert(
            format!("{}_database_url", id.replace('-', "_")),
            role_url(database, key, role)?.to_string(),
        );
    }
    Ok(variables)
}

/// The components that may act for accounts, as JSON: `{<component>: {"key": …, "scopes": […]}}`.
fn exchange_callers(manifest: &Manifest, key: &MasterKey) -> String {
    let callers = manifest.exchange_callers().map(|(component, scopes)| {
        let key = service_key(key, "exchange", component);
        let caller = json!({"key": key, "scopes": scopes});
        (component.to_owned(), caller)
    });
    serde_json::Value::Object(callers.collect()).to_string()
}

/// The database's address for one role.
pub fn role_url(database: &Url, key: &MasterKey, role: &str) -> Result<Url> {
    let mut url = database.clone();
    url.set_username(role).and_then(|()| url.set_password(Some(&key.role_password(role)))).map_err(|()| {
        anyhow!("the database's address can't carry a user; use postgres://user:password@host:port/name")
    })?;
    Ok(url)
}

/// Random bytes from the operating system.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

#[cfg(test)]
mod tests;
