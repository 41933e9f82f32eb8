//! A stand-in for a provider of OpenID Connect that speaks the protocol over a real socket and signs real tokens, and
//! browsers that are sent to it.

use anyhow::{Context, Result};
use axum::{
    Form, Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use e2e::Server;
use jwt_simple::prelude::{
    Claims, Duration, ECDSAP256KeyPairLike, ES256KeyPair, Ed25519KeyPair, EdDSAKeyPairLike,
    RS256KeyPair, RSAKeyPairLike,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
};
use tokio::net::TcpListener;

pub const CLIENT: &str = "gather-test";

pub const SECRET: &str = "a secret: of both";

/// What the next sign-in shall be like.
#[derive(Clone)]
pub struct Mood {
    pub subject: String,
    pub email: String,
    pub verified: bool,
    pub algorithm: &'static str,
    /// The clients that the token is for.
    pub audiences: &'static [&'static str],
    /// Changes the claims before they are signed: a name and a value.
    pub wrong: Option<(&'static str, Value)>,
    /// Signs with another key than the published one.
    pub forged: bool,
    /// Signs without saying with which key.
    pub nameless: bool,
    /// What it answers instead of saying what it is.
    pub silence: Option<(u16, String)>,
    pub refuses: bool,
}

impl Default for Mood {
    fn default() -> Self {
        Self {
            subject: "subject-1".into(),
            email: "grace@example.org".into(),
            verified: true,
            algorithm: "RS256",
            audiences: &[CLIENT],
            wrong: None,
            forged: false,
            nameless: false,
            silence: None,
            refuses: false,
        }
    }
}

pub struct Provider {
    pub issuer: String,
    /// Shared with its client; empty: the client is a public one.
    pub secret: &'static str,
    pub rsa: RS256KeyPair,
    pub ec: ES256KeyPair,
    pub ed: Ed25519KeyPair,
    pub mood: Mutex<Mood>,
    /// What was asked with, by code.
    pub asked: Mutex<HashMap<String, HashMap<String, String>>>,
}

type Shared = State<Arc<Provider>>;

async fn start(secret: &'static str) -> Result<Arc<Provider>> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let provider = Arc::new(Provider {
        issuer: format!("http://{}", listener.local_addr()?),
        secret,
        rsa: RS256KeyPair::generate(2048)?.with_key_id("rsa"),
        ec: ES256KeyPair::generate().with_key_id("ec"),
        ed: Ed25519KeyPair::generate().with_key_id("ed"),
        mood: Mutex::default(),
        asked: Mutex::default(),
    });
    let router = Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/authorize", get(authorize))
        .route("/token", post(token))
        .route("/keys", get(keys))
        .with_state(provider.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(provider)
}

async fn discovery(State(provider): Shared) -> Response {
    let silence = provider.mood.lock().expect("not poisoned").silence.clone();
    match silence {
        Some((status, body)) => {
            (StatusCode::from_u16(status).expect("a status"), body).into_response()
        }
        None => Json(provider.description()).into_response(),
    }
}

