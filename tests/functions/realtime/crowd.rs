//! Many sockets on two gateways that are killed again and again, while many post and some are thrown out.

use crate::functions::channels::actions::{channel, grow_up, post};
use anyhow::{Context, Result, bail, ensure};
use e2e::{
    Server,
    agents::Agent,
    sockets::{Client, Gateway},
};
use futures::future::try_join_all;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

const ACCOUNTS: usize = 20;
const SOCKETS_EACH: usize = 12;
/// In each of them all post, an account is thrown out of a channel, and a gateway is killed.
const ROUNDS: usize = 4;
const POSTS_EACH: usize = 3;
/// The first three are public.
const CHANNELS: usize = 6;
/// An account and a channel for each round but the last, which shows what they are not told.
const KICKS: [(usize, usize); ROUNDS - 1] = [(5, 3), (9, 5), (17, 3)];
/// For all of it, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(400);

/// Members of a private channel: two of three accounts, each channel others. The first account owns all.
fn is_in(account: usize, channel: usize) -> bool {
    channel < 3 || account == 0 || !(account + channel).is_multiple_of(3)
}

/// What each topic had told in the end; `None`: people still post.
type End = Option<Arc<Vec<BTreeSet<i64>>>>;

/// An account that is thrown out of a channel, and the number of the last message that it may have seen.
type Kicked = BTreeMap<(usize, usize), i64>;

struct Crowd {
    server: Server,
    agents: Vec<Agent>,
    topics: Vec<String>,
    /// Where the gateways are. One that was killed comes back at another address.
    urls: Mutex<[String; 2]>,
    kicked: Mutex<Kicked>,
    end: watch::Sender<End>,
    /// Readers that have a position of each of their topics, so that nothing is posted that they need not be told.
    ready: AtomicUsize,
    /// Turns of publishers that are over.
    turns: AtomicUsize,
    /// Messages that readers are to be told, each counted once for each reader, and those that they have been told.
    due: AtomicUsize,
    told: AtomicUsize,
}

/// What one reader was told.
#[derive(Default)]
struct Seen {
    positions: Vec<Option<String>>,
    numbers: Vec<Vec<i64>>,
    ids: HashSet<String>,
    denied: HashSet<usize>,
    repeats: usize,
    ready: bool,
    lives: usize,
    leaves_after: usize,
}

impl Crowd {
    async fn new(urls: [String; 2], server: Server, agents: Vec<Agent>) -> Result<Arc<Self>> {
        let mut topics = Vec::new();
        for index in 0..CHANNELS {
            let name = format!("channel-{index}");
            let id = channel(&server, &agents[0], &name, index >= 3).await?;
            topics.push(format!("channel:{id}"));
        }
        let crowd = Arc::new(Self {
            server,
            agents,
            topics,
            urls: Mutex::new(urls),
            kicked: Mutex::default(),
            end: watch::channel(None).0,
            ready: AtomicUsize::new(0),
            turns: AtomicUsize::new(0),
            due: AtomicUsize::new(0),
            told: AtomicUsize::new(0),
        });
        for account in 1..ACCOUNTS {
            let channels = (0..CHANNELS).filter(|channel| is_in(account, *channel));
            try_join_all(channels.map(|channel| crowd.enter(account, channel))).await?;
        }
        Ok(crowd)
    }

    async fn enter(&self, account: usize, channel: usize) -> Result<()> {
        let new = json!({ "account": self.agents[account].id });
        let path = format!("/api/channels/{}/members", self.id(channel));
        let (status, added) = self.agents[0]
            .send(&self.server, "POST", &path, &new)
            .await?;
        ensure!(status == 201, "{added}");
        Ok(())
    }

    fn id(&self, channel: usize) -> &str {
        self.topics[channel].trim_start_matches("channel:")
    }

    fn is_out(&self, account: usize, channel: usize) -> bool {
        let kicked = self.kicked.lock().expect("no panic");
        kicked.contains_key(&(account, channel))
    }

