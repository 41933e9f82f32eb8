//! Inspection and compilation of components, in a child process with limits on time and memory, because
//! nothing else bounds a compiler on hostile code. Compiled code is kept on disk under a seal, so
//! that nobody can slip native code in.

use crate::engine;
use anyhow::{Context, Result, bail};
use skill::{Inspection, MAX_COMPONENT_BYTES, Refusal};
use std::{
    ffi::OsString,
    fs,
    io::{Read, Seek, Write},
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::Command,
    sync::Semaphore,
};
use wasmtime::{Engine, component::Component};

/// The largest compiled component, a fraction of the code that is kept in memory.
pub const MAX_COMPILED_BYTES: usize = 128 << 20;
/// The largest description of a component.
const MAX_INSPECTION_BYTES: usize = 8 << 20;
/// The largest size of a folder of compiled files, in bytes.
const MAX_CACHE_BYTES: u64 = 8 << 30;
/// The number of written bytes after which the folder's size is checked.
const PRUNE_AFTER_BYTES: u64 = MAX_CACHE_BYTES / 16;
/// The extension of a compiled file.
const EXTENSION: &str = "skill";
/// The largest size of a child's error text, in bytes.
const MAX_REASON_BYTES: usize = 4 << 10;
/// The size of a seal, in bytes.
const SEAL_BYTES: usize = 32;
/// The number of children that do the same work at the same time, each of which may take the whole address space.
const CHILDREN: usize = 2;
/// The longest wait for another child of the same work to end.
const WAIT: Duration = Duration::from_secs(20);

/// The work of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// The child runs [`skill::inspect`].
    Inspect,
    /// The child compiles to native code.
    Compile,
}

impl Work {
    /// The name of the work on the child's command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Inspect => "inspect",
            Self::Compile => "compile",
        }
    }

    /// The largest address space of a child, in bytes.
    fn address_space(self) -> u64 {
        match self {
            Self::Inspect => 2 << 30,
            Self::Compile => 4 << 30,
        }
    }

    fn max_answer_bytes(self) -> usize {
        match self {
            Self::Inspect => MAX_INSPECTION_BYTES,
            Self::Compile => MAX_COMPILED_BYTES,
        }
    }

    /// The time limits of a child, on the clock and of the processor. An upload waits for inspection, a job for
    /// compilation.
    fn timeout(self) -> Duration {
        Duration::from_secs(match self {
            Self::Inspect => 20,
            Self::Compile => 90,
        })
    }
}

/// Why a component could not be compiled.
#[derive(Debug, Clone)]
pub enum CompileError {
    /// The compiler refuses the component, or it needs more than the limits. This is the component's fault.
    Refused(String),
    /// Too many other components are inspected or compiled at this moment.
    Busy,
    /// The machine failed.
    Failed(String),
}

impl std::fmt::Display for CompileError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Busy => out.write_str("too many components are compiled at this moment"),
            Self::Refused(why) | Self::Failed(why) => out.write_str(why),
        }
    }
}

impl std::error::Error for CompileError {}

/// Compiled code that this sandbox made.
pub enum Code {
    /// The code is in memory, as the compiler gave it.
    Bytes(Vec<u8>),
    /// The code is in a sealed memory file, which is mapped and not read, so that only the pages that a call
    /// touches cost time.
    #[cfg(target_os = "linux")]
    Memory(fs::File, usize),
}

