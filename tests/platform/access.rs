//! Who may do what: roles, scopes, suspension.

use anyhow::{Context, Result};
use e2e::{
    Server,
    agents::Agent,
    client::{code, until_status},
    people::Person,
    root,
};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

const ROLES: [&str; 4] = ["guest", "user", "developer", "admin"];

/// An operation with the scope that it needs.
struct Operation {
    method: String,
    path: String,
    scope: String,
}

fn operations() -> Result<Vec<Operation>> {
    let file = std::fs::read_to_string(root().join("static/openapi.json"))?;
    let document: Value = serde_json::from_str(&file)?;
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().context("paths")? {
        for (method, operation) in item.as_object().context("operations")? {
            let scopes = operation["security"].as_array().into_iter().flatten();
            let scopes = scopes.filter_map(|one| one["token"].as_array()).flatten();
            for scope in scopes.filter_map(Value::as_str) {
                operations.push(Operation {
                    method: method.to_uppercase(),
                    path: path.clone(),
                    scope: scope.to_owned(),
                });
            }
        }
    }
    Ok(operations)
}

async fn scopes_of_roles(server: &Server) -> Result<Vec<(String, Vec<String>)>> {
    let mut admin = server.database.connect().await?;
    let rows = sqlx::query_as("select name, scopes from identity.role order by rank");
    Ok(rows.fetch_all(&mut admin).await?)
}

/// `docs/permissions.md` is generated from the same sources: the OpenAPI document and the roles in the database.
#[tokio::test]
async fn every_route_does_with_every_role_what_the_published_table_says() -> Result<()> {
    let server = Server::start().await?;
    let (roles, operations) = (scopes_of_roles(&server).await?, operations()?);
    assert_eq!(
        roles.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        ROLES
    );
    assert!(operations.len() > 30);

    // The one admin that has to stay.
    Person::register(&server, "operator")
        .await?
        .into_admin(&server)
        .await?;
    let mut refused = 0;
    for (number, (role, granted)) in (1_u8..).zip(&roles) {
        // Two in turns, since of one account at most a hundred refusals a minute are put on record.
        let pair = [number, number + 10];
        for number in pair {
            let name = format!("agent-{role}-{number}");
            let agent = Agent::sign_in(&server, &name, number).await?;
            let set = format!(
                "select identity.set_roles('{}', '{{{role}}}', null, null, null)",
                agent.id
            );
            server.database.execute(&set).await?;
        }
        for (operation, number) in operations.iter().zip(pair.into_iter().cycle()) {
            let Operation {
                method,
                path,
                scope,
            } = operation;
            // Each with a session of its own: some end all that there are.
            let token = Agent::token(&server, number).await?;
            let path = filled(path);
            let request = server
                .http
                .request(method.parse()?, format!("{}{path}", server.url));
            let response = request.bearer_auth(token).json(&json!({})).send().await?;
            let status = response.status().as_u16();
            let answer = response.text().await?;
            let is_refusal = status == 403 && answer.contains("This needs the scope");
            assert_eq!(
                !is_refusal,
                granted.contains(scope),
                "{role}: {method} {path}: {status} {answer}"
            );
            assert!(
                status != 401 && status < 500,
                "{role}: {method} {path}: {status} {answer}"
            );
            refused += usize::from(is_refusal);
        }
    }
    // Each refusal is on record.
    let mut admin = server.database.connect().await?;
    let recorded: i64 = sqlx::query_scalar(
        "select count(*) from audit.entry where action = 'access.refused' and not allowed",
    )
    .fetch_one(&mut admin)
    .await?;
    assert_eq!(recorded, i64::try_from(refused)?);
    Ok(())
}

/// A path with something in its parameters that is not there.
fn filled(path: &str) -> String {
    let mut filled = path.to_owned();
    while let (Some(start), Some(end)) = (filled.find('{'), filled.find('}')) {
        filled.replace_range(start..=end, &Uuid::nil().to_string());
    }
    filled
}

