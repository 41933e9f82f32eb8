//! A browser without scripts: pages, links and plain forms, with the cookies of one visitor.

use crate::Server;
use anyhow::{Context, Result, bail};
use reqwest::{
    Response, StatusCode,
    header::{CONTENT_TYPE, COOKIE, HeaderMap, LOCATION, SET_COOKIE},
    redirect::Policy,
};
use scraper::{ElementRef, Html, Selector};
use std::{collections::BTreeMap, sync::Mutex};

/// A visitor of the site.
pub struct Browser {
    http: reqwest::Client,
    url: String,
    cookies: Mutex<BTreeMap<String, String>>,
}

/// A page that was loaded.
pub struct Page {
    /// The status of the answer.
    pub status: StatusCode,
    /// The headers of the answer.
    pub headers: HeaderMap,
    /// The path that was loaded last, after redirects.
    pub path: String,
    /// The document, as it was sent.
    pub html: String,
    document: Html,
}

impl Browser {
    /// Opens a browser of a stranger.
    ///
    /// # Errors
    /// The client can't be made.
    pub fn open(server: &Server) -> Result<Self> {
        Self::at(server.pages_url())
    }

    /// Opens a browser of a stranger at an address.
    ///
    /// # Errors
    /// The client can't be made.
    pub fn at(url: &str) -> Result<Self> {
        let http = reqwest::Client::builder().redirect(Policy::none());
        Ok(Self {
            http: http.build()?,
            url: url.to_owned(),
            cookies: Mutex::default(),
        })
    }

    /// Sets a cookie, as a sign-in by other means would.
    pub fn keep(&self, name: &str, value: &str) {
        let mut cookies = self.cookies.lock().unwrap_or_else(|e| e.into_inner());
        cookies.insert(name.to_owned(), value.to_owned());
    }

    /// The value of a cookie.
    pub fn cookie(&self, name: &str) -> Option<String> {
        let cookies = self.cookies.lock().unwrap_or_else(|e| e.into_inner());
        cookies.get(name).cloned()
    }

    /// Loads a page, and follows redirects.
    ///
    /// # Errors
    /// The server can't be reached.
    pub async fn get(&self, path: &str) -> Result<Page> {
        let request = self.http.get(format!("{}{path}", self.url));
        self.load(request, path).await
    }

