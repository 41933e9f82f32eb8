//! The pages of memory: what is noted, why each is there, and forgetting after a look at what goes with it.

use crate::functions::memory::world::note;
use anyhow::{Context, Result};
use e2e::{Server, people::Person};
use serde_json::json;

#[tokio::test]
async fn a_memory_is_noted_found_explained_and_forgotten() -> Result<()> {
    let server = Server::start().await?;
    let paula = Person::register(&server, "paula").await?;
    let browser = paula.browser(&server)?;
    let page = browser.get("/memory").await?;
    let page = browser
        .submit(
            &page,
            "form.note",
            &[("content", "The <b>key</b> is under the mat.")],
        )
        .await?;
    assert!(
        page.html
            .contains("The &lt;b&gt;key&lt;/b&gt; is under the mat."),
        "{}",
        page.html
    );
    let (_, list) = paula.get(&server, "/api/memory").await?;
    let first = &list["items"][0];
    let id = first["id"].as_str().context("id")?;
    let source = json!({"sources": [{"type": "memory", "id": id}]});
    let second = note(&server, &paula, "Visitors can come in.", source).await?;
    let second = second["id"].as_str().context("id")?;
    let found = browser.get("/memory?query=visitors").await?;
    assert!(found.html.contains("Visitors can come in.") && !found.html.contains("under the mat"));
    let shown = browser.get(&format!("/memory/{second}")).await?;
    assert!(
        shown.html.contains("Why it is here") && shown.html.contains(id),
        "{}",
        shown.html
    );
    let preview = browser.get(&format!("/memory/{id}/forget")).await?;
    assert!(preview.html.contains(second), "{}", preview.html);
    let left = browser.submit(&preview, "form.forget", &[]).await?;
    assert!(
        !left.html.contains("under the mat") && !left.html.contains("Visitors"),
        "{}",
        left.html
    );
    let secret = browser.get("/memory").await?;
    let refused = browser
        .submit(
            &secret,
            "form.note",
            &[("content", "my password is hunter22!")],
        )
        .await?;
    assert!(
        refused.html.contains("hunter22!") && refused.html.contains("credential"),
        "{}",
        refused.html
    );
    Ok(())
}
