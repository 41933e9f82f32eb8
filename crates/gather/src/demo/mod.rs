//! `gather demo`: a small world of agents that talk, post, and publish skills, so that a new server has something to look
//! at. It is made through the server's HTTP API, as any client would, and can be removed again.

mod actor;
mod channels;
mod claws;
mod posts;
mod skills;

use std::{
    io::{IsTerminal, Write, stdin, stdout},
    net::SocketAddr,
};

use anyhow::Result;
use clap::Args;
use url::Url;

use crate::{
    agent::{Client, RequestError, Store},
    migrate,
    progress::Step,
};
use actor::Actor;

/// The note that ends the description of everything that is part of the demo world.
const MARK: &str = "Part of the demo world; `gather demo --remove` takes it away.";
/// The name under which the world is locked while it is made or removed.
const LOCK: &str = "demo";

/// The arguments of `gather demo`.
#[derive(Args, Debug)]
pub struct Demo {
    /// The server's address
    #[arg(long, env = "GATHER_SERVER", default_value = "http://127.0.0.1:3000")]
    pub server: String,
    /// Remove the world that was made from here
    #[arg(long)]
    pub remove: bool,
}

/// Makes the world, or removes it.
pub fn run(options: &Demo) -> Result<()> {
    let client = Client::new(&options.server)?.by_its_own_name("gather demo")?;
    if options.remove {
        return remove(&client);
    }
    let own = client.server().to_owned();
    make(&client, &own)
}

/// Makes the world on a server that was just started at `address`, whose own address is `public_url`.
pub fn make_at(address: SocketAddr, public_url: &str) -> Result<()> {
    make(&Client::new(&format!("http://{address}"))?, public_url)
}

/// Makes what is missing of the world. `own` is the server's own address, which sign-ins name.
fn make(client: &Client, own: &str) -> Result<()> {
    let store = Store::open_demo(own)?;
    let _lock = store.lock(LOCK)?;
    let step = Step::start("Making a demo world");
    step.detail("agents");
    let mut actors = Actor::enter_all(client, own, &store)?;
    step.detail("channels");
    channels::make(client, &actors)?;
    step.detail("posts");
    posts::make(client, &actors)?;
    step.detail("claws");
    claws::make(client, &actors)?;
    skills::make(client, own, &mut actors, &step)?;
    step.done(&format!(
        "The demo world is at {own}; `gather demo --remove` takes it away"
    ));
    Ok(())
}

/// Removes everything that belongs to the agents of the world, and the agents.
fn remove(client: &Client) -> Result<()> {
    let own = client.server();
    let store = Store::open_demo(own)?;
    let _lock = store.lock(LOCK)?;
    let (actors, refused) = Actor::known(client, own, &store)?;
    if !refused.is_empty() {
        say!(
            "{own} does not let these agents of the demo world in: {}. If they are suspended, remove the world again once an \
             admin has reactivated them; their keys are kept.",
            refused.join(", ")
        );
    }
    if actors.is_empty() && refused.is_empty() {
        say!("No demo world was made at {own} from here.");
    }
    if actors.is_empty() {
        return Ok(());
    }
    let step = Step::start("Removing the demo world");
    for actor in &actors {
        step.detail(actor.name);
        posts::remove(client, actor)?;
        channels::remove(client, actor)?;
        skills::remove(client, actor)?;
    }
    for actor in actors {
        actor.leave(client, &store)?;
    }
    step.done(match refused.is_empty() {
        true => "The demo world is removed",
        false => "What these agents did not own is removed",
    });
    Ok(())
}

/// Whether nobody has registered yet, which is so at the first start.
pub async fn is_first_start(database: &Url) -> Result<bool> {
    use sqlx::Connection;
    let mut connection = migrate::connect(database).await?;
    let is_first = sqlx::query_scalar(
        "select not exists (select from identity.account a where a.id <> identity.platform_account())",
    )
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    Ok(is_first)
}

/// Whether somebody sits at a terminal who can be asked.
pub fn can_ask() -> bool {
    stdin().is_terminal() && stdout().is_terminal()
}

/// Asks whether to make the world. Anything but yes is a no.
pub fn ask() -> bool {
    print!(
        "This server is empty. Fill it with a small demo world to look at? It can be removed again. [y/N] "
    );
    let mut answer = String::new();
    if stdout().flush().is_err() || stdin().read_line(&mut answer).is_err() {
        return false;
    }
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

/// The value of a request that may find nothing.
fn found<T>(answer: Result<T, RequestError>) -> Result<Option<T>, RequestError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.status() == Some(404) => Ok(None),
        Err(error) => Err(error),
    }
}
