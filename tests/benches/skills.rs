//! `cargo bench --workspace --bench skills`: calls of skills, through HTTP and in the sandbox alone,
//! beside the same function in Extism and called natively. Prints; never asserts.

use anyhow::{Context, Result, anyhow};
use bench::load::{Target, run};
use e2e::{
    Server,
    agents::Agent,
    component_file,
    publishing::{approved, invoke, manifest},
    root, sandbox_child,
};
use sandbox::{End, Grant, Options, Runner, Skill};
use serde_json::{Map, Value, json};
use skill::{Limits, Permissions};
use std::{
    hint::black_box,
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SECONDS: Duration = Duration::from_secs(5);

fn main() -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(bench())
}

async fn bench() -> Result<()> {
    through_http().await?;
    in_the_sandbox().await?;
    if let Err(error) = in_extism() {
        println!("  extism: skipped ({error:#})");
    }
    python().await?;
    many_skills().await
}

/// The whole way: HTTP, the function, its statement, the sandbox, a fresh instance, a signed receipt.
async fn through_http() -> Result<()> {
    // The limits count, and let everything through.
    let unlimited = [("rate_limits", "strict=10000000,standard=10000000")];
    let server = Server::told(&unlimited).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    approved(&server, &ada, &manifest("adder", "1.0.0"), "adder").await?;
    invoke(&server, &ada, "adder", "add", json!({"a": 1, "b": 2})).await?;
    let address = server.url.trim_start_matches("http://").parse()?;
    let call = |tool: &str, arguments: Value| {
        let body = json!({"tool": tool, "arguments": arguments}).to_string();
        Target::post(address, "/api/skills/adder/invoke", &ada.token, &body)
    };
    println!(
        "through HTTP ({SECONDS:?} a case; server, sandbox, PostgreSQL and the load on the same cores)"
    );
    for (name, target) in [
        ("add(1, 2)", call("add", json!({"a": 1, "b": 2}))),
        ("greet(\"Ada\")", call("greet", json!({"name": "Ada"}))),
    ] {
        for connections in [1, 16] {
            let figures = run(&target, SECONDS, connections).await?;
            println!(
                "  {name:<14} {connections:>2} connections {:>7.0}/s  p50 {:>6.0} µs  p99 {:>6.0} µs",
                figures.throughput, figures.p50_us, figures.p99_us
            );
        }
    }
    Ok(())
}

fn runner(cache: &Path) -> Result<Runner> {
    Runner::new(Options::new(cache.to_owned(), [7; 32], sandbox_child()?))
}

async fn load(runner: &Runner, file: &Path) -> Result<Arc<Skill>> {
    let wasm = std::fs::read(file).with_context(|| file.display().to_string())?;
    let digest = skill::digest::of_bytes(&wasm);
    runner
        .load(&digest, async { Ok(Some(wasm)) })
        .await
        .map_err(|error| anyhow!("{error:?}"))
}

fn grant() -> Grant {
    let limits = Limits {
        memory_bytes: 256 << 20,
        ..Limits::default()
    };
    Grant {
        permissions: Permissions::default(),
        limits,
        key_value: None,
        reach: sandbox::Reach::default(),
    }
}

/// Store, instance, conversion both ways: the median of many calls in turn.
async fn median(
    runner: &Runner,
    skill: &Skill,
    tool: &str,
    arguments: &Value,
    calls: usize,
) -> Result<(f64, f64)> {
    let arguments: Map<String, Value> = arguments.as_object().cloned().context("an object")?;
    let grant = grant();
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        let began = Instant::now();
        let outcome = runner.call(skill, tool, arguments.clone(), &grant).await;
        times.push(began.elapsed().as_secs_f64() * 1e6);
        anyhow::ensure!(matches!(outcome.end, End::Answered(_)), "{:?}", outcome.end);
    }
    times.sort_by(f64::total_cmp);
    Ok((times[calls / 2], times[calls * 99 / 100]))
}

