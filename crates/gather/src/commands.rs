//! What each command does.

use std::{
    collections::BTreeMap,
    io::IsTerminal,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
};

use ::sandbox::service::Service as Sandbox;
use anyhow::{Context, Result, anyhow, bail};
use host::jobs::JobWorker;
use sqlx::{Connection, Executor};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;
use url::Url;

use crate::{
    admin, agent, audit, build,
    cli::{Cli, Command, Keys},
    config::{LogFormat, LogSettings, Settings},
    database::{Database, check_for_functions},
    doctor, health,
    manifest::Manifest,
    migrate,
    realtime::{self, Realtime},
    sandbox,
    secrets::{self, Deployment, MasterKey},
    serve, skill, webhook,
};

/// Runs the command; `false` is a failure that has been explained already.
pub fn run(cli: Cli) -> Result<bool> {
    match cli.command {
        None => up(&cli.settings)?,
        Some(Command::Up(settings)) => up(&settings)?,
        Some(Command::Serve(settings)) => serve(&settings)?,
        Some(Command::Build { release, settings }) => {
            build::run(&settings.manifest()?, release)?;
        }
        Some(Command::Migrate(settings)) => migrate_only(&settings)?,
        Some(Command::Worker(settings)) => worker(&settings)?,
        Some(Command::Sandbox(settings)) => sandbox(&settings)?,
        Some(Command::Realtime(settings)) => realtime_only(&settings)?,
        Some(Command::SandboxChild { work }) => sandbox::child(work)?,
        Some(Command::Doctor(settings)) => return runtime()?.block_on(doctor::run(&settings)),
        Some(Command::Variables(settings)) => variables(&settings)?,
        Some(Command::Keys(Keys::Rotate(settings))) => rotate(&settings)?,
        Some(Command::Admin(command)) => runtime()?.block_on(admin::run(command))?,
        Some(Command::Audit(command)) => return runtime()?.block_on(audit::run(command)),
        Some(Command::Agent(command)) => agent::run(command)?,
        Some(Command::Skill(command)) => return skill::run(command),
        Some(Command::Webhook(command)) => webhook::run(&command)?,
        Some(Command::Hook(command)) => webhook::run_hook(&command)?,
    }
    Ok(true)
}

/// What every run that touches the database needs.
struct Setup {
    manifest: Manifest,
    state: PathBuf,
    key: MasterKey,
}

impl Setup {
    fn new(settings: &Settings) -> Result<Self> {
        let manifest = settings.manifest()?;
        let state = settings.state_dir(&manifest)?;
        let key = settings.master_key(&manifest)?;
        Ok(Self {
            manifest,
            state,
            key,
        })
    }
}

fn up(settings: &Settings) -> Result<()> {
    start_logging(&settings.log)?;
    settings.mail().check()?;
    settings.oidc_variables()?;
    let listen = reserve(settings.listen)?;
    let setup = Setup::new(settings)?;
    Database::prepare(settings, &setup.state)?;
    build::ensure_fresh(&setup.manifest)?;
    runtime()?.block_on(serve_over_database(
        settings,
        &setup,
        listen,
        Schema::Migrate,
    ))
}

fn serve(settings: &Settings) -> Result<()> {
    start_logging(&settings.log)?;
    settings.oidc_variables()?;
    let listen = reserve(settings.listen)?;
    let setup = Setup::new(settings)?;
    Database::prepare(settings, &setup.state)?;
    runtime()?.block_on(serve_over_database(settings, &setup, listen, Schema::Check))
}

/// What to do about the schema before serving.
#[derive(Clone, Copy, PartialEq)]
enum Schema {
    Migrate,
    Check,
}

