//! Signing up, in and out in a browser without scripts, and what the pages say where that can't work.

use anyhow::{Context, Result};
use e2e::{
    Server,
    browser::{Browser, Page},
    people::{PASSWORD, Person},
};
use reqwest::StatusCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use totp_rs::{Builder, Secret};

const SIGN_IN: &str = "main form[action='/sign-in']";
const SIGN_UP: &str = "main form[action='/sign-up']";

fn is_signed_in(page: &Page) -> bool {
    page.has("form[action='/sign-out']")
}

#[tokio::test]
async fn a_stranger_signs_up_and_comes_back_to_where_they_were() -> Result<()> {
    let server = Server::start().await?;
    let browser = Browser::open(&server)?;
    let page = browser.get("/channels?query=a").await?;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    let address = page.attribute(".failure a[href^='/sign-in']", "href");
    let page = browser.get(&address.context("a way to sign in")?).await?;
    let address = page.attribute("main a[href^='/sign-up?next=']", "href");
    let page = browser.get(&address.context("a way to sign up")?).await?;
    assert!(
        page.text("#password-hint").contains("12 characters"),
        "the rules come first"
    );

    let email = "grace@example.org";
    let hostile = "\"><script>alert(1)</script>";
    let given = [
        ("name", hostile),
        ("email", email),
        ("password", "Zx9!kept-by-nobody"),
    ];
    let page = browser.submit(&page, SIGN_UP, &given).await?;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        page.attribute("#name", "value").as_deref(),
        Some(hostile),
        "what was typed is there"
    );
    assert!(page.has("#name-error") && !page.has("main script"));
    assert!(
        !page.html.contains("kept-by-nobody"),
        "no password is sent back"
    );
    let given = [("name", "grace"), ("email", email), ("password", PASSWORD)];
    let page = browser.submit(&page, SIGN_UP, &given).await?;
    assert_eq!(
        (page.path.as_str(), page.status),
        ("/channels?query=a", StatusCode::OK)
    );
    assert!(is_signed_in(&page));
    for path in ["/sign-in", "/sign-up?next=/channels"] {
        assert!(is_signed_in(&browser.get(path).await?), "{path}");
    }

    let page = browser
        .submit(&page, "form[action='/sign-out']", &[])
        .await?;
    assert!(page.path == "/" && !is_signed_in(&page) && page.status.is_success());
    assert_eq!(
        browser.get("/channels").await?.status,
        StatusCode::UNAUTHORIZED
    );

    let page = browser.get("/sign-in?next=//evil.example").await?;
    let wrong = [("email", email), ("password", "not the password")];
    let page = browser.submit(&page, SIGN_IN, &wrong).await?;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    assert!(
        page.has("[role=alert]") && page.attribute("#email", "value").as_deref() == Some(email)
    );
    let right = [("email", email), ("password", PASSWORD)];
    let page = browser.submit(&page, SIGN_IN, &right).await?;
    assert_eq!((page.path.as_str(), is_signed_in(&page)), ("/", true));
    Ok(())
}

#[tokio::test]
async fn signing_out_clears_what_the_browser_has_stored() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let send = async |csrf: &str| {
        let request = http.post(format!("{}/sign-out", server.url));
        let request = request.header("cookie", &grace.cookie);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.body(format!("csrf={csrf}")).send().await
    };
    assert_eq!(
        send("").await?.status(),
        403,
        "another site ends no session"
    );
    let response = send(&grace.csrf).await?;
    assert_eq!(response.status(), 303);
    assert_eq!(response.headers()["clear-site-data"], "\"storage\"");
    let cookie = response.headers()["set-cookie"].to_str()?.to_owned();
    assert!(cookie.contains("Max-Age=0"), "{cookie}");
    // A session that has ended can be left all the same.
    assert_eq!(send(&grace.csrf).await?.status(), 303);
    Ok(())
}

