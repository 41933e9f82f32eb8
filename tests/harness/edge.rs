//! The edge in Cloudflare's runtime, before a platform whose requests are counted.

use crate::{
    Server, free_address, libraries::installed, master_key, replace_variable, root, scratch,
};
use anyhow::{Context, Result, bail};
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use futures::{StreamExt, stream};
use gather::secrets::edge_key;
use serde_json::json;
use service_token::{EDGE_PUSH, OnBehalf};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::{Child, Command},
    sync::{OnceCell, watch},
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};

/// A path whose public answer the way makes up: large, without a length, and without an end while it is held back.
pub const ENDLESS: &str = "/endless";
/// The pieces of that answer before its end.
pub const ENDLESS_PIECES: usize = 3;
/// The size of such a piece.
pub const ENDLESS_PIECE_BYTES: usize = 1 << 20;
/// The largest body that is handed on.
const MAX_BYTES: usize = 16 << 20;
/// The time in which the runtime starts on a busy machine.
const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// The parts of the edge that are made once for all tests.
struct Parts {
    npm: &'static Path,
    build: PathBuf,
}

/// Installs the runtime, once for all tests; `None` if that is not possible here.
async fn npm() -> Result<Option<&'static PathBuf>> {
    static NPM: OnceCell<Option<PathBuf>> = OnceCell::const_new();
    let installing = async || installed("workerd", "tests/platform/edge/workerd", &[]).await;
    Ok(NPM.get_or_try_init(installing).await?.as_ref())
}

/// Builds a function for the runtime, once for all tests.
async fn built(name: &'static str, npm: &Path) -> Result<PathBuf> {
    static BUILT: tokio::sync::Mutex<BTreeMap<&str, PathBuf>> =
        tokio::sync::Mutex::const_new(BTreeMap::new());
    let mut built = BUILT.lock().await;
    if let Some(folder) = built.get(name) {
        return Ok(folder.clone());
    }
    let esbuild = Some(npm.join("node_modules/.bin/esbuild"));
    let building = move || gather::edge::build_function_with(root(), name, esbuild);
    let folder = spawn_blocking(building).await??;
    built.insert(name, folder.clone());
    Ok(folder)
}

/// Installs the runtime and builds the edge; `None` if that is not possible here.
async fn parts() -> Result<Option<&'static Parts>> {
    static PARTS: OnceCell<Option<Parts>> = OnceCell::const_new();
    let made = PARTS.get_or_try_init(async || {
        let Some(npm) = npm().await? else {
            return Ok(None);
        };
        let esbuild = npm.join("node_modules/.bin/esbuild");
        let built = spawn_blocking(move || gather::edge::build_with(root(), Some(esbuild)));
        anyhow::Ok(Some(Parts {
            npm,
            build: built.await??,
        }))
    });
    Ok(made.await?.as_ref())
}

/// Starts a script that runs the runtime. It ends with its standard input, and ends what it has started; killed, it would
/// leave that behind.
async fn started(mut command: Command) -> Result<Child> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut runtime = command.spawn()?;
    let output = runtime.stdout.take().context("an output")?;
    let mut lines = BufReader::new(output).lines();
    loop {
        let line = timeout(STARTS_WITHIN, lines.next_line()).await;
        match line.context("the runtime does not start")?? {
            Some(line) if line == "ready" => break,
            Some(line) => eprintln!("workerd: {line}"),
            None => bail!("the runtime does not start"),
        }
    }
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            eprintln!("workerd: {line}");
        }
    });
    Ok(runtime)
}

/// A function in Cloudflare's runtime, over the database of a platform whose other functions it asks.
pub struct Function {
    /// Its URL.
    pub url: String,
    _runtime: Child,
}

