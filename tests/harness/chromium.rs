//! A real browser: Chromium without a window, which chromedriver steers (W3C WebDriver).
//!
//! All tests share one chromedriver. Each [`Chromium`] is a browser of its own, with cookies of its own, and few are open
//! at a time.
//!
//! WebDriver is JSON over HTTP, and the few commands that tests need are sent as such. The crates for it would turn on a
//! feature of syn, for which all that has macros is built once more (fantoccini), or one of serde_json that changes the
//! order of members in the programs under test (thirtyfour).

use crate::{Server, http, people::Person};
use anyhow::{Context, Result, anyhow, bail};
use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, OnceLock, mpsc},
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

/// The time after which something that should show in a browser counts as missing. A busy machine takes long.
const PATIENCE: Duration = Duration::from_secs(90);
/// The number of browsers that are open at a time.
const AT_ONCE: usize = 3;

/// A browser of one visitor. It is closed when the value is dropped.
pub struct Chromium {
    /// The address of the server at which passkeys work: `http://localhost:port`.
    pub origin: String,
    client: reqwest::Client,
    /// The session's address, without its scheme.
    session: String,
    _permit: Arc<OwnedSemaphorePermit>,
}

/// The turn of a test to open `N` browsers.
pub struct Turn<const N: usize> {
    port: u16,
    permit: Arc<OwnedSemaphorePermit>,
}

/// Waits until `N` more browsers may be open. A test asks before it starts a server, so that no server waits. `None` if
/// Chromium and chromedriver are not installed.
///
/// # Errors
/// None is installed where `GATHER_TESTS_SKIP_NONE` is set.
pub async fn turn<const N: usize>() -> Result<Option<Turn<N>>> {
    static OPEN: OnceLock<Arc<Semaphore>> = OnceLock::new();
    let open = OPEN.get_or_init(|| Arc::new(Semaphore::new(AT_ONCE)));
    let permit = Arc::clone(open).acquire_many_owned(u32::try_from(N)?);
    let permit = Arc::new(permit.await?);
    match tokio::task::spawn_blocking(chromedriver).await? {
        Ok(port) => Ok(Some(Turn { port, permit })),
        Err(reason) if std::env::var_os("GATHER_TESTS_SKIP_NONE").is_some() => {
            bail!("nothing may be skipped: {reason}")
        }
        Err(reason) => {
            eprintln!("skipped: {reason}");
            Ok(None)
        }
    }
}

impl<const N: usize> Turn<N> {
    /// Opens the browsers, of strangers to a server.
    ///
    /// # Errors
    /// A browser does not open.
    pub async fn open(self, server: &Server) -> Result<[Chromium; N]> {
        let mut browsers = Vec::new();
        for _ in 0..N {
            let permit = Arc::clone(&self.permit);
            browsers.push(Chromium::open(server, self.port, permit).await?);
        }
        let browsers = browsers.try_into();
        browsers.map_err(|_| anyhow!("not {N} browsers"))
    }
}

/// Whether a script has put another element in the place of the one that was found.
fn is_replaced(error: &anyhow::Error) -> bool {
    error.to_string().contains("stale element")
}

/// The port of the one chromedriver, which is started once for this process. The kernel ends it with the process.
fn chromedriver() -> Result<u16, String> {
    static PORT: OnceLock<Result<u16, String>> = OnceLock::new();
    let started = PORT.get_or_init(|| {
        let (tell, told) = mpsc::channel();
        // The kernel's signal belongs to the thread that has started the program, so this one lasts.
        std::thread::spawn(move || {
            let child = Command::new("setpriv")
                .args(["--pdeathsig", "TERM", "chromedriver", "--port=0"])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn();
            let Ok(mut child) = child else { return };
            let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
            for line in lines.map_while(Result::ok) {
                let port = line.split("successfully on port ").nth(1);
                if let Some(port) = port.and_then(|port| port.trim_end_matches('.').parse().ok()) {
                    _ = tell.send(port);
                }
            }
            _ = child.wait();
        });
        let port = told.recv_timeout(PATIENCE);
        port.map_err(|_| "chromedriver (Debian: chromium-driver) is not installed".to_owned())
    });
    started.clone()
}

impl Chromium {
    async fn open(server: &Server, port: u16, permit: Arc<OwnedSemaphorePermit>) -> Result<Self> {
        let origin = server.url.replace("127.0.0.1", "localhost");
        let arguments = [
            "--headless=new",
            // It runs as root and in containers, over pages of this server alone.
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-crash-reporter",
            "--disable-gpu",
            "--no-proxy-server",
            "--force-color-profile=srgb",
            "--hide-scrollbars",
            "--window-size=1440,900",
        ];
        let capabilities = json!({
            "browserName": "chrome",
            "webauthn:virtualAuthenticators": true,
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
            "timeouts": { "script": 120_000, "pageLoad": 120_000 },
        });
        let mut browser = Self {
            origin,
            // A connection that has waited may be closed just when it is used again.
            client: http().pool_max_idle_per_host(0).build()?,
            session: format!("127.0.0.1:{port}/session"),
            _permit: permit,
        };
        let wished = json!({ "capabilities": { "alwaysMatch": capabilities } });
        let opened = browser.send(Method::POST, "", wished).await?;
        let id = opened["sessionId"].as_str().context("a session")?;
        browser.session += &format!("/{id}");
        Ok(browser)
    }

