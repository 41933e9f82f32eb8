//! The problem codes of this function, and of an edge's own answers.

guest::problems! {
    "gap" => "Events are missing between what the edge has and what was sent: `have` is where it stands. Send again from there.",
    "digest-mismatch" => "The content that the server sent differs from the digest that names it, so it was thrown away. Send the request again; if that does not help, tell the operator.",
    "origin-away" => "The server behind this edge does not answer. Send the request again after `Retry-After` seconds.",
    "not-at-the-edge" => "This socket carries the events of one topic. Open `/ws` without a topic for everything else.",
}
