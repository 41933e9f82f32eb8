//! The agent: its key, its tokens, and what it says of a server's answers.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::Value;

use crate::{
    program::{fail, gather, run, stderr, succeed},
    stand_in::Server,
};

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
        !error.contains("rm -r") && error.contains("an address that is not valid"),
        "{error}"
    );
}
