//! The command as a user meets it: its help, its settings, its errors, and the agent against a server that speaks the real protocol.

mod stand_in;

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
    thread,
};

use serde_json::Value;
use stand_in::Server;
use tempfile::TempDir;

/// The command in an empty environment, at home in `home`.
fn gather(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gather"));
    command
        .args(arguments)
        .current_dir(home)
        .env_clear()
        .env("HOME", home)
        .env("PATH", std::env::var_os("PATH").unwrap());
    command
}

fn run(home: &Path, arguments: &[&str]) -> Output {
    gather(home, arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn succeed(home: &Path, arguments: &[&str]) -> String {
    let output = run(home, arguments);
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        stderr(&output)
    );
    stdout(&output)
}

fn fail(home: &Path, arguments: &[&str]) -> String {
    let output = run(home, arguments);
    assert!(
        !output.status.success(),
        "{arguments:?}: {}",
        stdout(&output)
    );
    stderr(&output)
}

/// The names under "Commands" in a help text.
fn subcommands(help: &str) -> Vec<String> {
    let listed = help
        .lines()
        .skip_while(|line| !line.starts_with("Commands"))
        .skip(1)
        .take_while(|line| line.starts_with("  "));
    // Longer descriptions go on in lines that are indented further.
    let first = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    first
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect()
}

fn check_help(home: &Path, path: &[&str], seen: &mut Vec<String>) {
    let help = succeed(home, &[path, &["--help"]].concat());
    assert!(
        help.contains("Example") && help.contains("gather"),
        "gather {} --help has no example:\n{help}",
        path.join(" ")
    );
    seen.push(path.join(" "));
    for name in subcommands(&help) {
        check_help(home, &[path, &[&name]].concat(), seen);
    }
}

#[test]
fn every_help_has_an_example() {
    let home = tempfile::tempdir().unwrap();
    let mut seen = vec![];
    check_help(home.path(), &[], &mut seen);
    for expected in [
        "up",
        "build",
        "migrate",
        "serve",
        "doctor",
        "variables",
        "keys rotate",
        "admin create",
        "audit verify",
        "audit export",
        "agent register",
        "agent login",
        "agent whoami",
        "chat",
        "events tail",
    ] {
        assert!(
            seen.iter().any(|name| name == expected),
            "{expected} is not in {seen:?}"
        );
    }
}

#[test]
fn the_help_lists_every_setting_with_its_variable() {
    let home = tempfile::tempdir().unwrap();
    let help = succeed(home.path(), &["--help"]);
    for (flag, variable) in [
        ("--listen", "GATHER_LISTEN"),
        ("--public-url", "GATHER_PUBLIC_URL"),
        ("--trusted-proxies", "GATHER_TRUSTED_PROXIES"),
        ("--rate-limits", "GATHER_RATE_LIMITS"),
        ("--smtp-url", "GATHER_SMTP_URL"),
        ("--mail-from", "GATHER_MAIL_FROM"),
        ("--metrics-listen", "GATHER_METRICS_LISTEN"),
        ("--database-url", "DATABASE_URL"),
        ("--master-key", "GATHER_MASTER_KEY"),
        ("--state-dir", "GATHER_STATE_DIR"),
        ("--key-value-url", "GATHER_KEY_VALUE_URL"),
        ("--drain-delay", "GATHER_DRAIN_DELAY"),
        ("--grace", "GATHER_GRACE"),
        ("--log", "RUST_LOG"),
    ] {
        assert!(
            help.contains(flag) && help.contains(&format!("[env: {variable}")),
            "{flag} {variable}"
        );
    }
    let mut command = gather(home.path(), &["--help"]);
    let help = stdout(
        &command
            .env("DATABASE_URL", "postgres://u:hidden@h/d")
            .env("GATHER_MASTER_KEY", "hidden")
            .env("GATHER_SMTP_URL", "smtps://u:hidden@h")
            .output()
            .unwrap(),
    );
    assert!(!help.contains("hidden"));
}

/// A project whose components are built, so far as anyone looks.
fn project() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("spin.toml"),
        "spin_manifest_version = 2\napplication.name = \"x\"\n[component.site]\nsource = \"site.wasm\"\ntool.gather.role = \"gather_site\"\n",
    )
    .unwrap();
    fs::write(folder.path().join("site.wasm"), "").unwrap();
    folder
}

