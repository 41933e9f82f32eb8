//! What an author does, by the commands of the guide (`docs/skills.md`), in each language: from an empty folder
//! to a published skill whose receipts hold.

use anyhow::{Context, Result, bail, ensure};
use e2e::{Server, command, errands::quick, root};
use serde_json::{Value, json};
use std::{path::Path, process::Stdio, time::Duration};
use tempfile::TempDir;
use tokio::{io::AsyncReadExt, process::Command};

/// An author with a home of their own.
struct Author {
    home: TempDir,
    server: Server,
}

impl Author {
    async fn new() -> Result<Self> {
        Ok(Self {
            home: tempfile::tempdir()?,
            server: Server::start().await?,
        })
    }

    /// One who is an agent already.
    async fn registered() -> Result<Self> {
        let author = Self::new().await?;
        author
            .gather(Path::new("/"), &["agent", "register", "--name", "ada"])
            .await?;
        Ok(author)
    }

    fn at_home(&self, mut program: Command, folder: &Path) -> Command {
        program
            .current_dir(folder)
            .env("XDG_CONFIG_HOME", self.home.path())
            .env("XDG_CACHE_HOME", self.home.path().join("cache"))
            .env("GATHER_SERVER", &self.server.url);
        program
    }

    fn command(&self, folder: &Path, arguments: &[&str]) -> Result<Command> {
        let mut gather = Command::new(command()?);
        gather.args(arguments);
        Ok(self.at_home(gather, folder))
    }

    /// Runs lines of a shell, where `gather` is the command under test; answers what they say.
    async fn shell(&self, folder: &Path, lines: &str) -> Result<String> {
        let programs = self.home.path().join("bin");
        std::fs::create_dir_all(&programs)?;
        std::os::unix::fs::symlink(command()?, programs.join("gather"))?;
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("bash");
        shell
            .args(["-euo", "pipefail", "-c", &format!("exec 2>&1\n{lines}")])
            .env("PATH", format!("{}:{path}", programs.display()));
        let output = self.at_home(shell, folder).output().await?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "{lines}\n{text}");
        Ok(text)
    }

    async fn gather(&self, folder: &Path, arguments: &[&str]) -> Result<String> {
        let output = self.command(folder, arguments)?.output().await?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "gather {}: {text}",
            arguments.join(" ")
        );
        Ok(text)
    }
}

/// A program that this machine lacks skips the test, where that is allowed.
async fn has(program: &str) -> Result<bool> {
    let there = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .await
        .is_ok_and(|status| status.success());
    if !there && std::env::var_os("GATHER_TESTS_SKIP_NONE").is_some() {
        bail!("{program} is missing");
    }
    if !there {
        println!("skipped: no {program}; install it to run this test");
    }
    Ok(there)
}

/// The commands in the shell blocks of a document that call `gather skill`, as they stand there.
fn commands(document: &str) -> Result<String> {
    let text = std::fs::read_to_string(root().join(document))?;
    let blocks = text.split("```sh\n").skip(1);
    let blocks = blocks.filter_map(|rest| rest.split_once("\n```").map(|(block, _)| block));
    let blocks: Vec<_> = blocks
        .filter(|block| block.contains("gather skill"))
        .collect();
    ensure!(!blocks.is_empty(), "{document} has no commands");
    Ok(blocks.join("\n"))
}

#[test]
fn the_readme_tells_no_other_commands_than_the_guide() -> Result<()> {
    let plain = |text: &str| -> Vec<String> {
        let lines = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default());
        let each = lines.flat_map(|line| line.split("&&"));
        each.map(|command| command.trim().to_owned()).collect()
    };
    let guide = plain(&commands("docs/skills.md")?);
    for command in plain(&commands("README.md")?) {
        assert!(
            guide.contains(&command),
            "{command:?} is not in the guide, which is tried"
        );
    }
    Ok(())
}

