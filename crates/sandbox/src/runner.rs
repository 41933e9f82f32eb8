//! Loads skills and makes calls.

use crate::{
    admission::{Admission, Bounds, Busy, Place},
    call::{Outcome, Skill},
    compile::{Code, CompileError, Compiler},
    engine,
    grant::Grant,
    network::Network,
    storage::StorageError,
    wasi,
};
use anyhow::Result;
use moka::future::Cache;
use outgoing::Resolve;
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap, ffi::OsString, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration,
};
use uuid::Uuid;
use wasm::Data;
use wasmtime::{Engine, component::Linker};

/// The options of a runner.
#[derive(Clone)]
pub struct Options {
    /// The folder of compiled components.
    pub cache_dir: PathBuf,
    /// The secret of 32 bytes that seals the compiled components.
    pub seal_key: [u8; 32],
    /// The command line of the process that inspects and compiles components, which must call
    /// [`crate::child`]. `inspect` or `compile` is added.
    pub child: Vec<OsString>,
    /// The bounds on calls at the same time.
    pub bounds: Bounds,
    /// The size of the compiled code that is kept in memory, in bytes.
    pub loaded_bytes: u64,
    /// The resolver of host names; `None` is the system's.
    pub resolve: Option<Resolve>,
    /// The hosts that the operator vouches for, whose addresses may be private.
    pub trusted_hosts: BTreeMap<String, SocketAddr>,
}

impl Options {
    /// The usual options for this machine.
    #[must_use]
    pub fn new(cache_dir: PathBuf, seal_key: [u8; 32], child: Vec<OsString>) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let calls = (cores * 8).min(128);
        Self {
            cache_dir,
            seal_key,
            child,
            bounds: Bounds {
                calls,
                calls_of_one: calls / 2,
                waiting: 512,
                waiting_of_one: 128,
                wait: Duration::from_secs(5),
            },
            loaded_bytes: 256 << 20,
            resolve: None,
            trusted_hosts: BTreeMap::new(),
        }
    }
}

/// The reason why a skill can't be called at all.
#[derive(Debug, Clone)]
pub enum LoadError {
    /// The component does not exist.
    NotFound,
    /// The component can't be compiled, or is larger than any slot.
    Unusable(String),
    /// Too many components are compiled at this moment.
    Busy,
    /// The component can't be fetched from the store.
    Storage(StorageError),
    /// The machine failed.
    Failed(String),
}

/// Runs skills.
pub struct Runner {
    engine: Engine,
    linker: Linker<Data>,
    compiler: Compiler,
    loaded: Cache<String, Arc<Skill>>,
    network: Arc<Network>,
    admission: Arc<Admission>,
}

impl Runner {
    /// Starts the engine.
    ///
    /// # Errors
    /// The machine does not support the settings, or the cache folder cannot be made.
    pub fn new(options: Options) -> Result<Self> {
        let memory = usize::try_from(skill::manifest::MAX_MEMORY_BYTES)?;
        let engine = engine::for_running(options.bounds.calls, memory)?;
        let linker = wasi::linker(&engine)?;
        let compiler = Compiler::new(&engine, options.child, options.cache_dir, options.seal_key)?;
        let loaded = Cache::builder()
            .max_capacity(options.loaded_bytes)
            .weigher(|_: &String, skill: &Arc<Skill>| {
                u32::try_from(skill.bytes).unwrap_or(u32::MAX)
            })
            .build();
        Ok(Self {
            engine,
            linker,
            compiler,
            loaded,
            network: Arc::new(Network::new(options.resolve, options.trusted_hosts)),
            admission: Admission::new(options.bounds),
        })
    }

    /// Inspects a component, in a child process.
    ///
    /// # Errors
    /// The machine failed. The refusal of a component is an answer, not an error.
    pub async fn inspect(
        &self,
        wasm: &[u8],
    ) -> Result<Result<skill::Inspection, skill::Refusal>, CompileError> {
        self.compiler.inspect(wasm).await
    }

