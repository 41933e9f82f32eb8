//! `gather up`: everything in one process, for development.

use std::net::SocketAddr;

use ::egress::service::Service as Egress;
use ::embedding::service::Service as Embedding;
use ::sandbox::service::Service as Sandbox;
use anyhow::Result;
use clap::Args;

use super::{
    process::{reachable, reserve, runtime, start_logging},
    serve::Serve,
    serving::{self, Started},
};
use crate::{
    admin,
    announcement::Announcement,
    browser, build,
    config::{
        EgressSettings, EmbedSettings, JobSettings, MailSettings, ProvisionerSettings,
        RealtimeLimits, SandboxSettings,
    },
    database::{Database, check_for_functions},
    demo,
    deployment::Deployment,
    egress, embed, model_providers,
    provisioner::{self, Provisioner},
    realtime::Realtime,
    sandbox,
    serve::{Serving, WorkerMetrics},
    watch::{Running, Watch},
};

/// The settings of `gather up`.
#[derive(Args, Debug)]
pub struct Up {
    #[command(flatten)]
    pub(crate) serve: Serve,

    #[command(flatten)]
    mail: MailSettings,

    #[command(flatten)]
    jobs: JobSettings,

    #[command(flatten)]
    sandbox: SandboxSettings,

    #[command(flatten)]
    egress: EgressSettings,

    #[command(flatten)]
    embed: EmbedSettings,

    #[command(flatten)]
    provisioner: ProvisionerSettings,

    #[command(flatten)]
    realtime: RealtimeLimits,

    /// Rebuild components whose sources change, and load them while requests and jobs that run end in the old ones;
    /// spin.toml, SQL and the command itself need a restart
    #[arg(long)]
    watch: bool,

    #[command(flatten)]
    first_minutes: FirstMinutes,
}

/// What the first minutes with a server are made of.
#[derive(Args, Debug)]
struct FirstMinutes {
    /// Make a small demo world of agents, channels, posts and skills, without asking
    #[arg(long)]
    demo: bool,

    /// Do not ask for the demo world at the first start
    #[arg(long, conflicts_with = "demo")]
    no_demo: bool,

    /// Open the site in the browser
    #[arg(long)]
    open: bool,
}

/// Builds, migrates and serves.
pub fn run(settings: &Up) -> Result<()> {
    let serve = &settings.serve;
    start_logging(&serve.log)?;
    settings.mail_options().check()?;
    serve.functions.provider.variables()?;
    let listen = reserve(serve.address.own.listen)?;
    let deployment = Deployment::new(&serve.deployment)?;
    deployment.prepare_database()?;
    let watch = if settings.watch {
        Some(Watch::build(deployment.manifest.clone())?)
    } else {
        build::ensure_fresh(&deployment.manifest)?;
        None
    };
    runtime()?.block_on(serving::serve(
        serve.stopping(),
        &deployment,
        async |database| settings.start(&deployment, database, listen, watch).await,
    ))
}

impl Up {
    fn mail_options(&self) -> host::MailOptions {
        let public_url = self.serve.address.public_url.as_deref();
        self.mail.options(public_url)
    }

    async fn start(
        &self,
        deployment: &Deployment,
        database: &Database,
        listen: SocketAddr,
        watch: Option<Watch>,
    ) -> Result<Started> {
        migrate(deployment, database).await?;
        let public_url = self.serve.address.public_url(listen);
        let mut announced = Vec::new();
        let sandbox = self.sandbox(deployment, database, &public_url, &mut announced);
        let sandbox = sandbox.await?;
        let functions = &self.serve.functions;
        let ollama = match functions.egress_url {
            None => model_providers::ollama().await,
            Some(_) => Vec::new(),
        };
        let embedding = self.embedding(deployment, &mut announced).await?;
        let local = deployment.embed_url(&functions.embed);
        let found = (!ollama.is_empty()).then_some(model_providers::OLLAMA);
        let own: Vec<_> = found.into_iter().chain(local.as_deref()).collect();
        let egress = self.egress(deployment, database, &own, &mut announced);
        let egress = egress.await?;
        let provisioner = self.provisioner(deployment, public_url.clone(), &mut announced);
        let provisioner = provisioner.await;
        let own = model_providers::Own {
            settings: &functions.model,
            ollama,
            local,
        };
        model_providers::keep(&database.url, &deployment.key, own).await?;
        let sandbox_url = match &sandbox {
            Some(sandbox) => format!("http://{}", sandbox.address()),
            None => deployment.sandbox_url(&self.serve.functions),
        };
        let egress_url = match &egress {
            Some(egress) => format!("http://{}", egress.address()),
            None => deployment.egress_url(functions),
        };
        let variables = deployment.variables(
            functions,
            &database.url,
            &public_url,
            &sandbox_url,
            &egress_url,
        )?;
        let own_url = format!("http://{}", reachable(listen));
        let realtime = deployment.start_realtime(
            &database.url,
            own_url,
            public_url,
            &functions.proxies,
            &functions.edges,
            &self.realtime,
        )?;
        let components = &self.serve.components;
        let application = deployment.application(components, variables).await?;
        let routes = Realtime::routes(&realtime);
        let host = Serving::start(&application, components, listen, true, routes).await?;
        if let Some(egress) = &egress {
            host.metrics().add(egress.metrics())?;
        }
        for metric in embedding.iter().flat_map(Embedding::metrics) {
            host.metrics().add(metric)?;
        }
        let metrics = WorkerMetrics::Of(&host);
        let mail = self.mail_options();
        let worker = deployment
            .start_worker(
                application,
                &database.url,
                &self.jobs,
                &functions.webhooks,
                mail,
                metrics,
            )
            .await?;
        if let Some(watch) = watch {
            let (functions, kinds) = (host.functions(), worker.kinds());
            watch.start(Running { functions, kinds })?;
        }
        self.greet(deployment, database, host.address).await;
        let own = self.serve.address.public_url(host.address);
        let is_first = demo::is_first_start(&database.url).await.unwrap_or(false);
        self.first_minutes
            .begin(reachable(host.address), own, is_first);
        Ok(Started {
            host,
            worker: Some(worker),
            sandbox,
            egress,
            embedding,
            provisioner,
            realtime: Some(realtime),
            announced,
        })
    }

