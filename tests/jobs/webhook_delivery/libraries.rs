//! The libraries of Standard Webhooks verify what receivers are sent.

use super::world::World;
use anyhow::{Context, Result, ensure};
use e2e::{
    errands::quick,
    libraries::{run, webhook_libraries},
    receiver::{Answer, Receiver},
};
use serde_json::json;

#[tokio::test]
async fn the_libraries_of_standard_webhooks_verify_what_is_sent() -> Result<()> {
    let Some(folder) = webhook_libraries().await? else {
        return Ok(());
    };
    let good = Receiver::start(|_| Answer::status(204)).await?;
    let world = World::new(&[("good.example", &good)]).await?;
    let (webhook, old) = world.webhook("http://good.example/").await?;
    // Both count, whichever the receiver has.
    let rotate = format!("{webhook}/rotate");
    let (_, rotated) = world.call("POST", &rotate, json!({})).await?;
    let new = rotated["secret"].as_str().context("secret")?;
    let _worker = world.worker(quick()).await?;
    for text in ["plain", "Grüße 🐙\n", "\"\\u0000\" <&>"] {
        sqlx::query("select events.emit(array[$1], 'test.text', $2)")
            .bind(format!("account:{}", world.ada.id))
            .bind(json!({ "text": text, "number": 1.5e300 }))
            .execute(&mut world.server.database.connect().await?)
            .await?;
    }
    let taken = good.until(3).await?;
    let requests: Vec<_> = taken
        .iter()
        .map(|one| json!({ "headers": one.headers, "body": String::from_utf8_lossy(&one.body) }))
        .collect();
    let sent = json!({ "secrets": [old, new], "requests": requests });
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), sent.to_string())?;
    let path = file.path().display().to_string();
    for script in ["verify.mjs", "verify.py"] {
        let said = run(&folder, script, &[&path]).await?;
        ensure!(said.contains("3 verified"), "{script}: {said}");
    }
    Ok(())
}
