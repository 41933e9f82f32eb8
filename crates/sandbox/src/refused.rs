//! Requests of skills that were not sent, with the reasons for authors, reviews and callers.

use http::HeaderValue;
use serde::{Deserialize, Serialize};

/// The number of refused requests that are kept for one call. Equal ones are kept once.
const MAX_KEPT: usize = 16;

/// The requests to granted origins that are sent.
#[derive(Debug, Clone, Default)]
pub enum Reach {
    /// All requests are sent, up to the number for any call.
    #[default]
    Granted,
    /// A few requests are sent, since the call is an example in a review.
    Review {
        /// The `User-Agent`, which tells the origin who asks, and why.
        user_agent: HeaderValue,
        /// The number of requests that are sent.
        requests: u32,
    },
    /// No requests are sent, since the arguments are generated.
    Nowhere,
}

/// The reason why a request was not sent, or not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The origin is not among the permissions.
    NotGranted,
    /// The host is in a private network, or is this machine.
    PrivateAddress,
    /// The host's name does not resolve.
    DoesNotResolve,
    /// Nothing accepts connections at the address, or its TLS is not valid.
    NoConnection,
    /// Calls of a review with generated arguments, and examples beyond the first few, have no network.
    NoNetwork,
    /// The call has sent all requests that it may send.
    TooManyRequests,
    /// All skills together send too many requests at this moment.
    NoRoom,
}

/// A request that was not sent, or not answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRequest {
    /// The origin of the request.
    pub origin: String,
    /// The reason for the refusal.
    pub reason: Reason,
}

impl Reason {
    /// Whether the refusal ends the call, which used something that it was not granted.
    fn is_denial(self) -> bool {
        matches!(self, Self::NotGranted | Self::PrivateAddress)
    }
}

impl std::fmt::Display for RefusedRequest {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let origin = &self.origin;
        let why = match self.reason {
            Reason::NotGranted => "which is not among its permissions",
            Reason::PrivateAddress => "which is in a private network",
            Reason::DoesNotResolve => "whose name does not resolve",
            Reason::NoConnection => "which can't be connected to",
            Reason::NoNetwork => "which this call of the review does not reach",
            Reason::TooManyRequests => "after all requests that the call may send",
            Reason::NoRoom => "while too many others were under way",
        };
        write!(out, "a request to {origin}, {why}")
    }
}

/// The refused requests of one call.
#[derive(Debug, Default)]
pub struct Refusals(Vec<RefusedRequest>);

impl Refusals {
    /// Adds a request, unless it is already there or very many are.
    pub fn add(&mut self, origin: &str, reason: Reason) {
        let is_first_denial = reason.is_denial() && self.denied().is_none();
        let is_first_lack = reason == Reason::NoRoom && !self.lacked_room();
        let refused = RefusedRequest {
            origin: origin.to_owned(),
            reason,
        };
        if is_first_denial
            || is_first_lack
            || (self.0.len() < MAX_KEPT && !self.0.contains(&refused))
        {
            self.0.push(refused);
        }
    }

    /// The first request that ends the call.
    #[must_use]
    pub fn denied(&self) -> Option<String> {
        let denied = self.0.iter().find(|refused| refused.reason.is_denial());
        denied.map(ToString::to_string)
    }

    /// Whether a request was refused because all skills together send too many.
    #[must_use]
    pub fn lacked_room(&self) -> bool {
        self.0
            .iter()
            .any(|refused| refused.reason == Reason::NoRoom)
    }

    /// All requests that are kept.
    #[must_use]
    pub fn all(&self) -> Vec<RefusedRequest> {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded_and_a_denial_is_never_lost() {
        let mut refusals = Refusals::default();
        for number in 0..100 {
            refusals.add(&format!("https://{number}.org"), Reason::DoesNotResolve);
            refusals.add("https://0.org", Reason::DoesNotResolve);
        }
        assert_eq!((refusals.all().len(), refusals.denied()), (MAX_KEPT, None));
        refusals.add("https://a.org", Reason::NotGranted);
        refusals.add("https://b.org", Reason::NotGranted);
        assert_eq!(refusals.all().len(), MAX_KEPT + 1);
        let denied = refusals.denied().unwrap_or_default();
        assert!(
            denied.contains("https://a.org") && denied.contains("permissions"),
            "{denied}"
        );
    }
}
