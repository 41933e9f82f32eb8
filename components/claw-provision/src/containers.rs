//! Claws in containers: the provisioner is asked, and what came of it is written down.

use guest::{Db, Failure, args};
use principal::seal::subkey;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::provisioner::{Answer, ask};

/// A request to the provisioner that has to be made.
#[derive(Debug, Deserialize)]
pub struct Errand {
    ask: String,
    id: Uuid,
    generation: i32,
    specification: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Told {
    status: Option<String>,
}

/// The token by which a container enrols. It follows from a secret, so that each attempt gives the container the same.
///
/// # Errors
/// The component was not given its secret.
pub async fn token(claw: Uuid, generation: i32) -> Result<String, Failure> {
    let key = subkey(&format!("enrol {claw} {generation}"))
        .await
        .map_err(|problem| Failure::Final(problem.code().to_owned()))?;
    Ok(hex::encode(key))
}

/// The digest of a token, which is all that is stored of it.
pub fn digest(token: &str) -> Vec<u8> {
    Sha256::digest(token).to_vec()
}

/// Asks the provisioner for what is wanted of a claw, and writes down what came of it. Returns the claw's status.
///
/// # Errors
/// The provisioner is away, which is tried again.
pub async fn run(
    db: &Db,
    errand: Errand,
    wanted: (Uuid, i32, &str),
    token: &str,
) -> Result<Option<String>, Failure> {
    let (claw, generation, cause) = wanted;
    let fault = match asked(errand, token).await? {
        Answer::Done(_) => None,
        // Something newer is there, or it is removed: whoever wants that does it.
        Answer::Refused(code, _) if code == "stale-generation" => return Ok(None),
        Answer::Refused(code, detail) => Some(format!("{code}: {detail}")),
    };
    let told: Told = db
        .one(
            "select acted($1, $2, $3, $4) as status",
            args![claw, generation, cause, fault],
        )
        .await?;
    Ok(told.status)
}

async fn asked(errand: Errand, token: &str) -> Result<Answer, Failure> {
    let Errand {
        ask: what,
        id,
        generation,
        specification,
    } = errand;
    match what.as_str() {
        "provision" => {
            let mut specification = specification.unwrap_or_default();
            specification["env"]["GATHER_ENROLMENT_TOKEN"] = json!(token);
            ask("/provision", Some(&specification)).await
        }
        "deprovision" => remove(id, generation).await,
        change => {
            let path = format!("/instances/{id}/{change}");
            ask(&path, Some(&json!({"generation": generation}))).await
        }
    }
}

/// Removes the containers of a claw up to a generation, with what they stored.
///
/// # Errors
/// The provisioner is away, which is tried again.
pub async fn remove(id: Uuid, generation: i32) -> Result<Answer, Failure> {
    let which = json!({"id": id, "generation": generation});
    ask("/deprovision", Some(&which)).await
}

/// Looks at the container of a claw, and keeps its new lines. If the provisioner is away, the claw's own signs of life alone
/// count. Returns the claw's status.
///
/// # Errors
/// The database can't be reached, which is tried again.
pub async fn look(db: &Db, claw: Uuid, instance: i32, at: &str) -> Result<Option<String>, Failure> {
    let (state, reason, lines) = match seen(db, claw, instance).await {
        Ok(seen) => seen,
        Err(Failure::Retry(why)) => {
            guest::warn!("a container is not looked at", cause = why);
            (Some("unknown".to_owned()), None, Value::Null)
        }
        Err(fault) => return Err(fault),
    };
    let told: Told = db
        .one(
            "select looked($1, $2, $3::text::timestamptz, $4, $5, $6) as status",
            args![claw, instance, at, state, reason, lines],
        )
        .await?;
    Ok(told.status)
}

/// The state of a container with its reason, and the lines that it has written since the last time. No state: it is gone.
async fn seen(
    db: &Db,
    claw: Uuid,
    instance: i32,
) -> Result<(Option<String>, Option<String>, Value), Failure> {
    #[derive(Deserialize)]
    struct Last {
        at: Option<String>,
    }
    let found = match ask(&format!("/instances/{claw}"), None).await? {
        Answer::Done(found) if found["generation"] == instance => found,
        _ => return Ok((None, None, Value::Null)),
    };
    let last: Last = db.one("select last_line_at($1) as at", args![claw]).await?;
    let since = last
        .at
        .map(|at| format!("&since={}", at.replace('+', "%2B")));
    let path = format!(
        "/instances/{claw}/logs?limit=1000{}",
        since.unwrap_or_default()
    );
    let lines = match ask(&path, None).await {
        Ok(Answer::Done(mut answer)) => answer["lines"].take(),
        // They come the next time.
        _ => Value::Null,
    };
    let text = |name: &str| found[name].as_str().map(str::to_owned);
    Ok((text("state"), text("reason"), lines))
}

/// Removes the containers that nobody wants: those of claws that are gone. Returns their number.
///
/// # Errors
/// The provisioner is away, which is tried again.
pub async fn tidy(db: &Db) -> Result<i32, Failure> {
    #[derive(Deserialize)]
    struct Kept {
        has: bool,
    }
    #[derive(Deserialize)]
    struct Unwanted {
        unwanted: Vec<Instance>,
    }
    #[derive(Deserialize)]
    struct Instance {
        id: Uuid,
        generation: i32,
    }
    let kept: Kept = db.one("select has_containers() as has", args![]).await?;
    if !kept.has {
        return Ok(0);
    }
    let answer = ask("/instances", None).await;
    db.execute(
        "select note_backend('docker', $1)",
        args![matches!(answer, Ok(Answer::Done(_)))],
    )
    .await?;
    let Answer::Done(mut all) = answer? else {
        return Ok(0);
    };
    let all: Unwanted = db
        .one(
            "select unwanted($1) as unwanted",
            args![all["instances"].take()],
        )
        .await?;
    let mut count = 0;
    for one in all.unwanted {
        remove(one.id, one.generation).await?;
        count += 1;
    }
    Ok(count)
}
