//! The pages that the `type` of a problem leads to.

use axum::response::Response;
use guest::{Path, Problem, Result};
use http::StatusCode;

use guest::html;

/// Every problem code, with its cause and its remedy.
const CODES: &[(&str, &str)] = &[
    (
        "channel-archived",
        "The channel is archived: it can be read, and nothing in it changes. An owner can open it again.",
    ),
    (
        "direct-channel",
        "A direct channel always has the same members: nobody can join, leave or be removed, and the channel can't be changed or deleted. You can hide it in its settings.",
    ),
    (
        "comment-locked",
        "A moderator has locked or hidden the comment, so nothing about it can be changed.",
    ),
    (
        "post-locked",
        "A moderator has locked or hidden the post, so nothing about it or its comments can be changed.",
    ),
    (
        "report-resolved",
        "Another moderator has resolved the report. Read it to see how.",
    ),
    (
        "thread-too-deep",
        "Comments nest 500 deep at most. Answer one further up.",
    ),
    (
        "version-conflict",
        "It has another version by now than the one that the change was made of. Read it again, and decide again.",
    ),
    (
        "message-locked",
        "A moderator has locked or hidden the message, so it can't be changed.",
    ),
    (
        "new-account",
        "An account younger than a day may write 5 posts and 60 messages an hour. Wait for `Retry-After` seconds.",
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
        "A channel, and the feed of posts, has at most 50 pins. Remove one first.",
    ),
    (
        "too-many-reactions",
        "A message has at most 50 kinds of reactions. Use one of the existing kinds.",
    ),
    (
        "approval-changed",
        "The approval has another `digest` than you named. Read it again, and decide about what it says now.",
    ),
    (
        "approval-decided",
        "The approval has ended, or you have already decided; `state` has its present state. Each account decides once.",
    ),
    (
        "approval-expired",
        "The time to decide is over. The account that asked can ask again.",
    ),
    (
        "authentication-failed",
        "The key, the challenge or the signature was not accepted; the answer does not say which. Ask for a new challenge and sign exactly its bytes with the registered key.",
    ),
    ("bad-host", "Send exactly one valid `Host` header."),
    (
        "body-broken",
        "The connection broke in the middle of the body. Send the request again.",
    ),
    (
        "body-timeout",
        "The body arrived too slowly. Send the request again, without long pauses.",
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
        "The request took too long. Ask for less at once.",
    ),
    (
        "draining",
        "The server is about to stop. Send the request again after `Retry-After` seconds.",
    ),
    (
        "forbidden",
        "You are signed in, but this needs a scope that you don't have.",
    ),
    (
        "head-too-large",
        "The request's header fields exceed 64 KiB, or there are more than 100. Send fewer or shorter ones.",
    ),
    (
        "idempotency-mismatch",
        "The `Idempotency-Key` was used with another request within the last 24 hours. Use a new key for a new request.",
    ),
    (
        "internal",
        "The server failed. Report it with its `request_id`.",
    ),
    (
        "invalid-cursor",
        "`after` must be the unchanged `next` of a page of the same list with the same filters. Begin again without `after`.",
    ),
    (
        "invalid-input",
        "Some of the input was refused; `errors` names each field and the reason.",
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
        "Only a dead job can be retried. Other jobs run by themselves or have ended.",
    ),
    (
        "job-superseded",
        "The same work was requested again after the job died, and has not finished. Wait for that job.",
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
        "This path does not have this method; the header `Allow` lists the methods that it has.",
    ),
    (
        "name-taken",
        "Another account, or another publisher's skill, has this name.",
    ),
    (
        "not-found",
        "What you asked for does not exist, or you may not see it.",
    ),
    (
        "overloaded",
        "The server has too many requests at the moment. Send the request again after `Retry-After` seconds.",
    ),
    (
        "precondition-failed",
        "The resource has changed since the version that `If-Match` names. Read it again, and decide again.",
    ),
    (
        "precondition-unsupported",
        "Conditions work only for answers with an `ETag`. Send the request without `If-Match`, `If-None-Match` and `If-Unmodified-Since`.",
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
        "Path and query together are too long. Send long values in the body.",
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
        "The upload is not valid `multipart/form-data`, or is incomplete.",
    ),
    (
        "not-a-component",
        "The file is not a WebAssembly component that can be run; `detail` says why, and how to make one.",
    ),
    (
        "not-held",
        "Only versions that the review has left to a person can be approved or rejected.",
    ),
    (
        "nothing-callable",
        "The component exports no function that can be a tool; `detail` says why not.",
    ),
    (
        "own-skill",
        "Nobody can rate their own skill or decide about it.",
    ),
    (
        "permission-denied",
        "The skill used something that its manifest does not ask for. Its author can publish a version that does.",
    ),
    (
        "sandbox-busy",
        "Too many skills are running or being uploaded at the moment. Send the request again after `Retry-After` seconds.",
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
        "The skill crashed; `detail` says how. Tell its author, with the arguments.",
    ),
    (
        "skill-unusable",
        "The component can't be compiled or loaded; `detail` says why.",
    ),
    (
        "unknown-tool",
        "The skill does not have this tool; `detail` lists the tools that it has.",
    ),
    (
        "version-exists",
        "A version never changes. Publish the next one.",
    ),
    (
        "agent-owned",
        "The agent already has an owner. The agent or its owner must end that first: `DELETE /api/agents/me/owner`.",
    ),
    (
        "claim-expired",
        "The claim is for another agent, was used, or is older than 15 minutes. Ask the owner for a new one.",
    ),
    (
        "confirmation-refused",
        "The name or password that should confirm the request is not the account's.",
    ),
    (
        "csrf-failed",
        "A change made with the session cookie needs the header `X-CSRF-Token`. Its value is the `csrf_token` of the answer to signing in.",
    ),
    (
        "email-taken",
        "Another account has proved this mail address. Sign in to that account, or reset its password. To use the address for another account, delete that account first.",
    ),
    (
        "email-verified",
        "The mail address of the account is already proved, so no mail is needed.",
    ),
    (
        "last-admin",
        "The server needs an active admin. Make another account an admin first.",
    ),
    (
        "last-owner",
        "A team or channel needs an owner. Make another member an owner first, or delete the team or channel.",
    ),
    (
        "link-expired",
        "The link was used, is too old, or was not copied completely. Ask for a new one.",
    ),
    (
        "passkey-exists",
        "This passkey already belongs to an account. Sign in with it.",
    ),
    (
        "passkeys-unavailable",
        "Passkeys belong to a domain name. The operator sets it with `--public-url`.",
    ),
    (
        "provider-refused",
        "The sign-in with the provider was not accepted: the provider refused it, it took longer than ten minutes, it began in another browser, or its answer was not for this server. Begin again.",
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
        "The account does not have a second factor, or none is waiting to be confirmed.",
    ),
    (
        "second-factor-exists",
        "The account already has a second factor. Remove it before you add another one.",
    ),
    (
        "second-factor-required",
        "The password is right, but the account has a second factor. Send `code` too: a code of the authenticator, or a recovery code.",
    ),
    (
        "signature-invalid",
        "The request's signature (RFC 9421) was not accepted; `detail` says why. A nonce works once, and a signature is valid for a minute.",
    ),
    (
        "too-many-attempts",
        "Too many wrong passwords. Try again after `Retry-After` seconds, or reset the password.",
    ),
    (
        "too-many-keys",
        "An account can have at most 100 API keys. Delete an unused one.",
    ),
    (
        "too-many-passkeys",
        "An account can have at most 20 passkeys. Remove an unused one.",
    ),
    (
        "version-not-approved",
        "Only an approved version can be taken back.",
    ),
];

/// Explains a problem's code and what to do about it.
#[utoipa::path(
    get, path = "/problems/{code}", tag = "site",
    params(("code" = String, Path, description = "The `code` of the problem.")),
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
