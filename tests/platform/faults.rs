//! What must not happen: guests and clients that misbehave harm nobody else.

use anyhow::{Context, Result};
use e2e::Server;
use futures::{StreamExt, future::join_all};
use host::{Application, ApplicationOptions, Host, Limits, Options};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::test]
async fn a_trap_is_a_problem_and_harms_no_other_request() -> Result<()> {
    let server = Server::probe("", Limits::default()).await?;
    let slow = tokio::spawn(server.http.get(format!("{}/sleep/300", server.url)).send());
    for _ in 0..5 {
        let response = server.get("/trap").await?;
        assert_eq!(response.status(), 500);
        let id = response.headers()["x-request-id"].to_str()?.to_owned();
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
        let text = response.text().await?;
        let problem: Value = serde_json::from_str(&text)?;
        assert_eq!(problem["code"], "internal");
        assert_eq!(problem["request_id"], id.as_str());
        assert!(
            !text.contains("as asked"),
            "the client was told what the log should say"
        );
        assert_eq!(server.text("/hello").await?, "hello");
    }
    assert_eq!(slow.await??.text().await?, "slept");
    assert!(
        server
            .text("/metrics")
            .await?
            .contains("gather_function_traps_total{component=\"probe\"} 5")
    );
    Ok(())
}

#[tokio::test]
async fn a_whole_answer_that_can_not_be_sent_is_a_problem() -> Result<()> {
    let limits = Limits {
        deadline: Duration::from_secs(2),
        ..Limits::default()
    };
    let server = Server::wild(limits).await?;
    for path in [
        "/trap", "/nothing", "/half", "/more", "/status", "/host", "/name", "/value", "/many",
        "/long", "/lie", "/words", "/twice", "/large",
    ] {
        let response = server.get(path).await?;
        assert_eq!(response.status(), 500, "{path}");
        let problem: Value = response.json().await?;
        assert_eq!(problem["code"], "internal", "{path}");
        assert_eq!(server.text("/").await?, "hello", "{path}");
    }
    // An answer to HEAD has the length that one to GET would have.
    let head = async |path: &str| {
        server
            .http
            .head(format!("{}{path}", server.url))
            .send()
            .await
    };
    assert_eq!(head("/lie").await?.status(), 200);
    assert_eq!(head("/words").await?.status(), 500);
    assert_eq!(server.get("/loop").await?.status(), 504);
    assert_eq!(server.text("/").await?, "hello");
    Ok(())
}

#[tokio::test]
async fn a_trap_in_the_middle_of_a_body_breaks_the_answer_off() -> Result<()> {
    let server = Server::probe("", Limits::default()).await?;
    let response = server.get("/trap-late").await?;
    assert_eq!(response.status(), 200);
    assert!(
        response.text().await.is_err(),
        "half an answer looked whole"
    );
    assert_eq!(server.text("/hello").await?, "hello");
    Ok(())
}

#[tokio::test]
async fn a_loop_ends_at_its_deadline_and_starves_nobody() -> Result<()> {
    let limits = Limits {
        deadline: Duration::from_secs(4),
        ..Limits::default()
    };
    let server = Server::probe("", limits).await?;
    let loops =
        (0..4).map(|_| tokio::spawn(server.http.get(format!("{}/loop", server.url)).send()));
    let loops: Vec<_> = loops.collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    for _ in 0..10 {
        assert_eq!(server.text("/hello").await?, "hello");
    }
    assert!(
        !loops.iter().any(tokio::task::JoinHandle::is_finished),
        "others waited for the loops"
    );
    for looped in loops {
        let response = looped.await??;
        assert_eq!(response.status(), 504);
        assert_eq!(response.json::<Value>().await?["code"], "deadline-exceeded");
    }
    Ok(())
}

#[tokio::test]
async fn a_loop_after_the_head_ends_too_while_slow_streams_go_on() -> Result<()> {
    let limits = Limits {
        deadline: Duration::from_millis(700),
        ..Limits::default()
    };
    let server = Server::probe("", limits).await?;
    let stream = tokio::spawn(server.http.get(format!("{}/stream/80", server.url)).send());
    let started = Instant::now();
    let looped = server.get("/loop-late").await?;
    assert_eq!(looped.status(), 200);
    assert!(looped.text().await.is_err(), "half an answer looked whole");
    assert!(started.elapsed() < Duration::from_secs(10));
    let events = stream.await??.text().await?;
    assert_eq!(
        events.matches("data: tick").count(),
        80,
        "a stream was cut that only waited"
    );
    Ok(())
}

#[tokio::test]
async fn memory_is_bounded() -> Result<()> {
    let server = Server::probe("", Limits::default()).await?;
    assert_eq!(server.get("/grow").await?.status(), 500);
    assert_eq!(server.text("/hello").await?, "hello");
    Ok(())
}

