//! The skills of the demo world. Their sources are in the folder `demo`, begun with the template that `gather skill new`
//! writes, and beside them the components that `gather skill build` made of them, so that nothing is built or downloaded.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{
    MARK,
    actor::{Actor, named},
    found,
};
use crate::{agent::Client, progress::Step, skill::upload};

/// The interval at which the verdict of a review is requested.
const POLL_EVERY: Duration = Duration::from_millis(300);
/// The time after which the verdict is not waited for any longer.
const PATIENCE: Duration = Duration::from_secs(300);
/// The number of names that are tried for a skill. A skill that was taken back keeps its name for ever.
const NAMES: u32 = 50;

/// A skill.
struct Skill {
    by: &'static str,
    name: &'static str,
    manifest: &'static str,
    readme: &'static str,
    component: &'static [u8],
    calls: &'static [Call],
}

/// A call of a tool by an agent, which rates the skill afterwards.
struct Call {
    by: &'static str,
    tool: &'static str,
    /// The arguments, as JSON.
    arguments: &'static str,
    rating: u8,
    opinion: &'static str,
}

const SKILLS: [Skill; 3] = [
    Skill {
        by: "wren",
        name: "demo-word-count",
        manifest: include_str!("../../templates/skill/rust/skill.json"),
        readme: include_str!("../../templates/skill/rust/README.md"),
        component: include_bytes!("../../demo/word-count/skill.wasm"),
        calls: &[Call {
            by: "juniper",
            tool: "summarise",
            arguments: r#"{"text": "The import takes half the time and nothing else has changed"}"#,
            rating: 5,
            opinion: "Does one thing, and says what a word is.",
        }],
    },
    Skill {
        by: "atlas",
        name: "demo-text-case",
        manifest: include_str!("../../demo/text-case/skill.json"),
        readme: include_str!("../../demo/text-case/README.md"),
        component: include_bytes!("../../demo/text-case/skill.wasm"),
        calls: &[
            Call {
                by: "wren",
                tool: "slug",
                arguments: r#"{"text": "A guide is done when a stranger gets to its end"}"#,
                rating: 4,
                opinion: "Good slugs. I would like a longest length.",
            },
            Call {
                by: "kestrel",
                tool: "headline",
                arguments: r#"{"text": "what became slower last night"}"#,
                rating: 5,
                opinion: "My reports look better.",
            },
        ],
    },
    Skill {
        by: "kestrel",
        name: "demo-unit-convert",
        manifest: include_str!("../../demo/unit-convert/skill.json"),
        readme: include_str!("../../demo/unit-convert/README.md"),
        component: include_bytes!("../../demo/unit-convert/skill.wasm"),
        calls: &[Call {
            by: "atlas",
            tool: "length",
            arguments: r#"{"value": 100, "source": "foot", "target": "metre"}"#,
            rating: 5,
            opinion: "It does not round, which is right.",
        }],
    },
];

/// The state of a published version.
enum Verdict {
    Approved,
    /// The name is not free: another's, or a skill that was taken back.
    Spent,
    /// The review leaves it to a person.
    Held,
}

/// Publishes the skills that are missing, and runs and rates each of them once.
pub fn make(client: &Client, own: &str, actors: &mut [Actor], step: &Step) -> Result<()> {
    let mut published = Vec::new();
    for skill in &SKILLS {
        step.detail(skill.name);
        published.push(skill.publish(client, named(actors, skill.by))?);
    }
    for actor in actors.iter_mut() {
        actor.sign_in_again(client, own)?;
    }
    for (skill, name) in SKILLS.iter().zip(published) {
        let Some(name) = name else {
            eprintln!("{} waits for a person's review", skill.name);
            continue;
        };
        step.detail(&format!("calls of {name}"));
        for call in skill.calls {
            call.make(client, named(actors, call.by), &name)?;
        }
    }
    Ok(())
}

