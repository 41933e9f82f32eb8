//! The generated files: `UPDATE=1 cargo test -p e2e generated` writes them; without `UPDATE` the test compares them with
//! their sources, which are the folders of functions and components, and the migrated database.

use super::{documents, grants, openapi, packages::Packages, problems, spin, tests};
use anyhow::{Context, Result, ensure};
use e2e::{Database, root};
use std::fs;

/// Writes generated files, or collects those that are out of date.
struct Files {
    update: bool,
    stale: Vec<String>,
}

impl Files {
    fn of_environment() -> Self {
        Self {
            update: std::env::var_os("UPDATE").is_some(),
            stale: Vec::new(),
        }
    }

    /// Writes or compares a whole file.
    fn whole(&mut self, path: &str, expected: &str) -> Result<()> {
        let file = root().join(path);
        let committed = fs::read_to_string(&file).unwrap_or_default();
        if committed == expected {
            return Ok(());
        }
        if self.update {
            return fs::write(&file, expected).with_context(|| format!("can't write {path}"));
        }
        self.stale
            .push(format!("{path}:\n{}", difference(&committed, expected)));
        Ok(())
    }

    /// Writes or compares the part of a document between `<!-- name -->` and the next `<!-- end -->`.
    fn section(&mut self, path: &str, name: &str, expected: &str) -> Result<()> {
        let text = fs::read_to_string(root().join(path))?;
        let begin = format!("<!-- {name} -->\n");
        let marks = || {
            format!(
                "{path} lacks its marks `{}` and `<!-- end -->`",
                begin.trim()
            )
        };
        let (before, rest) = text.split_once(&begin).with_context(marks)?;
        let (_, after) = rest.split_once("<!-- end -->\n").with_context(marks)?;
        self.whole(
            path,
            &format!("{before}{begin}{expected}<!-- end -->\n{after}"),
        )
    }

    fn check(&self) -> Result<()> {
        ensure!(
            self.stale.is_empty(),
            "generated files are out of date; run: UPDATE=1 cargo test -p e2e generated\n{}",
            self.stale.join("\n")
        );
        Ok(())
    }
}

/// Lists the lines that only one of two texts has.
fn difference(committed: &str, expected: &str) -> String {
    let only = |mark, one: &str, other: &str| -> Vec<String> {
        let lines = one
            .lines()
            .filter(|line| !other.lines().any(|o| o == *line));
        lines.map(|line| format!("{mark} {line}")).collect()
    };
    let mut lines = only("-", committed, expected);
    lines.extend(only("+", expected, committed));
    if lines.is_empty() {
        lines.push("the order of the lines".to_owned());
    }
    lines.truncate(40);
    lines.join("\n")
}

#[tokio::test]
async fn generated_files_are_up_to_date() -> Result<()> {
    let mut files = Files::of_environment();
    let packages = Packages::read()?;
    files.whole("tests/main.rs", &tests::modules()?)?;
    files.whole("spin.toml", &spin::manifest(&packages)?)?;
    files.whole("static/problems.json", &problems::page(&packages)?)?;
    for (name, rows) in documents::tables(&packages) {
        files.section("docs/architecture.md", name, &rows)?;
    }
    // The rest is generated from the components that the manifest lists.
    files.check()?;

    tokio::task::spawn_blocking(|| gather::build::ensure_fresh(&e2e::manifest()?)).await??;
    let document = openapi::document(&packages).await?;
    files.whole("static/openapi.json", &document)?;
    let mut admin = Database::create().await?.connect().await?;
    files.whole(
        "tests/fixtures/grants.txt",
        &grants::grants(&mut admin).await?,
    )?;
    let settings = grants::role_settings(&mut admin).await?;
    files.whole("tests/fixtures/role_settings.txt", &settings)?;
    for (name, rows) in documents::permissions(&mut admin, &document).await? {
        files.section("docs/permissions.md", name, &rows)?;
    }
    files.check()
}

#[test]
fn what_is_out_of_date_is_told_by_its_lines() {
    assert_eq!(difference("a\nb\n", "a\nc\n"), "- b\n+ c");
    assert_eq!(difference("a\nb\n", "b\na\n"), "the order of the lines");
}
