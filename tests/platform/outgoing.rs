//! What strangers can make the platform send: requests to the origins that a skill names, mail to an address that they
//! claim. Nobody can aim either at a third party.

use anyhow::{Context, Result};
use e2e::{
    Server,
    agents::Agent,
    errands::quick,
    mailbox::Mailbox,
    people::{PASSWORD, Person},
    publishing::{fixture, manifest, upload},
};
use host::MailOptions;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

type Heads = Arc<Mutex<Vec<String>>>;

/// A third party: answers each request with its path, and keeps the requests' heads.
async fn origin() -> Result<(SocketAddr, Heads)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (address, heads) = (listener.local_addr()?, Heads::default());
    let kept = heads.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 4096];
            let read = stream.read(&mut head).await.unwrap_or_default();
            let head = String::from_utf8_lossy(&head[..read]).into_owned();
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            kept.lock().expect("not poisoned").push(head);
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{path}",
                path.len()
            );
            drop(stream.write_all(answer.as_bytes()).await);
        }
    });
    Ok((address, heads))
}

struct World {
    server: Server,
    ada: Agent,
    heads: Heads,
}

impl World {
    /// The platform, where `api.example.org` is the third party.
    async fn new() -> Result<Self> {
        let (address, heads) = origin().await?;
        let trusted = BTreeMap::from([("api.example.org".to_owned(), address)]);
        let server = Server::start_trusting(e2e::limits(), trusted).await?;
        let ada = Agent::sign_in(&server, "ada", 1).await?;
        Ok(Self { server, ada, heads })
    }

    async fn publish(&self, examples: Value) -> Result<String> {
        let mut manifest = manifest("fetcher", "1.0.0");
        manifest["permissions"] = json!({"http": ["http://api.example.org"]});
        manifest["examples"] = examples;
        let (status, answer) =
            upload(&self.server, &self.ada, &manifest, fixture("fetcher")?).await?;
        anyhow::ensure!(status == 202, "{status} {answer:#}");
        let job = answer["job"]["id"].as_str().context("job")?;
        Ok(format!("/api/jobs/{job}"))
    }

    /// The version, once its review has ended.
    async fn reviewed(&self, job: &str) -> Result<Value> {
        let began = Instant::now();
        loop {
            let (_, state) = self.ada.get(&self.server, job).await?;
            if state["status"] == "succeeded" {
                let path = "/api/skills/fetcher/versions/1.0.0";
                return Ok(self.ada.get(&self.server, path).await?.1);
            }
            anyhow::ensure!(began.elapsed() < Duration::from_secs(60), "{state:#}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("not poisoned").clone()
    }
}

/// The codes of findings of a severity.
fn findings<'a>(version: &'a Value, severity: &str) -> Vec<&'a str> {
    let all = version["review"]["findings"].as_array();
    let those = all
        .into_iter()
        .flatten()
        .filter(|finding| finding["severity"] == severity);
    those
        .filter_map(|finding| finding["code"].as_str())
        .collect()
}

fn look(number: u32) -> Value {
    json!({"tool": "look", "arguments": {"number": number}, "result": format!("/{number}")})
}

