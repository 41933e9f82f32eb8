//! The first minutes with `gather up`: the question about the demo world, and the browser.

mod compiled;

use std::{
    fs::{self, File, Permissions},
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::{sleep, spawn},
    time::{Duration, Instant},
};

use gather::{build, port, postgres::Cluster};
use nix::{
    pty::openpty,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

const QUESTION: &str = "[y/N]";
const PATIENCE: Duration = Duration::from_secs(600);

/// `gather up`, which is killed when the test fails.
struct Up {
    process: Child,
    address: SocketAddr,
    /// The text that it has printed.
    printed: Arc<Mutex<String>>,
}

/// The places of a test: where the command keeps its state, and its database.
struct Place<'a> {
    state: &'a Path,
    database: &'a str,
}

impl Place<'_> {
    fn command(&self, address: SocketAddr, flags: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gather"));
        let programs = self.state.join("bin");
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .args(["up", "--listen", &address.to_string()])
            .args(flags)
            .env("DATABASE_URL", self.database)
            .env("GATHER_STATE_DIR", self.state)
            .env("XDG_CONFIG_HOME", self.state)
            .env("PATH", format!("{}:{path}", programs.display()))
            .env_remove("WAYLAND_DISPLAY")
            .env_remove("WSL_DISTRO_NAME");
        command
    }

    /// Starts it without a terminal and without a screen.
    fn up(&self, flags: &[&str]) -> Up {
        let address = free_address();
        let mut command = self.command(address, flags);
        command.env_remove("DISPLAY");
        command.stdin(Stdio::null()).stderr(Stdio::null());
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = process.stdout.take().unwrap();
        Up {
            printed: collect(stdout),
            process,
            address,
        }
    }

    /// Starts it on a terminal, whose other end is returned.
    fn up_on_a_terminal(&self, flags: &[&str]) -> (Up, File) {
        let address = free_address();
        let terminal = openpty(None, None).unwrap();
        let slave = File::from(terminal.slave);
        let mut command = self.command(address, flags);
        command
            .env("DISPLAY", ":0")
            .stdin(slave.try_clone().unwrap())
            .stdout(slave)
            .stderr(Stdio::null());
        let process = command.spawn().unwrap();
        let master = File::from(terminal.master);
        let up = Up {
            printed: collect(master.try_clone().unwrap()),
            process,
            address,
        };
        (up, master)
    }
}

impl Up {
    /// Waits for a condition.
    fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let started = Instant::now();
        while !holds(self) {
            let printed = self.printed.lock().unwrap().clone();
            assert!(started.elapsed() < PATIENCE, "{what}: {printed}");
            sleep(Duration::from_millis(50));
        }
    }

    fn says(&self, text: &str) -> bool {
        self.printed.lock().unwrap().contains(text)
    }

    fn answers(&self, path: &str) -> bool {
        status(self.address, path) == Some(200)
    }

    /// Stops it, and returns all that it has printed.
    fn stop(mut self) -> String {
        let id = Pid::from_raw(i32::try_from(self.process.id()).unwrap());
        kill(id, Signal::SIGTERM).unwrap();
        assert!(self.process.wait().unwrap().success());
        self.printed.lock().unwrap().clone()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Reads all that is printed, so that the command never waits for a reader.
fn collect(mut source: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let printed = Arc::<Mutex<String>>::default();
    let kept = printed.clone();
    spawn(move || {
        let mut bytes = [0; 4096];
        // A terminal whose command has ended reads as an error.
        while let Ok(length @ 1..) = source.read(&mut bytes) {
            let text = String::from_utf8_lossy(&bytes[..length]);
            kept.lock().unwrap().push_str(&text);
        }
    });
    printed
}

fn free_address() -> SocketAddr {
    let port = port::free(port::TESTS).unwrap();
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// The status of GET of a path; none while nothing answers.
fn status(address: SocketAddr, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

#[test]
fn the_first_start_on_a_terminal_offers_a_world_and_others_do_not() {
    build::ensure().unwrap();
    let cluster = Cluster::temporary().unwrap();
    let database = cluster.url("gather").to_string();
    let state = tempfile::tempdir().unwrap();
    let place = Place {
        state: state.path(),
        database: &database,
    };
    compiled::share(state.path());
    let opened = state.path().join("opened");
    fs::create_dir(state.path().join("bin")).unwrap();
    let browser = state.path().join("bin/xdg-open");
    let script = format!("#!/bin/sh\necho \"$1\" > {}\n", opened.display());
    fs::write(&browser, script).unwrap();
    fs::set_permissions(&browser, Permissions::from_mode(0o755)).unwrap();

    // Without a terminal nobody is asked, though nobody has registered yet. Without a screen there is no browser.
    let up = place.up(&["--open"]);
    up.until("it serves", |up| up.answers("/health/ready"));
    let said = format!("The site is at http://{}", up.address);
    up.until("the address", |up| up.says(&said));
    assert!(!up.stop().contains(QUESTION));
    assert!(!opened.exists());

    // With a flag nobody is asked either.
    let (up, _terminal) = place.up_on_a_terminal(&["--no-demo", "--open"]);
    up.until("it greets", |up| up.says("Try next"));
    up.until("the browser", |_| {
        fs::read_to_string(&opened).is_ok_and(|url| url.ends_with('\n'))
    });
    let url = format!("http://{}\n", up.address);
    assert_eq!(fs::read_to_string(&opened).unwrap(), url);
    assert!(!up.stop().contains(QUESTION));

    let (up, mut terminal) = place.up_on_a_terminal(&[]);
    up.until("it asks", |up| up.says(QUESTION));
    terminal.write_all(b"y\n").unwrap();
    up.until("the world is made", |up| {
        up.answers("/api/skills/demo-unit-convert")
    });
    up.stop();

    // There are accounts now: it is not the first start any more.
    let (up, _terminal) = place.up_on_a_terminal(&[]);
    up.until("it greets", |up| up.says("Try next"));
    up.until("it serves", |up| up.answers("/health/ready"));
    assert!(!up.stop().contains(QUESTION));
}
