//! The second factor: codes of an authenticator (TOTP, RFC 6238), and recovery codes for when it is lost.

use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::{Caller, Client, Db, Input, Problem, Result, args};
use hmac::{Hmac, Mac};
use principal::seal;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::Sha256;
use time::OffsetDateTime;
use totp_rs::{Builder, Secret, Totp};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::sign_in::Opened;
use crate::users;
use crate::users::Confirmation;

const RECOVERY_CODES: usize = 10;
/// Without letters and digits that look alike.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz123456789";

/// The secret for an authenticator; it counts once a code of it is confirmed.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewSecret {
    /// Base32.
    secret: String,
    /// For a QR code.
    #[schema(example = "otpauth://totp/Gather:grace?secret=…&issuer=Gather")]
    uri: String,
}

/// A code of the authenticator.
#[derive(Deserialize, Validate, ToSchema)]
#[schema(as = SecondFactorCode)]
pub struct Code {
    #[garde(skip)]
    #[schema(example = "123456")]
    code: String,
}

/// What to keep for when the authenticator is lost.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecoveryCodes {
    /// Each works once, in place of a code. Shown now and never again.
    recovery_codes: Vec<String>,
}

/// A person's password.
#[derive(Deserialize, Validate, ToSchema)]
pub struct Password {
    #[garde(skip)]
    #[schema(format = Password)]
    password: String,
}

/// Makes a secret for an authenticator. It counts once it is confirmed.
#[utoipa::path(
    post, path = "/api/users/me/second-factor", tag = "users", request_body = Password,
    responses(
        (status = 200, body = NewSecret),
        (status = 403, description = "`confirmation-refused`"),
        (status = 404, description = "The caller is no person"),
        (status = 409, description = "`second-factor-exists`"),
    ),
    security(("token" = ["account:manage"])), extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn begin(
    db: Db,
    caller: Caller,
    client: Client,
    Input(given): Input<Password>,
) -> Result<Json<NewSecret>> {
    let user = users::read(&db, caller.id).await?;
    users::confirm_password(&db, &client, &caller, &user.email, &given.password).await?;
    let secret = seal::random::<20>();
    let key = seal::subkey("second factor").await?;
    let sealed = seal::seal(&key, caller.id.as_bytes(), &secret)?;
    let row: Done = db
        .one(
            "select identity.set_totp($1, $2) as done",
            args![caller.id, sealed],
        )
        .await?;
    if !row.done {
        let detail = "Remove the second factor before you add another one.";
        return Err(Problem::conflict("second-factor-exists", detail));
    }
    let secret = Secret::from(secret).to_base32();
    let uri = format!(
        "otpauth://totp/Gather:{}?secret={secret}&issuer=Gather",
        user.name
    );
    Ok(Json(NewSecret { secret, uri }))
}

#[derive(Deserialize)]
struct Done {
    done: bool,
}

#[derive(Deserialize)]
struct Kept {
    totp: Option<String>,
}

/// Turns the second factor on, with the first code of the authenticator.
#[utoipa::path(
    post, path = "/api/users/me/second-factor/confirm", tag = "users", request_body = Code,
    responses(
        (status = 200, body = RecoveryCodes),
        (status = 409, description = "`second-factor-absent`: nothing is waiting to be confirmed"),
        (status = 422, description = "`invalid-input`: the code is wrong"),
    ),
    security(("token" = ["account:manage"])), extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn confirm(
    db: Db,
    caller: Caller,
    client: Client,
    Input(given): Input<Code>,
) -> Result<Json<RecoveryCodes>> {
    let kept: Option<Kept> = db
        .optional(
            "select encode(totp_secret, 'base64') as totp from identity.person
             where account_id = $1 and totp_confirmed_at is null",
            args![caller.id],
        )
        .await?;
    let sealed = seal::decode(&kept.and_then(|kept| kept.totp).ok_or_else(absent)?)?;
    let step = step(&open(caller.id, &sealed).await?, &given.code)
        .ok_or_else(|| Problem::invalid("code", "is not the authenticator's at this time"))?;
    let codes: Vec<String> = (0..RECOVERY_CODES).map(|_| recovery_code()).collect();
    let mut hashes = Vec::new();
    for code in &codes {
        hashes.push(hex::encode(recovery_hash(code).await?));
    }
    let row: Done = db
        .one(
            "select identity.confirm_totp($1, $2, $3, $4, $5) as done",
            args![caller.id, sealed, step, hashes, json!(client)],
        )
        .await?;
    if !row.done {
        return Err(absent());
    }
    Ok(Json(RecoveryCodes {
        recovery_codes: codes,
    }))
}

