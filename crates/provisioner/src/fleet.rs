//! The instances of all claws: one operation at a time for each claw, and the newest generation wins.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use crate::backend::{Backend, Lines};
use crate::instance::{Instance, Line, Specification, State};
use crate::problem::Problem;

/// The number of claws at which those without an operation are forgotten.
const MAX_CLAWS: usize = 10_000;
/// The number of last lines that tell why a program ended.
const LAST_LINES: usize = 20;

/// The instances of a back end.
pub struct Fleet {
    backend: Arc<dyn Backend>,
    claws: Mutex<HashMap<Uuid, Arc<Claw>>>,
}

/// The turns of a claw's operations, and the newest generation to remove. All of it may be forgotten.
#[derive(Default)]
struct Claw {
    operation: tokio::sync::Mutex<()>,
    /// The newest generation that is to be removed. It is written before the operation's turn, so that a making under way
    /// sees it.
    removed: AtomicU32,
}

/// A change of an instance that is there.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    /// Its program begins, or goes on.
    Start,
    /// Its program ends.
    Stop,
    /// Its program stands still.
    Pause,
    /// Its program goes on.
    Resume,
}

impl Fleet {
    /// Makes a fleet, and takes over what the back end has: running instances get their way out again, and containers that
    /// were never started are removed, since nobody waits for them any more.
    pub async fn adopt(backend: Arc<dyn Backend>) -> Self {
        let fleet = Self {
            backend,
            claws: Mutex::default(),
        };
        match fleet.backend.list().await {
            Ok(instances) => {
                for instance in instances {
                    fleet.adopt_one(&instance).await;
                }
            }
            Err(problem) => tracing::warn!(
                problem = problem.detail,
                "the container runtime can't tell which instances there are"
            ),
        }
        fleet
    }

    async fn adopt_one(&self, instance: &Instance) {
        let id = instance.id;
        let done = match instance.state {
            State::Running | State::Paused => self.backend.start(id).await,
            State::Created => self.backend.remove(id, false).await,
            State::Exited => Ok(()),
        };
        if let Err(problem) = done {
            tracing::warn!(claw = %id, problem = problem.detail, "an instance can't be taken over");
        }
    }

    /// The back end.
    pub fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    /// Makes and starts an instance, in place of an older one. One of the same generation that is there is left as it is.
    ///
    /// # Errors
    /// 409 `stale-generation` if a newer one is there, or this one is to be removed.
    pub async fn provision(&self, wanted: &Specification) -> Result<Instance, Problem> {
        wanted.check()?;
        let (id, generation) = (wanted.id, wanted.generation);
        let claw = self.claw(id);
        let _turn = claw.operation.lock().await;
        claw.wants(generation)?;
        if let Some(found) = self.backend.find(id).await? {
            if found.generation > generation {
                return Err(stale(found.generation));
            }
            if found.generation == generation && found.state != State::Created {
                return Ok(self.with_lines(found).await);
            }
            self.backend.remove(id, false).await?;
        }
        self.backend.create(wanted).await?;
        let started = match claw.wants(generation) {
            Ok(()) => self.backend.start(id).await,
            unwanted => unwanted,
        };
        let started = started.and_then(|()| claw.wants(generation));
        if let Err(problem) = started {
            // Its removal reports what fails here. What stays behind was never started, or is removed by who asked for that.
            if let Err(left) = self.backend.remove(id, false).await {
                tracing::warn!(claw = %id, problem = left.detail, "a container without an instance stays behind");
            }
            return Err(problem);
        }
        let found = self.backend.find(id).await?;
        let found = found.ok_or_else(Problem::not_found)?;
        Ok(self.with_lines(found).await)
    }

