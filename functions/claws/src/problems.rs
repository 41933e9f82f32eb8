//! The problem codes of this function.

guest::problems! {
    "backend-unavailable" => "The template needs containers, and nothing has ever made any on this platform. Ask its operator for a runtime, or leave `template` out.",
    "claw-state" => "The claw's status does not allow this; `claw_status` is its status, and `allowed` lists what can be done.",
    "enrolment-failed" => "The container's token was used, is older than five minutes, or is not the newest. A restart of the claw makes another.",
    "image-not-pinned" => "A template names its image by its digest, such as `registry.example/claw@sha256:…`, so that nobody can change it.",
    "scopes-exceed-owner" => "An agent can have those scopes only that its owner has, and the token of whoever gives them. Leave the others out.",
    "template-unknown" => "There is no such template of claws. Without one, a claw is made of `wasm`, which needs no container.",
    "too-many-claws" => "An account has at most 100 claws. Delete one that is not needed.",
}
