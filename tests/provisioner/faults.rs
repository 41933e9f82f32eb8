//! A runtime that fails, processes that are killed, and operations that meet.

use crate::provisioner::world::{Client, Engine, KEY, Platform, World, service, specification};
use anyhow::{Context, Result, bail, ensure};
use futures::future::join_all;
use provisioner::service::CALLER;
use serde_json::{Value, json};
use service_token::{EGRESS, OnBehalf, PROVISIONER, make};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    process::{Child, Command},
    task::JoinHandle,
};
use uuid::Uuid;

/// A runtime's socket that answers 500 while it is told to. Each request of the provisioner has a connection of its own.
struct Faulty {
    fails: Arc<AtomicBool>,
    serving: JoinHandle<()>,
}

impl Faulty {
    fn before(engine: PathBuf, socket: &Path) -> Result<Self> {
        let listener = UnixListener::bind(socket)?;
        let fails = Arc::new(AtomicBool::new(false));
        let failing = fails.clone();
        let serving = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (engine, failing) = (engine.clone(), failing.clone());
                tokio::spawn(async move {
                    if failing.load(Ordering::SeqCst) {
                        let mut head = [0; 4096];
                        drop(stream.read(&mut head).await);
                        let body = r#"{"message":"the disk of the engine is broken"}"#;
                        let answer = format!(
                            "HTTP/1.1 500 Oops\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                            body.len()
                        );
                        drop(stream.write_all(answer.as_bytes()).await);
                    } else if let Ok(mut real) = UnixStream::connect(engine).await {
                        drop(tokio::io::copy_bidirectional(&mut stream, &mut real).await);
                    }
                });
            }
        });
        Ok(Self { fails, serving })
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[tokio::test]
async fn a_failing_runtime_is_never_taken_for_an_empty_one() -> Result<()> {
    let Some(engine) = Engine::start().await? else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("socket");
    let faulty = Faulty::before(engine.socket(), &socket)?;
    let platform = Platform::start().await?;
    let service = service(socket, &platform).await?;
    let client = Client::new(service.address())?;
    let id = Uuid::now_v7();
    let wanted = specification(&engine.image, id, 1, "sleep 1000");
    let (status, answer) = client.post("/provision", &wanted).await?;
    ensure!(status == 200, "{answer:#}");
    faulty.fails.store(true, Ordering::SeqCst);
    let this = json!({"id": id, "generation": 1});
    let newer = specification(&engine.image, id, 2, "sleep 1000");
    for (status, answer) in [
        client.post("/deprovision", &this).await?,
        client.post("/provision", &newer).await?,
        client.get(&format!("/instances/{id}")).await?,
        client.get("/instances").await?,
        client.get(&format!("/instances/{id}/logs")).await?,
    ] {
        assert_eq!(
            (status, &answer["code"]),
            (503, &json!("backend-unavailable")),
            "{answer:#}"
        );
    }
    let (status, health) = client.get("/health").await?;
    assert_eq!((status, &health["status"]), (200, &json!("degraded")));
    faulty.fails.store(false, Ordering::SeqCst);
    assert_eq!(engine.containers()?.len(), 1, "it is still there");
    let (status, answer) = client.post("/deprovision", &this).await?;
    ensure!(status == 204, "{answer:#}");
    assert_eq!(engine.containers()?, Vec::<String>::new());
    let (_, health) = client.get("/health").await?;
    assert_eq!(health["status"], "healthy");
    Ok(())
}

