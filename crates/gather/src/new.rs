//! Makes the folder of a new function or component of the platform, with its migration, its SQL and its test.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command as Program,
};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};

use crate::{manifest, toolchain::Toolchain};

/// The kinds of folders that can be made.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Make a function: a group of endpoints with a database schema of its own
    #[command(after_help = "Example:\n  gather new function notes")]
    Function(New),
    /// Make a component that does queued work
    #[command(after_help = "Example:\n  gather new component note-digest")]
    Component(New),
}

/// The arguments for a new folder.
#[derive(Args, Debug)]
pub struct New {
    /// Its name: the folder's, the package's, the component's; a function's is one word
    pub name: String,
    /// Write its own files only, and not those that are generated from them
    #[arg(long)]
    pub only_own: bool,
}

/// The files of a template, with their paths and contents.
type Template = &'static [(&'static str, &'static str)];

macro_rules! template {
    ($kind:literal, $($path:literal from $file:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../templates/", $kind, "/", $file)))),*]
    };
}

const FUNCTION: Template = template!(
    "function",
    "functions/{{name}}/Cargo.toml" from "Cargo.toml.txt",
    "functions/{{name}}/src/lib.rs" from "lib.rs.txt",
    "functions/{{name}}/src/entries.rs" from "entries.rs.txt",
    "migrations/{{number}}_{{name}}.sql" from "migration.sql",
    "sql/{{name}}/limit_entries.sql" from "limit_entries.sql",
    "sql/{{name}}/forget_account.sql" from "forget_account.sql",
    "sql/{{name}}/export_account.sql" from "export_account.sql",
    "tests/functions/{{name}}.rs" from "test.rs.txt",
);

const COMPONENT: Template = template!(
    "component",
    "components/{{name}}/Cargo.toml" from "Cargo.toml.txt",
    "components/{{name}}/src/lib.rs" from "lib.rs.txt",
    "migrations/{{number}}_{{identifier}}.sql" from "migration.sql",
    "tests/jobs/{{identifier}}.rs" from "test.rs.txt",
);

/// Makes a function or component in the repository of the current folder.
///
/// # Errors
/// The name is not valid or is taken, or the current folder is not in a repository of Gather.
pub fn run(command: &Command) -> Result<()> {
    let manifest = manifest::find()?;
    let root = manifest.parent().context("a folder")?;
    let (new, template) = match command {
        Command::Function(new) => (new, FUNCTION),
        Command::Component(new) => (new, COMPONENT),
    };
    if matches!(command, Command::Function(_)) && new.name.contains('-') {
        bail!("a function's name is one word, which its database schema has too, such as notes");
    }
    let paths = write(root, &new.name, template)?;
    for path in &paths {
        say!("{}", path.display());
    }
    format(root, &paths)?;
    if new.only_own {
        say!("\nNext: UPDATE=1 cargo test -p e2e generated");
        return Ok(());
    }
    say!("\nUPDATE=1 cargo test -p e2e generated");
    let mut generate = Toolchain::find()?.cargo();
    generate
        .args(["test", "--package", "e2e", "--test", "e2e", "generated"])
        .env("UPDATE", "1")
        .current_dir(root);
    if !generate.status().context("can't run cargo")?.success() {
        bail!("what is generated could not be written; the messages above say why");
    }
    say!("\nNext: cargo test -p e2e {}", new.name.replace('-', "_"));
    Ok(())
}

/// Writes the files of a template, none of which may exist. Returns their paths, relative to `root`.
fn write(root: &Path, name: &str, template: Template) -> Result<Vec<PathBuf>> {
    check_name(name)?;
    if !root.join("crates/guest").is_dir() {
        bail!(
            "{} is not the platform's own repository, where functions are made",
            root.display()
        );
    }
    let number = next_migration(root)?;
    let identifier = name.replace('-', "_");
    let capital = name[..1].to_uppercase() + &name[1..];
    let fill = |text: &str| {
        text.replace("{{name}}", name)
            .replace("{{Name}}", &capital)
            .replace("{{identifier}}", &identifier)
            .replace("{{number}}", &format!("{number:04}"))
    };
    let files: Vec<_> = template
        .iter()
        .map(|(path, text)| (PathBuf::from(fill(path)), fill(text)))
        .collect();
    let folders = ["functions", "components", "sql"].map(|folder| PathBuf::from(folder).join(name));
    let taken = folders.iter().chain(files.iter().map(|(path, _)| path));
    if let Some(path) = taken.into_iter().find(|path| root.join(path).exists()) {
        bail!("{} is there already; choose another name", path.display());
    }
    for (path, text) in &files {
        let path = root.join(path);
        let folder = path.parent().unwrap_or(root);
        fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
        fs::write(&path, text).with_context(|| format!("can't write {}", path.display()))?;
    }
    Ok(files.into_iter().map(|(path, _)| path).collect())
}

/// Formats the sources, in which lines break according to the length of the name.
fn format(root: &Path, paths: &[PathBuf]) -> Result<()> {
    let sources = paths
        .iter()
        .filter(|path| path.extension() == Some("rs".as_ref()));
    let mut rustfmt = Program::new("rustfmt");
    rustfmt
        .args(["--edition", "2024"])
        .args(sources)
        .current_dir(root);
    let status = rustfmt.status();
    let status = status.context("can't run rustfmt; `rustup component add rustfmt` installs it")?;
    if !status.success() {
        bail!("rustfmt does not take the new files; its messages above say why");
    }
    Ok(())
}

/// The number of the next migration.
fn next_migration(root: &Path) -> Result<u32> {
    let mut last = 0;
    for entry in fs::read_dir(root.join("migrations")).context("can't read migrations")? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.split('_').next());
        last = last.max(number.and_then(|number| number.parse().ok()).unwrap_or(0));
    }
    Ok(last + 1)
}