    /// Sends a command of WebDriver, such as `refresh`, and returns its value.
    ///
    /// # Errors
    /// The browser refuses.
    pub async fn send(&self, method: Method, command: &str, body: Value) -> Result<Value> {
        let slash = if command.is_empty() { "" } else { "/" };
        let address = format!("http://{}{slash}{command}", self.session);
        let has_body = method == Method::POST;
        let request = self.client.request(method, address);
        let request = if has_body {
            request.json(&body)
        } else {
            request
        };
        let mut answer: Value = request.send().await?.json().await?;
        let value = answer["value"].take();
        match value["error"].as_str() {
            Some(error) => bail!("{command}: {error}: {}", value["message"]),
            None => Ok(value),
        }
    }

    /// Sends a command with parameters.
    ///
    /// # Errors
    /// The browser refuses.
    pub async fn post(&self, command: &str, body: Value) -> Result<Value> {
        self.send(Method::POST, command, body).await
    }

    /// Signs a person in, as the form does.
    ///
    /// # Errors
    /// The browser fails.
    pub async fn sign_in(&self, person: &Person) -> Result<()> {
        let (name, value) = person.cookie.split_once('=').context("a cookie")?;
        let cookie = json!({ "name": name, "value": value, "url": self.origin, "secure": true, "httpOnly": true, "sameSite": "Lax" });
        self.devtools("Network.setCookie", cookie).await?;
        Ok(())
    }

    /// Loads a page.
    ///
    /// # Errors
    /// The server can't be reached.
    pub async fn goto(&self, path: &str) -> Result<()> {
        let url = json!({ "url": format!("{}{path}", self.origin) });
        self.post("url", url).await?;
        Ok(())
    }

    /// The path of the page that is shown.
    ///
    /// # Errors
    /// The browser fails.
    pub async fn path(&self) -> Result<String> {
        let url = self.send(Method::GET, "url", Value::Null).await?;
        let url: Url = url.as_str().unwrap_or_default().parse()?;
        Ok(url.path().to_owned())
    }

    /// Runs a script in the page: the body of an asynchronous function, whose `arguments` are the given ones.
    ///
    /// # Errors
    /// The script throws.
    pub async fn run(&self, script: &str, arguments: &[Value]) -> Result<Value> {
        let body = format!("return (async function () {{ {script} }}).apply(null, arguments);");
        let script = json!({ "script": body, "args": arguments });
        self.post("execute/sync", script).await
    }

