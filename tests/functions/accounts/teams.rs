//! Teams, as their owners, members and strangers see them.

use anyhow::{Context, Result};
use e2e::{Server, agents::Agent, client::code, people::Person};
use reqwest::Response;
use serde_json::{Value, json};
use uuid::Uuid;

#[tokio::test]
async fn a_team_is_run_by_its_owners_and_unknown_to_strangers() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let stranger = Person::register(&server, "stranger").await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let new = json!({ "name": "research", "description": "finds out" });
    let made = grace
        .request(&server, "POST", "/api/teams")
        .json(&new)
        .send()
        .await?;
    assert_eq!(made.status(), 201);
    let place = made.headers()["location"].to_str()?.to_owned();
    let made: Value = made.json().await?;
    assert_eq!(
        place,
        format!("/api/teams/{}", made["id"].as_str().context("id")?)
    );
    let taken = stranger
        .request(&server, "POST", "/api/teams")
        .json(&new)
        .send()
        .await?;
    assert_eq!(code(taken).await?, (409, "name-taken".to_owned()));

    let put = |by: &Person, account: Uuid, role: &str| {
        let path = format!("{place}/members/{account}");
        by.request(&server, "PUT", &path)
            .json(&json!({ "role": role }))
            .send()
    };
    let remove = |by: &Person, account: Uuid| {
        by.request(&server, "DELETE", &format!("{place}/members/{account}"))
            .send()
    };
    // To a stranger it is not there, whatever is asked.
    let not_found = (404, "not-found".to_owned());
    let asked: [Response; 5] = [
        stranger.request(&server, "GET", &place).send().await?,
        stranger
            .request(&server, "GET", &format!("{place}/members"))
            .send()
            .await?,
        stranger
            .request(&server, "PATCH", &place)
            .json(&json!({ "description": "mine" }))
            .send()
            .await?,
        stranger.request(&server, "DELETE", &place).send().await?,
        put(&stranger, stranger.id, "owner").await?,
    ];
    for response in asked {
        assert_eq!(code(response).await?, not_found);
    }
    assert_eq!(put(&grace, ada.id, "viewer").await?.status(), 204);
    let by_name = format!("{place}/members/ada");
    assert_eq!(
        grace
            .send(&server, "PUT", &by_name, &json!({ "role": "member" }))
            .await?
            .0,
        204
    );
    assert_eq!(put(&grace, stranger.id, "viewer").await?.status(), 204);
    assert_eq!(
        code(put(&grace, Uuid::now_v7(), "member").await?).await?,
        not_found
    );
    assert_eq!(code(put(&grace, ada.id, "king").await?).await?.0, 422);
    // A member sees it, and may not run it.
    let (status, seen) = ada.get(&server, &place).await?;
    assert_eq!((status, seen["role"].clone()), (200, json!("member")));
    assert_eq!(
        code(put(&stranger, stranger.id, "owner").await?).await?,
        (403, "forbidden".to_owned())
    );
    assert_eq!(code(remove(&stranger, ada.id).await?).await?.0, 403);
    let (_, members) = ada.get(&server, &format!("{place}/members")).await?;
    let mut members: Vec<(String, String)> = members["items"]
        .as_array()
        .context("items")?
        .iter()
        .map(|member| {
            (
                member["name"].as_str().unwrap_or_default().into(),
                member["role"].as_str().unwrap_or_default().into(),
            )
        })
        .collect();
    members.sort();
    let expected = [
        ("ada", "member"),
        ("grace", "owner"),
        ("stranger", "viewer"),
    ];
    assert_eq!(
        members,
        expected.map(|(name, role)| (name.to_owned(), role.to_owned()))
    );
    let (_, mine) = ada.get(&server, "/api/teams").await?;
    assert_eq!(mine["items"][0]["name"], "research");

    // There is always an owner.
    let last = (409, "last-owner".to_owned());
    assert_eq!(code(remove(&grace, grace.id).await?).await?, last);
    assert_eq!(code(put(&grace, grace.id, "member").await?).await?, last);
    assert_eq!(put(&grace, ada.id, "owner").await?.status(), 204);
    assert_eq!(remove(&grace, grace.id).await?.status(), 204);
    assert_eq!(
        code(remove(&grace, ada.id).await?).await?,
        not_found,
        "she has left"
    );
    assert_eq!(
        remove(&stranger, stranger.id).await?.status(),
        204,
        "everybody can leave"
    );
    let (status, _) = ada.send(&server, "DELETE", &place, &json!({})).await?;
    assert_eq!(status, 204);
    assert_eq!(ada.get(&server, &place).await?.0, 404);
    Ok(())
}