    /// Loads a skill by digest: from memory, from the compiled files, or by compiling what `fetch` brings.
    /// A skill that many callers need at once is loaded once.
    ///
    /// # Errors
    /// The component does not exist or is unusable, or the machine failed.
    pub async fn load<F>(&self, digest: &str, fetch: F) -> Result<Arc<Skill>, LoadError>
    where
        F: Future<Output = Result<Option<Vec<u8>>, StorageError>>,
    {
        if let Some(skill) = self.loaded.get(digest).await {
            return Ok(skill);
        }
        let loading = self
            .loaded
            .try_get_with(digest.to_owned(), self.load_fresh(digest, fetch));
        loading.await.map_err(|error| LoadError::clone(&error))
    }

    async fn load_fresh<F>(&self, digest: &str, fetch: F) -> Result<Arc<Skill>, LoadError>
    where
        F: Future<Output = Result<Option<Vec<u8>>, StorageError>>,
    {
        if let Some(code) = self.compiler.cached(digest).await {
            match self.make(digest, code).await {
                Err(LoadError::Unusable(error)) => {
                    tracing::warn!(digest, error, "compiling again: what was kept is unusable")
                }
                made => return made,
            }
        }
        let wasm = fetch.await.map_err(LoadError::Storage)?;
        let wasm = wasm.ok_or(LoadError::NotFound)?;
        if skill::digest::of_bytes(&wasm) != digest {
            return Err(LoadError::Failed(format!(
                "what is stored as {digest} has another digest"
            )));
        }
        let code = self
            .compiler
            .compile(digest, &wasm)
            .await
            .map_err(|error| match error {
                CompileError::Refused(why) => LoadError::Unusable(why),
                CompileError::Busy => LoadError::Busy,
                CompileError::Failed(why) => LoadError::Failed(why),
            })?;
        self.make(digest, code).await
    }

    async fn make(&self, digest: &str, code: Code) -> Result<Arc<Skill>, LoadError> {
        let (engine, linker, digest) =
            (self.engine.clone(), self.linker.clone(), digest.to_owned());
        let made = tokio::task::spawn_blocking(move || {
            let component = code.load(&engine)?;
            Skill::new(&linker, &component, digest, code.len())
        });
        match made.await {
            Ok(Ok(skill)) => Ok(Arc::new(skill)),
            Ok(Err(error)) => Err(LoadError::Unusable(format!("{:#}", error.root_cause()))),
            Err(error) => Err(LoadError::Failed(error.to_string())),
        }
    }

    /// Waits for a permit for a call of an account.
    ///
    /// # Errors
    /// Too many calls are running or waiting.
    pub async fn enter(&self, account: Uuid) -> Result<Place, Busy> {
        self.admission.enter(account).await
    }

    /// Calls a tool. A caller on behalf of an account holds a [`Place`] meanwhile.
    pub async fn call(
        &self,
        skill: &Skill,
        tool: &str,
        arguments: Map<String, Value>,
        grant: &Grant,
    ) -> Outcome {
        let seed = seed(&skill.digest, tool, &arguments);
        skill
            .call(&self.network, tool, arguments, grant, seed)
            .await
    }

    /// The number of loaded skills, and their size in bytes.
    #[must_use]
    pub fn loaded(&self) -> (u64, u64) {
        (self.loaded.entry_count(), self.loaded.weighted_size())
    }
}

/// The seed of a call, so that the same call gets the same random numbers.
fn seed(digest: &str, tool: &str, arguments: &Map<String, Value>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(digest.as_bytes());
    hasher.update(&[0]);
    hasher.update(tool.as_bytes());
    hasher.update(&[0]);
    // Cannot fail: a hasher takes everything.
    drop(serde_json::to_writer(&mut hasher, arguments));
    *hasher.finalize().as_bytes()
}
