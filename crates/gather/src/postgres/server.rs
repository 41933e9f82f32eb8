//! A run of the `postgres` program over a data folder, which can be started, found again and stopped.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom},
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::binaries::{Account, Binaries};
use crate::port;

const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);

/// A running server.
#[derive(Debug)]
pub struct Server {
    pid: Pid,
    /// The loopback port that the server listens on.
    pub port: u16,
    /// The child process if this process started the server, which then has to be waited for.
    child: Option<Child>,
}

/// The options of a server.
pub struct Launch<'a> {
    /// The programs of the server.
    pub binaries: &'a Binaries,
    /// The user who runs the server.
    pub account: &'a Account,
    /// The data folder.
    pub data: &'a Path,
    /// The file for the server's messages.
    pub log: &'a Path,
    /// Settings (`name=value`) besides those that every server gets.
    pub settings: &'a [&'a str],
    /// Whether the server must end when the calling thread does.
    pub dies_with_thread: bool,
}

/// The reason why a start failed, as far as it decides the next step.
enum Failure {
    PortTaken,
    MemoryInUse,
    Other(anyhow::Error),
}

impl Launch<'_> {
    /// Starts the server on `port`, or on another one if that is taken, and waits until it accepts connections.
    /// A server that already runs over the same folder is adopted.
    pub fn start(&self, port: Option<u16>) -> Result<Server> {
        let deadline = Instant::now() + START_LIMIT;
        let mut port = port.map_or_else(|| port::free(port::DATABASES), Ok)?;
        if let Some(server) = settled(self.data, deadline)? {
            return Ok(server);
        }
        loop {
            remove_stale_pid_file(self.data)?;
            match self.try_start(port, deadline) {
                Ok(server) => return Ok(server),
                Err(Failure::Other(error)) => return Err(error),
                Err(_) if Instant::now() > deadline => {
                    bail!("PostgreSQL did not start; see {}", self.log.display())
                }
                Err(Failure::PortTaken) => port = port::free(port::DATABASES)?,
                // The children of a killed server notice its death within moments and let go.
                Err(Failure::MemoryInUse) => sleep(Duration::from_millis(100)),
            }
        }
    }

    fn try_start(&self, port: u16, deadline: Instant) -> Result<Server, Failure> {
        let other = |error: anyhow::Error| Failure::Other(error);
        let mut log = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .mode(0o600)
            .open(self.log);
        let log = log.as_mut().map_err(|error| {
            other(anyhow::anyhow!(
                "can't write {}: {error}",
                self.log.display()
            ))
        })?;
        let start_of_messages = log
            .seek(SeekFrom::End(0))
            .map_err(|error| other(error.into()))?;
        let mut child = self
            .command(port, log)
            .map_err(other)?
            .spawn()
            .map_err(|error| {
                other(anyhow::anyhow!(
                    "can't run {}: {error}",
                    self.binaries.folder().join("postgres").display()
                ))
            })?;
        loop {
            if let Some(status) = child.try_wait().map_err(|error| other(error.into()))? {
                let mut said = String::new();
                let _ = log
                    .seek(SeekFrom::Start(start_of_messages))
                    .and_then(|_| log.read_to_string(&mut said));
                return Err(explain(&said, &status.to_string(), self.log));
            }
            let state = PidFile::read(self.data);
            if state.is_some_and(|state| state.pid.as_raw() as u32 == child.id() && state.ready) {
                return Ok(Server {
                    pid: Pid::from_raw(child.id() as i32),
                    port,
                    child: Some(child),
                });
            }
            if Instant::now() > deadline {
                let _ = child.kill();
                let _ = child.wait();
                return Err(other(anyhow::anyhow!(
                    "PostgreSQL was not ready after {} s; see {}",
                    START_LIMIT.as_secs(),
                    self.log.display()
                )));
            }
            sleep(POLL);
        }
    }

    fn command(&self, port: u16, log: &File) -> Result<Command> {
        let mut command = self.binaries.command("postgres", self.account);
        command.arg("-D").arg(self.data).current_dir(self.data);
        let address = [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={port}"),
            "unix_socket_directories=".to_owned(),
        ];
        for setting in address
            .iter()
            .map(String::as_str)
            .chain(self.settings.iter().copied())
        {
            command.args(["-c", setting]);
        }
        // Its own process group: Ctrl-C on the terminal must reach us alone, requests still need the database.
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?)
            .process_group(0);
        if self.dies_with_thread {
            die_with_parent(&mut command);
        }
        Ok(command)
    }
}

