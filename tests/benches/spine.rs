//! `cargo bench --workspace --bench spine`: each case beside the same handler in native axum and
//! tokio-postgres, in the same run and on the same cores. Prints; never asserts.
//!
//! Servers run as processes of their own, so that memory and start-up can be told apart.

mod process;

use anyhow::{Context, Result};
use bench::{
    load::{Figures, Target, authenticate, run},
    native,
};
use e2e::{Database, component_file};
use ed25519_compact::{KeyPair, Seed};
use process::{Server, serve_host};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long each case runs on each side, warm-ups of a fifth of it aside.
const SECONDS: Duration = Duration::from_secs(7);
/// In so many parts, in turn.
const ROUNDS: u32 = 7;
const CONNECTIONS: usize = 16;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Runtime::new()?;
    match arguments.get(1).map(String::as_str) {
        Some("serve-host") => runtime.block_on(serve_host(&arguments[2..])),
        Some("serve-native") => runtime.block_on(native::serve(&arguments[2])),
        only => {
            let only = only.filter(|only| !only.starts_with("--"));
            runtime.block_on(bench(only))
        }
    }
}

async fn bench(only: Option<&str>) -> Result<()> {
    let wanted = |name: &str| only.is_none_or(|only| name.contains(only));
    let platform = e2e::Server::start().await?; // builds what is not fresh
    drop(platform);
    e2e::build_for_release(&["identity", "twin", "probe"])?;
    let database = Database::create().await?;
    database
        .execute(
            "create table public.item (id int primary key, name text not null);
             insert into public.item select n, 'item ' || n from generate_series(1, 10000) n;
             grant select on public.item to gather_site;
             grant usage on schema identity to gather_site;
             grant execute on function identity.check_in(timestamptz, bytea, text, text, integer, boolean) to gather_site",
        )
        .await?;
    let folder = tempfile::tempdir()?;
    let manifest = folder.path().join("spin.toml");
    std::fs::write(&manifest, bench_manifest(&database)?)?;
    // What compiles keeps the memory for it: the one that is measured finds all compiled, as after a restart.
    let compiling = Server::host(&manifest, &database, &[]).await?;
    let compiled = compiling.memory()?;
    drop(compiling);
    let host = Server::host(&manifest, &database, &[]).await?;
    let native = Server::native(&database).await?;

    println!(
        "{CONNECTIONS} connections, {SECONDS:?} a case; servers, PostgreSQL and the load on the same cores\n"
    );
    println!(
        "{:<34} {:>10} {:>9} {:>9} {:>10} {:>9} {:>9} {:>6}",
        "", "functions", "p50 µs", "p99 µs", "native", "p50 µs", "p99 µs", "ratio"
    );
    let idle = host.memory()?;
    for (name, function, twin) in [
        ("hello", "/hello", "/hello"),
        ("hello, Spin SDK as it is", "/sdk/hello", "/hello"),
        ("one indexed SELECT", "/item/77", "/item/77"),
    ] {
        if !wanted(name) {
            continue;
        }
        let function = Target::get(host.address, function, None);
        let twin = Target::get(native.address, twin, None);
        compare(name, &|time| run(&function, time, CONNECTIONS), &|time| {
            run(&twin, time, CONNECTIONS)
        })
        .await?;
    }
    let pair = KeyPair::from_seed(Seed::new([7; 32]));
    let (ours, theirs) = (host.sign_in(&pair).await?, native.sign_in(&pair).await?);
    let function = Target::get(host.address, "/api/agents/me", Some(&ours));
    let twin = Target::get(native.address, "/api/agents/me", Some(&theirs));
    let name = "GET /api/agents/me with a token";
    if wanted(name) {
        compare(name, &|time| run(&function, time, CONNECTIONS), &|time| {
            run(&twin, time, CONNECTIONS)
        })
        .await?;
    }
    let name = "challenge + authenticate";
    if wanted(name) {
        compare(
            name,
            &|time| authenticate(host.address, &pair, time, CONNECTIONS),
            &|time| authenticate(native.address, &pair, time, CONNECTIONS),
        )
        .await?;
    }
    if only.is_some() {
        return Ok(());
    }

    let token = host.sign_in(&pair).await?;
    let me = Target::get(host.address, "/api/agents/me", Some(&token));
    let me = run(&me, SECONDS, 1).await?;
    let item = run(&Target::get(host.address, "/item/77", None), SECONDS, 1).await?;
    let alone = authenticate(host.address, &pair, SECONDS, 1).await?;
    println!(
        "\none connection: GET me p50 {:.0} µs, one SELECT p50 {:.0} µs: the difference is the caller's check, their limit and a larger row\n\
         one connection: challenge + authenticate p50 {:.0} µs",
        me.p50_us, item.p50_us, alone.p50_us
    );
    println!(
        "\nmemory of the host: {idle} MB idle ({compiled} MB after it compiled), {} MB after load; native {} MB",
        host.memory()?,
        native.memory()?
    );
    println!(
        "start to ready: {:?}, components compiled before",
        host.ready
    );
    let cold = Server::host(&manifest, &database, &["--instance-reuse=1"]).await?;
    run(&Target::get(cold.address, "/hello", None), SECONDS, 1).await?;
    println!("cold instantiation: {}", instantiation(&cold).await?);
    Ok(())
}