#[tokio::test]
async fn a_changed_role_counts_everywhere_within_two_seconds() -> Result<()> {
    let server = Server::start().await?;
    let second = server.second_host().await?;
    let operator = Person::register(&server, "operator")
        .await?
        .into_admin(&server)
        .await?;
    let grace = Person::register(&server, "grace").await?;
    let set = |roles: Value| {
        let path = format!("/api/accounts/{}/roles", grace.id);
        operator
            .request(&server, "PUT", &path)
            .json(&json!({ "roles": roles }))
            .send()
    };
    let audit = |host: &str, token: &str| {
        server
            .http
            .get(format!("{host}/api/audit"))
            .bearer_auth(token)
            .send()
    };
    assert_eq!(code(audit(&second.url, &grace.token).await?).await?.0, 403);
    let raised: Value = set(json!(["developer", "admin"])).await?.json().await?;
    assert_eq!(raised["roles"], json!(["developer", "admin"]), "{raised}");
    // The old token no longer counts; a refreshed one has what is new.
    let status = async |token: &str| anyhow::Ok(audit(&second.url, token).await?.status().as_u16());
    until_status(401, async || status(&grace.token).await).await?;
    let refreshed = server
        .post(
            "/api/tokens/refresh",
            &json!({ "refresh_token": grace.refresh }),
        )
        .await?;
    let refreshed: Value = refreshed.json().await?;
    let token = refreshed["access_token"].as_str().context("a token")?;
    assert_eq!(audit(&second.url, token).await?.status(), 200);
    let by_cookie = server
        .http
        .get(format!("{}/api/audit", second.url))
        .header("cookie", &grace.cookie);
    assert_eq!(by_cookie.send().await?.status(), 200);

    assert_eq!(set(json!(["user"])).await?.status(), 200);
    until_status(401, async || status(token).await).await?;
    until_status(403, async || {
        let by_cookie = server
            .http
            .get(format!("{}/api/audit", second.url))
            .header("cookie", &grace.cookie);
        anyhow::Ok(by_cookie.send().await?.status().as_u16())
    })
    .await
    .context("the session goes on, with less")?;
    for wrong in [
        json!([]),
        json!(["king"]),
        json!("admin"),
        json!(vec!["user"; 5]),
    ] {
        assert_eq!(code(set(wrong.clone()).await?).await?.0, 422, "{wrong}");
    }
    Ok(())
}

#[tokio::test]
async fn the_last_admin_stays_one() -> Result<()> {
    let server = Server::start().await?;
    let operator = Person::register(&server, "operator")
        .await?
        .into_admin(&server)
        .await?;
    let roles = format!("/api/accounts/{}/roles", operator.id);
    let resign = operator
        .request(&server, "PUT", &roles)
        .json(&json!({ "roles": ["user"] }));
    let last = (409, "last-admin".to_owned());
    assert_eq!(code(resign.send().await?).await?, last);
    let suspend = format!("/api/accounts/{}/suspend", operator.id);
    assert_eq!(
        code(
            operator
                .request(&server, "POST", &suspend)
                .json(&json!({}))
                .send()
                .await?
        )
        .await?,
        last
    );
    let leave = json!({ "name": "operator", "password": e2e::people::PASSWORD });
    assert_eq!(
        code(
            operator
                .request(&server, "POST", "/api/accounts/me/delete")
                .json(&leave)
                .send()
                .await?
        )
        .await?,
        last
    );
    assert_eq!(
        operator.get(&server, "/api/audit").await?.0,
        200,
        "nothing has changed"
    );
    Ok(())
}

