//! Containers of Docker, or of Podman, by the Engine API on the runtime's socket.

use std::collections::HashMap;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bollard::errors::Error;
use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, KillContainerOptionsBuilder, ListContainersOptionsBuilder,
    LogsOptionsBuilder, RemoveContainerOptionsBuilder, RemoveVolumeOptions,
};
use bollard::{ClientVersion, Docker as Client};
use futures::TryStreamExt;
use uuid::Uuid;

use crate::backend::{Backend, Lines};
use crate::container::{self, PLATFORM};
use crate::door::{ADDRESS, Doors};
use crate::found::{Found, Listed, answer};
use crate::instance::{Instance, Line, Specification, State};
use crate::namespace::Network;
use crate::output;
use crate::problem::Problem;

/// Where runtimes listen, the first of which is taken.
const SOCKETS: [&str; 3] = [
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/podman/podman.sock",
];
/// The version of the API that is spoken: Podman's, which Docker has had for long.
const VERSION: ClientVersion = ClientVersion {
    major_version: 1,
    minor_version: 41,
};
/// The longest wait for one answer of the runtime, in seconds.
const ANSWERS_WITHIN: u64 = 60;
/// The time that a program has to end when it is told to.
const STOPS_WITHIN: Duration = Duration::from_secs(10);
/// The longest wait for the end of a program that is killed.
const DIES_WITHIN: Duration = Duration::from_secs(10);
/// The time in which a runtime notices that a program has ended.
const NOTICES_WITHIN: Duration = Duration::from_secs(5);
/// The interval of looks at whether a program has ended.
const LOOKS: Duration = Duration::from_millis(50);
/// The largest part of a message of the runtime that is passed on.
const MAX_MESSAGE: usize = 500;

/// The socket of the runtime of this machine, if there is one.
#[must_use]
pub fn socket() -> Option<PathBuf> {
    SOCKETS.iter().map(PathBuf::from).find(|path| path.exists())
}

/// The containers of one platform.
pub struct Docker {
    socket: Option<PathBuf>,
    mark: String,
    doors: Arc<Doors>,
    platform_url: String,
}

impl Docker {
    /// Makes the back end; `socket` is `None` if there is no runtime, `mark` tells this platform's containers from those of
    /// others.
    #[must_use]
    pub fn new(
        socket: Option<PathBuf>,
        mark: String,
        doors: Arc<Doors>,
        platform_url: String,
    ) -> Self {
        Self {
            socket,
            mark,
            doors,
            platform_url,
        }
    }

    fn name_of(&self, id: Uuid) -> String {
        format!("gather-{}-{id}", self.mark)
    }

    fn client(&self) -> Result<Client, Problem> {
        let socket = self.socket.as_ref().and_then(|path| path.to_str());
        let socket = socket.ok_or_else(|| {
            Problem::unavailable(
                "There is no container runtime: install Docker or Podman, or name its socket.",
            )
        })?;
        Client::connect_with_unix(socket, ANSWERS_WITHIN, &VERSION).map_err(failed)
    }

    async fn inspect(&self, id: Uuid) -> Result<Option<Found>, Problem> {
        let (client, name) = (self.client()?, self.name_of(id));
        unless_missing(answer(client.inspect_container(&name, None).await))
    }

    /// Gives a running instance its way out, unless it has it.
    async fn open_door(&self, id: Uuid) -> Result<(), Problem> {
        let Some((process, listed)) = self.process(id).await? else {
            return Ok(());
        };
        if self.doors.is_open(id, process) {
            return Ok(());
        }
        let network = Network::of(process);
        // The number could have been given to another process before its network was opened, but not since.
        if self.process(id).await?.map(|(process, _)| process) != Some(process) {
            return Ok(());
        }
        let opened = async { network?.listen(ADDRESS).await }.await;
        match opened {
            Ok(listener) => {
                self.doors.open(id, process, listener, listed);
                Ok(())
            }
            // Its program has ended meanwhile, which is found by whoever looks at it. Some runtimes notice that late.
            Err(_) if self.has_ended(id, NOTICES_WITHIN).await? => Ok(()),
            Err(error) => Err(Problem::unavailable(format!(
                "The instance's network can't be entered, which needs root on the runtime's machine: {error}."
            ))),
        }
    }

