//! A call whose answer is streamed.

use std::time::{Duration, Instant};

use axum::body::Body;
use futures::channel::oneshot;
use guest::task::{Ticker, sleep};
use http::Response;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, Limited};

use crate::call::{Call, Head, Stop, TICK};
use crate::egress;
use crate::fault::{self, Fault, Repeat};
use crate::outlet::Outlet;
use crate::protocol::Protocol;
use crate::tokens::Usage;
use crate::translate::Translator;
use crate::watch::Watch;
use sse::{Event, Events};

/// Events without content, such as `choices: []`, of which a target may send this many before its first content.
const MAX_EMPTY: usize = 1000;
/// The largest answer that is read though it is no stream.
const MAX_OTHER_BYTES: usize = 1 << 20;
/// The most that a provider may send behind the reason of the end: its usage, and pings.
const MAX_BEHIND: usize = 1 << 20;
/// The pauses between attempts to reserve more, where the answer waits for that.
const RESERVED_AFTER: [Duration; 3] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_secs(2),
];
/// The output that is reserved at least when the reserved one is nearly used up.
const STEP: u64 = 1024;

/// What an attempt knows, beside the call.
struct Attempt {
    watch: Watch,
    translator: Translator,
    /// The events from the reason of the end on. They wait until the call is settled.
    tail: Vec<u8>,
    /// The bytes behind the first event of these.
    behind: usize,
    empty: usize,
    /// Whether the provider ended the stream as the protocol says.
    is_ended: bool,
    /// Whether a budget refused to reserve more.
    is_denied: bool,
    /// When the ledger could last not be asked to reserve more.
    unheard: Option<Instant>,
}

pub async fn run(mut call: Call, head: oneshot::Sender<Head>) {
    let mut outlet = Outlet::new(call.request.route.protocol(), head);
    let mut ticker = Ticker::new(TICK);
    loop {
        let target = call.target().clone();
        let client = call.request.route.protocol();
        let mut attempt = Attempt {
            watch: Watch::new(target.protocol),
            translator: Translator::new(
                client,
                target.protocol,
                &target.model,
                call.request.wants_usage,
            ),
            tail: Vec::new(),
            behind: 0,
            empty: 0,
            is_ended: false,
            is_denied: false,
            unheard: None,
        };
        // It is kept until the ledger knows how the attempt ended: the way out takes its end for the end of the call.
        let mut answer = Body::empty();
        let stopped = attempt.run(&mut call, &mut ticker, &mut outlet, &mut answer);
        let stopped = stopped.await;
        let stopped = match stopped {
            Ok(()) | Err(Stop::Late) => attempt.check(&outlet),
            Err(stop) => Err(stop),
        };
        match stopped {
            Ok(()) => return attempt.finish(&mut call, &mut outlet).await,
            Err(Stop::Cut) => return attempt.cut(&mut call, &mut outlet).await,
            Err(Stop::Gone | Stop::Late) => return attempt.leave(&mut call).await,
            Err(Stop::Settled) => return settled(&call, &mut outlet).await,
            Err(Stop::Fault(fault)) => {
                match again(&mut call, &mut ticker, &mut outlet, &fault, answer).await {
                    Ok(true) => {}
                    Ok(false) => return attempt.fail(&mut call, &mut outlet, fault).await,
                    Err(Stop::Settled) => return settled(&call, &mut outlet).await,
                    // Nothing of an answer has come.
                    Err(_) => {
                        return call
                            .settle("cancelled", &Usage::default(), true, None)
                            .await;
                    }
                }
            }
        }
    }
}

/// Waits until a target may be asked again after a fault. Whether one may. The answer that failed ends as soon as the ledger
/// knows that.
async fn again(
    call: &mut Call,
    ticker: &mut Ticker,
    outlet: &mut Outlet,
    fault: &Fault,
    answer: Body,
) -> Result<bool, Stop> {
    let next = call.after(fault).await.filter(|_| !outlet.has_content());
    let Some(pause) = next else {
        return Ok(false);
    };
    outlet.forget();
    let cooling = call.rest().await?;
    drop(answer);
    call.pause(ticker, outlet, pause.max(cooling)).await
}

/// Tells the client that somebody else has settled the call.
async fn settled(call: &Call, outlet: &mut Outlet) {
    let headers = call.headers(call.attempts());
    outlet.fail(headers, Fault::settled()).await;
}

