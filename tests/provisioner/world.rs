//! A real container runtime of a test's own, with a provisioner before it.

use anyhow::{Context, Result, bail, ensure};
use provisioner::service::{CALLER, Service, ServiceOptions};
use serde_json::{Value, json};
use service_token::{OnBehalf, PROVISIONER, make};
use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};
use uuid::Uuid;

/// The key of the component that asks.
pub const KEY: &str = "the key of claw-provision";
/// The longest wait for what an engine does.
const PATIENCE: Duration = Duration::from_secs(60);
/// What instances run.
const PROGRAMS: [&str; 16] = [
    "cat", "chmod", "cp", "echo", "env", "grep", "id", "ls", "mount", "nc", "printf", "sh",
    "sleep", "tail", "unshare", "wget",
];

/// Podman with folders of its own, which ends with this value.
pub struct Engine {
    folder: TempDir,
    service: Child,
    /// An image with a shell, by its digest.
    pub image: String,
}

impl Engine {
    /// Starts a runtime; `None` if this machine lacks a program for it, where that is allowed.
    pub async fn start() -> Result<Option<Self>> {
        for (program, option) in [
            ("podman", "--version"),
            ("runc", "--version"),
            ("busybox", "--help"),
        ] {
            let status = Command::new(program)
                .arg(option)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            if !status.is_ok_and(|status| status.success()) {
                ensure!(
                    std::env::var_os("GATHER_TESTS_SKIP_NONE").is_none(),
                    "{program} is missing"
                );
                println!(
                    "skipped: no {program}; install podman, runc and busybox-static to run this test"
                );
                return Ok(None);
            }
        }
        let folder = tempfile::Builder::new().prefix("gather-engine").tempdir()?;
        let path = folder.path();
        let settings = format!(
            "[engine]\nlock_type = \"file\"\ntmp_dir = \"{0}/tmp\"\nevents_logger = \"none\"\n",
            path.display()
        );
        fs::write(path.join("containers.conf"), settings)?;
        let image = import(path)?;
        let service = podman(path)
            .args(["system", "service", "--time", "0"])
            .arg(format!("unix://{}", path.join("socket").display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(path.join("log"))?)
            .spawn()?;
        let engine = Self {
            folder,
            service,
            image,
        };
        let started = Instant::now();
        while !engine.socket().exists() {
            ensure!(started.elapsed() < PATIENCE, "podman does not listen");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Some(engine))
    }

    /// The socket of the runtime.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// The names of all containers that there are.
    pub fn containers(&self) -> Result<Vec<String>> {
        let listed = podman(self.folder.path())
            .args(["ps", "--all", "--format", "{{.Names}}"])
            .output()?;
        ensure!(listed.status.success(), "{listed:?}");
        let names = String::from_utf8(listed.stdout)?;
        Ok(names.lines().map(str::to_owned).collect())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let mut remove = podman(self.folder.path());
        remove.args(["rm", "--all", "--force", "--time", "0"]);
        // What stays behind is in the folder of the test, and ends with the machine.
        _ = remove.stdout(Stdio::null()).stderr(Stdio::null()).status();
        _ = self.service.kill();
        _ = self.service.wait();
    }
}

fn podman(folder: &Path) -> Command {
    let mut command = Command::new("podman");
    command
        .env("CONTAINERS_CONF", folder.join("containers.conf"))
        .arg("--root")
        .arg(folder.join("root"))
        .arg("--runroot")
        .arg(folder.join("run"))
        .args(["--storage-driver", "vfs", "--runtime", "runc"])
        .args(["--cgroup-manager", "cgroupfs", "--events-backend", "none"]);
    command
}

/// Makes an image of one static program.
fn import(folder: &Path) -> Result<String> {
    let files = folder.join("files");
    for name in ["bin", "tmp", "etc", "data"] {
        fs::create_dir_all(files.join(name))?;
    }
    // As all images have it; Podman takes its mode.
    fs::set_permissions(files.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    let busybox = Command::new("sh")
        .args(["-c", "command -v busybox"])
        .output()?;
    let busybox = String::from_utf8(busybox.stdout)?;
    fs::copy(busybox.trim(), files.join("bin/busybox"))?;
    for program in PROGRAMS {
        symlink("busybox", files.join("bin").join(program))?;
    }
    let archive = folder.join("files.tar");
    let packed = Command::new("tar")
        .arg("-C")
        .arg(&files)
        .arg("-cf")
        .arg(&archive)
        .arg(".")
        .status()?;
    ensure!(packed.success(), "tar: {packed}");
    let imported = podman(folder)
        .args(["import", "--quiet"])
        .arg(&archive)
        .arg("localhost/claw:1")
        .output()?;
    ensure!(imported.status.success(), "{imported:?}");
    let inspected = podman(folder)
        .args([
            "image",
            "inspect",
            "--format",
            "{{.Digest}}",
            "localhost/claw:1",
        ])
        .output()?;
    ensure!(inspected.status.success(), "{inspected:?}");
    let digest = String::from_utf8(inspected.stdout)?;
    Ok(format!("localhost/claw@{}", digest.trim()))
}

/// The platform, as instances reach it: it answers each connection with the head that it was sent.
pub struct Platform {
    pub address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Platform {
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let serving = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let mut buffer = [0; 1024];
                        match stream.read(&mut buffer).await {
                            Ok(read) if read > 0 => head.extend_from_slice(&buffer[..read]),
                            _ => return,
                        }
                    }
                    let head = String::from_utf8_lossy(&head).into_owned();
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\nplatform: {head}",
                        head.len() + 10
                    );
                    drop(stream.write_all(answer.as_bytes()).await);
                });
            }
        });
        Ok(Self { address, serving })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A client of a provisioner, as `claw-provision` is one.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Client {
    pub fn new(address: SocketAddr) -> Result<Self> {
        let token = make(KEY, CALLER, PROVISIONER, &OnBehalf::default());
        Ok(Self {
            http: e2e::http().build()?,
            url: format!("http://{address}"),
            token: token.context("a token")?,
        })
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<(u16, Value)> {
        let request = self.http.post(format!("{}{path}", self.url));
        let request = request.bearer_auth(&self.token).json(body);
        answer(request).await
    }

    pub async fn get(&self, path: &str) -> Result<(u16, Value)> {
        let request = self.http.get(format!("{}{path}", self.url));
        answer(request.bearer_auth(&self.token)).await
    }

    /// The texts of the lines that an instance wrote, once one of them has a part.
    pub async fn lines_until(&self, id: Uuid, part: &str) -> Result<Vec<String>> {
        self.lines_with(id, part, 1).await
    }

    /// The texts of the lines that an instance wrote, once so many of them have a part.
    pub async fn lines_with(&self, id: Uuid, part: &str, count: usize) -> Result<Vec<String>> {
        let started = Instant::now();
        loop {
            let (status, answer) = self
                .get(&format!("/instances/{id}/logs?limit=1000"))
                .await?;
            // Podman sometimes fails to read a log that is being written.
            ensure!(matches!(status, 200 | 503), "{answer:#}");
            let lines = answer["lines"].as_array().into_iter().flatten();
            let texts = lines.filter_map(|line| line["text"].as_str());
            let texts: Vec<_> = texts.map(str::to_owned).collect();
            if texts.iter().filter(|text| text.contains(part)).count() >= count {
                return Ok(texts);
            }
            if started.elapsed() > PATIENCE {
                bail!("no {part:?}: {texts:#?}");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// An instance whose program has ended, once its last lines have a text.
    pub async fn ended_saying(&self, id: Uuid, text: &str) -> Result<Value> {
        let started = Instant::now();
        loop {
            let (status, answer) = self.get(&format!("/instances/{id}")).await?;
            ensure!(status == 200, "{answer:#}");
            if answer["state"] == "exited" && answer["last_lines"].to_string().contains(text) {
                return Ok(answer);
            }
            if started.elapsed() > PATIENCE {
                bail!("did not end saying {text:?}: {answer:#}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Result<(u16, Value)> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    let text = response.text().await?;
    let value = match text.as_str() {
        "" => Value::Null,
        text => serde_json::from_str(text).with_context(|| text.to_owned())?,
    };
    Ok((status, value))
}

/// A runtime, a provisioner in this process, and the platform.
pub struct World {
    pub client: Client,
    pub platform: Platform,
    pub engine: Engine,
    service: Option<Service>,
}

impl World {
    pub async fn start() -> Result<Option<Self>> {
        let Some(engine) = Engine::start().await? else {
            return Ok(None);
        };
        let platform = Platform::start().await?;
        let service = service(engine.socket(), &platform).await?;
        Ok(Some(Self {
            client: Client::new(service.address())?,
            platform,
            engine,
            service: Some(service),
        }))
    }

    /// Ends the provisioner, and starts another one.
    pub async fn start_again(&mut self) -> Result<()> {
        if let Some(service) = self.service.take() {
            service.shutdown(Duration::ZERO).await;
        }
        let service = service(self.engine.socket(), &self.platform).await?;
        self.client = Client::new(service.address())?;
        self.service = Some(service);
        Ok(())
    }

    /// What an instance is made of that runs a script.
    pub fn specification(&self, id: Uuid, generation: u32, script: &str) -> Value {
        specification(&self.engine.image, id, generation, script)
    }
}

pub fn specification(image: &str, id: Uuid, generation: u32, script: &str) -> Value {
    json!({
        "id": id,
        "generation": generation,
        "image": image,
        "command": ["/bin/sh", "-c", script],
        "cpu_millis": 500,
        "memory_bytes": 64 << 20,
        "disk_bytes": 4 << 20,
        "pids": 32,
    })
}

/// A provisioner before a runtime's socket. Names that end in `.inside` lead to private addresses.
pub async fn service(socket: PathBuf, platform: &Platform) -> Result<Service> {
    Service::start(ServiceOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        key: KEY.to_owned(),
        socket: Some(socket),
        platform_url: platform.url(),
        resolve: Some(std::sync::Arc::new(|host: String, port| {
            Box::pin(async move {
                let address = match host.as_str() {
                    "loopback.inside" => [127, 0, 0, 1],
                    "metadata.inside" => [169, 254, 169, 254],
                    other => return Err(std::io::Error::other(other.to_owned())),
                };
                Ok(vec![SocketAddr::from((address, port))])
            })
        })),
    })
    .await
}
