//! Makes the vectors of posts and messages that lack them, by the gateway's embedding model, on behalf of whoever wrote each
//! text. It is enqueued with the text, and each minute looks for what was left. A text that changes or is deleted meanwhile
//! gets none.

use std::collections::BTreeMap;
use std::time::Duration;

use guest::{Acting, Db, Failure, Job, args};
use meaning::{Asker, BATCH, MODEL, Missing, passages};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

/// The exchange of tokens, with the name by which it knows this component.
const ACTING: Acting = Acting("search-embed");
/// The number of texts that are read at a time. All vectors of the longest ones fit into the component's memory.
const PAGE: i32 = 25;
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
    /// The number of texts that are tried again later, since the model was refused to their authors.
    put_off: usize,
    /// Whether the platform has no embedding model, so that words alone are searched.
    without_model: bool,
}

#[derive(Debug, Deserialize)]
struct Text {
    kind: String,
    id: Uuid,
    number: i64,
    author: Uuid,
    content: String,
}

/// Makes the vectors of all texts that lack them.
///
/// # Errors
/// The database or the model can't be asked, which is tried again later.
pub async fn run(db: Db, job: Job<Arguments>) -> Result<Embedded, Failure> {
    let mut done = Embedded::default();
    while !job.is_cancelled() {
        let texts: Vec<Text> = db
            .many(
                "select kind, id, number, author, content from pending($1)",
                args![PAGE],
            )
            .await?;
        if texts.is_empty() {
            break;
        }
        let before = (done.texts, done.put_off);
        let mut authors: BTreeMap<Uuid, Vec<Text>> = BTreeMap::new();
        for text in texts {
            authors.entry(text.author).or_default().push(text);
        }
        for (author, texts) in authors {
            match vectors(author, job.id, &texts).await {
                Ok(vectors) => done.texts += store(&db, &texts, vectors).await?,
                Err(Missing::Refused(_)) => done.put_off += put_off(&db, &texts).await?,
                Err(Missing::Answer(why)) => return Err(Failure::RetryAfter(PAUSE, why)),
                Err(Missing::Model) => {
                    done.without_model = true;
                    return Ok(done);
                }
            }
        }
        if before == (done.texts, done.put_off) {
            let why = "The texts change too fast.".to_owned();
            return Err(Failure::RetryAfter(PAUSE, why));
        }
    }
    Ok(done)
}

/// The vectors of an author's texts: of each text those of its passages.
async fn vectors(author: Uuid, job: Uuid, texts: &[Text]) -> Result<Vec<Vec<Vec<f32>>>, Missing> {
    let asker = Asker {
        acting: ACTING,
        account: author,
        purpose: "search",
        parent: Some(format!("job:{job}")),
        within: WITHIN,
    };
    let divided: Vec<_> = texts.iter().map(|text| passages(&text.content)).collect();
    let mut all = Vec::new();
    for batch in divided.concat().chunks(BATCH) {
        all.extend(asker.vectors(batch).await?);
    }
    let mut all = all.into_iter();
    let of_texts = divided
        .iter()
        .map(|passages| all.by_ref().take(passages.len()).collect());
    Ok(of_texts.collect())
}

/// Stores the vectors of texts, and returns the number of texts that have them now.
async fn store(db: &Db, texts: &[Text], vectors: Vec<Vec<Vec<f32>>>) -> Result<u32, Failure> {
    #[derive(Deserialize)]
    struct Row {
        stored: bool,
    }
    let mut stored = 0;
    for (text, passages) in texts.iter().zip(vectors) {
        let row: Row = db
            .one(
                "select put_vectors($1, $2, $3, $4, $5) as stored",
                args![
                    text.kind.clone(),
                    text.id,
                    text.number,
                    MODEL,
                    json!(passages)
                ],
            )
            .await?;
        stored += u32::from(row.stored);
    }
    Ok(stored)
}

/// Has texts tried later, and returns how many these are.
async fn put_off(db: &Db, texts: &[Text]) -> Result<usize, Failure> {
    let numbers: Vec<i64> = texts.iter().map(|text| text.number).collect();
    db.execute("select put_off($1)", args![json!(numbers)])
        .await?;
    Ok(texts.len())
}

guest::export_job!(super::run);
