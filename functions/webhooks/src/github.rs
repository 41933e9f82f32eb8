//! What GitHub sends, as it becomes events. The kinds that are used most have documented shapes; of others an event has
//! what came, where that is small enough, and else what all of them have.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::input::is_word;

/// The largest content of an event: it has to fit into a frame of a socket with all that belongs to it.
pub const MAX_PAYLOAD_BYTES: usize = 48 << 10;
/// The longest text in a shape.
const MAX_TEXT_CHARS: usize = 4000;
/// The longest message of a commit.
const MAX_MESSAGE_CHARS: usize = 500;
/// Commits of one push that are listed.
const MAX_COMMITS: usize = 20;

/// The part of a delivery that an event carries.
#[derive(Debug, PartialEq)]
pub struct Shaped {
    /// The event's content.
    pub payload: Value,
    /// Whether something of what came is missing that belongs there.
    pub cut: bool,
}

/// What all kinds have.
#[derive(Debug, Deserialize, Serialize)]
struct Common {
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repository: Option<Repository>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender: Option<User>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Repository {
    full_name: Option<String>,
    html_url: Option<String>,
    private: Option<bool>,
    default_branch: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
struct User {
    login: Option<String>,
    html_url: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Push {
    #[serde(rename = "ref")]
    reference: Option<String>,
    before: Option<String>,
    after: Option<String>,
    compare: Option<String>,
    #[serde(default)]
    created: bool,
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    forced: bool,
    #[serde(default)]
    commits: Vec<Commit>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Commit {
    id: Option<String>,
    message: Option<String>,
    timestamp: Option<String>,
    url: Option<String>,
    author: Option<Author>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Author {
    name: Option<String>,
    username: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
struct OfPullRequest {
    number: Option<u64>,
    pull_request: PullRequest,
}

#[derive(Debug, Deserialize, Serialize)]
struct PullRequest {
    number: Option<u64>,
    title: Option<String>,
    body: Option<String>,
    state: Option<String>,
    draft: Option<bool>,
    merged: Option<bool>,
    html_url: Option<String>,
    user: Option<User>,
    head: Option<Branch>,
    base: Option<Branch>,
    created_at: Option<String>,
    updated_at: Option<String>,
    merged_at: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Branch {
    #[serde(rename = "ref")]
    reference: Option<String>,
    sha: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
struct OfIssue {
    issue: Issue,
}

#[derive(Debug, Deserialize, Serialize)]
struct Issue {
    number: Option<u64>,
    title: Option<String>,
    body: Option<String>,
    state: Option<String>,
    html_url: Option<String>,
    user: Option<User>,
    labels: Option<Vec<Label>>,
    assignees: Option<Vec<User>>,
    created_at: Option<String>,
    updated_at: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Label {
    name: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
struct OfWorkflowRun {
    workflow_run: WorkflowRun,
}

#[derive(Debug, Deserialize, Serialize)]
struct WorkflowRun {
    id: Option<u64>,
    name: Option<String>,
    run_number: Option<u64>,
    event: Option<String>,
    status: Option<String>,
    conclusion: Option<String>,
    head_branch: Option<String>,
    head_sha: Option<String>,
    html_url: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
struct OfRelease {
    release: Release,
}

#[derive(Debug, Deserialize, Serialize)]
struct Release {
    id: Option<u64>,
    tag_name: Option<String>,
    name: Option<String>,
    body: Option<String>,
    draft: Option<bool>,
    prerelease: Option<bool>,
    html_url: Option<String>,
    author: Option<User>,
    published_at: Option<String>,
}

/// A shape with what all kinds have.
#[derive(Serialize)]
struct With<T> {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    own: T,
}

impl<T: DeserializeOwned> With<T> {
    /// Each by itself: read in one go, a large body would be held in memory as a whole.
    fn read(json: &str) -> Option<Self> {
        Some(Self {
            common: serde_json::from_str(json).ok()?,
            own: serde_json::from_str(json).ok()?,
        })
    }
}

/// The type of the event that a kind becomes: `pull_request` is `github.pull-request`, and a malformed kind `github.other`.
pub fn event_type(kind: &str) -> String {
    let name = kind.replace('_', "-");
    if name.len() <= 80 && name.split('-').all(is_word) {
        format!("github.{name}")
    } else {
        "github.other".to_owned()
    }
}

/// What an event carries of a delivery. Where a kind does not look as documented any more, it is as any other.
///
/// # Errors
/// It is no JSON object.
pub fn shape(kind: &str, json: &str) -> serde_json::Result<Shaped> {
    let common: Common = serde_json::from_str(json)?;
    let shaped = match kind {
        "push" => push(json),
        "pull_request" => own::<OfPullRequest>(json),
        "issues" => own::<OfIssue>(json),
        "workflow_run" => own::<OfWorkflowRun>(json),
        "release" => own::<OfRelease>(json),
        _ => None,
    };
    if let Some(shaped) = shaped.filter(Shaped::fits) {
        return Ok(shaped);
    }
    if json.len() <= MAX_PAYLOAD_BYTES {
        return Ok(Shaped {
            payload: serde_json::from_str(json)?,
            cut: false,
        });
    }
    let mut payload = serde_json::to_value(common)?;
    shorten(&mut payload, 200, &mut true);
    Ok(Shaped { payload, cut: true })
}

impl Shaped {
    fn fits(&self) -> bool {
        self.payload.to_string().len() <= MAX_PAYLOAD_BYTES
    }
}

fn own<T: DeserializeOwned + Serialize>(json: &str) -> Option<Shaped> {
    let with: With<T> = With::read(json)?;
    let mut payload = serde_json::to_value(with).ok()?;
    let mut cut = false;
    shorten(&mut payload, MAX_TEXT_CHARS, &mut cut);
    Some(Shaped { payload, cut })
}

/// The newest commits of many.
fn push(json: &str) -> Option<Shaped> {
    let mut with: With<Push> = With::read(json)?;
    let commits = &mut with.own.commits;
    let total = commits.len();
    let mut cut = total > MAX_COMMITS;
    commits.drain(..total.saturating_sub(MAX_COMMITS));
    let mut payload = serde_json::to_value(with).ok()?;
    shorten(&mut payload, MAX_MESSAGE_CHARS, &mut cut);
    payload["total_commits"] = total.into();
    Some(Shaped { payload, cut })
}

/// Cuts each text of a value to a length.
fn shorten(value: &mut Value, max: usize, cut: &mut bool) {
    match value {
        Value::String(text) => {
            if let Some((end, _)) = text.char_indices().nth(max) {
                text.truncate(end);
                *cut = true;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| shorten(value, max, cut)),
        Value::Object(members) => members
            .values_mut()
            .for_each(|value| shorten(value, max, cut)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn kinds_become_types() {
        for (kind, expected) in [
            ("push", "github.push"),
            ("pull_request", "github.pull-request"),
            ("workflow_run", "github.workflow-run"),
            ("projects_v2_item", "github.projects-v2-item"),
            ("", "github.other"),
            ("x y", "github.other"),
            ("_a", "github.other"),
            ("A", "github.other"),
        ] {
            assert_eq!(event_type(kind), expected, "{kind}");
        }
    }

    #[test]
    fn a_large_push_keeps_the_newest_commits_and_says_that_it_is_cut() {
        let commits: Vec<_> = (0..3000)
            .map(|n| json!({ "id": n.to_string(), "message": "😀".repeat(2000), "added": ["x".repeat(100)] }))
            .collect();
        let push = json!({ "ref": "refs/heads/main", "commits": commits, "repository": { "full_name": "a/b" } });
        let shaped = shape("push", &push.to_string()).unwrap();
        assert!(shaped.cut && shaped.payload.to_string().len() <= MAX_PAYLOAD_BYTES);
        assert_eq!(shaped.payload["repository"]["full_name"], "a/b");
        let small = json!({ "ref": "x", "commits": [{ "id": "1", "message": "m" }], "sender": { "login": "ada" } });
        let shaped = shape("push", &small.to_string()).unwrap();
        assert!(!shaped.cut);
        assert_eq!(shaped.payload["commits"][0]["message"], "m");
        assert_eq!(
            (
                &shaped.payload["total_commits"],
                &shaped.payload["sender"]["login"]
            ),
            (&json!(1), &json!("ada"))
        );
    }

    #[test]
    fn other_kinds_come_as_they_are_or_as_what_all_have() {
        let small = json!({ "action": "started", "starred_at": "now" });
        let shaped = shape("star", &small.to_string()).unwrap();
        assert_eq!(
            shaped,
            Shaped {
                payload: small,
                cut: false
            }
        );
        let large = json!({ "action": "started", "x": "y".repeat(MAX_PAYLOAD_BYTES) });
        let shaped = shape("star", &large.to_string()).unwrap();
        assert_eq!(
            shaped,
            Shaped {
                payload: json!({ "action": "started" }),
                cut: true
            }
        );
        for broken in ["[", "[]", "1", ""] {
            assert!(shape("push", broken).is_err(), "{broken}");
        }
        // Not as documented: it comes as it is.
        let strange = json!({ "issue": 7 });
        let shaped = shape("issues", &strange.to_string()).unwrap();
        assert_eq!(shaped.payload, strange);
    }
}
