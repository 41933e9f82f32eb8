//! The command as a user meets it: its help, its settings, its errors, and the agent against a server that speaks the real protocol.

mod agents;
mod program;
mod stand_in;

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::Path,
    thread,
};

use program::{fail, gather, run, stderr, stdout, succeed};
use tempfile::TempDir;

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

#[test]
fn a_command_takes_only_the_settings_that_it_uses() {
    let folder = project();
    for (command, flag) in [
        (&["build"][..], "--smtp-url"),
        (&["build"], "--state-dir"),
        (&["build"], "--database-url"),
        (&["migrate"], "--listen"),
        (&["serve"], "--sandbox-listen"),
        (&["serve"], "--jobs"),
        (&["worker"], "--drain-delay"),
        (&["sandbox"], "--rate-limits"),
        (&["realtime"], "--sandbox-calls"),
        (&["doctor"], "--public-url"),
        (&["variables"], "--metrics-listen"),
        (&["keys", "rotate"], "--master-key"),
        (&["admin", "create"], "--log"),
        (&["audit", "verify"], "--public-url"),
    ] {
        let told = fail(folder.path(), &[command, &[flag, "1"]].concat());
        assert!(
            told.contains("unexpected argument") && told.contains(flag),
            "{command:?} {flag}: {told}"
        );
    }
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
fn who_reads_may_stop_reading() {
    let folder = project();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = gather(folder.path(), &["variables"]);
    let command = command.env("DATABASE_URL", "postgres://u:p@h/d");
    let output = command.stdout(writer).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
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
