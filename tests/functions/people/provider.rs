//! Signing in with a provider of OpenID Connect.

use super::stand_in::{CLIENT, Mood, SECRET, Trial, told};
use anyhow::{Context, Result};
use e2e::{
    Server,
    client::code,
    people::{PASSWORD, Person},
};
use gather::secrets::link_token;
use serde_json::{Value, json};
use tokio::net::TcpSocket;
use uuid::Uuid;

#[tokio::test]
async fn a_person_signs_in_with_the_provider_by_any_algorithm() -> Result<()> {
    let trial = Trial::new().await?;
    let mut ids = Vec::new();
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let arrival = trial
            .sign_in(Mood {
                algorithm,
                ..Mood::default()
            })
            .await?;
        assert_eq!(arrival.status, 303);
        let me = trial.me(&arrival).await?;
        assert_eq!(
            (me["name"].clone(), me["email"].clone()),
            (json!("grace-hopper"), json!("grace@example.org"))
        );
        assert_eq!(me["email_verified"], true);
        ids.push(me["id"].clone());
        let current = trial
            .browser
            .get(format!("{}/api/sessions/current", trial.server.url));
        let current: Value = current
            .header("cookie", arrival.cookie.unwrap_or_default())
            .send()
            .await?
            .json()
            .await?;
        assert_eq!(current["method"], "provider");
        assert!(current["csrf_token"].is_string(), "{current}");
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "one account");
    // A name that is taken gets something behind it; a reserved one becomes another.
    let other = Mood {
        subject: "2".into(),
        email: "other@example.org".into(),
        ..Mood::default()
    };
    let other = trial.me(&trial.sign_in(other).await?).await?;
    assert!(
        other["name"]
            .as_str()
            .is_some_and(|name| name.starts_with("grace-hopper-")),
        "{other}"
    );
    let reserved = Mood {
        subject: "3".into(),
        email: "third@example.org".into(),
        wrong: Some(("preferred_username", json!("Admin"))),
        ..Mood::default()
    };
    let reserved = trial.me(&trial.sign_in(reserved).await?).await?;
    assert!(
        reserved["name"]
            .as_str()
            .is_some_and(|name| name.starts_with("user-")),
        "{reserved}"
    );
    Ok(())
}

#[tokio::test]
async fn who_comes_twice_at_once_for_the_first_time_gets_one_account() -> Result<()> {
    let trial = Trial::new().await?;
    let (one, two) = tokio::join!(
        trial.sign_in(Mood::default()),
        trial.sign_in(Mood::default())
    );
    let (one, two) = (trial.me(&one?).await?, trial.me(&two?).await?);
    assert_eq!(one["id"], two["id"]);
    Ok(())
}

#[tokio::test]
async fn a_proved_address_is_one_account_and_an_unproved_one_is_not() -> Result<()> {
    let trial = Trial::new().await?;
    let grace = Person::register(&trial.server, "grace").await?;
    // Neither side has proved it: another account.
    let unproved = Mood {
        subject: "a".into(),
        verified: false,
        ..Mood::default()
    };
    let first = trial.me(&trial.sign_in(unproved).await?).await?;
    assert_ne!(first["id"], grace.id.to_string());
    assert_eq!(first["email_verified"], false);
    trial
        .server
        .database
        .execute("update identity.person set verified_at = now() where password is not null")
        .await?;
    let unproved = Mood {
        subject: "b".into(),
        verified: false,
        ..Mood::default()
    };
    assert_ne!(
        trial.me(&trial.sign_in(unproved).await?).await?["id"],
        grace.id.to_string()
    );
    let proved = Mood {
        subject: "c".into(),
        ..Mood::default()
    };
    assert_eq!(
        trial.me(&trial.sign_in(proved).await?).await?["id"],
        grace.id.to_string()
    );
    // Suspended, the provider's word does not help.
    trial
        .server
        .database
        .execute(&format!(
            "update identity.account set status = 'suspended' where id = '{}'",
            grace.id
        ))
        .await?;
    for subject in ["c", "d"] {
        let arrival = trial
            .sign_in(Mood {
                subject: subject.into(),
                ..Mood::default()
            })
            .await?;
        assert_eq!((arrival.status, arrival.cookie), (401, None), "{subject}");
    }
    assert!(
        Person::sign_in(&trial.server, &grace.email, PASSWORD)
            .await
            .is_err()
    );
    Ok(())
}

