//! Unpacking of npm's archives: only what PostgreSQL's programs need, and nothing outside the new folder.

use std::{
    collections::BTreeSet,
    fs::{self, File, Permissions},
    io::{self, BufReader},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Component, Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use flate2::read::GzDecoder;
use serde::Deserialize;
use tar::{Archive, EntryType};

/// The folder of the programs in a package.
const PROGRAMS: &str = "package/native";
/// The package's list of links, which npm's archives cannot hold and which a script of the package would make.
const LINKS: &str = "pg-symlinks.json";

/// Unpacks the programs of the package `archive` into the new folder `into`, readable by everybody.
pub fn unpack(archive: &Path, into: &Path) -> Result<()> {
    let reader = GzDecoder::new(BufReader::new(File::open(archive)?));
    let mut folders = BTreeSet::from([into.to_owned()]);
    for entry in Archive::new(reader).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        check(&path)?;
        let Ok(path) = path.strip_prefix(PROGRAMS) else {
            continue;
        };
        match entry.header().entry_type() {
            EntryType::Regular => {}
            EntryType::Directory => continue,
            other => bail!(
                "{} is neither a file nor a folder: {other:?}",
                path.display()
            ),
        }
        let place = into.join(path);
        let above = place.ancestors().skip(1);
        folders.extend(
            above
                .take_while(|folder| *folder != into)
                .map(Path::to_owned),
        );
        fs::create_dir_all(place.parent().context("a file has a folder")?)?;
        let mut file = File::create_new(&place)?;
        io::copy(&mut entry, &mut file)?;
        let may_run = entry.header().mode()? & 0o100 != 0;
        // Set after the fact, since the user's umask may forbid what PostgreSQL's user needs.
        file.set_permissions(Permissions::from_mode(if may_run { 0o755 } else { 0o644 }))?;
    }
    for folder in folders {
        fs::set_permissions(&folder, Permissions::from_mode(0o755))
            .with_context(|| format!("nothing was unpacked into {}", folder.display()))?;
    }
    link(into)
}

/// Checks that a path only goes down.
fn check(path: &Path) -> Result<()> {
    let mut parts = path.components();
    ensure!(
        parts.all(|part| matches!(part, Component::Normal(_))),
        "{} leads out of the package",
        path.display()
    );
    Ok(())
}

/// A link in the package's list.
#[derive(Deserialize)]
struct Link {
    /// The file that the link points to.
    source: PathBuf,
    /// The path of the link.
    target: PathBuf,
}

fn link(folder: &Path) -> Result<()> {
    let list = folder.join(LINKS);
    if !list.exists() {
        return Ok(());
    }
    let links: Vec<Link> = serde_json::from_str(&fs::read_to_string(&list)?).context(LINKS)?;
    for Link { source, target } in links {
        check(&source)?;
        check(&target)?;
        ensure!(
            source.parent() == target.parent(),
            "{} is to be a link into another folder",
            target.display()
        );
        let place = target.strip_prefix("native").context(LINKS)?;
        symlink(source.file_name().context(LINKS)?, folder.join(place))
            .with_context(|| format!("can't make the link {}", target.display()))?;
    }
    Ok(())
}