#[tokio::test]
async fn a_second_factor_is_set_up_and_asked_for() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let browser = grace.browser(&server)?;
    let page = browser.get("/settings").await?;
    let begin = "form[action='/settings/second-factor']";
    let wrong = browser
        .submit(&page, begin, &[("password", "wrong")])
        .await?;
    assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    assert!(wrong.has("#second-factor [role=alert]"), "{}", wrong.html);
    let page = browser
        .submit(&wrong, begin, &[("password", PASSWORD)])
        .await?;
    let secret = page.text("pre code").replace(' ', "");
    let totp = Builder::new()
        .with_secret(Secret::try_from_base32(&secret)?)
        .build()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let confirm = "form[action='/settings/second-factor/confirm']";
    let page = browser
        .submit(&page, confirm, &[("code", "000000")])
        .await?;
    assert!(page.has("#code-error"), "{}", page.html);
    let first = totp.generate(now - 30).to_string();
    let page = browser.submit(&page, confirm, &[("code", &first)]).await?;
    let codes: Vec<_> = page.text("pre code").lines().map(str::to_owned).collect();
    assert_eq!(codes.len(), 10, "{}", page.html);

    let browser = Browser::open(&server)?;
    let page = browser.get("/sign-in").await?;
    assert!(!page.has("details.code[open]"));
    let given = [("email", grace.email.as_str()), ("password", PASSWORD)];
    let page = browser.submit(&page, SIGN_IN, &given).await?;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    assert!(page.has("details.code[open] #code"), "{}", page.html);
    assert!(!page.html.contains(PASSWORD), "no password is sent back");
    let given = [given[0], given[1], ("code", codes[0].as_str())];
    let page = browser.submit(&page, SIGN_IN, &given).await?;
    assert!(is_signed_in(&page));
    Ok(())
}

#[tokio::test]
async fn where_passkeys_and_sessions_do_not_work_the_page_says_so() -> Result<()> {
    let server = Server::start().await?;
    let port = server.url.rsplit(':').next().unwrap_or_default();
    let page = Browser::at(&server.url)?.get("/sign-in?next=/jobs").await?;
    let leads = format!("[data-number] a[href='http://localhost:{port}/sign-in?next=%2Fjobs']");
    assert!(page.has(&leads), "{}", page.html);
    assert!(page.has("[data-passkey-sign-in='/jobs']") && page.has("[data-insecure][hidden]"));
    // Each takes much of a process's address space, so that they are not there at once.
    server.stop(Duration::ZERO).await;
    let plain = Server::told(&[("public_url", "http://192.168.1.5:3000")]).await?;
    let page = Browser::at(&plain.url)?.get("/sign-in").await?;
    assert!(
        page.text("[data-insecure]:not([hidden])")
            .contains("not encrypted"),
        "{}",
        page.html
    );
    assert!(!page.has("[data-passkey-sign-in]") && !page.has("[data-number]"));
    plain.stop(Duration::ZERO).await;
    let encrypted = Server::told(&[("public_url", "https://gather.example")]).await?;
    let page = Browser::at(&encrypted.url)?.get("/sign-in").await?;
    assert!(page.has("[data-passkey-sign-in='/']") && !page.has("[data-number]"));
    Ok(())
}

#[tokio::test]
async fn pages_of_links_are_kept_nowhere() -> Result<()> {
    let server = Server::start().await?;
    let browser = Browser::open(&server)?;
    for path in [
        "/account/verify",
        "/account/reset",
        "/account/forgot",
        "/account/admin",
    ] {
        let page = browser
            .get(&format!("{path}?token=%22%3E%3Cscript%3E"))
            .await?;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert_eq!(page.headers["cache-control"], "private, no-store", "{path}");
        assert_eq!(page.headers["referrer-policy"], "no-referrer", "{path}");
        assert!(
            !page.has("main script") && page.has("main form[method=post] button"),
            "{path}"
        );
    }
    let page = browser.get("/account/verify?token=made-up").await?;
    let page = browser
        .submit(&page, "main form", &[("password", PASSWORD)])
        .await?;
    assert_eq!(page.status, StatusCode::GONE);
    assert!(page.has("main a[href='/account/forgot']") && !page.has("main form"));
    Ok(())
}