/// Nobody has to type anything: the browser comes straight back.
async fn authorize(
    State(provider): Shared,
    Query(asked): Query<HashMap<String, String>>,
) -> Response {
    let wanted = [
        ("response_type", "code"),
        ("client_id", CLIENT),
        ("code_challenge_method", "S256"),
        ("tenant", "1"),
    ];
    for (name, value) in wanted {
        assert_eq!(asked.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(asked["scope"].split(' ').any(|scope| scope == "openid"));
    let (back, state) = (asked["redirect_uri"].clone(), asked["state"].clone());
    if provider.mood.lock().expect("not poisoned").refuses {
        return Redirect::to(&format!("{back}?error=access_denied&state={state}")).into_response();
    }
    let code = format!("code-{}", uuid::Uuid::now_v7());
    provider
        .asked
        .lock()
        .expect("not poisoned")
        .insert(code.clone(), asked);
    Redirect::to(&format!("{back}?code={code}&state={state}")).into_response()
}

async fn token(
    State(provider): Shared,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    // RFC 6749, section 2.3.1: form-encoded, then joined. A public client says no more than who it is.
    let expected = (!provider.secret.is_empty()).then(|| {
        let pair = format!("{CLIENT}:a+secret%3A+of+both");
        format!("Basic {}", BASE64_STANDARD.encode(pair))
    });
    let given = headers.get("authorization");
    let given = given.map(|given| given.to_str().unwrap_or_default());
    let asked = provider
        .asked
        .lock()
        .expect("not poisoned")
        .remove(&form["code"]);
    let verifier = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
    let accepted = asked.filter(|asked| {
        given == expected.as_deref()
            && form["client_id"] == CLIENT
            && form["grant_type"] == "authorization_code"
            && form["redirect_uri"] == asked["redirect_uri"]
            && verifier == asked["code_challenge"]
    });
    let Some(asked) = accepted else {
        return (
            StatusCode::BAD_REQUEST,
            Json(json!({ "error": "invalid_grant" })),
        )
            .into_response();
    };
    let mood = provider.mood.lock().expect("not poisoned").clone();
    let signed = provider.sign(&mood, &asked["nonce"]).expect("signed");
    Json(json!({ "access_token": "unused", "token_type": "Bearer", "id_token": signed }))
        .into_response()
}

async fn keys(State(provider): Shared) -> Json<Value> {
    let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let rsa = provider.rsa.public_key().to_components();
    // The DER form ends with the uncompressed point.
    let der = provider.ec.public_key().to_der().expect("a key");
    let point = &der[der.len() - 65..];
    Json(json!({ "keys": [
        { "kty": "RSA", "kid": "rsa", "n": text(&rsa.n), "e": text(&rsa.e) },
        { "kty": "EC", "kid": "ec", "crv": "P-256", "x": text(&point[1..33]), "y": text(&point[33..]) },
        { "kty": "OKP", "kid": "ed", "crv": "Ed25519", "x": text(&provider.ed.public_key().to_bytes()) },
        { "kty": "oct", "kid": "other", "k": "AAAA" },
    ] }))
}

impl Provider {
    pub fn description(&self) -> Value {
        let issuer = &self.issuer;
        json!({
            "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize?tenant=1"),
            "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"),
        })
    }

    pub fn sign(&self, mood: &Mood, nonce: &str) -> Result<String> {
        let custom = json!({ "email": mood.email, "email_verified": mood.verified, "preferred_username": "Grace Hopper" });
        let mut claims = Claims::with_custom_claims(custom, Duration::from_mins(5))
            .with_issuer(&self.issuer)
            .with_subject(&mood.subject)
            .with_nonce(nonce);
        claims = match mood.audiences {
            [one] => claims.with_audience(one),
            several => claims.with_audiences(several.iter().copied().collect::<HashSet<_>>()),
        };
        match &mood.wrong {
            Some(("iss", value)) => claims = claims.with_issuer(value),
            Some(("aud", value)) => claims = claims.with_audience(value),
            Some(("nonce", value)) => {
                claims = claims.with_nonce(value.as_str().unwrap_or_default())
            }
            Some(("exp", _)) => {
                claims.issued_at = claims.issued_at.map(|at| at - Duration::from_hours(2));
                claims.invalid_before = claims.issued_at;
                claims.expires_at = claims.expires_at.map(|at| at - Duration::from_hours(2));
            }
            Some((name, value)) => claims.custom[*name] = value.clone(),
            None => {}
        }
        match (mood.algorithm, mood.nameless) {
            (_, true) if mood.forged => Ed25519KeyPair::generate().sign(claims),
            (_, false) if mood.forged => Ed25519KeyPair::generate().with_key_id("ed").sign(claims),
            ("ES256", false) => self.ec.sign(claims),
            ("EdDSA", false) => self.ed.sign(claims),
            (_, false) => self.rsa.sign(claims),
            // Read anew, a key has no name.
            ("ES256", true) => ES256KeyPair::from_bytes(&self.ec.to_bytes())?.sign(claims),
            ("EdDSA", true) => Ed25519KeyPair::from_bytes(&self.ed.to_bytes())?.sign(claims),
            (_, true) => RS256KeyPair::from_der(&self.rsa.to_der()?)?.sign(claims),
        }
    }
}