impl Code {
    /// The size of the code, in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            #[cfg(target_os = "linux")]
            Self::Memory(_, bytes) => *bytes,
        }
    }

    /// Makes the code ready to run.
    ///
    /// # Errors
    /// The code was compiled for another engine.
    pub fn load(&self, engine: &Engine) -> wasmtime::Result<Component> {
        // SAFETY: the code comes from our compiling process, or from a file whose seal, which binds it to this
        // component and engine, only we can make; what the seal was compared with can't have changed since.
        unsafe {
            match self {
                Self::Bytes(bytes) => Component::deserialize(engine, bytes),
                #[cfg(target_os = "linux")]
                Self::Memory(file, _) => {
                    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
                    Component::deserialize_file(engine, path)
                }
            }
        }
    }

    /// Reads a compiled file. `None` if its seal is not from this sandbox.
    fn open(path: &Path, key: &[u8; 32]) -> std::io::Result<Option<Self>> {
        let mut file = fs::File::open(path)?;
        let mut seal = [0; SEAL_BYTES];
        file.read_exact(&mut seal)?;
        let code = Self::copy(file)?;
        let mut hasher = blake3::Hasher::new_keyed(key);
        match &code {
            Self::Bytes(bytes) => hasher.update(bytes),
            #[cfg(target_os = "linux")]
            Self::Memory(memory, _) => hasher.update_reader(memory)?,
        };
        // `Hash` compares in constant time.
        Ok((hasher.finalize() == seal).then_some(code))
    }

    #[cfg(target_os = "linux")]
    fn copy(mut from: fs::File) -> std::io::Result<Self> {
        use nix::{
            fcntl::{FcntlArg, SealFlag, fcntl},
            sys::memfd::{MFdFlags, memfd_create},
        };
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let sealed = SealFlag::F_SEAL_WRITE
            | SealFlag::F_SEAL_GROW
            | SealFlag::F_SEAL_SHRINK
            | SealFlag::F_SEAL_SEAL;
        let mut memory = fs::File::from(memfd_create(c"compiled skill", flags)?);
        let bytes = std::io::copy(&mut from, &mut memory)?;
        fcntl(&memory, FcntlArg::F_ADD_SEALS(sealed))?;
        memory.rewind()?;
        Ok(Self::Memory(
            memory,
            usize::try_from(bytes).unwrap_or(usize::MAX),
        ))
    }

    #[cfg(not(target_os = "linux"))]
    fn copy(mut from: fs::File) -> std::io::Result<Self> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)?;
        Ok(Self::Bytes(bytes))
    }
}

/// Compiles in child processes, and caches the result.
pub struct Compiler {
    /// The command line of the child, to which `inspect` or `compile` is added.
    child: Vec<OsString>,
    cache: PathBuf,
    key: [u8; 32],
    version: u64,
    /// The number of bytes written since the folder was pruned.
    written: Arc<AtomicU64>,
    /// The permits to compile, apart from those to inspect, so that an upload does not wait for a compilation.
    inspecting: Semaphore,
    compiling: Semaphore,
}

impl Compiler {
    /// Makes the compiler for an engine. `key` seals the files in `cache`.
    ///
    /// # Errors
    /// The folder of compiled files cannot be made.
    pub fn new(
        engine: &Engine,
        child: Vec<OsString>,
        cache: PathBuf,
        key: [u8; 32],
    ) -> Result<Self> {
        fs::create_dir_all(&cache)
            .with_context(|| format!("cannot create the cache folder {}", cache.display()))?;
        Ok(Self {
            child,
            cache,
            key,
            version: wasm::version(engine),
            // What is there from before is not known.
            written: Arc::new(AtomicU64::new(PRUNE_AFTER_BYTES)),
            inspecting: Semaphore::new(CHILDREN),
            compiling: Semaphore::new(CHILDREN),
        })
    }

    /// Inspects a component.
    ///
    /// # Errors
    /// The machine failed. The refusal of a component is an answer, not an error.
    pub async fn inspect(&self, wasm: &[u8]) -> Result<Result<Inspection, Refusal>, CompileError> {
        match self.run(Work::Inspect, wasm).await {
            Ok(answer) => serde_json::from_slice(&answer)
                .map_err(|error| CompileError::Failed(error.to_string())),
            Err(CompileError::Refused(why)) => Ok(Err(Refusal::NotAComponent(why))),
            Err(error) => Err(error),
        }
    }

