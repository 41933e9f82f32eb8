//! Mail: a real worker, a real component, a mail server over a real socket.

use anyhow::{Context, Result};
use e2e::{
    Server,
    client::{code, until_status},
    mailbox::Mailbox,
    people::{PASSWORD, Person},
};
use host::{MailOptions, jobs::JobTimes};
use serde_json::{Value, json};

async fn with_mail() -> Result<(Server, Mailbox, host::jobs::JobWorker)> {
    let server = Server::start().await?;
    let mailbox = Mailbox::open().await?;
    let mail = MailOptions {
        smtp_url: Some(mailbox.url.clone()),
        ..MailOptions::default()
    };
    let worker = server.worker_mailing(JobTimes::default(), mail).await?;
    Ok((server, mailbox, worker))
}

#[tokio::test]
async fn an_address_is_proved_by_the_mailed_link_once() -> Result<()> {
    let (server, mailbox, _worker) = with_mail().await?;
    let grace = Person::register(&server, "grace").await?;
    let (_, me) = grace.get(&server, "/api/users/me").await?;
    assert_eq!(me["email_verified"], false);
    let mail = mailbox.wait("grace@example.org", 1).await?;
    assert!(
        mail.text
            .contains(&format!("{}/account/verify?token=", server.url)),
        "{}",
        mail.text
    );
    let token = mail.token()?;
    let page = server
        .text(&format!("/account/verify?token={token}"))
        .await?;
    assert!(
        page.contains(&token) && page.contains("<form method=\"post\">"),
        "{page}"
    );

    let wrong = json!({ "token": token, "password": "not the password" });
    let refused = server.post("/api/users/verify", &wrong).await?;
    assert_eq!(
        code(refused).await?,
        (403, "confirmation-refused".to_owned()),
        "who reads the mail is not who registered"
    );
    let form = format!("token={token}&password={}", PASSWORD.replace(' ', "+"));
    let confirm = || {
        server
            .http
            .post(format!("{}/account/verify", server.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.clone())
    };
    assert_eq!(confirm().send().await?.status(), 200);
    let (_, me) = grace.get(&server, "/api/users/me").await?;
    assert_eq!(me["email_verified"], true);
    assert_eq!(confirm().send().await?.status(), 410, "used");
    for wrong in ["", "x", &token[1..], &"A".repeat(64)] {
        let response = server
            .post(
                "/api/users/verify",
                &json!({ "token": wrong, "password": PASSWORD }),
            )
            .await?;
        assert_eq!(
            code(response).await?,
            (410, "link-expired".to_owned()),
            "{wrong}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn who_registers_with_a_known_address_learns_nothing_and_its_owner_is_told() -> Result<()> {
    let (server, mailbox, _worker) = with_mail().await?;
    Person::register(&server, "grace").await?;
    let token = mailbox.wait("grace@example.org", 1).await?.token()?;
    let verified = server
        .post(
            "/api/users/verify",
            &json!({ "token": token, "password": PASSWORD }),
        )
        .await?;
    assert_eq!(verified.status(), 204);

    let mut shapes = Vec::new();
    for (email, name) in [
        ("Grace@Example.org", "mallory"),
        ("new@example.org", "other-one"),
    ] {
        let new = json!({ "email": email, "name": name, "password": "quite another password" });
        let response = server.post("/api/users/register", &new).await?;
        let (status, length) = (response.status(), response.content_length());
        let body: Value = response.json().await?;
        let names: Vec<String> = body
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.clone())
            .collect();
        shapes.push((status, names));
        assert!(
            length.is_some() && body["email_verified"] == false,
            "{body}"
        );
        // Signing in and asking for the mail once more tell nothing either.
        let other = Person::sign_in(&server, email, "quite another password").await?;
        let again = other
            .send(&server, "POST", "/api/users/me/verification", &json!({}))
            .await?;
        assert_eq!(again.0, 202);
    }
    assert_eq!(shapes[0], shapes[1]);
    let notice = mailbox.wait("grace@example.org", 2).await?;
    assert!(!notice.text.contains("token="), "{}", notice.text);
    assert!(
        Person::sign_in(&server, "grace@example.org", PASSWORD)
            .await
            .is_ok()
    );
    Ok(())
}

#[tokio::test]
async fn a_forgotten_password_is_set_by_the_mailed_link_once() -> Result<()> {
    let (server, mailbox, _worker) = with_mail().await?;
    let grace = Person::register(&server, "grace").await?;
    mailbox.wait(&grace.email, 1).await?;
    for email in [grace.email.as_str(), "nobody@example.org"] {
        let response = server
            .post("/api/users/password/forgot", &json!({ "email": email }))
            .await?;
        assert_eq!(response.status(), 202, "{email}");
        assert!(response.text().await?.is_empty());
    }
    let mail = mailbox.wait(&grace.email, 2).await?;
    let token = mail.token()?;
    let reset = |token: &str, password: &str| {
        let body = json!({ "token": token, "password": password });
        let url = format!("{}/api/users/password/reset", server.url);
        server.http.post(url).json(&body).send()
    };
    assert_eq!(
        code(reset(&token, "too short").await?).await?.0,
        422,
        "the link is still good"
    );
    assert_eq!(reset(&token, "a new and better one").await?.status(), 204);
    assert_eq!(
        code(reset(&token, "and once again one").await?).await?.0,
        410
    );
    until_status(401, async || {
        anyhow::Ok(grace.get(&server, "/api/users/me").await?.0)
    })
    .await
    .context("old sessions end")?;
    assert!(
        Person::sign_in(&server, &grace.email, PASSWORD)
            .await
            .is_err()
    );
    let grace = Person::sign_in(&server, &grace.email, "a new and better one").await?;
    let (_, me) = grace.get(&server, "/api/users/me").await?;
    assert_eq!(
        me["email_verified"], true,
        "who has the link reads the mail"
    );
    let notice = mailbox.wait(&grace.email, 3).await?;
    assert!(!notice.text.contains("token="), "{}", notice.text);

    // Within a minute there is no second mail, whoever asks.
    server
        .post(
            "/api/users/password/forgot",
            &json!({ "email": grace.email }),
        )
        .await?;
    server.database.until_jobs_ended().await?;
    assert_eq!(mailbox.to(&grace.email).len(), 3);
    assert!(mailbox.to("nobody@example.org").is_empty());
    Ok(())
}

#[tokio::test]
async fn who_registered_with_anothers_address_keeps_nothing_after_its_owner_resets() -> Result<()> {
    let (server, mailbox, _worker) = with_mail().await?;
    let stranger = Person::register(&server, "stranger").await?;
    let email = stranger.email.as_str();
    let (_, key) = stranger
        .send(
            &server,
            "POST",
            "/api/keys",
            &json!({ "name": "k", "scopes": [] }),
        )
        .await?;
    let begun = stranger
        .send(
            &server,
            "POST",
            "/api/users/me/second-factor",
            &json!({ "password": PASSWORD }),
        )
        .await?;
    assert_eq!(begun.0, 200);
    server
        .database
        .execute("update identity.person set totp_confirmed_at = now()")
        .await?;
    let form = |path: &str, body: String| {
        let request = server.http.post(format!("{}{path}", server.url));
        let kind = "application/x-www-form-urlencoded";
        request.header("content-type", kind).body(body).send()
    };
    mailbox.wait(email, 1).await?;
    let asked = form("/account/forgot", format!("email={email}")).await?;
    assert!(asked.text().await?.contains("on its way"));
    let token = mailbox.wait(email, 2).await?.token()?;
    let page = server
        .text(&format!("/account/reset?token={token}"))
        .await?;
    assert!(page.contains(&token), "{page}");
    let weak = form(
        "/account/reset",
        format!("token={token}&password=password1234"),
    )
    .await?;
    assert_eq!(weak.status(), 422);
    assert!(weak.text().await?.contains(&token), "the form again");
    let set = form(
        "/account/reset",
        format!("token={token}&password=the+owners+own+one"),
    )
    .await?;
    assert_eq!(set.status(), 200);
    until_status(401, async || {
        let by_key = server.http.get(format!("{}/api/users/me", server.url));
        let by_key = by_key.bearer_auth(key["key"].as_str().unwrap_or_default());
        anyhow::Ok(by_key.send().await?.status().as_u16())
    })
    .await?;
    // No code is asked for any more.
    let owner = Person::sign_in(&server, email, "the owners own one").await?;
    let (_, me) = owner.get(&server, "/api/users/me").await?;
    assert_eq!(
        (me["email_verified"].clone(), me["second_factor"].clone()),
        (json!(true), json!(false))
    );
    Ok(())
}

#[tokio::test]
async fn an_address_gets_five_mails_of_one_kind_an_hour_and_nobody_can_tell() -> Result<()> {
    let (server, mailbox, _worker) = with_mail().await?;
    let email = "grace@example.org";
    let links = async |purpose: &str| {
        let count = sqlx::query_scalar(
            "select count(*) from identity.link l
             where l.email = 'grace@example.org' and l.purpose = $1",
        );
        let mut admin = server.database.connect().await?;
        anyhow::Ok::<i64>(count.bind(purpose).fetch_one(&mut admin).await?)
    };
    // Several accounts may claim an address: the minute's rule is for each, the hour's for all.
    let mut answers = Vec::new();
    for number in 1..=6 {
        let new =
            json!({ "email": email, "name": format!("grace-{number}"), "password": PASSWORD });
        let response = server.post("/api/users/register", &new).await?;
        let status = response.status().as_u16();
        let body: Value = response.json().await?;
        let names = body.as_object().into_iter().flatten();
        let names: Vec<String> = names.map(|(name, _)| name.clone()).collect();
        answers.push((status, names, body["email_verified"].clone()));
        assert_eq!(links("verify").await?, number.min(5));
    }
    assert_eq!(answers[0].0, 201);
    assert_eq!(answers[5], answers[0]);

    // Another kind is counted for itself.
    let forget = async || {
        // Beyond the minute.
        server
            .database
            .execute("update identity.link set created_at = created_at - interval '2 minutes'")
            .await?;
        let body = json!({ "email": email });
        let response = server.post("/api/users/password/forgot", &body).await?;
        assert_eq!(response.status(), 202);
        assert!(response.text().await?.is_empty());
        anyhow::Ok(())
    };
    for number in 1..=6 {
        forget().await?;
        assert_eq!(links("reset").await?, number.min(5));
    }
    server
        .database
        .execute("update identity.link set created_at = created_at - interval '1 hour'")
        .await?;
    forget().await?;
    assert_eq!(links("reset").await?, 6, "the hour is over");

    mailbox.wait(email, 11).await?;
    let mut admin = server.database.connect().await?;
    for _ in 0..400 {
        let unfinished: i64 = sqlx::query_scalar(
            "select count(*) from jobs.job where kind = 'mail-delivery' and finished_at is null",
        )
        .fetch_one(&mut admin)
        .await?;
        if unfinished == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(mailbox.to(email).len(), 11);
    Ok(())
}

#[tokio::test]
async fn owners_are_told_of_what_can_sign_in_for_them() -> Result<()> {
    let (server, mailbox, _worker) = with_mail().await?;
    let grace = Person::register(&server, "grace").await?;
    let mallory = Person::register(&server, "mallory").await?;
    let prove = format!(
        "update identity.person set verified_at = now() where account_id = '{}'",
        grace.id
    );
    server.database.execute(&prove).await?;
    for person in [&mallory, &grace] {
        let new = json!({ "name": "ci", "scopes": [] });
        let made = person
            .request(&server, "POST", "/api/keys")
            .json(&new)
            .send()
            .await?;
        assert_eq!(made.status(), 201);
    }
    let mail = mailbox.wait(&grace.email, 2).await?;
    assert!(mail.text.contains("API key was made"), "{}", mail.text);
    let changes = [
        ("update identity.person set totp_secret = 'x', totp_confirmed_at = now()", "second factor was added"),
        ("update identity.person set totp_secret = null, totp_confirmed_at = null", "was removed"),
        (
            "insert into identity.passkey (account_id, credential_id, name, static_state, dynamic_state, backed_up)
             select account_id, sha256(email::bytea), 'x', 'x', '1234567', false from identity.person",
            "passkey was added",
        ),
        (
            "select identity.remove_passkey(account_id, id, '{}') from identity.passkey",
            "passkey was removed",
        ),
        (
            "insert into identity.external_identity (issuer, subject, account_id)
             select 'https://idp.example', email, account_id from identity.person",
            "with a provider",
        ),
    ];
    for (at, (change, said)) in changes.into_iter().enumerate() {
        server.database.execute(change).await?;
        let mail = mailbox.wait(&grace.email, 3 + at).await?;
        assert!(mail.text.contains(said), "{}", mail.text);
    }
    let mails = mailbox.to(&mallory.email);
    assert_eq!(
        mails.len(),
        1,
        "an address that was not proved may be a stranger's: {mails:?}"
    );
    Ok(())
}
