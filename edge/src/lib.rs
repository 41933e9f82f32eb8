//! The front of Gather near its users, on Cloudflare Workers.
//!
//! It answers by itself only what is certain: 401 to a token that is surely invalid, 429 to an account that has used up
//! its limit, public answers of the last second, and the sockets of a single topic. The origin decides everything else,
//! and checks everything again.

mod access;
mod cache;
mod clock;
mod front;
mod limiter;
mod metrics;
mod news;
mod origin;
mod problem;
mod service;
mod socket;
mod token;
mod topic;

pub use limiter::Limiter;
pub use topic::Topic;
use worker::{Context, Env, Request, Response, Result, event};

/// Answers a request.
#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> Result<Response> {
    front::answer(request, &env, &context).await
}
