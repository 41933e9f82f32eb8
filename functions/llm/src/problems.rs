//! The problem codes of this function.

guest::problems! {
    "alias-circle" => "The targets of an alias lead back to it; `detail` names the way. Remove one of them.",
    "budget-exhausted" => "A budget of those who pay for the call has too little left. Raise it, or wait until its period ends: `GET /api/llm/limits/{subject}` shows when.",
    "call-lost" => "The call was given up, since the server did not get on with it in time. It may have worked, and be paid for that.",
    "call-running" => "The first request with this `Idempotency-Key` is under way. Send yours again after `Retry-After` seconds.",
    "context-too-large" => "The request is longer than the model can read. Shorten it, or use another model.",
    "insufficient-scope" => "You are signed in, but this needs a scope that you don't have.",
    "model-unknown" => "There is no such model, or you may not use it. `GET /v1/models` lists those that you may use.",
    "no-provider-configured" => "No provider of language models is configured. Add one with `POST /api/llm/providers`, or set `OPENAI_API_KEY` or `ANTHROPIC_API_KEY` where the server runs.",
    "price-unknown" => "Money is limited, and the model has no price. Set one with `PUT /api/llm/prices`.",
    "provider-failed" => "The provider failed, or answered something that is not an answer. `detail` says what it said.",
    "provider-from-environment" => "The provider follows a variable of the server's environment. Change it there.",
    "provider-overloaded" => "Every target of the model failed just now. Send the request again after `Retry-After` seconds.",
    "provider-rate-limited" => "The provider has too much to do. Send the request again after `Retry-After` seconds.",
    "provider-timeout" => "The provider did not answer in time. It may have worked, and be paid for that.",
    "too-many-aliases" => "An owner can have at most 200 aliases. Delete one first.",
    "too-many-providers" => "An owner can have at most 50 providers. Delete one first.",
    "unsupported-parameter" => "The model's provider can't do what a parameter asks for; `detail` names it. Leave it out, use another model, or set `unsupported` to `drop` in the alias.",
}
