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
    people::{PASSWORD, Person, code},
};
use gather::secrets::link_token;
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
use tokio::net::{TcpListener, TcpSocket};
use uuid::Uuid;

const CLIENT: &str = "gather-test";
const SECRET: &str = "a secret: of both";

/// What the next sign-in shall be like.
#[derive(Clone)]
struct Mood {
    subject: String,
    email: String,
    verified: bool,
    algorithm: &'static str,
    /// The clients that the token is for.
    audiences: &'static [&'static str],
    /// Changes the claims before they are signed: a name and a value.
    wrong: Option<(&'static str, Value)>,
    /// Signs with another key than the published one.
    forged: bool,
    /// Signs without saying with which key.
    nameless: bool,
    /// What it answers instead of saying what it is.
    silence: Option<(u16, String)>,
    refuses: bool,
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

struct Provider {
    issuer: String,
    /// Shared with its client; empty: the client is a public one.
    secret: &'static str,
    rsa: RS256KeyPair,
    ec: ES256KeyPair,
    ed: Ed25519KeyPair,
    mood: Mutex<Mood>,
    /// What was asked with, by code.
    asked: Mutex<HashMap<String, HashMap<String, String>>>,
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
    fn description(&self) -> Value {
        let issuer = &self.issuer;
        json!({
            "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize?tenant=1"),
            "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"),
        })
    }

    fn sign(&self, mood: &Mood, nonce: &str) -> Result<String> {
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
fn told<'a>(issuer: &'a str, secret: &'a str) -> [(&'a str, &'a str); 6] {
    [
        ("oidc_issuer", issuer),
        ("oidc_client_id", CLIENT),
        ("oidc_client_secret", secret),
        ("oidc_origin", issuer),
        ("oidc_token_origin", issuer),
        ("oidc_keys_origin", issuer),
    ]
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
        Self::with_secret(SECRET).await
    }

    async fn with_secret(secret: &'static str) -> Result<Self> {
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

    /// What the browser gets that wants to go to the provider.
    async fn begin(&self, mood: Mood) -> Result<reqwest::Response> {
        *self.provider.mood.lock().expect("not poisoned") = mood;
        let begin = format!("{}/api/sessions/provider", self.server.url);
        Ok(self.browser.get(begin).send().await?)
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
    let (rest, last) = cookie.split_at(cookie.len() - 1);
    let other = if last == "A" { "B" } else { "A" };
    assert_eq!(
        trial.arrive(&back, &format!("{rest}{other}")).await?.status,
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

/// OpenID Connect Core 1.0, section 3.1.3.7, steps 3 to 5.
#[tokio::test]
async fn a_token_that_is_for_others_too_names_us_as_the_party_that_it_was_issued_to() -> Result<()>
{
    const OTHERS: [&str; 1] = ["another-client"];
    const BOTH: [&str; 2] = [CLIENT, "another-client"];
    let trial = Trial::new().await?;
    for (audiences, party, status) in [
        (&BOTH[..], None, 401),
        (&BOTH, Some("another-client"), 401),
        (&BOTH, Some(CLIENT), 303),
        (&OTHERS, Some(CLIENT), 401),
        (&[CLIENT, CLIENT], None, 303),
    ] {
        let arrival = trial
            .sign_in(Mood {
                audiences,
                wrong: party.map(|party| ("azp", json!(party))),
                ..Mood::default()
            })
            .await?;
        let expected = (status, status == 303);
        assert_eq!(
            (arrival.status, arrival.cookie.is_some()),
            expected,
            "{audiences:?} {party:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_provider_that_can_not_be_used_is_told_where_the_browser_begins() -> Result<()> {
    let unavailable = (502, "provider-unavailable".to_owned());
    let trial = Trial::new().await?;
    let good = trial.provider.description();
    let mut another = good.clone();
    another["issuer"] = json!("https://another.example");
    for (status, body) in [
        (500, good.to_string()),
        (404, good.to_string()),
        (200, "<html>Welcome</html>".to_owned()),
        (200, String::new()),
        (200, "{}".to_owned()),
        (200, another.to_string()),
        (200, " ".repeat(1 << 20) + &good.to_string()),
    ] {
        let silence = Some((status, body.clone()));
        let mood = Mood {
            silence,
            ..Mood::default()
        };
        let response = trial.begin(mood).await?;
        assert!(!response.headers().contains_key("set-cookie"));
        assert_eq!(code(response).await?, unavailable, "{status} {body:.80}");
    }
    // It is asked again.
    assert_eq!(trial.sign_in(Mood::default()).await?.status, 303);

    // A port that is taken, and where nobody listens.
    let nobody = TcpSocket::new_v4()?;
    nobody.bind(([127, 0, 0, 1], 0).into())?;
    let issuer = format!("http://{}", nobody.local_addr()?);
    let server = Server::told(&told(&issuer, SECRET)).await?;
    let response = server.get("/api/sessions/provider").await?;
    assert_eq!(code(response).await?, unavailable);
    Ok(())
}

#[tokio::test]
async fn an_address_is_proved_by_the_providers_word_as_text_too() -> Result<()> {
    let trial = Trial::new().await?;
    for (number, (word, proved)) in [
        (json!("true"), true),
        (json!("false"), false),
        (json!("yes"), false),
        (json!(1), false),
        (json!(null), false),
    ]
    .into_iter()
    .enumerate()
    {
        let mood = Mood {
            subject: format!("subject-{number}"),
            email: format!("grace-{number}@example.org"),
            wrong: Some(("email_verified", word.clone())),
            ..Mood::default()
        };
        let me = trial.me(&trial.sign_in(mood).await?).await?;
        assert_eq!(me["email_verified"], proved, "{word}");
    }
    Ok(())
}

#[tokio::test]
async fn a_token_that_names_no_key_is_verified_with_any_that_fits() -> Result<()> {
    let trial = Trial::new().await?;
    let nameless = |algorithm: &'static str, forged: bool| Mood {
        algorithm,
        forged,
        nameless: true,
        ..Mood::default()
    };
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let arrival = trial.sign_in(nameless(algorithm, false)).await?;
        assert_eq!(arrival.status, 303, "{algorithm}");
        assert_eq!(trial.me(&arrival).await?["email"], "grace@example.org");
    }
    let forged = trial.sign_in(nameless("EdDSA", true)).await?;
    assert_eq!((forged.status, forged.cookie), (401, None));
    Ok(())
}

#[tokio::test]
async fn a_public_client_sends_no_secret() -> Result<()> {
    let trial = Trial::with_secret("").await?;
    let arrival = trial.sign_in(Mood::default()).await?;
    assert_eq!(arrival.status, 303);
    assert_eq!(trial.me(&arrival).await?["email"], "grace@example.org");
    Ok(())
}

#[tokio::test]
async fn whom_the_provider_vouches_for_has_the_address_that_another_claims() -> Result<()> {
    let trial = Trial::new().await?;
    let new = json!({ "email": "grace@example.org", "name": "claimant", "password": PASSWORD });
    let response = trial.server.post("/api/users/register", &new).await?;
    assert_eq!(response.status(), 201);
    let link: Uuid = sqlx::query_scalar("select id from identity.link where purpose = 'verify'")
        .fetch_one(&mut trial.server.database.connect().await?)
        .await?;
    let grace = trial.me(&trial.sign_in(Mood::default()).await?).await?;
    assert_eq!(grace["name"], "grace-hopper");
    assert_eq!(grace["email_verified"], true);
    let token = link_token(&e2e::master_key(), link);
    let body = json!({ "token": token, "password": PASSWORD });
    let late = trial.server.post("/api/users/verify", &body).await?;
    assert_eq!(code(late).await?, (409, "email-taken".to_owned()));
    Ok(())
}

#[tokio::test]
async fn who_came_with_anothers_address_does_not_come_back_beside_its_owners_reset() -> Result<()> {
    let trial = Trial::new().await?;
    let unproved = Mood {
        verified: false,
        ..Mood::default()
    };
    let strangers = trial.me(&trial.sign_in(unproved).await?).await?;
    let account: Uuid = strangers["id"].as_str().context("id")?.parse()?;
    let database = &trial.server.database;
    let mut admin = database.connect().await?;
    let link: Uuid = sqlx::query_scalar(
        "insert into identity.link (email, purpose, expires_at)
         select email, 'reset', now() + interval '30 minutes' from identity.person where account_id = $1 returning id",
    )
    .bind(account)
    .fetch_one(&mut admin)
    .await?;
    let token = link_token(&e2e::master_key(), link);
    let body = json!({ "token": token, "password": PASSWORD });
    let reset = trial
        .server
        .http
        .post(format!("{}/api/users/password/reset", trial.server.url))
        .json(&body);
    let (to, cookie) = trial.leave().await?;
    let sent_back = trial.browser.get(&to).send().await?;
    let back = sent_back.headers()["location"].to_str()?;
    let come_back = trial.browser.get(back).header("cookie", cookie);

    // The account is found before it is not the stranger's any more.
    let held = database.hold_account(account).await?;
    let [was_reset, came_back] = trial.server.in_turn(held, reset, come_back).await?;
    assert_eq!(was_reset.status(), 204);
    assert_eq!(came_back.status(), 401);
    let living: i64 =
        sqlx::query_scalar("select count(*) from identity.session where revoked_at is null")
            .fetch_one(&mut admin)
            .await?;
    assert_eq!(living, 0);
    Ok(())
}

#[tokio::test]
async fn a_silent_provider_keeps_nobody_else_waiting() -> Result<()> {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let issuer = format!("http://{}", silent.local_addr()?);
    let server = Server::told(&told(&issuer, "")).await?;
    let begin = || {
        server
            .http
            .get(format!("{}/api/sessions/provider", server.url))
    };
    let waiting: Vec<_> = (0..40).map(|_| tokio::spawn(begin().send())).collect();
    let mut asked = Vec::new();
    while asked.len() < 8 {
        asked.push(silent.accept().await?);
    }
    let token = json!({ "refresh_token": "x" });
    let other = server.post("/api/tokens/refresh", &token);
    let other = tokio::time::timeout(std::time::Duration::from_secs(3), other).await??;
    assert_eq!(other.status(), 401);
    for begun in waiting {
        begun.abort();
    }
    Ok(())
}
