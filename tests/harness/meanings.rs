//! A stand-in for the embedding model: words of a few concepts mean the same, and it can be silenced.

use crate::{
    Server,
    models::{Asked, Models, Say},
};
use anyhow::Result;
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Words of one line mean the same to the stand-in for the model.
const CONCEPTS: [&[&str]; 6] = [
    &["car", "automobile", "vehicle", "drives"],
    &["doctor", "physician", "medicine"],
    &["happy", "glad", "joy"],
    &["tea", "drink", "beverage"],
    &["house", "home", "lives"],
    &["ships", "vessel", "sails"],
];

/// The vector of a text as the stand-in makes it: a dimension for each concept, and one that keeps texts without any apart from all.
#[must_use]
pub fn vector(text: &str) -> Vec<f32> {
    let mut vector = vec![0.0_f32; 384];
    let folded = text.to_lowercase();
    for (at, concept) in CONCEPTS.iter().enumerate() {
        let words = folded.split(|c: char| !c.is_alphanumeric());
        vector[at] = words.filter(|word| concept.contains(word)).count() as f32;
    }
    if vector.iter().all(|number| *number == 0.0) {
        vector[383] = 1.0;
    }
    let length = vector
        .iter()
        .map(|number| number * number)
        .sum::<f32>()
        .sqrt();
    vector.into_iter().map(|number| number / length).collect()
}

fn answer(asked: &Asked) -> Say {
    let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    let texts = body["input"].as_array().into_iter().flatten();
    let data: Vec<_> = texts
        .enumerate()
        .map(|(index, text)| json!({"object": "embedding", "index": index, "embedding": vector(text.as_str().unwrap_or_default())}))
        .collect();
    Say::json(
        &json!({"object": "list", "data": data, "model": "m", "usage": {"prompt_tokens": 1, "total_tokens": 1}}),
    )
}

/// The model `local` of a platform.
pub struct Meanings {
    /// What the platform asked.
    pub models: Models,
    silent: Arc<AtomicBool>,
}

impl Meanings {
    /// Starts a server whose model `local` is such a stand-in.
    ///
    /// # Errors
    /// The server does not start.
    pub async fn serve() -> Result<(Server, Self)> {
        let silent = Arc::new(AtomicBool::new(false));
        let is_silent = silent.clone();
        let models = Models::start(move |asked, _| match is_silent.load(Ordering::SeqCst) {
            true => Say::error(503, "gone"),
            false => answer(asked),
        })
        .await?;
        let server = Server::letting_out(&[models.origin()]).await?;
        let mut database = server.database.connect().await?;
        sqlx::query("select llm.put_platform_provider('local', 'openai', $1, null)")
            .bind(format!("{}/v1", models.url))
            .execute(&mut database)
            .await?;
        sqlx::query("select llm.keep_platform_providers(array['local'], $1)")
            .bind(json!({"local": {"provider": "local", "model": "all-minilm-l6-v2"}}))
            .execute(&mut database)
            .await?;
        Ok((server, Self { models, silent }))
    }

    /// Has the model fail from now on, or answer again.
    pub fn silence(&self, silent: bool) {
        self.silent.store(silent, Ordering::SeqCst);
    }
}