fn explain(said: &str, status: &str, log: &Path) -> Failure {
    if said.contains("Address already in use")
        || said.contains("could not create any TCP/IP sockets")
    {
        return Failure::PortTaken;
    }
    if said.contains("pre-existing shared memory block") {
        return Failure::MemoryInUse;
    }
    let last = said
        .lines()
        .rev()
        .find(|line| line.contains("FATAL") || line.contains("PANIC"))
        .or(said.lines().last());
    Failure::Other(anyhow::anyhow!(
        "PostgreSQL did not start ({status}): {}\nits messages are in {}",
        last.unwrap_or("it said nothing"),
        log.display()
    ))
}

/// Lets the kernel end the server when this process ends in any way. The server then shuts down at once with its
/// children.
#[cfg(target_os = "linux")]
fn die_with_parent(command: &mut Command) {
    let parent = std::process::id() as i32;
    let set = move || {
        nix::sys::prctl::set_pdeathsig(Signal::SIGQUIT)?;
        // The parent may have died before the request was in place.
        if nix::unistd::getppid().as_raw() != parent {
            return Err(Errno::ESRCH.into());
        }
        Ok(())
    };
    // SAFETY: runs between fork and exec, and makes only two system calls. It runs after the change of user, which
    // would undo the request.
    unsafe { command.pre_exec(set) };
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent(_: &mut Command) {}

impl Server {
    /// Finds the server that runs over `data`, which a killed process left or another process uses.
    pub fn running(data: &Path) -> Option<Self> {
        let file = PidFile::read(data)?;
        (file.ready && is_server_of(file.pid, data)).then(|| Self {
            pid: file.pid,
            port: file.port,
            child: None,
        })
    }

    /// Stops the server. Open transactions are rolled back, and committed ones are written.
    pub fn stop(&mut self) -> Result<()> {
        self.signal(Signal::SIGINT);
        if !self.wait(STOP_LIMIT) {
            self.signal(Signal::SIGQUIT);
            if !self.wait(Duration::from_secs(10)) {
                bail!("PostgreSQL (process {}) does not stop", self.pid);
            }
        }
        Ok(())
    }

    /// Stops the server at once, without a last checkpoint, so that the next start recovers.
    pub fn abort(&mut self) {
        self.signal(Signal::SIGQUIT);
        if !self.wait(Duration::from_secs(5)) {
            self.signal(Signal::SIGKILL);
            self.wait(Duration::from_secs(5));
        }
    }

    /// Asks the server to stop, without waiting.
    pub fn request_stop(&self) {
        self.signal(Signal::SIGINT);
    }

    /// The server's process.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    fn signal(&self, signal: Signal) {
        let _ = kill(self.pid, signal);
    }

    fn wait(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            let ended = match &mut self.child {
                Some(child) => !matches!(child.try_wait(), Ok(None)),
                None => !alive(self.pid),
            };
            if ended {
                return true;
            }
            sleep(POLL);
        }
        false
    }
}

/// The content of the server's `postmaster.pid`.
#[derive(Debug, PartialEq)]
struct PidFile {
    pid: Pid,
    port: u16,
    ready: bool,
}

impl PidFile {
    fn read(data: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(data.join("postmaster.pid")).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let line = |number: usize| text.lines().nth(number).map(str::trim);
        Some(Self {
            pid: Pid::from_raw(line(0)?.parse().ok()?),
            port: line(3)?.parse().ok()?,
            ready: line(7) == Some("ready"),
        })
    }
}