/// Runs both in turn, and prints the median of their rounds: what else the machine does meets both alike.
async fn compare<O, T>(
    name: &str,
    ours: &impl Fn(Duration) -> O,
    theirs: &impl Fn(Duration) -> T,
) -> Result<()>
where
    O: Future<Output = Result<Figures>>,
    T: Future<Output = Result<Figures>>,
{
    let mut rounds = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        rounds.0.push(ours(SECONDS / ROUNDS).await?);
        rounds.1.push(theirs(SECONDS / ROUNDS).await?);
    }
    let (ours, theirs) = (median(rounds.0), median(rounds.1));
    println!(
        "{name:<34} {:>8.0}/s {:>9.0} {:>9.0} {:>8.0}/s {:>9.0} {:>9.0} {:>6.2}",
        ours.throughput,
        ours.p50_us,
        ours.p99_us,
        theirs.throughput,
        theirs.p50_us,
        theirs.p99_us,
        ours.throughput / theirs.throughput
    );
    Ok(())
}

/// The round in the middle, by its throughput.
fn median(mut rounds: Vec<Figures>) -> Figures {
    rounds.sort_by(|a, b| a.throughput.total_cmp(&b.throughput));
    rounds.swap_remove(rounds.len() / 2)
}

/// What the host's own histogram says of new instances.
async fn instantiation(server: &Server) -> Result<String> {
    let metrics = e2e::http()
        .build()?
        .get(format!("http://{}/metrics", server.address))
        .send()
        .await?
        .text()
        .await?;
    let value = |name: &str| -> Result<f64> {
        let prefix = format!("gather_function_instantiation_seconds_{name}");
        let line = metrics
            .lines()
            .find(|line| line.starts_with(&prefix) && line.contains("twin"));
        Ok(line
            .and_then(|line| line.rsplit(' ').next())
            .context("no histogram")?
            .parse()?)
    };
    let (sum, count) = (value("sum")?, value("count")?);
    let mut median = "more than all buckets".to_owned();
    for line in metrics.lines().filter(|l| {
        l.starts_with("gather_function_instantiation_seconds_bucket") && l.contains("twin")
    }) {
        let at_most = line
            .split("le=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next())
            .context("le")?;
        let below: f64 = line.rsplit(' ').next().context("a value")?.parse()?;
        if below >= count / 2.0 {
            median = format!("at most {:.0} µs", at_most.parse::<f64>()? * 1e6);
            break;
        }
    }
    Ok(format!(
        "mean {:.0} µs, median {median} ({count} instances)",
        sum / count * 1e6
    ))
}

/// The platform's functions, the twin's, and the probe (which uses the Spin SDK alone).
fn bench_manifest(database: &Database) -> Result<String> {
    let mut text = std::fs::read_to_string(e2e::root().join("spin.toml"))?;
    let folder = format!("{}/target/wasm32-wasip2/function/", e2e::root().display());
    text = text.replace("target/wasm32-wasip2/function/", &folder);
    for (id, route) in [
        ("twin", "/hello"),
        ("twin", "/item/..."),
        ("probe", "/sdk/hello"),
    ] {
        text += &format!("\n[[trigger.http]]\nroute = {route:?}\ncomponent = {id:?}\n");
    }
    for id in ["twin", "probe"] {
        text += &format!(
            "\n[component.{id}]\nsource = {:?}\nallowed_outbound_hosts = [\"postgres://{{{{ pg_host }}}}\"]\nvariables = {{ database_url = {:?}, rate_limits = \"standard=10000000,relaxed=10000000\" }}\n",
            component_file(id),
            database.url_of("site")?
        );
    }
    Ok(text)
}
