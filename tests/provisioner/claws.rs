//! Claws in containers, from the request to the last container: a real runtime, provisioner, worker and platform.

use anyhow::{Result, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use e2e::{
    Server,
    agents::{Agent, key},
    errands::quick,
    people::{PASSWORD, Person},
};
use provisioner::service::{Service, ServiceOptions};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::world::Engine;
use crate::jobs::agent_turn::world::ask;

/// The longest wait for what an engine does.
const PATIENCE: Duration = Duration::from_secs(90);
/// The number of the key that containers enrol with.
const KEY: u8 = 77;

async fn provisioner(server: &Server, engine: &Engine, listen: SocketAddr) -> Result<Service> {
    Service::start(ServiceOptions {
        listen,
        key: server.variables["claw_provision_provisioner_key"].clone(),
        socket: Some(engine.socket()),
        platform_url: server.url.clone(),
        resolve: None,
    })
    .await
}

/// A claw of ada's when `is_so` is true of it.
async fn until(
    server: &Server,
    ada: &Agent,
    claw: &str,
    is_so: impl Fn(&Value) -> bool,
) -> Result<Value> {
    let path = format!("/api/claws/{claw}");
    let begin = Instant::now();
    loop {
        let found = ask(server, ada, "GET", &path, &json!({}), 200).await?;
        if is_so(&found) {
            return Ok(found);
        }
        let history = ask(
            server,
            ada,
            "GET",
            &format!("{path}/history"),
            &json!({}),
            200,
        )
        .await?;
        ensure!(begin.elapsed() < PATIENCE, "still {found:#} {history:#}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The claw signed in with the key that its container has enrolled.
async fn signed_in(server: &Server, ada: &Agent, claw: &str) -> Result<Agent> {
    let public = BASE64_STANDARD.encode(*key(KEY).pk);
    let claw = until(server, ada, claw, |claw| claw["public_key"] == public).await?;
    Ok(Agent {
        id: serde_json::from_value(claw["id"].clone())?,
        token: Agent::token(server, KEY).await?,
    })
}

/// Enrols, tries the token once more, and goes on. The shell's `wget` posts nothing through a proxy.
fn script() -> String {
    let public = BASE64_STANDARD.encode(*key(KEY).pk);
    let body = format!(r#"{{\"token\":\"$GATHER_ENROLMENT_TOKEN\",\"public_key\":\"{public}\"}}"#);
    format!(
        r#"body="{body}"
        host="${{GATHER_URL#http://}}"
        enrol() {{
            printf 'POST %s/api/claws/enrol HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s' "$GATHER_URL" "$host" "${{#body}}" "$body" | nc 127.0.0.1 3128 | grep 'HTTP/1.1 200'
        }}
        until enrol; do sleep 1; done; echo enrolled; enrol || echo refused-again; sleep 1000"#
    )
}

fn template(name: &str, image: &str, command: &str) -> Value {
    json!({"name": name, "backend": "docker", "image": image, "command": ["/bin/sh", "-c", command],
        "cpu_millis": 500, "memory_bytes": 64 << 20, "disk_bytes": 4 << 20})
}

#[tokio::test]
async fn a_claw_lives_in_a_container_from_its_enrolment_to_its_end() -> Result<()> {
    let Some(engine) = Engine::start().await? else {
        return Ok(());
    };
    let mut server = Server::start().await?;
    let first = provisioner(&server, &engine, SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let listen = first.address();
    server
        .variables
        .insert("provisioner_url".to_owned(), format!("http://{listen}"));
    let _worker = server.worker(quick()).await?;
    let admin = Person::register(&server, "operator").await?;
    let admin = admin.into_admin(&server).await?;
    Person::sign_in(&server, &admin.email, PASSWORD).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let missing = format!("sha256:{}", "0a".repeat(32));
    for (new, expected) in [
        (template("shell", &engine.image, &script()), 201),
        (
            template("brief", &engine.image, "echo no-luck; exit 3"),
            201,
        ),
        (template("absent", &missing, "true"), 201),
        (template("moving", "localhost/claw:1", "true"), 422),
        (template("shell", &engine.image, "true"), 409),
    ] {
        let made = admin
            .send(&server, "POST", "/api/claw-templates", &new)
            .await?;
        ensure!(made.0 == expected, "{new:#} {made:?}");
    }
    let new = template("mine", &engine.image, "true");
    ask(&server, &ada, "POST", "/api/claw-templates", &new, 403).await?;
    let persona = json!({"name": "plain", "instructions": "Answer in one sentence."});
    ask(&server, &ada, "POST", "/api/personas", &persona, 201).await?;
    let make = async |name: &str, template: &str| {
        let new = json!({"name": name, "persona": "plain", "template": template});
        ask(&server, &ada, "POST", "/api/claws", &new, 202).await
    };

    // What can't run says why, and tells its owner.
    make("nowhere", "absent").await?;
    let failed = until(&server, &ada, "nowhere", |claw| claw["status"] == "failed").await?;
    ensure!(
        failed["reason"].to_string().contains("image-missing"),
        "{failed:#}"
    );
    make("brief", "brief").await?;
    let failed = until(&server, &ada, "brief", |claw| claw["status"] == "failed").await?;
    ensure!(
        failed["reason"].to_string().contains("no-luck"),
        "{failed:#}"
    );
    let inbox = ask(&server, &ada, "GET", "/api/inbox", &json!({}), 200).await?;
    ensure!(
        inbox.to_string().contains("nowhere has failed"),
        "{inbox:#}"
    );

    // While the provisioner is away, a claw waits.
    first.shutdown(Duration::ZERO).await;
    make("helper", "shell").await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let waits = ask(&server, &ada, "GET", "/api/claws/helper", &json!({}), 200).await?;
    assert_eq!(waits["desired"], "running");
    assert_ne!(waits["status"], "running");
    let second = provisioner(&server, &engine, listen).await?;
    let helper = signed_in(&server, &ada, "helper").await?;
    let beat = json!({"note": "hello"});
    let path = "/api/claws/me/heartbeat";
    let orders = ask(&server, &helper, "PUT", path, &beat, 200).await?;
    assert_eq!(orders, json!({"desired": "running", "generation": 1}));
    let claw = ask(&server, &helper, "GET", "/api/claws/me", &json!({}), 200).await?;
    assert_eq!(
        (&claw["status"], &claw["resumed"], &claw["backend"]),
        (&json!("running"), &json!("fresh"), &json!("docker"))
    );
    // Others have no container.
    ask(&server, &ada, "PUT", path, &beat, 404).await?;
    ask(&server, &ada, "GET", "/api/claws/me", &json!({}), 404).await?;
    let logs = "/api/claws/helper/logs?stream=stdout";
    let begin = Instant::now();
    loop {
        let lines = ask(&server, &ada, "GET", logs, &json!({}), 200).await?;
        let told = lines.to_string();
        if told.contains("\"enrolled\"") && told.contains("refused-again") {
            break;
        }
        ensure!(begin.elapsed() < PATIENCE, "{lines:#}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    // Stopped and started, it enrols anew, and older sessions end.
    let go = async |what: &str| {
        let path = format!("/api/claws/helper/{what}");
        ask(&server, &ada, "POST", &path, &json!({}), 202).await
    };
    go("pause").await?;
    until(&server, &ada, "helper", |claw| claw["status"] == "paused").await?;
    go("resume").await?;
    let resumed = until(&server, &ada, "helper", |claw| claw["status"] == "running").await?;
    assert_eq!(resumed["resumed"], "kept");
    go("stop").await?;
    until(&server, &ada, "helper", |claw| claw["status"] == "stopped").await?;
    go("start").await?;
    until(&server, &ada, "helper", |claw| {
        claw["status"] == "provisioning"
    })
    .await?;
    let token = json!({"token": "none", "public_key": BASE64_STANDARD.encode(*key(78).pk)});
    let refused = server.post("/api/claws/enrol", &token).await?;
    assert_eq!(refused.status(), 401);

    for name in ["helper", "nowhere", "brief"] {
        ask(
            &server,
            &ada,
            "DELETE",
            &format!("/api/claws/{name}"),
            &json!({}),
            202,
        )
        .await?;
    }
    let begin = Instant::now();
    loop {
        let list = ask(&server, &ada, "GET", "/api/claws", &json!({}), 200).await?;
        let containers = engine.containers()?;
        if list["items"] == json!([]) && containers.is_empty() {
            break;
        }
        ensure!(begin.elapsed() < PATIENCE, "{list:#} {containers:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    second.shutdown(Duration::ZERO).await;
    Ok(())
}
