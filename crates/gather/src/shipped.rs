//! The skills that come along with the platform. Their sources are in the folder `skills`, and beside them the components
//! that `gather skill build` made of them.

use anyhow::{Context, Result, anyhow};
use serde_json::json;
use sqlx::Connection;
use url::Url;

use crate::migrate;

/// A skill: its manifest, its readme and its component.
struct Skill {
    manifest: &'static str,
    readme: &'static str,
    component: &'static [u8],
}

const SKILLS: [Skill; 1] = [Skill {
    manifest: include_str!("../skills/gather-dice/skill.json"),
    readme: include_str!("../skills/gather-dice/README.md"),
    component: include_bytes!("../skills/gather-dice/skill.wasm"),
}];

/// Publishes the skills that are missing in a migrated database.
///
/// # Errors
/// The database can't be reached.
pub async fn run(database: &Url) -> Result<()> {
    let mut connection = migrate::connect(database).await?;
    for skill in &SKILLS {
        let mut manifest = ::skill::Manifest::parse(skill.manifest.as_bytes())
            .map_err(|faults| anyhow!("a manifest of the platform's: {faults:?}"))?;
        let is_known: bool = sqlx::query_scalar(
            "select exists (select from skills.skill s join skills.version v on v.skill_id = s.id
             where s.name = $1 and v.version = $2)",
        )
        .bind(&manifest.name)
        .bind(&manifest.version)
        .fetch_one(&mut connection)
        .await?;
        if is_known {
            continue;
        }
        manifest.readme = Some(skill.readme.to_owned());
        let published = skill.published(manifest)?;
        let is_own: bool = sqlx::query_scalar("select skills.ship($1, $2)")
            .bind(&published)
            .bind(skill.component)
            .fetch_one(&mut connection)
            .await?;
        if !is_own {
            let name = &published["manifest"]["name"];
            eprintln!("the skill {name} is not published: somebody else has its name");
        }
    }
    connection.close().await?;
    Ok(())
}

impl Skill {
    /// What the sandbox would say of the upload.
    fn published(&self, manifest: ::skill::Manifest) -> Result<serde_json::Value> {
        let inspection = ::skill::inspect(self.component)?;
        let mut tools = inspection.tools;
        manifest.describe(&mut tools);
        let version = manifest.semver().context("a version")?;
        Ok(json!({
            "precedence": ::skill::manifest::precedence(&version), "is_prerelease": !version.pre.is_empty(),
            "manifest": manifest, "digest": inspection.digest, "tools": tools, "facts": inspection.facts,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_components_have_the_tools_of_their_manifests() {
        for skill in &SKILLS {
            let manifest = ::skill::Manifest::parse(skill.manifest.as_bytes()).unwrap();
            let inspection = ::skill::inspect(skill.component).unwrap();
            assert!(manifest.check_against(&inspection.tools).is_empty());
            assert!(manifest.name.starts_with("gather-"));
            assert!(skill.published(manifest).is_ok());
        }
    }
}