    /// Reads a compiled component, if it is on disk with a valid seal.
    pub async fn cached(&self, digest: &str) -> Option<Code> {
        let file = self.file(digest);
        let key = self.seal_key(digest);
        let read = tokio::task::spawn_blocking(move || match Code::open(&file, &key) {
            Ok(Some(code)) => {
                // The oldest are the first to go.
                drop(fs::File::open(&file).and_then(|file| file.set_modified(SystemTime::now())));
                Some(code)
            }
            Ok(None) => {
                tracing::error!(file = %file.display(), "not ours: a compiled component has another seal; compiling again");
                None
            }
            Err(error) => {
                if error.kind() != std::io::ErrorKind::NotFound {
                    tracing::warn!(file = %file.display(), %error, "cannot read a compiled component");
                }
                None
            }
        });
        read.await.ok().flatten()
    }

    /// Compiles a component, and keeps the result on disk.
    ///
    /// # Errors
    /// The compiler refuses the component, it needs more than the limits, or the machine failed.
    pub async fn compile(&self, digest: &str, wasm: &[u8]) -> Result<Code, CompileError> {
        let code = self.run(Work::Compile, wasm).await?;
        let file = self.file(digest);
        let key = self.seal_key(digest);
        let written = self.written.clone();
        let kept = tokio::task::spawn_blocking(move || {
            let seal = blake3::keyed_hash(&key, &code);
            // Beside the final name, so that no half-written file is ever read.
            let draft = file.with_extension(format!("{}.tmp", uuid::Uuid::new_v4().simple()));
            let write = || -> std::io::Result<()> {
                let mut out = fs::File::create(&draft)?;
                out.write_all(seal.as_bytes())?;
                out.write_all(&code)?;
                fs::rename(&draft, &file)
            };
            if let Err(error) = write() {
                drop(fs::remove_file(&draft));
                tracing::warn!(file = %file.display(), %error, "cannot keep a compiled component");
            }
            let before = written.fetch_add(code.len() as u64, Relaxed);
            if before >= PRUNE_AFTER_BYTES
                && let Some(folder) = file.parent()
            {
                written.store(0, Relaxed);
                prune(folder, MAX_CACHE_BYTES);
            }
            code
        });
        kept.await
            .map(Code::Bytes)
            .map_err(|error| CompileError::Failed(error.to_string()))
    }

    fn file(&self, digest: &str) -> PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        self.cache
            .join(format!("{hex}-{:016x}.{EXTENSION}", self.version))
    }

    /// The seal of a file, bound to the component and the engine so that no file can replace another.
    fn seal_key(&self, digest: &str) -> [u8; 32] {
        let name = format!("{digest} {:016x}", self.version);
        *blake3::keyed_hash(&self.key, name.as_bytes()).as_bytes()
    }

    async fn run(&self, work: Work, wasm: &[u8]) -> Result<Vec<u8>, CompileError> {
        let failed = |what: &str| {
            let what = what.to_owned();
            move |error: std::io::Error| CompileError::Failed(format!("{what}: {error}"))
        };
        let places = match work {
            Work::Inspect => &self.inspecting,
            Work::Compile => &self.compiling,
        };
        let Ok(Ok(_place)) = tokio::time::timeout(WAIT, places.acquire()).await else {
            return Err(CompileError::Busy);
        };
        let [program, arguments @ ..] = self.child.as_slice() else {
            return Err(CompileError::Failed("no command for compiling".to_owned()));
        };
        let mut command = Command::new(program);
        // No secret of ours is in its environment.
        command.args(arguments).arg(work.name()).env_clear();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed("the compiling process does not start"))?;
        let (mut stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let feed = async {
            if let Some(stdin) = &mut stdin {
                // A child that dies says why itself.
                drop(stdin.write_all(wasm).await);
            }
            drop(stdin);
        };
        let all = async {
            let (_, answer, why) = tokio::join!(
                feed,
                up_to(stdout, work.max_answer_bytes() + 1),
                up_to(stderr, MAX_REASON_BYTES)
            );
            // What is left of it goes nowhere: it ends by that.
            Ok((answer?, why?, child.wait().await?))
        };
        let (answer, why, status) = match tokio::time::timeout(work.timeout(), all).await {
            Ok(ended) => ended.map_err(failed("the compiling process"))?,
            Err(_) => {
                return Err(CompileError::Refused(format!(
                    "It takes longer than {} s to {}.",
                    work.timeout().as_secs(),
                    work.name()
                )));
            }
        };
        if answer.len() > work.max_answer_bytes() {
            return Err(CompileError::Refused(format!(
                "It is too large to {}: what comes of it has more than {} MiB.",
                work.name(),
                work.max_answer_bytes() >> 20
            )));
        }
        if status.success() {
            return Ok(answer);
        }
        Err(CompileError::Refused(reason(work, status, &why)))
    }
}