/// The guide, in one language.
async fn from_nothing_to_a_published_skill(lang: &str) -> Result<()> {
    let author = Author::new().await?;
    let work = tempfile::tempdir()?;
    let folder = work.path().join("my-words");
    let worker = author.server.worker(quick()).await?;
    let guide = commands("docs/skills.md")?.replace("--lang python", &format!("--lang {lang}"));
    ensure!(guide.contains(&format!("--lang {lang}")), "{guide}");
    let said = author.shell(work.path(), &guide).await?;
    for expected in [
        "summarise(text: string) → {",
        "Counts the words of a text",
        "4 of 4 examples are true",
        "\"longest\": \"short\"",
        "Approved",
        "✓",
    ] {
        assert!(said.contains(expected), "no {expected:?} in {said}");
    }
    assert!(!said.contains(['\x1b', '\r']), "control codes: {said:?}");
    let shown: Value = serde_json::from_str(
        &author
            .gather(&folder, &["skill", "inspect", "--json"])
            .await?,
    )?;
    assert_eq!(
        shown["tools"].as_array().map(Vec::len),
        Some(2),
        "{shown:#}"
    );

    let again = author
        .command(&folder, &["skill", "publish"])?
        .output()
        .await?;
    let text = String::from_utf8_lossy(&again.stdout).into_owned()
        + &String::from_utf8_lossy(&again.stderr);
    assert!(
        text.contains("version-exists") || text.contains("Approved"),
        "{text}"
    );

    let token: Value = serde_json::from_str(
        &author
            .gather(&folder, &["agent", "login", "--json"])
            .await?,
    )?;
    let call = author
        .server
        .http
        .post(format!("{}/api/skills/my-words/invoke", author.server.url));
    let call = call.bearer_auth(token["access_token"].as_str().context("token")?);
    let answer: Value = call
        .json(&json!({"tool": "summarise", "arguments": {"text": "a short text"}}))
        .send()
        .await?
        .json()
        .await?;
    assert_eq!(
        answer["result"],
        json!({"words": 3, "longest": "short"}),
        "{answer:#}"
    );
    std::fs::write(folder.join("answer.json"), answer.to_string())?;
    worker.shutdown(Duration::from_secs(5)).await;
    let keys = ["--keys", "keys.json", "--component", "skill.wasm"];
    let verify = [&["skill", "verify", "answer.json"], &keys[..]].concat();
    let verified = author.gather(&folder, &verify).await?;
    assert!(
        verified.contains("✓") && verified.contains("my-words@0.1.0"),
        "{verified}"
    );
    let payload = answer
        .to_string()
        .replace("\"payload\":\"eyJ", "\"payload\":\"fyJ");
    let mut result = answer;
    result["result"] = json!("another");
    for (what, changed) in [("payload", payload), ("result", result.to_string())] {
        std::fs::write(folder.join("changed.json"), changed)?;
        let refused = author
            .command(
                &folder,
                &["skill", "verify", "changed.json", "--keys", "keys.json"],
            )?
            .output()
            .await?;
        assert!(!refused.status.success(), "{what}");
    }
    Ok(())
}