#[test]
fn flags_go_before_the_environment_and_that_before_defaults() {
    let folder = project();
    let variables = |flags: &[&str], environment: &[(&str, &str)]| {
        let mut command = gather(folder.path(), &[&["variables"], flags].concat());
        let output = command
            .env("DATABASE_URL", "postgres://u:p@h/d")
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    let listen = ("GATHER_LISTEN", "127.0.0.1:4001");
    assert!(variables(&[], &[]).contains("SPIN_VARIABLE_PUBLIC_URL='http://127.0.0.1:3000'"));
    assert!(variables(&[], &[listen]).contains("SPIN_VARIABLE_PUBLIC_URL='http://127.0.0.1:4001'"));
    assert!(
        variables(&["--listen", "127.0.0.1:4002"], &[listen])
            .contains("SPIN_VARIABLE_PUBLIC_URL='http://127.0.0.1:4002'")
    );
    assert!(variables(&[], &[]).contains("export SPIN_VARIABLE_PG_HOST='h:5432'\n"));
    assert!(
        variables(&[], &[])
            .contains("export SPIN_VARIABLE_SITE_DATABASE_URL='postgres://gather_site:")
    );
    let proxies = ["--trusted-proxies", "10.1.2.3"];
    let limits = ("GATHER_RATE_LIMITS", "strict=10");
    let told = variables(&proxies, &[limits]);
    let platform = told.split("export SPIN_VARIABLE_PLATFORM='").nth(1);
    let platform = platform.and_then(|rest| rest.split("'\n").next()).unwrap();
    let platform: serde_json::Value = serde_json::from_str(platform).unwrap();
    assert_eq!(platform["trusted_proxies"], "10.1.2.3/32");
    assert_eq!(platform["rate_limits"], "strict=10");
    let key = fs::metadata(folder.path().join(".gather/master.key")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
}

#[test]
fn mistakes_are_answered_with_what_to_do() {
    let folder = project();
    let empty = tempfile::tempdir().unwrap();
    assert!(fail(empty.path(), &["build"]).contains("no spin.toml"));
    assert!(fail(folder.path(), &["variables"]).contains("gather up"));
    assert!(
        fail(folder.path(), &["variables", "--master-key", "short"])
            .contains("openssl rand -hex 32")
    );

    let quoted = fail(
        folder.path(),
        &[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--database-url",
            "mysql://u:hidden@h/d",
        ],
    );
    assert!(
        quoted.contains("postgres://user:password@host:port/name") && !quoted.contains("hidden"),
        "{quoted}"
    );

    let proxies = ["variables", "--trusted-proxies", "proxy.internal"];
    assert!(fail(folder.path(), &proxies).contains("10.0.0.0/8"));
    let limits = ["variables", "--rate-limits", "strickt=1"];
    assert!(fail(folder.path(), &limits).contains("strict=60"));
    for command in ["up", "worker"] {
        let quoted = fail(
            folder.path(),
            &[command, "--smtp-url", "smtp://u:hidden@h?tls=yes"],
        );
        assert!(
            quoted.contains("smtps://user:password@host") && !quoted.contains("hidden"),
            "{quoted}"
        );
        let clear = fail(
            folder.path(),
            &[command, "--smtp-url", "smtp://u:hidden@mail.example"],
        );
        assert!(
            clear.contains("?tls=required") && !clear.contains("hidden"),
            "{clear}"
        );
        let from = fail(folder.path(), &[command, "--mail-from", "gather"]);
        assert!(from.contains("Gather <gather@gather.example>"), "{from}");
    }
    let issuer = [
        "--oidc-issuer",
        "http://idp.example",
        "--oidc-client-id",
        "x",
    ];
    for command in ["up", "serve"] {
        let clear = fail(folder.path(), &[&[command], &issuer[..]].concat());
        assert!(clear.contains("must be https://"), "{clear}");
    }

    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    for command in ["up", "serve"] {
        let error = fail(folder.path(), &[command, "--listen", &address]);
        assert!(
            error.contains("in use") && error.contains("--listen"),
            "{error}"
        );
    }
    assert!(
        !folder.path().join(".gather/postgres").exists(),
        "nothing was started for it"
    );
}

#[test]
fn the_doctor_says_what_is_wrong_and_fails() {
    let folder = project();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let output = run(folder.path(), &["doctor", "--listen", &address]);
    assert!(!output.status.success());
    let text = stdout(&output);
    assert!(text.contains("✗ port"), "{text}");
    assert!(
        text.contains("✓ disk") && text.contains("✓ manifest"),
        "{text}"
    );

    fs::create_dir_all(folder.path().join(".gather")).unwrap();
    fs::write(folder.path().join(".gather/master.key"), "00".repeat(32)).unwrap();
    fs::set_permissions(
        folder.path().join(".gather/master.key"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    let output = run(folder.path(), &["doctor", "--listen", "127.0.0.1:0"]);
    assert!(!output.status.success());
    assert!(stdout(&output).contains("chmod 600"), "{}", stdout(&output));
    fs::remove_file(folder.path().join("site.wasm")).unwrap();
    assert!(stdout(&run(folder.path(), &["doctor"])).contains("✗ components"));
}

/// A PostgreSQL server without TLS (protocol, section 55.2.11), that goes away then.
fn without_tls() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let mut request = [0; 8];
            if socket.read_exact(&mut request).is_ok() {
                drop(socket.write_all(b"N"));
            }
        }
    });
    address
}

