//! Newer builds of functions and queued work, loaded while the older ones run.

use anyhow::{Context, Result};
use e2e::{
    Server, build_components, component_file,
    errands::{Errands, quick},
};
use futures::StreamExt;
use host::Limits;
use serde_json::json;
use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, time::sleep};

/// Puts another component's file in the place of this one, as a build does.
fn replace(file: &Path, with: &str) -> Result<()> {
    let newer = file.with_extension("newer");
    fs::copy(component_file(with), &newer)?;
    Ok(fs::rename(newer, file)?)
}

/// Answers the status for a path that the function `probe` does not have, and `wild` does.
async fn told(server: &Server) -> Result<u16> {
    Ok(server.get("/only-wild").await?.status().as_u16())
}

#[tokio::test]
async fn requests_that_run_end_in_the_old_build_and_the_next_run_in_the_new_one() -> Result<()> {
    tokio::task::spawn_blocking(build_components).await??;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("function.wasm");
    fs::copy(component_file("probe"), &file)?;
    let limits = Limits {
        // The client of the upload waits for all the rest.
        stall_timeout: Duration::from_secs(600),
        ..Limits::default()
    };
    let server = Server::lone("function", &file, limits).await?;
    let functions = server.host().functions();
    assert_eq!(told(&server).await?, 404);

    // One is in the middle of its answer, one in the middle of its body.
    let mut events = server.get("/stream/100000").await?.bytes_stream();
    events.next().await.context("an event")??;
    let (chunks, mut body) = mpsc::unbounded_channel::<Result<Vec<u8>, std::io::Error>>();
    let body = futures::stream::poll_fn(move |context| body.poll_recv(context));
    let upload = server
        .http
        .post(format!("{}/echo", server.url))
        .body(reqwest::Body::wrap_stream(body));
    // More than is received before the function begins.
    let large = vec![b'o'; 256 << 10];
    chunks.send(Ok(large.clone()))?;
    let mut echo = upload.send().await?.bytes_stream();
    let mut echoed = Vec::new();
    while echoed.len() < large.len() {
        echoed.extend_from_slice(&echo.next().await.context("an echo")??);
    }
    // Both functions answer this.
    let (stopping, answered) = (
        Arc::new(AtomicBool::new(false)),
        Arc::<AtomicUsize>::default(),
    );
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (http, url) = (server.http.clone(), format!("{}/hello", server.url));
            let (stopping, answered) = (stopping.clone(), answered.clone());
            tokio::spawn(async move {
                while !stopping.load(Ordering::Relaxed) {
                    let response = http.get(&url).send().await?.error_for_status()?;
                    assert_eq!(response.text().await?, "hello");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                anyhow::Ok(())
            })
        })
        .collect();

    for (build, status) in [("wild", 200), ("probe", 404), ("wild", 200)] {
        let before = answered.load(Ordering::Relaxed);
        replace(&file, build)?;
        let functions = functions.clone();
        tokio::task::spawn_blocking(move || functions.reload("function")).await??;
        for _ in 0..8 {
            assert_eq!(told(&server).await?, status, "{build}");
        }
        let began = Instant::now();
        while answered.load(Ordering::Relaxed) < before + 20 && began.elapsed().as_secs() < 30 {
            sleep(Duration::from_millis(5)).await;
        }
    }
    stopping.store(true, Ordering::Relaxed);
    for client in clients {
        client.await??;
    }
    assert!(answered.load(Ordering::Relaxed) >= 60);

    chunks.send(Ok(b"and new".to_vec()))?;
    drop(chunks);
    while let Some(chunk) = echo.next().await {
        echoed.extend_from_slice(&chunk?);
    }
    assert!(echoed == [&large[..], b"and new"].concat());
    for _ in 0..3 {
        events.next().await.context("the stream goes on")??;
    }
    Ok(())
}

#[tokio::test]
async fn a_build_that_cannot_be_loaded_leaves_the_old_one_serving() -> Result<()> {
    tokio::task::spawn_blocking(build_components).await??;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("function.wasm");
    fs::copy(component_file("wild"), &file)?;
    let server = Server::lone("function", &file, Limits::default()).await?;
    let functions = server.host().functions();
    let refused = |name: &str| {
        let refused = functions.reload(name).map_err(|error| format!("{error:#}"));
        refused.expect_err("it was loaded")
    };
    fs::write(&file, "half of a fi")?;
    assert!(refused("function").contains("is not a component"));
    assert_eq!(told(&server).await?, 200);
    // Queued work answers no requests.
    replace(&file, "errand")?;
    assert!(refused("function").contains("`function`"));
    assert_eq!(told(&server).await?, 200);
    fs::remove_file(&file)?;
    assert!(refused("function").contains("cannot read the component"));
    assert!(refused("other").contains("there is no function `other`"));
    assert_eq!(told(&server).await?, 200);
    Ok(())
}

#[tokio::test]
async fn jobs_that_run_end_in_the_old_build_and_the_next_run_in_the_new_one() -> Result<()> {
    let errands = Errands::new("job = {}").await?;
    let worker = errands.worker(quick()).await?;
    let kinds = worker.kinds();
    let old = json!([{ "sleep_ms": 3000 }, { "return": "\"old\"" }]);
    let running = errands.errand(old.clone()).await?;
    errands.until(running, "running").await?;
    // It would send mail, which an errand may not.
    replace(&errands.component(), "mail-delivery")?;
    let refused = kinds.reload("errand").map_err(|error| format!("{error:#}"));
    assert!(refused.is_err_and(|error| error.contains("mail = true")));
    let other = errands.errand(json!([{ "return": "\"old\"" }])).await?;
    assert_eq!(errands.until(other, "succeeded").await?["result"], "old");

    replace(&errands.component(), "skill-review")?;
    tokio::task::spawn_blocking(move || kinds.reload("errand")).await??;
    let next = errands.errand(old).await?;
    let next = errands.until(next, "dead").await?;
    let error = next["error"].as_str().context("an error")?;
    assert!(error.contains("do not fit this kind of job"), "{error}");
    assert_eq!(errands.until(running, "succeeded").await?["result"], "old");
    worker.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
