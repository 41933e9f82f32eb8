//! A server that speaks the identity part of the protocol, checks signatures, and misbehaves when told to.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use ed25519_compact::{PublicKey, Signature};
use serde_json::{Value, json};

#[derive(Default)]
struct State {
    /// Registered names by public key.
    agents: BTreeMap<String, String>,
    challenges: BTreeSet<String>,
    access: BTreeMap<String, String>,
    refresh: BTreeMap<String, String>,
    calls: BTreeMap<String, usize>,
    requests: usize,
    /// What challenges name as the server.
    address: String,
    /// What the server calls itself.
    own: String,
    loses_answer: bool,
}

/// A server on a port of its own, for as long as the test runs.
pub struct Server {
    pub address: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State {
            address: address.clone(),
            own: address.clone(),
            ..State::default()
        }));
        let shared = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                thread::spawn(move || answer(stream, &state));
            }
        });
        Self { address, state }
    }

    /// Gives out the challenges of another server from now on, as one that wants to sign in there as the agent.
    pub fn pass_on_challenges_of(&self, other: &str) {
        self.state.lock().unwrap().address = other.to_owned();
    }

    /// Calls itself something else from now on.
    pub fn call_itself(&self, own: &str) {
        self.state.lock().unwrap().own = own.to_owned();
    }

    /// How often the path that ends in `name` was asked for.
    pub fn count(&self, name: &str) -> usize {
        self.state
            .lock()
            .unwrap()
            .calls
            .get(name)
            .copied()
            .unwrap_or_default()
    }

    pub fn forget_access_tokens(&self) {
        self.state.lock().unwrap().access.clear();
    }

    pub fn forget_refresh_tokens(&self) {
        self.state.lock().unwrap().refresh.clear();
    }

    /// The next change is carried out, and its connection closed without an answer.
    pub fn lose_next_answer(&self) {
        self.state.lock().unwrap().loses_answer = true;
    }
}

fn answer(mut stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut length, mut token) = (0, String::new());
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).unwrap() == 0 || header.trim().is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').unwrap();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap(),
            "authorization" => token = value.trim().trim_start_matches("Bearer ").to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);

    let mut state = state.lock().unwrap();
    state.requests += 1;
    *state
        .calls
        .entry(path.rsplit('/').next().unwrap_or_default().to_owned())
        .or_default() += 1;
    let (status, mut answer) = state.handle(&path, &body, &token);
    if line.starts_with("POST ") && std::mem::take(&mut state.loses_answer) {
        return;
    }
    if status >= 400 {
        answer["request_id"] = json!(format!("r-{}", state.requests));
    }
    let text = answer.to_string();
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        text.len()
    );
    let _ = stream.write_all((head + &text).as_bytes());
}

impl State {
    fn handle(&mut self, path: &str, body: &Value, token: &str) -> (u16, Value) {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        match path {
            "/.well-known/agent-card.json" => {
                let binding = "https://spec.openapis.org/oas/v3.1.0";
                let api =
                    json!({"url": self.own, "protocolBinding": binding, "protocolVersion": "1.0"});
                (200, json!({"name": "Gather", "supportedInterfaces": [api]}))
            }
            "/api/agents/register"
                if text("name") == "taken"
                    || self.agents.values().any(|name| *name == text("name")) =>
            {
                (
                    409,
                    json!({"status": 409, "code": "name-taken", "title": "Conflict", "detail": "another agent has this name"}),
                )
            }
            "/api/agents/register" => {
                self.agents.insert(text("public_key"), text("name"));
                (201, self.agent(&text("public_key")))
            }
            "/api/agents/challenge" => {
                let challenge = format!(
                    "gather-authenticate-v1:{}:{}:0:key:mac",
                    self.address, self.requests
                );
                self.challenges.insert(challenge.clone());
                (
                    200,
                    json!({"challenge": challenge, "expires_at": "2026-11-20T22:00:00Z"}),
                )
            }
            "/api/agents/authenticate" => {
                let good = self.challenges.remove(&text("challenge"))
                    && is_signed(&text("public_key"), &text("challenge"), &text("signature"));
                if good {
                    self.tokens(&text("public_key"))
                } else {
                    refused()
                }
            }
            "/api/tokens/refresh" => match self.refresh.remove(&text("refresh_token")) {
                Some(key) => self.tokens(&key),
                None => refused(),
            },
            "/api/agents/me" => match self.access.get(token) {
                Some(key) => (200, self.agent(key)),
                None => refused(),
            },
            _ => (404, json!({"status": 404, "code": "not-found"})),
        }
    }

    fn agent(&self, key: &str) -> Value {
        let name = &self.agents[key];
        json!({"id": format!("id-of-{name}"), "name": name, "public_key": key, "status": "active", "created_at": "2026-11-20T22:00:00Z"})
    }

    fn tokens(&mut self, key: &str) -> (u16, Value) {
        let (access, refresh) = (
            format!("access-{}", self.requests),
            format!("refresh-{}", self.requests),
        );
        self.access.insert(access.clone(), key.to_owned());
        self.refresh.insert(refresh.clone(), key.to_owned());
        (
            200,
            json!({"access_token": access, "token_type": "Bearer", "expires_in": 900, "refresh_token": refresh}),
        )
    }
}

fn refused() -> (u16, Value) {
    (
        401,
        json!({"status": 401, "code": "authentication-failed", "title": "Unauthorized"}),
    )
}

fn is_signed(key: &str, message: &str, signature: &str) -> bool {
    let decode = |text: &str| BASE64_STANDARD.decode(text).unwrap_or_default();
    let (Ok(key), Ok(signature)) = (
        PublicKey::from_slice(&decode(key)),
        Signature::from_slice(&decode(signature)),
    ) else {
        return false;
    };
    key.verify(message, &signature).is_ok()
}