#[test]
fn tls_that_functions_can_not_have_is_found_at_the_start() {
    let folder = project();
    let address = without_tls();
    for settings in ["sslmode=require", "sslrootcert=ca.pem"] {
        let url = format!("postgres://u:hunter2@{address}/d?{settings}");
        let output = run(folder.path(), &["doctor", "--database-url", &url]);
        let found = stdout(&output);
        assert!(found.contains("✗ database"), "{found}");
        assert!(found.contains("add ?sslmode=disable"), "{found}");
        let refused = fail(folder.path(), &["serve", "--database-url", &url]);
        assert!(refused.contains("add ?sslmode=disable"), "{refused}");
        assert!(!(found + &refused).contains("hunter2"));
    }
}

#[test]
fn an_agent_registers_logs_in_and_asks_who_it_is() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start();
    let address = server.address.as_str();
    let json = |arguments: &[&str]| -> Value {
        serde_json::from_str(&succeed(
            home.path(),
            &[arguments, &["--json", "--server", address]].concat(),
        ))
        .unwrap()
    };
    let agent = json(&["agent", "register", "--name", "ada"]);
    assert_eq!(agent["name"], "ada");
    assert_eq!(json(&["agent", "whoami"])["id"], agent["id"]);
    assert_eq!(server.count("authenticate"), 1);
    assert_eq!(json(&["agent", "whoami"])["id"], agent["id"]);
    assert_eq!(server.count("authenticate"), 1, "the token is remembered");

    server.forget_access_tokens();
    assert_eq!(json(&["agent", "whoami"])["id"], agent["id"]);
    assert_eq!(
        (server.count("refresh"), server.count("authenticate")),
        (1, 1),
        "a refusal is answered with a refresh"
    );
    server.forget_access_tokens();
    server.forget_refresh_tokens();
    assert_eq!(json(&["agent", "whoami"])["id"], agent["id"]);
    assert_eq!(
        server.count("authenticate"),
        2,
        "and a lost session with a new one"
    );

    let token = json(&["agent", "login"]);
    assert!(
        token["access_token"]
            .as_str()
            .is_some_and(|token| !token.is_empty())
    );
    let signed = json(&["agent", "sign", "hello"]);
    assert_eq!(signed["public_key"], agent["public_key"]);
    let text = succeed(home.path(), &["agent", "whoami", "--server", address]);
    assert!(text.starts_with("ada ("), "{text}");
}

#[test]
fn an_agents_key_is_private() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start();
    succeed(
        home.path(),
        &[
            "agent",
            "register",
            "--name",
            "ada",
            "--server",
            &server.address,
        ],
    );
    let folder = home.path().join(".config/gather");
    assert_eq!(
        fs::metadata(&folder).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let mut profiles = fs::read_dir(folder.join("agents")).unwrap();
    let profile = profiles.next().unwrap().unwrap().path().join("ada.json");
    assert_eq!(
        fs::metadata(&profile).unwrap().permissions().mode() & 0o777,
        0o600
    );

    let other = tempfile::tempdir().unwrap();
    let elsewhere = gather(
        home.path(),
        &["agent", "whoami", "--server", &server.address],
    )
    .env("XDG_CONFIG_HOME", other.path())
    .output()
    .unwrap();
    assert!(
        stderr(&elsewhere).contains("gather agent register"),
        "{}",
        stderr(&elsewhere)
    );
}

