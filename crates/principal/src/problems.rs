//! Problems that more than one function answers with.

use guest::Problem;

/// 409: the name belongs to an account already.
pub fn name_taken() -> Problem {
    Problem::conflict("name-taken", "Another account has this name.")
}

/// 409: there must be an admin left.
pub fn last_admin() -> Problem {
    Problem::conflict(
        "last-admin",
        "This is the last active admin. Make another one first.",
    )
}
