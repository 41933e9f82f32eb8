//! Containers as the runtime tells of them: the part that matters here, read from what it wrote, since Podman has states
//! that Docker, and so the client, does not know.

use std::collections::HashMap;

use bollard::errors::Error;
use outgoing::Origin;
use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::container::{CLAW, EGRESS, GENERATION, PLATFORM, VOLUME};
use crate::docker::excerpt;
use crate::instance::{Instance, Reason, State};

/// The status of a program that was killed.
const KILLED: i64 = 128 + 9;

/// A container.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Found {
    config: Config,
    state: Status,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    #[serde(default)]
    labels: Option<HashMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Status {
    status: String,
    #[serde(default)]
    pid: i64,
    #[serde(default)]
    exit_code: i64,
    #[serde(default)]
    error: Option<String>,
    #[serde(default, rename = "OOMKilled")]
    oom_killed: bool,
}

/// A container in the list of all.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Listed {
    #[serde(default)]
    labels: Option<HashMap<String, String>>,
}

/// Reads an answer, whether the client understood it or not.
pub fn answer<R: Serialize, T: DeserializeOwned>(answer: Result<R, Error>) -> Result<T, Error> {
    match answer {
        Ok(answer) => Ok(serde_json::from_value(serde_json::to_value(answer)?)?),
        Err(Error::JsonDataError { contents, .. }) => Ok(serde_json::from_str(&contents)?),
        Err(error) => Err(error),
    }
}

impl Listed {
    /// The claw whose container it is.
    pub fn id(&self) -> Option<Uuid> {
        self.labels.as_ref()?.get(CLAW)?.parse().ok()
    }
}

impl Found {
    fn state(&self) -> State {
        match self.state.status.as_str() {
            "created" | "configured" | "initialized" => State::Created,
            "paused" => State::Paused,
            "exited" | "stopped" | "dead" => State::Exited,
            _ => State::Running,
        }
    }

    /// The process of its program, if it runs or stands still.
    pub fn process(&self) -> Option<i64> {
        let is_alive = matches!(self.state(), State::Running | State::Paused);
        Some(self.state.pid).filter(|process| is_alive && *process > 0)
    }

    /// The origins that it may reach, besides the platform.
    pub fn origins(&self) -> Vec<Origin> {
        let labels = self.config.labels.as_ref();
        let listed = labels.and_then(|labels| labels.get(EGRESS));
        let listed = listed.map_or("", String::as_str).split(' ');
        listed.filter_map(|origin| origin.parse().ok()).collect()
    }

    /// The instance whose container it is, if it is one of this platform.
    pub fn instance(self, mark: &str) -> Option<Instance> {
        let state = self.state();
        let labels = self.config.labels?;
        if labels.get(PLATFORM).map(String::as_str) != Some(mark) {
            return None;
        }
        let has_ended = state == State::Exited;
        let detail = self.state.error.filter(|error| !error.is_empty());
        let reason = match (self.state.oom_killed, &detail) {
            (true, _) => Reason::OutOfMemory,
            (false, Some(_)) => Reason::StartFailed,
            (false, None) if self.state.exit_code == KILLED => Reason::Killed,
            (false, None) => Reason::Exited,
        };
        Some(Instance {
            id: labels.get(CLAW)?.parse().ok()?,
            generation: labels.get(GENERATION)?.parse().ok()?,
            state,
            volume: labels.contains_key(VOLUME),
            exit_code: has_ended.then_some(self.state.exit_code),
            reason: has_ended.then_some(reason),
            detail: detail.filter(|_| has_ended).map(|error| excerpt(&error)),
            last_lines: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::ContainerInspectResponse;
    use serde_json::json;

    fn read(state: serde_json::Value) -> Instance {
        let written = json!({
            "Id": "c", "State": state,
            "Config": {"Labels": {PLATFORM: "us", CLAW: Uuid::nil().to_string(), GENERATION: "7", EGRESS: "https://a.example http://b.example:81"}},
        });
        let understood = serde_json::from_value::<ContainerInspectResponse>(written.clone());
        let asked = understood.map_err(|_| Error::JsonDataError {
            message: String::new(),
            contents: written.to_string(),
            column: 0,
        });
        let found: Found = answer(asked).unwrap();
        assert_eq!(found.origins().len(), 2);
        found.instance("us").unwrap()
    }

    #[test]
    fn states_that_docker_does_not_have_are_read() {
        for (status, expected) in [
            ("created", State::Created),
            ("running", State::Running),
            ("paused", State::Paused),
            ("exited", State::Exited),
            ("stopped", State::Exited),
            ("initialized", State::Created),
        ] {
            let found = read(json!({"Status": status, "Pid": 0, "ExitCode": 0}));
            assert_eq!((found.state, found.generation), (expected, 7), "{status}");
        }
        let ended = read(json!({"Status": "exited", "ExitCode": 137, "OOMKilled": true}));
        assert_eq!(
            (ended.reason, ended.exit_code),
            (Some(Reason::OutOfMemory), Some(137))
        );
    }

    #[test]
    fn containers_of_others_are_none_of_ours() {
        let found = Found {
            config: Config {
                labels: Some(HashMap::from([(PLATFORM.to_owned(), "them".to_owned())])),
            },
            state: Status {
                status: "running".to_owned(),
                pid: 1,
                exit_code: 0,
                error: None,
                oom_killed: false,
            },
        };
        assert!(found.instance("us").is_none());
    }
}