#[tokio::test]
async fn of_two_admins_who_take_each_others_role_one_stays() -> Result<()> {
    let server = Server::start().await?;
    let one = Person::register(&server, "one-admin").await?;
    let one = one.into_admin(&server).await?;
    let two = Person::register(&server, "two-admin").await?;
    let two = two.into_admin(&server).await?;
    let demote = |by: &Person, whom: Uuid| {
        let path = format!("/api/accounts/{whom}/roles");
        let request = by.request(&server, "PUT", &path);
        request.json(&json!({ "roles": ["user"] })).send()
    };
    let (first, second) = tokio::join!(demote(&one, two.id), demote(&two, one.id));
    let mut statuses = [first?.status().as_u16(), second?.status().as_u16()];
    statuses.sort_unstable();
    // The other one was the last by then, or no admin any more.
    assert_eq!(statuses[0], 200);
    assert!([401, 409].contains(&statuses[1]), "{statuses:?}");
    let mut admin = server.database.connect().await?;
    let has_admin: bool = sqlx::query_scalar("select identity.has_admin()")
        .fetch_one(&mut admin)
        .await?;
    assert!(has_admin);
    Ok(())
}

#[tokio::test]
async fn the_operators_link_makes_one_admin() -> Result<()> {
    let server = Server::start().await?;
    let mut admin = server.database.connect().await?;
    let link: Uuid = sqlx::query_scalar(
        "insert into identity.link (purpose, expires_at) values ('admin', now() + interval '1 hour') returning id",
    )
    .fetch_one(&mut admin)
    .await?;
    let token = gather::secrets::link_token(&e2e::master_key(), link);
    let page = server
        .text(&format!("/account/admin?token={token}"))
        .await?;
    assert!(page.contains(&token), "{page}");
    let send = |token: &str, name: &str| {
        let body = format!(
            "token={token}&email={name}%40example.org&name={name}&password=a+few+random+words"
        );
        let request = server.http.post(format!("{}/account/admin", server.url));
        let kind = "application/x-www-form-urlencoded";
        request.header("content-type", kind).body(body).send()
    };
    assert_eq!(
        send(&token, "admin").await?.status(),
        422,
        "a reserved name"
    );
    assert_eq!(send("made-up", "grace").await?.status(), 410);
    assert_eq!(send(&token, "grace").await?.status(), 200);
    assert_eq!(
        send(&token, "mallory").await?.status(),
        410,
        "it works once"
    );
    let grace = Person::sign_in(&server, "grace@example.org", e2e::people::PASSWORD).await?;
    assert_eq!(grace.get(&server, "/api/audit").await?.0, 200);
    Ok(())
}

#[tokio::test]
async fn a_suspended_account_is_out_within_two_seconds_and_can_come_back() -> Result<()> {
    let server = Server::start().await?;
    let second = server.second_host().await?;
    let operator = Person::register(&server, "operator")
        .await?
        .into_admin(&server)
        .await?;
    let grace = Person::register(&server, "grace").await?;
    let made = grace
        .request(&server, "POST", "/api/keys")
        .json(&json!({ "name": "k", "scopes": [] }))
        .send()
        .await?;
    let made: Value = made.json().await?;
    let key = made["key"].as_str().context("key")?;
    let me = |token: &str| {
        second
            .http
            .get(format!("{}/api/users/me", second.url))
            .bearer_auth(token)
            .send()
    };
    assert_eq!(
        (me(&grace.token).await?.status(), me(key).await?.status()),
        (200.try_into()?, 200.try_into()?)
    );
    let path = |what: &str| format!("/api/accounts/{}/{what}", grace.id);
    let suspended = operator
        .request(&server, "POST", &path("suspend"))
        .json(&json!({ "reason": "spam" }))
        .send()
        .await?;
    assert_eq!(suspended.json::<Value>().await?["status"], "suspended");
    for token in [&*grace.token, key] {
        until_status(401, async || anyhow::Ok(me(token).await?.status().as_u16())).await?;
    }
    assert!(
        Person::sign_in(&server, &grace.email, e2e::people::PASSWORD)
            .await
            .is_err()
    );
    assert_eq!(
        server
            .post(
                "/api/tokens/refresh",
                &json!({ "refresh_token": grace.refresh })
            )
            .await?
            .status(),
        401
    );

    let back = operator
        .request(&server, "POST", &path("reinstate"))
        .json(&json!({}))
        .send()
        .await?;
    assert_eq!(back.json::<Value>().await?["status"], "active");
    Person::sign_in(&server, &grace.email, e2e::people::PASSWORD).await?;
    assert_eq!(me(key).await?.status(), 200, "keys were not revoked");
    // Once more changes nothing: the tokens go on.
    let again = operator
        .request(&server, "POST", &path("reinstate"))
        .json(&json!({}))
        .send()
        .await?;
    assert_eq!(again.json::<Value>().await?["status"], "active");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(me(key).await?.status(), 200);
    let nobody = format!("/api/accounts/{}/suspend", Uuid::now_v7());
    assert_eq!(
        code(
            operator
                .request(&server, "POST", &nobody)
                .json(&json!({}))
                .send()
                .await?
        )
        .await?
        .0,
        404
    );
    Ok(())
}