#[tokio::test]
async fn what_is_not_the_providers_word_for_this_sign_in_is_refused() -> Result<()> {
    let trial = Trial::new().await?;
    for wrong in [
        ("iss", json!("https://evil.example")),
        ("aud", json!("another-client")),
        ("nonce", json!("of another sign-in")),
        ("exp", json!(null)),
        ("azp", json!("another-client")),
        ("email", json!("no address")),
    ] {
        let arrival = trial
            .sign_in(Mood {
                wrong: Some(wrong.clone()),
                ..Mood::default()
            })
            .await?;
        assert_eq!((arrival.status, arrival.cookie), (401, None), "{wrong:?}");
    }
    let forged = trial
        .sign_in(Mood {
            forged: true,
            ..Mood::default()
        })
        .await?;
    assert_eq!(forged.status, 401);
    let denied = trial
        .sign_in(Mood {
            refuses: true,
            ..Mood::default()
        })
        .await?;
    assert_eq!(denied.status, 401);

    // Somebody else's way back, in this browser; none; one that was changed; and a code that was used.
    *trial.provider.mood.lock().expect("not poisoned") = Mood::default();
    let ((to, cookie), (_, others)) = (trial.leave().await?, trial.leave().await?);
    let sent_back = trial.browser.get(&to).send().await?;
    let back = sent_back.headers()["location"].to_str()?.to_owned();
    assert_eq!(trial.arrive(&back, &others).await?.status, 401);
    assert_eq!(trial.arrive(&back, "").await?.status, 401);
    let (rest, last) = cookie.split_at(cookie.len() - 1);
    let other = if last == "A" { "B" } else { "A" };
    assert_eq!(
        trial.arrive(&back, &format!("{rest}{other}")).await?.status,
        401
    );
    assert_eq!(
        trial
            .arrive(&back.replace("state=", "state=x"), &cookie)
            .await?
            .status,
        401
    );
    assert_eq!(trial.arrive(&back, &cookie).await?.status, 303);
    assert_eq!(
        trial.arrive(&back, &cookie).await?.status,
        502,
        "the provider refuses a used code"
    );
    let without = Server::start().await?;
    assert_eq!(without.get("/api/sessions/provider").await?.status(), 404);
    Ok(())
}