/// One test, since each language needs the machine, and would keep a thread of the tests waiting for it.
#[tokio::test]
async fn in_each_language_an_author_comes_from_nothing_to_a_published_skill() -> Result<()> {
    let _machine = e2e::MACHINE.lock().await;
    for (language, program) in [("rust", "cargo"), ("python", "python3"), ("js", "npm")] {
        if has(program).await? {
            from_nothing_to_a_published_skill(language)
                .await
                .context(language)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_is_said_with_what_to_do() -> Result<()> {
    let author = Author::registered().await?;
    let work = tempfile::tempdir()?;
    let refused = async |arguments: &[&str]| -> Result<String> {
        let output = author.command(work.path(), arguments)?.output().await?;
        ensure!(
            !output.status.success(),
            "gather {} succeeds",
            arguments.join(" ")
        );
        Ok(String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout))
    };
    assert!(
        refused(&["skill", "build"])
            .await?
            .contains("gather skill new")
    );
    assert!(
        refused(&["skill", "new", "My_Words"])
            .await?
            .contains("such as my-words")
    );
    author
        .gather(work.path(), &["skill", "new", "words"])
        .await?;
    assert!(
        refused(&["skill", "new", "words"])
            .await?
            .contains("there already")
    );
    assert!(
        refused(&["skill", "publish", "words"])
            .await?
            .contains("gather skill build")
    );
    std::fs::copy(
        e2e::component_file("adder"),
        work.path().join("words/skill.wasm"),
    )?;
    assert!(
        refused(&["skill", "publish", "words"])
            .await?
            .contains("is not a tool of the component")
    );
    assert!(
        refused(&["skill", "run", "words", "--tool", "add", "--args", "[1]"])
            .await?
            .contains("object by parameter name")
    );
    std::fs::write(
        work.path().join("words/skill.json"),
        json!({"name": "words", "version": "1", "description": ""}).to_string(),
    )?;
    let faults = refused(&["skill", "test", "words"]).await?;
    assert!(
        faults.contains("manifest.version") && faults.contains("manifest.description"),
        "{faults}"
    );
    let manifest = json!({"name": "words", "version": "1.0.0", "description": "Adds.", "examples": [{"tool": "add", "arguments": {"a": 1, "b": 1}, "result": 3}]});
    std::fs::write(work.path().join("words/skill.json"), manifest.to_string())?;
    let failed = refused(&["skill", "test", "words"]).await?;
    assert!(
        failed.contains("✗ add") && failed.contains("got      {\"result\":2}"),
        "{failed}"
    );
    Ok(())
}

#[tokio::test]
async fn a_change_is_seen_and_the_tool_called_again() -> Result<()> {
    let author = Author::registered().await?;
    let work = tempfile::tempdir()?;
    std::fs::copy(e2e::component_file("adder"), work.path().join("skill.wasm"))?;
    let manifest = |limit: u64| {
        json!({"name": "words", "version": "1.0.0", "description": "Adds.", "limits": {"fuel": limit}}).to_string()
    };
    std::fs::write(work.path().join("skill.json"), manifest(1_000_000))?;
    let arguments = [
        "skill",
        "run",
        "--tool",
        "add",
        "--args",
        "{\"a\": 20, \"b\": 22}",
        "--watch",
    ];
    let mut watching = author
        .command(work.path(), &arguments)?
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (mut stdout, mut stderr) = (
        watching.stdout.take().context("stdout")?,
        watching.stderr.take().context("stderr")?,
    );
    let mut seen = vec![0; 64];
    let read = tokio::time::timeout(Duration::from_secs(20), stdout.read(&mut seen)).await??;
    assert_eq!(String::from_utf8_lossy(&seen[..read]).trim(), "42");
    // Too little fuel: seen without asking again.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    std::fs::write(work.path().join("skill.json"), manifest(1))?;
    let mut said = String::new();
    let until = tokio::time::Instant::now() + Duration::from_secs(20);
    while !said.contains("skill-fuel") {
        let mut chunk = vec![0; 4096];
        let read = tokio::time::timeout_at(until, stderr.read(&mut chunk))
            .await
            .with_context(|| said.clone())??;
        ensure!(read > 0, "it ended: {said}");
        said += &String::from_utf8_lossy(&chunk[..read]);
    }
    watching.kill().await?;
    Ok(())
}

#[tokio::test]
async fn an_author_is_told_why_a_request_is_refused() -> Result<()> {
    let author = Author::registered().await?;
    let work = tempfile::tempdir()?;
    let file = e2e::component_file("probe-skill");
    std::fs::copy(file, work.path().join("skill.wasm"))?;
    let origins = ["http://api.example.invalid"];
    let example = |origin: &str| json!({"tool": "get", "arguments": {"url": format!("{origin}/")}, "result": [200, "hello"]});
    let manifest = json!({
        "name": "probe", "version": "1.0.0", "description": "Asks.", "permissions": {"http": origins},
        "examples": [example(origins[0])],
    });
    std::fs::write(work.path().join("skill.json"), manifest.to_string())?;
    let get = async |url: &str, more: &[&str]| -> Result<(bool, String)> {
        let call = json!({ "url": url }).to_string();
        let arguments = ["skill", "run", "--tool", "get", "--args", &call];
        let mut run = author.command(work.path(), &[&arguments, more].concat())?;
        let output = run.output().await?;
        let said = [output.stdout, output.stderr].concat();
        Ok((
            output.status.success(),
            String::from_utf8_lossy(&said).into_owned(),
        ))
    };
    for (url, reason) in [
        ("http://other.example.invalid/", "not among its permissions"),
        ("http://api.example.invalid/", "name does not resolve"),
    ] {
        let (good, said) = get(url, &[]).await?;
        let origin = url.trim_end_matches('/');
        assert!(
            !good && said.contains(reason) && said.contains(origin),
            "{url}: {said}"
        );
    }

    // The same flag as the server's gives it an origin on this machine.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            drop(stream.read(&mut head).await);
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
            drop(tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await);
        }
    });
    let host = format!("api.example.invalid={address}");
    let (good, said) = get("http://api.example.invalid/", &["--sandbox-host", &host]).await?;
    assert!(good && said.contains("hello"), "{said}");
    let tested = author
        .gather(work.path(), &["skill", "test", "--sandbox-host", &host])
        .await?;
    assert!(tested.contains("1 of 1 examples are true"), "{tested}");
    let tested = author
        .command(work.path(), &["skill", "test"])?
        .output()
        .await?;
    let tested = String::from_utf8_lossy(&tested.stdout).into_owned();
    assert!(
        tested.contains("name does not resolve") && tested.contains("--sandbox-host"),
        "{tested}"
    );
    Ok(())
}
