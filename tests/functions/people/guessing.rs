//! Guessing passwords: it costs time where it comes from, and tells and harms nobody.

use super::passwords::{sign_in_from, signing_in};
use anyhow::Result;
use e2e::{
    Server,
    client::code,
    people::{PASSWORD, Person},
};
use serde_json::json;
use std::time::{Duration, Instant};

/// Makes the delays that failures have cost a minute longer, so that they last however slow the machine is.
pub const LONGER: &str = "update identity.sign_in_failure
    set blocked_until = blocked_until + interval '1 minute' where blocked_until > last_at";

#[tokio::test]
async fn guessing_costs_a_growing_delay_where_it_comes_from() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    // Known or not, the same happens.
    for email in [grace.email.as_str(), "nobody@example.org"] {
        let mut refused = Vec::new();
        for attempt in 0..6 {
            if attempt == 5 {
                server.database.execute(LONGER).await?;
            }
            let response = sign_in_from(&server, "198.51.100.1", email, "a wrong guess").await?;
            refused.push((
                response.headers().get("retry-after").is_some(),
                code(response).await?,
            ));
        }
        let failed = (false, (401, "authentication-failed".to_owned()));
        let delayed = (true, (429, "too-many-attempts".to_owned()));
        assert_eq!(refused[..5], vec![failed; 5], "{email}");
        assert_eq!(refused[5], delayed, "{email}");
    }
    // Even the right one waits there, and does not elsewhere.
    let right = sign_in_from(&server, "198.51.100.1", &grace.email, PASSWORD).await?;
    assert_eq!(right.status(), 429);
    assert_eq!(
        sign_in_from(&server, "198.51.100.2", &grace.email, PASSWORD)
            .await?
            .status(),
        200
    );
    // The first delay is one of seconds.
    let wait: u64 = right.headers()["retry-after"].to_str()?.parse()?;
    // Without the two minutes, since the address has the delay of both.
    assert!(wait <= 122, "{wait}");
    server
        .database
        .execute(
            "update identity.sign_in_failure set blocked_until = last_at + interval '1 second'",
        )
        .await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(
        sign_in_from(&server, "198.51.100.1", &grace.email, PASSWORD)
            .await?
            .status(),
        200
    );
    Ok(())
}

#[tokio::test]
async fn a_stranger_who_fails_on_purpose_locks_nobody_out() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    assert_eq!(
        sign_in_from(&server, "203.0.113.7", &grace.email, PASSWORD)
            .await?
            .status(),
        200
    );
    for network in 0..25 {
        let address = format!("198.51.100.{network}");
        let response = sign_in_from(&server, &address, &grace.email, "a wrong guess").await?;
        assert!([401, 429].contains(&response.status().as_u16()));
    }
    server.database.execute(LONGER).await?;
    let stranger = sign_in_from(&server, "192.0.2.1", &grace.email, PASSWORD).await?;
    assert_eq!(stranger.status(), 429, "an address that nobody knows");
    let wait: u64 = stranger.headers()["retry-after"].to_str()?.parse()?;
    assert!(wait <= 120, "{wait}");
    let known = sign_in_from(&server, "203.0.113.7", &grace.email, PASSWORD).await?;
    assert_eq!(known.status(), 200, "where she has signed in before");
    Ok(())
}

/// Printed, not asserted to the microsecond: the medians must merely be of one kind.
#[tokio::test]
async fn the_time_of_a_refusal_tells_nothing_of_the_account() -> Result<()> {
    let _machine = e2e::MACHINE.lock().await;
    let server = Server::start().await?;
    Person::register(&server, "grace").await?;
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..30 {
        for (which, email) in ["grace@example.org", "nobody@example.org"]
            .into_iter()
            .enumerate()
        {
            let address = format!("10.0.{round}.{which}");
            let started = Instant::now();
            let response = sign_in_from(&server, &address, email, "a wrong guess").await?;
            times[which].push(started.elapsed());
            assert!([401, 429].contains(&response.status().as_u16()));
            server
                .database
                .execute("delete from identity.sign_in_failure")
                .await?;
        }
    }
    let [known, unknown] = times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    });
    println!("refusal, median: known account {known:?}, unknown account {unknown:?}");
    let (less, more) = (known.min(unknown), known.max(unknown));
    assert!(more < less * 3 / 2, "{known:?} {unknown:?}");
    Ok(())
}

#[tokio::test]
async fn a_right_and_a_wrong_password_at_once_from_one_place_are_both_answered() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let address = "198.51.100.1";
    let sign_in = |password: &str| signing_in(&server, address, &grace.email, password);
    assert_eq!(sign_in("a wrong guess").send().await?.status(), 401);
    let counter = format!(
        "select key from identity.sign_in_failure where key = 'both:{} {address}' for update",
        grace.email
    );
    let held = server.database.hold(&counter).await?;
    let (right, wrong) = (sign_in(PASSWORD), sign_in("a wrong guess"));
    let [right, wrong] = server.in_turn(held, right, wrong).await?;
    assert_eq!(
        (right.status().as_u16(), wrong.status().as_u16()),
        (200, 401)
    );
    Ok(())
}

#[tokio::test]
async fn who_leaves_takes_nobody_elses_failures_along() -> Result<()> {
    let server = Server::start().await?;
    let new = json!({ "email": "%@example.org", "name": "mallory", "password": PASSWORD });
    let response = server.post("/api/users/register", &new).await?;
    assert_eq!(response.status(), 201);
    let mallory = Person::sign_in(&server, "%@example.org", PASSWORD).await?;
    let failed = "insert into identity.sign_in_failure (key, failures, last_at, blocked_until)
        select key, 9, now(), now() + interval '1 hour'
        from unnest(array['both:grace@example.org 192.0.2.1', 'both:%@example.org 192.0.2.1']) as key";
    server.database.execute(failed).await?;
    let leaving = json!({ "name": "mallory", "password": PASSWORD });
    assert_eq!(
        mallory
            .send(&server, "POST", "/api/accounts/me/delete", &leaving)
            .await?
            .0,
        204
    );
    let kept: Vec<String> = sqlx::query_scalar("select key from identity.sign_in_failure")
        .fetch_all(&mut server.database.connect().await?)
        .await?;
    assert_eq!(kept, ["both:grace@example.org 192.0.2.1"]);
    Ok(())
}
