//! The codes of this function's problems.

guest::problems! {
    "not-held" => "Only a version that the review has left to a person can be decided about.",
    "own-skill" => "Nobody rates a skill of their own, or decides about it.",
    "version-exists" => "A version never changes. Publish the next one.",
    "version-not-approved" => "Only an approved version can be taken back.",
}
