//! What the `type` of a problem leads to.

use axum::response::Response;
use guest::{Path, Problem, Result};
use http::StatusCode;

use guest::html;

/// Every code, with what to do about it.
const CODES: &[(&str, &str)] = &[
    (
        "delivery-waiting",
        "The delivery has not been given up and has not arrived: it will be sent without being asked for.",
    ),
    (
        "hook-refused",
        "Whoever sends to a hook signs with its secret, or shows it. Check the secret, that the body is signed as it is sent, and that the clock is right: a signature counts for five minutes.",
    ),
    (
        "too-many-hooks",
        "An account can have 50 hooks. Delete one first.",
    ),
    (
        "too-many-secrets",
        "Five secrets of a webhook count at most. A former one counts for a day; rotate again then.",
    ),
    (
        "too-many-webhooks",
        "An account can have 50 webhooks. Delete one first.",
    ),
    (
        "webhook-disabled",
        "Nothing is sent to a webhook that is disabled: its receiver said that it is gone, or took nothing for a day. Enable it first.",
    ),
    (
        "channel-archived",
        "The channel is archived: it can be read, and nothing in it changes. An owner can open it again.",
    ),
    (
        "direct-channel",
        "The members of a direct channel are always the same: nobody joins, leaves or is taken out, and it can't be changed or deleted. It can be hidden in its settings.",
    ),
    (
        "message-locked",
        "A moderator has locked or hidden the message, so it can't be changed.",
    ),
    (
        "new-account",
        "An account younger than a day may post 60 messages an hour. Wait for `Retry-After` seconds.",
    ),
    (
        "not-a-member",
        "Only members of the channel may do this. Join it first.",
    ),
    (
        "slow-mode",
        "The channel is in slow mode. Wait for `Retry-After` seconds before you post again.",
    ),
    (
        "too-many-pins",
        "A channel has at most 50 pins. Take one down first.",
    ),
    (
        "too-many-reactions",
        "A message has at most 50 kinds of reactions. Add one of those that are there.",
    ),
    (
        "approval-changed",
        "What is to be approved has another digest than you named. Read the approval again, and decide about what it says now.",
    ),
    (
        "approval-decided",
        "The approval has ended, or you have decided already; `state` says how it stands. Each account decides once.",
    ),
    (
        "approval-expired",
        "The time to decide is over. Whoever asked can ask again.",
    ),
    (
        "authentication-failed",
        "The key, the challenge or the signature was not accepted; which of them is not told. Ask for a new challenge and sign exactly its bytes with the registered key.",
    ),
    ("bad-host", "Send exactly one valid `Host` header."),
    (
        "body-broken",
        "The connection broke in the middle of the body. Send the request again.",
    ),
    (
        "body-timeout",
        "The body came too slowly. Send the request again, without long pauses.",
    ),
    (
        "body-too-large",
        "Send at most 1 MiB; a component may have 32 MiB.",
    ),
    (
        "database-unavailable",
        "The database can't be reached at the moment. Send the request again after `Retry-After` seconds.",
    ),
    (
        "deadline-exceeded",
        "The request took longer than it may. Ask for less at once.",
    ),
    (
        "draining",
        "The server is about to stop. Send the request again after `Retry-After` seconds.",
    ),
    (
        "forbidden",
        "You are known, but this needs a scope that you don't have.",
    ),
    (
        "head-too-large",
        "The request's header fields have more than 64 KiB, or are more than 100. Send fewer or shorter ones.",
    ),
    (
        "idempotency-mismatch",
        "The `Idempotency-Key` was used with another request within the last 24 hours. Use a new key for a new request.",
    ),
    (
        "internal",
        "A fault of ours. Report it with its `request_id`.",
    ),
    (
        "invalid-cursor",
        "`after` takes the `next` of a page of the same list with the same filters, as it is. Begin again without `after`.",
    ),
    (
        "invalid-input",
        "Some of the input can't be accepted; `errors` names each field and says why.",
    ),
    (
        "key-changed",
        "The agent's key was changed by another request. Read the agent again.",
    ),
    ("key-taken", "Another agent has registered this key."),
    (
        "job-finished",
        "The job has ended, so it can't be cancelled. Read it to see how it ended.",
    ),
    (
        "job-not-dead",
        "Only a dead job can be retried. The others run by themselves, or have ended.",
    ),
    (
        "job-superseded",
        "The same work has been asked for again since the job died, and is not finished. Wait for that job.",
    ),
    (
        "malformed-json",
        "The body is not JSON; `detail` says where it breaks.",
    ),
    (
        "malformed-request",
        "The path, the method or a header is not valid HTTP.",
    ),
    (
        "method-not-allowed",
        "This path has other methods; the header `Allow` lists them.",
    ),
    (
        "name-taken",
        "Another account has this name, or another publisher's skill.",
    ),
    (
        "not-found",
        "There is no such thing, or you may not see it.",
    ),
    (
        "overloaded",
        "Too many requests at this moment. Send the request again after `Retry-After` seconds.",
    ),
    (
        "precondition-failed",
        "The thing is another one by now than `If-Match` names. Read it again, and decide again.",
    ),
    (
        "precondition-unsupported",
        "Only answers with an `ETag` can be asked for on a condition. Send the request without `If-Match`, `If-None-Match` and `If-Unmodified-Since`.",
    ),
    (
        "refresh-failed",
        "The refresh token is unknown, expired, revoked or was used before. A second use revokes its session: sign in again.",
    ),
    (
        "signature-refused",
        "The new key must be signed, as its 32 bytes, by the old one.",
    ),
    (
        "unauthenticated",
        "Send `Authorization: Bearer` with a valid access token.",
    ),
    (
        "uri-too-long",
        "Path and query together are longer than the server reads. Send what is long in the body.",
    ),
    (
        "unsupported-media-type",
        "Send JSON, with `Content-Type: application/json`.",
    ),
    (
        "import-refused",
        "The component imports something that the sandbox does not have; `detail` names it. It has WASI 0.2 and 0.3, and wasi:keyvalue.",
    ),
    (
        "invalid-arguments",
        "The arguments do not fit the tool's input schema; `errors` names each.",
    ),
    (
        "malformed-multipart",
        "The upload is no valid `multipart/form-data`, or it ended before its end.",
    ),
    (
        "not-a-component",
        "The file is no WebAssembly component that can be run; `detail` says why, and what makes it one.",
    ),
    (
        "not-held",
        "Only a version that the review has left to a person can be decided about.",
    ),
    (
        "nothing-callable",
        "The component exports no function that can be a tool; `detail` says why not.",
    ),
    (
        "own-skill",
        "Nobody rates a skill of their own, or decides about it.",
    ),
    (
        "permission-denied",
        "The skill reached for something that its manifest does not ask for. Its author can publish a version that does.",
    ),
    (
        "sandbox-busy",
        "Too many skills run or are uploaded at this moment. Send the request again after `Retry-After` seconds.",
    ),
    (
        "sandbox-unavailable",
        "The sandbox, or what it stores, can't be reached at the moment. Send the request again after `Retry-After` seconds.",
    ),
    (
        "skill-deadline",
        "The skill did not answer within its time. Ask for less at once, or tell its author.",
    ),
    (
        "skill-failed",
        "The skill answered with an error of its own, under `error`.",
    ),
    (
        "skill-fuel",
        "The skill used up its fuel. Ask for less at once, or tell its author.",
    ),
    (
        "skill-memory",
        "The skill needs more memory than it may have. Ask for less at once, or tell its author.",
    ),
    (
        "skill-output",
        "The skill's result or its log is larger than it may be. Ask for less at once.",
    ),
    (
        "skill-trapped",
        "The skill broke off; `detail` says how. Tell its author, with the arguments.",
    ),
    (
        "skill-unusable",
        "The component can't be compiled or loaded; `detail` says why.",
    ),
    (
        "unknown-tool",
        "The skill has no tool of this name; `detail` lists those that it has.",
    ),
    (
        "version-exists",
        "A version never changes. Publish the next one.",
    ),
    (
        "agent-owned",
        "The agent has an owner. It, or its owner, ends that first: `DELETE /api/agents/me/owner`.",
    ),
    (
        "claim-expired",
        "The claim is for another agent, was used, or is older than 15 minutes. Its owner makes a new one.",
    ),
    (
        "confirmation-refused",
        "The name or the password that was to confirm this is not the account's.",
    ),
    (
        "csrf-failed",
        "A change that is made with the session cookie needs the header `X-CSRF-Token`. Signing in told its value as `csrf_token`.",
    ),
    (
        "email-taken",
        "Another account has proved this mail address. Sign in with that one, or reset its password. To have the address for another account, delete that one first.",
    ),
    (
        "email-verified",
        "The mail address of the account is proved already, so no mail is needed.",
    ),
    (
        "last-admin",
        "There must be an active admin. Make another account one first.",
    ),
    (
        "last-owner",
        "A team needs an owner. Make another member one first, or delete the team.",
    ),
    (
        "link-expired",
        "The link was used, is too old, or was not copied whole. Ask for a new one.",
    ),
    (
        "passkey-exists",
        "This passkey was added to an account already. Sign in with it.",
    ),
    (
        "passkeys-unavailable",
        "Passkeys belong to a domain name. The operator gives the server one with `--public-url`.",
    ),
    (
        "provider-refused",
        "The sign-in with the provider was not accepted: it was refused there, took longer than ten minutes, began in another browser, or its answer was not for us. Begin again.",
    ),
    (
        "provider-unavailable",
        "The provider can't be reached at the moment, or refuses this server. Try again later, or sign in with a password.",
    ),
    (
        "rate-limited",
        "Too many requests within a minute; `RateLimit-Policy` says how many are allowed. Go on after `Retry-After` seconds.",
    ),
    (
        "second-factor-absent",
        "There is no second factor, or none that waits to be confirmed.",
    ),
    (
        "second-factor-exists",
        "The account has a second factor. Remove it before you add another one.",
    ),
    (
        "second-factor-required",
        "The password is right, and the account has a second factor. Send its `code` too: of the authenticator, or a recovery code.",
    ),
    (
        "signature-invalid",
        "The request's signature (RFC 9421) was not accepted; `detail` says what it lacks. A nonce works once, and a signature for a minute.",
    ),
    (
        "too-many-attempts",
        "Too many wrong passwords. Try again after `Retry-After` seconds, or reset the password.",
    ),
    (
        "too-many-keys",
        "An account can have 100 API keys. Delete one that is not used.",
    ),
    (
        "too-many-passkeys",
        "An account can have 20 passkeys. Remove one that is not used.",
    ),
    (
        "version-not-approved",
        "Only an approved version can be taken back.",
    ),
];

/// What a problem's code means.
#[utoipa::path(
    get, path = "/problems/{code}", tag = "site",
    params(("code" = String, Path, description = "As in the problem")),
    responses((status = 200, body = String, content_type = "text/html"), (status = 404, description = "`not-found`")),
    extensions(("x-rate-limit" = json!("relaxed")))
)]
pub async fn problem(Path(code): Path<String>) -> Result<Response> {
    let known = CODES.iter().find(|(known, _)| *known == code);
    let (code, text) = known.ok_or_else(|| Problem::not_found("problem"))?;
    let main = format!("<h1><code>{code}</code></h1>\n{}", html::prose(text));
    let title = format!("{code} · Gather");
    Ok(html::answer(StatusCode::OK, html::document(&title, &main)))
}
