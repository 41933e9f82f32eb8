//! Many receivers, a third of them broken, under kills of workers: no delivery is lost, and nobody waits for another.

use super::world::World;
use anyhow::{Context, Result, ensure};
use e2e::{
    agents::Agent,
    process::Process,
    receiver::{Answer, Receiver, broken, only_deliveries},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};
use tempfile::TempDir;

const RECEIVERS: usize = 100;
const BROKEN: usize = 33;
const EVENTS: u64 = 50;
/// A worker is killed each time that a healthy receiver has so many events.
const KILL_EVERY: u64 = 10;
/// Thousands of deliveries take their time where others use the machine, too.
const LIMIT: Duration = Duration::from_secs(240);

struct Crowd {
    world: World,
    receivers: Vec<Receiver>,
    /// The webhooks' paths with their owners, in the order of their receivers.
    webhooks: Vec<(usize, String)>,
    owners: [Agent; 2],
    folder: TempDir,
}

/// The deliveries of each event's number: their ids and bodies.
type Taken = BTreeMap<u64, BTreeSet<(String, Vec<u8>)>>;

impl Crowd {
    async fn new() -> Result<Self> {
        let mut receivers = vec![];
        for number in 0..RECEIVERS {
            let answer = if number < BROKEN {
                broken(number)
            } else {
                Answer::status(200)
            };
            receivers.push(Receiver::start(move |_| answer.clone()).await?);
        }
        let names: Vec<_> = (0..RECEIVERS)
            .map(|number| format!("r{number}.example"))
            .collect();
        let named: Vec<_> = names.iter().map(String::as_str).zip(&receivers).collect();
        let world = World::new(&named).await?;
        // An account may have half of them.
        let owners = [
            Agent::sign_in(&world.server, "bob", 2).await?,
            Agent::sign_in(&world.server, "eve", 3).await?,
        ];
        let mut webhooks = vec![];
        for (number, name) in names.iter().enumerate() {
            let owner = number % owners.len();
            let url = format!("http://{name}/");
            let (webhook, _) = world.webhook_of(&owners[owner], &url).await?;
            webhooks.push((owner, webhook));
        }
        let folder = tempfile::tempdir()?;
        let manifest = only_deliveries(&world.server.database, 64);
        std::fs::write(folder.path().join("spin.toml"), manifest)?;
        Ok(Self {
            world,
            receivers,
            webhooks,
            owners,
            folder,
        })
    }

    fn worker(&self) -> Result<Process> {
        let mut arguments = vec!["--worker-lease".to_owned(), "2s".to_owned()];
        for (name, address) in &self.world.hosts {
            arguments.extend(["--webhook-host".to_owned(), format!("{name}={address}")]);
        }
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let folder = self.folder.path();
        Process::start(
            "worker",
            &self.world.server.database,
            &folder.join("spin.toml"),
            folder,
            &arguments,
        )
    }

    /// One event for all of the webhooks.
    async fn emit(&self, number: u64) -> Result<()> {
        let topics = self
            .owners
            .each_ref()
            .map(|one| format!("account:{}", one.id));
        sqlx::query("select events.emit($1, 'test.number', $2)")
            .bind(topics)
            .bind(json!({ "n": number }))
            .execute(&mut self.world.server.database.connect().await?)
            .await?;
        Ok(())
    }

    /// The events that a receiver has, by number, each with the ids and bodies under which it came.
    fn taken(&self, receiver: usize) -> Result<Taken> {
        let mut events = BTreeMap::<_, BTreeSet<_>>::new();
        for one in self.receivers[receiver].taken() {
            let body: Value = serde_json::from_slice(&one.body)?;
            let number = body["data"]["n"].as_u64().context("n")?;
            let id = one.headers["webhook-id"].clone();
            events.entry(number).or_default().insert((id, one.body));
        }
        Ok(events)
    }

    /// Waits until each healthy receiver has so many events.
    async fn until(&self, receivers: std::ops::Range<usize>, count: u64) -> Result<()> {
        let begin = Instant::now();
        for receiver in receivers {
            loop {
                let taken = self.taken(receiver)?.len() as u64;
                if taken >= count {
                    break;
                }
                ensure!(
                    begin.elapsed() < LIMIT,
                    "receiver {receiver}: {taken} of {count}"
                );
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    /// The ids of a webhook's deliveries in a state.
    async fn ids(&self, webhook: &(usize, String), state: &str) -> Result<BTreeSet<String>> {
        let (owner, path) = webhook;
        let path = format!("{path}/deliveries?limit=100&state={state}");
        let (_, page) = self.owners[*owner]
            .send(&self.world.server, "GET", &path, &json!({}))
            .await?;
        let items = page["items"].as_array().with_context(|| page.to_string())?;
        let ids = items.iter().filter_map(|one| one["id"].as_str());
        Ok(ids.map(str::to_owned).collect())
    }
}

#[tokio::test]
async fn a_third_of_many_receivers_is_broken_and_workers_are_killed() -> Result<()> {
    let crowd = Crowd::new().await?;
    let mut workers = vec![crowd.worker()?, crowd.worker()?];
    for number in 0..EVENTS {
        crowd.emit(number).await?;
        if (number + 1) % KILL_EVERY == 0 && number + 1 < EVENTS {
            // Some of it has arrived, and the rest is on its way or waits.
            crowd.until(RECEIVERS - 1..RECEIVERS, number / 2).await?;
            workers.remove(0).signal("KILL")?;
            workers.push(crowd.worker()?);
        }
    }
    crowd.until(BROKEN..RECEIVERS, EVENTS).await?;
    for receiver in BROKEN..RECEIVERS {
        // What its owner is told is what it has. The last answers may not be written down yet.
        let begin = Instant::now();
        let delivered = loop {
            let ids = crowd.ids(&crowd.webhooks[receiver], "delivered").await?;
            if ids.len() as u64 == EVENTS {
                break ids;
            }
            ensure!(begin.elapsed() < LIMIT, "receiver {receiver}: {ids:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        // What came twice, after a kill, came under one id and said the same.
        let taken = crowd.taken(receiver)?;
        assert!(taken.values().all(|one| one.len() == 1), "{taken:?}");
        let ids: BTreeSet<_> = taken.into_values().flatten().map(|(id, _)| id).collect();
        assert_eq!(ids, delivered);
    }
    // The broken ones have all of it before them, and are tried on.
    for webhook in &crowd.webhooks[..BROKEN] {
        assert!(!crowd.ids(webhook, "waiting").await?.is_empty());
        for state in ["delivered", "dead"] {
            assert_eq!(crowd.ids(webhook, state).await?, BTreeSet::new());
        }
    }
    Ok(())
}
