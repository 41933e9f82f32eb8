//! Browsers' sessions: the cookie, and who may not use it.

use anyhow::Result;
use e2e::{
    Server,
    client::{code, until_status},
    people::{PASSWORD, Person},
};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn the_cookie_is_for_browsers_and_scripts_never_see_it() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let given = json!({ "email": grace.email, "password": PASSWORD });
    let response = server.post("/api/sessions", &given).await?;
    let cookie = response.headers()["set-cookie"].to_str()?.to_owned();
    for attribute in [
        "__Host-gather-session=gs_",
        "; Path=/",
        "; HttpOnly",
        "; Secure",
        "; SameSite=Lax",
    ] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    assert_eq!(response.headers()["cache-control"], "private, no-store");
    let secret = cookie
        .split(['=', ';'])
        .nth(1)
        .unwrap_or_default()
        .to_owned();
    assert!(
        !response.text().await?.contains(&secret),
        "the page is not told"
    );

    let me = server.http.get(format!("{}/api/users/me", server.url));
    let me = me.header("cookie", &grace.cookie).send().await?;
    assert_eq!(me.headers()["cache-control"], "private, no-store");
    assert_eq!(me.json::<Value>().await?["name"], "grace");
    let mut admin = server.database.connect().await?;
    let kept: String =
        sqlx::query_scalar("select string_agg(s::text, ' ') from identity.session s")
            .fetch_one(&mut admin)
            .await?;
    assert!(!kept.contains(&secret), "only its hash is kept");
    Ok(())
}

#[tokio::test]
async fn a_change_by_cookie_needs_the_csrf_token() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let other = Person::register(&server, "other").await?;
    let create = |csrf: Option<&str>| {
        let mut request = server.http.post(format!("{}/api/teams", server.url));
        request = request
            .header("cookie", &grace.cookie)
            .json(&json!({ "name": "a-team" }));
        if let Some(csrf) = csrf {
            request = request.header("x-csrf-token", csrf);
        }
        request.send()
    };
    for wrong in [None, Some(""), Some("x"), Some(other.csrf.as_str())] {
        assert_eq!(
            code(create(wrong).await?).await?,
            (403, "csrf-failed".to_owned()),
            "{wrong:?}"
        );
    }
    assert_eq!(create(Some(&grace.csrf)).await?.status(), 201);
    // A page elsewhere can't send JSON without asking first, and is not answered when it asks.
    let asked = server
        .http
        .request(Method::OPTIONS, format!("{}/api/teams", server.url));
    let asked = asked
        .header("origin", "https://evil.example")
        .header("access-control-request-method", "POST");
    assert!(
        !asked
            .send()
            .await?
            .headers()
            .contains_key("access-control-allow-origin")
    );
    // Nor does a form sign anybody in.
    let form = server.http.post(format!("{}/api/sessions", server.url));
    let form = form
        .header("content-type", "text/plain")
        .body(json!({ "email": "a", "password": "b" }).to_string());
    assert_eq!(form.send().await?.status(), 415);
    Ok(())
}

#[tokio::test]
async fn a_planted_session_is_not_taken_over_and_ends() -> Result<()> {
    let server = Server::start().await?;
    let mallory = Person::register(&server, "mallory").await?;
    let victim = Person::register(&server, "victim").await?;
    // Mallory's cookie is in the victim's browser when the victim signs in.
    let given = json!({ "email": victim.email, "password": PASSWORD });
    let request = server
        .http
        .post(format!("{}/api/sessions", server.url))
        .json(&given);
    let response = request.header("cookie", &mallory.cookie).send().await?;
    let signed_in = Person::of(&server, &victim.email, response).await?;
    assert_ne!(signed_in.cookie, mallory.cookie);
    let as_cookie = |cookie: &str| {
        let request = server.http.get(format!("{}/api/users/me", server.url));
        request.header("cookie", cookie).send()
    };
    assert_eq!(
        as_cookie(&signed_in.cookie).await?.json::<Value>().await?["name"],
        "victim"
    );
    until_status(401, async || {
        anyhow::Ok(as_cookie(&mallory.cookie).await?.status().as_u16())
    })
    .await?;
    // Made up, twice, or too long: nobody's.
    let twice = format!("{}; {}", signed_in.cookie, mallory.cookie);
    let long = format!("__Host-gather-session={}", "x".repeat(8000));
    for wrong in [
        "__Host-gather-session=gs_made-up",
        "__Host-gather-session=",
        &twice,
        &long,
    ] {
        assert_eq!(as_cookie(wrong).await?.status(), 401, "{wrong}");
    }
    Ok(())
}

#[tokio::test]
async fn one_of_two_refreshes_at_once_wins_and_the_other_looks_like_theft() -> Result<()> {
    let server = Server::start().await?;
    for round in 0..3 {
        let person = Person::register(&server, &format!("person-{round}")).await?;
        let body = json!({ "refresh_token": person.refresh });
        let (one, two) = tokio::join!(
            server.post("/api/tokens/refresh", &body),
            server.post("/api/tokens/refresh", &body)
        );
        let mut statuses = [one?.status().as_u16(), two?.status().as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401]);
        let mut admin = server.database.connect().await?;
        let noticed: i64 = sqlx::query_scalar(
            "select count(*) from audit.entry where action = 'session.reused' and actor_id = $1",
        )
        .bind(person.id)
        .fetch_one(&mut admin)
        .await?;
        assert_eq!(noticed, 1);
    }
    Ok(())
}
