//! Signed statements: in-toto statements (v1) in DSSE envelopes (v1), signed with Ed25519. The platform's JWKS is
//! enough to verify them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD, prelude::BASE64_STANDARD};
use ed25519_compact::{PublicKey, Signature};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The `payloadType` of in-toto statements.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// The `_type` of a statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The predicate type of a receipt, which states the call of a tool: its input, its output and its usage.
pub const RECEIPT: &str = "https://gather.dev/attestations/receipt/v1";
/// The predicate type of an attestation, which states the review of a component and its verdict.
pub const REVIEW: &str = "https://gather.dev/attestations/skill-review/v1";
/// The predicate type of a statement that memories were erased.
pub const ERASURE: &str = "https://gather.dev/attestations/memory-erasure/v1";

/// The predicate type of the receipt of an agent's turn.
pub const TURN: &str = "https://gather.dev/attestations/turn/v1";

/// A DSSE envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// The media type of the payload.
    pub payload_type: String,
    /// The statement, encoded as base64.
    pub payload: String,
    /// The signatures of the statement.
    pub signatures: Vec<EnvelopeSignature>,
}

/// A signature over an envelope's payload and type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopeSignature {
    /// The id of the key in the JWKS.
    pub keyid: String,
    /// The Ed25519 signature: 64 bytes, encoded as base64.
    pub sig: String,
}

/// An in-toto statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    /// The type of statement, always [`STATEMENT_TYPE`].
    #[serde(rename = "_type")]
    pub kind: String,
    /// The subjects of the statement.
    pub subject: Vec<Subject>,
    /// The type of the predicate.
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// The predicate, which is the content of the statement.
    pub predicate: Value,
}

/// The subject of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The name, as `<skill>@<version>`.
    pub name: String,
    /// The digest of the component.
    pub digest: Sha256Digest,
}

/// A digest in the form of in-toto.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sha256Digest {
    /// The SHA-256 as 64 hexadecimal digits.
    pub sha256: String,
}

/// The Ed25519 keys (RFC 8037) of a JWKS (RFC 7517).
#[derive(Debug, Clone, Deserialize)]
pub struct Jwks {
    keys: Vec<Jwk>,
}

#[derive(Debug, Clone, Deserialize)]
struct Jwk {
    #[serde(default)]
    kid: String,
    #[serde(default)]
    kty: String,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    x: String,
}

/// The reason why a statement can't be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unbelievable {
    /// The text is not an envelope with a statement.
    #[error("it is not a DSSE envelope with an in-toto statement: {0}")]
    Malformed(String),
    /// No key of the JWKS has the id that the envelope names.
    #[error("no key of the JWKS has the id {0}; fetch the JWKS of the server that signed it")]
    UnknownKey(String),
    /// The signature does not match.
    #[error("the signature is not valid: the statement was changed, or signed by somebody else")]
    BadSignature,
}

/// A key for signing statements.
pub struct Signer {
    pair: Ed25519KeyPair,
    /// The key's id in the JWKS.
    pub kid: String,
}

impl Signer {
    /// Derives the key from a secret of 32 bytes.
    ///
    /// # Panics
    /// Never: any 32 bytes are a seed (RFC 8032, section 5.1.5).
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&secret).expect("32 bytes");
        let name = Sha256::digest(pair.public_key());
        let kid = format!("attest-{}", URL_SAFE_NO_PAD.encode(&name[..12]));
        Self { pair, kid }
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// Signs a statement.
    ///
    /// # Errors
    /// The statement can't be written as JSON.
    pub fn sign(&self, statement: &impl Serialize) -> serde_json::Result<Envelope> {
        let payload = serde_json::to_vec(statement)?;
        let signature = self.pair.sign(&pre_authentication(PAYLOAD_TYPE, &payload));
        Ok(Envelope {
            payload_type: PAYLOAD_TYPE.to_owned(),
            payload: BASE64_STANDARD.encode(payload),
            signatures: vec![EnvelopeSignature {
                keyid: self.kid.clone(),
                sig: BASE64_STANDARD.encode(signature),
            }],
        })
    }
}

/// A signature of an A2A card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardSignature {
    /// The protected header of the JWS, encoded as base64url.
    pub protected: String,
    /// The Ed25519 signature: 64 bytes, encoded as base64url.
    pub signature: String,
}