    /// Sends fields to a path, and follows redirects.
    ///
    /// # Errors
    /// The server can't be reached.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Result<Page> {
        let request = self.http.post(format!("{}{path}", self.url));
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        let body = body.extend_pairs(fields).finish();
        let request = request
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("origin", &self.url)
            .body(body);
        self.load(request, path).await
    }

    /// Fills in a form of a page and sends it, as a press of its first button does. `form` is a CSS selector.
    ///
    /// # Errors
    /// The page has no such form, or a field is not in it.
    pub async fn submit(&self, page: &Page, form: &str, fields: &[(&str, &str)]) -> Result<Page> {
        let (action, filled) = page.filled(form, fields)?;
        let filled: Vec<_> = filled
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        self.post(&action, &filled).await
    }

    async fn load(&self, request: reqwest::RequestBuilder, path: &str) -> Result<Page> {
        let mut response = self.send(request).await?;
        let mut path = path.to_owned();
        for _ in 0..5 {
            if !response.status().is_redirection() || response.status() == StatusCode::NOT_MODIFIED
            {
                break;
            }
            let location = response.headers().get(LOCATION).context("a location")?;
            path = location.to_str()?.to_owned();
            response = self
                .send(self.http.get(format!("{}{path}", self.url)))
                .await?;
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let html = response.text().await?;
        let document = Html::parse_document(&html);
        Ok(Page {
            status,
            headers,
            path,
            html,
            document,
        })
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Response> {
        let cookies = {
            let cookies = self.cookies.lock().unwrap_or_else(|e| e.into_inner());
            let pairs = cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"));
            pairs.collect::<Vec<_>>().join("; ")
        };
        let request = request.header("accept", "text/html,*/*;q=0.8");
        let response = request.header(COOKIE, cookies).send().await?;
        for line in response.headers().get_all(SET_COOKIE) {
            let line = line.to_str()?;
            let (name, value) = line
                .split(';')
                .next()
                .and_then(|pair| pair.split_once('='))
                .context("a cookie")?;
            if line.contains("Max-Age=0") {
                self.cookies
                    .lock()
                    .unwrap_or_else(|e| e.into_inner())
                    .remove(name);
            } else {
                self.keep(name, value);
            }
        }
        Ok(response)
    }
}

impl Page {
    /// The elements that a CSS selector finds.
    pub fn all(&self, selector: &str) -> Vec<ElementRef<'_>> {
        let selector = Selector::parse(selector).unwrap_or_else(|e| panic!("{selector}: {e}"));
        self.document.select(&selector).collect()
    }

    /// Whether a CSS selector finds anything.
    pub fn has(&self, selector: &str) -> bool {
        !self.all(selector).is_empty()
    }

    /// The texts of the elements that a CSS selector finds.
    pub fn texts(&self, selector: &str) -> Vec<String> {
        let all = self.all(selector);
        let text = |element: &ElementRef<'_>| element.text().collect::<String>().trim().to_owned();
        all.iter().map(text).collect()
    }

    /// The text of the first element that a CSS selector finds; empty if there is none.
    pub fn text(&self, selector: &str) -> String {
        self.texts(selector).into_iter().next().unwrap_or_default()
    }

    /// An attribute of the first element that a CSS selector finds.
    pub fn attribute(&self, selector: &str, name: &str) -> Option<String> {
        let all = self.all(selector);
        all.first()?.attr(name).map(str::to_owned)
    }

    /// Where a form goes and what it sends, with `fields` filled in.
    ///
    /// # Errors
    /// The page has no such form, or a field is not in it.
    pub fn filled(
        &self,
        form: &str,
        fields: &[(&str, &str)],
    ) -> Result<(String, Vec<(String, String)>)> {
        let all = self.all(form);
        let found = all
            .first()
            .with_context(|| format!("no form {form} on {}", self.path))?;
        let action = found.attr("action").unwrap_or(&self.path).to_owned();
        let inputs = Selector::parse("input, textarea, select, button[name]");
        let inputs = inputs.unwrap_or_else(|e| panic!("{e}"));
        let mut sent: Vec<(String, String)> = Vec::new();
        let mut names = Vec::new();
        let mut has_button = false;
        for input in found.select(&inputs) {
            let Some(name) = input.attr("name") else {
                continue;
            };
            names.push(name.to_owned());
            let value = input.attr("value").unwrap_or_default().to_owned();
            let kind = input.attr("type").unwrap_or_default();
            match input.value().name() {
                "button" if has_button || fields.iter().any(|(n, _)| *n == name) => {}
                "button" => {
                    has_button = true;
                    sent.push((name.to_owned(), value));
                }
                "textarea" => sent.push((name.to_owned(), input.text().collect())),
                "select" => {
                    let options = Selector::parse("option").unwrap_or_else(|e| panic!("{e}"));
                    let options: Vec<_> = input.select(&options).collect();
                    let chosen = options
                        .iter()
                        .find(|option| option.attr("selected").is_some());
                    if let Some(option) = chosen.or(options.first()) {
                        let text = option.text().collect::<String>();
                        sent.push((
                            name.to_owned(),
                            option.attr("value").unwrap_or(&text).to_owned(),
                        ));
                    }
                }
                _ if ["checkbox", "radio"].contains(&kind) && input.attr("checked").is_none() => {}
                _ => sent.push((name.to_owned(), value)),
            }
        }
        for (name, value) in fields {
            if !names.iter().any(|known| known == name) {
                bail!("{form} on {} has no field {name}, but {names:?}", self.path);
            }
            sent.retain(|(known, _)| known != name);
            sent.push(((*name).to_owned(), (*value).to_owned()));
        }
        Ok((action, sent))
    }
}
