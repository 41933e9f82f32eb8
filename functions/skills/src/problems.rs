//! The problem codes of this function.

guest::problems! {
    "not-held" => "Only versions that the review has left to a person can be approved or rejected.",
    "own-skill" => "Nobody can rate their own skill or decide about it.",
    "version-exists" => "A version never changes. Publish the next one.",
    "version-not-approved" => "Only an approved version can be taken back.",
}
