//! Agents' keys and sessions, one file for each agent of a server, private to the user.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail};
use base64::{Engine, prelude::BASE64_STANDARD};
use ed25519_compact::{KeyPair, Seed};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{home, secrets};

/// An Ed25519 key.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Key {
    /// The seed of the key, as base64.
    seed: String,
}

impl Key {
    fn new() -> Self {
        Self {
            seed: BASE64_STANDARD.encode(secrets::random::<32>()),
        }
    }

    fn pair(&self) -> Result<KeyPair> {
        let seed: [u8; 32] = super::decode(&self.seed)?
            .try_into()
            .map_err(|_| anyhow!("the key's seed has not 32 bytes"))?;
        Ok(KeyPair::from_seed(Seed::new(seed)))
    }

    fn checked(&self) -> KeyPair {
        self.pair().expect("keys are checked when they are loaded")
    }

    /// The public key, as the API expects it.
    pub fn public_base64(&self) -> String {
        BASE64_STANDARD.encode(*self.checked().pk)
    }

    /// Signs a message, in the form that the API expects.
    pub fn sign_base64(&self, message: &[u8]) -> String {
        BASE64_STANDARD.encode(*self.checked().sk.sign(message, None))
    }
}

/// The tokens of a session.
#[derive(Serialize, Deserialize)]
pub(crate) struct Session {
    pub access_token: String,
    pub refresh_token: String,
    /// The time at which the access token expires.
    #[serde(with = "time::serde::rfc3339")]
    pub end: OffsetDateTime,
    /// The time at which the access token expires, for printing.
    pub expires_at: String,
}

impl Session {
    /// Reads the server's answer with a pair of tokens.
    pub fn read(answer: &Value) -> Result<Self> {
        let text = |name: &str| {
            answer[name]
                .as_str()
                .map(str::to_owned)
                .with_context(|| format!("the server's answer holds no {name}"))
        };
        let lifetime = answer["expires_in"]
            .as_i64()
            .context("the server's answer holds no expires_in")?;
        let end = OffsetDateTime::now_utc()
            .checked_add(time::Duration::seconds(lifetime))
            .context("expires_in is out of range")?;
        Ok(Self {
            access_token: text("access_token")?,
            refresh_token: text("refresh_token")?,
            end,
            expires_at: end.format(&Rfc3339)?,
        })
    }

    /// Whether the access token is good for a while.
    pub fn is_current(&self) -> bool {
        OffsetDateTime::now_utc() + time::Duration::seconds(30) < self.end
    }
}

/// One agent of one server.
#[derive(Serialize, Deserialize)]
pub(crate) struct Profile {
    pub server: String,
    pub name: String,
    /// The agent's account, which is known once the server has confirmed the registration.
    pub id: Option<String>,
    /// The registration's idempotency key.
    pub registration: String,
    pub key: Key,
    pub session: Option<Session>,
}

impl Profile {
    /// Makes an agent with a new key.
    pub fn new(server: &str, name: &str) -> Self {
        Self {
            server: server.to_owned(),
            name: name.to_owned(),
            id: None,
            registration: hex::encode(secrets::random::<16>()),
            key: Key::new(),
            session: None,
        }
    }
}

/// The agents of one server.
pub(crate) struct Store {
    folder: PathBuf,
}

impl Store {
    /// The folder for `server` in the user's configuration folder.
    pub fn open(server: &str) -> Result<Self> {
        Self::open_in(&configuration_folder()?, "agents", server)
    }

    /// The folder for the agents of the demo world of `server`, which are not the user's own.
    pub fn open_demo(server: &str) -> Result<Self> {
        Self::open_in(&configuration_folder()?, "demo", server)
    }