impl Attempt {
    async fn run(
        &mut self,
        call: &mut Call,
        ticker: &mut Ticker,
        outlet: &mut Outlet,
        answer: &mut Body,
    ) -> Result<(), Stop> {
        let sent = call.begin_attempt()?;
        let response = call.wait(ticker, outlet, egress::send(sent)).await??;
        call.answered(response.headers());
        let kind = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok());
        if !kind.is_some_and(|kind| kind.trim_start().starts_with("text/event-stream")) {
            let read = call.wait(ticker, outlet, no_stream(response)).await?;
            return Err(read.into());
        }
        *answer = response.into_body();
        let mut events = Events::default();
        while let Some(frame) = call.wait(ticker, outlet, answer.frame()).await? {
            let frame = frame.map_err(|_| self.broken(outlet))?;
            events.push(&frame.into_data().unwrap_or_default());
            let too_large = |_| Fault::garbled("The provider sent an event of more than 4 MiB.");
            while let Some(event) = events.next_event().map_err(too_large)? {
                self.take(call, outlet, event).await?;
                if self.is_ended {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Takes in an event, and passes on what it is for the client.
    async fn take(
        &mut self,
        call: &mut Call,
        outlet: &mut Outlet,
        event: Event,
    ) -> Result<(), Stop> {
        let (seen, data) = self
            .watch
            .event(&event)
            .map_err(|fault| self.late(outlet, fault))?;
        let translated = self
            .translator
            .event(event, &data, seen.is_usage_only, &self.watch.usage);
        let bytes = translated.map_err(|fault| self.late(outlet, fault))?;
        self.is_ended = seen.is_end;
        if seen.is_empty && !outlet.has_content() {
            self.empty += usize::from(!data.is_null());
            if self.empty > MAX_EMPTY {
                return Err(Fault::garbled("The provider sends events without content.").into());
            }
        } else {
            call.progress.last_said = Instant::now();
        }
        if seen.is_content && call.first_token.is_none() {
            call.first_token = Some(call.elapsed());
        }
        call.progress.said = self.watch.said;
        if self.watch.is_finished || seen.is_end {
            call.progress.finished.get_or_insert_with(Instant::now);
            if !self.tail.is_empty() {
                self.behind += bytes.len();
                if self.behind > MAX_BEHIND {
                    let detail = "The provider goes on after the end of its answer.";
                    return Err(self.late(outlet, Fault::garbled(detail)).into());
                }
            }
            self.tail.extend_from_slice(&bytes);
            return Ok(());
        }
        // What was taken for the end of the answer was that of one of its choices.
        call.progress.finished = None;
        let mut all = std::mem::take(&mut self.tail);
        let is_content = seen.is_content || !all.is_empty();
        all.extend_from_slice(&bytes);
        let bytes = all;
        if is_content || outlet.has_content() {
            let bytes = outlet.released(bytes);
            call.passed_on(&bytes);
            let headers = || call.present_headers();
            if !bytes.is_empty() && !outlet.write(headers, bytes).await {
                return Err(Stop::Gone);
            }
        } else {
            outlet.hold(&bytes);
        }
        self.reserve(call).await
    }

    /// Reserves for more output in time. Stops the stream where a budget has nothing left.
    async fn reserve(&mut self, call: &mut Call) -> Result<(), Stop> {
        let said = self.watch.said;
        if !call.plan.metered {
            return Ok(());
        }
        // A statement that failed says nothing of the money. It is tried again with a later event, or now if none may go.
        let mut pauses = RESERVED_AFTER.into_iter();
        let is_late = self.unheard.is_none_or(|at| at.elapsed() > TICK);
        while !self.is_denied && said * 4 > call.reserved * 3 && (is_late || said > call.reserved) {
            let wanted = call.reserved + STEP.max(call.reserved);
            if let Some(granted) = call.note(said, wanted).await? {
                self.is_denied = granted < wanted;
                call.reserved = granted;
            } else if said <= call.reserved {
                self.unheard = Some(Instant::now());
                return Ok(());
            } else if let Some(pause) = pauses.next() {
                sleep(pause).await;
            } else {
                break;
            }
        }
        if said > call.reserved {
            return Err(Stop::Cut);
        }
        Ok(())
    }

    /// The fault of a connection that broke. Before any content another target may answer.
    fn broken(&self, outlet: &Outlet) -> Fault {
        self.late(outlet, Fault::garbled("The provider's stream broke off."))
    }

    /// A fault after content was passed on is final.
    fn late(&self, outlet: &Outlet, fault: Fault) -> Fault {
        if outlet.has_content() {
            Fault {
                repeat: Repeat::Never,
                ..fault
            }
        } else {
            fault
        }
    }

    /// Checks that a stream which ended came to its end.
    fn check(&self, outlet: &Outlet) -> Result<(), Stop> {
        let is_complete = match self.watch.protocol() {
            Protocol::Openai => self.watch.is_finished,
            Protocol::Anthropic => self.is_ended && self.watch.is_finished,
        };
        if is_complete {
            return Ok(());
        }
        let fault = Fault::garbled("The provider's stream ended before its answer did.");
        Err(self.late(outlet, fault).into())
    }

    async fn finish(mut self, call: &mut Call, outlet: &mut Outlet) {
        let (usage, estimated) = self.watch.counted(call.request.input);
        let client = call.request.route.protocol();
        let end = self.translator.end(client, self.is_ended, &usage);
        self.tail.extend_from_slice(&end);
        let tail = outlet.released(self.tail);
        call.record(None);
        call.passed_on(&tail);
        call.settle("succeeded", &usage, estimated, None).await;
        outlet.write(|| call.headers(call.attempts()), tail).await;
    }

    async fn cut(mut self, call: &mut Call, outlet: &mut Outlet) {
        let (usage, estimated) = self.watch.counted(call.request.input);
        let end = self.translator.cut(&usage);
        let end = end.unwrap_or_else(|| self.watch.cut(call.request.wants_usage, &usage));
        let end = outlet.released(end);
        call.record(None);
        call.passed_on(&end);
        call.settle("cut", &usage, estimated, None).await;
        outlet.write(|| call.headers(call.attempts()), end).await;
    }

    async fn leave(self, call: &mut Call) {
        let (usage, _) = self.watch.counted(call.request.input);
        call.settle("cancelled", &usage, true, None).await;
    }

    async fn fail(self, call: &mut Call, outlet: &mut Outlet, fault: Fault) {
        let (usage, estimated) = if outlet.has_content() {
            self.watch.counted(call.request.input)
        } else {
            (Usage::default(), true)
        };
        call.settle("failed", &usage, estimated, Some(&fault)).await;
        outlet.fail(call.headers(call.attempts()), fault).await;
    }
}

/// The fault that a good answer means which is no stream.
async fn no_stream(response: Response<Body>) -> Fault {
    let body = Limited::new(response.into_body(), MAX_OTHER_BYTES)
        .collect()
        .await;
    let body = body
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let value: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    if value["error"].is_null() {
        Fault::garbled("The provider's answer is not a stream.")
    } else {
        fault::of_error(&value["error"])
    }
}
