//! Who comes before whom: reviews by account, and names by what became of their versions.

use anyhow::{Context, Result};
use e2e::{
    Server,
    agents::Agent,
    errands::quick,
    publishing::{decide, fixture, manifest, upload},
};
use host::jobs::JobTimes;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

struct World {
    server: Server,
    ada: Agent,
    bob: Agent,
}

impl World {
    async fn new() -> Result<Self> {
        let server = Server::start().await?;
        let ada = Agent::sign_in(&server, "ada", 1).await?;
        let bob = Agent::sign_in(&server, "bob", 2).await?;
        Ok(Self { server, ada, bob })
    }

    /// Publishes the adder; the status and the problem's code.
    async fn publish(&self, agent: &Agent, name: &str, version: &str) -> Result<(u16, String)> {
        let (status, answer) = upload(
            &self.server,
            agent,
            &manifest(name, version),
            fixture("adder")?,
        )
        .await?;
        let code = answer["code"].as_str().unwrap_or_default().to_owned();
        Ok((status, code))
    }

    async fn version(&self, agent: &Agent, name: &str, version: &str) -> Result<(u16, Value)> {
        let path = format!("/api/skills/{name}/versions/{version}");
        agent.get(&self.server, &path).await
    }
}

fn accepted() -> (u16, String) {
    (202, String::new())
}

fn refused(code: &str) -> (u16, String) {
    (409, code.to_owned())
}

#[tokio::test]
async fn a_newcomer_does_not_wait_for_all_reviews_of_another() -> Result<()> {
    let world = World::new().await?;
    for number in 0..12 {
        let name = format!("adder-{number}");
        let published = world.publish(&world.ada, &name, "1.0.0").await?;
        assert_eq!(published, accepted());
    }
    assert_eq!(
        world.publish(&world.bob, "bobs", "1.0.0").await?,
        accepted()
    );
    let one_at_a_time = JobTimes {
        concurrency: 1,
        ..quick()
    };
    let worker = world.server.worker(one_at_a_time).await?;
    let began = Instant::now();
    loop {
        let (_, version) = world.version(&world.bob, "bobs", "1.0.0").await?;
        if version["decided_at"].is_string() {
            break;
        }
        anyhow::ensure!(began.elapsed() < Duration::from_secs(60), "{version:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let before: i64 = sqlx::query_scalar(
        "select count(*) from jobs.job a, jobs.job b join skills.version v on v.job_id = b.id
         join skills.skill s on s.id = v.skill_id
         where s.name = 'bobs' and a.kind = 'skill-review' and a.started_at < b.started_at",
    )
    .fetch_one(&mut world.server.database.connect().await?)
    .await?;
    assert!(before <= 2, "{before} reviews of the other came before");
    worker.shutdown(Duration::from_secs(10)).await;
    Ok(())
}

#[tokio::test]
async fn a_name_of_which_all_was_rejected_belongs_to_nobody() -> Result<()> {
    let world = World::new().await?;
    let World { server, ada, bob } = &world;
    assert_eq!(world.publish(ada, "words", "1.0.0").await?, accepted());
    assert_eq!(
        world.publish(bob, "words", "2.0.0").await?,
        refused("name-taken")
    );
    decide(server, &manifest("words", "1.0.0"), "reject").await?;
    // Its author can still read why, and goes on with the next version.
    let (status, version) = world.version(ada, "words", "1.0.0").await?;
    assert_eq!((status, &version["status"]), (200, &json!("rejected")));
    assert_eq!(world.publish(ada, "words", "1.0.1").await?, accepted());
    assert_eq!(
        world.publish(bob, "words", "1.0.0").await?,
        refused("name-taken")
    );
    decide(server, &manifest("words", "1.0.1"), "reject").await?;
    assert_eq!(world.version(ada, "words", "1.0.0").await?.0, 200);

    // Now it is whose comes first, with the same version too, and what was rejected is gone.
    let (one, other) = tokio::join!(
        world.publish(bob, "words", "1.0.0"),
        world.publish(ada, "words", "1.0.0")
    );
    let mut answers = [one?, other?];
    answers.sort();
    assert_eq!(answers, [accepted(), refused("name-taken")]);
    let (owner, stranger) = match world.version(bob, "words", "1.0.0").await?.0 {
        200 => (bob, ada),
        _ => (ada, bob),
    };
    assert_eq!(
        world.version(owner, "words", "1.0.0").await?.1["status"],
        "in_review"
    );
    assert_eq!(world.version(stranger, "words", "1.0.1").await?.0, 404);
    decide(server, &manifest("words", "1.0.0"), "approve").await?;
    assert_eq!(
        world.publish(stranger, "words", "1.1.0").await?,
        refused("name-taken")
    );

    // One version that is not rejected keeps the name, and the others.
    assert_eq!(world.publish(owner, "words", "1.1.0").await?, accepted());
    decide(server, &manifest("words", "1.1.0"), "reject").await?;
    assert_eq!(
        world.publish(owner, "words", "1.1.0").await?,
        refused("version-exists")
    );
    assert_eq!(
        world.publish(stranger, "words", "3.0.0").await?,
        refused("name-taken")
    );
    Ok(())
}

#[tokio::test]
async fn a_rejected_first_version_can_be_corrected_and_published_again() -> Result<()> {
    let world = World::new().await?;
    assert_eq!(
        world.publish(&world.ada, "words", "1.0.0").await?,
        accepted()
    );
    decide(&world.server, &manifest("words", "1.0.0"), "reject").await?;
    assert_eq!(
        world.publish(&world.ada, "words", "1.0.0").await?,
        accepted()
    );
    let (_, version) = world.version(&world.ada, "words", "1.0.0").await?;
    assert_eq!(version["status"], "in_review", "{version:#}");
    let answer = world.publish(&world.ada, "words", "1.0.0").await?;
    assert_eq!(answer, refused("version-exists"));
    let left: i64 = sqlx::query_scalar("select count(*) from skills.version")
        .fetch_one(&mut world.server.database.connect().await?)
        .await
        .context("versions")?;
    assert_eq!(left, 1, "what was rejected is forgotten");
    Ok(())
}