#[tokio::test]
async fn what_is_a_teams_is_allowed_by_the_role_there() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let viewer = Person::register(&server, "viewer").await?;
    let (_, made) = grace
        .send(
            &server,
            "POST",
            "/api/teams",
            &json!({ "name": "research" }),
        )
        .await?;
    let team = made["id"].as_str().context("id")?;
    let path = format!("/api/teams/{team}/members/{}", viewer.id);
    grace
        .request(&server, "PUT", &path)
        .json(&json!({ "role": "viewer" }))
        .send()
        .await?;
    let mut admin = server.database.connect().await?;
    for (account, scope, in_team, allowed) in [
        (grace.id, "kb:write", true, true),
        (viewer.id, "kb:read", true, true),
        // What a role of the platform allows elsewhere, it does not allow in another's team.
        (viewer.id, "kb:write", true, false),
        (viewer.id, "kb:write", false, true),
        (viewer.id, "admin:all", false, false),
        (Uuid::now_v7(), "kb:read", false, false),
    ] {
        let team = in_team.then(|| team.parse::<Uuid>()).transpose()?;
        let answer: bool = sqlx::query_scalar("select identity.allows($1, $2, $3)")
            .bind(account)
            .bind(scope)
            .bind(team)
            .fetch_one(&mut admin)
            .await?;
        assert_eq!(answer, allowed, "{account} {scope} {in_team}");
    }
    Ok(())
}

/// Whoever changes a team owns it at that moment, not only when the request came.
#[tokio::test]
async fn an_owner_who_is_being_removed_changes_nothing_any_more() -> Result<()> {
    let server = Server::start().await?;
    let [grace, hopper, carol] = [
        Person::register(&server, "grace").await?,
        Person::register(&server, "hopper").await?,
        Person::register(&server, "carol").await?,
    ];
    let new = json!({ "name": "research", "description": "finds out" });
    let made = grace
        .request(&server, "POST", "/api/teams")
        .json(&new)
        .send()
        .await?;
    let made: Value = made.json().await?;
    let team = format!("/api/teams/{}", made["id"].as_str().context("id")?);
    let member = |account: Uuid| format!("{team}/members/{account}");
    let ask = |by: &Person, method: &str, path: &str, body: Value| {
        by.request(&server, method, path).json(&body)
    };
    let owners = async || {
        let members = grace
            .request(&server, "GET", &format!("{team}/members"))
            .send()
            .await?;
        let members: Value = members.json().await?;
        let items = members["items"].as_array().context("items")?.clone();
        let mut owners: Vec<String> = items
            .iter()
            .filter(|member| member["role"] == "owner")
            .filter_map(|member| member["name"].as_str().map(str::to_owned))
            .collect();
        owners.sort();
        anyhow::Ok(owners)
    };
    let owner = json!({ "role": "owner" });
    for (method, path, body) in [
        ("DELETE", member(grace.id), json!({})),
        ("PUT", member(grace.id), json!({ "role": "viewer" })),
        ("PUT", member(hopper.id), owner.clone()),
        ("PATCH", team.clone(), json!({ "description": "mine" })),
        ("DELETE", team.clone(), json!({})),
    ] {
        // The others that are there make no difference.
        for others in [&[][..], &[&carol]] {
            for other in others {
                let added = ask(&grace, "PUT", &member(other.id), owner.clone());
                assert_eq!(added.send().await?.status(), 204);
            }
            let added = ask(&grace, "PUT", &member(hopper.id), owner.clone());
            assert_eq!(added.send().await?.status(), 204);
            let row = format!(
                "select id from identity.team where id = '{}' for update",
                made["id"].as_str().context("id")?
            );
            let held = server.database.hold(&row).await?;
            let first = ask(&grace, "DELETE", &member(hopper.id), json!({}));
            let second = ask(&hopper, method, &path, body.clone());
            let [first, second] = server.in_turn(held, first, second).await?;
            assert_eq!(first.status(), 204);
            assert_eq!(
                code(second).await?,
                (404, "not-found".to_owned()),
                "{method} {path}"
            );
            let mut left = vec!["grace".to_owned()];
            left.extend(others.iter().map(|_| "carol".to_owned()));
            left.sort();
            assert_eq!(owners().await?, left, "{method} {path}");
            for other in others {
                let removed = ask(&grace, "DELETE", &member(other.id), json!({}));
                assert_eq!(removed.send().await?.status(), 204);
            }
        }
    }
    let (_, seen) = grace.get(&server, &team).await?;
    assert_eq!(seen["description"], "finds out");
    Ok(())
}
