//! Passwords that are reset or changed, also at the same moment as other things happen.

use super::passwords::signing_in;
use anyhow::{Context, Result};
use e2e::{
    Server,
    client::{code, until_status},
    people::{PASSWORD, Person},
};
use futures::future::join_all;
use gather::secrets::link_token;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use uuid::Uuid;

/// A link that sets a new password, as the mail would have it.
async fn reset_link(server: &Server, person: &Person) -> Result<String> {
    let id: Uuid = sqlx::query_scalar(
        "insert into identity.link (email, purpose, expires_at)
         values ($1, 'reset', now() + interval '30 minutes') returning id",
    )
    .bind(&person.email)
    .fetch_one(&mut server.database.connect().await?)
    .await?;
    Ok(link_token(&e2e::master_key(), id))
}

fn resetting(server: &Server, token: &str, password: &str) -> RequestBuilder {
    let body = json!({ "token": token, "password": password });
    let url = format!("{}/api/users/password/reset", server.url);
    server.http.post(url).json(&body)
}

fn changing(server: &Server, person: &Person, password: &str) -> RequestBuilder {
    let body = json!({ "current_password": PASSWORD, "password": password });
    person
        .request(server, "PUT", "/api/users/me/password")
        .json(&body)
}

async fn living_sessions(server: &Server, person: &Person) -> Result<i64> {
    let count = sqlx::query_scalar(
        "select count(*) from identity.session where account_id = $1 and revoked_at is null",
    );
    let mut admin = server.database.connect().await?;
    Ok(count.bind(person.id).fetch_one(&mut admin).await?)
}

#[tokio::test]
async fn a_sign_in_beside_a_reset_is_ended_by_it_or_refused_after_it() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let mut password = PASSWORD.to_owned();
    for sign_in_first in [true, false] {
        let next = format!("{password} and some more");
        let token = reset_link(&server, &grace).await?;
        let sign_in = signing_in(&server, "198.51.100.1", &grace.email, &password);
        let reset = resetting(&server, &token, &next);
        // Both have read what they decide by when they get to the account.
        let held = server.database.hold_account(grace.id).await?;
        let (signed_in, was_reset) = if sign_in_first {
            let [signed_in, was_reset] = server.in_turn(held, sign_in, reset).await?;
            (signed_in, was_reset)
        } else {
            let [was_reset, signed_in] = server.in_turn(held, reset, sign_in).await?;
            (signed_in, was_reset)
        };
        assert_eq!(was_reset.status(), 204);
        if sign_in_first {
            assert_eq!(signed_in.status(), 200);
            let opened: Value = signed_in.json().await?;
            let refresh = json!({ "refresh_token": opened["refresh_token"] });
            assert_eq!(
                server.post("/api/tokens/refresh", &refresh).await?.status(),
                401
            );
        } else {
            assert_eq!(
                code(signed_in).await?,
                (401, "authentication-failed".to_owned())
            );
        }
        assert_eq!(living_sessions(&server, &grace).await?, 0);
        password = next;
    }
    Person::sign_in(&server, &grace.email, &password).await?;
    Ok(())
}

#[tokio::test]
async fn no_session_of_a_former_password_outlives_its_reset() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let mut password = PASSWORD.to_owned();
    let mut opened = Vec::new();
    for round in 0..4 {
        let next = format!("{PASSWORD} and number {round}");
        let token = reset_link(&server, &grace).await?;
        // From different places, so that no failure delays another one.
        let sign_ins = (0..2).map(|number| {
            let address = format!("198.51.100.{}", 2 * round + number);
            signing_in(&server, &address, &grace.email, &password).send()
        });
        let reset = resetting(&server, &token, &next).send();
        let (signed_in, was_reset) = tokio::join!(join_all(sign_ins), reset);
        assert_eq!(was_reset?.status(), 204);
        for response in signed_in {
            let response = response?;
            match response.status().as_u16() {
                200 => opened.push(response.json::<Value>().await?),
                401 => {}
                other => panic!("{other}: {}", response.text().await?),
            }
        }
        assert_eq!(living_sessions(&server, &grace).await?, 0, "round {round}");
        password = next;
    }
    for tokens in opened {
        let token = tokens["access_token"].as_str().context("token")?;
        until_status(401, async || {
            let me = server.http.get(format!("{}/api/users/me", server.url));
            anyhow::Ok(me.bearer_auth(token).send().await?.status().as_u16())
        })
        .await?;
        let refresh = json!({ "refresh_token": tokens["refresh_token"] });
        assert_eq!(
            server.post("/api/tokens/refresh", &refresh).await?.status(),
            401
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_change_by_the_old_password_does_not_undo_a_reset() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let token = reset_link(&server, &grace).await?;
    let reset = resetting(&server, &token, "what the owner wants");
    let change = changing(&server, &grace, "what a stranger wants");
    let held = server.database.hold_account(grace.id).await?;
    let [was_reset, changed] = server.in_turn(held, reset, change).await?;
    assert_eq!(was_reset.status(), 204);
    assert_eq!(changed.status(), 403);
    Person::sign_in(&server, &grace.email, "what the owner wants").await?;
    Ok(())
}

#[tokio::test]
async fn a_password_that_is_changed_and_forgotten_at_once_is_both() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    // Only to a proved address is a change told.
    let prove = "update identity.person set verified_at = now()";
    server.database.execute(prove).await?;
    let body = json!({ "email": grace.email });
    let forget = server
        .http
        .post(format!("{}/api/users/password/forgot", server.url))
        .json(&body);
    let change = changing(&server, &grace, "a new and better one");
    // Those who mail an address take turns.
    let turn = format!(
        "select pg_advisory_xact_lock(hashtextextended('mail {}', 1))",
        grace.email
    );
    let held = server.database.hold(&turn).await?;
    let [forgotten, changed] = server.in_turn(held, forget, change).await?;
    assert_eq!(
        (forgotten.status().as_u16(), changed.status().as_u16()),
        (202, 204)
    );
    Ok(())
}

#[tokio::test]
async fn a_reset_of_an_account_that_is_just_being_deleted_is_too_late() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let token = reset_link(&server, &grace).await?;
    let reset = resetting(&server, &token, "a new and better one");
    let leaving = json!({ "name": "grace", "password": PASSWORD });
    let leave = grace
        .request(&server, "POST", "/api/accounts/me/delete")
        .json(&leaving);
    let held = server.database.hold_account(grace.id).await?;
    let [left, was_reset] = server.in_turn(held, leave, reset).await?;
    assert_eq!(
        (left.status().as_u16(), was_reset.status().as_u16()),
        (204, 410)
    );
    Ok(())
}
