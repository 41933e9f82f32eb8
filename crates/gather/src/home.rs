//! The user's own folders (XDG Base Directory Specification).

use std::path::PathBuf;

/// The folder that the variable names, if that is an absolute path, or else a folder in the user's home.
pub(crate) fn folder(variable: &str, in_home: &str) -> Option<PathBuf> {
    let given = std::env::var_os(variable)
        .map(PathBuf::from)
        .filter(|folder| folder.is_absolute());
    let home = || {
        std::env::home_dir()
            .filter(|home| !home.as_os_str().is_empty())
            .map(|home| home.join(in_home))
    };
    given.or_else(home)
}
