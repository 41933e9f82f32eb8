//! pgvector for an installed PostgreSQL that lacks it. What is installed stays as it is: a copy beside the state
//! folder gets the extension. PostgreSQL finds its files relative to its programs, so the copy works wherever it is.

mod debian;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, anyhow, ensure};

use super::{
    binaries::Binaries,
    download::{cache, flush, lock},
};
use crate::{progress::Step, toolchain::said};

/// The advice for a machine whose PostgreSQL has no pgvector.
const HOW_TO_INSTALL: &str = "install pgvector for it (Debian 13, Ubuntu 24.04 and newer, and apt.postgresql.org: apt-get install \
     postgresql-<version>-pgvector; Fedora: dnf install pgvector; macOS: brew install pgvector), or set DATABASE_URL to a server \
     that has it";

/// Whether the server that `binaries` belong to has pgvector.
pub(super) fn is_in(binaries: &Binaries) -> bool {
    share(binaries).is_some_and(|share| share.join("extension/vector.control").is_file())
}

/// The folder where the programs are in truth, where the ones on PATH may be links to them.
fn home(binaries: &Binaries) -> Option<PathBuf> {
    let program = fs::canonicalize(binaries.folder().join("postgres")).ok()?;
    program.parent().map(Path::to_owned)
}

/// The folder of the server's shared files.
fn share(binaries: &Binaries) -> Option<PathBuf> {
    let folder = home(binaries)?;
    let root = folder.parent()?;
    let mut candidates = vec![root.join("share/postgresql"), root.join("share")];
    candidates.extend(debian_layout(binaries).map(|(_, share)| share));
    // Only where it belongs to this server.
    let asked = Command::new(folder.join("pg_config"))
        .arg("--sharedir")
        .stdin(Stdio::null())
        .output();
    if let Ok(output) = asked {
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        candidates.push(PathBuf::from(said));
    }
    candidates
        .into_iter()
        .find(|share| share.join("extension/plpgsql.control").is_file())
}

/// The folders of programs and libraries, and of shared files, as Debian has them.
fn debian_layout(binaries: &Binaries) -> Option<(PathBuf, PathBuf)> {
    let folder = home(binaries)?;
    let major = binaries.major().to_string();
    let prefix = folder
        .ancestors()
        .nth(4)
        .filter(|prefix| prefix.join("lib/postgresql").join(&major).join("bin") == folder)?;
    let of = |kind: &str| prefix.join(kind).join("postgresql").join(&major);
    Some((of("lib"), of("share")))
}

fn place(binaries: &Binaries, shelf: &Path) -> PathBuf {
    shelf.join(format!("postgresql-{}-pgvector", binaries.build()))
}

fn programs(place: &Path, major: u32) -> PathBuf {
    place.join(format!("lib/postgresql/{major}/bin"))
}

/// The complete copy of `binaries` on `shelf`, if it was made.
pub(super) fn copy_of(binaries: &Binaries, shelf: &Path) -> Option<Binaries> {
    Binaries::at(programs(&place(binaries, shelf), binaries.major()))
}

/// Copies the server of `binaries` to `shelf`, with pgvector. Any number of processes may do so at the same time.
pub(super) fn complete(binaries: &Binaries, shelf: &Path) -> Result<Binaries> {
    let step = Step::start(format!(
        "PostgreSQL {} lacks pgvector: adding it to a copy",
        binaries.version()
    ));
    let place = place(binaries, shelf);
    let made = copy(binaries, &place, shelf, &step).map_err(|error| {
        anyhow!(
            "PostgreSQL {} in {} lacks the extension vector (pgvector), and a copy with it could not be made: {error:#}\n\
             what to do: {HOW_TO_INSTALL}",
            binaries.version(),
            binaries.folder().display()
        )
    })?;
    if made {
        step.done(&format!(
            "PostgreSQL {} was copied to {}, with pgvector",
            binaries.version(),
            place.display()
        ));
    }
    Binaries::at(programs(&place, binaries.major())).with_context(|| {
        format!(
            "the programs in {} don't run; remove the folder, and start again",
            place.display()
        )
    })
}

/// Makes the copy, and returns whether it was missing.
fn copy(binaries: &Binaries, place: &Path, shelf: &Path, step: &Step) -> Result<bool> {
    let _lock = lock(shelf, ".postgresql.lock", step)?;
    if place.exists() {
        return Ok(false);
    }
    let (lib, share) = debian_layout(binaries)
        .context("only the layout of Debian's packages is known how to copy")?;
    let major = binaries.major();
    let extension = debian::extension(major, &cache(shelf), step)?;
    step.detail("copying");
    let draft = shelf.join(".postgresql-new");
    if draft.exists() {
        fs::remove_dir_all(&draft).with_context(|| format!("can't remove {}", draft.display()))?;
    }
    let parts = [
        (lib, programs(&draft, major).with_file_name("")),
        (share, draft.join(format!("share/postgresql/{major}"))),
    ];
    for (from, to) in &parts {
        let parent = to.parent().context("a part has a folder above it")?;
        fs::create_dir_all(parent)?;
        // With the modes that they have, whatever the umask.
        said(Command::new("cp").arg("-Rp").arg(from).arg(parent))?;
    }
    let [(_, lib), (_, share)] = &parts;
    add(&extension, &lib.join("lib"), &share.join("extension"))?;
    open_to_all(&draft)?;
    let copied = Binaries::at(programs(&draft, major));
    ensure!(
        copied.is_some(),
        "the copied programs don't run as the user who runs PostgreSQL"
    );
    flush(&draft)?;
    fs::rename(&draft, place).with_context(|| format!("can't move it to {}", place.display()))?;
    Ok(true)
}

/// Puts the extension's files where the server looks for them.
fn add(extension: &Path, library: &Path, scripts: &Path) -> Result<()> {
    for entry in fs::read_dir(extension)? {
        let from = entry?.path();
        let is_library = from.extension().is_some_and(|kind| kind == "so");
        let folder = if is_library { library } else { scripts };
        let to = folder.join(from.file_name().unwrap_or_default());
        fs::copy(&from, &to).with_context(|| format!("can't write {}", to.display()))?;
        set_mode(&to, 0o644)?;
    }
    Ok(())
}

/// Lets everybody pass through the folders that were made for the copy.
fn open_to_all(draft: &Path) -> Result<()> {
    for path in ["", "lib", "lib/postgresql", "share", "share/postgresql"] {
        set_mode(&draft.join(path), 0o755)?;
    }
    Ok(())
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| format!("can't change {}", path.display()))
}

/// Removes the copies and builds on `shelf` that are not those of `used`: an update of the installed server leaves its
/// old copy there. No server may be running from them.
pub(super) fn sweep(shelf: &Path, used: &Binaries) {
    let entries = fs::read_dir(shelf).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_ours = name.starts_with("postgresql-") && name.ends_with("-pgvector");
        if is_ours && !used.folder().starts_with(entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
