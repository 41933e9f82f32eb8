//! The model as a whole: texts in, vectors out.

use anyhow::Result;

use crate::forward::forward;
use crate::tokens::Tokenizer;
use crate::weights::Weights;

/// The tokens of one batch, which bound the memory that it takes.
const BATCH_TOKENS: usize = 512;

/// The loaded model.
pub struct Model {
    tokenizer: Tokenizer,
    weights: Weights,
}

/// Texts that are computed together, by their places in the request.
pub(crate) struct Batch {
    pub(crate) places: Vec<usize>,
    texts: Vec<Vec<u32>>,
}

impl Model {
    /// Unpacks the model, which takes 45 MB.
    ///
    /// # Errors
    /// The files of the model are damaged.
    pub fn load() -> Result<Self> {
        Ok(Self {
            tokenizer: Tokenizer::load()?,
            weights: Weights::load()?,
        })
    }

    /// The numbers of a text's tokens.
    #[must_use]
    pub fn tokens(&self, text: &str) -> Vec<u32> {
        self.tokenizer.tokens(text)
    }

    /// The vector of a text, of length 1.
    #[must_use]
    pub fn embed(&self, text: &str) -> Vec<f32> {
        forward(&self.weights, &[self.tokens(text)]).remove(0)
    }

    /// Divides texts into batches, and counts their tokens. Texts need no padding within a batch, so nothing is gained
    /// by an order of lengths.
    pub(crate) fn batches(&self, texts: &[String]) -> (Vec<Batch>, u64) {
        let mut batches: Vec<Batch> = Vec::new();
        let (mut size, mut total) = (0, 0);
        for (place, text) in texts.iter().enumerate() {
            let tokens = self.tokens(text);
            total += tokens.len() as u64;
            size += tokens.len();
            match batches.last_mut().filter(|_| size <= BATCH_TOKENS) {
                Some(batch) => {
                    batch.places.push(place);
                    batch.texts.push(tokens);
                }
                None => {
                    size = tokens.len();
                    batches.push(Batch {
                        places: vec![place],
                        texts: vec![tokens],
                    });
                }
            }
        }
        (batches, total)
    }

    /// The vectors of a batch, in the order of its places.
    pub(crate) fn compute(&self, batch: &Batch) -> Vec<Vec<f32>> {
        forward(&self.weights, &batch.texts)
    }
}
