//! The run of a request: permit, instance, reply, deadline.

use crate::{
    function::{Asked, Function},
    guest_run::{Content, Guest, no_answer},
    instances::Instances,
    interfaces::exchange::{self, Reply},
    problem::{self, Problem},
    request_body::Oversize,
};
use futures::channel::oneshot;
use http::{Method, StatusCode, header, response::Parts};
use http_body::Body as _;
use http_body_util::Full;
use std::{pin::pin, sync::Arc};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};
use wasmtime::PoolConcurrencyLimitError;
use wasmtime_wasi_http::handler::Request;

/// Gets a permit and an instance, and runs the guest to its response's head, or to its end if that
/// comes without waiting.
///
/// # Errors
/// The problem to answer with: no permit or instance is free, the function trapped, or it took too long.
pub async fn run(
    worker: &Arc<Instances>,
    function: &Arc<Function>,
    request: Request,
    oversize: &Oversize,
) -> Result<(Parts, Content), Problem> {
    let permit = permit(function).await?;
    let is_head = *request.method() == Method::HEAD;
    let work = async {
        let (guest, reply) = ask(worker, function, request, permit).await?;
        if oversize.happened() {
            return Err(problem::BODY_TOO_LARGE);
        }
        let (mut parts, content) = take(guest, reply?).await?;
        add_length(&mut parts, &content, is_head);
        Ok((parts, content))
    };
    let deadline = function.limits().deadline;
    match timeout(deadline, pin!(work)).await {
        Ok(result) => result,
        Err(_) => {
            tracing::error!(?deadline, "the function was stopped at its deadline");
            Err(problem::DEADLINE)
        }
    }
}

/// Begins the run, and waits for the guest's reply. A function that takes requests whole gets the request in one call.
async fn ask(
    worker: &Arc<Instances>,
    function: &Arc<Function>,
    request: Request,
    permit: OwnedSemaphorePermit,
) -> Result<(Guest, Result<Reply, Problem>), Problem> {
    let begin = async |asked| {
        let run = worker.run(function, asked).await.map_err(|error| {
            tracing::error!(error = format!("{error:#}"), "no instance");
            if error.is::<PoolConcurrencyLimitError>() {
                return problem::BUSY;
            }
            problem::INTERNAL
        })?;
        Ok::<_, Problem>(Guest::new(run, permit, function.clone()))
    };
    if function.takes_whole_requests() && exchange::fits(&request) {
        let (answer, answered) = oneshot::channel();
        let mut guest = begin(Asked::Whole(request, answer)).await?;
        let reply = guest.answer(answered).await;
        return Ok((guest, reply));
    }
    let (answer, answered) = oneshot::channel();
    let mut guest = begin(Asked::Parts(request, answer)).await?;
    let reply = guest.answer(answered).await.map(Reply::Streamed);
    Ok((guest, reply))
}

/// Makes the answer from a reply, whose body may still be on its way.
async fn take(guest: Guest, reply: Reply) -> Result<(Parts, Content), Problem> {
    match reply {
        Reply::Whole(told) => {
            guest.finish();
            give_way().await;
            let answer = told.read().map_err(|error| no_answer(&error))?;
            let (parts, body) = answer.into_parts();
            Ok((parts, Content::Whole(Full::new(body))))
        }
        Reply::Streamed(answer) => {
            let (parts, body) = answer.into_parts();
            let content = guest.collect(body).await?;
            give_way().await;
            Ok((parts, content))
        }
    }
}

/// Announces the length of a body that is already complete.
fn add_length(parts: &mut Parts, content: &Content, is_head: bool) {
    if let Content::Whole(body) = content
        && let Some(length) = body.size_hint().exact()
        // The answer to HEAD has no body, and may leave out how long it would be.
        && !(is_head && length == 0)
        && parts.status != StatusCode::NO_CONTENT
        && parts.status != StatusCode::NOT_MODIFIED
    {
        parts
            .headers
            .entry(header::CONTENT_LENGTH)
            .or_insert(length.into());
    }
}

/// Lets the worker's other requests come as far as this one: it then does the same for all of them in a row, with the
/// code still in the CPU's caches, and wakes clients less often. The way of a request has several times more code than
/// a first-level cache holds, and one after the other each would load all of it anew.
///
/// Larus and Parkes, "Using Cohort Scheduling to Enhance Server Performance", 2002.
pub async fn give_way() {
    tokio::task::yield_now().await;
}

/// Waits for a permit to run the request, if one more may wait.
async fn permit(function: &Function) -> Result<OwnedSemaphorePermit, Problem> {
    if let Ok(permit) = function.permits.clone().try_acquire_owned() {
        return Ok(permit);
    }
    let Ok(_queued) = function.queue.try_acquire() else {
        return Err(problem::BUSY);
    };
    match timeout(
        function.limits().queue_timeout,
        function.permits.clone().acquire_owned(),
    )
    .await
    {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(problem::BUSY),
    }
}