impl Function {
    /// Starts it; `None` if the runtime can't be had here.
    ///
    /// # Errors
    /// It can't be built or started.
    pub async fn start(
        name: &'static str,
        platform: &str,
        variables: &BTreeMap<String, String>,
    ) -> Result<Option<Self>> {
        let Some(npm) = npm().await? else {
            return Ok(None);
        };
        let build = built(name, npm).await?;
        let port = free_address()?.port();
        let url = format!("http://127.0.0.1:{port}");
        let mut variables = variables.clone();
        replace_variable(&mut variables, "public_url", &url)?;
        let of = |name: &str| variables.get(name).cloned().unwrap_or_default();
        let bindings = json!({
            "ORIGIN": platform,
            "PLATFORM": of("platform"),
            "DATABASE_URL": of(&format!("{name}_database_url")),
            "OIDC_ISSUER": of("oidc_issuer"),
        });
        let mut command = Command::new("node");
        command
            .arg(npm.join("function.mjs"))
            .arg(port.to_string())
            .arg(build)
            .arg(bindings.to_string());
        Ok(Some(Self {
            url,
            _runtime: started(command).await?,
        }))
    }
}

/// A platform behind an edge.
pub struct Edge {
    /// The platform, which is reached past the edge too.
    pub server: Server,
    /// The URL of the edge.
    pub url: String,
    /// The way from the edge to the platform.
    pub between: Between,
    port: u16,
    parts: &'static Parts,
    state: TempDir,
    /// The milliseconds by which the edge's clock is ahead.
    ahead_ms: i64,
    runtime: Option<Child>,
}

impl Edge {
    /// Starts both; `None` if the runtime can't be had here.
    ///
    /// # Errors
    /// Something can't be started.
    pub async fn start() -> Result<Option<Self>> {
        Self::start_ahead(0).await
    }

    /// Starts both; the edge's clock is ahead of the platform's.
    ///
    /// # Errors
    /// Something can't be started.
    pub async fn start_ahead(ahead_ms: i64) -> Result<Option<Self>> {
        let Some(parts) = parts().await? else {
            return Ok(None);
        };
        let port = free_address()?.port();
        let url = format!("http://127.0.0.1:{port}");
        let server = Server::told(&[("edge_origins", &url)]).await?;
        let between = Between::start(&server.url).await?;
        let mut edge = Self {
            server,
            url,
            between,
            port,
            parts,
            state: scratch()?,
            ahead_ms,
            runtime: None,
        };
        edge.run().await?;
        Ok(Some(edge))
    }

    /// Ends the runtime as if its machine had failed, and starts it anew.
    ///
    /// # Errors
    /// It can't be started.
    pub async fn restart(&mut self) -> Result<()> {
        self.restart_ahead(self.ahead_ms).await
    }

    /// As [`Edge::restart`], with another clock.
    ///
    /// # Errors
    /// It can't be started.
    pub async fn restart_ahead(&mut self, ahead_ms: i64) -> Result<()> {
        self.ahead_ms = ahead_ms;
        if let Some(mut runtime) = self.runtime.take() {
            // Its standard input ends, and with that the runtime and what it has started.
            drop(runtime.stdin.take());
            timeout(STARTS_WITHIN, runtime.wait())
                .await
                .context("it does not end")??;
        }
        self.run().await
    }

    async fn run(&mut self) -> Result<()> {
        let mut command = Command::new("node");
        command
            .arg(self.parts.npm.join("run.mjs"))
            .arg(self.port.to_string())
            .arg(&self.between.url)
            .arg(edge_key(&master_key()))
            .arg(&self.parts.build)
            .arg(self.state.path())
            .arg(self.ahead_ms.to_string());
        self.runtime = Some(started(command).await?);
        Ok(())
    }

    /// A request of the platform to the edge.
    ///
    /// # Errors
    /// No token can be made.
    ///
    /// # Panics
    /// The method is none.
    pub fn push(&self, method: &str, path: &str) -> Result<reqwest::RequestBuilder> {
        let key = edge_key(&master_key());
        let token = service_token::make(&key, "edge", EDGE_PUSH, &OnBehalf::default());
        let token = token.map_err(|error| anyhow::anyhow!("{error}"))?;
        Ok(self.request(method, path).bearer_auth(token))
    }