/// Starts the database, serves until a signal comes, and stops the database last, whatever happened.
async fn serve_over_database(
    settings: &Settings,
    setup: &Setup,
    listen: SocketAddr,
    schema: Schema,
) -> Result<()> {
    let mut signals = Signals::new()?;
    let database = Database::open(settings, &setup.state)?;
    let started = tokio::select! {
        host = start_serving(settings, setup, &database, listen, schema) => Some(host),
        () = signals.next() => None,
    };
    let served = match started {
        Some(Ok(Started {
            host,
            worker,
            sandbox,
            realtime,
            _announced,
        })) => {
            let reporter = tokio::spawn(health::report_disk(
                database.url.clone(),
                setup.state.clone(),
            ));
            signals.next().await;
            let stop = async {
                let jobs = async {
                    if let Some(worker) = worker {
                        worker.shutdown(settings.grace).await;
                    }
                };
                // First, so that clients come back to another gateway while this one still serves them.
                if let Some(realtime) = realtime {
                    realtime.stop().await;
                }
                tokio::join!(host.stop(settings.drain_delay, settings.grace), jobs);
                // Last: requests and jobs in flight may still call skills.
                if let Some(sandbox) = sandbox {
                    sandbox.shutdown(settings.grace).await;
                }
            };
            tokio::select! {
                () = stop => {}
                () = signals.next() => {
                    database.request_stop();
                    bail!("stopped at once: requests and jobs in flight were cut off");
                }
            }
            reporter.abort();
            Ok(())
        }
        Some(Err(error)) => Err(error),
        None => Ok(()),
    };
    database.close()?;
    served
}

/// What runs in this process.
struct Started {
    host: serve::Serving,
    worker: Option<JobWorker>,
    sandbox: Option<Sandbox>,
    realtime: Option<Realtime>,
    _announced: Option<sandbox::Announcement>,
}

async fn start_serving(
    settings: &Settings,
    setup: &Setup,
    database: &Database,
    listen: SocketAddr,
    schema: Schema,
) -> Result<Started> {
    match schema {
        Schema::Migrate => {
            // Before the wait for a server that does not answer yet, and once it does.
            check_for_functions(&database.url).await?;
            database.wait().await?;
            check_for_functions(&database.url).await?;
            migrate::run(&database.url, &setup.manifest, &setup.key).await?;
        }
        Schema::Check => match check_schema(&database.url).await {
            // Served all the same: readiness says so, and the database may come back.
            Err(error) if error.is::<migrate::Unreachable>() => tracing::warn!("{error:#}"),
            checked => checked?,
        },
    }
    let public_url = settings.public_url(listen);
    let sandbox = if schema == Schema::Migrate && settings.sandbox_url.is_none() {
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        Some(start_sandbox(settings, setup, &database.url, any_port, &public_url).await?)
    } else {
        None
    };
    let announced = sandbox
        .as_ref()
        .map(|sandbox| sandbox::Announcement::make(&setup.state, sandbox.address()))
        .transpose()?;
    let sandbox_url = match &sandbox {
        Some(sandbox) => format!("http://{}", sandbox.address()),
        None => sandbox::url(settings, &setup.state),
    };
    let variables = function_variables(settings, setup, &database.url, &public_url, &sandbox_url)?;
    let realtime = match schema {
        Schema::Migrate => Some(Realtime::start(realtime::Start {
            database: &database.url,
            key: &setup.key,
            functions_url: format!("http://{}", reachable(listen)),
            public_url: public_url.clone(),
            limits: Default::default(),
        })?),
        Schema::Check => None,
    };
    let serving = serve::start(
        settings,
        setup.manifest.path.clone(),
        setup.state.clone(),
        listen,
        variables.clone(),
        schema == Schema::Migrate,
        realtime.as_ref().map(Realtime::routes).unwrap_or_default(),
    )
    .await?;
    if schema == Schema::Check {
        tracing::info!(address = %serving.address, public_url, "serving");
        return Ok(Started {
            host: serving,
            worker: None,
            sandbox,
            realtime,
            _announced: announced,
        });
    }
    let worker = start_worker(settings, setup, &database.url, variables, Some(&serving)).await?;
    let url = settings.public_url(serving.address);
    let link = admin::first_link(&database.url, &setup.key, &url).await;
    let link = link.unwrap_or_else(|error| {
        tracing::warn!("can't tell whether there is an admin: {error:#}");
        None
    });
    greet(&url, link.as_ref());
    Ok(Started {
        host: serving,
        worker: Some(worker),
        sandbox,
        realtime,
        _announced: announced,
    })
}

/// An address of this machine for a listener that may be on all of them.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let mut address = listen;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// Whether functions can work with the database as it is.
async fn check_schema(database: &Url) -> Result<()> {
    check_for_functions(database).await?;
    migrate::check(database).await
}