/// Whether a server runs over `data`, or is starting or stopping.
pub(super) fn is_used(data: &Path) -> bool {
    PidFile::read(data).is_some_and(|file| is_server_of(file.pid, data))
}

/// Waits while a server over `data` is starting or stopping. Returns the server that then runs, if there is one.
fn settled(data: &Path, deadline: Instant) -> Result<Option<Server>> {
    loop {
        if let Some(server) = Server::running(data) {
            return Ok(Some(server));
        }
        match PidFile::read(data).filter(|file| is_server_of(file.pid, data)) {
            None => return Ok(None),
            Some(file) if Instant::now() > deadline => {
                bail!(
                    "PostgreSQL (process {}) over {} neither starts nor stops",
                    file.pid,
                    data.display()
                )
            }
            Some(_) => sleep(POLL),
        }
    }
}

/// Removes a stale pid file. PostgreSQL refuses to start while the process in it exists, even if its number has gone to
/// another program since, as after a restart of the machine or container.
fn remove_stale_pid_file(data: &Path) -> Result<()> {
    let path = data.join("postmaster.pid");
    let Ok(text) = fs::read_to_string(&path) else {
        return Ok(());
    };
    let pid = text
        .lines()
        .next()
        .and_then(|line| line.trim().parse().ok())
        .map(Pid::from_raw);
    match pid.filter(|pid| is_server_of(*pid, data)) {
        Some(pid) => bail!(
            "PostgreSQL (process {pid}) is starting over {}; try again in a moment",
            data.display()
        ),
        None => fs::remove_file(&path)
            .with_context(|| format!("can't remove {}, which a dead server left", path.display())),
    }
}

fn alive(pid: Pid) -> bool {
    !matches!(kill(pid, None), Err(Errno::ESRCH)) && !is_zombie(pid)
}

/// Whether a process is alive. A zombie, whose parent has not waited for it yet, is not.
fn is_zombie(pid: Pid) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| rest.starts_with('Z'))
}

fn is_server_of(pid: Pid, data: &Path) -> bool {
    if !alive(pid) {
        return false;
    }
    if cfg!(target_os = "linux") {
        // A server's working folder is its data folder. Root without all its rights (in a container) may not read that
        // link.
        return match fs::read_link(format!("/proc/{pid}/cwd")) {
            Ok(folder) => fs::canonicalize(data).is_ok_and(|data| folder == data),
            Err(_) => fs::read_to_string(format!("/proc/{pid}/comm"))
                .is_ok_and(|name| name.trim() == "postgres"),
        };
    }
    let output = Command::new("ps")
        .args(["-o", "comm=", "-p", &pid.to_string()])
        .output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("postgres"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_pid_file() {
        let text = "4242\n/data\n1763680000\n45123\n\n127.0.0.1\n  5432001     65536\nready   \n";
        assert_eq!(
            PidFile::parse(text),
            Some(PidFile {
                pid: Pid::from_raw(4242),
                port: 45123,
                ready: true
            })
        );
        let starting = text.replace("ready   ", "starting");
        assert_eq!(
            PidFile::parse(&starting).map(|file| file.ready),
            Some(false)
        );
        assert_eq!(PidFile::parse("4242\n/data\n"), None);
    }

    #[test]
    fn a_pid_file_that_names_another_program_is_removed() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("postmaster.pid");
        fs::write(&path, format!("{}\n", std::process::id())).unwrap();
        remove_stale_pid_file(data.path()).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn failures_are_told_apart() {
        let log = Path::new("/log");
        assert!(matches!(
            explain(
                "could not bind IPv4 address: Address already in use",
                "1",
                log
            ),
            Failure::PortTaken
        ));
        assert!(matches!(
            explain(
                "FATAL:  pre-existing shared memory block (key 1) is still in use",
                "1",
                log
            ),
            Failure::MemoryInUse
        ));
        let Failure::Other(error) = explain("LOG: a\nFATAL:  bad setting\nLOG: b", "1", log) else {
            panic!("not recognised")
        };
        assert!(error.to_string().contains("bad setting"));
    }
}