impl Signer {
    /// Signs an A2A card: a detached JWS (RFC 7515) over its canonical JSON (RFC 8785).
    ///
    /// # Errors
    /// The card can't be written as JSON.
    pub fn sign_card(&self, card: &Value) -> serde_json::Result<CardSignature> {
        let header = serde_json::json!({"alg": "EdDSA", "kid": self.kid, "typ": "JOSE"});
        let protected = URL_SAFE_NO_PAD.encode(header.to_string());
        let payload = URL_SAFE_NO_PAD.encode(serde_json_canonicalizer::to_vec(card)?);
        let signature = self.pair.sign(format!("{protected}.{payload}").as_bytes());
        Ok(CardSignature {
            protected,
            signature: URL_SAFE_NO_PAD.encode(signature),
        })
    }
}

/// The signed bytes: the pre-authentication encoding of DSSE v1.
fn pre_authentication(kind: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

impl Envelope {
    /// Verifies the envelope and returns its statement, if a key of the JWKS has signed it.
    ///
    /// # Errors
    /// The statement can't be believed.
    pub fn verify(&self, keys: &Jwks) -> Result<Statement, Unbelievable> {
        let malformed = |what: &str| Unbelievable::Malformed(what.to_owned());
        if self.payload_type != PAYLOAD_TYPE {
            return Err(malformed("another payloadType"));
        }
        let payload = BASE64_STANDARD
            .decode(&self.payload)
            .map_err(|_| malformed("payload"))?;
        let signature = self
            .signatures
            .first()
            .ok_or_else(|| malformed("no signature"))?;
        let key = keys
            .keys
            .iter()
            .find(|key| key.kid == signature.keyid && key.kty == "OKP" && key.crv == "Ed25519")
            .ok_or_else(|| Unbelievable::UnknownKey(signature.keyid.clone()))?;
        let key = URL_SAFE_NO_PAD
            .decode(&key.x)
            .ok()
            .and_then(|bytes| PublicKey::from_slice(&bytes).ok());
        let key = key.ok_or_else(|| malformed("a key of the JWKS"))?;
        let sig = BASE64_STANDARD
            .decode(&signature.sig)
            .ok()
            .and_then(|bytes| Signature::from_slice(&bytes).ok());
        let sig = sig.ok_or(Unbelievable::BadSignature)?;
        key.verify(pre_authentication(&self.payload_type, &payload), &sig)
            .map_err(|_| Unbelievable::BadSignature)?;
        let statement: Statement = serde_json::from_slice(&payload)
            .map_err(|error| Unbelievable::Malformed(error.to_string()))?;
        if statement.kind != STATEMENT_TYPE {
            return Err(malformed("another _type"));
        }
        Ok(statement)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn signed() -> (Envelope, Jwks) {
        let signer = Signer::new([7; 32]);
        let statement = json!({"_type": STATEMENT_TYPE, "subject": [{"name": "a@1.0.0", "digest": {"sha256": "00"}}],
            "predicateType": RECEIPT, "predicate": {"tool": "add"}});
        let jwks = json!({"keys": [{"kid": signer.kid, "kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(signer.public_key())}]});
        (
            signer.sign(&statement).unwrap(),
            serde_json::from_value(jwks).unwrap(),
        )
    }

    #[test]
    fn what_was_signed_is_believed_and_nothing_else() {
        let (envelope, keys) = signed();
        assert_eq!(envelope.verify(&keys).unwrap().predicate["tool"], "add");

        let mut changed = envelope.clone();
        let payload = BASE64_STANDARD.decode(&changed.payload).unwrap();
        changed.payload =
            BASE64_STANDARD.encode(String::from_utf8(payload).unwrap().replace("add", "sub"));
        assert_eq!(changed.verify(&keys), Err(Unbelievable::BadSignature));

        let mut stranger = envelope.clone();
        stranger.signatures[0].keyid = "other".to_owned();
        assert_eq!(
            stranger.verify(&keys),
            Err(Unbelievable::UnknownKey("other".to_owned()))
        );

        let mut retyped = envelope.clone();
        retyped.payload_type = "text/plain".to_owned();
        assert!(matches!(
            retyped.verify(&keys),
            Err(Unbelievable::Malformed(_))
        ));

        let mut unsigned = envelope;
        unsigned.signatures.clear();
        assert!(unsigned.verify(&keys).is_err());
    }

    /// The example of the DSSE specification, "protocol.md", section "Test vectors".
    #[test]
    fn the_signed_bytes_are_those_of_the_specification() {
        assert_eq!(
            pre_authentication("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }
}