fn function_variables(
    settings: &Settings,
    setup: &Setup,
    database: &Url,
    public_url: &str,
    sandbox_url: &str,
) -> Result<BTreeMap<String, String>> {
    let deployment = Deployment {
        public_url,
        sandbox_url,
        cors_origins: &settings.cors_origins,
        trusted_proxies: &settings.trusted_proxies,
        rate_limits: &settings.rate_limits,
    };
    let mut variables =
        secrets::function_variables(&setup.manifest, database, &setup.key, deployment)?;
    variables.extend(settings.llm_variables()?);
    variables.extend(settings.oidc_variables()?);
    variables.extend(settings.webhook_variables());
    Ok(variables)
}

async fn start_sandbox(
    settings: &Settings,
    setup: &Setup,
    database: &Url,
    listen: SocketAddr,
    server: &str,
) -> Result<Sandbox> {
    let server = server.to_owned();
    sandbox::start_as_configured(settings, &setup.state, database, &setup.key, listen, server).await
}

/// The database that is there, with the schema of this command. One that does not answer may come back.
async fn find_database(settings: &Settings, setup: &Setup) -> Result<Url> {
    let database = Database::find(settings, &setup.state)?;
    match migrate::check(&database).await {
        Err(error) if error.is::<migrate::Unreachable>() => tracing::warn!("{error:#}"),
        checked => checked?,
    }
    Ok(database)
}

/// Runs skills until a signal comes.
fn sandbox(settings: &Settings) -> Result<()> {
    start_logging(&settings.log)?;
    let setup = Setup::new(settings)?;
    runtime()?.block_on(async {
        let mut signals = Signals::new()?;
        let database = find_database(settings, &setup).await?;
        let public_url = settings.public_url(settings.listen);
        let sandbox = start_sandbox(
            settings,
            &setup,
            &database,
            settings.sandbox_listen,
            &public_url,
        )
        .await?;
        tracing::info!(address = %sandbox.address(), "running skills");
        signals.next().await;
        tracing::info!("stopping; calls in flight are finished first, Ctrl-C again stops at once");
        tokio::select! {
            () = sandbox.shutdown(settings.grace) => Ok(()),
            () = signals.next() => bail!("stopped at once: calls in flight were cut off"),
        }
    })
}

/// Holds sockets and streams until a signal comes.
fn realtime_only(settings: &Settings) -> Result<()> {
    start_logging(&settings.log)?;
    let setup = Setup::new(settings)?;
    runtime()?.block_on(async {
        let mut signals = Signals::new()?;
        let database = find_database(settings, &setup).await?;
        let public_url = settings.public_url(settings.listen);
        let realtime = Realtime::start(realtime::Start {
            database: &database,
            key: &setup.key,
            functions_url: public_url.clone(),
            public_url,
            limits: Default::default(),
        })?;
        let address = realtime.listen(settings.realtime_listen).await?;
        tracing::info!(%address, "holding sockets");
        signals.next().await;
        realtime.stop().await;
        Ok(())
    })
}

async fn start_worker(
    settings: &Settings,
    setup: &Setup,
    database: &Url,
    variables: BTreeMap<String, String>,
    host: Option<&serve::Serving>,
) -> Result<JobWorker> {
    serve::start_worker(
        settings,
        setup.manifest.path.clone(),
        &setup.state,
        database,
        &setup.key,
        variables,
        host,
    )
    .await
}

/// Runs jobs until a signal comes.
fn worker(settings: &Settings) -> Result<()> {
    start_logging(&settings.log)?;
    settings.mail().check()?;
    let setup = Setup::new(settings)?;
    runtime()?.block_on(async {
        let mut signals = Signals::new()?;
        let database = Database::find(settings, &setup.state)?;
        match check_schema(&database).await {
            // It goes on trying: the database may come back.
            Err(error) if error.is::<migrate::Unreachable>() => tracing::warn!("{error:#}"),
            checked => checked?,
        }
        let public_url = settings.public_url(settings.listen);
        let sandbox_url = sandbox::url(settings, &setup.state);
        let variables = function_variables(settings, &setup, &database, &public_url, &sandbox_url)?;
        let worker = start_worker(settings, &setup, &database, variables, None).await?;
        signals.next().await;
        tracing::info!("stopping; running jobs are finished first, Ctrl-C again stops at once");
        tokio::select! {
            () = worker.shutdown(settings.grace) => Ok(()),
            () = signals.next() => bail!("stopped at once: other workers take the running jobs over"),
        }
    })
}

