//! Listeners within the network of another process.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use nix::sched::{CloneFlags, setns};

/// The network of a process, which stays the same one even if the number of the process is given to another.
pub struct Network(File);

impl Network {
    /// Opens the network of a process. Who needs to be sure looks afterwards whether the process still has this number.
    ///
    /// # Errors
    /// The process is gone, or this one may not look into it.
    pub fn of(process: i64) -> io::Result<Self> {
        let file: PathBuf = ["/proc", &process.to_string(), "ns/net"].iter().collect();
        File::open(file).map(Self)
    }

    /// Listens within the network, from a thread that ends: a thread that has entered another network stays there.
    ///
    /// # Errors
    /// This process may not enter the network, or the address is taken there.
    pub async fn listen(self, address: SocketAddr) -> io::Result<tokio::net::TcpListener> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let thread = std::thread::Builder::new().name("way-out".to_owned());
        thread.spawn(move || {
            let listen = || {
                setns(&self.0, CloneFlags::CLONE_NEWNET)?;
                let listener = TcpListener::bind(address)?;
                listener.set_nonblocking(true)?;
                Ok::<_, io::Error>(listener)
            };
            // The receiver is gone if nobody waits any more.
            _ = sender.send(listen());
        })?;
        let listener = receiver.await.map_err(io::Error::other)??;
        tokio::net::TcpListener::from_std(listener)
    }
}
