//! ID tokens of a provider (OpenID Connect Core 1.0).

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::prelude::{
    Audiences, Duration, ECDSAP256PublicKeyLike, ES256PublicKey, Ed25519PublicKey,
    EdDSAPublicKeyLike, JWTClaims, RS256PublicKey, RSAPublicKeyLike, Token, VerificationOptions,
};
use serde::{Deserialize, Serialize};

const MAX_TOKEN_BYTES: usize = 64 << 10;
const CLOCK_SECONDS: u64 = 60;

/// The claims of an ID token.
pub type Claims = JWTClaims<Extra>;

/// What the ID token says beside the registered claims.
#[derive(Serialize, Deserialize)]
pub struct Extra {
    pub email: Option<String>,
    /// Some providers send it as text.
    pub email_verified: Option<serde_json::Value>,
    pub preferred_username: Option<String>,
    /// The client that the token was issued to.
    azp: Option<String>,
}

/// The provider's keys (RFC 7517).
#[derive(Deserialize)]
pub struct Keys {
    keys: Vec<Key>,
}

/// A JSON Web Key (RFC 7517), as much as verifying needs.
#[derive(Deserialize)]
struct Key {
    kid: Option<String>,
    kty: String,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Keys {
    /// The claims of an ID token, if it is the issuer's, for this client, for this sign-in and for now (section 3.1.3.7).
    ///
    /// # Errors
    /// Names what was refused.
    pub fn verify(
        &self,
        token: &str,
        issuer: &str,
        client_id: &str,
        nonce: &str,
    ) -> Result<Claims, &'static str> {
        let metadata = Token::decode_metadata(token).map_err(|_| "token")?;
        let options = VerificationOptions {
            required_nonce: Some(nonce.to_owned()),
            allowed_issuers: Some(HashSet::from([issuer.to_owned()])),
            allowed_audiences: Some(HashSet::from([client_id.to_owned()])),
            time_tolerance: Some(Duration::from_secs(CLOCK_SECONDS)),
            max_token_length: Some(MAX_TOKEN_BYTES),
            ..VerificationOptions::default()
        };
        let fits =
            |key: &&Key| metadata.key_id().is_none() || key.kid.as_deref() == metadata.key_id();
        let claims = self
            .keys
            .iter()
            .filter(fits)
            .find_map(|key| key.verify(metadata.algorithm(), token, options.clone()))
            .ok_or("signature, issuer, audience, nonce or time")?;
        if claims.expires_at.is_none() {
            return Err("no expiry");
        }
        if !is_issued_to(client_id, &claims) {
            return Err("authorized party");
        }
        Ok(claims)
    }
}

/// Whether a token for this client was issued to it. Where others are meant too, only the token itself can say so.
fn is_issued_to(client_id: &str, claims: &Claims) -> bool {
    match (&claims.custom.azp, &claims.audiences) {
        (Some(party), _) => party == client_id,
        (None, Some(Audiences::AsSet(audiences))) => {
            audiences.iter().all(|audience| audience == client_id)
        }
        (None, _) => true,
    }
}

impl Key {
    /// The key's kind decides about the algorithm, and the token must agree.
    fn verify(&self, algorithm: &str, token: &str, options: VerificationOptions) -> Option<Claims> {
        let bytes = |field: &Option<String>| URL_SAFE_NO_PAD.decode(field.as_deref()?).ok();
        match (self.kty.as_str(), algorithm) {
            ("RSA", "RS256") => {
                let key =
                    RS256PublicKey::from_components(&bytes(&self.n)?, &bytes(&self.e)?).ok()?;
                key.verify_token(token, Some(options)).ok()
            }
            ("EC", "ES256") => {
                // An uncompressed point (SEC 1, section 2.3.3).
                let (x, y) = (bytes(&self.x)?, bytes(&self.y)?);
                let point = [&[4], x.as_slice(), y.as_slice()].concat();
                let key = ES256PublicKey::from_bytes(&point).ok()?;
                key.verify_token(token, Some(options)).ok()
            }
            ("OKP", "EdDSA") => {
                let key = Ed25519PublicKey::from_bytes(&bytes(&self.x)?).ok()?;
                key.verify_token(token, Some(options)).ok()
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jwt_simple::prelude::Claims as New;

    fn claims(audiences: &[&str], azp: Option<&str>) -> Claims {
        let extra = Extra {
            email: None,
            email_verified: None,
            preferred_username: None,
            azp: azp.map(str::to_owned),
        };
        let claims = New::with_custom_claims(extra, Duration::from_mins(1));
        match audiences {
            [one] => claims.with_audience(one),
            several => claims.with_audiences(several.iter().copied().collect::<HashSet<_>>()),
        }
    }

    #[test]
    fn who_shares_a_token_with_others_has_to_be_its_authorized_party() {
        for (audiences, azp, expected) in [
            (&["us"][..], None, true),
            (&["us"], Some("us"), true),
            (&["us"], Some("others"), false),
            (&["us", "others"], None, false),
            (&["us", "others"], Some("us"), true),
            (&["us", "others"], Some("others"), false),
            (&["us", "us"], None, true),
        ] {
            let is_ours = is_issued_to("us", &claims(audiences, azp));
            assert_eq!(is_ours, expected, "{audiences:?} {azp:?}");
        }
    }
}
