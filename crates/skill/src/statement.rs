//! Signed statements: in-toto statements (v1) in DSSE envelopes (v1), signed with Ed25519. Anybody can
//! check them with the platform's JWKS and nothing else.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD, prelude::BASE64_STANDARD};
use ed25519_compact::{PublicKey, Signature};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// `payloadType` of in-toto statements.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// `_type` of a statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// What a receipt states: a tool of this skill was called with this, answered that, and used so much.
pub const RECEIPT: &str = "https://gather.dev/attestations/receipt/v1";
/// What an attestation states: this component was reviewed so, with that verdict.
pub const REVIEW: &str = "https://gather.dev/attestations/skill-review/v1";

/// A DSSE envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// What the payload is.
    pub payload_type: String,
    /// The statement's bytes, base64.
    pub payload: String,
    /// By whom.
    pub signatures: Vec<EnvelopeSignature>,
}

/// A signature over an envelope's payload and type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopeSignature {
    /// The key, as the JWKS names it.
    pub keyid: String,
    /// 64 bytes of Ed25519, base64.
    pub sig: String,
}

/// An in-toto statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    /// [`STATEMENT_TYPE`].
    #[serde(rename = "_type")]
    pub kind: String,
    /// What it is about.
    pub subject: Vec<Subject>,
    /// What kind of thing it says.
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// What it says.
    pub predicate: Value,
}

/// What a statement is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// `<skill>@<version>`.
    pub name: String,
    /// The component.
    pub digest: Sha256Digest,
}

/// A digest as in-toto writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sha256Digest {
    /// 64 hexadecimal digits.
    pub sha256: String,
}

/// The keys of a JWKS (RFC 7517) that are Ed25519 (RFC 8037).
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

/// Why a statement can't be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unbelievable {
    /// It is no envelope with a statement.
    #[error("it is no DSSE envelope with an in-toto statement: {0}")]
    Malformed(String),
    /// No key of the JWKS has the id that the envelope names.
    #[error("no key of the JWKS has the id {0}; fetch the JWKS of the server that signed it")]
    UnknownKey(String),
    /// The signature does not fit.
    #[error("the signature is not valid: the statement was changed, or signed by somebody else")]
    BadSignature,
}

/// A key that signs.
pub struct Signer {
    pair: Ed25519KeyPair,
    /// Its name in the JWKS.
    pub kid: String,
}

impl Signer {
    /// The key that follows from a secret of 32 bytes.
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

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// Signs a statement.
    ///
    /// # Errors
    /// A statement that has no JSON.
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

/// PAE of DSSE v1: what is signed.
fn pre_authentication(kind: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

impl Envelope {
    /// The statement, if a key of the JWKS has signed it.
    ///
    /// # Errors
    /// Why it can't be believed.
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