    /// Waits until an expression is true in the page, and returns its value.
    ///
    /// # Errors
    /// It is never true.
    pub async fn until(&self, expression: &str) -> Result<Value> {
        let began = Instant::now();
        loop {
            // Between two pages there is none to ask.
            let said = self.run(&format!("return ({expression});"), &[]).await;
            let is_true = said.as_ref().is_ok_and(|value| match value {
                Value::Null | Value::Bool(false) => false,
                Value::String(text) => !text.is_empty(),
                Value::Number(number) => number.as_f64() != Some(0.0),
                _ => true,
            });
            if is_true {
                return said;
            }
            if began.elapsed() > PATIENCE {
                let text = self.run("return document.body.innerText", &[]).await;
                bail!("never: {expression} (last {said:?}) in {text:?}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until an element is shown, and returns its address.
    async fn shown(&self, selector: &str) -> Result<String> {
        let is_shown = format!("document.querySelector({selector:?})?.checkVisibility()");
        self.until(&is_shown).await?;
        let wanted = json!({ "using": "css selector", "value": selector });
        element(&self.post("element", wanted).await?)
    }

    /// Waits until an element is shown, and clicks it.
    ///
    /// # Errors
    /// There is no such element, or another one is above it.
    pub async fn click(&self, selector: &str) -> Result<()> {
        let clicked = self.on(selector, "click", json!({})).await;
        clicked.with_context(|| selector.to_owned())
    }

    /// Types into a field that is shown, after what was in it is removed.
    ///
    /// # Errors
    /// There is no such field.
    pub async fn fill(&self, selector: &str, text: &str) -> Result<()> {
        self.on(selector, "clear", json!({})).await?;
        self.on(selector, "value", json!({ "text": text })).await
    }

    /// Does something with an element that is shown, and with the one in its place if a script replaces it meanwhile.
    async fn on(&self, selector: &str, action: &str, body: Value) -> Result<()> {
        let begin = Instant::now();
        loop {
            let element = self.shown(selector).await?;
            match self
                .post(&format!("{element}/{action}"), body.clone())
                .await
            {
                Err(error) if is_replaced(&error) && begin.elapsed() < PATIENCE => {}
                done => return done.map(drop),
            }
        }
    }

    /// Presses keys, wherever the focus is.
    ///
    /// # Errors
    /// The browser fails.
    pub async fn press(&self, keys: &str) -> Result<()> {
        let begin = Instant::now();
        loop {
            let active = self.send(Method::GET, "element/active", Value::Null);
            let active = element(&active.await?)?;
            let keys = json!({ "text": keys });
            match self.post(&format!("{active}/value"), keys).await {
                Err(error) if is_replaced(&error) && begin.elapsed() < PATIENCE => {}
                done => return done.map(drop),
            }
        }
    }

    /// The name of the tab that commands go to.
    ///
    /// # Errors
    /// The browser fails.
    pub async fn tab(&self) -> Result<String> {
        let tab = self.send(Method::GET, "window", Value::Null).await?;
        Ok(tab.as_str().context("a tab")?.to_owned())
    }

    /// Opens another tab, to which commands go from now on, and returns its name.
    ///
    /// # Errors
    /// The browser fails.
    pub async fn open_tab(&self) -> Result<String> {
        let tab = self.post("window/new", json!({ "type": "tab" })).await?;
        let tab = tab["handle"].as_str().context("a tab")?.to_owned();
        self.to_tab(&tab).await?;
        Ok(tab)
    }

    /// Sends commands to another tab from now on, which is then in front.
    ///
    /// # Errors
    /// There is no such tab.
    pub async fn to_tab(&self, tab: &str) -> Result<()> {
        self.post("window", json!({ "handle": tab })).await?;
        Ok(())
    }

    /// Closes the tab that commands go to.
    ///
    /// # Errors
    /// The browser fails.
    pub async fn close_tab(&self) -> Result<()> {
        self.send(Method::DELETE, "window", Value::Null).await?;
        Ok(())
    }

    /// Sends a command of Chromium's developer tools.
    ///
    /// # Errors
    /// The browser refuses.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Result<Value> {
        let body = json!({ "cmd": command, "params": parameters });
        self.post("goog/cdp/execute", body)
            .await
            .with_context(|| command.to_owned())
    }

    /// Adds a device that answers passkeys by itself.
    ///
    /// # Errors
    /// The browser refuses.
    pub async fn add_authenticator(&self) -> Result<()> {
        let device = json!({
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true,
            "isUserConsenting": true, "isUserVerified": true,
        });
        self.post("webauthn/authenticator", device).await?;
        Ok(())
    }

    /// What one of the browser's logs has got since it was read last: `browser` has what the console shows,
    /// `performance` what goes over the network.
    ///
    /// # Errors
    /// The browser refuses.
    pub async fn log(&self, kind: &str) -> Result<Vec<Value>> {
        let entries = self.post("se/log", json!({ "type": kind })).await?;
        let entries = entries.as_array().cloned().unwrap_or_default();
        Ok(entries)
    }

    /// Shows the page as on a screen of this width, in the visitor's theme.
    ///
    /// # Errors
    /// The browser refuses.
    pub async fn screen(&self, width: u32, height: u32) -> Result<()> {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics)
            .await?;
        Ok(())
    }

    /// Makes `light` or `dark` the theme of the visitor's system.
    ///
    /// # Errors
    /// The browser refuses.
    pub async fn theme(&self, theme: &str) -> Result<()> {
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": theme }, { "name": "prefers-reduced-motion", "value": "reduce" }] });
        self.devtools("Emulation.setEmulatedMedia", media).await?;
        Ok(())
    }

    /// Writes a picture of the page, as long as it is.
    ///
    /// # Errors
    /// The file can't be written.
    pub async fn picture(&self, file: &Path) -> Result<()> {
        let how =
            json!({ "format": "png", "optimizeForSpeed": true, "captureBeyondViewport": true });
        let taken = self.devtools("Page.captureScreenshot", how).await?;
        let data = taken["data"].as_str().context("a picture")?;
        Ok(std::fs::write(file, BASE64_STANDARD.decode(data)?)?)
    }
}

/// Tests end in many ways, also with a panic, so the session ends here, without a runtime.
impl Drop for Chromium {
    fn drop(&mut self) {
        let end = || -> std::io::Result<()> {
            let (address, path) = self.session.split_once('/').unwrap_or_default();
            let mut stream = TcpStream::connect(address)?;
            stream.set_read_timeout(Some(Duration::from_secs(30)))?;
            write!(
                stream,
                "DELETE /{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
            )?;
            stream.read_to_end(&mut Vec::new()).map(|_| ())
        };
        // An error means that the browser is gone already.
        _ = end();
    }
}

/// The address of an element that the browser has found.
fn element(found: &Value) -> Result<String> {
    let id = found["element-6066-11e4-a52e-4f735466cecf"].as_str();
    Ok(format!("element/{}", id.context("an element")?))
}