#[tokio::test]
async fn a_review_sends_an_origin_the_first_examples_once_each_and_no_generated_call() -> Result<()>
{
    let world = World::new().await?;
    let worker = world.server.worker(quick()).await?;
    let must = json!({"tool": "must", "arguments": {"number": 7}, "result": "/7"});
    let often = json!({"tool": "often", "arguments": {"times": 3}, "result": 3});
    let examples = json!([must, often, look(1), look(2), look(3), look(4), look(5)]);
    let version = world.reviewed(&world.publish(examples).await?).await?;

    let heads = world.heads();
    let mut paths: Vec<_> = heads
        .iter()
        .filter_map(|head| head.split(' ').nth(1))
        .collect();
    paths.sort_unstable();
    // Those of `often`, and one of each other.
    assert_eq!(
        paths,
        ["/0", "/1", "/1", "/2", "/2", "/3", "/7"],
        "{heads:#?}"
    );
    for head in &heads {
        let head = head.to_ascii_lowercase();
        assert!(head.contains("user-agent: gather-skill-review/"), "{head}");
        assert!(head.contains(&world.server.url), "{head}");
    }
    // Traps for want of the network among generated calls, and two examples too many, are not held against it.
    assert_eq!(findings(&version, "reject"), [""; 0], "{version:#}");
    assert_eq!(findings(&version, "hold"), ["plain-http"], "{version:#}");
    let notes = findings(&version, "note");
    assert!(notes.contains(&"without-network"), "{notes:?}");
    assert!(notes.contains(&"examples-open"), "{notes:?}");
    assert!(!notes.contains(&"permission-not-seen"), "{notes:?}");
    let evidence = &version["review"]["evidence"];
    let (fifth, sixth) = (&evidence["examples"][4], &evidence["examples"][5]);
    assert_eq!(
        (&fifth["is_as_expected"], &sixth["is_open"]),
        (&json!(true), &json!(true))
    );
    let refused = json!([{"origin": "http://api.example.org", "reason": "no-network"}]);
    assert_eq!(sixth["used"]["refused"], refused);
    let reports: Vec<_> = evidence["probes"]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    let of_must = reports.iter().find(|probe| probe["tool"] == "must");
    let report = &of_must.context("the probe of `must`")?["report"];
    assert_eq!(
        (&report["trapped"], &report["without_network"]),
        (&json!(0), &report["calls"])
    );
    worker.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

#[tokio::test]
async fn one_example_can_not_send_many_requests() -> Result<()> {
    let world = World::new().await?;
    let _worker = world.server.worker(quick()).await?;
    let often = json!({"tool": "often", "arguments": {"times": 100}, "result": 100});
    let version = world
        .reviewed(&world.publish(json!([often])).await?)
        .await?;
    assert_eq!(world.heads().len(), 5);
    assert!(
        findings(&version, "hold").contains(&"examples-open"),
        "{version:#}"
    );
    let reasons = &version["review"]["evidence"]["examples"][0]["used"]["refused"];
    assert_eq!(reasons[0]["reason"], "too-many-requests", "{version:#}");
    Ok(())
}

#[tokio::test]
async fn an_example_is_not_made_again_by_the_next_attempt_of_a_review() -> Result<()> {
    let world = World::new().await?;
    let job = world.publish(json!([look(1), look(2), look(3)])).await?;
    // An attempt has made the first and has its answer, and was lost in the middle of the second.
    let kept = json!({
        "tool": "look", "arguments": {"number": 1}, "expected": {"result": "/1"}, "actual": {"result": "/1"},
        "is_as_expected": true, "is_open": false, "used": {}, "usage": {}, "log": "from the first attempt",
    });
    sqlx::query(
        "insert into skills.sent_example (version_id, number, outcome)
         select v.id, n, case n when 0 then $1::jsonb end from skills.version v, generate_series(0, 1) n",
    )
    .bind(kept)
    .execute(&mut world.server.database.connect().await?)
    .await?;
    let _worker = world.server.worker(quick()).await?;
    let version = world.reviewed(&job).await?;
    let heads = world.heads();
    assert_eq!(heads.len(), 1, "{heads:#?}");
    assert!(heads[0].starts_with("GET /3 "), "{heads:#?}");
    let examples = &version["review"]["evidence"]["examples"];
    assert_eq!(examples[0]["log"], "from the first attempt");
    assert_eq!(examples[1]["is_open"], true, "{version:#}");
    assert_eq!(examples[2]["is_as_expected"], true, "{version:#}");
    Ok(())
}

/// Registering with somebody's address, and leaving again, forgets what was mailed there; the bound does not. It holds for
/// what is about an account and for what is about the address alone.
#[tokio::test]
async fn an_address_that_nobody_has_proved_gets_only_so_much_mail() -> Result<()> {
    const PROMISED: usize = 20;
    let server = Server::start().await?;
    let mailbox = Mailbox::open().await?;
    let mail = MailOptions {
        smtp_url: Some(mailbox.url.clone()),
        ..MailOptions::default()
    };
    let _worker = server.worker_mailing(quick(), mail).await?;
    let email = "somebody@example.org";
    for number in 1..=PROMISED / 2 + 3 {
        let name = format!("stranger-{number}");
        let new = json!({"email": email, "name": name, "password": PASSWORD});
        let registered = server.post("/api/users/register", &new).await?;
        anyhow::ensure!(registered.status() == 201, "{}", registered.text().await?);
        let stranger = Person::sign_in(&server, email, PASSWORD).await?;
        let forgotten = server
            .post("/api/users/password/forgot", &json!({"email": email}))
            .await?;
        anyhow::ensure!(
            forgotten.status().is_success(),
            "{}",
            forgotten.text().await?
        );
        if 2 * number <= PROMISED {
            mailbox.wait(email, 2 * number).await?;
        }
        let leaving = json!({"name": name, "password": PASSWORD});
        let left = stranger
            .request(&server, "POST", "/api/accounts/me/delete")
            .json(&leaving)
            .send()
            .await?;
        anyhow::ensure!(left.status().is_success(), "{}", left.text().await?);
    }
    server.database.until_jobs_ended().await?;
    assert_eq!(mailbox.to(email).len(), PROMISED);
    Ok(())
}