/// The reason why a child ended without an answer.
fn reason(work: Work, status: ExitStatus, why: &[u8]) -> String {
    match status.code() {
        Some(REFUSED) => {
            let why = String::from_utf8_lossy(why);
            why.trim().chars().take(500).collect()
        }
        _ => format!(
            "It takes more time or memory to {} it than there is ({status}).",
            work.name()
        ),
    }
}

/// Reads the beginning of a stream.
async fn up_to(from: Option<impl AsyncRead + Unpin>, bytes: usize) -> std::io::Result<Vec<u8>> {
    let mut read = Vec::new();
    if let Some(from) = from {
        from.take(bytes as u64).read_to_end(&mut read).await?;
    }
    Ok(read)
}

/// Removes the least recently used compiled files until the rest fits.
fn prune(folder: &Path, max_bytes: u64) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries
        .filter(|entry| entry.path().extension().is_some_and(|end| end == EXTENSION))
        .filter_map(|entry| {
            let facts = entry.metadata().ok()?;
            Some((facts.modified().ok()?, facts.len(), entry.path()))
        })
        .collect();
    let mut total: u64 = files.iter().map(|(_, size, _)| size).sum();
    files.sort_unstable();
    for (_, size, path) in files {
        if total <= max_bytes {
            return;
        }
        if fs::remove_file(&path).is_ok() {
            total -= size;
        }
    }
}

/// The exit status of a child that refuses a component and writes the reason.
const REFUSED: i32 = 3;

/// Runs the work of a child process: reads a component from stdin, and writes the result to stdout. Returns
/// the process's exit status.
///
/// # Errors
/// The limits cannot be set, or stdin or stdout breaks.
pub fn child(work: Work) -> Result<i32> {
    rlimit::Resource::AS
        .set(work.address_space(), work.address_space())
        .context("limiting memory")?;
    let seconds = work.timeout().as_secs();
    rlimit::Resource::CPU
        .set(seconds, seconds)
        .context("limiting time")?;
    rlimit::Resource::CORE.set(0, 0).context("no core files")?;
    rlimit::Resource::FSIZE.set(0, 0).context("no files")?;
    let mut wasm = Vec::new();
    std::io::stdin()
        .take(MAX_COMPONENT_BYTES as u64 + 1)
        .read_to_end(&mut wasm)?;
    if wasm.len() > MAX_COMPONENT_BYTES {
        bail!("larger than {MAX_COMPONENT_BYTES} bytes");
    }
    let answer = match work {
        Work::Inspect => serde_json::to_vec(&skill::inspect(&wasm))?,
        Work::Compile => match Component::new(&engine::for_compiling()?, &wasm)
            .and_then(|component| component.serialize())
        {
            Ok(code) => code,
            Err(error) => {
                eprintln!("{}", error.root_cause());
                return Ok(REFUSED);
            }
        },
    };
    std::io::stdout().write_all(&answer)?;
    std::io::stdout().flush()?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_files_go_first_and_nothing_else() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        for (age, name) in [
            (3, "a.skill"),
            (1, "b.skill"),
            (2, "c.skill"),
            (9, "notes.txt"),
        ] {
            fs::write(at(name), [0; 100])?;
            let time = SystemTime::now() - Duration::from_secs(age);
            fs::File::open(at(name))?.set_modified(time)?;
        }
        prune(folder.path(), 150);
        let left = ["a.skill", "b.skill", "c.skill", "notes.txt"].map(|name| at(name).exists());
        assert_eq!(left, [false, true, false, true]);
        Ok(())
    }
}