#[tokio::test]
async fn a_removal_beats_a_making_that_is_under_way() -> Result<()> {
    let Some(world) = World::start().await? else {
        return Ok(());
    };
    let (client, world) = (&world.client, &world);
    let races = (0..12_u64).map(|number| async move {
        let id = Uuid::now_v7();
        let wanted = world.specification(id, 1, "sleep 1000");
        let removal = async {
            tokio::time::sleep(Duration::from_millis(number * 40)).await;
            client
                .post("/deprovision", &json!({"id": id, "generation": 1}))
                .await
        };
        let (made, removed) = tokio::join!(client.post("/provision", &wanted), removal);
        let ((made, answer), removed) = (made?, removed?);
        assert_eq!(removed.0, 204, "{:#}", removed.1);
        assert!(
            made == 200 || answer["code"] == "stale-generation",
            "{answer:#}"
        );
        assert_eq!(client.get(&format!("/instances/{id}")).await?.0, 404);
        Ok::<_, anyhow::Error>(())
    });
    for race in join_all(races).await {
        race?;
    }
    assert_eq!(world.engine.containers()?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn two_provisioners_make_one_instance_of_a_generation() -> Result<()> {
    let Some(world) = World::start().await? else {
        return Ok(());
    };
    let other = service(world.engine.socket(), &world.platform).await?;
    let other = Client::new(other.address())?;
    let id = Uuid::now_v7();
    let wanted = world.specification(id, 1, "sleep 1000");
    let (one, two) = tokio::join!(
        world.client.post("/provision", &wanted),
        other.post("/provision", &wanted)
    );
    let (one, two) = (one?, two?);
    // One that lost asks again, as its job does.
    let (status, answer) = world.client.post("/provision", &wanted).await?;
    ensure!(status == 200, "{answer:#}, after {one:#?} and {two:#?}");
    assert_eq!(answer["state"], "running", "{answer:#}");
    assert_eq!(world.engine.containers()?.len(), 1);
    Ok(())
}

/// `gather provisioner`, as `gather up` starts it.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    async fn start(engine: &Engine, platform: &Platform) -> Result<Self> {
        let mut child = Command::new(e2e::command()?)
            .args(["provisioner", "--child"])
            .env_clear()
            .env("GATHER_PROVISIONER_LISTEN", "127.0.0.1:0")
            .env("GATHER_PROVISIONER_KEY", KEY)
            .env("GATHER_CONTAINER_SOCKET", engine.socket())
            .env("GATHER_PUBLIC_URL", platform.url())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let output = child.stdout.take().context("its output")?;
        let line = BufReader::new(output).lines().next_line().await?;
        let address = line.context("it ended")?.parse()?;
        Ok(Self { child, address })
    }
}

#[tokio::test]
async fn a_provisioner_that_is_killed_leaves_nothing_that_nobody_knows() -> Result<()> {
    let Some(engine) = Engine::start().await? else {
        return Ok(());
    };
    let platform = Platform::start().await?;
    for delay in [0, 60, 120, 180, 260, 400] {
        let mut process = Process::start(&engine, &platform).await?;
        let client = Client::new(process.address)?;
        let id = Uuid::now_v7();
        let wanted = specification(&engine.image, id, 1, "sleep 1000");
        let making = tokio::spawn(async move { client.post("/provision", &wanted).await });
        tokio::time::sleep(Duration::from_millis(delay)).await;
        process.child.kill().await?;
        // Cut off, or done just before.
        drop(making.await?);
        let process = Process::start(&engine, &platform).await?;
        let client = Client::new(process.address)?;
        let (status, list) = client.get("/instances").await?;
        ensure!(status == 200, "{list:#}");
        let known = list["instances"].as_array().context("instances")?;
        assert!(
            known.iter().all(|known| known["id"] == json!(id)),
            "{list:#}"
        );
        // The job comes again, and makes one that runs.
        let wanted = specification(&engine.image, id, 1, "sleep 1000");
        let (status, made) = retried(&client, "/provision", &wanted).await?;
        ensure!(status == 200, "{delay}: {made:#}");
        assert_eq!(made["state"], "running", "{delay}");
        assert_eq!(engine.containers()?.len(), 1, "{delay}");
        let (status, answer) = client
            .post("/deprovision", &json!({"id": id, "generation": 1}))
            .await?;
        ensure!(status == 204, "{delay}: {answer:#}");
        assert_eq!(engine.containers()?, Vec::<String>::new(), "{delay}");
    }
    Ok(())
}

