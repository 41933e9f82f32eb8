//! Limits on requests: exact where it matters, the same from every host, told in headers.

use anyhow::{Context, Result};
use e2e::{Server, agents::Agent, client::code};
use futures::future::join_all;
use reqwest::Response;
use serde_json::{Value, json};

const LIMITS: &str = "strict=20,standard=40,bulk=5,relaxed=50";

async fn refresh_from(server: &Server, address: &str) -> Result<Response> {
    let request = server
        .http
        .post(format!("{}/api/tokens/refresh", server.url));
    let request = request
        .json(&json!({ "refresh_token": "gr_x" }))
        .header("x-forwarded-for", address);
    Ok(request.send().await?)
}

/// How many of so many requests at once, half of them to each host, are let through.
async fn let_through(
    hosts: [&Server; 2],
    count: usize,
    address: impl Fn(usize) -> String,
) -> Result<usize> {
    let all = (0..count).map(|number| refresh_from_owned(hosts[number % 2], address(number)));
    let mut passed = 0;
    for response in join_all(all).await {
        match response?.status().as_u16() {
            401 => passed += 1,
            429 => {}
            other => anyhow::bail!("{other}"),
        }
    }
    Ok(passed)
}

async fn refresh_from_owned(server: &Server, address: String) -> Result<Response> {
    refresh_from(server, &address).await
}

#[tokio::test]
async fn two_hosts_at_once_let_through_exactly_what_is_allowed() -> Result<()> {
    let server = Server::told(&[("rate_limits", LIMITS)]).await?;
    let second = server.second_host().await?;
    let hosts = [&server, &second];
    assert_eq!(
        let_through(hosts, 60, |_| "198.51.100.1".to_owned()).await?,
        20
    );
    assert_eq!(
        let_through(hosts, 30, |_| "198.51.100.2".to_owned()).await?,
        20,
        "another address"
    );
    // Of IPv6 the network of 64 bits counts.
    assert_eq!(
        let_through(hosts, 30, |n| format!("2001:db8:0:1::{n:x}")).await?,
        20
    );
    assert_eq!(
        let_through(hosts, 30, |n| format!("2001:db8:0:{n:x}::1")).await?,
        29,
        "one of them is used up"
    );
    Ok(())
}

#[tokio::test]
async fn every_answer_says_how_it_stands_and_the_refusal_when_to_come_again() -> Result<()> {
    let server = Server::told(&[("rate_limits", LIMITS)]).await?;
    let header = |response: &Response, name: &str| {
        let value = response
            .headers()
            .get(name)
            .with_context(|| format!("no {name}"));
        anyhow::Ok(value?.to_str()?.to_owned())
    };
    for left in (0..20).rev() {
        let response = refresh_from(&server, "198.51.100.1").await?;
        assert_eq!(
            header(&response, "ratelimit-policy")?,
            "\"strict\";q=20;w=60"
        );
        let standing = header(&response, "ratelimit")?;
        assert!(
            standing.starts_with(&format!("\"strict\";r={left};t=")),
            "{standing}"
        );
    }
    let refused = refresh_from(&server, "198.51.100.1").await?;
    let wait: u64 = header(&refused, "retry-after")?.parse()?;
    assert!((1..=60).contains(&wait), "{wait}");
    assert!(header(&refused, "ratelimit")?.starts_with("\"strict\";r=0;t="));
    assert_eq!(code(refused).await?, (429, "rate-limited".to_owned()));

    // From this machine a hundred times as much is allowed, by whatever tier.
    for (path, policy) in [
        ("/health/live", "\"health\";q=6000000;w=60"),
        ("/", "\"relaxed\";q=5000;w=60"),
        ("/nowhere", "\"relaxed\";q=5000;w=60"),
        ("/api/skills", "\"standard\";q=4000;w=60"),
        ("/api/agents/me", "\"standard\";q=4000;w=60"),
    ] {
        assert_eq!(
            header(&server.get(path).await?, "ratelimit-policy")?,
            policy,
            "{path}"
        );
    }
    let off = Server::told(&[("rate_limits", "off")]).await?;
    assert!(
        !off.get("/api/skills")
            .await?
            .headers()
            .contains_key("ratelimit")
    );
    Ok(())
}

