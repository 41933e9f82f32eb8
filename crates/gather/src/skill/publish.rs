//! Publishes a skill as an agent, and waits for the verdict.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use uuid::Uuid;

use super::{
    Publish,
    project::{Project, explain},
};
use crate::{agent, plain, progress::Step};

/// The interval at which the state of the review is requested.
const POLL_EVERY: Duration = Duration::from_millis(500);
/// The time after which this command stops waiting for the review.
const PATIENCE: Duration = Duration::from_secs(900);

/// Uploads the skill. Returns whether it was approved.
pub fn publish(options: &Publish) -> Result<bool> {
    let project = Project::open(&options.folder)?;
    let manifest = project.manifest()?;
    let component = project.read_component()?;
    let inspection = skill::inspect(&component)?;
    let errors = manifest.check_against(&inspection.tools);
    if !errors.is_empty() {
        return Err(explain(errors));
    }
    let (client, mut token) = agent::signed_in(&options.common, "gather skill publish")?;
    let published = upload(&client, &project.manifest_json()?, &component, &token)?;
    let job = published["job"]["id"]
        .as_str()
        .context("the server's answer names no job")?
        .to_owned();
    say!(
        "Published {} {} to {}; it is being reviewed (job {job}).",
        manifest.name,
        manifest.version,
        client.server()
    );
    if options.no_wait {
        return Ok(true);
    }
    wait(options, &client, &mut token, &job)?;
    let path = format!(
        "/api/skills/{}/versions/{}",
        manifest.name, manifest.version
    );
    let version = client.get(&path, &token)?;
    if options.common.json {
        say!("{}", plain::json(&version));
    }
    Ok(conclude(&version))
}

/// Uploads a version, which is the same one when it is uploaded again.
pub(crate) fn upload(
    client: &agent::Client,
    manifest: &Value,
    component: &[u8],
    token: &str,
) -> Result<Value, agent::RequestError> {
    let (kind, body) = multipart(manifest.to_string().as_bytes(), component);
    // The same upload, sent again, is one: its digest is its key.
    let key = format!("publish-{}", skill::digest::hex(&body));
    client.upload("/api/skills", &kind, &body, token, &key)
}

fn wait(options: &Publish, client: &agent::Client, token: &mut String, job: &str) -> Result<()> {
    let began = Instant::now();
    let step = Step::start("Reviewing");
    let mut shown = String::new();
    loop {
        let state = match client.get(&format!("/api/jobs/{job}"), token) {
            // A review may take longer than a token lasts.
            Err(error) if error.status() == Some(401) => {
                *token = agent::signed_in(&options.common, "gather skill publish")?.1;
                client.get(&format!("/api/jobs/{job}"), token)?
            }
            state => state?,
        };
        let note = format!(
            "{} % {}",
            state["progress"]["percent"],
            state["progress"]["note"].as_str().unwrap_or_default()
        );
        if note != shown {
            step.detail(&note);
            shown = note;
        }
        match state["status"].as_str() {
            Some("succeeded") => {
                step.done("Reviewed");
                return Ok(());
            }
            Some(status @ ("dead" | "cancelled")) => {
                bail!(
                    "the review is {status}: {}",
                    state["error"].as_str().unwrap_or("no reason was given")
                );
            }
            _ if began.elapsed() > PATIENCE => {
                bail!("the review still runs; ask later: GET /api/jobs/{job}")
            }
            _ => std::thread::sleep(POLL_EVERY),
        }
    }
}

/// Prints the verdict with its reasons. Returns whether it is an approval.
fn conclude(version: &Value) -> bool {
    let reasons = version["review"]["reasons"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let reasons: String = reasons
        .map(|reason| format!("\n  - {}", plain::line(reason)))
        .collect();
    match (version["status"].as_str(), version["held"].as_bool()) {
        (Some("approved"), _) => {
            say!(
                "Approved, quality {}. Agents can call it now.",
                version["quality"]
            );
            true
        }
        (_, Some(true)) => {
            say!("A person will look at it:{reasons}");
            false
        }
        _ => {
            say!("Rejected:{reasons}\nCorrect it, and publish the next version.");
            false
        }
    }
}

/// Makes `multipart/form-data` (RFC 7578) with the two fields. Returns its type and its bytes.
fn multipart(manifest: &[u8], component: &[u8]) -> (String, Vec<u8>) {
    // The same for the same content, so that a repeated upload is the same request.
    let boundary = format!("gather-{}", Uuid::from_bytes(first_16(component)).simple());
    let part = |name: &str, kind: &str| {
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{name}\"\r\nContent-Type: {kind}\r\n\r\n").into_bytes()
    };
    let mut body = part("manifest", "application/json");
    body.extend_from_slice(manifest);
    body.extend_from_slice(b"\r\n");
    body.extend(part("component", "application/wasm"));
    body.extend_from_slice(component);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}

fn first_16(bytes: &[u8]) -> [u8; 16] {
    let digest = skill::digest::hex(bytes);
    let number = u128::from_str_radix(&digest[..32], 16).unwrap_or_default();
    number.to_be_bytes()
}