/// Asks again while the runtime is still busy with what the killed process wanted.
async fn retried(client: &Client, path: &str, body: &Value) -> Result<(u16, Value)> {
    for _ in 0..20 {
        let (status, answer) = client.post(path, body).await?;
        if status != 503 {
            return Ok((status, answer));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    bail!("the runtime stays busy");
}

#[tokio::test]
async fn a_provisioner_ends_with_the_process_that_started_it() -> Result<()> {
    let Some(engine) = Engine::start().await? else {
        return Ok(());
    };
    let platform = Platform::start().await?;
    let mut process = Process::start(&engine, &platform).await?;
    drop(process.child.stdin.take());
    let ended = tokio::time::timeout(Duration::from_secs(60), process.child.wait()).await;
    assert!(ended.context("it stays")??.success());
    Ok(())
}

/// The process whose environment has a text, and that environment.
fn process_with(text: &str) -> Result<Option<(i32, String)>> {
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Ok(process) = name.to_string_lossy().parse::<i32>() else {
            continue;
        };
        // One that has ended meanwhile is not the one.
        let environment = std::fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        let environment = String::from_utf8_lossy(&environment).into_owned();
        if environment.contains(text) {
            return Ok(Some((process, environment)));
        }
    }
    Ok(None)
}

/// Waits until a function finds something.
async fn until<T>(what: &str, mut found: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    for _ in 0..1_200 {
        if let Some(found) = found()? {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("no {what}")
}

#[tokio::test]
async fn the_child_of_gather_up_has_no_secrets_and_comes_back() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("socket");
    let own = format!("GATHER_CONTAINER_SOCKET={}", socket.display());
    let child = gather::provisioner::Provisioner::start(gather::provisioner::Start {
        program: e2e::command()?,
        key: &e2e::master_key(),
        socket: socket.clone(),
        public_url: "http://127.0.0.1:1".to_owned(),
    })
    .await?;
    let first = until("child", || process_with(&own)).await?;
    for secret in [
        "GATHER_MASTER_KEY",
        "DATABASE_URL",
        e2e::MASTER_KEY,
        "postgres",
    ] {
        assert!(!first.1.contains(secret), "{secret} is in {}", first.1);
    }
    let health = format!("http://{}/health", child.address());
    let http = e2e::http().build()?;
    assert_eq!(http.get(&health).send().await?.status(), 200);
    let process = first.0.to_string();
    let killed = Command::new("kill")
        .args(["-s", "KILL", &process])
        .status()
        .await?;
    ensure!(killed.success(), "{killed}");
    until("other child", || {
        Ok(process_with(&own)?.filter(|(process, _)| *process != first.0))
    })
    .await?;
    let mut attempts = 0;
    while http.get(&health).send().await.is_err() {
        attempts += 1;
        ensure!(attempts < 600, "nobody listens where the first one did");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(child);
    until("end", || Ok(process_with(&own)?.is_none().then_some(()))).await
}

#[tokio::test]
async fn only_the_component_with_the_key_is_heard() -> Result<()> {
    // Without a runtime: who may not ask learns nothing of it.
    let platform = Platform::start().await?;
    let service = service(PathBuf::from("/nonexistent/socket"), &platform).await?;
    let url = format!("http://{}", service.address());
    let token = |key, component, audience| make(key, component, audience, &OnBehalf::default());
    let http = e2e::http().build()?;
    for token in [
        String::new(),
        token("the key of somebody else", CALLER, PROVISIONER)?,
        token(KEY, "claws", PROVISIONER)?,
        token(KEY, CALLER, EGRESS)?,
    ] {
        for path in ["/instances", "/instances/x/logs"] {
            let answer = http
                .get(format!("{url}{path}"))
                .bearer_auth(&token)
                .send()
                .await?;
            assert_eq!(answer.status(), 401, "{path}");
        }
        for path in ["/provision", "/deprovision", "/instances/x/start"] {
            let answer = http
                .post(format!("{url}{path}"))
                .bearer_auth(&token)
                .send()
                .await?;
            assert_eq!(answer.status(), 401, "{path}");
        }
    }
    let client = Client::new(service.address())?;
    let (status, answer) = client.get("/instances").await?;
    assert_eq!(
        (status, &answer["code"]),
        (503, &json!("backend-unavailable")),
        "{answer:#}"
    );
    Ok(())
}
