//! Free ports of this machine.

use std::{
    io,
    net::Ipv4Addr,
    ops::Range,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result};
use tokio::net::TcpSocket;

/// The ports for databases.
pub const DATABASES: Range<u16> = 10_000..12_000;
/// The ports for the servers of tests.
pub const TESTS: Range<u16> = 12_000..32_000;

/// Finds a port that nothing listens on. The system gives none of these to connections by itself (on Linux those from
/// 32768 up), so a server that restarts finds its port again.
pub fn free(range: Range<u16>) -> Result<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let count = u32::from(range.end - range.start);
    let first = std::process::id().wrapping_mul(97);
    (0..count)
        .filter_map(|_| {
            let next = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
            u16::try_from(next % count).ok()
        })
        .map(|offset| range.start + offset)
        .find(|port| is_free(*port).is_ok())
        .context("no free port on the loopback interface")
}

/// Whether a port is free. This does not listen, since a process that is just being started inherits open sockets until
/// it runs its own program, and would keep the port in use.
fn is_free(port: u16) -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into())
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, process::Command, thread};

    use super::*;

    #[test]
    fn a_port_with_a_listener_is_not_free() -> Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, free(TESTS)?))?;
        assert!(is_free(listener.local_addr()?.port()).is_err());
        Ok(())
    }

    #[test]
    fn a_free_port_can_be_had_while_processes_start() -> Result<()> {
        let started = thread::spawn(|| {
            (0..200).all(|_| {
                Command::new("true")
                    .status()
                    .is_ok_and(|status| status.success())
            })
        });
        let mut looked = 0;
        while !started.is_finished() || looked < 200 {
            let port = free(TESTS)?;
            TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
            looked += 1;
        }
        assert!(
            started.join().is_ok_and(|all| all),
            "no processes were started"
        );
        Ok(())
    }
}