/// What the server is told of a provider.
pub fn told<'a>(issuer: &'a str, secret: &'a str) -> [(&'a str, &'a str); 6] {
    [
        ("oidc_issuer", issuer),
        ("oidc_client_id", CLIENT),
        ("oidc_client_secret", secret),
        ("oidc_origin", issuer),
        ("oidc_token_origin", issuer),
        ("oidc_keys_origin", issuer),
    ]
}

pub struct Trial {
    pub server: Server,
    pub provider: Arc<Provider>,
    pub browser: reqwest::Client,
}

/// How a browser's way through both ends.
pub struct Arrival {
    pub status: u16,
    pub cookie: Option<String>,
    /// The address that the browser goes on to.
    pub next: Option<String>,
}

impl Trial {
    pub async fn new() -> Result<Self> {
        Self::with_secret(SECRET).await
    }

    pub async fn with_secret(secret: &'static str) -> Result<Self> {
        let provider = start(secret).await?;
        let server = Server::told(&told(&provider.issuer, secret)).await?;
        let browser = e2e::http()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            server,
            provider,
            browser,
        })
    }

    /// To the provider, with the cookie to come back with.
    pub async fn leave(&self) -> Result<(String, String)> {
        self.leave_from("/api/sessions/provider").await
    }

    /// To the provider from a link that may say where to go on to, with the cookie to come back with.
    pub async fn leave_from(&self, link: &str) -> Result<(String, String)> {
        let begin = format!("{}{link}", self.server.url);
        let response = self.browser.get(begin).send().await?;
        anyhow::ensure!(response.status() == 303, "{}", response.text().await?);
        let cookie = response.headers()["set-cookie"].to_str()?.to_owned();
        for attribute in [
            "__Host-gather-provider=",
            "; HttpOnly",
            "; Secure",
            "; SameSite=Lax",
        ] {
            assert!(cookie.contains(attribute), "{cookie}");
        }
        let to = response.headers()["location"].to_str()?.to_owned();
        Ok((to, cookie.split(';').next().unwrap_or_default().to_owned()))
    }

    pub async fn come_back(&self, to: &str, cookie: &str) -> Result<Arrival> {
        let sent_back = self.browser.get(to).send().await?;
        self.arrive(sent_back.headers()["location"].to_str()?, cookie)
            .await
    }

    pub async fn arrive(&self, at: &str, cookie: &str) -> Result<Arrival> {
        let response = self.browser.get(at).header("cookie", cookie).send().await?;
        let cookies = response
            .headers()
            .get_all("set-cookie")
            .iter()
            .filter_map(|cookie| cookie.to_str().ok());
        let cookie = cookies
            .filter_map(|cookie| cookie.split(';').next())
            .find(|cookie| cookie.starts_with("__Host-gather-session=gs_"));
        let next = response.headers().get("location");
        Ok(Arrival {
            status: response.status().as_u16(),
            next: next.and_then(|next| next.to_str().ok()).map(str::to_owned),
            cookie: cookie.map(str::to_owned),
        })
    }

    pub async fn sign_in(&self, mood: Mood) -> Result<Arrival> {
        *self.provider.mood.lock().expect("not poisoned") = mood;
        let (to, cookie) = self.leave().await?;
        self.come_back(&to, &cookie).await
    }

    /// What the browser gets that wants to go to the provider.
    pub async fn begin(&self, mood: Mood) -> Result<reqwest::Response> {
        *self.provider.mood.lock().expect("not poisoned") = mood;
        let begin = format!("{}/api/sessions/provider", self.server.url);
        Ok(self.browser.get(begin).send().await?)
    }

    pub async fn me(&self, arrival: &Arrival) -> Result<Value> {
        let cookie = arrival
            .cookie
            .as_deref()
            .with_context(|| format!("no session: {}", arrival.status))?;
        let request = self
            .browser
            .get(format!("{}/api/users/me", self.server.url));
        Ok(request
            .header("cookie", cookie)
            .send()
            .await?
            .json()
            .await?)
    }
}