#[tokio::test]
async fn an_account_is_counted_wherever_it_calls_from() -> Result<()> {
    let server = Server::told(&[("rate_limits", LIMITS)]).await?;
    let second = server.second_host().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let call = async |host: &Server, agent: &Agent, number: usize| {
        let request = host
            .http
            .get(format!("{}/api/agents/me", host.url))
            .bearer_auth(&agent.token);
        anyhow::Ok(
            request
                .header("x-forwarded-for", format!("198.51.100.{number}"))
                .send()
                .await?
                .status()
                .as_u16(),
        )
    };
    let mut passed = 0;
    for number in 0..50 {
        let host = if number % 2 == 0 { &server } else { &second };
        passed += usize::from(call(host, &ada, number).await? == 200);
    }
    assert_eq!(passed, 40);
    assert_eq!(
        call(&server, &bob, 1).await?,
        200,
        "another account, from the same address"
    );
    Ok(())
}

#[tokio::test]
async fn what_a_client_says_of_its_address_is_not_believed() -> Result<()> {
    let server = Server::told(&[("rate_limits", "strict=1"), ("trusted_proxies", "")]).await?;
    // All of these are this machine's, whose limit is a hundred times as high.
    let mut passed = 0;
    for number in 0..110 {
        let response = refresh_from(&server, &format!("198.51.100.{number}")).await?;
        passed += usize::from(response.status() == 401);
    }
    assert_eq!(passed, 100);
    Ok(())
}

/// Lets the database count how often the guard asks it.
async fn count_questions(server: &Server) -> Result<()> {
    let wrapped = "
        create schema counted;
        create sequence counted.question;
        alter function identity.check_in(timestamptz, bytea, text, text, integer, boolean) set schema counted;
        create function identity.check_in(since timestamptz, credential bytea, bucket text, tier text, quota integer, exact boolean)
        returns jsonb language sql security definer
        as $$
            select nextval('counted.question');
            select counted.check_in(since, credential, bucket, tier, quota, exact)
        $$;
        grant execute on function identity.check_in(timestamptz, bytea, text, text, integer, boolean)
        to gather_identity, gather_people, gather_accounts";
    server.database.execute(wrapped).await
}

#[tokio::test]
async fn secrets_from_an_address_that_is_used_up_are_not_looked_up() -> Result<()> {
    let server = Server::told(&[("rate_limits", "standard=20")]).await?;
    count_questions(&server).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let mut keys = Vec::new();
    for number in 0..5 {
        let body = json!({ "name": format!("key-{number}"), "scopes": [] });
        let made = ada.request(&server, "POST", "/api/keys").json(&body);
        let made: Value = made.send().await?.json().await?;
        keys.push(made["key"].as_str().context("key")?.to_owned());
    }
    let questions = async || {
        let count = sqlx::query_scalar(
            "select case when is_called then last_value else 0 end from counted.question",
        );
        let mut admin = server.database.connect().await?;
        anyhow::Ok::<i64>(count.fetch_one(&mut admin).await?)
    };
    let call = async |address: &str, name: &str, value: String| {
        let request = server.http.get(format!("{}/api/agents/me", server.url));
        let request = request
            .header("x-forwarded-for", address)
            .header(name, value);
        let response = request.send().await?;
        let status = response.status().as_u16();
        // To its end, so that the connection stays, and with it the instance.
        response.bytes().await?;
        anyhow::Ok(status)
    };
    let bearer = async |address: &str, secret: &str| {
        call(address, "authorization", format!("Bearer {secret}")).await
    };
    let (here, elsewhere) = ("198.51.100.1", "198.51.100.2");

    let before = questions().await?;
    for number in 0..20 {
        assert_eq!(bearer(here, &format!("gk_{number}")).await?, 401);
    }
    assert!(questions().await? - before >= 20, "each was looked up");
    let before = questions().await?;
    for number in 0..50 {
        let cookie = format!("__Host-gather-session=gs_{number}");
        assert_eq!(bearer(here, &format!("gk_{number}")).await?, 429);
        assert_eq!(call(here, "cookie", cookie).await?, 429);
    }
    let more = questions().await? - before;
    // An instance that does not know yet asks once.
    assert!(more <= 5, "{more}");

    // Good ones neither, unless the instance knows them.
    let mut looked_up = 0;
    for key in &keys {
        assert_eq!(bearer(here, "gk_made-up").await?, 429);
        match bearer(here, key).await? {
            429 => {}
            200 => looked_up += 1,
            other => panic!("{other}"),
        }
    }
    assert!(looked_up <= 1, "{looked_up}");
    let used: i64 =
        sqlx::query_scalar("select count(*) from identity.api_key where last_used_at is not null")
            .fetch_one(&mut server.database.connect().await?)
            .await?;
    assert_eq!(used, looked_up);
    assert_eq!(
        bearer(here, &ada.token).await?,
        200,
        "a token is verified without asking, and its account counted"
    );
    for key in &keys {
        assert_eq!(bearer(elsewhere, key).await?, 200);
    }
    Ok(())
}
