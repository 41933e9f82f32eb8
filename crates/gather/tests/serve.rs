//! The command as production runs it: migrate, serve, drain, over a real PostgreSQL and the real functions.

mod compiled;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use gather::{build, port, postgres::Cluster};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// The command in the repository, with a state folder and settings of its own.
fn gather(state: &Path, database: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gather"));
    command
        .args(arguments)
        .env("DATABASE_URL", database)
        .env("GATHER_STATE_DIR", state)
        .env("HOME", state)
        .env_remove("XDG_CONFIG_HOME")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(mut command: Command) -> Output {
    command.output().unwrap()
}

fn free_address() -> SocketAddr {
    let port = port::free(port::TESTS).unwrap();
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// The status of GET of a path; none while nothing answers.
fn status(address: SocketAddr, path: &str) -> Option<u16> {
    answer(address, path)?.split(' ').nth(1)?.parse().ok()
}

/// The answer to GET of a path; none while nothing answers.
fn answer(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// A server that is killed when its test fails.
struct Server(Child);

impl Server {
    fn start(state: &Path, database: &str, address: SocketAddr) -> Self {
        Self::start_by("serve", state, database, address)
    }

    fn start_by(command: &str, state: &Path, database: &str, address: SocketAddr) -> Self {
        compiled::share(state);
        let listen = address.to_string();
        let mut command = gather(state, database, &[command, "--listen", &listen]);
        // Nobody reads it, and what is full would be waited for.
        if command.get_args().next().is_some_and(|name| name == "up") {
            command.stdout(Stdio::null()).stderr(Stdio::null());
        }
        let server = Self(command.spawn().unwrap());
        let started = Instant::now();
        while status(address, "/health/live") != Some(200) {
            assert!(
                started.elapsed() < Duration::from_secs(240),
                "it does not serve"
            );
            sleep(Duration::from_millis(50));
        }
        server
    }

    fn stop(&mut self) -> bool {
        kill(
            Pid::from_raw(i32::try_from(self.0.id()).unwrap()),
            Signal::SIGTERM,
        )
        .unwrap();
        let started = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.success();
            }
            assert!(
                started.elapsed() < Duration::from_secs(20),
                "it does not stop"
            );
            sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn migrate_serve_an_agent_and_drain() {
    build::ensure().unwrap();
    let cluster = Cluster::temporary().unwrap();
    let database = cluster.url("gather").to_string();
    let state = tempfile::tempdir().unwrap();
    let early = run(gather(
        state.path(),
        &database,
        &["serve", "--listen", "127.0.0.1:0"],
    ));
    assert!(
        !early.status.success(),
        "it served without a migrated database"
    );
    let message = String::from_utf8_lossy(&early.stderr).into_owned();
    assert!(message.contains("gather migrate"), "{message}");
    for _ in 0..2 {
        let migrated = run(gather(state.path(), &database, &["migrate"]));
        assert!(
            migrated.status.success(),
            "{}",
            String::from_utf8_lossy(&migrated.stderr)
        );
    }

    let address = free_address();
    let mut server = Server::start(state.path(), &database, address);
    assert_eq!(status(address, "/health/ready"), Some(200));
    assert_eq!(
        status(address, "/metrics"),
        Some(404),
        "metrics are for the operator's listener"
    );
    let url = format!("http://{address}");
    // Its name on this machine stands for the address that it calls its own.
    let local = format!("localhost:{}", address.port());
    for (arguments, server) in [
        (["agent", "register", "--name", "ada"], &local),
        (["agent", "whoami", "--name", "ada"], &url),
        (["agent", "login", "--name", "ada"], &local),
    ] {
        let done = run(gather(
            state.path(),
            &database,
            &[&arguments[..], &["--server", server]].concat(),
        ));
        assert!(
            done.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
    }
    let taken = run(gather(
        state.path(),
        &database,
        &["serve", "--listen", &address.to_string()],
    ));
    assert!(!taken.status.success());
    let message = String::from_utf8_lossy(&taken.stderr).into_owned();
    assert!(message.contains(&address.to_string()), "{message}");
    assert!(server.stop(), "SIGTERM is a clean end");
    assert_eq!(status(address, "/health/live"), None);

    // Killed without a chance to say goodbye, it serves again, and what was committed is there.
    let mut killed = Server::start(state.path(), &database, address);
    killed.0.kill().unwrap();
    killed.0.wait().unwrap();
    let mut again = Server::start(state.path(), &database, address);
    let known = run(gather(
        state.path(),
        &database,
        &["agent", "whoami", "--name", "ada", "--server", &url],
    ));
    assert!(
        known.status.success(),
        "{}",
        String::from_utf8_lossy(&known.stderr)
    );
    assert!(again.stop());
}

/// The address of a service as `gather variables` tells it to Spin.
fn told(service: &str, state: &Path, database: &str) -> String {
    let told = run(gather(state, database, &["variables"]));
    assert!(told.status.success());
    let told = String::from_utf8(told.stdout).unwrap();
    let line = format!("export SPIN_VARIABLE_{service}_URL='http://");
    let address = told.lines().find_map(|told| told.strip_prefix(&line));
    address.unwrap().trim_end_matches('\'').to_owned()
}

#[test]
fn the_commands_beside_it_find_the_services_of_up() {
    build::ensure().unwrap();
    let cluster = Cluster::temporary().unwrap();
    let database = cluster.url("gather").to_string();
    let state = tempfile::tempdir().unwrap();
    let address = free_address();
    let mut up = Server::start_by("up", state.path(), &database, address);
    let services = [("SANDBOX", "127.0.0.1:3002"), ("EGRESS", "127.0.0.1:3004")];
    for (service, usual) in services {
        let address = told(service, state.path(), &database);
        assert_ne!(address, usual);
        TcpStream::connect(&address).unwrap();
    }
    let started = Instant::now();
    // The database's numbers come with the worker's first look.
    let metrics = loop {
        let metrics = answer(address, "/metrics").unwrap();
        if metrics.contains("gather_llm_calls_total{status=\"lost\"} 0") {
            break metrics;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{metrics}");
        sleep(Duration::from_millis(50));
    };
    let refusals = "gather_egress_refused_total{code=\"secret-not-granted\"} 0";
    assert!(metrics.contains(refusals), "{metrics}");
    assert!(up.stop(), "SIGTERM is a clean end");
    for (service, usual) in services {
        assert_eq!(told(service, state.path(), &database), usual);
    }
}

#[test]
fn a_database_that_is_down_at_start_is_said_and_waited_for() {
    build::ensure().unwrap();
    let state = tempfile::tempdir().unwrap();
    let nobody = free_address();
    let database = format!("postgres://postgres:hunter2@{nobody}/gather");
    let address = free_address();
    let mut server = Server::start(state.path(), &database, address);
    assert_eq!(status(address, "/health/ready"), Some(503));
    assert_eq!(status(address, "/health/live"), Some(200));
    server.stop();
    let mut log = String::new();
    let stderr = server.0.stderr.take().unwrap();
    let stdout = server.0.stdout.take().unwrap();
    stderr.chain(stdout).read_to_string(&mut log).unwrap();
    assert!(log.contains(&nobody.port().to_string()), "{log}");
    assert!(!log.contains("hunter2"), "a password is in the log:\n{log}");
}
