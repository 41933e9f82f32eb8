//! A browser on a page, with a device for one passkey, in software (Web Authentication, level 3, section 6.1).

use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use p256::ecdsa::{Signature, SigningKey, signature::Signer};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 1 << 2;
const WITH_CREDENTIAL: u8 = 1 << 6;

/// The browser and the device.
pub struct Device {
    /// What it made.
    pub passkey: Option<Passkey>,
    /// Whether it asks who holds it.
    pub verifies: bool,
    /// The page's origin.
    pub origin: String,
}

/// A key, and how often it has signed.
#[derive(Clone)]
pub struct Passkey {
    id: [u8; 32],
    key: SigningKey,
    handle: String,
    count: u32,
}

impl Device {
    /// A device without a passkey.
    pub fn new(origin: String) -> Self {
        Self {
            passkey: None,
            verifies: true,
            origin,
        }
    }

    /// `navigator.credentials.create`
    pub fn create(&mut self, ceremony: &Value) -> Result<Value> {
        let options = &ceremony["options"];
        let domain = options["rp"]["id"].as_str().context("a domain")?;
        let id: [u8; 32] = Sha256::digest(options.to_string()).into();
        let key = SigningKey::from_slice(&Sha256::digest(id))?;
        let point = key.verifying_key().to_encoded_point(false);
        let (x, y) = (point.x().context("x")?, point.y().context("y")?);
        // COSE (RFC 9052): an EC2 key, ES256, on P-256.
        let cose = [
            &[0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32][..],
            x,
            &[0x22, 0x58, 32],
            y,
        ];
        let length = u16::try_from(id.len())?.to_be_bytes();
        let made = [&[0; 16][..], &length, &id, &cose.concat()].concat();
        let data = self.data(domain, WITH_CREDENTIAL, 0, &made);
        let attestation = [
            b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".as_slice(),
            &[u8::try_from(data.len())?],
            &data,
        ];
        let response = json!({
            "clientDataJSON": encode(self.client_data("webauthn.create", options)?),
            "attestationObject": encode(attestation.concat()),
            "transports": ["internal"],
        });
        let handle = options["user"]["id"].as_str().context("a handle")?;
        self.passkey = Some(Passkey {
            id,
            key,
            handle: handle.to_owned(),
            count: 0,
        });
        Ok(credential(id, response))
    }

    /// `navigator.credentials.get`
    pub fn get(&mut self, ceremony: &Value) -> Result<Value> {
        let options = &ceremony["options"];
        let domain = options["rpId"].as_str().context("a domain")?;
        let mut passkey = self.passkey.take().context("a passkey")?;
        passkey.count += 1;
        let data = self.data(domain, 0, passkey.count, &[]);
        let client = self.client_data("webauthn.get", options)?;
        let signed = [data.as_slice(), &Sha256::digest(&client)].concat();
        let signature: Signature = passkey.key.sign(&signed);
        let response = json!({
            "clientDataJSON": encode(client),
            "authenticatorData": encode(data),
            "signature": encode(signature.to_der()),
            "userHandle": passkey.handle,
        });
        let id = passkey.id;
        self.passkey = Some(passkey);
        Ok(credential(id, response))
    }

    /// Authenticator data.
    fn data(&self, domain: &str, flags: u8, count: u32, made: &[u8]) -> Vec<u8> {
        let verified = if self.verifies { USER_VERIFIED } else { 0 };
        [
            Sha256::digest(domain).as_slice(),
            &[flags | USER_PRESENT | verified],
            &count.to_be_bytes(),
            made,
        ]
        .concat()
    }

    fn client_data(&self, what: &str, options: &Value) -> Result<String> {
        let challenge = options["challenge"].as_str().context("a challenge")?;
        let origin = &self.origin;
        Ok(format!(
            "{{\"type\":\"{what}\",\"challenge\":\"{challenge}\",\"origin\":\"{origin}\",\"crossOrigin\":false}}"
        ))
    }
}

/// `PublicKeyCredential.toJSON()`
fn credential(id: [u8; 32], response: Value) -> Value {
    json!({
        "id": encode(id),
        "rawId": encode(id),
        "type": "public-key",
        "response": response,
        "clientExtensionResults": {},
    })
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