/// Checks a name. Rust, PostgreSQL and Spin accept such a name as it is, with `_` for `-`.
fn check_name(name: &str) -> Result<()> {
    let is_word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    if !(2..=40).contains(&name.len()) || !name.split('-').all(is_word) {
        bail!("{name:?} can't be its name: 2-40 of a-z, 0-9, in words with hyphens between them");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for path in ["crates/guest", "migrations", "functions/jobs"] {
            fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        for migration in ["0001_platform.sql", "0012_inbox.sql"] {
            fs::write(folder.path().join("migrations").join(migration), "").unwrap();
        }
        folder
    }

    #[test]
    fn a_function_is_a_folder_a_migration_its_sql_and_a_test() {
        let folder = repository();
        let paths = write(folder.path(), "notes", FUNCTION).unwrap();
        for path in [
            "functions/notes/Cargo.toml",
            "migrations/0013_notes.sql",
            "sql/notes/forget_account.sql",
            "tests/functions/notes.rs",
        ] {
            assert!(paths.contains(&PathBuf::from(path)), "{path}: {paths:?}");
        }
        for path in &paths {
            let text = fs::read_to_string(folder.path().join(path)).unwrap();
            assert!(!text.contains("{{"), "{}: {text}", path.display());
        }
        let refused = write(folder.path(), "notes", FUNCTION).unwrap_err();
        assert!(
            refused.to_string().contains("is there already"),
            "{refused}"
        );
        assert!(write(folder.path(), "jobs", COMPONENT).is_err());
    }

    #[test]
    fn a_component_has_its_name_with_underscores_in_the_database() {
        let folder = repository();
        let paths = write(folder.path(), "note-digest", COMPONENT).unwrap();
        assert!(paths.contains(&PathBuf::from("tests/jobs/note_digest.rs")));
        let migration = folder.path().join("migrations/0013_note_digest.sql");
        let migration = fs::read_to_string(migration).unwrap();
        assert!(
            migration.contains("create schema note_digest;"),
            "{migration}"
        );
    }

    #[test]
    fn the_templates_are_formatted() {
        for (name, template) in [("notes", FUNCTION), ("note-digest", COMPONENT)] {
            let folder = repository();
            let paths = write(folder.path(), name, template).unwrap();
            let read = || -> Vec<_> {
                let paths = paths.iter().map(|path| folder.path().join(path));
                paths
                    .map(|path| fs::read_to_string(path).unwrap())
                    .collect()
            };
            let written = read();
            format(folder.path(), &paths).unwrap();
            assert_eq!(written, read());
        }
    }

    #[test]
    fn names_are_words() {
        for bad in ["", "a", "My", "a--b", "1a", "-a", "a_b", "a/b"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        let elsewhere = tempfile::tempdir().unwrap();
        assert!(write(elsewhere.path(), "notes", FUNCTION).is_err());
    }
}
