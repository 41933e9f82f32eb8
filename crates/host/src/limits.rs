//! The limits of one request, one component and the whole host.

use std::time::Duration;

/// The size up to which a request's body is read before an instance is taken, and handed over whole.
pub const WHOLE_REQUEST_BYTES: usize = 64 << 10;
/// The size up to which an answer leaves its instance before the client has read it.
pub const WHOLE_ANSWER_BYTES: usize = 256 << 10;

/// The limits of the host. A component's `[component.<id>.tool.gather]` overrides those marked as overridable.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The longest time from the request to the response's head (overridable). Default 30 s.
    pub deadline: Duration,
    /// The linear memory of an instance in bytes (overridable). Default 128 MiB.
    pub memory_bytes: usize,
    /// The largest request body in bytes (overridable). Default 1 MiB.
    pub max_body_bytes: u64,
    /// Whether small requests are handed over whole to components that take them so. Otherwise all go through
    /// `wasi:http`, as under other hosts. Default true.
    pub whole_requests: bool,
    /// Whether the calls of `spin:postgres` that hold an instance while they wait are answered. Where another host
    /// would stop an instance's other requests with them, functions that mean to run there must not make any. Default
    /// true.
    pub blocking_database: bool,
    /// The number of requests that one component serves at the same time (overridable). Default 128.
    pub concurrency: usize,
    /// The largest number of requests that any component serves at the same time, whatever the manifest gives it. Default:
    /// what the manifest says.
    pub places: usize,
    /// The number of requests that may wait for a permit, for each component; one more gets 503. Default 1,024.
    pub queue: usize,
    /// The longest wait for a permit, after which a request gets 503. Default 5 s.
    pub queue_timeout: Duration,
    /// The largest number of open client connections. Default 20,000.
    pub connections: usize,
    /// The time that a client has to send a request's head, idle keep-alive included. Default 30 s.
    pub head_timeout: Duration,
    /// The longest pause of a client that sends a body or reads an answer. Default 15 s.
    pub stall_timeout: Duration,
    /// The number of PostgreSQL connections of all functions together. A worker for jobs has half as many for its
    /// components.
    /// Default 64.
    pub database_connections: usize,
    /// The longest wait until a PostgreSQL connection may be used, and again until it is open. Default 5 s.
    pub database_timeout: Duration,
    /// The number of requests that an instance serves before it is replaced. Default 10,000.
    pub instance_reuse: u32,
    /// The time for which an unused instance is kept. Default 60 s.
    pub instance_idle: Duration,
}

impl Limits {
    /// The number of requests that a component serves at the same time, to which its manifest gives `own`.
    pub(crate) fn places_of(&self, own: Option<usize>) -> usize {
        own.unwrap_or(self.concurrency).min(self.places)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(30),
            memory_bytes: 128 << 20,
            max_body_bytes: 1 << 20,
            whole_requests: true,
            blocking_database: true,
            concurrency: 128,
            places: usize::MAX,
            queue: 1024,
            queue_timeout: Duration::from_secs(5),
            connections: 20_000,
            head_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(15),
            database_connections: 64,
            database_timeout: Duration::from_secs(5),
            instance_reuse: 10_000,
            instance_idle: Duration::from_secs(60),
        }
    }
}
