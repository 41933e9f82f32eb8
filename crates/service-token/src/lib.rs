//! Tokens of a few minutes with which a component proves to a service of the platform which component asks, and for
//! whom. Each component has a key of its own for each service; the service knows the keys of those that may ask.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use jwt_simple::prelude::{Claims, Clock, Duration, HS256Key, MACLike, Token, VerificationOptions};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The audience of tokens for the sandbox, which runs skills.
pub const SANDBOX: &str = "gather-sandbox";
/// The audience of tokens for the way out, which carries secrets.
pub const EGRESS: &str = "gather-egress";
/// The audience of tokens that are exchanged for the access token of an account.
pub const EXCHANGE: &str = "gather-exchange";
/// The audience of tokens with which an edge asks the platform.
pub const EDGE: &str = "edge";
/// The audience of tokens with which the platform pushes to an edge.
pub const EDGE_PUSH: &str = "edge-push";
/// The lifetime of a token.
pub const TOKEN_SECONDS: u64 = 300;

/// The tolerated difference between the clocks of the platform's machines.
const LEEWAY_SECONDS: u64 = 30;
/// The number of verified tokens at which all of them are forgotten.
const MAX_TOKENS: usize = 1_000;

/// For whom a component asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OnBehalf {
    /// The account; `None` if the component asks for the platform itself.
    pub account: Option<Uuid>,
    /// What acts for the account, such as `claw:<id>` or `pipeline:<id>`.
    pub subjects: Vec<String>,
}

/// A component that asks, as its token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// The component's name.
    pub component: String,
    /// For whom it asks.
    pub on_behalf: OnBehalf,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Custom {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    subjects: Vec<String>,
}

/// Makes the token of a component, for one service and, if need be, on behalf of an account.
///
/// # Errors
/// The token can't be encoded.
pub fn make(
    key: &str,
    component: &str,
    audience: &str,
    on_behalf: &OnBehalf,
) -> Result<String, jwt_simple::Error> {
    let key = HS256Key::from_bytes(key.as_bytes()).with_key_id(component);
    let custom = Custom {
        subjects: on_behalf.subjects.clone(),
    };
    let mut claims = Claims::with_custom_claims(custom, Duration::from_secs(TOKEN_SECONDS))
        .with_issuer(component)
        .with_audience(audience);
    if let Some(account) = on_behalf.account {
        claims = claims.with_subject(account);
    }
    key.authenticate(claims)
}

/// What a service knows of the components that may ask it.
pub struct Verifier {
    audience: &'static str,
    keys: BTreeMap<String, HS256Key>,
    /// Tokens that were verified, with their issuers, until they expire in Unix time.
    verified: Mutex<HashMap<String, (Arc<Issuer>, u64)>>,
}

impl Verifier {
    /// Makes the verifier of a service from the components' names and keys.
    pub fn new<'a>(
        audience: &'static str,
        keys: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let keys = keys.into_iter();
        let keys = keys.map(|(name, key)| (name.to_owned(), HS256Key::from_bytes(key.as_bytes())));
        Self {
            audience,
            keys: keys.collect(),
            verified: Mutex::default(),
        }
    }

    /// The component that made a token; `None` if it is not valid. A component uses a token for minutes, so one that was
    /// found to be valid is remembered until it expires.
    pub fn issuer(&self, token: &str) -> Option<Arc<Issuer>> {
        let now = Clock::now_since_epoch().as_secs();
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((issuer, until)) = verified.get(token)
            && now < *until
        {
            return Some(issuer.clone());
        }
        let (issuer, until) = self.verify(token)?;
        let issuer = Arc::new(issuer);
        if verified.len() >= MAX_TOKENS {
            verified.clear();
        }
        verified.insert(token.to_owned(), (issuer.clone(), until));
        Some(issuer)
    }

    fn verify(&self, token: &str) -> Option<(Issuer, u64)> {
        // The key's name says which key to try; the signature says whether that is true.
        let metadata = Token::decode_metadata(token).ok()?;
        let (name, key) = self.keys.get_key_value(metadata.key_id()?)?;
        let options = VerificationOptions {
            allowed_issuers: Some(HashSet::from([name.clone()])),
            allowed_audiences: Some(HashSet::from([self.audience.to_owned()])),
            time_tolerance: Some(Duration::from_secs(LEEWAY_SECONDS)),
            ..VerificationOptions::default()
        };
        let claims = key.verify_token::<Custom>(token, Some(options)).ok()?;
        let account = claims.subject.map(|subject| subject.parse()).transpose();
        let issuer = Issuer {
            component: name.clone(),
            on_behalf: OnBehalf {
                account: account.ok()?,
                subjects: claims.custom.subjects,
            },
        };
        Some((issuer, claims.expires_at?.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verifier() -> Verifier {
        Verifier::new(
            EGRESS,
            [("llm", "the key of llm"), ("vault", "the key of vault")],
        )
    }

    fn token(key: &str, component: &str, audience: &str) -> String {
        make(key, component, audience, &OnBehalf::default()).expect("a token")
    }

    #[test]
    fn a_token_names_the_component_and_the_account() {
        let on_behalf = OnBehalf {
            account: Some(Uuid::from_u128(7)),
            subjects: vec!["claw:1".to_owned()],
        };
        let token = make("the key of llm", "llm", EGRESS, &on_behalf).expect("a token");
        let expected = Issuer {
            component: "llm".to_owned(),
            on_behalf,
        };
        let verifier = verifier();
        for time in ["first", "remembered"] {
            assert_eq!(
                verifier.issuer(&token).as_deref(),
                Some(&expected),
                "{time}"
            );
        }
    }

    #[test]
    fn a_token_of_another_key_audience_or_component_is_refused() {
        let verifier = verifier();
        assert!(
            verifier
                .issuer(&token("the key of llm", "llm", EGRESS))
                .is_some()
        );
        for bad in [
            token("the key of vault", "llm", EGRESS),
            token("the key of llm", "vault", EGRESS),
            token("the key of llm", "llm", SANDBOX),
            token("the key of llm", "stranger", EGRESS),
            String::new(),
            "a.b.c".to_owned(),
        ] {
            assert_eq!(verifier.issuer(&bad), None, "{bad}");
        }
    }

    #[test]
    fn an_account_that_is_not_an_id_is_refused() {
        let key = HS256Key::from_bytes(b"the key of llm").with_key_id("llm");
        let claims = Claims::create(Duration::from_secs(60))
            .with_issuer("llm")
            .with_audience(EGRESS)
            .with_subject("ada");
        let token = key.authenticate(claims).expect("a token");
        assert_eq!(verifier().issuer(&token), None);
    }
}