/// OpenID Connect Core 1.0, section 3.1.3.7, steps 3 to 5.
#[tokio::test]
async fn a_token_that_is_for_others_too_names_us_as_the_party_that_it_was_issued_to() -> Result<()>
{
    const OTHERS: [&str; 1] = ["another-client"];
    const BOTH: [&str; 2] = [CLIENT, "another-client"];
    let trial = Trial::new().await?;
    for (audiences, party, status) in [
        (&BOTH[..], None, 401),
        (&BOTH, Some("another-client"), 401),
        (&BOTH, Some(CLIENT), 303),
        (&OTHERS, Some(CLIENT), 401),
        (&[CLIENT, CLIENT], None, 303),
    ] {
        let arrival = trial
            .sign_in(Mood {
                audiences,
                wrong: party.map(|party| ("azp", json!(party))),
                ..Mood::default()
            })
            .await?;
        let expected = (status, status == 303);
        assert_eq!(
            (arrival.status, arrival.cookie.is_some()),
            expected,
            "{audiences:?} {party:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_provider_that_can_not_be_used_is_told_where_the_browser_begins() -> Result<()> {
    let unavailable = (502, "provider-unavailable".to_owned());
    let trial = Trial::new().await?;
    let good = trial.provider.description();
    let mut another = good.clone();
    another["issuer"] = json!("https://another.example");
    for (status, body) in [
        (500, good.to_string()),
        (404, good.to_string()),
        (200, "<html>Welcome</html>".to_owned()),
        (200, String::new()),
        (200, "{}".to_owned()),
        (200, another.to_string()),
        (200, " ".repeat(1 << 20) + &good.to_string()),
    ] {
        let silence = Some((status, body.clone()));
        let mood = Mood {
            silence,
            ..Mood::default()
        };
        let response = trial.begin(mood).await?;
        assert!(!response.headers().contains_key("set-cookie"));
        assert_eq!(code(response).await?, unavailable, "{status} {body:.80}");
    }
    // It is asked again.
    assert_eq!(trial.sign_in(Mood::default()).await?.status, 303);

    // A port that is taken, and where nobody listens.
    let nobody = TcpSocket::new_v4()?;
    nobody.bind(([127, 0, 0, 1], 0).into())?;
    let issuer = format!("http://{}", nobody.local_addr()?);
    let server = Server::told(&told(&issuer, SECRET)).await?;
    let response = server.get("/api/sessions/provider").await?;
    assert_eq!(code(response).await?, unavailable);
    Ok(())
}

#[tokio::test]
async fn signing_in_leads_to_where_one_was_going() -> Result<()> {
    let trial = Trial::new().await?;
    for (link, next) in [
        ("/api/sessions/provider", "/"),
        (
            "/api/sessions/provider?next=%2Fposts%3Fsort%3Dnew",
            "/posts?sort=new",
        ),
        ("/api/sessions/provider?next=%2F%2Fevil.example", "/"),
        (
            "/api/sessions/provider?next=https%3A%2F%2Fevil.example",
            "/",
        ),
    ] {
        let (to, cookie) = trial.leave_from(link).await?;
        let arrival = trial.come_back(&to, &cookie).await?;
        assert_eq!(
            (arrival.status, arrival.next.as_deref()),
            (303, Some(next)),
            "{link}"
        );
    }
    // The page's own link says where the visitor is going.
    let page = trial.server.text("/sign-in?next=%2Fjobs").await?;
    assert!(
        page.contains("href=\"/api/sessions/provider?next=%2Fjobs\""),
        "{page}"
    );
    Ok(())
}

#[tokio::test]
async fn an_address_is_proved_by_the_providers_word_as_text_too() -> Result<()> {
    let trial = Trial::new().await?;
    for (number, (word, proved)) in [
        (json!("true"), true),
        (json!("false"), false),
        (json!("yes"), false),
        (json!(1), false),
        (json!(null), false),
    ]
    .into_iter()
    .enumerate()
    {
        let mood = Mood {
            subject: format!("subject-{number}"),
            email: format!("grace-{number}@example.org"),
            wrong: Some(("email_verified", word.clone())),
            ..Mood::default()
        };
        let me = trial.me(&trial.sign_in(mood).await?).await?;
        assert_eq!(me["email_verified"], proved, "{word}");
    }
    Ok(())
}

#[tokio::test]
async fn a_token_that_names_no_key_is_verified_with_any_that_fits() -> Result<()> {
    let trial = Trial::new().await?;
    let nameless = |algorithm: &'static str, forged: bool| Mood {
        algorithm,
        forged,
        nameless: true,
        ..Mood::default()
    };
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let arrival = trial.sign_in(nameless(algorithm, false)).await?;
        assert_eq!(arrival.status, 303, "{algorithm}");
        assert_eq!(trial.me(&arrival).await?["email"], "grace@example.org");
    }
    let forged = trial.sign_in(nameless("EdDSA", true)).await?;
    assert_eq!((forged.status, forged.cookie), (401, None));
    Ok(())
}