    /// A request to the edge.
    ///
    /// # Panics
    /// The method is none.
    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse().expect("a method");
        self.server
            .http
            .request(method, format!("{}{path}", self.url))
    }
}

/// A way that can be cut, and counts what goes along it.
pub struct Between {
    /// Its URL.
    pub url: String,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

struct Seen {
    target: String,
    http: reqwest::Client,
    paths: Mutex<Vec<String>>,
    is_cut: AtomicBool,
    /// The beginning of the paths whose answers are held back.
    held_path: watch::Sender<Option<&'static str>>,
    /// The number of answers that are held back.
    held: AtomicUsize,
}

impl Between {
    async fn start(target: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let seen = Arc::new(Seen {
            target: target.to_owned(),
            http: crate::http().build()?,
            paths: Mutex::default(),
            is_cut: AtomicBool::new(false),
            held_path: watch::Sender::new(None),
            held: AtomicUsize::new(0),
        });
        let router = Router::new().fallback(pass).with_state(seen.clone());
        Ok(Self {
            url: format!("http://{address}"),
            task: tokio::spawn(async move { drop(axum::serve(listener, router).await) }),
            seen,
        })
    }

    /// The paths that were asked for since this was called last.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        let mut paths = self
            .seen
            .paths
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *paths)
    }

    /// Holds back the answers of paths that begin so, until this is called with `None`.
    pub fn hold(&self, path: Option<&'static str>) {
        self.seen.held_path.send_replace(path);
    }

    /// The number of answers that the platform gave and that are held back.
    #[must_use]
    pub fn held(&self) -> usize {
        self.seen.held.load(Ordering::SeqCst)
    }

    /// Breaks off every connection on which something is asked, until it is mended.
    pub fn cut(&self, is_cut: bool) {
        self.seen.is_cut.store(is_cut, Ordering::SeqCst);
    }
}

impl Drop for Between {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(State(seen): State<Arc<Seen>>, request: Request) -> Response {
    if seen.is_cut.load(Ordering::SeqCst) {
        // The connection's task ends, and the connection with it.
        std::panic::resume_unwind(Box::new("cut"));
    }
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_owned();
    seen.paths
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(path.clone());
    if path == ENDLESS {
        return endless(&seen);
    }
    let answer = hand_on(&seen, &path, request).await;
    let mut held_path = seen.held_path.subscribe();
    let is_held = |held: &Option<&str>| held.is_some_and(|begin| path.starts_with(begin));
    if is_held(&held_path.borrow_and_update()) {
        seen.held.fetch_add(1, Ordering::SeqCst);
        _ = held_path.wait_for(|held| !is_held(held)).await;
        seen.held.fetch_sub(1, Ordering::SeqCst);
    }
    match answer {
        Ok(response) => response,
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

fn endless(seen: &Seen) -> Response {
    let mut held_path = seen.held_path.subscribe();
    let end = async move {
        _ = held_path.wait_for(|held| *held != Some(ENDLESS)).await;
        Ok(b"the end".to_vec())
    };
    let pieces = (0..ENDLESS_PIECES).map(|_| Ok::<_, Infallible>(vec![b'.'; ENDLESS_PIECE_BYTES]));
    let body = Body::from_stream(stream::iter(pieces).chain(stream::once(end)));
    ([("cache-control", "public, s-maxage=1")], body).into_response()
}

async fn hand_on(seen: &Seen, path: &str, request: Request) -> Result<Response> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_BYTES).await?;
    let asked = seen
        .http
        .request(parts.method, format!("{}{path}", seen.target));
    let mut headers = parts.headers;
    headers.remove("host");
    let answer = asked.headers(headers).body(body).send().await?;
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        if name != "transfer-encoding" {
            response = response.header(name, value);
        }
    }
    Ok(response.body(Body::from(answer.bytes().await?))?)
}
