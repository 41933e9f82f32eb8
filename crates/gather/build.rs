//! Embeds the SQL files, and rebuilds the command when one of them or a migration is added: the macros that embed see
//! only the files they were built with.

use std::{
    env,
    fmt::Write,
    fs::{self, DirEntry},
    io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=../../migrations");
    println!("cargo:rerun-if-changed=../../sql");
    let root = Path::new(&variable("CARGO_MANIFEST_DIR")).join("../../sql");
    let mut table = String::from("&[\n");
    for schema in entries(&root)? {
        for file in entries(&schema.path())? {
            let name = format!("{}/{}", text(&schema), text(&file));
            let path: PathBuf = file.path().canonicalize()?;
            let _ = writeln!(
                table,
                "SqlFile {{ path: {name:?}, text: include_str!({path:?}) }},"
            );
        }
    }
    table.push(']');
    fs::write(Path::new(&variable("OUT_DIR")).join("sql_files.rs"), table)
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}

/// What a folder holds, in the order of the names: the same sources make the same command.
fn entries(folder: &Path) -> io::Result<Vec<DirEntry>> {
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(DirEntry::file_name);
    Ok(entries)
}

fn text(entry: &DirEntry) -> String {
    entry.file_name().to_string_lossy().into_owned()
}
