//! How the host serves any Spin component over HTTP.

use anyhow::{Context, Result};
use e2e::Server;
use futures::StreamExt;
use host::Limits;
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

async fn probe() -> Result<Server> {
    Server::probe("", Limits::default()).await
}

/// Sends raw bytes and reads until the server closes, or `limit` has passed.
async fn raw(server: &Server, request: &[u8], limit: Duration) -> Result<String> {
    let mut socket = TcpStream::connect(server.host().address()).await?;
    socket.write_all(request).await?;
    let mut answer = Vec::new();
    let read = timeout(limit, socket.read_to_end(&mut answer)).await;
    // Who is refused before all is read sees the connection reset behind the answer.
    if let Ok(Err(error)) = read
        && error.kind() != std::io::ErrorKind::ConnectionReset
    {
        return Err(error.into());
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn the_host_adds_spins_headers_and_nobody_else_can() -> Result<()> {
    let server = probe().await?;
    let url = format!("{}/headers?x=1", server.url);
    let request = server
        .http
        .get(&url)
        .header("spin-client-addr", "6.6.6.6:6")
        .header("spin-forged", "yes")
        .header("x-request-id", "mine-1");
    let response = request.send().await?;
    assert_eq!(response.headers()["x-request-id"], "mine-1");
    let told: Value = response.json().await?;
    let headers = &told["headers"];
    assert_eq!(told["uri"], url);
    assert_eq!(headers["spin-full-url"], url);
    assert_eq!(headers["spin-path-info"], "/headers");
    assert_eq!(headers["spin-matched-route"], "/...");
    assert_eq!(headers["spin-component-route"], "");
    assert_eq!(headers["spin-base-path"], "/");
    assert_eq!(headers["x-request-id"], "mine-1");
    assert!(
        headers["spin-client-addr"]
            .as_str()
            .is_some_and(|a| a.starts_with("127.0.0.1:"))
    );
    assert_eq!(headers.get("spin-forged"), None);
    Ok(())
}

#[tokio::test]
async fn an_insane_request_id_is_replaced() -> Result<()> {
    let server = probe().await?;
    for id in ["a b", "x".repeat(129).as_str(), "a/b"] {
        let request = server.http.get(format!("{}/hello", server.url));
        let response = request.header("x-request-id", id).send().await?;
        let answered = response.headers()["x-request-id"].to_str()?.to_owned();
        assert_eq!(
            uuid::Uuid::parse_str(&answered)?.get_version_num(),
            7,
            "{id}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_longer_route_goes_before_the_wildcard_and_both_reach_the_guest() -> Result<()> {
    let server = Server::probe(
        "[[trigger.http]]\nroute = \"/x/:id\"\ncomponent = \"probe\"",
        Limits::default(),
    )
    .await?;
    // The wildcard of the probe's manifest answers all else, with the probe's own 404.
    assert_eq!(server.get("/nothing").await?.status(), 404);
    let told: Value = server
        .get("/x/seven")
        .await?
        .json()
        .await
        .unwrap_or_default();
    assert_eq!(told, Value::Null);
    Ok(())
}

#[tokio::test]
async fn bodies_stream_both_ways() -> Result<()> {
    let limits = Limits {
        max_body_bytes: 8 << 20,
        ..Limits::default()
    };
    let server = Server::probe("", limits).await?;
    for size in [0, 1, 100_000, 5 << 20] {
        let body = vec![b'z'; size];
        let request = server
            .http
            .post(format!("{}/echo", server.url))
            .body(body.clone());
        let answer = request.send().await?.bytes().await?;
        assert!(answer == body, "{size} bytes came back as {}", answer.len());
    }
    // Without a length, and slowly: more than is buffered before the instance is taken.
    let chunks = futures::stream::iter(0..20).then(async |_| {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Ok::<_, std::io::Error>(vec![b'c'; 10_000])
    });
    let request = server
        .http
        .post(format!("{}/count", server.url))
        .body(reqwest::Body::wrap_stream(chunks));
    assert_eq!(request.send().await?.text().await?, "200000");
    Ok(())
}

#[tokio::test]
async fn server_sent_events_come_one_by_one_and_stop_with_the_client() -> Result<()> {
    let server = probe().await?;
    let response = server.get("/stream/100000").await?;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut events = response.bytes_stream();
    let started = Instant::now();
    for n in 0..3 {
        let event = events.next().await.expect("an event")?;
        assert!(
            event.starts_with(format!("id: {n}\n").as_bytes()),
            "{event:?}"
        );
    }
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "the events were held back"
    );
    drop(events);
    let left = Instant::now();
    let mut last = None;
    loop {
        let event = Some(server.text("/kv/default/last-event").await?);
        if event == last {
            return Ok(());
        }
        assert!(
            left.elapsed() < Duration::from_secs(10),
            "the guest went on"
        );
        last = event;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

#[tokio::test]
async fn http2_and_http1_are_both_spoken() -> Result<()> {
    let server = probe().await?;
    let http2 = e2e::http().http2_prior_knowledge().build()?;
    let response = http2.get(format!("{}/hello", server.url)).send().await?;
    assert_eq!(response.version(), reqwest::Version::HTTP_2);
    assert_eq!(response.text().await?, "hello");
    let old = raw(
        &server,
        b"GET /hello HTTP/1.0\r\nHost: x\r\n\r\n",
        Duration::from_secs(5),
    )
    .await?;
    assert!(old.starts_with("HTTP/1.0 200"), "{old}");
    assert!(old.ends_with("hello"), "{old}");
    Ok(())
}

#[tokio::test]
async fn a_request_needs_one_valid_host() -> Result<()> {
    let server = probe().await?;
    for head in ["", "Host: a\r\nHost: b\r\n", "Host: a b\r\n"] {
        let request = format!("GET /hello HTTP/1.1\r\n{head}Connection: close\r\n\r\n");
        let answer = raw(&server, request.as_bytes(), Duration::from_secs(5)).await?;
        assert!(answer.starts_with("HTTP/1.1 400"), "{head:?}: {answer}");
        is_whole(&answer, "bad-host")?;
    }
    Ok(())
}

/// Whether a refusal has all that every answer has.
fn is_whole(answer: &str, code: &str) -> Result<()> {
    let (head, body) = answer.split_once("\r\n\r\n").context("a head")?;
    let problem: Value = serde_json::from_str(body)?;
    assert_eq!(problem["code"], code, "{answer}");
    let lines: Vec<String> = head.lines().map(str::to_ascii_lowercase).collect();
    let value = |name: &str| {
        let mut values = lines
            .iter()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let value = values.next();
        assert!(values.next().is_none(), "{name} twice: {answer}");
        value.with_context(|| format!("{name} in {answer}"))
    };
    assert_eq!(Some(value("x-request-id")?), problem["request_id"].as_str());
    assert_eq!(value("x-content-type-options")?, "nosniff");
    assert_eq!(value("content-type")?, "application/problem+json");
    assert_eq!(value("content-length")?, body.len().to_string());
    assert!(
        value("ratelimit")?.starts_with("\"refused\";r="),
        "{answer}"
    );
    assert!(
        value("ratelimit-policy")?.starts_with("\"refused\";q="),
        "{answer}"
    );
    assert!(value("date")?.ends_with(" gmt"), "{answer}");
    Ok(())
}

#[tokio::test]
async fn what_is_not_http_gets_a_problem_as_everything_else() -> Result<()> {
    let server = probe().await?;
    let long = "x".repeat(66 << 10);
    let many: String = (0..200).map(|n| format!("X-{n}: 1\r\n")).collect();
    for (request, status, code) in [
        ("GARBAGE\r\n\r\n".to_owned(), 400, "malformed-request"),
        (
            "GET /hello HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n".to_owned(),
            400,
            "malformed-request",
        ),
        (
            "POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n".to_owned(),
            400,
            "malformed-request",
        ),
        (
            format!("GET /hello HTTP/1.1\r\nHost: x\r\nX-Long: {long}\r\n\r\n"),
            431,
            "head-too-large",
        ),
        (
            format!("GET /hello HTTP/1.1\r\nHost: x\r\n{many}\r\n"),
            431,
            "head-too-large",
        ),
    ] {
        let answer = raw(&server, request.as_bytes(), Duration::from_secs(5)).await?;
        let shown: String = request.chars().take(80).collect();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{shown:?}: {answer}"
        );
        is_whole(&answer, code)?;
    }
    // After an answer on the same connection, which stays as it was.
    let mut socket = TcpStream::connect(server.host().address()).await?;
    socket
        .write_all(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        .await?;
    let mut first = vec![0; 4096];
    let read = socket.read(&mut first).await?;
    let first = String::from_utf8_lossy(&first[..read]).into_owned();
    assert!(
        first.starts_with("HTTP/1.1 200") && first.ends_with("hello"),
        "{first}"
    );
    socket.write_all(b"GARBAGE\r\n\r\n").await?;
    let mut second = String::new();
    timeout(Duration::from_secs(5), socket.read_to_string(&mut second)).await??;
    assert!(second.starts_with("HTTP/1.1 400 "), "{second}");
    is_whole(&second, "malformed-request")
}

/// What a function answers is never taken for an answer of the server's, however it looks.
#[tokio::test]
async fn a_body_that_looks_like_a_refusal_stays_as_it_is() -> Result<()> {
    let server = probe().await?;
    let body = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n".repeat(5_000);
    for _ in 0..3 {
        let request = server
            .http
            .post(format!("{}/echo", server.url))
            .body(body.clone());
        assert_eq!(request.send().await?.text().await?, body);
    }
    Ok(())
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_with_and_without_a_length() -> Result<()> {
    let limits = Limits {
        max_body_bytes: 200_000,
        ..Limits::default()
    };
    let server = Server::probe("", limits).await?;
    let url = format!("{}/count", server.url);
    let declared = server.http.post(&url).body(vec![0; 200_001]).send().await?;
    assert_eq!(declared.status(), 413);
    for name in ["x-request-id", "ratelimit", "ratelimit-policy"] {
        assert!(declared.headers().contains_key(name), "{name}");
    }
    let problem: Value = declared.json().await?;
    assert_eq!(problem["code"], "body-too-large");
    let chunks = futures::stream::iter(0..30).map(|_| Ok::<_, std::io::Error>(vec![0; 10_000]));
    let request = server
        .http
        .post(&url)
        .body(reqwest::Body::wrap_stream(chunks));
    assert_eq!(request.send().await?.status(), 413);
    let fits = server.http.post(&url).body(vec![0; 200_000]).send().await?;
    assert_eq!(fits.text().await?, "200000");
    Ok(())
}

#[tokio::test]
async fn metrics_count_requests_by_route_and_status() -> Result<()> {
    let server = probe().await?;
    server.get("/hello").await?;
    server.get("/missing").await?;
    let metrics = server.text("/metrics").await?;
    for line in [
        r#"gather_http_request_duration_seconds_count{component="probe",method="GET",route="/...",status="200"} 1"#,
        r#"gather_http_request_duration_seconds_count{component="probe",method="GET",route="/...",status="404"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    assert!(metrics.contains(r#"gather_function_instances{component="probe",state="idle"}"#));
    Ok(())
}

#[tokio::test]
async fn instances_are_reused() -> Result<()> {
    let server = probe().await?;
    let mut highest = 0;
    for _ in 0..20 {
        highest = highest.max(server.text("/memory").await?.parse::<u32>()?);
    }
    assert!(
        highest >= 10,
        "20 requests in a row, at most {highest} in one instance"
    );
    Ok(())
}

/// Returns once the probe has its first instance, which a request has then.
async fn until_in_flight(server: &Server) -> Result<()> {
    const COUNT: &str = "gather_function_instances{component=\"probe\",state=\"all\"} ";
    for _ in 0..1000 {
        let metrics = server.text("/metrics").await?;
        let count = metrics.lines().find_map(|line| line.strip_prefix(COUNT));
        if count.is_some_and(|count| count != "0") {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    anyhow::bail!("the request never came to an instance")
}

#[tokio::test]
async fn draining_finishes_what_is_in_flight_and_takes_nothing_new() -> Result<()> {
    let server = probe().await?;
    let address = server.host().address();
    let slow = tokio::spawn(server.http.get(format!("{}/sleep/700", server.url)).send());
    until_in_flight(&server).await?;
    let started = Instant::now();
    server.stop(Duration::from_secs(10)).await;
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "idle connections held the drain"
    );
    assert_eq!(slow.await??.text().await?, "slept");
    assert!(
        TcpStream::connect(address).await.is_err(),
        "the listener is still open"
    );
    Ok(())
}

#[tokio::test]
async fn the_grace_period_ends() -> Result<()> {
    let server = probe().await?;
    let stuck = tokio::spawn(
        server
            .http
            .get(format!("{}/sleep/60000", server.url))
            .send(),
    );
    until_in_flight(&server).await?;
    let started = Instant::now();
    server.stop(Duration::from_millis(500)).await;
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(stuck.await?.is_err());
    Ok(())
}