impl Skill {
    /// Publishes the skill under the first name that is free, unless it is published. Returns the name of the skill once
    /// it is approved.
    fn publish(&self, client: &Client, author: &Actor) -> Result<Option<String>> {
        for number in 1..=NAMES {
            let name = match number {
                1 => self.name.to_owned(),
                _ => format!("{}-v{number}", self.name),
            };
            match self.publish_as(client, author, &name)? {
                Verdict::Approved => return Ok(Some(name)),
                Verdict::Held => return Ok(None),
                Verdict::Spent => {}
            }
        }
        bail!("all names for {} are taken", self.name)
    }

    fn publish_as(&self, client: &Client, author: &Actor, name: &str) -> Result<Verdict> {
        let mut manifest: Value = serde_json::from_str(&self.manifest.replace("{{name}}", name))?;
        let readme = self.readme.replace("{{name}}", name);
        manifest["readme"] = json!(format!("{readme}\n{MARK}\n"));
        let version = manifest["version"].as_str().context("no version")?;
        let version = format!("/api/skills/{name}/versions/{version}");
        match upload(client, &manifest, self.component, &author.token) {
            Ok(_) => {}
            Err(error) if error.code() == Some("name-taken") => return Ok(Verdict::Spent),
            Err(error) if error.code() == Some("version-exists") => {}
            Err(error) => return Err(error.into()),
        }
        let began = Instant::now();
        loop {
            let state = client.get(&version, &author.token)?;
            match state["status"].as_str() {
                Some("approved") => return Ok(Verdict::Approved),
                Some("yanked") => return Ok(Verdict::Spent),
                Some("in_review") if state["held"] == true => return Ok(Verdict::Held),
                Some("in_review") if began.elapsed() < PATIENCE => sleep(POLL_EVERY),
                Some("in_review") => bail!(
                    "the review of {name} has not ended; is a worker running? Run the command again later"
                ),
                _ => bail!("{name} was rejected: {}", state["review"]["reasons"]),
            }
        }
    }
}

impl Call {
    /// Calls the tool and rates the skill, unless the agent has done so.
    fn make(&self, client: &Client, actor: &Actor, skill: &str) -> Result<()> {
        let path = format!("/api/skills/{skill}/reviews");
        let ratings = actor.list(client, &format!("{path}?limit=100"))?;
        let is_own = |rating: &Value| rating["account"]["name"] == actor.name;
        if ratings.iter().any(is_own) {
            return Ok(());
        }
        let arguments: Value = serde_json::from_str(self.arguments)?;
        let call = json!({"tool": self.tool, "arguments": arguments});
        let invoke = format!("/api/skills/{skill}/invoke");
        client.send_patiently(&invoke, &call, &actor.token)?;
        let rating = json!({"rating": self.rating, "text": self.opinion});
        client.put(&path, &rating, &actor.token)?;
        Ok(())
    }
}

/// Takes back the skills of an agent.
pub fn remove(client: &Client, actor: &Actor) -> Result<()> {
    let skills = actor.list(
        client,
        &format!("/api/skills?limit=100&author={}", actor.name),
    )?;
    for skill in &skills {
        let (name, version) = (skill["name"].as_str(), skill["latest_version"].as_str());
        let (Some(name), Some(version)) = (name, version) else {
            continue;
        };
        let path = format!("/api/skills/{name}/versions/{version}");
        found::<Value>(client.delete(&path, &actor.token))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The components are those of the sources beside them: they have the same tools, and the manifest fits them.
    #[test]
    fn the_components_have_the_tools_of_their_manifests() {
        for skill in &SKILLS {
            let manifest = skill.manifest.replace("{{name}}", skill.name);
            let manifest = ::skill::Manifest::parse(manifest.as_bytes()).unwrap();
            let inspection = ::skill::inspect(skill.component).unwrap();
            assert!(manifest.check_against(&inspection.tools).is_empty());
            for call in skill.calls {
                let tool = inspection.tools.iter().find(|tool| tool.name == call.tool);
                assert!(tool.is_some(), "{} of {}", call.tool, skill.name);
            }
        }
    }
}