#[tokio::test]
async fn a_public_client_sends_no_secret() -> Result<()> {
    let trial = Trial::with_secret("").await?;
    let arrival = trial.sign_in(Mood::default()).await?;
    assert_eq!(arrival.status, 303);
    assert_eq!(trial.me(&arrival).await?["email"], "grace@example.org");
    Ok(())
}

#[tokio::test]
async fn whom_the_provider_vouches_for_has_the_address_that_another_claims() -> Result<()> {
    let trial = Trial::new().await?;
    let new = json!({ "email": "grace@example.org", "name": "claimant", "password": PASSWORD });
    let response = trial.server.post("/api/users/register", &new).await?;
    assert_eq!(response.status(), 201);
    let link: Uuid = sqlx::query_scalar("select id from identity.link where purpose = 'verify'")
        .fetch_one(&mut trial.server.database.connect().await?)
        .await?;
    let grace = trial.me(&trial.sign_in(Mood::default()).await?).await?;
    assert_eq!(grace["name"], "grace-hopper");
    assert_eq!(grace["email_verified"], true);
    let token = link_token(&e2e::master_key(), link);
    let body = json!({ "token": token, "password": PASSWORD });
    let late = trial.server.post("/api/users/verify", &body).await?;
    assert_eq!(code(late).await?, (409, "email-taken".to_owned()));
    Ok(())
}

#[tokio::test]
async fn who_came_with_anothers_address_does_not_come_back_beside_its_owners_reset() -> Result<()> {
    let trial = Trial::new().await?;
    let unproved = Mood {
        verified: false,
        ..Mood::default()
    };
    let strangers = trial.me(&trial.sign_in(unproved).await?).await?;
    let account: Uuid = strangers["id"].as_str().context("id")?.parse()?;
    let database = &trial.server.database;
    let mut admin = database.connect().await?;
    let link: Uuid = sqlx::query_scalar(
        "insert into identity.link (email, purpose, expires_at)
         select email, 'reset', now() + interval '30 minutes' from identity.person where account_id = $1 returning id",
    )
    .bind(account)
    .fetch_one(&mut admin)
    .await?;
    let token = link_token(&e2e::master_key(), link);
    let body = json!({ "token": token, "password": PASSWORD });
    let reset = trial
        .server
        .http
        .post(format!("{}/api/users/password/reset", trial.server.url))
        .json(&body);
    let (to, cookie) = trial.leave().await?;
    let sent_back = trial.browser.get(&to).send().await?;
    let back = sent_back.headers()["location"].to_str()?;
    let come_back = trial.browser.get(back).header("cookie", cookie);

    // The account is found before it is not the stranger's any more.
    let held = database.hold_account(account).await?;
    let [was_reset, came_back] = trial.server.in_turn(held, reset, come_back).await?;
    assert_eq!(was_reset.status(), 204);
    assert_eq!(came_back.status(), 401);
    let living: i64 =
        sqlx::query_scalar("select count(*) from identity.session where revoked_at is null")
            .fetch_one(&mut admin)
            .await?;
    assert_eq!(living, 0);
    Ok(())
}

#[tokio::test]
async fn a_silent_provider_keeps_nobody_else_waiting() -> Result<()> {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let issuer = format!("http://{}", silent.local_addr()?);
    let server = Server::told(&told(&issuer, "")).await?;
    let begin = || {
        server
            .http
            .get(format!("{}/api/sessions/provider", server.url))
    };
    let waiting: Vec<_> = (0..40).map(|_| tokio::spawn(begin().send())).collect();
    let mut asked = Vec::new();
    while asked.len() < 8 {
        asked.push(silent.accept().await?);
    }
    let token = json!({ "refresh_token": "x" });
    let other = server.post("/api/tokens/refresh", &token);
    let other = tokio::time::timeout(std::time::Duration::from_secs(3), other).await??;
    assert_eq!(other.status(), 401);
    for begun in waiting {
        begun.abort();
    }
    Ok(())
}
