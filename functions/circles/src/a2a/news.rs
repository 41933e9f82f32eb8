//! What happens to a task, told by the gateway of events: who waits for it asks the database only when something has happened.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use guest::task::sleep;
use guest::{fetch, limit_silence, required_variable};
use http_body_util::BodyExt;
use serde::Deserialize;
use serde_json::Value;
use sse::Events;
use uuid::Uuid;

use super::task::Task;

/// The types of events that may change a task; steps do not show in it.
const TYPES: &str = "turn.queued,turn.started,turn.waiting,turn.completed,turn.failed,turn.cancelled,turn.limited,message.*";
/// The longest silence of the gateway, which sends a comment every 15 s.
const SILENCE: Duration = Duration::from_secs(45);
/// The time after which the gateway is asked again that could not be followed.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// The time after which a stream of the gateway's that has ended is opened again, if the credential still holds.
const OPEN_AGAIN: Duration = Duration::from_millis(500);
/// The longest time for which a task is looked at without a gateway, and the time between two questions whether the
/// credential still holds.
const LOOKED_AT: Duration = Duration::from_secs(60);
const HOLDS: Duration = Duration::from_secs(10);
/// The time after which the words said before the subscription are kept where they can be read.
const WORDS_ARE_KEPT: Duration = Duration::from_secs(1);
/// The least time between two looks at a task, and the longest one without a gateway.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);

/// The end of a time.
pub type Timer = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The news of a task that has come.
pub enum Heard {
    /// The task may have changed, or was not looked at for long.
    Change,
    /// Its agent is saying something.
    Words(Words),
    /// The credential of whoever listens has ended, or the time for which a task is looked at without a gateway.
    Over,
    /// The account has as many streams as it may have.
    Refused,
}

/// A piece of what an agent says.
#[derive(Debug, Deserialize)]
pub struct Words {
    turn: Uuid,
    /// The number of the step that says it.
    pub step: i32,
    /// The number of characters before it.
    pub offset: usize,
    pub text: String,
}

#[derive(Debug, Deserialize)]
struct Frame {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    data: Value,
}

/// The news of a task. Without a gateway they are looks at the task, which become rarer while nothing happens, for a minute.
pub struct News {
    turn: Uuid,
    /// The path and the query of the gateway's stream.
    path: String,
    credential: Option<(HeaderName, HeaderValue)>,
    /// The time since which there is no gateway, and that of the last question whether the credential still holds.
    alone_since: Instant,
    held_at: Instant,
    body: Option<Body>,
    events: Events,
    was_open: bool,
    /// The time from which on the gateway may be asked.
    open_at: Instant,
    /// The end of the time until the look that follows a subscription.
    after: Option<Timer>,
    changed_at: Option<Instant>,
    pause: Duration,
}

impl News {
    /// The news of a task for whoever has sent these headers: of its changes and, if wanted, of its agent's words.
    pub fn of(task: &Task, headers: &HeaderMap, with_words: bool) -> Self {
        let words = if with_words { ",turn.delta" } else { "" };
        Self {
            turn: task.id,
            path: format!(
                "/api/events/stream?topics=conversation:{}&types={TYPES}{words}",
                task.conversation
            ),
            credential: credential(headers),
            alone_since: Instant::now(),
            held_at: Instant::now(),
            body: None,
            events: Events::default(),
            was_open: false,
            open_at: Instant::now(),
            after: None,
            changed_at: None,
            pause: SHORTEST,
        }
    }

    /// Says that a look has found a change, so that the next one comes soon where no gateway tells of changes.
    pub fn hurry(&mut self) {
        self.pause = SHORTEST;
    }

    /// Waits for what comes next.
    pub async fn next(&mut self) -> Heard {
        loop {
            match self.events.next_event() {
                Ok(Some(event)) => match self.heard(event.data.as_deref()) {
                    Some(Heard::Change) => return self.change().await,
                    Some(heard) => return heard,
                    None => continue,
                },
                Ok(None) => {}
                Err(_) => self.close(),
            }
            if self.body.is_some() {
                if self.read().await {
                    return self.change().await;
                }
            } else if self.credential.is_some() && self.open_at <= Instant::now() {
                if let Some(end) = self.open().await {
                    return end;
                }
            } else if self.alone_since.elapsed() > LOOKED_AT || !self.holds().await {
                return Heard::Over;
            } else {
                sleep(self.pause).await;
                self.pause = (self.pause * 2).min(LONGEST);
                return Heard::Change;
            }
        }
    }

