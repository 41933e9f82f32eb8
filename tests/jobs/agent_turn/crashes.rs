//! PostgreSQL itself is killed while a turn writes: the server starts again, and the trace is that of an undisturbed turn.

use anyhow::{Context, Result, ensure};
use e2e::Database;
use gather::{migrate, postgres::Cluster};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::task::spawn_blocking;

use super::faults::{Circle, FAILPOINTS, Workers, arm, number, script, waiting};
use super::world::World;

/// Of the writes of a turn, each so manieth is cut off, unless `GATHER_TURN_KILLS` asks for all.
const EACH: usize = 4;

/// Starts the cluster of a state folder, as soon as all processes of the one before are gone.
async fn open(state: &Path) -> Result<Cluster> {
    let begin = Instant::now();
    loop {
        let state = state.to_owned();
        match spawn_blocking(move || Cluster::open(&state)).await? {
            Ok(cluster) => return Ok(cluster),
            Err(error) => ensure!(begin.elapsed() < Duration::from_secs(60), "{error:#}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Waits until the functions reach the database again.
async fn answers(world: &World) -> Result<()> {
    let begin = Instant::now();
    while world.ada.get(&world.server, "/api/posts").await?.0 != 200 {
        ensure!(begin.elapsed() < Duration::from_secs(60), "no answer");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_turn_goes_on_when_the_database_server_is_killed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let state = folder.path().join("state");
    let mut clusters = vec![open(&state).await?];
    let admin = clusters[0].url("gather");
    migrate::run(&admin, &e2e::manifest()?, &e2e::master_key()).await?;
    let world = World::over(Database { admin }, |asked, _| script(asked)).await?;
    let mut circle = Circle::new(&world).await?;
    let mut connection = world.server.database.connect().await?;
    sqlx::raw_sql(FAILPOINTS).execute(&mut connection).await?;
    let workers = Workers::new(&world)?;
    let worker = workers.start()?;
    let (talk, turn) = circle.begin().await?;
    circle.check(&talk, &turn, "undisturbed").await?;
    let writes: i64 = sqlx::query_scalar("select last_value from public.passed")
        .fetch_one(&mut connection)
        .await?;
    let each = if number("GATHER_TURN_KILLS", 0) > 0 {
        1
    } else {
        EACH
    };
    for at in (1..=writes).step_by(each) {
        let what = format!("write {at} of {writes}");
        arm(&mut connection, at).await?;
        let (talk, turn) = circle.begin().await?;
        waiting(&mut connection).await?;
        let server = clusters.last().context("a cluster")?.pid().to_string();
        let killed = Command::new("kill").args(["-KILL", &server]).status()?;
        ensure!(killed.success(), "{what}: it was not killed");
        clusters.push(open(&state).await?);
        answers(&world).await?;
        connection = world.server.database.connect().await?;
        circle.check(&talk, &turn, &what).await?;
    }
    drop((worker, workers));
    drop(world);
    for cluster in clusters {
        spawn_blocking(move || cluster.close()).await??;
    }
    Ok(())
}