    /// Removes the instances of a claw up to a generation, with all that they stored. Nothing that is made afterwards is of
    /// such a generation.
    ///
    /// # Errors
    /// 409 `stale-generation` if a newer one is there. 503 `backend-unavailable` if the back end does not say that it is
    /// gone.
    pub async fn deprovision(&self, id: Uuid, generation: u32) -> Result<(), Problem> {
        let claw = self.claw(id);
        claw.removed.fetch_max(generation, Ordering::SeqCst);
        let _turn = claw.operation.lock().await;
        let found = self.backend.find(id).await?;
        match found {
            Some(found) if found.generation > generation => Err(stale(found.generation)),
            _ => self.backend.remove(id, true).await,
        }
    }

    /// Changes an instance. One that is as it is wanted is left so. Where a generation shall not run, older ones end.
    ///
    /// # Errors
    /// 404 if there is none, 409 if a newer one is there, or it can't be changed as it is.
    pub async fn change(
        &self,
        id: Uuid,
        generation: u32,
        change: Change,
    ) -> Result<Instance, Problem> {
        let claw = self.claw(id);
        let _turn = claw.operation.lock().await;
        claw.wants(generation)?;
        let found = self.backend.find(id).await?;
        let found = found.ok_or_else(Problem::not_found)?;
        if found.generation > generation {
            return Err(stale(found.generation));
        }
        if found.generation < generation {
            let is_over = matches!(change, Change::Stop | Change::Pause);
            if is_over && matches!(found.state, State::Running | State::Paused) {
                self.backend.stop(id).await?;
            }
            return Err(Problem::not_found());
        }
        match (change, found.state) {
            (Change::Start | Change::Resume, State::Paused) => self.backend.resume(id).await?,
            (Change::Start, _) => self.backend.start(id).await?,
            (Change::Stop, State::Exited | State::Created) => {}
            (Change::Stop, _) => self.backend.stop(id).await?,
            (Change::Pause, State::Running) => self.backend.pause(id).await?,
            (Change::Pause, State::Paused) | (Change::Resume, State::Running) => {}
            (Change::Pause | Change::Resume, _) => {
                return Err(Problem::state("Its program does not run."));
            }
        }
        let found = self.backend.find(id).await?;
        let found = found.ok_or_else(Problem::not_found)?;
        Ok(self.with_lines(found).await)
    }

    /// An instance, with the last lines of its output if its program ended.
    ///
    /// # Errors
    /// 404 if there is none.
    pub async fn get(&self, id: Uuid) -> Result<Instance, Problem> {
        let found = self.backend.find(id).await?;
        let found = found.ok_or_else(Problem::not_found)?;
        Ok(self.with_lines(found).await)
    }

    /// Lines of an instance's output.
    ///
    /// # Errors
    /// 404 if there is none.
    pub async fn lines(&self, id: Uuid, lines: Lines) -> Result<Vec<Line>, Problem> {
        self.backend.lines(id, lines).await
    }

    /// Adds the last lines of its output to an instance whose program ended.
    async fn with_lines(&self, mut instance: Instance) -> Instance {
        if instance.state == State::Exited {
            let last = Lines {
                since: None,
                streams: (true, true),
                most: LAST_LINES,
            };
            match self.backend.lines(instance.id, last).await {
                Ok(lines) => instance.last_lines = lines,
                // That it ended is known all the same.
                Err(problem) => tracing::warn!(
                    claw = %instance.id,
                    problem = problem.detail,
                    "the last lines of an instance can't be read"
                ),
            }
        }
        instance
    }

    fn claw(&self, id: Uuid) -> Arc<Claw> {
        let mut claws = self.claws.lock().unwrap_or_else(PoisonError::into_inner);
        if claws.len() >= MAX_CLAWS {
            claws.retain(|_, claw| Arc::strong_count(claw) > 1);
        }
        claws.entry(id).or_default().clone()
    }
}

impl Claw {
    /// Refuses a generation that is to be removed.
    fn wants(&self, generation: u32) -> Result<(), Problem> {
        let removed = self.removed.load(Ordering::SeqCst);
        if removed < generation {
            return Ok(());
        }
        Err(Problem::stale(format!(
            "Generation {removed} and those before it are removed."
        )))
    }
}

fn stale(newer: u32) -> Problem {
    Problem::stale(format!("Generation {newer} is there."))
}
