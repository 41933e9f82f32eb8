//! Signing in with a provider of OpenID Connect: a stand-in that speaks the protocol over a real socket and signs real
//! tokens.

use anyhow::{Context, Result};
use axum::{
    Form, Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use base64::{Engine, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use e2e::{
    Server,
    people::{PASSWORD, Person},
};
use jwt_simple::prelude::{
    Claims, Duration, ECDSAP256KeyPairLike, ES256KeyPair, Ed25519KeyPair, EdDSAKeyPairLike,
    RS256KeyPair, RSAKeyPairLike,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};
use tokio::net::TcpListener;

const CLIENT: &str = "gather-test";
const SECRET: &str = "a secret: of both";

/// What the next sign-in shall be like.
#[derive(Clone)]
struct Mood {
    subject: String,
    email: String,
    verified: bool,
    algorithm: &'static str,
    /// Changes the claims before they are signed: a name and a value.
    wrong: Option<(&'static str, Value)>,
    /// Signs with another key than the published one.
    forged: bool,
    refuses: bool,
}

impl Default for Mood {
    fn default() -> Self {
        Self {
            subject: "subject-1".into(),
            email: "grace@example.org".into(),
            verified: true,
            algorithm: "RS256",
            wrong: None,
            forged: false,
            refuses: false,
        }
    }
}

struct Provider {
    issuer: String,
    rsa: RS256KeyPair,
    ec: ES256KeyPair,
    ed: Ed25519KeyPair,
    mood: Mutex<Mood>,
    /// What was asked with, by code.
    asked: Mutex<HashMap<String, HashMap<String, String>>>,
}

type Shared = State<Arc<Provider>>;

async fn start() -> Result<Arc<Provider>> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let provider = Arc::new(Provider {
        issuer: format!("http://{}", listener.local_addr()?),
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

async fn discovery(State(provider): Shared) -> Json<Value> {
    let issuer = &provider.issuer;
    Json(json!({
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize?tenant=1"),
        "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"),
    }))
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
    // RFC 6749, section 2.3.1: form-encoded, then joined.
    let expected = format!(
        "Basic {}",
        BASE64_STANDARD.encode(format!("{CLIENT}:a+secret%3A+of+both"))
    );
    let asked = provider
        .asked
        .lock()
        .expect("not poisoned")
        .remove(&form["code"]);
    let verifier = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
    let accepted = asked.filter(|asked| {
        headers
            .get("authorization")
            .is_some_and(|given| given == expected.as_str())
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
    fn sign(&self, mood: &Mood, nonce: &str) -> Result<String> {
        let custom = json!({ "email": mood.email, "email_verified": mood.verified, "preferred_username": "Grace Hopper" });
        let mut claims = Claims::with_custom_claims(custom, Duration::from_mins(5))
            .with_issuer(&self.issuer)
            .with_subject(&mood.subject)
            .with_audience(CLIENT)
            .with_nonce(nonce);
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
        if mood.forged {
            return Ed25519KeyPair::generate().with_key_id("ed").sign(claims);
        }
        Ok(match mood.algorithm {
            "ES256" => self.ec.sign(claims)?,
            "EdDSA" => self.ed.sign(claims)?,
            _ => self.rsa.sign(claims)?,
        })
    }
}

struct Trial {
    server: Server,
    provider: Arc<Provider>,
    browser: reqwest::Client,
}

/// How a browser's way through both ends.
struct Arrival {
    status: u16,
    cookie: Option<String>,
}

impl Trial {
    async fn new() -> Result<Self> {
        let provider = start().await?;
        let issuer = provider.issuer.as_str();
        let told = [
            ("oidc_issuer", issuer),
            ("oidc_client_id", CLIENT),
            ("oidc_client_secret", SECRET),
            ("oidc_origin", issuer),
            ("oidc_token_origin", issuer),
            ("oidc_keys_origin", issuer),
        ];
        let server = Server::told(&told).await?;
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
    async fn leave(&self) -> Result<(String, String)> {
        let response = self
            .browser
            .get(format!("{}/api/sessions/provider", self.server.url))
            .send()
            .await?;
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

    async fn come_back(&self, to: &str, cookie: &str) -> Result<Arrival> {
        let sent_back = self.browser.get(to).send().await?;
        self.arrive(sent_back.headers()["location"].to_str()?, cookie)
            .await
    }

    async fn arrive(&self, at: &str, cookie: &str) -> Result<Arrival> {
        let response = self.browser.get(at).header("cookie", cookie).send().await?;
        let cookies = response
            .headers()
            .get_all("set-cookie")
            .iter()
            .filter_map(|cookie| cookie.to_str().ok());
        let cookie = cookies
            .filter_map(|cookie| cookie.split(';').next())
            .find(|cookie| cookie.starts_with("__Host-gather-session=gs_"));
        Ok(Arrival {
            status: response.status().as_u16(),
            cookie: cookie.map(str::to_owned),
        })
    }

    async fn sign_in(&self, mood: Mood) -> Result<Arrival> {
        *self.provider.mood.lock().expect("not poisoned") = mood;
        let (to, cookie) = self.leave().await?;
        self.come_back(&to, &cookie).await
    }

    async fn me(&self, arrival: &Arrival) -> Result<Value> {
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

#[tokio::test]
async fn a_person_signs_in_with_the_provider_by_any_algorithm() -> Result<()> {
    let trial = Trial::new().await?;
    let mut ids = Vec::new();
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let arrival = trial
            .sign_in(Mood {
                algorithm,
                ..Mood::default()
            })
            .await?;
        assert_eq!(arrival.status, 303);
        let me = trial.me(&arrival).await?;
        assert_eq!(
            (me["name"].clone(), me["email"].clone()),
            (json!("grace-hopper"), json!("grace@example.org"))
        );
        assert_eq!(me["email_verified"], true);
        ids.push(me["id"].clone());
        let current = trial
            .browser
            .get(format!("{}/api/sessions/current", trial.server.url));
        let current: Value = current
            .header("cookie", arrival.cookie.unwrap_or_default())
            .send()
            .await?
            .json()
            .await?;
        assert_eq!(current["method"], "provider");
        assert!(current["csrf_token"].is_string(), "{current}");
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "one account");
    // A name that is taken gets something behind it; a reserved one becomes another.
    let other = Mood {
        subject: "2".into(),
        email: "other@example.org".into(),
        ..Mood::default()
    };
    let other = trial.me(&trial.sign_in(other).await?).await?;
    assert!(
        other["name"]
            .as_str()
            .is_some_and(|name| name.starts_with("grace-hopper-")),
        "{other}"
    );
    let reserved = Mood {
        subject: "3".into(),
        email: "third@example.org".into(),
        wrong: Some(("preferred_username", json!("Admin"))),
        ..Mood::default()
    };
    let reserved = trial.me(&trial.sign_in(reserved).await?).await?;
    assert!(
        reserved["name"]
            .as_str()
            .is_some_and(|name| name.starts_with("user-")),
        "{reserved}"
    );
    Ok(())
}

#[tokio::test]
async fn who_comes_twice_at_once_for_the_first_time_gets_one_account() -> Result<()> {
    let trial = Trial::new().await?;
    let (one, two) = tokio::join!(
        trial.sign_in(Mood::default()),
        trial.sign_in(Mood::default())
    );
    let (one, two) = (trial.me(&one?).await?, trial.me(&two?).await?);
    assert_eq!(one["id"], two["id"]);
    Ok(())
}

#[tokio::test]
async fn a_proved_address_is_one_account_and_an_unproved_one_is_not() -> Result<()> {
    let trial = Trial::new().await?;
    let grace = Person::register(&trial.server, "grace").await?;
    // Neither side has proved it: another account.
    let unproved = Mood {
        subject: "a".into(),
        verified: false,
        ..Mood::default()
    };
    let first = trial.me(&trial.sign_in(unproved).await?).await?;
    assert_ne!(first["id"], grace.id.to_string());
    assert_eq!(first["email_verified"], false);
    trial
        .server
        .database
        .execute("update identity.person set verified_at = now() where password is not null")
        .await?;
    let unproved = Mood {
        subject: "b".into(),
        verified: false,
        ..Mood::default()
    };
    assert_ne!(
        trial.me(&trial.sign_in(unproved).await?).await?["id"],
        grace.id.to_string()
    );
    let proved = Mood {
        subject: "c".into(),
        ..Mood::default()
    };
    assert_eq!(
        trial.me(&trial.sign_in(proved).await?).await?["id"],
        grace.id.to_string()
    );
    // Suspended, the provider's word does not help.
    trial
        .server
        .database
        .execute(&format!(
            "update identity.account set status = 'suspended' where id = '{}'",
            grace.id
        ))
        .await?;
    for subject in ["c", "d"] {
        let arrival = trial
            .sign_in(Mood {
                subject: subject.into(),
                ..Mood::default()
            })
            .await?;
        assert_eq!((arrival.status, arrival.cookie), (401, None), "{subject}");
    }
    assert!(
        Person::sign_in(&trial.server, &grace.email, PASSWORD)
            .await
            .is_err()
    );
    Ok(())
}

#[tokio::test]
async fn what_is_not_the_providers_word_for_this_sign_in_is_refused() -> Result<()> {
    let trial = Trial::new().await?;
    for wrong in [
        ("iss", json!("https://evil.example")),
        ("aud", json!("another-client")),
        ("nonce", json!("of another sign-in")),
        ("exp", json!(null)),
        ("azp", json!("another-client")),
        ("email", json!("no address")),
    ] {
        let arrival = trial
            .sign_in(Mood {
                wrong: Some(wrong.clone()),
                ..Mood::default()
            })
            .await?;
        assert_eq!((arrival.status, arrival.cookie), (401, None), "{wrong:?}");
    }
    let forged = trial
        .sign_in(Mood {
            forged: true,
            ..Mood::default()
        })
        .await?;
    assert_eq!(forged.status, 401);
    let denied = trial
        .sign_in(Mood {
            refuses: true,
            ..Mood::default()
        })
        .await?;
    assert_eq!(denied.status, 401);

    // Somebody else's way back, in this browser; none; one that was changed; and a code that was used.
    *trial.provider.mood.lock().expect("not poisoned") = Mood::default();
    let ((to, cookie), (_, others)) = (trial.leave().await?, trial.leave().await?);
    let sent_back = trial.browser.get(&to).send().await?;
    let back = sent_back.headers()["location"].to_str()?.to_owned();
    assert_eq!(trial.arrive(&back, &others).await?.status, 401);
    assert_eq!(trial.arrive(&back, "").await?.status, 401);
    assert_eq!(
        trial
            .arrive(&back, &format!("{}A", &cookie[..cookie.len() - 1]))
            .await?
            .status,
        401
    );
    assert_eq!(
        trial
            .arrive(&back.replace("state=", "state=x"), &cookie)
            .await?
            .status,
        401
    );
    assert_eq!(trial.arrive(&back, &cookie).await?.status, 303);
    assert_eq!(
        trial.arrive(&back, &cookie).await?.status,
        502,
        "the provider refuses a used code"
    );
    let without = Server::start().await?;
    assert_eq!(without.get("/api/sessions/provider").await?.status(), 404);
    Ok(())
}
