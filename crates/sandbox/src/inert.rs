//! The substitutes for what a skill was not granted: a clock that stands still, random
//! numbers that follow from the call, and output that is kept up to a bound.

use axum::body::Bytes;
use rand::{SeedableRng, TryRng, rngs::StdRng};
use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    HostMonotonicClock, HostWallClock, async_trait,
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamError, StreamResult},
};

/// The time of a clock that stands still, 2026-01-01T00:00:00Z.
const FIXED_TIME: Duration = Duration::from_secs(1_767_225_600);
/// The number of bytes that a call may write to stdout and stderr together; a call that writes more is ended.
pub const MAX_LOG_BYTES: usize = 64 << 10;

/// A flag that is set when something was used.
pub type Used = Arc<AtomicBool>;

/// The clocks of a skill, which are real if that was granted.
#[derive(Clone)]
pub struct Clock {
    /// The time at which the call began; `None` if the clock stands still.
    pub since: Option<Instant>,
    /// Whether the skill asked for the time.
    pub used: Used,
}

impl HostWallClock for Clock {
    fn resolution(&self) -> Duration {
        Duration::from_micros(1)
    }

    fn now(&self) -> Duration {
        self.used.store(true, Relaxed);
        match self.since {
            Some(_) => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
            None => FIXED_TIME,
        }
    }
}

impl HostMonotonicClock for Clock {
    fn resolution(&self) -> u64 {
        1_000
    }

    fn now(&self) -> u64 {
        self.used.store(true, Relaxed);
        self.since.map_or(0, |since| {
            u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
        })
    }
}

/// Random numbers that follow from a seed.
pub struct Random {
    numbers: StdRng,
    used: Used,
}

impl Random {
    /// Makes the numbers from a seed of 32 bytes.
    pub fn new(seed: [u8; 32], used: Used) -> Self {
        Self {
            numbers: StdRng::from_seed(seed),
            used,
        }
    }
}

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.used.store(true, Relaxed);
        self.numbers.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.used.store(true, Relaxed);
        self.numbers.try_next_u64()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.used.store(true, Relaxed);
        self.numbers.try_fill_bytes(bytes)
    }
}

/// The output of a skill on stdout and stderr, together.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Written>>);

#[derive(Default)]
struct Written {
    bytes: Vec<u8>,
    overflowed: bool,
}

impl Log {
    /// The output as text.
    #[must_use]
    pub fn text(&self) -> String {
        let written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&written.bytes).into_owned()
    }

    /// Whether the skill tried to write more than it may.
    #[must_use]
    pub fn has_overflowed(&self) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .overflowed
    }
}

impl Log {
    /// Keeps the bytes that there is room for. Returns whether all were kept.
    fn keep(&self, bytes: &[u8]) -> bool {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MAX_LOG_BYTES - written.bytes.len();
        written
            .bytes
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
        written.overflowed |= bytes.len() > room;
        bytes.len() <= room
    }
}

impl IsTerminal for Log {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Log {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

/// The output stream of WASI 0.2. Too much output ends the call at once, since a program may ignore failed writes.
impl OutputStream for Log {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        match self.keep(&bytes) {
            true => Ok(()),
            false => Err(StreamError::trap("more output than a call may write")),
        }
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_LOG_BYTES)
    }
}

#[async_trait]
impl Pollable for Log {
    async fn ready(&mut self) {}
}

impl AsyncWrite for Log {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Poll::Ready(match self.keep(bytes) {
            true => Ok(bytes.len()),
            false => Err(std::io::Error::other("more output than a call may write")),
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
