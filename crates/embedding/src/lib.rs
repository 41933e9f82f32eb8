//! Embeddings without a provider: a sentence model that comes with the platform (`model/README.md`), and its service.
//!
//! The weights are part of the program, as the migrations are: a deployed command needs no other file, and the system
//! gives pages of a program back under pressure. The forward pass is our own, over a library for products of matrices:
//! frameworks for models take longer to build than all of it, and hold the weights twice. So is the tokenizer, which
//! needs forty crates otherwise.

mod answer;
mod embedder;
mod forward;
mod mathematics;
mod metrics;
mod model;
pub mod service;
mod tokens;
mod weights;

pub use embedder::Embedder;
pub use model::Model;

/// The name of the model at its service.
pub const MODEL: &str = "all-minilm-l6-v2";
/// The length of a vector.
pub const DIMENSIONS: usize = 384;
/// The largest number of tokens of a text, with the first and last one, which every text gets. The rest is left out.
pub const MAX_TOKENS: usize = 256;
