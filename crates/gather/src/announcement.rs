//! Services within `gather up`, found by the commands that share its state folder.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};

/// The time that a service of this machine has to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);

/// A service that is within `gather up`, or a process of its own.
pub struct Kind {
    /// In the state folder: the file with the address of the one within `gather up`.
    pub file: &'static str,
    /// Where the process of its own listens, unless it is told otherwise.
    pub usual_url: &'static str,
}

/// Tells the commands that share a state folder where a service within `gather up` listens, until it is dropped.
pub struct Announcement {
    file: PathBuf,
    address: String,
}

impl Announcement {
    /// Writes the address down.
    pub fn make(state: &Path, kind: &Kind, address: SocketAddr) -> Result<Self> {
        let (file, address) = (state.join(kind.file), address.to_string());
        fs::write(&file, &address).with_context(|| format!("can't write {}", file.display()))?;
        Ok(Self { file, address })
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        // Another `gather up` over the same folder may have written its own.
        if fs::read_to_string(&self.file).is_ok_and(|address| address == self.address) {
            // One that stays behind names nobody who answers.
            _ = fs::remove_file(&self.file);
        }
    }
}

/// Where the functions reach a service: as configured, or within the `gather up` that runs over the same state folder,
/// or where it usually is.
pub fn url(configured: Option<&str>, state: &Path, kind: &Kind) -> String {
    found(configured, state, kind).unwrap_or_else(|| kind.usual_url.to_owned())
}

/// Where a service that may be missing is: as configured, or within the `gather up` that runs over the same state folder.
pub fn found(configured: Option<&str>, state: &Path, kind: &Kind) -> Option<String> {
    let configured = configured.map(str::to_owned);
    configured.or_else(|| Some(format!("http://{}", announced(state, kind)?)))
}

fn announced(state: &Path, kind: &Kind) -> Option<SocketAddr> {
    let address = fs::read_to_string(state.join(kind.file)).ok()?;
    let address = address.parse().ok()?;
    TcpStream::connect_timeout(&address, ANSWERS_WITHIN).ok()?;
    Some(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    const KIND: Kind = Kind {
        file: "service.address",
        usual_url: "http://127.0.0.1:1",
    };

    #[test]
    fn an_address_is_told_while_somebody_answers_there() {
        let state = tempfile::tempdir().unwrap();
        let announced = || announced(state.path(), &KIND);
        assert_eq!(announced(), None);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let first = Announcement::make(state.path(), &KIND, address).unwrap();
        assert_eq!(announced(), Some(address));
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let second = Announcement::make(state.path(), &KIND, other.local_addr().unwrap()).unwrap();
        drop(first);
        assert_eq!(announced(), other.local_addr().ok());
        drop(other);
        assert_eq!(announced(), None, "nobody answers");
        assert_eq!(url(None, state.path(), &KIND), "http://127.0.0.1:1");
        assert_eq!(url(Some("http://x"), state.path(), &KIND), "http://x");
        drop(second);
        assert!(!state.path().join(KIND.file).exists());
    }
}