    fn open_in(configuration: &Path, kind: &str, server: &str) -> Result<Self> {
        let folder = configuration
            .join("gather")
            .join(kind)
            .join(file_name(server));
        let make = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder);
        make.with_context(|| format!("can't make {}", folder.display()))?;
        for folder in [configuration.join("gather"), folder.clone()] {
            fs::set_permissions(&folder, Permissions::from_mode(0o700))
                .with_context(|| format!("can't protect {}", folder.display()))?;
        }
        Ok(Self { folder })
    }

    /// The agent's file.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{}.json", file_name(name)))
    }

    /// The lock on an agent's file while it is read, used and written again.
    pub fn lock(&self, name: &str) -> Result<File> {
        let path = self.folder.join(format!("{}.lock", file_name(name)));
        let file = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("can't write {}", path.display()))?;
        file.lock()?;
        Ok(file)
    }

    /// Reads the agent, if it is known. Refuses a file that others may read.
    pub fn load(&self, name: &str) -> Result<Option<Profile>> {
        let path = self.path(name);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.with_context(|| format!("can't read {}", path.display()))?,
        };
        if fs::metadata(&path)?.permissions().mode() & 0o077 != 0 {
            bail!(
                "{path} holds a key and can be read by others; run: chmod 600 {path}",
                path = path.display()
            );
        }
        let profile: Profile = serde_json::from_str(&text)
            .with_context(|| format!("{} is damaged", path.display()))?;
        profile
            .key
            .pair()
            .with_context(|| format!("{} is damaged", path.display()))?;
        Ok(Some(profile))
    }

    /// Writes the agent's file in one step.
    pub fn save(&self, profile: &Profile) -> Result<()> {
        let path = self.path(&profile.name);
        let write = || -> Result<()> {
            // A temporary file is private from its first moment.
            let mut draft = tempfile::NamedTempFile::new_in(&self.folder)?;
            serde_json::to_writer_pretty(&mut draft, profile)?;
            draft.write_all(b"\n")?;
            draft.as_file().sync_all()?;
            draft.persist(&path)?;
            Ok(())
        };
        write().with_context(|| format!("can't write {}", path.display()))
    }

    /// Removes an agent that the server refused.
    pub fn remove(&self, name: &str) -> Result<()> {
        fs::remove_file(self.path(name))
            .with_context(|| format!("can't remove {}", self.path(name).display()))
    }

    /// Whether no agent of the server is known.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.names()?.is_empty())
    }

    /// The name of the only agent.
    pub fn only(&self) -> Result<String> {
        let names = self.names()?;
        match names.as_slice() {
            [name] => Ok(name.clone()),
            [] => bail!(
                "there is no agent's key for this server yet; run: gather agent register --name <name>"
            ),
            _ => bail!(
                "there are several agents ({}); say which with --name or GATHER_AGENT",
                names.join(", ")
            ),
        }
    }

    fn names(&self) -> Result<Vec<String>> {
        let entries = fs::read_dir(&self.folder)?.flatten();
        let names = entries.filter_map(|entry| {
            entry
                .file_name()
                .to_str()?
                .strip_suffix(".json")
                .map(str::to_owned)
        });
        Ok(names.collect())
    }
}

fn configuration_folder() -> Result<PathBuf> {
    home::folder("XDG_CONFIG_HOME", ".config")
        .context("there is no home folder to keep keys in; set XDG_CONFIG_HOME")
}

/// Makes a file name from a text, in which unusual characters are replaced.
fn file_name(text: &str) -> String {
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "-._".contains(c) {
            c
        } else {
            '_'
        }
    };
    text.trim_matches('.').chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_private_and_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_in(folder.path(), "agents", "http://127.0.0.1:3000").unwrap();
        let profile = Profile::new("http://127.0.0.1:3000", "ada");
        store.save(&profile).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&store.path("ada")), 0o600);
        assert_eq!(mode(&folder.path().join("gather")), 0o700);
        assert_eq!(
            store.load("ada").unwrap().unwrap().key.public_base64(),
            profile.key.public_base64()
        );
        assert_eq!(store.only().unwrap(), "ada");

        fs::set_permissions(store.path("ada"), Permissions::from_mode(0o640)).unwrap();
        assert!(
            store
                .load("ada")
                .map(|_| ())
                .unwrap_err()
                .to_string()
                .contains("chmod 600")
        );
    }

    #[test]
    fn servers_and_agents_have_files_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let one = Store::open_in(folder.path(), "agents", "http://127.0.0.1:3000").unwrap();
        let other = Store::open_in(folder.path(), "agents", "https://gather.example").unwrap();
        assert!(
            one.only()
                .unwrap_err()
                .to_string()
                .contains("gather agent register")
        );
        one.save(&Profile::new("x", "ada")).unwrap();
        assert!(other.load("ada").unwrap().is_none());
        one.save(&Profile::new("x", "bob")).unwrap();
        assert!(one.only().unwrap_err().to_string().contains("--name"));
        assert_eq!(file_name("../../etc/passwd"), "_.._etc_passwd");
    }

    /// RFC 8032, section 7.1, test 2.
    #[test]
    fn signatures_are_those_of_the_rfc() {
        let hex = |text: &str| hex::decode(text).unwrap();
        let seed = hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
        let key = Key {
            seed: BASE64_STANDARD.encode(seed),
        };
        let public = hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
        assert_eq!(super::super::decode(&key.public_base64()).unwrap(), public);
        let signature = hex(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        );
        assert_eq!(
            super::super::decode(&key.sign_base64(&[0x72])).unwrap(),
            signature
        );
    }
}