/// Turns the second factor off.
#[utoipa::path(
    delete, path = "/api/users/me/second-factor", tag = "users", request_body = Confirmation,
    responses(
        (status = 204, description = "Removed"),
        (status = 403, description = "`confirmation-refused`, `second-factor-required`"),
        (status = 404, description = "The caller is no person"),
        (status = 409, description = "`second-factor-absent`"),
    ),
    security(("token" = ["account:manage"])), extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn remove(
    db: Db,
    caller: Caller,
    client: Client,
    Input(given): Input<Confirmation>,
) -> Result<StatusCode> {
    users::read(&db, caller.id).await?;
    users::confirm(&db, &client, &caller, &given).await?;
    let row: Done = db
        .one(
            "select identity.remove_totp($1, $2) as done",
            args![caller.id, json!(client)],
        )
        .await?;
    if row.done {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(absent())
    }
}

fn absent() -> Problem {
    Problem::conflict(
        "second-factor-absent",
        "There is no second factor that this could be done with.",
    )
}

/// How a code stands to the second factor that an account has, or has not.
pub enum Given {
    /// It is right, or none is needed.
    Enough,
    Missing,
    /// It is on record.
    Wrong,
}

/// Looks at the code that came with a right password. It is used up.
pub async fn given(
    db: &Db,
    client: &Client,
    email: &str,
    opened: &Opened,
    code: Option<&str>,
) -> Result<Given> {
    let Some(sealed) = &opened.totp else {
        return Ok(Given::Enough);
    };
    let Some(code) = code.filter(|code| !code.is_empty()) else {
        return Ok(Given::Missing);
    };
    if accepts(db, opened.account, sealed, code).await? {
        return Ok(Given::Enough);
    }
    db.execute(
        "select identity.refuse_sign_in($1, $2, 'second-factor')",
        args![email, json!(client)],
    )
    .await?;
    Ok(Given::Wrong)
}

/// Whether a code is good for the account now. It is used up.
async fn accepts(db: &Db, account: Uuid, sealed: &str, code: &str) -> Result<bool> {
    let code = code.trim();
    let is_digits = code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit());
    let (step, recovery) = if is_digits {
        let Some(step) = step(&open(account, &seal::decode(sealed)?).await?, code) else {
            return Ok(false);
        };
        (Some(step), None)
    } else {
        (None, Some(recovery_hash(code).await?))
    };
    let row: Done = db
        .one(
            "select identity.use_second_factor($1, $2, $3) as done",
            args![account, step, recovery],
        )
        .await?;
    Ok(row.done)
}

async fn open(account: Uuid, sealed: &[u8]) -> Result<Vec<u8>> {
    let key = seal::subkey("second factor").await?;
    seal::open(&key, account.as_bytes(), sealed).ok_or_else(|| {
        Problem::internal("a second factor can't be opened: another master key sealed it")
    })
}

/// The time step, of now or next to it, whose code this is.
fn step(secret: &[u8], code: &str) -> Option<i64> {
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let step = totp(secret)?.check(code, now.try_into().ok()?)?;
    step.try_into().ok()
}

/// Six digits by SHA-1 every 30 s, as all authenticators have it.
fn totp(secret: &[u8]) -> Option<Totp> {
    Builder::new().with_secret(secret).build().ok()
}

/// Ten characters, 50 bits.
fn recovery_code() -> String {
    let characters = seal::random::<10>().map(|byte| ALPHABET[usize::from(byte % 32)]);
    let text = String::from_utf8_lossy(&characters).into_owned();
    format!("{}-{}", &text[..5], &text[5..])
}

/// Under a key of ours: 50 bits alone could be tried out by who has the database.
async fn recovery_hash(code: &str) -> Result<[u8; 32]> {
    let key = seal::subkey("recovery code").await?;
    let code: String = code
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let mac = <Hmac<Sha256> as Mac>::new_from_slice(&key).map_err(Problem::internal)?;
    Ok(mac.chain_update(code).finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, the last six of its eight digits.
    #[test]
    fn codes_agree_with_the_rfc() {
        let totp = totp(b"12345678901234567890").expect("20 bytes");
        for (time, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
        ] {
            assert_eq!(totp.check(code, time), Some(time / 30), "{time}");
            assert_eq!(totp.check(code, time + 90), None, "{time}");
        }
    }

    #[test]
    fn recovery_codes_differ() {
        let (one, two) = (recovery_code(), recovery_code());
        assert!(one.len() == 11 && one != two, "{one} {two}");
    }
}
