//! The gateway as clients find it that others have written: npm's `ws` and PyPI's `websockets`.

use anyhow::{Result, ensure};
use e2e::{
    Server,
    agents::Agent,
    libraries::{installed, run},
};

#[tokio::test]
async fn clients_of_others_find_what_the_protocol_promises() -> Result<()> {
    let files = "tests/functions/realtime/websockets";
    let Some(folder) = installed("websockets", files, &["websockets==15.0.1"]).await? else {
        return Ok(());
    };
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let url = format!("{}/ws", server.url.replacen("http", "ws", 1));
    for script in ["client.mjs", "client.py"] {
        let said = run(&folder, script, &[&url, &ada.token]).await?;
        ensure!(said.contains("all is well"), "{script}: {said}");
    }
    Ok(())
}
