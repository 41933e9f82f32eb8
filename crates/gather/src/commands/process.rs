//! The parts that commands have in common as processes: a runtime, a log, signals and an address.

use std::{
    io::IsTerminal,
    net::{SocketAddr, TcpListener},
};

use anyhow::{Context, Result, anyhow};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer, layer::SubscriberExt, registry::LookupSpan, util::SubscriberInitExt,
};

use crate::{
    config::{LogFormat, LogSettings},
    traces,
};

/// Makes a runtime with as many threads as cores.
pub fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("can't start the runtime")
}

/// Logs to the standard error from now on, and exports traces if a collector is named.
pub fn start_logging(settings: &LogSettings) -> Result<()> {
    let filter = EnvFilter::try_new(&settings.log).with_context(|| {
        format!(
            "--log {:?} is not a filter; try info,sqlx=warn",
            settings.log
        )
    })?;
    let terminal = std::io::stderr().is_terminal();
    let format = settings.log_format.unwrap_or(if terminal {
        LogFormat::Pretty
    } else {
        LogFormat::Json
    });
    let registry = tracing_subscriber::registry();
    let started = match traces::layer()? {
        None => registry.with(filter).with(log(format, terminal)).try_init(),
        Some(traces) => registry
            .with(log(format, terminal).with_filter(filter))
            .with(traces)
            .try_init(),
    };
    started.map_err(|error| anyhow!("can't start logging: {error}"))
}

/// The lines of the log.
fn log<S>(format: LogFormat, terminal: bool) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let log = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(terminal);
    match format {
        LogFormat::Pretty => log.with_target(false).boxed(),
        LogFormat::Json => log.json().flatten_event(true).with_span_list(false).boxed(),
    }
}

/// The signals that end the process.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Catches the signals from now on.
    pub fn new() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Takes the port for a moment, so that a used port is reported before a long build, and port 0 is replaced by a free
/// one.
pub fn reserve(address: SocketAddr) -> Result<SocketAddr> {
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

/// The loopback address of a listener that may be on all addresses.
pub fn reachable(listen: SocketAddr) -> SocketAddr {
    let mut address = listen;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
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