fn greet(url: &str, admin: Option<&admin::Link>) {
    println!(
        "\nGather serves {url} (Ctrl-C stops it). Try next:\n\n  \
         curl {url}/api/health/status\n  \
         gather agent register --name ada --server {url}   (cargo run -- agent register …)\n  \
         {url}/docs   the API\n"
    );
    if let Some(link) = admin {
        println!(
            "No admin yet. Make one at {} (works once, for an hour)\n",
            link.url
        );
    }
}

/// Takes the port for a moment: to say at once, before a long build, that it is in use, and to choose one where 0 was asked for.
fn reserve(address: SocketAddr) -> Result<SocketAddr> {
    let listener = TcpListener::bind(address).map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => anyhow!(
            "{address} is in use, perhaps by another `gather`; stop that one (`ss -ltnp 'sport = :{port}'` names it), \
             or choose another address with --listen or GATHER_LISTEN, for example --listen {ip}:{next}",
            port = address.port(),
            ip = address.ip(),
            next = address.port().checked_add(1).unwrap_or(3000),
        ),
        std::io::ErrorKind::PermissionDenied => anyhow!("{address} is reserved for root; choose a port from 1024 on with --listen"),
        _ => anyhow!("can't listen on {address}: {error}; choose another address with --listen"),
    })?;
    Ok(listener.local_addr()?)
}

fn migrate_only(settings: &Settings) -> Result<()> {
    start_logging(&settings.log)?;
    let setup = Setup::new(settings)?;
    runtime()?.block_on(async {
        let database = Database::open(settings, &setup.state)?;
        let outcome = async {
            database.wait().await?;
            migrate::run(&database.url, &setup.manifest, &setup.key).await
        };
        let outcome = outcome.await;
        database.close()?;
        outcome?;
        println!("The database has the newest schema.");
        Ok(())
    })
}

fn variables(settings: &Settings) -> Result<()> {
    let setup = Setup::new(settings)?;
    let database = Database::find(settings, &setup.state)?;
    let public_url = settings.public_url(settings.listen);
    let sandbox_url = sandbox::url(settings, &setup.state);
    for (name, value) in function_variables(settings, &setup, &database, &public_url, &sandbox_url)?
    {
        println!(
            "export SPIN_VARIABLE_{}='{}'",
            name.to_uppercase(),
            value.replace('\'', r"'\''")
        );
    }
    if std::io::stdout().is_terminal() {
        eprintln!("These are secrets, for: eval \"$(gather variables)\" && spin up");
    }
    Ok(())
}

fn rotate(settings: &Settings) -> Result<()> {
    start_logging(&settings.log)?;
    let manifest = settings.manifest()?;
    let state = settings.state_dir(&manifest)?;
    runtime()?.block_on(async {
        let rotated = Database::during(settings, &state, async |database| {
            let mut connection = migrate::connect(database).await?;
            connection.execute("select identity.rotate_signing_key()").await.context("the keys could not be rotated; is the database migrated?")?;
            connection.close().await.context("the connection broke")
        });
        rotated.await?;
        println!("New tokens are signed with a new key. The old one verifies until the last token that it signed has expired.");
        Ok(())
    })
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("can't start the runtime")
}

fn start_logging(settings: &LogSettings) -> Result<()> {
    let filter = EnvFilter::try_new(&settings.log)
        .with_context(|| format!("--log {:?} is no filter; try info,sqlx=warn", settings.log))?;
    let terminal = std::io::stderr().is_terminal();
    let format = settings.log_format.unwrap_or(if terminal {
        LogFormat::Pretty
    } else {
        LogFormat::Json
    });
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(terminal);
    let started = match format {
        LogFormat::Pretty => log.with_target(false).try_init(),
        LogFormat::Json => log
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .try_init(),
    };
    started.map_err(|error| anyhow!("can't start logging: {error}"))
}

/// The signals that end us.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_explained() {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = other.local_addr().unwrap();
        let error = reserve(address).unwrap_err().to_string();
        assert!(
            error.contains("in use") && error.contains("--listen"),
            "{error}"
        );
        drop(other);
        assert_eq!(reserve(address).unwrap(), address);
        assert_ne!(reserve("127.0.0.1:0".parse().unwrap()).unwrap().port(), 0);
    }
}