#[tokio::test]
async fn who_leaves_is_forgotten_and_what_others_use_stays() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let other = Person::register(&server, "other").await?;
    let team = grace
        .request(&server, "POST", "/api/teams")
        .json(&json!({ "name": "a-team" }))
        .send()
        .await?;
    let team: Value = team.json().await?;
    let team = team["id"].as_str().context("id")?;
    let member = format!("/api/teams/{team}/members/{}", other.id);
    assert_eq!(
        grace
            .send(&server, "PUT", &member, &json!({ "role": "viewer" }))
            .await?
            .0,
        204
    );

    let (_, export) = grace.get(&server, "/api/accounts/me/export").await?;
    assert_eq!(export["person"]["email"], "grace@example.org", "{export}");
    assert_eq!(export["teams"][0]["name"], "a-team");
    assert!(
        export["audit"]
            .as_array()
            .is_some_and(|entries| entries.len() >= 3),
        "{export}"
    );
    assert_eq!(export["skills"]["owned"], json!([]), "{export}");
    assert!(export["jobs"].is_array(), "{export}");
    let text = export.to_string();
    for secret in ["cookie_hash", "\"hash\"", "\"password\":", "totp_secret"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }

    let leave = |name: &str, password: &str| {
        let body = json!({ "name": name, "password": password });
        grace
            .request(&server, "POST", "/api/accounts/me/delete")
            .json(&body)
            .send()
    };
    let refused = (403, "confirmation-refused".to_owned());
    assert_eq!(
        code(leave("other", e2e::people::PASSWORD).await?).await?,
        refused
    );
    assert_eq!(
        code(leave("grace", "wrong password").await?).await?,
        refused
    );
    assert_eq!(leave("grace", e2e::people::PASSWORD).await?.status(), 204);
    // The token is believed for a moment, and makes nothing that lasts.
    for (path, body) in [
        ("/api/teams".to_owned(), json!({ "name": "orphaned" })),
        ("/api/keys".to_owned(), json!({ "name": "k", "scopes": [] })),
    ] {
        let made = grace.send(&server, "POST", &path, &body).await?;
        assert_eq!(made.0, 401, "{path}");
    }
    until_status(401, async || {
        anyhow::Ok(grace.get(&server, "/api/users/me").await?.0)
    })
    .await?;
    assert!(
        Person::sign_in(&server, &grace.email, e2e::people::PASSWORD)
            .await
            .is_err()
    );
    let mut admin = server.database.connect().await?;
    let traces: Vec<String> = sqlx::query_scalar(
        "select t::text from (
             select to_jsonb(a) from identity.account a union all select to_jsonb(p) from identity.person p
             union all select to_jsonb(s) from identity.session s union all select to_jsonb(k) from identity.api_key k
             union all select to_jsonb(l) from identity.link l where l.account_id is not null
             union all select to_jsonb(e) - 'address' from audit.entry e) t",
    )
    .fetch_all(&mut admin)
    .await?;
    assert!(
        !traces.iter().any(|row| row.contains("grace")),
        "{traces:#?}"
    );
    // The team has an owner still: its eldest member.
    let team: Value = other.get(&server, &format!("/api/teams/{team}")).await?.1;
    assert_eq!(team["role"], "owner", "{team}");
    // The name and the address are free again.
    Person::register(&server, "grace").await?;
    Ok(())
}