    /// A change, unless one was told a moment ago: several events come at once.
    async fn change(&mut self) -> Heard {
        let since = self.changed_at.map(|at| at.elapsed());
        if let Some(rest) = since.and_then(|since| SHORTEST.checked_sub(since)) {
            sleep(rest).await;
        }
        self.changed_at = Some(Instant::now());
        Heard::Change
    }

    /// Reads on in the stream. Whether it is time to look at the task.
    async fn read(&mut self) -> bool {
        let Some(body) = &mut self.body else {
            return false;
        };
        let frame = match &mut self.after {
            Some(timer) => match before(timer, body.frame()).await {
                Some(frame) => frame,
                None => {
                    self.after = None;
                    return true;
                }
            },
            None => body.frame().await,
        };
        match frame {
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    self.events.push(&data);
                }
            }
            Some(Err(_)) | None => self.close(),
        }
        false
    }

    fn heard(&mut self, data: Option<&[u8]>) -> Option<Heard> {
        // A comment: nothing has happened that was told.
        let Some(data) = data else {
            return Some(Heard::Change);
        };
        let frame: Frame = serde_json::from_slice(data).ok()?;
        match frame.kind.as_str() {
            "turn.delta" => {
                let words: Words = serde_json::from_value(frame.data).ok()?;
                (words.turn == self.turn).then_some(Heard::Words(words))
            }
            "subscribed" => {
                self.after = Some(Box::pin(sleep(WORDS_ARE_KEPT)));
                Some(Heard::Change)
            }
            _ => Some(Heard::Change),
        }
    }

    fn close(&mut self) {
        (self.body, self.after) = (None, None);
        self.events = Events::default();
        self.open_at = self.open_at.min(Instant::now() + OPEN_AGAIN);
        self.alone_since = Instant::now();
    }

    /// Opens the stream, or puts it off. Returns the end of the news, if that is what the gateway's answer means.
    async fn open(&mut self) -> Option<Heard> {
        self.open_at = Instant::now() + ASK_AGAIN;
        let answer = ask(&self.path, self.credential.clone()).await?;
        match answer.status() {
            StatusCode::UNAUTHORIZED if self.was_open => return Some(Heard::Over),
            StatusCode::TOO_MANY_REQUESTS => return Some(Heard::Refused),
            _ => {}
        }
        let kind = answer.headers().get(CONTENT_TYPE);
        // Without a gateway, a function answers that there is no such path.
        if answer.status() == StatusCode::OK && kind.is_some_and(|kind| kind == "text/event-stream")
        {
            self.was_open = true;
            self.body = Some(answer.into_body());
        }
        None
    }

    /// Whether the credential still holds, as far as that is known: the platform is asked now and then.
    async fn holds(&mut self) -> bool {
        if self.held_at.elapsed() < HOLDS {
            return true;
        }
        self.held_at = Instant::now();
        let answer = ask("/api/accounts/me", self.credential.clone()).await;
        answer.is_none_or(|answer| {
            let status = answer.status();
            status != StatusCode::UNAUTHORIZED && status != StatusCode::FORBIDDEN
        })
    }
}

/// The header that says who asks, as the gateway reads it.
fn credential(headers: &HeaderMap) -> Option<(HeaderName, HeaderValue)> {
    if let Some(value) = headers.get(AUTHORIZATION) {
        return Some((AUTHORIZATION, value.clone()));
    }
    if let Some(key) = headers.get("x-api-key") {
        let value = format!("Bearer {}", key.to_str().ok()?);
        return Some((AUTHORIZATION, value.parse().ok()?));
    }
    Some((COOKIE, headers.get(COOKIE)?.clone()))
}

/// The answer of the platform to whoever has this credential; `None` if it can't be reached.
async fn ask(path: &str, credential: Option<(HeaderName, HeaderValue)>) -> Option<Response<Body>> {
    let url = required_variable("internal_url").await.ok()?;
    let (name, value) = credential?;
    let mut request = Request::get(format!("{url}{path}"))
        .header(name, value)
        .body(Body::empty())
        .ok()?;
    limit_silence(&mut request, SILENCE);
    fetch(request).await.ok()
}

/// Waits for something; `None` if the time ends first.
pub async fn before<T>(timer: &mut Timer, waiting: impl Future<Output = T>) -> Option<T> {
    let mut waiting = pin!(waiting);
    poll_fn(|context| match waiting.as_mut().poll(context) {
        Poll::Ready(ready) => Poll::Ready(Some(ready)),
        Poll::Pending => timer.as_mut().poll(context).map(|()| None),
    })
    .await
}