async fn in_the_sandbox() -> Result<()> {
    let cache = root().join("target/compiled-skills");
    let runner = runner(&cache)?;
    let skill = load(&runner, &component_file("adder")).await?;
    println!("in the sandbox alone (a fresh instance a call)");
    for (tool, arguments) in [
        ("add", json!({"a": 1, "b": 2})),
        ("greet", json!({"name": "Ada"})),
    ] {
        median(&runner, &skill, tool, &arguments, 200).await?;
        let (p50, p99) = median(&runner, &skill, tool, &arguments, 5_000).await?;
        println!("  {tool:<14} p50 {p50:>6.1} µs  p99 {p99:>6.1} µs");
    }
    let began = Instant::now();
    for n in 0..1_000_000_u32 {
        black_box(format!("Hello, {}!", black_box(n)));
    }
    println!(
        "  greet natively {:>10.3} µs",
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

/// The same function as a plugin of Extism. A program of its own, since that brings an engine of its own: its first
/// build takes minutes.
fn in_extism() -> Result<()> {
    let folder = root().join("tests/benches/extism");
    let target = root().join("target/bench-extism");
    let cargo = |arguments: &[&str]| -> Result<()> {
        let mut command = Command::new("cargo");
        command.args(arguments).args(["--quiet", "--release"]);
        command
            .arg("--target-dir")
            .arg(&target)
            .current_dir(&folder);
        let output = command.output().context("cargo")?;
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "{}", said.trim());
        Ok(())
    };
    let triple = "wasm32-unknown-unknown";
    cargo(&["build", "-p", "extism-plugin", "--target", triple])
        .with_context(|| format!("rustup target add {triple}"))?;
    cargo(&["build"])?;
    let plugin = target.join(triple).join("release/extism_plugin.wasm");
    let measured = Command::new(target.join("release/extism-bench"))
        .arg(plugin)
        .status()?;
    anyhow::ensure!(measured.success(), "{measured}");
    Ok(())
}

/// The template in Python, if `gather skill build` can make it here.
async fn python() -> Result<()> {
    let folder = root().join("target/bench-python/my-words");
    if !folder.join("skill.wasm").exists() {
        std::fs::create_dir_all(folder.parent().context("a parent")?)?;
        let gather = |arguments: &[&str], at: &Path| {
            Command::new(e2e::command()?)
                .args(arguments)
                .current_dir(at)
                .output()
                .context("gather")
        };
        gather(
            &["skill", "new", "my-words", "--lang", "python"],
            &root().join("target/bench-python"),
        )?;
        let built = gather(&["skill", "build"], &folder)?;
        if !built.status.success() {
            println!(
                "python: skipped ({})",
                String::from_utf8_lossy(&built.stderr).trim()
            );
            return Ok(());
        }
    }
    let cache = tempfile::tempdir()?;
    let file = folder.join("skill.wasm");
    let began = Instant::now();
    load(&runner(cache.path())?, &file).await?;
    println!(
        "python ({} MB)\n  compiled at first in {:.1} s",
        std::fs::metadata(&file)?.len() / 1_000_000,
        began.elapsed().as_secs_f64()
    );
    let runner = runner(cache.path())?;
    let arguments = json!({"text": "a short text"});
    let wasm = std::fs::read(&file)?;
    let digest = skill::digest::of_bytes(&wasm);
    let began = Instant::now();
    let skill = runner
        .load(&digest, async { Ok(None) })
        .await
        .map_err(|error| anyhow!("{error:?}"))?;
    median(&runner, &skill, "summarise", &arguments, 1).await?;
    println!(
        "  first call from the compiled file {:.0} ms",
        began.elapsed().as_secs_f64() * 1e3
    );
    let (p50, p99) = median(&runner, &skill, "summarise", &arguments, 200).await?;
    println!(
        "  warm           p50 {:>6.2} ms  p99 {:>6.2} ms",
        p50 / 1e3,
        p99 / 1e3
    );
    Ok(())
}

/// A thousand different small skills, all loaded.
async fn many_skills() -> Result<()> {
    let cache = tempfile::tempdir()?;
    let options = Options {
        loaded_bytes: 1 << 30,
        ..Options::new(cache.path().to_owned(), [7; 32], sandbox_child()?)
    };
    let runner = Runner::new(options.clone())?;
    let wasm = std::fs::read(component_file("adder"))?;
    println!("1,000 skills of {} kB", wasm.len() / 1000);
    let kept = a_thousand(&runner, &wasm, "compiled now").await?;
    drop((kept, runner));
    // As after a restart: from the compiled files.
    a_thousand(&Runner::new(options)?, &wasm, "from files").await?;
    Ok(())
}

async fn a_thousand(runner: &Runner, wasm: &[u8], how: &str) -> Result<Vec<Arc<Skill>>> {
    let before = resident()?;
    let mut kept = Vec::new();
    for n in 0..1_000_u32 {
        // Another custom section makes another component.
        let mut wasm = wasm.to_vec();
        wasm.extend([0, 6, 1, b'n']);
        wasm.extend(n.to_le_bytes());
        let digest = skill::digest::of_bytes(&wasm);
        let skill = runner.load(&digest, async { Ok(Some(wasm)) }).await;
        kept.push(skill.map_err(|error| anyhow!("{error:?}"))?);
    }
    let after = resident()?;
    let code: usize = kept.iter().map(|skill| skill.bytes).sum();
    println!(
        "  {how:<13} {:>4} MB resident, {} MB of it not shared; {} MB of code",
        after.0.saturating_sub(before.0) / 1_000_000,
        after.1.saturating_sub(before.1) / 1_000_000,
        code / 1_000_000
    );
    Ok(kept)
}

/// What this process has in memory, in bytes: all, and what no file or file of memory backs.
fn resident() -> Result<(u64, u64)> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kilobytes = line.context("not in /proc/self/status")?;
        anyhow::Ok(kilobytes.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
    };
    Ok((of("VmRSS:")?, of("RssAnon:")?))
}
