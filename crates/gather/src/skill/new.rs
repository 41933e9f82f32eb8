//! Makes the folder of a new skill.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

use super::{Language, New};

/// The placeholder of the skill's name.
const NAME: &str = "{{name}}";

macro_rules! template {
    ($language:literal, $($path:literal from $file:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../templates/skill/", $language, "/", $file)))),*]
    };
}

/// The files of a template, with their paths and contents.
fn files(language: Language) -> &'static [(&'static str, &'static str)] {
    match language {
        Language::Rust => template!(
            "rust", "Cargo.toml" from "Cargo.toml.txt", "src/lib.rs" from "lib.rs", "wit/skill.wit" from "wit/skill.wit",
            "skill.json" from "skill.json", "README.md" from "README.md", ".gitignore" from "gitignore",
        ),
        Language::Python => template!(
            "python", "app.py" from "app.py", "requirements.txt" from "requirements.txt", "wit/skill.wit" from "wit/skill.wit",
            "skill.json" from "skill.json", "README.md" from "README.md", ".gitignore" from "gitignore",
        ),
        Language::Js => template!(
            "js", "skill.js" from "skill.js", "tool.js" from "tool.js", "build.mjs" from "build.mjs", "package.json" from "package.json",
            "wit/skill.wit" from "wit/skill.wit", "skill.json" from "skill.json", "README.md" from "README.md", ".gitignore" from "gitignore",
        ),
    }
}

/// Writes the files of a template.
pub fn create(options: &New) -> Result<()> {
    let folder = &options.folder;
    let name = std::path::absolute(folder)?
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
        .to_owned();
    check_name(&name)?;
    if folder.exists() && fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!(
            "{} is there already, and not empty; choose another name",
            folder.display()
        );
    }
    for (path, text) in files(options.lang) {
        write(&folder.join(path), &text.replace(NAME, &name))?;
    }
    say!(
        "Made the skill {name} in {folder}. Next:\n\n  cd {folder}\n  gather skill build\n  gather skill test\n\n\
         Its functions are in wit/skill.wit, what agents are told and what they may be granted in skill.json.",
        folder = folder.display()
    );
    Ok(())
}

/// Checks a name. WIT requires words that begin with a letter, so this is stricter than the platform.
fn check_name(name: &str) -> Result<()> {
    let is_word = |word: &str| {
        word.bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_lowercase())
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    if !(2..=60).contains(&name.len()) || !name.split('-').all(is_word) {
        bail!(
            "{name:?} can be no skill's name: 2-60 of a-z, 0-9, in words with hyphens between them, such as my-words"
        );
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
    fs::write(path, text).with_context(|| format!("can't write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_a_valid_skill() {
        for lang in [Language::Rust, Language::Python, Language::Js] {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path().join("my-words");
            create(&New {
                folder: folder.clone(),
                lang,
            })
            .unwrap();
            let manifest =
                skill::Manifest::parse(&fs::read(folder.join("skill.json")).unwrap()).unwrap();
            assert_eq!(
                (manifest.name.as_str(), manifest.examples.len()),
                ("my-words", 4)
            );
            let left = fs::read_to_string(folder.join("wit/skill.wit")).unwrap();
            assert!(left.contains("package skills:my-words;"), "{left}");
            assert!(
                create(&New { folder, lang }).is_err(),
                "nothing is overwritten"
            );
        }
        for bad in ["a", "My", "a--b", "1a", "a-1", "a_b", "-a"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
