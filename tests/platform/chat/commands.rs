//! `gather chat` and `gather events tail`, as processes beside a real server.

use super::way::{Passage, Way};
use crate::functions::channels::actions::{channel, grow_up, post};
use anyhow::{Context, Result, ensure};
use e2e::{Server, agents::Agent, command};
use serde_json::{Value, json};
use std::{process::Stdio, sync::atomic::Ordering, time::Duration};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::{sleep, timeout},
};

/// For what has to happen. It is only ever waited for in full where it does not.
const WAIT: Duration = Duration::from_secs(90);

/// An agent by the command.
pub struct User {
    home: TempDir,
    url: String,
}

impl User {
    async fn register(url: &str) -> Result<Self> {
        Self::register_as(url, "ada").await
    }

    pub async fn register_as(url: &str, name: &str) -> Result<Self> {
        let user = Self {
            home: tempfile::tempdir()?,
            url: url.to_owned(),
        };
        let (done, _, said) = user.run(&["agent", "register", "--name", name], "").await?;
        ensure!(done, "{said}");
        Ok(user)
    }

    fn gather(&self, arguments: &[&str]) -> Result<Command> {
        let mut gather = Command::new(command()?);
        gather
            .args(arguments)
            .env("XDG_CONFIG_HOME", self.home.path())
            .env("GATHER_SERVER", &self.url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        Ok(gather)
    }

    /// Runs a command to its end: whether it succeeded, what it printed, and what it said beside.
    pub async fn run(&self, arguments: &[&str], input: &str) -> Result<(bool, String, String)> {
        let mut child = self.gather(arguments)?.stderr(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().context("stdin")?;
        // A command that fails at once reads nothing.
        _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = timeout(WAIT, child.wait_with_output()).await;
        let output = output.with_context(|| format!("{arguments:?} does not end"))??;
        Ok((
            output.status.success(),
            String::from_utf8(output.stdout)?,
            String::from_utf8(output.stderr)?,
        ))
    }

    fn start(&self, arguments: &[&str]) -> Result<Running> {
        let mut child = self.gather(arguments)?.spawn()?;
        Ok(Running {
            input: child.stdin.take().context("stdin")?,
            lines: BufReader::new(child.stdout.take().context("stdout")?).lines(),
            _child: child,
        })
    }
}

/// A command that goes on.
struct Running {
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Running {
    async fn json(&mut self) -> Result<Value> {
        let line = timeout(WAIT, self.lines.next_line()).await;
        let line = line
            .context("nothing is printed")??
            .context("it has ended")?;
        Ok(serde_json::from_str(&line)?)
    }

    /// The bodies of the messages that are printed, until one.
    async fn bodies_until(&mut self, last: &str) -> Result<Vec<String>> {
        let mut bodies = vec![];
        while bodies.last().is_none_or(|body| body != last) {
            let event = self.json().await?;
            assert_eq!(event["type"], "message.created", "{event:#}");
            bodies.push(event["data"]["body"].as_str().context("body")?.to_owned());
        }
        Ok(bodies)
    }

    async fn say(&mut self, line: &str) -> Result<()> {
        Ok(self.input.write_all(format!("{line}\n").as_bytes()).await?)
    }
}

/// Waits until something holds.
async fn until(what: &str, holds: impl AsyncFn() -> Result<bool>) -> Result<()> {
    let waited = timeout(WAIT, async {
        while !holds().await? {
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    });
    waited.await.with_context(|| what.to_owned())?
}

async fn bodies(server: &Server, who: &Agent, channel: &str) -> Result<Vec<String>> {
    let path = format!("/api/channels/{channel}/messages?limit=100");
    let (_, page) = who.get(server, &path).await?;
    let items = page["items"].as_array().context("items")?;
    let bodies = items.iter().filter_map(|one| one["body"].as_str());
    let mut bodies: Vec<_> = bodies.map(str::to_owned).collect();
    bodies.reverse();
    Ok(bodies)
}

#[tokio::test]
async fn lines_of_the_input_are_sent_and_the_history_is_printed() -> Result<()> {
    let server = Server::start().await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let id = channel(&server, &bob, "general", false).await?;
    post(&server, &bob, &id, "welcome").await?;
    let user = User::register(&server.url).await?;

    let (sent, printed, said) = user.run(&["chat", "general"], "hello\n").await?;
    assert!(
        !sent && said.contains("Not sent: hello") && said.contains("not-a-member"),
        "{said}"
    );
    assert!(printed.contains("bob: welcome"), "{printed}");
    let input = "hello\n\n  second *line*  \r\nthe end, without a line break";
    let (sent, printed, said) = user.run(&["chat", "#general", "--join"], input).await?;
    assert!(sent, "{said}");
    let expected = [
        "welcome",
        "hello",
        "  second *line*",
        "the end, without a line break",
    ];
    assert_eq!(bodies(&server, &bob, &id).await?, expected);
    let lines: Vec<_> = printed
        .lines()
        .filter(|line| !line.starts_with("---"))
        .collect();
    let authors = ["bob", "ada", "ada", "ada"];
    for ((line, author), body) in lines.iter().zip(authors).zip(expected) {
        assert!(line.ends_with(&format!(" {author}: {body}")), "{line}");
    }
    assert_eq!(lines.len(), 4, "{printed}");

    // As JSON, from some point on.
    let shown = async |arguments: &[&str]| {
        let arguments = [&["chat", &id, "--json"], arguments].concat();
        let (done, printed, said) = user.run(&arguments, "").await?;
        ensure!(done, "{said}");
        let lines = printed.lines().map(serde_json::from_str::<Value>);
        let lines = lines.collect::<Result<Vec<_>, _>>()?;
        assert!(lines.iter().all(|line| line["type"] == "message.created"));
        let body = |line: &Value| line["data"]["body"].as_str().unwrap_or_default().to_owned();
        anyhow::Ok(lines.iter().map(body).collect::<Vec<_>>())
    };
    assert_eq!(shown(&[]).await?, expected);
    assert_eq!(shown(&["--limit", "2"]).await?, expected[2..]);
    assert_eq!(shown(&["--limit", "0"]).await?, Vec::<String>::new());
    let old = format!(
        "update channels.message set created_at = now() - interval '3 hours'
         where channel_id = '{id}' and body in ('welcome', 'hello')"
    );
    server.database.execute(&old).await?;
    assert_eq!(shown(&["--since", "1h"]).await?, expected[2..]);
    assert_eq!(shown(&["--since", "1d"]).await?, expected);
    assert_eq!(
        shown(&["--since", "2999-01-01T00:00:00Z"]).await?,
        Vec::<String>::new()
    );

    let secret = channel(&server, &bob, "secret", true).await?;
    for (arguments, why) in [
        (vec!["chat", "nowhere"], "not-found"),
        (vec!["chat", "secret"], "not-found"),
        (vec!["chat", &secret], "not-found"),
        (
            vec!["chat", "../agents/me"],
            "neither a channel's name nor its id",
        ),
        (
            vec!["chat", "general", "--since", "yesterday"],
            "must be a time",
        ),
    ] {
        let (done, _, said) = user.run(&arguments, "").await?;
        assert!(!done && said.contains(why), "{arguments:?}: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_chat_goes_on_after_breaks_and_each_line_is_sent_and_shown_once() -> Result<()> {
    let way = Way::new().await?;
    let server = Server::told(&[("public_url", &way.url)]).await?;
    let url = way.url.clone();
    let (passage, refused) = way.lead_to(&server).await?;
    let user = User::register(&url).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let id = channel(&server, &bob, "general", false).await?;
    let arguments = ["chat", "general", "--join", "--json", "--follow"];
    let mut chat = user.start(&arguments)?;
    post(&server, &bob, &id, "one").await?;
    assert_eq!(chat.bodies_until("one").await?, ["one"]);
    chat.say("two").await?;
    assert_eq!(chat.bodies_until("two").await?, ["two"]);

    // No way at all: what is said meanwhile, here and there, comes later.
    passage.send_replace(Passage::Closed);
    for body in ["three", "four"] {
        post(&server, &bob, &id, body).await?;
    }
    chat.say("from the dark").await?;
    until("nobody tries", async || {
        Ok(refused.load(Ordering::Relaxed) >= 2)
    })
    .await?;
    passage.send_replace(Passage::Open);
    let expected = ["three", "four", "from the dark"];
    assert_eq!(chat.bodies_until("from the dark").await?, expected);

    // A line whose answer is lost is sent again, and is there once.
    passage.send_replace(Passage::OneWay);
    chat.say("only once").await?;
    until("it never arrives", async || {
        Ok(bodies(&server, &bob, &id)
            .await?
            .contains(&"only once".to_owned()))
    })
    .await?;
    passage.send_replace(Passage::Open);
    assert_eq!(chat.bodies_until("only once").await?, ["only once"]);

    // A session that is revoked: the command signs in again.
    let sessions = async |condition: &str| {
        let sql = format!(
            "select count(*) from identity.session s join identity.account a on a.id = s.account_id
             where a.name = 'ada' and {condition}"
        );
        let mut admin = server.database.connect().await?;
        let count: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .fetch_one(&mut admin)
            .await?;
        anyhow::Ok(count)
    };
    let revoke = "update identity.session s set revoked_at = now() from identity.account a
         where a.id = s.account_id and a.name = 'ada'";
    server.database.execute(revoke).await?;
    post(&server, &bob, &id, "after").await?;
    assert_eq!(chat.bodies_until("after").await?, ["after"]);
    until("nobody signs in", async || {
        Ok(sessions("s.revoked_at is null").await? >= 1)
    })
    .await?;
    chat.say("still here").await?;
    assert_eq!(chat.bodies_until("still here").await?, ["still here"]);
    let all = bodies(&server, &bob, &id).await?;
    assert_eq!(
        all,
        [
            "one",
            "two",
            "three",
            "four",
            "from the dark",
            "only once",
            "after",
            "still here"
        ]
    );
    Ok(())
}

#[tokio::test]
async fn texts_of_strangers_can_not_steer_the_terminal() -> Result<()> {
    let server = Server::start().await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let id = channel(&server, &bob, "general", false).await?;
    let hostile = "\u{1b}[2J\u{1b}]0;owned\u{7}red\u{9b}31m\u{202e}evil\u{2066}\r\u{8}\u{7f}\n12:00 ada: I agree";
    post(&server, &bob, &id, hostile).await?;
    let user = User::register(&server.url).await?;
    let topic = format!("channel:{id}");
    let tail = [
        "events",
        "tail",
        "--topic",
        &topic,
        "--since",
        "1h",
        "--type",
        "message.*",
        "--count",
        "1",
    ];
    for (arguments, is_json) in [
        (vec!["chat", "general"], false),
        (vec!["chat", "general", "--json"], true),
        (tail.to_vec(), false),
        ([&tail[..], &["--json"]].concat(), true),
    ] {
        let (done, printed, said) = user.run(&arguments, "").await?;
        assert!(done, "{said}");
        let steers = |c: char| {
            (c.is_control() && c != '\n')
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        assert!(
            printed.contains("evil") && !printed.contains(steers),
            "{printed:?}"
        );
        if is_json {
            let event: Value = serde_json::from_str(&printed)?;
            assert_eq!(event["data"]["body"], hostile, "the same value");
        }
        assert!(
            !printed.lines().any(|line| line.starts_with("12:00 ada")),
            "{printed}"
        );
    }
    // Nor can what is said about a failure.
    let (done, _, said) = user.run(&["chat", "general"], "\u{1b}[31m\n").await?;
    assert!(
        !done && said.contains("Not sent") && !said.contains('\u{1b}'),
        "{said:?}"
    );
    Ok(())
}

#[tokio::test]
async fn events_are_printed_from_any_point_on() -> Result<()> {
    let server = Server::start().await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let id = channel(&server, &bob, "general", false).await?;
    let topic = format!("channel:{id}");
    let first = post(&server, &bob, &id, "first").await?;
    let path = format!(
        "/api/channels/{id}/messages/{}",
        first["id"].as_str().context("id")?
    );
    bob.send(
        &server,
        "PATCH",
        &path,
        &json!({ "body": "first, corrected" }),
    )
    .await?;
    grow_up(&server).await?;
    let user = User::register(&server.url).await?;
    let tail = async |arguments: &[&str]| {
        let arguments = [&["events", "tail", "--json"], arguments].concat();
        let (done, printed, said) = user.run(&arguments, "").await?;
        ensure!(done, "{arguments:?}: {said}");
        let lines = printed.lines().map(serde_json::from_str::<Value>);
        Ok(lines.collect::<Result<Vec<_>, _>>()?)
    };

    // What happened before.
    let events = tail(&[
        "--topic",
        &topic,
        "--since",
        "1h",
        "--type",
        "message.*",
        "--count",
        "2",
    ])
    .await?;
    let types: Vec<_> = events.iter().map(|event| &event["type"]).collect();
    assert_eq!(types, ["message.created", "message.updated"]);
    let updated = [
        "--topic",
        &topic,
        "--since",
        "1h",
        "--type",
        "message.updated",
        "--count",
        "1",
    ];
    assert_eq!(tail(&updated).await?[0]["data"]["body"], "first, corrected");

    // What happens now: the first that is told after the command has begun.
    let arguments = [
        "events",
        "tail",
        "--json",
        "--topic",
        &topic,
        "--topic",
        "account:me",
        "--type",
        "message.created",
    ];
    let mut running = user.start(&arguments)?;
    let told = tokio::select! {
        told = running.json() => told?,
        never = async {
            for number in 0.. {
                post(&server, &bob, &id, &format!("tick {number}")).await?;
                sleep(Duration::from_millis(500)).await;
            }
            anyhow::Ok(())
        } => { never?; Value::Null }
    };
    assert_eq!(told["topic"], topic);
    let position = told["position"].as_str().context("a position")?;

    // From there on, once, and in order.
    post(&server, &bob, &id, "then").await?;
    post(&server, &bob, &id, "last").await?;
    let since = [
        "--topic",
        &topic,
        "--since",
        position,
        "--type",
        "message.created",
        "--count",
    ];
    let stood = told["data"]["seq"].as_i64().context("seq")?;
    let next = tail(&[&since[..], &["2"]].concat()).await?;
    let numbers: Vec<_> = next
        .iter()
        .filter_map(|event| event["data"]["seq"].as_i64())
        .collect();
    assert_eq!(numbers, [stood + 1, stood + 2]);

    // What is not for the agent, and what is not there.
    let secret = channel(&server, &bob, "secret", true).await?;
    for topic in [
        format!("channel:{secret}"),
        "job:none".to_owned(),
        format!("account:{}", bob.id),
    ] {
        for since in [&[][..], &["--since", "1h"]] {
            let arguments = [&["events", "tail", "--topic", &topic], since].concat();
            let (done, printed, said) = user.run(&arguments, "").await?;
            assert!(!done && printed.is_empty(), "{printed}");
            assert!(
                said.contains("can't be read") || said.contains("not-found"),
                "{said}"
            );
        }
    }
    Ok(())
}
