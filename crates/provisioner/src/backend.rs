//! What a runtime of containers has to be able to do.

use async_trait::async_trait;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::instance::{Instance, Line, Specification};
use crate::problem::Problem;

/// Which lines of an instance's output are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Lines {
    /// The time after which they were written.
    pub since: Option<OffsetDateTime>,
    /// Whether they are of the standard output, and of the standard error.
    pub streams: (bool, bool),
    /// The largest number, from the end.
    pub most: usize,
}

/// A runtime of containers. A claw has at most one instance there, found by its name and labels. Each call may be made
/// again: nobody knows whether the one before, which was cut off, took effect. A runtime that fails to answer makes an
/// error of every call, never an instance that is not there.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// The name of the back end, as claws show it.
    fn name(&self) -> &'static str;

    /// Whether the runtime answers.
    async fn check(&self) -> Result<(), Problem>;

    /// The instance of a claw; `None` if the runtime says that there is none.
    async fn find(&self, id: Uuid) -> Result<Option<Instance>, Problem>;

    /// All instances of this platform, without the last lines of their output.
    async fn list(&self) -> Result<Vec<Instance>, Problem>;

    /// Makes the container of an instance, and does not start it.
    async fn create(&self, specification: &Specification) -> Result<(), Problem>;

    /// Starts its program, with its way out, or gives a running one its way out again.
    async fn start(&self, id: Uuid) -> Result<(), Problem>;

    /// Ends its program.
    async fn stop(&self, id: Uuid) -> Result<(), Problem>;

    /// Lets its program stand still.
    async fn pause(&self, id: Uuid) -> Result<(), Problem>;

    /// Lets its program go on.
    async fn resume(&self, id: Uuid) -> Result<(), Problem>;

    /// Removes its container, and with `volume` what it has stored. Returns when the runtime says that it is gone.
    async fn remove(&self, id: Uuid, volume: bool) -> Result<(), Problem>;

    /// Lines of its output, in the order of their writing.
    async fn lines(&self, id: Uuid, lines: Lines) -> Result<Vec<Line>, Problem>;
}
