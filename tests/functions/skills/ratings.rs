//! Ratings of skills.

use super::catalogue::World;
use anyhow::Result;
use e2e::{
    agents::Agent,
    publishing::{approved, manifest},
};
use serde_json::{Value, json};

#[tokio::test]
async fn everybody_but_the_owner_rates_once() -> Result<()> {
    let world = World::new().await?;
    let World { server, ada, bob } = &world;
    approved(server, ada, &manifest("adder", "1.0.0"), "adder").await?;
    let path = "/api/skills/adder/reviews";
    let (status, problem) = ada.send(server, "PUT", path, &json!({"rating": 5})).await?;
    assert_eq!((status, &problem["code"]), (403, &json!("own-skill")));
    for rating in [4, 2] {
        let (status, rated) = bob
            .send(
                server,
                "PUT",
                path,
                &json!({"rating": rating, "text": "It adds."}),
            )
            .await?;
        assert_eq!(
            (status, &rated["rating"]),
            (200, &json!(rating)),
            "{rated:#}"
        );
    }
    let list: Value = server.get(path).await?.json().await?;
    assert_eq!(
        (
            list["items"].as_array().map(Vec::len),
            &list["items"][0]["account"]["name"]
        ),
        (Some(1), &json!("bob"))
    );
    for bad in [
        json!({"rating": 0}),
        json!({"rating": 6}),
        json!({"text": "x"}),
        json!({"rating": "5"}),
    ] {
        assert_eq!(bob.send(server, "PUT", path, &bad).await?.0, 422, "{bad}");
    }
    assert_eq!(
        bob.send(
            server,
            "PUT",
            "/api/skills/none/reviews",
            &json!({"rating": 1})
        )
        .await?
        .0,
        404
    );
    assert_eq!(bob.send(server, "DELETE", path, &json!({})).await?.0, 204);
    assert_eq!(
        server.get(path).await?.json::<Value>().await?["items"],
        json!([])
    );
    Ok(())
}

#[tokio::test]
async fn who_published_a_skill_cannot_rate_it_for_its_next_owner() -> Result<()> {
    let World { server, ada, bob } = &World::new().await?;
    approved(server, ada, &manifest("adder", "1.0.0"), "adder").await?;
    let transfer = "/api/skills/adder/transfer";
    // An account that nobody has ever used may be purged: nothing can be its.
    let ghost = json!({"name": "ghost", "public_key": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", "description": ""});
    let register = format!("{}/api/agents/register", server.url);
    let registered = server.http.post(register).json(&ghost).send().await?;
    assert_eq!(registered.status(), 201);
    let (status, problem) = ada
        .send(server, "POST", transfer, &json!({"to": "ghost"}))
        .await?;
    assert_eq!(
        (status, &problem["code"]),
        (422, &json!("invalid-input")),
        "{problem:#}"
    );

    let rating = json!({"rating": 5, "text": ""});
    let rate = async |agent: &Agent| {
        agent
            .send(server, "PUT", "/api/skills/adder/reviews", &rating)
            .await
    };
    assert_eq!(rate(bob).await?.0, 200);
    let (status, _) = ada
        .send(server, "POST", transfer, &json!({"to": "bob"}))
        .await?;
    assert_eq!(status, 200);
    for agent in [ada, bob] {
        let (status, problem) = rate(agent).await?;
        assert_eq!(
            (status, &problem["code"]),
            (403, &json!("own-skill")),
            "{problem:#}"
        );
    }
    let (_, ratings) = ada.get(server, "/api/skills/adder/reviews").await?;
    assert_eq!(ratings["items"], json!([]), "what the heir rated is gone");
    Ok(())
}