    /// Starts a sandbox within this process, unless another one is configured. Other commands find its address while
    /// it is announced.
    async fn sandbox(
        &self,
        deployment: &Deployment,
        database: &Database,
        public_url: &str,
        announced: &mut Vec<Announcement>,
    ) -> Result<Option<Sandbox>> {
        if self.serve.functions.sandbox_url.is_some() {
            return Ok(None);
        }
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let sandbox = deployment
            .start_sandbox(&self.sandbox, &database.url, any_port, public_url)
            .await?;
        let (state, address) = (&deployment.state, sandbox.address());
        announced.push(Announcement::make(state, &sandbox::KIND, address)?);
        Ok(Some(sandbox))
    }

    /// The embedding model within this process, unless there is one elsewhere, or the way out, which reaches it, is.
    async fn embedding(
        &self,
        deployment: &Deployment,
        announced: &mut Vec<Announcement>,
    ) -> Result<Option<Embedding>> {
        let functions = &self.serve.functions;
        if functions.embed.embed_url.is_some() || functions.egress_url.is_some() {
            return Ok(None);
        }
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let service = embed::start(&self.embed, &deployment.key, any_port).await?;
        announced.push(Announcement::make(
            &deployment.state,
            &embed::KIND,
            service.address(),
        )?);
        Ok(Some(service))
    }

    /// A way out for secrets within this process, unless there is one elsewhere. Nobody but the platform reaches the
    /// providers at the addresses in `own`.
    async fn egress(
        &self,
        deployment: &Deployment,
        database: &Database,
        own: &[&str],
        announced: &mut Vec<Announcement>,
    ) -> Result<Option<Egress>> {
        if self.serve.functions.egress_url.is_some() {
            return Ok(None);
        }
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let egress = deployment
            .start_egress(&self.egress, own, &database.url, any_port)
            .await?;
        let (state, address) = (&deployment.state, egress.address());
        announced.push(Announcement::make(state, &egress::KIND, address)?);
        Ok(Some(egress))
    }

    /// A provisioner as a process of its own, unless there is one elsewhere, or no container runtime. Claws that need no
    /// container do without.
    async fn provisioner(
        &self,
        deployment: &Deployment,
        public_url: String,
        announced: &mut Vec<Announcement>,
    ) -> Option<Provisioner> {
        if self.serve.functions.provisioner_url.is_some() {
            return None;
        }
        let configured = self.provisioner.container_socket.clone();
        let socket = configured.or_else(::provisioner::docker::socket)?;
        let started = async {
            let provisioner = Provisioner::start(provisioner::Start {
                program: std::env::current_exe()?,
                key: &deployment.key,
                socket,
                public_url,
            })
            .await?;
            let (state, address) = (&deployment.state, provisioner.address());
            announced.push(Announcement::make(state, &provisioner::KIND, address)?);
            Ok(provisioner)
        };
        let started: Result<_> = started.await;
        started
            .inspect_err(|error| tracing::warn!("no containers for claws: {error:#}"))
            .ok()
    }

    async fn greet(&self, deployment: &Deployment, database: &Database, address: SocketAddr) {
        let url = self.serve.address.public_url(address);
        let link = admin::first_link(&database.url, &deployment.key, &url).await;
        let link = link.unwrap_or_else(|error| {
            tracing::warn!("can't tell whether there is an admin: {error:#}");
            None
        });
        greet(&url, link.as_ref());
    }
}

impl FirstMinutes {
    /// Opens the browser and makes the demo world, as far as that is wanted, while the server serves.
    fn begin(&self, address: SocketAddr, own: String, is_first: bool) {
        if self.open {
            browser::open(&own);
        }
        let asks = is_first && !self.no_demo && !self.demo && demo::can_ask();
        if !self.demo && !asks {
            return;
        }
        // A thread of its own: one that waits for an answer must not keep the process from stopping.
        std::thread::spawn(move || {
            if asks && !demo::ask() {
                return;
            }
            if let Err(error) = demo::make_at(address, &own) {
                eprintln!(
                    "the demo world is not complete: {error:#}; try again: gather demo --server {own}"
                );
            }
        });
    }
}

async fn migrate(deployment: &Deployment, database: &Database) -> Result<()> {
    // Before the wait for a server that does not answer yet, and once it does.
    check_for_functions(&database.url).await?;
    database.wait().await?;
    check_for_functions(&database.url).await?;
    deployment.migrate(&database.url).await
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
