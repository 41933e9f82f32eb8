//! The embedding model that comes with the platform: by the gateway, by itself, and beside the library that it follows.

use anyhow::{Context, Result, ensure};
use e2e::{
    Server,
    agents::Agent,
    free_address, http, libraries,
    models::{Models, Say},
    root,
};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use std::{
    io::Write,
    net::TcpStream,
    process::Stdio,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
    time::{sleep, timeout},
};

use super::sdks::installed;

async fn embed(server: &Server, agent: &Agent, body: &Value) -> Result<Response> {
    let request = server.http.post(format!("{}/v1/embeddings", server.url));
    Ok(request.bearer_auth(&agent.token).json(body).send().await?)
}

async fn read(server: &Server, agent: &Agent, path: &str) -> Result<Value> {
    let request = server.http.get(format!("{}{path}", server.url));
    let answer = request.bearer_auth(&agent.token).send().await?;
    Ok(answer.error_for_status()?.json().await?)
}

#[tokio::test]
async fn texts_are_embedded_without_a_provider() -> Result<()> {
    let server = Server::embedding().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let texts = ["", "Rebooting the machine", "機械を再起動する 🦀"];
    let answer = embed(&server, &ada, &json!({"model": "local", "input": texts})).await?;
    ensure!(
        answer.status() == StatusCode::OK,
        "{}",
        answer.text().await?
    );
    assert_eq!(answer.headers()["gather-model"], "local/all-minilm-l6-v2");
    let answer: Value = answer.json().await?;
    let vectors = answer["data"].as_array().context("no data")?;
    assert_eq!(vectors.len(), 3);
    for vector in vectors {
        let vector = vector["embedding"].as_array().context("no vector")?;
        let length: f64 = vector.iter().filter_map(Value::as_f64).map(|x| x * x).sum();
        assert!(vector.len() == 384 && (length - 1.0).abs() < 1e-3);
    }
    let tokens = answer["usage"]["prompt_tokens"]
        .as_i64()
        .context("no usage")?;
    assert_eq!(answer["usage"]["total_tokens"], tokens);

    // Nothing else has a model for it, so the alias means this one.
    let other = json!({"model": "embedding", "input": texts[1]});
    let other: Value = embed(&server, &ada, &other).await?.json().await?;
    assert_eq!(other["data"][0]["embedding"], vectors[1]["embedding"]);

    let models = read(&server, &ada, "/api/ai/models").await?;
    let local = models["models"].as_array().context("no models")?.iter();
    let local = local.clone().find(|model| model["id"] == "local");
    let local = local.context("it is not listed")?;
    assert_eq!(
        (&local["prices"]["input_microusd"], &local["available"]),
        (&json!(0), &json!(true))
    );
    let used = read(&server, &ada, "/api/llm/usage?by=model").await?;
    let used = &used["items"][0];
    assert_eq!(used["key"], "local/all-minilm-l6-v2");
    assert_eq!(
        (&used["calls"], &used["cost_microusd"]),
        (&json!(2), &json!(0))
    );
    assert!(used["input_tokens"].as_i64() > Some(tokens), "{used}");
    Ok(())
}

