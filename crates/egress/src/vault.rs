//! Takes secrets out of the database, one use at a time, and opens them.

use crate::problem::Problem;
use crate::target::Target;
use http::{Method, StatusCode};
use serde::Deserialize;
use service_token::Issuer;
use sqlx::{PgPool, types::Json};
use std::fmt;
use uuid::Uuid;
use vault_seal::{Binding, Owner, PrivateKey};

/// Where the value of a secret goes in a request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Place {
    /// A header, whose text has `{}` for the value.
    Header { header: String, format: String },
    /// A parameter of the query.
    Query { query: String },
    /// The password of Basic authentication, with a user's name.
    Basic { basic: String },
    /// Wherever `{{vault:<name>}}` stands in a header or a body.
    Placeholder { placeholder: bool },
    /// Nowhere in a request: it is handed to a container.
    Handed { handed: bool },
}

/// A secret, opened for one request.
pub struct Taken {
    /// The use, as it was written down.
    pub use_id: Uuid,
    /// The number of the value.
    pub version: i32,
    /// The secret's name among its owner's.
    pub name: String,
    /// Where the value goes.
    pub place: Place,
    /// The value.
    pub value: Value,
}

/// An opened value, which is wiped from memory in the end and shows nothing of itself.
#[derive(Clone)]
pub struct Value(std::sync::Arc<zeroize::Zeroizing<Vec<u8>>>);

impl Value {
    /// The value's bytes, which are printable ASCII.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The value as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    #[cfg(test)]
    pub fn of(text: &str) -> Self {
        Self(std::sync::Arc::new(zeroize::Zeroizing::new(
            text.as_bytes().to_vec(),
        )))
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Value")
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    refused: Option<String>,
    use_id: Uuid,
    number: Option<i32>,
    account_id: Option<Uuid>,
    team_id: Option<Uuid>,
    name: Option<String>,
    place: Option<Json<Place>>,
    sealed: Option<Vec<u8>>,
}

/// A secret that a request asks for.
pub struct Asked {
    /// The secret's id.
    pub secret: Uuid,
    /// The number of the value; `None` for the current one.
    pub version: Option<i32>,
    /// The header that it goes into, where it is bound to several of one origin; `None` for any.
    pub header: Option<String>,
}

/// Takes a secret for one request, if it may be used there.
///
/// # Errors
/// 403, 404 or 410 if it may not, 503 if the database can't be reached.
pub async fn take(
    pool: &PgPool,
    key: &PrivateKey,
    issuer: &Issuer,
    asked: &Asked,
    target: &Target,
    method: &Method,
) -> Result<Taken, Problem> {
    let row: Option<Row> = sqlx::query_as(
        "select refused, use_id, number, account_id, team_id, name, place, sealed
         from vault.take($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(&issuer.component)
    .bind(issuer.on_behalf.account)
    .bind(&issuer.on_behalf.subjects)
    .bind(asked.secret)
    .bind(asked.version)
    .bind(target.origin.to_string())
    .bind(method.as_str())
    .bind(target.path())
    .bind(&asked.header)
    .fetch_optional(pool)
    .await
    .map_err(|error| {
        tracing::error!(%error, "the vault can't be asked");
        Problem::unavailable()
    })?;
    let row = row.ok_or_else(|| {
        let detail = "There is no such secret, or it is not yours to see.";
        Problem::new(StatusCode::NOT_FOUND, "not-found", detail)
    })?;
    if let Some(refused) = &row.refused {
        return Err(refusal(refused));
    }
    let use_id = row.use_id;
    let named = row.name.zip(row.place);
    let sealed = Sealed {
        secret: asked.secret,
        number: row.number,
        account_id: row.account_id,
        team_id: row.team_id,
        sealed: row.sealed,
    };
    let version = sealed.number.unwrap_or_default();
    let value = open(key, sealed)?;
    let (name, place) = named.ok_or_else(Problem::unavailable)?;
    Ok(Taken {
        use_id,
        version,
        name,
        place: place.0,
        value,
    })
}

/// A value as the database has it, and what its seal is bound to.
#[derive(sqlx::FromRow)]
struct Sealed {
    secret: Uuid,
    number: Option<i32>,
    account_id: Option<Uuid>,
    team_id: Option<Uuid>,
    sealed: Option<Vec<u8>>,
}

fn open(key: &PrivateKey, sealed: Sealed) -> Result<Value, Problem> {
    let secret = sealed.secret;
    opened(key, sealed).ok_or_else(|| {
        tracing::error!(%secret, "a secret does not open: was the master key replaced?");
        Problem::failed("The secret can't be opened. Set its value again.")
    })
}

fn opened(key: &PrivateKey, sealed: Sealed) -> Option<Value> {
    let owner = match (sealed.account_id, sealed.team_id) {
        (Some(account), _) => Owner::Account(account),
        (None, Some(team)) => Owner::Team(team),
        (None, None) => Owner::Platform,
    };
    let binding = Binding {
        secret: sealed.secret,
        version: u32::try_from(sealed.number?).ok()?,
        owner,
    };
    let value = key.open(&binding, &sealed.sealed?)?;
    Some(Value(std::sync::Arc::new(value)))
}

/// A secret that a claw asked for: its value, or the code of the refusal.
pub enum Opened {
    /// The value that the claw's program is given.
    Value(Value),
    /// The code of the refusal.
    Refused(&'static str),
}

#[derive(sqlx::FromRow)]
struct HandedRow {
    refused: Option<String>,
    #[sqlx(flatten)]
    sealed: Sealed,
}

/// Takes the secrets that are handed to a claw in a container, of those that it asks for.
///
/// # Errors
/// 502 if one does not open, 503 if the database can't be reached.
pub async fn hand(
    pool: &PgPool,
    key: &PrivateKey,
    component: &str,
    owner: Uuid,
    claw: Uuid,
    secrets: &[Uuid],
) -> Result<Vec<(Uuid, Opened)>, Problem> {
    let rows: Vec<HandedRow> = sqlx::query_as(
        "select secret, refused, number, account_id, team_id, sealed from vault.hand($1, $2, $3, $4)",
    )
    .bind(component)
    .bind(owner)
    .bind(claw)
    .bind(secrets)
    .fetch_all(pool)
    .await
    .map_err(|error| {
        tracing::error!(%error, "the vault can't be asked");
        Problem::unavailable()
    })?;
    let opened = rows.into_iter().map(|row| {
        let secret = row.sealed.secret;
        let opened = match row.refused {
            Some(code) => Opened::Refused(refusal(&code).code),
            None => Opened::Value(open(key, row.sealed)?),
        };
        Ok((secret, opened))
    });
    opened.collect()
}

fn refusal(code: &str) -> Problem {
    match code {
        "secret-expired" => Problem::new(
            StatusCode::GONE,
            "secret-expired",
            "The secret, or this version of it, has expired.",
        ),
        "origin-refused" => Problem::origin_refused(
            "The secret may not be used there: its `use` names other origins, methods or paths.",
        ),
        _ => Problem::new(
            StatusCode::FORBIDDEN,
            "secret-not-granted",
            "You may not use this secret. Ask its owner for a grant.",
        ),
    }
}

/// Writes down which status the answer to a use had.
pub async fn note_status(pool: PgPool, use_id: Uuid, status: StatusCode) {
    let noted = sqlx::query("select vault.note_status($1, $2)")
        .bind(use_id)
        .bind(i32::from(status.as_u16()))
        .execute(&pool)
        .await;
    if let Err(error) = noted {
        tracing::warn!(%error, "the status of a use is not written down");
    }
}
