//! `gather provisioner`.

use std::io::{Read, Write};

use anyhow::{Result, bail};
use clap::Args;
use provisioner::service::{Service, ServiceOptions};
use tokio::sync::oneshot;

use super::process::{Signals, runtime, start_logging};
use crate::config::{Grace, LogSettings, ProvisionerProcess, ProvisionerSettings};

/// How containers are made. It takes neither a database nor the master key.
#[derive(Args, Debug)]
pub struct Provisioner {
    #[command(flatten)]
    process: ProvisionerProcess,

    #[command(flatten)]
    provisioner: ProvisionerSettings,

    #[command(flatten)]
    grace: Grace,

    #[command(flatten)]
    log: LogSettings,
}

/// Makes and removes the containers of claws until a signal comes.
pub fn run(settings: &Provisioner) -> Result<()> {
    start_logging(&settings.log)?;
    let process = &settings.process;
    runtime()?.block_on(async {
        let mut signals = Signals::new()?;
        let service = Service::start(ServiceOptions {
            listen: process.provisioner_listen,
            key: process.provisioner_key.clone(),
            socket: settings.provisioner.container_socket.clone(),
            platform_url: process.public_url.trim_end_matches('/').to_owned(),
            resolve: None,
        })
        .await?;
        tracing::info!(address = %service.address(), "making containers");
        if process.child {
            println!("{}", service.address());
            std::io::stdout().flush()?;
        }
        tokio::select! {
            () = signals.next() => {}
            () = parents_end(), if process.child => {}
        }
        tokio::select! {
            () = service.shutdown(settings.grace.grace) => Ok(()),
            () = signals.next() => bail!("stopped at once: requests in flight were cut off"),
        }
    })
}

/// Waits until the process that started this one is gone, and with it the other end of the standard input. The thread that
/// reads is not a task of the runtime, which could not end before it.
async fn parents_end() {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while std::io::stdin()
            .read(&mut buffer)
            .is_ok_and(|read| read > 0)
        {}
        _ = sender.send(());
    });
    _ = receiver.await;
}