#[tokio::test]
async fn only_the_platform_reaches_its_own_model() -> Result<()> {
    let server = Server::embedding().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let url: String = sqlx::query_scalar("select url from llm.provider where name = 'local'")
        .fetch_one(&mut server.database.connect().await?)
        .await?;
    let origin = url.trim_end_matches("/v1");
    let place = json!({"header": "x-key", "format": "{}"});
    let used = json!({"origins": [origin], "place": place});
    let new = json!({"name": "key", "kind": "token", "value": "of no use", "use": used});
    let stored = ada
        .send(&server, "POST", "/api/vault/secrets", &new)
        .await?;
    assert_eq!(stored.0, 201, "{stored:?}");
    let host = origin.trim_start_matches("http://");
    let request = ada.request(&server, "GET", &format!("/api/vault/fetch/{host}/metrics"));
    let request = request.header("gather-secret", "key");
    let refused = request
        .header("gather-provider", "environment")
        .send()
        .await?;
    let status = refused.status().as_u16();
    let problem: Value = refused.json().await?;
    assert_eq!((status, &problem["code"]), (403, &json!("origin-refused")));
    let own = json!({"name": "own", "protocol": "openai", "url": url, "secret": "vault:key"});
    for own in [
        own,
        json!({"name": "bare", "protocol": "openai", "url": url}),
    ] {
        let made = ada
            .send(&server, "POST", "/api/llm/providers", &own)
            .await?;
        assert_eq!(made.0, 201, "{made:?}");
        let model = format!(
            "{}/all-minilm-l6-v2",
            own["name"].as_str().context("a name")?
        );
        let refused = embed(&server, &ada, &json!({"model": model, "input": "a"})).await?;
        assert_eq!(refused.status(), StatusCode::BAD_GATEWAY, "{model}");
    }
    let answer = embed(&server, &ada, &json!({"model": "local", "input": "a"})).await?;
    assert_eq!(answer.status(), StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn what_the_local_model_cannot_do_is_refused() -> Result<()> {
    let server = Server::embedding().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let large = "x".repeat(65_537);
    let huge = vec!["y".repeat(60_000); 80];
    for (body, status, code) in [
        (
            json!({"input": "a", "dimensions": 256}),
            400,
            "invalid-input",
        ),
        (json!({"input": [1, 2, 3]}), 400, "invalid-input"),
        (json!({"input": []}), 400, "invalid-input"),
        (json!({"input": vec!["a"; 2049]}), 400, "invalid-input"),
        (json!({"input": large}), 400, "invalid-input"),
        (
            json!({"input": "a", "encoding_format": "int8"}),
            400,
            "invalid-input",
        ),
        (json!({"input": huge}), 413, "body-too-large"),
    ] {
        let mut body = body;
        body["model"] = json!("local");
        let answer = embed(&server, &ada, &body).await?;
        let found = answer.status().as_u16();
        let problem: Value = answer.json().await?;
        assert_eq!(
            (found, problem["error"]["code"].as_str()),
            (status, Some(code)),
            "{problem}"
        );
    }
    // It still answers others.
    let answer = embed(&server, &ada, &json!({"model": "local", "input": "a"})).await?;
    assert_eq!(answer.status(), StatusCode::OK);
    Ok(())
}

/// `gather embed` as a process.
struct Process {
    url: String,
    child: Child,
    key: String,
    _state: TempDir,
}

impl Process {
    async fn start(arguments: &[&str]) -> Result<Self> {
        let address = free_address()?;
        let state = tempfile::tempdir()?;
        let child = Command::new(e2e::command()?)
            .args(["embed", "--embed-listen", &address.to_string()])
            .args(arguments)
            .env("GATHER_MASTER_KEY", e2e::MASTER_KEY)
            .env("GATHER_MANIFEST", root().join("spin.toml"))
            .env("GATHER_STATE_DIR", state.path())
            .env("RUST_LOG", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let process = Self {
            url: format!("http://{address}"),
            child,
            key: gather::embed::service_key(&e2e::master_key()),
            _state: state,
        };
        let client = http().build()?;
        let started = Instant::now();
        while client
            .get(format!("{}/health", process.url))
            .send()
            .await
            .is_err()
        {
            ensure!(
                started.elapsed() < Duration::from_secs(60),
                "it does not come up"
            );
            sleep(Duration::from_millis(50)).await;
        }
        Ok(process)
    }

    async fn embed(&self, key: &str) -> Result<Response> {
        let body = json!({"model": "all-minilm-l6-v2", "input": "a"});
        let request = http().build()?.post(format!("{}/v1/embeddings", self.url));
        Ok(request.bearer_auth(key).json(&body).send().await?)
    }

    async fn metric(&self, name: &str) -> Result<i64> {
        let text = http().build()?.get(format!("{}/metrics", self.url));
        let text = text.send().await?.text().await?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line
            .with_context(|| format!("no {name} in {text}"))?
            .parse()?)
    }

    /// The memory that is the process's own, in KiB.
    fn memory(&self) -> Result<u64> {
        let pid = self.child.id().context("it ended")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let line = line.context("no memory")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }
}

#[tokio::test]
async fn a_process_of_its_own_gives_its_memory_back() -> Result<()> {
    let process = Process::start(&["--embed-idle", "1s"]).await?;
    assert_eq!(process.metric("gather_embedding_loaded").await?, 0);
    let before = process.memory()?;
    assert_eq!(
        process.embed("guess").await?.status(),
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(process.metric("gather_embedding_loaded").await?, 0);
    let answer = process.embed(&process.key).await?;
    let loaded = process.memory()?;
    ensure!(
        answer.status() == StatusCode::OK,
        "{}",
        answer.text().await?
    );
    assert!(loaded > before + 30_000, "{before} {loaded}");
    let started = Instant::now();
    while process.metric("gather_embedding_loaded").await? == 1
        || process.memory()? + 25_000 > loaded
    {
        let memory = process.memory()?;
        ensure!(
            started.elapsed() < Duration::from_secs(60),
            "{loaded} {memory}"
        );
        sleep(Duration::from_millis(50)).await;
    }
    let again = process.embed(&process.key).await?;
    assert_eq!(again.status(), StatusCode::OK);
    assert_eq!(process.metric("gather_embedding_texts_total").await?, 2);
    Ok(())
}

#[tokio::test]
async fn a_crowd_is_told_to_come_again() -> Result<()> {
    let process = Process::start(&[]).await?;
    let address = process.url.trim_start_matches("http://");
    let head = format!(
        "POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 4194304\r\n\r\n",
        process.key
    );
    // Each announces a body that takes a sixteenth of the room, and does not send it.
    let mut crowd = Vec::new();
    for _ in 0..16 {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(head.as_bytes())?;
        crowd.push(stream);
    }
    let started = Instant::now();
    let refused = loop {
        let answer = process.embed(&process.key).await?;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            break answer;
        }
        ensure!(
            started.elapsed() < Duration::from_secs(60),
            "everybody gets in"
        );
    };
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(process.metric("gather_embedding_requests").await?, 16);
    drop(crowd);
    while process.embed(&process.key).await?.status() != StatusCode::OK {
        ensure!(
            started.elapsed() < Duration::from_secs(60),
            "nobody gets in again"
        );
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

#[tokio::test]
async fn openais_sdk_embeds_texts() -> Result<()> {
    let Some(folder) = installed().await? else {
        return Ok(());
    };
    let server = Server::embedding().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let said = libraries::run(&folder, "local.py", &[&server.url, &ada.token]).await?;
    ensure!(said.contains("all is well"), "{said}");
    Ok(())
}

#[tokio::test]
async fn mem0_keeps_and_finds_what_it_is_told() -> Result<()> {
    let Some(folder) = installed().await? else {
        return Ok(());
    };
    let facts = json!({"memory": [
        {"id": "0", "text": "Ada drinks green tea"}, {"id": "1", "text": "Ada's server restarts every night"}]});
    let answer = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "facts", "choices": [{"index": 0,
        "finish_reason": "stop", "message": {"role": "assistant", "content": facts.to_string()}}],
        "usage": {"prompt_tokens": 25, "completion_tokens": 15, "total_tokens": 40}});
    let models = Models::start(move |_, _| Say::json(&answer)).await?;
    let server = Server::embedding_beside(&[models.origin()]).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let provider = json!({"name": "open", "protocol": "openai", "url": models.url});
    let made = ada.send(&server, "POST", "/api/llm/providers", &provider);
    let (status, made) = made.await?;
    ensure!(status == 201, "{status} {made}");
    let said = libraries::run(&folder, "memory.py", &[&server.url, &ada.token]).await?;
    ensure!(said.contains("all is well"), "{said}");
    let asked = models.asked();
    assert_eq!(asked.len(), 1, "only what is said goes to a provider");
    let body = String::from_utf8_lossy(&asked[0].body);
    assert!(body.contains("I drink green tea"), "{body}");
    Ok(())
}

/// Ten thousand lines: those of the project's documents and sources, and random ones of all scripts.
fn lines() -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for folder in ["docs", "crates/gather/src", "tests/functions/llm"] {
        for file in std::fs::read_dir(root().join(folder))? {
            if let Ok(text) = std::fs::read_to_string(file?.path()) {
                lines.extend(text.lines().map(str::to_owned));
            }
        }
    }
    lines.truncate(5_000);
    // Scripts that the tables of characters have known for long.
    const BLOCKS: [(u32, u32); 12] = [
        (0x01, 0x7f),
        (0x20, 0x7e),
        (0x80, 0x24f),
        (0x250, 0x36f),
        (0x370, 0x52f),
        (0x590, 0x6ff),
        (0x900, 0xdff),
        (0x1e00, 0x1fff),
        (0x2000, 0x206f),
        (0x3040, 0x30ff),
        (0x4e00, 0x9fa5),
        (0x1f600, 0x1f64f),
    ];
    let mut seed = 7_u64;
    let mut random = |below: u32| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(seed >> 33).unwrap_or_default() % below
    };
    while lines.len() < 10_000 {
        let mut line = String::new();
        for _ in 0..random(60) {
            let (first, last) = BLOCKS[random(12) as usize];
            for _ in 0..=random(6) {
                line.extend(char::from_u32(first + random(last - first + 1)));
            }
            if random(3) > 0 {
                line.push(' ');
            }
            if random(50) == 0 {
                line.push_str("[MASK]");
            }
        }
        lines.push(line);
    }
    Ok(lines)
}

#[tokio::test]
async fn the_tokens_are_those_of_the_models_own_library() -> Result<()> {
    let Some(folder) = installed().await? else {
        return Ok(());
    };
    let lines = lines()?;
    assert_eq!(lines.len(), 10_000);
    let mut child = Command::new(folder.join("venv/bin/python"))
        .arg(folder.join("tokens.py"))
        .arg(root().join("crates/embedding/model/tokenizer.json"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut input = child.stdin.take().context("no input")?;
    let given = serde_json::to_vec(&lines)?;
    let (written, output) = tokio::join!(
        async move { input.write_all(&given).await },
        timeout(Duration::from_secs(300), child.wait_with_output())
    );
    written?;
    let theirs: Vec<Vec<u32>> = serde_json::from_slice(&output??.stdout)?;
    assert_eq!(theirs.len(), lines.len());
    let model = embedding::Model::load()?;
    let differ = lines
        .iter()
        .zip(&theirs)
        .filter(|(line, theirs)| model.tokens(line) != **theirs);
    let differ: Vec<_> = differ.map(|(line, _)| line).collect();
    ensure!(
        differ.is_empty(),
        "{} lines, such as {:?}",
        differ.len(),
        differ[0]
    );
    Ok(())
}