    /// Posts here and there.
    async fn publish(&self, account: usize, round: usize) -> Result<()> {
        for number in round * POSTS_EACH..(round + 1) * POSTS_EACH {
            let channel = (account * 7 + number * 5) % CHANNELS;
            // Whoever may be thrown out of a channel only reads it.
            if is_in(account, channel) && (channel < 3 || account % 4 != 1) {
                let body = format!("{number} of {account}");
                post(&self.server, &self.agents[account], self.id(channel), &body).await?;
                let members = (0..ACCOUNTS).filter(|account| is_in(*account, channel));
                let readers = members.count() * SOCKETS_EACH;
                self.due.fetch_add(readers, Ordering::Relaxed);
            }
            self.turns.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_millis(
                (account * 13 + number * 37) as u64 % 150,
            ))
            .await;
        }
        Ok(())
    }

    /// Waits until a part of a round's turns are over.
    async fn within(&self, round: usize, part: usize) {
        let turns = round * ACCOUNTS * POSTS_EACH + part;
        until(|| self.turns.load(Ordering::Relaxed) >= turns).await;
    }

    /// Throws an account out of a private channel while others post.
    async fn kick(&self, round: usize) -> Result<()> {
        let Some(&(account, channel)) = KICKS.get(round) else {
            return Ok(());
        };
        assert!(is_in(account, channel));
        self.within(round, 15).await;
        let member = self.agents[account].id;
        let path = format!("/api/channels/{}/members/{member}", self.id(channel));
        // From now on it may be denied, and soon it will.
        let known = |last| {
            let mut kicked = self.kicked.lock().expect("no panic");
            kicked.insert((account, channel), last);
        };
        known(i64::MAX);
        let (status, out) = self.agents[0]
            .send(&self.server, "DELETE", &path, &json!({}))
            .await?;
        ensure!(status == 204, "{out}");
        let numbers = self.numbers(channel).await?;
        known(numbers.last().copied().unwrap_or_default());
        Ok(())
    }

    /// Kills a gateway while others post, and starts another one.
    async fn kill(&self, round: usize, gateways: &mut [Gateway; 2]) -> Result<()> {
        self.within(round, 30).await;
        let index = round % 2;
        gateways[index].kill().await?;
        gateways[index] = Gateway::start(&self.server, &[]).await?;
        let url = gateways[index].url.clone();
        self.urls.lock().expect("no panic")[index] = url;
        Ok(())
    }

    /// The numbers of a channel's messages.
    async fn numbers(&self, channel: usize) -> Result<BTreeSet<i64>> {
        let sql = "select m.seq from channels.message m where m.channel_id = $1::uuid";
        let numbers = sqlx::query_scalar(sql).bind(self.id(channel).parse::<uuid::Uuid>()?);
        let mut admin = self.server.database.connect().await?;
        let numbers: Vec<i64> = numbers.fetch_all(&mut admin).await?;
        Ok(numbers.into_iter().collect())
    }

    /// Runs all rounds, then lets the readers know what each topic has told.
    async fn work(&self, mut gateways: [Gateway; 2]) -> Result<[Gateway; 2]> {
        until(|| self.ready.load(Ordering::Relaxed) == ACCOUNTS * SOCKETS_EACH).await;
        for round in 0..ROUNDS {
            let posts = (0..ACCOUNTS).map(|account| self.publish(account, round));
            tokio::try_join!(
                try_join_all(posts),
                self.kick(round),
                self.kill(round, &mut gateways)
            )?;
            // Most of them have come back, and hear what comes next when it comes.
            let due = self.due.load(Ordering::Relaxed);
            until(|| self.told.load(Ordering::Relaxed) * 4 > due * 3).await;
        }
        let all = try_join_all((0..CHANNELS).map(|channel| self.numbers(channel))).await?;
        self.end.send_replace(Some(Arc::new(all)));
        Ok(gateways)
    }

    /// Reads until it has been told all that it may see.
    async fn read(self: Arc<Self>, account: usize, number: usize) -> Result<Seen> {
        let mut seen = Seen {
            positions: vec![None; CHANNELS],
            numbers: vec![Vec::new(); CHANNELS],
            ..Seen::default()
        };
        let mut end = self.end.subscribe();
        loop {
            let url = self.urls.lock().expect("no panic")[(number + seen.lives) % 2].clone();
            // It leaves by itself, too, after it was told some; but not in the end.
            seen.leaves_after = 15 + (number * 31 + seen.lives * 17) % 60;
            seen.lives += 1;
            match self.live(account, &url, &mut seen, &mut end).await {
                Ok(true) => return Ok(seen),
                Err(error) if error.is::<Wrong>() => return Err(error),
                _ => sleep(Duration::from_millis((number * 97) as u64 % 400)).await,
            }
        }
    }

    /// One socket's life; whether the reader has been told all.
    async fn live(
        &self,
        account: usize,
        url: &str,
        seen: &mut Seen,
        end: &mut watch::Receiver<End>,
    ) -> Result<bool> {
        let mut client = Client::signed_in(url, &self.agents[account]).await?;
        let topics: Vec<_> = (0..CHANNELS)
            .filter(|channel| is_in(account, *channel) && !seen.denied.contains(channel))
            .collect();
        if topics
            .iter()
            .all(|channel| seen.positions[*channel].is_none())
        {
            let topics: Vec<_> = topics
                .iter()
                .map(|channel| &self.topics[*channel])
                .collect();
            let ask = json!({ "type": "subscribe", "topics": topics });
            client.send(&ask).await?;
        } else {
            for channel in topics {
                let topics = [&self.topics[channel]];
                let ask = match &seen.positions[channel] {
                    Some(since) => json!({ "type": "subscribe", "topics": topics, "since": since }),
                    None => json!({ "type": "subscribe", "topics": topics }),
                };
                client.send(&ask).await?;
            }
        }
        loop {
            let all = end.borrow_and_update().clone();
            if all
                .as_ref()
                .is_some_and(|all| self.has_all(account, seen, all))
            {
                return Ok(true);
            }
            if all.is_none() && seen.leaves_after == 0 {
                return Ok(false);
            }
            tokio::select! {
                frame = client.frame() => self.hear(account, &frame?, seen)?,
                changed = end.changed() => changed?,
            }
        }
    }

    fn hear(&self, account: usize, frame: &Value, seen: &mut Seen) -> Result<()> {
        let kind = frame["type"].as_str().unwrap_or_default();
        let topic = frame["topic"].as_str().unwrap_or_default();
        if matches!(kind, "closing" | "error") {
            bail!("{frame}");
        }
        let Some(channel) = self.topics.iter().position(|one| one == topic) else {
            return Err(wrong(format!("account {account} was told {frame}")));
        };
        if kind == "denied" {
            if !self.is_out(account, channel) {
                return Err(wrong(format!("{account} is denied channel {channel}")));
            }
            seen.denied.insert(channel);
            return Ok(());
        }
        if !is_in(account, channel) || kind == "gone" {
            return Err(wrong(format!("account {account} was told {frame}")));
        }
        // What is told of who is there has no position.
        if let Some(position) = frame["position"].as_str() {
            seen.positions[channel] = Some(position.to_owned());
        }
        let knows = |channel| !is_in(account, channel) || seen.positions[channel].is_some();
        if !seen.ready && (0..CHANNELS).all(knows) {
            seen.ready = true;
            self.ready.fetch_add(1, Ordering::Relaxed);
        }
        if kind != "message.created" {
            return Ok(());
        }
        let id = frame["id"].as_str().unwrap_or_default().to_owned();
        if !seen.ids.insert(id) {
            seen.repeats += 1;
            return Ok(());
        }
        let number = frame["data"]["seq"].as_i64().unwrap_or_default();
        let told = &mut seen.numbers[channel];
        if told.last().is_some_and(|last| *last >= number) {
            return Err(wrong(format!("{account} was told {number} after {told:?}")));
        }
        told.push(number);
        self.told.fetch_add(1, Ordering::Relaxed);
        seen.leaves_after = seen.leaves_after.saturating_sub(1);
        Ok(())
    }

    fn describe(&self) -> String {
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        format!(
            "some were never told all: {} ready, {} turns, {} due, {} told",
            count(&self.ready),
            count(&self.turns),
            count(&self.due),
            count(&self.told)
        )
    }

    /// Each was told all that it may see, once and in order, and nothing else.
    fn check(&self, readers: &[Seen]) -> Result<()> {
        let all = self.end.borrow().clone().context("the end")?;
        let kicked = self.kicked.lock().expect("no panic");
        for ((account, channel), last) in kicked.iter() {
            // Or it proved nothing.
            assert!(all[*channel].last() > Some(last), "{account}: {last}");
        }
        for (number, seen) in readers.iter().enumerate() {
            let account = number % ACCOUNTS;
            for channel in (0..CHANNELS).filter(|channel| is_in(account, *channel)) {
                let numbers = &seen.numbers[channel];
                match kicked.get(&(account, channel)) {
                    Some(last) => assert!(
                        numbers.iter().all(|one| one <= last),
                        "{account} was told {numbers:?}, and out after {last}"
                    ),
                    None => assert!(numbers.iter().eq(&all[channel]), "{account}: {numbers:?}"),
                }
            }
        }
        let lives: usize = readers.iter().map(|seen| seen.lives).sum();
        assert!(lives > 2 * ACCOUNTS * SOCKETS_EACH, "{lives}");
        Ok(())
    }

    fn has_all(&self, account: usize, seen: &Seen, all: &[BTreeSet<i64>]) -> bool {
        (0..CHANNELS).all(|channel| {
            !is_in(account, channel)
                || seen.numbers[channel].len() >= all[channel].len()
                || (self.is_out(account, channel) && seen.denied.contains(&channel))
        })
    }
}