    /// The process of an instance that runs, and the origins that it may reach.
    async fn process(&self, id: Uuid) -> Result<Option<(i64, Vec<outgoing::Origin>)>, Problem> {
        let found = self.inspect(id).await?;
        Ok(found.and_then(|found| Some((found.process()?, found.origins()))))
    }

    /// Sends a signal to the program of an instance, unless it has ended.
    async fn kill(&self, id: Uuid, signal: &str) -> Result<(), Problem> {
        let options = KillContainerOptionsBuilder::new().signal(signal).build();
        let (client, name) = (self.client()?, self.name_of(id));
        let killed = client.kill_container(&name, Some(options)).await;
        match killed {
            Err(Error::DockerResponseServerError { .. }) if self.process(id).await?.is_none() => {
                Ok(())
            }
            killed => killed.map_err(failed),
        }
    }

    /// Whether the program of an instance has ended within a time.
    async fn has_ended(&self, id: Uuid, within: Duration) -> Result<bool, Problem> {
        let until = tokio::time::Instant::now() + within;
        loop {
            if self.process(id).await?.is_none() {
                return Ok(true);
            }
            if tokio::time::Instant::now() >= until {
                return Ok(false);
            }
            tokio::time::sleep(LOOKS).await;
        }
    }

    async fn make_volume(&self, id: Uuid) -> Result<(), Problem> {
        let request = VolumeCreateRequest {
            name: Some(self.name_of(id)),
            labels: Some(HashMap::from([(PLATFORM.to_owned(), self.mark.clone())])),
            ..VolumeCreateRequest::default()
        };
        let made = self.client()?.create_volume(request).await;
        made.map_err(failed)?;
        self.give_volume(id).await
    }

    /// Gives a volume to the user of its claw.
    async fn give_volume(&self, id: Uuid) -> Result<(), Problem> {
        let volume = self.client()?.inspect_volume(&self.name_of(id)).await;
        let volume = volume.map_err(failed)?;
        let user = container::user_of(id);
        chown(&volume.mountpoint, Some(user), Some(user)).map_err(|error| {
            Problem::unavailable(format!("The volume can't be given to its claw: {error}."))
        })
    }

    async fn remove_volume(&self, id: Uuid) -> Result<(), Problem> {
        let options = None::<RemoveVolumeOptions>;
        let (client, name) = (self.client()?, self.name_of(id));
        unless_missing(client.remove_volume(&name, options).await).map(|_| ())
    }
}

