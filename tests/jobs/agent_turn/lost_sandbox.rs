//! A sandbox that is killed while a skill of a turn works.

use anyhow::{Result, ensure};
use e2e::{
    errands::quick,
    free_address,
    process::Process,
    publishing::{approved, manifest},
    root,
};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::world::{World, body, calls, results, says, with};

/// The address by which the platform knows its sandbox, whichever process that is at the moment.
struct Front {
    url: String,
    behind: Arc<Mutex<SocketAddr>>,
    /// The number of bytes that were asked.
    asked: Arc<AtomicU64>,
}

impl Front {
    async fn open(behind: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let front = Self {
            url: format!("http://{}", listener.local_addr()?),
            behind: Arc::new(Mutex::new(behind)),
            asked: Arc::default(),
        };
        let (behind, asked) = (front.behind.clone(), front.asked.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let address = *behind.lock().unwrap_or_else(PoisonError::into_inner);
                tokio::spawn(pass_on(client, address, asked.clone()));
            }
        });
        Ok(front)
    }

    fn lead_to(&self, behind: SocketAddr) {
        *self.behind.lock().unwrap_or_else(PoisonError::into_inner) = behind;
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Passes bytes on until either end is gone.
async fn pass_on(client: TcpStream, address: SocketAddr, asked: Arc<AtomicU64>) -> Result<()> {
    let sandbox = TcpStream::connect(address).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_sandbox, mut to_sandbox) = sandbox.into_split();
    let questions = async {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = from_client.read(&mut buffer).await?;
            if read == 0 {
                return anyhow::Ok(());
            }
            to_sandbox.write_all(&buffer[..read]).await?;
            asked.fetch_add(u64::try_from(read)?, Ordering::SeqCst);
        }
    };
    tokio::select! {
        _ = copy(&mut from_sandbox, &mut to_client) => {}
        _ = questions => {}
    }
    Ok(())
}

/// A sandbox as a process of its own, when it answers.
async fn sandbox(world: &World, folder: &std::path::Path, at: SocketAddr) -> Result<Process> {
    let process = Process::start(
        "sandbox",
        &world.server.database,
        &root().join("spin.toml"),
        folder,
        &[
            "--sandbox-listen",
            &at.to_string(),
            "--public-url",
            &world.server.url,
        ],
    )?;
    let begin = Instant::now();
    while TcpStream::connect(at).await.is_err() {
        ensure!(
            begin.elapsed() < Duration::from_secs(60),
            "no sandbox: {}",
            process.log()?
        );
        sleep(Duration::from_millis(50)).await;
    }
    Ok(process)
}

/// Waits until the call of a skill that a turn has begun has arrived in the sandbox.
async fn until_it_works(world: &World, front: &Front, turn: &str) -> Result<()> {
    let (before, begin) = (front.asked(), Instant::now());
    loop {
        let steps = world.steps(turn).await?;
        if steps.len() == 2 && steps[1]["status"] == "started" && front.asked() > before {
            return Ok(());
        }
        ensure!(
            begin.elapsed() < Duration::from_secs(60),
            "no call: {steps:#?}"
        );
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_call_that_loses_its_sandbox_is_made_again_only_if_that_is_harmless() -> Result<()> {
    let (first_at, second_at) = (free_address()?, free_address()?);
    let front = Front::open(first_at).await?;
    let script = |asked: &e2e::models::Asked, _| {
        let tool = match body(asked)["tools"].to_string().contains("keeper__sleep") {
            true => "keeper__sleep",
            false => "sleeper__sleep",
        };
        match results(asked) {
            0 => calls(&[(tool, "{\"ms\": 1500}")]),
            _ => says("Done."),
        }
    };
    let world = World::told(&[], &[("sandbox_url", &front.url)], script).await?;
    let folder = tempfile::tempdir()?;
    let first = sandbox(&world, folder.path(), first_at).await?;
    let second = sandbox(&world, folder.path(), second_at).await?;
    let deadline = json!({"clock": true, "deadline_ms": 20_000});
    let mut sleeper = manifest("sleeper", "1.0.0");
    sleeper["permissions"] = deadline.clone();
    let mut keeper = manifest("keeper", "1.0.0");
    keeper["permissions"] = deadline;
    keeper["permissions"]["kv"] = json!({"max_bytes": 1_000});
    for skill in [&sleeper, &keeper] {
        approved(&world.server, &world.ada, skill, "probe-skill").await?;
    }
    let worker = world.server.worker(quick()).await?;
    let new = json!({"name": "table", "mode": "round_robin"});
    let one = with(&["skill:sleeper"], &json!({}));
    world.circle(&new, &one, &["one"]).await?;
    let talk = world.conversation(&json!({"circle": "table"})).await?;
    // The call of the turn that is killed begins quickly, since the component is compiled by then.
    let turn = world.say(&talk, "Sleep.").await?;
    let undisturbed = trace(&world, &turn).await?;
    assert_eq!(
        undisturbed,
        ["model succeeded", "tool succeeded", "model succeeded"]
    );
    let turn = world.say(&talk, "Sleep again.").await?;
    until_it_works(&world, &front, &turn).await?;
    front.lead_to(second_at);
    first.signal("KILL")?;
    assert_eq!(trace(&world, &turn).await?, undisturbed);
    let steps = world.steps(&turn).await?;
    assert!(!steps[1]["receipt"].is_null(), "{steps:#?}");

    let mut two = with(&["skill:keeper"], &json!({}));
    two["name"] = json!("keeping");
    let new = json!({"name": "other", "mode": "round_robin"});
    world.circle(&new, &two, &["two"]).await?;
    let talk = world.conversation(&json!({"circle": "other"})).await?;
    let turn = world.say(&talk, "Sleep.").await?;
    until_it_works(&world, &front, &turn).await?;
    second.signal("KILL")?;
    let ended = trace(&world, &turn).await?;
    assert_eq!(
        ended,
        ["model succeeded", "tool unknown", "model succeeded"]
    );
    let told = world.steps(&turn).await?[1]["result"].to_string();
    assert!(told.contains("not known whether"), "{told}");
    worker.shutdown(Duration::ZERO).await;
    Ok(())
}

/// The steps of a turn that has ended well: what each was, and how it ended.
async fn trace(world: &World, turn: &str) -> Result<Vec<String>> {
    let ended = world.ended(turn).await?;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let word = |step: &Value, name: &str| step[name].as_str().unwrap_or_default().to_owned();
    let steps = world.steps(turn).await?;
    let shown = steps
        .iter()
        .map(|step| format!("{} {}", word(step, "kind"), word(step, "status")));
    Ok(shown.collect())
}
