//! Problems that more than one function answers with.

use guest::Problem;

/// The problem 409: another account already has the name.
pub fn name_taken() -> Problem {
    Problem::conflict("name-taken", "Another account has this name.")
}

/// The problem 409: the server needs an admin.
pub fn last_admin() -> Problem {
    Problem::conflict(
        "last-admin",
        "This is the last active admin. Make another one first.",
    )
}
