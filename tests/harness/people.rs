//! People of the tests: registered and signed in through the front door.

use crate::{Server, browser::Browser, client::Client};
use anyhow::{Context, Result, ensure};
use reqwest::Response;
use serde_json::{Value, json};
use std::ops::Deref;
use uuid::Uuid;

/// A password that is good enough.
pub const PASSWORD: &str = "a few random words";

/// A person who is signed in.
pub struct Person {
    /// The account and its access token.
    pub client: Client,
    /// The mail address.
    pub email: String,
    /// The refresh token.
    pub refresh: String,
    /// The session's cookie, `name=value`.
    pub cookie: String,
    /// The CSRF token that goes with the cookie.
    pub csrf: String,
}

impl Person {
    /// Registers somebody with [`PASSWORD`], and signs them in.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn register(server: &Server, name: &str) -> Result<Self> {
        let email = format!("{name}@example.org");
        let new = json!({ "email": email, "name": name, "password": PASSWORD });
        let response = server.post("/api/users/register", &new).await?;
        ensure!(response.status() == 201, "{}", response.text().await?);
        Self::sign_in(server, &email, PASSWORD).await
    }

    /// Signs somebody in.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn sign_in(server: &Server, email: &str, password: &str) -> Result<Self> {
        let given = json!({ "email": email, "password": password });
        let response = server.post("/api/sessions", &given).await?;
        ensure!(response.status() == 200, "{}", response.text().await?);
        Self::of(server, email, response).await
    }

    /// The person whom an answer signs in.
    ///
    /// # Errors
    /// The answer signs nobody in.
    pub async fn of(server: &Server, email: &str, response: Response) -> Result<Self> {
        let cookie = response.headers().get("set-cookie").context("a cookie")?;
        let cookie = cookie
            .to_str()?
            .split(';')
            .next()
            .unwrap_or_default()
            .to_owned();
        let body: Value = response.json().await?;
        let text = |name: &str| body[name].as_str().map(str::to_owned).context("a text");
        let mut person = Self {
            client: Client {
                id: Uuid::nil(),
                token: text("access_token")?,
            },
            email: email.to_owned(),
            refresh: text("refresh_token")?,
            cookie,
            csrf: text("csrf_token")?,
        };
        let (_, me) = person.get(server, "/api/users/me").await?;
        person.client.id = me["id"].as_str().with_context(|| me.to_string())?.parse()?;
        Ok(person)
    }

    /// Opens a browser in which the person is signed in.
    ///
    /// # Errors
    /// The client can't be made.
    pub fn browser(&self, server: &Server) -> Result<Browser> {
        let browser = Browser::open(server)?;
        let (name, value) = self.cookie.split_once('=').context("a cookie")?;
        browser.keep(name, value);
        Ok(browser)
    }

    /// Makes them an admin, as the operator can, and signs them in again.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn into_admin(self, server: &Server) -> Result<Self> {
        let id = self.id;
        let made = format!("select identity.make_admin('{id}')");
        server.database.execute(&made).await?;
        Self::sign_in(server, &self.email, PASSWORD).await
    }
}

impl Deref for Person {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}
