//! Makes the vectors of what an account wrote, by the gateway's embedding model, on behalf of that account. Each five minutes
//! it looks for texts that were left without. A text that is forgotten meanwhile gets none.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use guest::{Acting, Db, Failure, Job, args};
use meaning::{Asker, BATCH, MODEL, Missing, passages};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The exchange of tokens, with the name by which it knows this component.
const ACTING: Acting = Acting("memory-embed");
/// The number of texts that are read at a time.
const PAGE: i32 = 50;
/// The longest time until an answer.
const WITHIN: Duration = Duration::from_secs(60);
/// The pause before another attempt, if the model does not answer.
const PAUSE: Duration = Duration::from_secs(10);

/// It needs no arguments.
#[derive(Debug, Deserialize)]
pub struct Arguments {}

/// The result of the job.
#[derive(Debug, Default, Serialize)]
pub struct Embedded {
    /// The number of texts that have vectors now.
    texts: u32,
    /// The number of authors whose texts other jobs work on.
    authors: u32,
    /// Whether the platform has no embedding model, so that words alone are searched.
    without_model: bool,
}

#[derive(Debug, Deserialize)]
struct Text {
    memory_id: Uuid,
    number: i32,
    content: String,
}

/// Makes the vectors of the owner's texts, or finds out whose are missing.
///
/// # Errors
/// The database or the model can't be asked, which is tried again later.
pub async fn run(db: Db, job: Job<Arguments>) -> Result<Embedded, Failure> {
    let mut done = Embedded::default();
    let Some(author) = job.owner else {
        #[derive(Deserialize)]
        struct Row {
            authors: u32,
        }
        let row: Row = db
            .one("select want_all($1) as authors", args![job.id])
            .await?;
        done.authors = row.authors;
        return Ok(done);
    };
    let asker = Asker {
        acting: ACTING,
        account: author,
        purpose: "memory",
        parent: Some(format!("job:{}", job.id)),
        within: WITHIN,
    };
    while !job.is_cancelled() {
        let texts: Vec<Text> = db
            .many(
                "select memory_id, number, content from pending($1, $2)",
                args![author, PAGE],
            )
            .await?;
        if texts.is_empty() {
            break;
        }
        match embed(&db, &asker, &texts).await? {
            Some(0) => {
                return Err(Failure::RetryAfter(
                    PAUSE,
                    "The texts change too fast.".to_owned(),
                ));
            }
            Some(stored) => done.texts += stored,
            None => {
                done.without_model = true;
                break;
            }
        }
    }
    Ok(done)
}

/// The passages of a text with the digests by which their vectors are kept.
fn digests(text: &str) -> Vec<(String, &str)> {
    let passages = passages(text).into_iter();
    passages
        .map(|passage| (hex::encode(Sha256::digest(passage)), passage))
        .collect()
}

/// Stores the vectors of texts, and returns how many got theirs; `None` if there is no model.
async fn embed(db: &Db, asker: &Asker, texts: &[Text]) -> Result<Option<u32>, Failure> {
    let divided: Vec<_> = texts.iter().map(|text| digests(&text.content)).collect();
    let wanted: BTreeMap<&str, &str> = divided
        .iter()
        .flatten()
        .map(|(digest, passage)| (digest.as_str(), *passage))
        .collect();
    let known = known(db, &wanted).await?;
    let new: Vec<_> = wanted
        .into_iter()
        .filter(|(digest, _)| !known.contains(*digest))
        .collect();
    let mut vectors = BTreeMap::new();
    for batch in new.chunks(BATCH) {
        let passages: Vec<_> = batch.iter().map(|(_, passage)| *passage).collect();
        match asker.vectors(&passages).await {
            Ok(answer) => vectors.extend(batch.iter().map(|(digest, _)| *digest).zip(answer)),
            Err(Missing::Model) => return Ok(None),
            Err(Missing::Refused(why) | Missing::Answer(why)) => {
                return Err(Failure::RetryAfter(PAUSE, why));
            }
        }
    }
    #[derive(Deserialize)]
    struct Row {
        stored: bool,
    }
    let mut stored = 0;
    for (text, passages) in texts.iter().zip(&divided) {
        let passages: Vec<_> = passages
            .iter()
            .map(|(digest, _)| json!({"digest": digest, "embedding": vectors.get(digest.as_str())}))
            .collect();
        let row: Row = db
            .one(
                "select put_vectors($1, $2, $3, $4) as stored",
                args![MODEL, text.memory_id, text.number, json!(passages)],
            )
            .await?;
        stored += u32::from(row.stored);
    }
    Ok(Some(stored))
}

/// The digests whose vectors are kept.
async fn known(db: &Db, wanted: &BTreeMap<&str, &str>) -> Result<BTreeSet<String>, Failure> {
    #[derive(Deserialize)]
    struct Row {
        digest: String,
    }
    let digests: Vec<String> = wanted.keys().map(|digest| (*digest).to_owned()).collect();
    let rows: Vec<Row> = db
        .many(
            "select digest from cached($1, $2) digest",
            args![MODEL, digests],
        )
        .await?;
    Ok(rows.into_iter().map(|row| row.digest).collect())
}

guest::export_job!(super::run);