#[tokio::test]
async fn too_many_requests_wait_and_then_are_503() -> Result<()> {
    let limits = Limits {
        concurrency: 2,
        queue: 2,
        ..Limits::default()
    };
    let server = Server::probe("", limits).await?;
    let requests = (0..8).map(|_| server.get("/sleep/400"));
    let answers = join_all(requests).await;
    let mut served = 0;
    for answer in answers {
        let answer = answer?;
        if answer.status() == 200 {
            served += 1;
        } else {
            assert_eq!(answer.status(), 503);
            assert!(answer.headers().contains_key("retry-after"));
            assert_eq!(answer.json::<Value>().await?["code"], "overloaded");
        }
    }
    assert_eq!(served, 4, "two at work and two in the queue");
    Ok(())
}

#[tokio::test]
async fn a_client_that_sends_slowly_is_let_go_and_holds_no_instance() -> Result<()> {
    let limits = Limits {
        concurrency: 1,
        head_timeout: Duration::from_millis(500),
        stall_timeout: Duration::from_millis(500),
        ..Limits::default()
    };
    let server = Server::probe("", limits).await?;
    let address = server.host().address();
    let mut no_head = TcpStream::connect(address).await?;
    no_head.write_all(b"GET /hello HT").await?;
    let mut no_body = TcpStream::connect(address).await?;
    no_body
        .write_all(b"POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        .await?;
    // The only instance is free all the while.
    assert_eq!(server.text("/hello").await?, "hello");
    let mut answer = String::new();
    tokio::time::timeout(Duration::from_secs(5), no_body.read_to_string(&mut answer)).await??;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    // Not even a whole word, or nothing at all.
    let mut half_preface = TcpStream::connect(address).await?;
    half_preface.write_all(b"PRI * HT").await?;
    let silent = TcpStream::connect(address).await?;
    for mut socket in [no_head, half_preface, silent] {
        let mut answer = Vec::new();
        // With an answer, without one, or by a reset: it ends.
        drop(tokio::time::timeout(Duration::from_secs(5), socket.read_to_end(&mut answer)).await?);
    }
    Ok(())
}

#[tokio::test]
async fn a_client_that_stops_reading_is_let_go() -> Result<()> {
    let limits = Limits {
        stall_timeout: Duration::from_millis(500),
        concurrency: 1,
        ..Limits::default()
    };
    let server = Server::probe("", limits).await?;
    let mut reader = TcpStream::connect(server.host().address()).await?;
    reader
        .write_all(b"GET /large/60000000 HTTP/1.1\r\nHost: x\r\n\r\n")
        .await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(server.text("/hello").await?, "hello");
    Ok(())
}

#[tokio::test]
async fn ten_thousand_idle_connections_leave_room_for_requests() -> Result<()> {
    let server = Server::probe("", Limits::default()).await?;
    let address = server.host().address();
    let files = rlimit::increase_nofile_limit(u64::MAX)?;
    // Both ends are in this process: two files a connection.
    let count = usize::try_from(files.saturating_sub(1000) / 2)?.min(10_000);
    let mut idle = Vec::new();
    for _ in 0..count {
        idle.push(TcpStream::connect(address).await?);
    }
    assert_eq!(server.text("/hello").await?, "hello");
    // Connected is not accepted yet.
    let mut open = 0;
    for _ in 0..100 {
        let metrics = server.text("/metrics").await?;
        let told = metrics
            .lines()
            .find_map(|l| l.strip_prefix("gather_http_connections "));
        open = told.context("the count")?.parse()?;
        if open >= count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(open >= count, "{open}");
    Ok(())
}

#[tokio::test]
async fn one_connection_too_many_is_closed_and_the_rest_are_served() -> Result<()> {
    let limits = Limits {
        connections: 5,
        ..Limits::default()
    };
    let server = Server::probe("", limits).await?;
    let address = server.host().address();
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(TcpStream::connect(address).await?);
    }
    let mut refused = TcpStream::connect(address).await?;
    let mut byte = [0];
    assert_eq!(
        refused.read(&mut byte).await?,
        0,
        "the sixth connection was taken"
    );
    held.pop();
    let closed = Instant::now();
    while server.text("/hello").await.ok().as_deref() != Some("hello") {
        assert!(
            closed.elapsed() < Duration::from_secs(10),
            "its place stayed taken"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_database_that_goes_away_is_an_error_and_comes_back() -> Result<()> {
    let server = Server::probe("", Limits::default()).await?;
    assert_eq!(server.get("/select/1").await?.status(), 200);
    // Every connection of the functions is cut in the middle of its life.
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity
               where datname = current_database() and pid <> pg_backend_pid()";
    for _ in 0..5 {
        let load = futures::stream::iter(1..=40).map(|n| {
            let path = format!("/select/{n}");
            let server = &server;
            async move { server.get(&path).await }
        });
        let (answers, cut) = tokio::join!(
            load.buffer_unordered(8).collect::<Vec<_>>(),
            server.database.execute(cut)
        );
        cut?;
        for answer in answers {
            let status = answer?.status();
            assert!(status == 200 || status == 502, "{status}");
        }
    }
    // A connection that was cut is found out when its end is read or when it is used.
    let (mut in_a_row, cut) = (0, Instant::now());
    while in_a_row < 9 {
        let path = format!("/select/{}", in_a_row + 1);
        let status = server.get(&path).await?.status();
        in_a_row = if status == 200 { in_a_row + 1 } else { 0 };
        assert!(
            cut.elapsed() < Duration::from_secs(10),
            "no reconnection: {status}"
        );
    }
    Ok(())
}

fn options(manifest: &str, folder: &std::path::Path) -> Result<ApplicationOptions> {
    let file = folder.join("spin.toml");
    std::fs::write(&file, manifest)?;
    e2e::application_options(&file, &folder.join("state"), BTreeMap::new())
}

/// Starts a host on a free port, or on this one.
async fn start(options: ApplicationOptions, port: u16) -> Result<Host> {
    let application = Application::new(options).await?;
    let options = Options {
        listen: ([127, 0, 0, 1], port).into(),
        metrics_listen: None,
        public_metrics: false,
        workers: Some(1),
        native: host::NativeRoutes::default(),
    };
    Host::start(&application, options).await
}

/// Starting with this manifest must fail, and say why.
async fn refused(manifest: &str, expected: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let started = async { start(options(manifest, folder.path())?, 0).await };
    let error = started.await.err();
    let error = format!("{:#}", error.expect("the host started"));
    assert!(error.contains(expected), "{expected:?} is not in {error:?}");
    Ok(())
}

const HEAD: &str = "spin_manifest_version = 2\n[application]\nname = \"x\"\n";

#[tokio::test]
async fn a_wrong_manifest_is_refused_by_line() -> Result<()> {
    let with = |rest: &str| format!("{HEAD}{rest}");
    refused("not toml", "line 1").await?;
    refused(
        "spin_manifest_version = 1\n[application]\nname = \"x\"",
        "line 1",
    )
    .await?;
    refused(
        &with("[component.a]\nsource = \"a.wasm\"\nsqlite_databases = [\"x\"]"),
        "sqlite_databases",
    )
    .await?;
    refused(
        &with("[component.a]\nsource = \"a.wasm\"\nsqlite_databases = [\"x\"]"),
        "line 6",
    )
    .await?;
    refused(
        &with("[component.a]\nsource = { url = \"http://x\" }"),
        "line 5",
    )
    .await?;
    refused(
        &with("[[trigger.http]]\nroute = \"/\"\ncomponent = \"b\""),
        "[component.b]",
    )
    .await?;
    refused(
        &with("[[trigger.http]]\nroute = \"x\"\ncomponent = \"a\"\n[component.a]\nsource = \"a\""),
        "line 5",
    )
    .await?;
    refused(&with("[[trigger.redis]]\nchannel = \"x\""), "redis").await?;
    refused(
        &with("[component.a]\nsource = \"a\"\nallowed_outbound_hosts = [\"mysql://x\"]"),
        "line 6",
    )
    .await?;
    refused(&with("[variables]\nx = {}"), "line 5").await?;
    refused(
        &with("[variables]\nsecret_thing = { required = true }"),
        "SPIN_VARIABLE_SECRET_THING",
    )
    .await?;
    refused(
        &with("[component.a]\nsource = \"a\"\n[component.a.tool.gather]\ndeadlin_ms = 1"),
        "deadlin_ms",
    )
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_missing_or_broken_component_is_named() -> Result<()> {
    let with = |source: &str| format!("{HEAD}[component.a]\nsource = {source:?}");
    refused(&with("gone.wasm"), "gone.wasm: build it first").await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("broken.wasm");
    std::fs::write(&file, "no wasm")?;
    refused(&with(&file.to_string_lossy()), "is not a component").await?;
    Ok(())
}

#[tokio::test]
async fn a_path_without_a_route_is_a_problem_of_the_host() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let host = start(options(HEAD, folder.path())?, 0).await?;
    let response = e2e::http()
        .build()?
        .get(format!("http://{}/nothing", host.address()))
        .send()
        .await?;
    assert_eq!(response.status(), 404);
    let id = response.headers()["x-request-id"].to_str()?.to_owned();
    let problem: Value = response.json().await?;
    assert_eq!(problem["code"], "not-found");
    assert_eq!(problem["request_id"], id.as_str());
    host.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

#[tokio::test]
async fn a_port_in_use_is_said() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let started = start(options(HEAD, folder.path())?, taken.local_addr()?.port()).await;
    let error = format!("{:#}", started.err().expect("the port was free"));
    assert!(error.contains("choose another with --listen"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_folder_that_can_not_be_written_is_said() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // A device file as the folder: nothing can be written below it, whoever we are.
    let mut unwritable = options(HEAD, folder.path())?;
    unwritable.state_dir = "/dev/null/state".into();
    let error = format!(
        "{:#}",
        start(unwritable, 0).await.err().expect("it started")
    );
    assert!(
        error.contains("cannot make the folder /dev/null/state"),
        "{error}"
    );
    Ok(())
}