#[test]
fn refusals_are_shown_with_their_reason_and_request() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start();
    let register = |name: &str| {
        run(
            home.path(),
            &[
                "agent",
                "register",
                "--name",
                name,
                "--server",
                &server.address,
            ],
        )
    };
    assert!(register("taken").status.code() == Some(1));
    let error = stderr(&register("taken"));
    assert!(
        error.contains("another agent has this name (409 name-taken, request r-"),
        "{error}"
    );
    assert!(
        fail(
            home.path(),
            &["agent", "whoami", "--server", &server.address]
        )
        .contains("no agent's key"),
        "a refused key is not kept"
    );

    assert!(register("ada").status.success());
    assert!(stderr(&register("ada")).contains("already"));
    let error = fail(
        home.path(),
        &[
            "agent",
            "whoami",
            "--server",
            "http://127.0.0.1:9",
            "--name",
            "ada",
        ],
    );
    assert!(error.contains("no key of an agent ada"), "{error}");
    let error = fail(
        home.path(),
        &[
            "agent",
            "register",
            "--server",
            "http://127.0.0.1:9",
            "--name",
            "ada",
        ],
    );
    assert!(error.contains("does not answer"), "{error}");
}

#[test]
fn a_registration_whose_answer_was_lost_is_not_lost() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start();
    server.lose_next_answer();
    fail(
        home.path(),
        &[
            "agent",
            "register",
            "--name",
            "ada",
            "--server",
            &server.address,
        ],
    );
    let text = succeed(
        home.path(),
        &[
            "agent",
            "register",
            "--name",
            "ada",
            "--server",
            &server.address,
        ],
    );
    assert!(text.contains("Registered ada"), "{text}");
    assert!(
        succeed(
            home.path(),
            &["agent", "whoami", "--server", &server.address]
        )
        .starts_with("ada (")
    );
}

#[test]
fn commands_at_once_refresh_once() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start();
    succeed(
        home.path(),
        &[
            "agent",
            "register",
            "--name",
            "ada",
            "--server",
            &server.address,
        ],
    );
    succeed(
        home.path(),
        &["agent", "login", "--server", &server.address],
    );
    server.forget_access_tokens();
    let children: Vec<_> = (0..4)
        .map(|_| {
            gather(
                home.path(),
                &["agent", "whoami", "--server", &server.address],
            )
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(
        (server.count("refresh"), server.count("authenticate")),
        (1, 1)
    );
}

#[test]
fn a_challenge_that_another_server_gave_is_not_signed() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start();
    let address = server.address.as_str();
    succeed(
        home.path(),
        &["agent", "register", "--name", "ada", "--server", address],
    );
    server.pass_on_challenges_of("https://bank.example");
    let error = fail(home.path(), &["agent", "login", "--server", address]);
    assert!(error.contains("for another server"), "{error}");
    assert_eq!(server.count("authenticate"), 0);
}

#[test]
fn a_server_is_known_by_the_name_that_it_calls_its_own() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start();
    let local = server.address.replace("127.0.0.1", "localhost");
    let bare = local.strip_prefix("http://").unwrap();
    let text = succeed(
        home.path(),
        &["agent", "register", "--name", "ada", "--server", bare],
    );
    assert!(
        text.contains(&format!("Registered ada at {} ", server.address)),
        "{text}"
    );
    for name in [bare, &local, &server.address] {
        for command in ["login", "whoami"] {
            succeed(home.path(), &["agent", command, "--server", name]);
        }
    }
    let signed = |name: &str| succeed(home.path(), &["agent", "sign", "hello", "--server", name]);
    assert_eq!(signed(&local), signed(&server.address));
}

#[test]
fn a_server_with_another_name_says_at_once_what_to_write() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start();
    let address = server.address.as_str();
    server.call_itself("https://gather.example");
    let error = fail(
        home.path(),
        &["agent", "register", "--name", "ada", "--server", address],
    );
    assert!(
        error.contains("run: gather agent register --name ada --server https://gather.example"),
        "{error}"
    );
    assert_eq!(server.count("register"), 0, "no name is taken for nothing");
    let error = fail(home.path(), &["agent", "login", "--server", address]);
    assert!(
        error.contains("run: gather agent login --server https://gather.example"),
        "{error}"
    );

    // A server could have its reader run anything.
    server.call_itself("https://gather.example; rm -r ~");
    let error = fail(
        home.path(),
        &["agent", "register", "--name", "ada", "--server", address],
    );
    assert!(
        !error.contains("rm -r") && error.contains("an address that is none"),
        "{error}"
    );
}
