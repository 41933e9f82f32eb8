//! Many sockets on two gateways that are killed again and again, while many post and some are thrown out.

use crate::functions::channels::actions::{channel, grow_up, post, send};
use anyhow::{Context, Result, bail, ensure};
use e2e::{
    Server,
    agents::Agent,
    sockets::{Client, Gateway},
};
use futures::future::{join_all, try_join_all};
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
    time::{Instant, sleep, timeout},
};

const ACCOUNTS: usize = 20;
const SOCKETS_EACH: usize = 12;
const POSTS_EACH: usize = 10;
/// The first three are public.
const CHANNELS: usize = 6;
/// For all to be told in the end.
const PATIENCE: Duration = Duration::from_secs(240);

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
    urls: [String; 2],
    kicked: Mutex<Kicked>,
    end: watch::Sender<End>,
    kills: AtomicUsize,
    /// Readers that have a position of each of their topics, so that nothing is posted that they need not be told.
    ready: AtomicUsize,
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
            urls,
            kicked: Mutex::default(),
            end: watch::channel(None).0,
            kills: AtomicUsize::new(0),
            ready: AtomicUsize::new(0),
        });
        for account in 1..ACCOUNTS {
            let channels = (0..CHANNELS).filter(|channel| is_in(account, *channel));
            try_join_all(channels.map(|channel| crowd.enter(account, channel))).await?;
        }
        Ok(crowd)
    }

    async fn until_all_are_ready(&self) {
        while self.ready.load(Ordering::Relaxed) < ACCOUNTS * SOCKETS_EACH {
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn enter(&self, account: usize, channel: usize) -> Result<()> {
        let new = json!({ "account": self.agents[account].id });
        let path = format!("/api/channels/{}/members", self.id(channel));
        let (status, added) = send(&self.server, &self.agents[0], "POST", &path, new).await?;
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
    async fn publish(&self, account: usize) -> Result<()> {
        for number in 0..POSTS_EACH {
            let channel = (account * 7 + number * 5) % CHANNELS;
            // Whoever may be thrown out of a channel only reads it.
            if is_in(account, channel) && (channel < 3 || account % 4 != 1) {
                let body = format!("{number} of {account}");
                post(&self.server, &self.agents[account], self.id(channel), &body).await?;
            }
            sleep(Duration::from_millis(
                (account * 13 + number * 37) as u64 % 300,
            ))
            .await;
        }
        Ok(())
    }

    /// Throws accounts out of private channels while others post.
    async fn kick(&self) -> Result<()> {
        let mut admin = self.server.database.connect().await?;
        for (account, channel) in [(5, 3), (9, 5), (17, 3)] {
            assert!(is_in(account, channel));
            sleep(Duration::from_millis(400)).await;
            let member = self.agents[account].id;
            let path = format!("/api/channels/{}/members/{member}", self.id(channel));
            // From now on it may be denied, and soon it will.
            let known = |last| {
                let mut kicked = self.kicked.lock().expect("no panic");
                kicked.insert((account, channel), last);
            };
            known(i64::MAX);
            let (status, out) =
                send(&self.server, &self.agents[0], "DELETE", &path, json!({})).await?;
            ensure!(status == 204, "{out}");
            let last = "select coalesce(max(m.seq), 0) from channels.message m where m.channel_id = $1::uuid";
            let last = sqlx::query_scalar(last).bind(self.id(channel).parse::<uuid::Uuid>()?);
            known(last.fetch_one(&mut admin).await?);
        }
        Ok(())
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
            let url = &self.urls[(number + seen.lives) % 2];
            // It leaves by itself, too, sooner or later; the last life is a long one.
            let life = match *end.borrow_and_update() {
                Some(_) => Duration::from_secs(30),
                None => {
                    Duration::from_millis(700 + (number * 311 + seen.lives * 173) as u64 % 4000)
                }
            };
            seen.lives += 1;
            let lived = timeout(life, self.live(account, url, &mut seen, &mut end)).await;
            match lived {
                Ok(Ok(())) => return Ok(seen),
                Ok(Err(error)) if error.is::<Wrong>() => return Err(error),
                _ => sleep(Duration::from_millis((number * 97) as u64 % 400)).await,
            }
        }
    }

    async fn live(
        &self,
        account: usize,
        url: &str,
        seen: &mut Seen,
        end: &mut watch::Receiver<End>,
    ) -> Result<()> {
        let mut client = Client::signed_in(url, &self.agents[account]).await?;
        let topics = (0..CHANNELS).filter(|channel| is_in(account, *channel));
        for channel in topics.filter(|channel| !seen.denied.contains(channel)) {
            let mut ask = json!({ "type": "subscribe", "topics": [self.topics[channel]] });
            if let Some(since) = &seen.positions[channel] {
                ask["since"] = since.as_str().into();
            }
            client.send(&ask).await?;
        }
        loop {
            let all = end.borrow_and_update().clone();
            if all.is_some_and(|all| self.has_all(account, seen, &all)) {
                return Ok(());
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

/// Kills one gateway after the other, and starts it again.
async fn kill(crowd: &Crowd, mut gateways: [Gateway; 2]) -> Result<()> {
    crowd.until_all_are_ready().await;
    while crowd.end.borrow().is_none() {
        sleep(Duration::from_millis(900)).await;
        let [mut first, second] = gateways;
        first.kill().await?;
        sleep(Duration::from_millis(200)).await;
        gateways = [second, first.again(&crowd.server).await?];
        crowd.kills.fetch_add(1, Ordering::Relaxed);
    }
    // They stay for those who have not been told all.
    sleep(PATIENCE).await;
    Ok(())
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

    let readers: Vec<_> = (0..ACCOUNTS * SOCKETS_EACH)
        .map(|number| tokio::spawn(crowd.clone().read(number % ACCOUNTS, number)))
        .collect();
    let work = async {
        crowd.until_all_are_ready().await;
        let posts = try_join_all((0..ACCOUNTS).map(|account| crowd.publish(account)));
        let (posted, kicked) = tokio::join!(posts, crowd.kick());
        posted?;
        kicked?;
        while crowd.kills.load(Ordering::Relaxed) < 3 {
            sleep(Duration::from_millis(50)).await;
        }
        let mut admin = crowd.server.database.connect().await?;
        let mut all = Vec::new();
        for channel in 0..CHANNELS {
            let sql = "select m.seq from channels.message m where m.channel_id = $1::uuid";
            let numbers = sqlx::query_scalar(sql).bind(crowd.id(channel).parse::<uuid::Uuid>()?);
            let numbers: Vec<i64> = numbers.fetch_all(&mut admin).await?;
            all.push(numbers.into_iter().collect());
        }
        crowd.end.send_replace(Some(Arc::new(all)));
        let until = Instant::now() + PATIENCE;
        let told = tokio::time::timeout_at(until, join_all(readers)).await;
        told.context("some were never told all")
    };
    let told = tokio::select! {
        told = work => told?,
        killed = kill(&crowd, gateways) => {
            killed?;
            bail!("some were never told all");
        }
    };
    let all = crowd.end.borrow().clone().context("the end")?;
    let kicked = crowd.kicked.lock().expect("no panic").clone();
    let (mut lives, mut frames) = (0, 0);
    for (number, seen) in told.into_iter().enumerate() {
        let (account, seen) = (number % ACCOUNTS, seen??);
        lives += seen.lives;
        for channel in (0..CHANNELS).filter(|channel| is_in(account, *channel)) {
            let numbers = &seen.numbers[channel];
            frames += numbers.len();
            match kicked.get(&(account, channel)) {
                Some(last) => assert!(
                    numbers.iter().all(|one| one <= last),
                    "{account}: {numbers:?}"
                ),
                None => assert!(numbers.iter().eq(&all[channel]), "{account}: {numbers:?}"),
            }
        }
    }
    // Or it proved nothing: some came back, and there was something to tell.
    assert!(lives > ACCOUNTS * SOCKETS_EACH, "{lives}");
    assert!(frames > 50 * ACCOUNTS * SOCKETS_EACH, "{frames}");
    Ok(())
}