#[async_trait]
impl Backend for Docker {
    fn name(&self) -> &'static str {
        "docker"
    }

    async fn check(&self) -> Result<(), Problem> {
        self.client()?.ping().await.map(|_| ()).map_err(failed)
    }

    async fn find(&self, id: Uuid) -> Result<Option<Instance>, Problem> {
        let found = self.inspect(id).await?;
        Ok(found.and_then(|found| found.instance(&self.mark)))
    }

    async fn list(&self) -> Result<Vec<Instance>, Problem> {
        let label = format!("{PLATFORM}={}", self.mark);
        let filters = HashMap::from([("label", vec![label.as_str()])]);
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&filters)
            .build();
        let client = self.client()?;
        let found: Vec<Listed> =
            answer(client.list_containers(Some(options)).await).map_err(failed)?;
        let ids = found.iter().filter_map(Listed::id);
        let mut instances = Vec::new();
        for id in ids {
            // One that is gone meanwhile is none.
            instances.extend(self.find(id).await?);
        }
        Ok(instances)
    }

    async fn create(&self, wanted: &Specification) -> Result<(), Problem> {
        if wanted.volume {
            self.make_volume(wanted.id).await?;
        }
        let name = self.name_of(wanted.id);
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        let body = container::body(wanted, &self.mark, &name, &self.platform_url);
        let created = self.client()?.create_container(Some(options), body).await;
        match created {
            Ok(_) => Ok(()),
            Err(Error::DockerResponseServerError {
                status_code: 404, ..
            }) => Err(Problem::image_missing(&wanted.image)),
            Err(error) => Err(failed(error)),
        }
    }

    async fn start(&self, id: Uuid) -> Result<(), Problem> {
        // A program that runs has its network already.
        if self.process(id).await?.is_none() {
            self.doors.shut(id);
            let started = self
                .client()?
                .start_container(&self.name_of(id), None)
                .await;
            if let Err(error) = started {
                return Err(match error {
                    Error::DockerResponseServerError {
                        status_code: 404, ..
                    } => Problem::not_found(),
                    Error::DockerResponseServerError { message, .. } => {
                        Problem::start_failed(excerpt(&message))
                    }
                    error => failed(error),
                });
            }
            // The runtime may have given it to the owner of a folder of the image.
            if self.find(id).await?.is_some_and(|found| found.volume) {
                self.give_volume(id).await?;
            }
        }
        self.open_door(id).await
    }

    async fn stop(&self, id: Uuid) -> Result<(), Problem> {
        let found = self.find(id).await?.ok_or_else(Problem::not_found)?;
        if found.state == State::Paused {
            // One that stands still does not hear that it is told to end.
            self.resume(id).await?;
        }
        self.kill(id, "SIGTERM").await?;
        if !self.has_ended(id, STOPS_WITHIN).await? {
            self.kill(id, "SIGKILL").await?;
            if !self.has_ended(id, DIES_WITHIN).await? {
                return Err(Problem::unavailable("The instance's program does not end."));
            }
        }
        self.doors.shut(id);
        Ok(())
    }

    async fn pause(&self, id: Uuid) -> Result<(), Problem> {
        let paused = self.client()?.pause_container(&self.name_of(id)).await;
        paused.map_err(failed)
    }

    async fn resume(&self, id: Uuid) -> Result<(), Problem> {
        let resumed = self.client()?.unpause_container(&self.name_of(id)).await;
        resumed.map_err(failed)?;
        self.open_door(id).await
    }

    async fn remove(&self, id: Uuid, volume: bool) -> Result<(), Problem> {
        if let Some(found) = self.find(id).await? {
            let (client, name) = (self.client()?, self.name_of(id));
            if found.state == State::Paused {
                unless_missing(client.unpause_container(&name).await)?;
            }
            if matches!(found.state, State::Running | State::Paused) {
                // A runtime that only removes would wait for the program to end by itself.
                self.kill(id, "SIGKILL").await?;
            }
            let options = RemoveContainerOptionsBuilder::new().force(true).v(true);
            let removed = client.remove_container(&name, Some(options.build()));
            unless_missing(removed.await)?;
            if self.inspect(id).await?.is_some() {
                return Err(Problem::unavailable("The container is still there."));
            }
        }
        self.doors.shut(id);
        if volume {
            self.remove_volume(id).await?;
        }
        Ok(())
    }

    async fn lines(&self, id: Uuid, lines: Lines) -> Result<Vec<Line>, Problem> {
        let seconds = lines.since.map_or(0, |since| since.unix_timestamp());
        let options = LogsOptionsBuilder::new()
            .stdout(lines.streams.0)
            .stderr(lines.streams.1)
            .since(i32::try_from(seconds).unwrap_or(i32::MAX))
            .timestamps(true)
            // Podman mixes up the parts of lines if it is asked for the last ones. All are no more than the log may have.
            .tail("all")
            .build();
        let client = self.client()?;
        let name = self.name_of(id);
        let mut written = std::pin::pin!(client.logs(&name, Some(options)));
        let mut output = output::Output::new(lines);
        loop {
            match written.try_next().await {
                Ok(Some(part)) => output.add(part),
                Ok(None) => return Ok(output.finish()),
                Err(Error::DockerResponseServerError {
                    status_code: 404, ..
                }) => return Err(Problem::not_found()),
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

/// What the runtime answered; `None` if it says that the thing is not there.
fn unless_missing<T>(answer: Result<T, Error>) -> Result<Option<T>, Problem> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(Error::DockerResponseServerError {
            status_code: 404, ..
        }) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

fn failed(error: Error) -> Problem {
    Problem::unavailable(match error {
        Error::DockerResponseServerError {
            status_code,
            message,
        } => format!(
            "The container runtime answered {status_code}: {}",
            excerpt(&message)
        ),
        Error::RequestTimeoutError => "The container runtime does not answer in time.".to_owned(),
        error => format!(
            "The container runtime can't be asked: {}",
            excerpt(&error.to_string())
        ),
    })
}

/// The part of a message that is passed on.
pub fn excerpt(message: &str) -> String {
    message.trim().chars().take(MAX_MESSAGE).collect()
}
