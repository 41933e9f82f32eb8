//! The body of a request, and the reasons why it may arrive incomplete.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use http::StatusCode;
use http_body_util::BodyExt;

use crate::Problem;

/// The reason why a body ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The client paused for too long.
    Stalled,
    /// The connection broke, or the body was shorter than announced.
    Off,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Stalled => "the body stalled",
            Self::Off => "the body broke off",
        })
    }
}

impl Error for Broken {}

impl From<Broken> for Problem {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Stalled => Self::new(
                StatusCode::REQUEST_TIMEOUT,
                "body-timeout",
                "The request's body did not arrive in time.",
            ),
            Broken::Off => Self::new(
                StatusCode::BAD_REQUEST,
                "body-broken",
                "The request's body broke off.",
            ),
        }
    }
}

/// The problem for a body that failed, derived from the error that it failed with.
pub(crate) fn problem(error: &(dyn Error + 'static)) -> Problem {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(broken) = error.downcast_ref::<Broken>() {
            return (*broken).into();
        }
        cause = error.source();
    }
    Broken::Off.into()
}

/// Watches a body that is passed on, since the receiver does not report how it ended.
#[derive(Clone, Default)]
pub(crate) struct Watch(Arc<Mutex<Option<Problem>>>);

impl Watch {
    /// Wraps a body so that its failure is recorded.
    pub fn over(&self, body: Body) -> Body {
        let watch = self.clone();
        Body::new(body.map_err(move |error| {
            *watch.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem(&error));
            error
        }))
    }

    /// The problem if the body failed.
    pub fn failure(&self) -> Option<Problem> {
        let failure = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failure.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;
    use http_body_util::StreamBody;

    fn failing(broken: Broken) -> Body {
        let frames = [Err::<http_body::Frame<bytes::Bytes>, _>(broken)];
        Body::new(StreamBody::new(futures::stream::iter(frames)))
    }

    #[test]
    fn the_cause_is_found_beneath_other_errors() {
        for (broken, code) in [
            (Broken::Stalled, "body-timeout"),
            (Broken::Off, "body-broken"),
        ] {
            let watch = Watch::default();
            assert!(watch.failure().is_none());
            let body = watch.over(failing(broken));
            let error = block_on(body.collect()).expect_err("it fails");
            assert_eq!(problem(&error).code(), code);
            assert_eq!(watch.failure().map(|problem| problem.code()), Some(code));
        }
        let other = std::io::Error::other("reset");
        assert_eq!(problem(&other).code(), "body-broken");
    }
}
