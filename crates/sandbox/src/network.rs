//! Requests of skills, to granted origins only, through the guarded client. A skill follows redirects
//! itself, by a new request that is checked like the first.

use crate::refused::{Reach, Reason, Refusals, RefusedRequest};
use http::{HeaderName, Request, Response, Uri, header, uri};
use http_body_util::BodyExt;
use outgoing::{CONNECT_WITHIN, Failure, Outgoing, Resolve, is_forbidden_header};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Semaphore;
use wasmtime_wasi_http::{Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks};

/// The number of requests of one call at the same time, including the bodies of their answers.
const REQUESTS_OF_ONE: usize = 16;
/// The number of requests that one call may send, so that nobody can use a skill to flood an origin.
const REQUESTS_IN_ALL: u32 = 100;
/// The number of requests of all calls at the same time.
const REQUESTS: usize = 256;

/// The network as skills see it.
pub struct Network {
    outgoing: Outgoing,
    requests: Arc<Semaphore>,
}

impl Network {
    /// Makes the network, with the system's resolver unless another is given.
    #[must_use]
    pub fn new(resolve: Option<Resolve>, trusted: BTreeMap<String, SocketAddr>) -> Self {
        Self {
            outgoing: Outgoing::new(resolve, trusted),
            requests: Arc::new(Semaphore::new(REQUESTS)),
        }
    }
}

/// The requests of one call.
pub struct Outbound {
    network: Arc<Network>,
    granted: Vec<String>,
    reach: Reach,
    /// The number of requests that the call may still send.
    left: u32,
    reached: Vec<String>,
    refused: Arc<Mutex<Refusals>>,
    requests: Arc<Semaphore>,
}

type Finished = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(Response<WasiBody>, Finished), Error>;

impl Outbound {
    /// Makes the network of one call.
    #[must_use]
    pub fn new(network: Arc<Network>, granted: Vec<String>, reach: Reach) -> Self {
        let left = match &reach {
            Reach::Granted => REQUESTS_IN_ALL,
            Reach::Review { requests, .. } => *requests,
            Reach::Nowhere => 0,
        };
        Self {
            network,
            granted,
            reach,
            left,
            reached: Vec::new(),
            refused: Arc::default(),
            requests: Arc::new(Semaphore::new(REQUESTS_OF_ONE)),
        }
    }

    /// The granted origins that the call sent requests to.
    #[must_use]
    pub fn reached(&self) -> &[String] {
        &self.reached
    }

    /// The requests that were not sent, or not answered.
    #[must_use]
    pub fn refused(&self) -> Vec<RefusedRequest> {
        lock(&self.refused).all()
    }

    /// The grant that the skill lacked, if it tried to use one.
    #[must_use]
    pub fn denied(&self) -> Option<String> {
        lock(&self.refused).denied()
    }

    /// Whether a request was not sent because all skills together sent too many.
    #[must_use]
    pub fn was_starved(&self) -> bool {
        lock(&self.refused).lacked_room()
    }

    /// Whether a request to this origin may be sent.
    fn check(&mut self, origin: &str) -> Result<(), Reason> {
        if !self.granted.iter().any(|granted| granted == origin) {
            return Err(Reason::NotGranted);
        }
        if matches!(self.reach, Reach::Nowhere) {
            return Err(Reason::NoNetwork);
        }
        self.left = self.left.checked_sub(1).ok_or(Reason::TooManyRequests)?;
        Ok(())
    }
}

fn lock(refused: &Mutex<Refusals>) -> MutexGuard<'_, Refusals> {
    refused.lock().unwrap_or_else(PoisonError::into_inner)
}

impl WasiHttpHooks for Outbound {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        is_forbidden_header(name)
    }

    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(is_forbidden_header)
    }

    fn is_supported_scheme(&mut self, scheme: &uri::Scheme) -> bool {
        *scheme == uri::Scheme::HTTP || *scheme == uri::Scheme::HTTPS
    }

    fn send_request(
        &mut self,
        mut request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Finished,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let Some(origin) = origin(request.uri()) else {
            return Box::new(async { Err(Error::HttpRequestUriInvalid) });
        };
        if let Err(reason) = self.check(&origin) {
            lock(&self.refused).add(&origin, reason);
            return Box::new(async { Err(Error::HttpRequestDenied) });
        }
        if let Reach::Review { user_agent, .. } = &self.reach {
            let user_agent = user_agent.clone();
            request.headers_mut().insert(header::USER_AGENT, user_agent);
        }
        if !self.reached.contains(&origin) {
            self.reached.push(origin.clone());
        }
        let Ok(own_place) = self.requests.clone().try_acquire_owned() else {
            return Box::new(async { Err(Error::ConnectionLimitReached) });
        };
        let (network, refused) = (self.network.clone(), self.refused.clone());
        Box::new(async move {
            let waiting =
                tokio::time::timeout(CONNECT_WITHIN, network.requests.clone().acquire_owned());
            let Ok(Ok(place)) = waiting.await else {
                lock(&refused).add(&origin, Reason::NoRoom);
                return Err(Error::ConnectionLimitReached);
            };
            let connect_within = options.and_then(|options| options.connect_timeout);
            let connect_within = connect_within.unwrap_or(CONNECT_WITHIN);
            let places = (own_place, place);
            let sent = network.outgoing.send(request, connect_within, places).await;
            let (answer, connection) = sent.map_err(|failure| {
                if let Some(reason) = reason(&failure) {
                    lock(&refused).add(&origin, reason);
                }
                error(failure)
            })?;
            let finished: Finished = Box::new(async move {
                // Whether the connection ended well does not matter to the skill: the body said so.
                drop(connection.await);
                Ok(())
            });
            Ok((
                answer.map(|body| body.map_err(error).boxed_unsync()),
                finished,
            ))
        })
    }
}

/// The reason of a failure, for reviews and callers.
fn reason(failure: &Failure) -> Option<Reason> {
    match failure {
        Failure::DoesNotResolve => Some(Reason::DoesNotResolve),
        Failure::PrivateAddress => Some(Reason::PrivateAddress),
        Failure::ConnectionTimeout | Failure::Connect(_) | Failure::Tls(_) => {
            Some(Reason::NoConnection)
        }
        Failure::Http(_) | Failure::TooLarge | Failure::InvalidUri => None,
    }
}

/// The error of a failure, for the skill.
fn error(failure: Failure) -> Error {
    match failure {
        Failure::DoesNotResolve => Error::DestinationNotFound,
        Failure::PrivateAddress => Error::HttpRequestDenied,
        Failure::ConnectionTimeout => Error::ConnectionTimeout,
        Failure::Connect(error) => Error::Connect(error),
        Failure::Tls(error) => Error::Tls(error),
        Failure::Http(error) => error.into(),
        Failure::TooLarge => Error::HttpResponseBodySize(None),
        Failure::InvalidUri => Error::HttpRequestUriInvalid,
    }
}

/// The form of an origin in permissions, which omits the scheme's default port.
fn origin(uri: &Uri) -> Option<String> {
    let parsed = url::Url::parse(&uri.to_string()).ok()?;
    let is_plain = parsed.username().is_empty() && parsed.password().is_none();
    (is_plain && matches!(parsed.scheme(), "http" | "https"))
        .then(|| parsed.origin().ascii_serialization())
}

#[cfg(test)]
mod tests;
