//! What the tests compile: it takes a minute of a core for each state folder that begins empty.

use std::{fs, io::ErrorKind, os::unix::fs::symlink, path::Path};

/// Lets a state folder have what other tests have compiled.
pub fn share(state: &Path) {
    let compiled = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/compiled");
    fs::create_dir_all(&compiled).unwrap();
    fs::create_dir_all(state).unwrap();
    if let Err(error) = symlink(compiled, state.join("compiled")) {
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
    }
}