/// A reader was told what it must not be told: it gives up at once.
#[derive(Debug)]
struct Wrong(String);

impl std::fmt::Display for Wrong {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

fn wrong(what: String) -> anyhow::Error {
    Wrong(what).into()
}

/// Waits for a condition.
async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn everybody_is_told_what_they_may_see_in_order_while_gateways_are_killed() -> Result<()> {
    let _machine = e2e::MACHINE.lock().await;
    rlimit::increase_nofile_limit(8192)?;
    let server = Server::told(&[("rate_limits", "off")]).await?;
    let mut agents = Vec::new();
    for number in 0..ACCOUNTS {
        let key = u8::try_from(number + 1)?;
        agents.push(Agent::sign_in(&server, &format!("agent-{number}"), key).await?);
    }
    grow_up(&server).await?;
    let gateways = [
        Gateway::start(&server, &[]).await?,
        Gateway::start(&server, &[]).await?,
    ];
    let urls = gateways.each_ref().map(|gateway| gateway.url.clone());
    let crowd = Crowd::new(urls, server, agents).await?;

    let readers = (0..ACCOUNTS * SOCKETS_EACH).map(async |number| {
        let reader = crowd.clone().read(number % ACCOUNTS, number);
        tokio::spawn(reader).await?
    });
    // Whoever was told what it must not be told ends all at once.
    let all = async { tokio::try_join!(try_join_all(readers), crowd.work(gateways)) };
    let all = timeout(PATIENCE, all).await;
    let (readers, _gateways) = all.with_context(|| crowd.describe())??;
    crowd.check(&readers)
}
