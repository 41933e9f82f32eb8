//! The weights: one byte each in the file; unpacked where they are multiplied.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::{DIMENSIONS, MAX_TOKENS};

static FILE: &[u8] = include_bytes!("../model/model-int8.safetensors");

/// The number of layers.
const LAYERS: usize = 6;
/// The width within a layer, between the two halves of its second part.
pub const INNER: usize = 1536;
/// The number of heads that attend to other tokens, each in its part of a vector.
pub const HEADS: usize = 12;
/// The length of a head's part.
pub const HEAD: usize = DIMENSIONS / HEADS;

/// Scales and shifts numbers after they were brought to a common mean and spread.
pub struct Norm {
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

/// A product with a matrix, and a sum.
pub struct Dense {
    /// The matrix, a row for each number that goes in.
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

/// One layer.
pub struct Layer {
    /// Queries, keys and values in one product. The queries are divided by the root of a head's length.
    pub attention: Dense,
    pub attended: Dense,
    pub attended_norm: Norm,
    pub inner: Dense,
    pub outer: Dense,
    pub outer_norm: Norm,
}

/// All weights.
pub struct Weights {
    words: &'static [u8],
    word_scales: Vec<f32>,
    /// The vector of each place in a text, with that of the only kind of text.
    places: Vec<f32>,
    pub norm: Norm,
    pub layers: Vec<Layer>,
}

impl Weights {
    /// Unpacks the weights.
    pub fn load() -> Result<Self> {
        let file = File::open()?;
        let (shape, words) = file.tensor("embeddings.word_embeddings.weight", BYTES)?;
        ensure!(
            shape == [30522, DIMENSIONS],
            "the vocabulary has another size"
        );
        let kinds = file.rows("embeddings.token_type_embeddings.weight")?;
        let mut places = file.rows("embeddings.position_embeddings.weight")?;
        places.truncate(MAX_TOKENS * DIMENSIONS);
        for place in places.chunks_exact_mut(DIMENSIONS) {
            place
                .iter_mut()
                .zip(&kinds)
                .for_each(|(x, kind)| *x += kind);
        }
        Ok(Self {
            words,
            word_scales: file.numbers("embeddings.word_embeddings.weight.scale")?,
            places,
            norm: file.norm("embeddings.LayerNorm")?,
            layers: (0..LAYERS)
                .map(|at| file.layer(at))
                .collect::<Result<_>>()?,
        })
    }

    /// Writes the vector of a token at a place of its text.
    pub fn look_up(&self, token: u32, place: usize, into: &mut [f32]) {
        let word = token as usize;
        let values = &self.words[word * DIMENSIONS..][..DIMENSIONS];
        let places = &self.places[place * DIMENSIONS..][..DIMENSIONS];
        let scale = self.word_scales[word];
        for ((x, value), place) in into.iter_mut().zip(values).zip(places) {
            *x = f32::from(value.cast_signed()) * scale + place;
        }
    }
}

/// The kind of numbers that are one byte each.
const BYTES: &str = "I8";
/// The kind of numbers that are four bytes each.
const FLOATS: &str = "F32";

/// The file, in the form "safetensors": the length of a head in JSON, the head, and the numbers.
struct File {
    tensors: HashMap<String, Tensor>,
    data: &'static [u8],
}

#[derive(Deserialize)]
struct Head {
    #[serde(rename = "__metadata__")]
    _metadata: IgnoredAny,
    #[serde(flatten)]
    tensors: HashMap<String, Tensor>,
}

/// Where numbers lie in the file.
#[derive(Deserialize)]
struct Tensor {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

impl File {
    fn open() -> Result<Self> {
        let cut = "the model's weights are cut off";
        let (length, rest) = FILE.split_first_chunk().context(cut)?;
        let length = usize::try_from(u64::from_le_bytes(*length))?;
        let (head, data) = rest.split_at_checked(length).context(cut)?;
        let head: Head = serde_json::from_slice(head).context("the head of the model's weights")?;
        Ok(Self {
            tensors: head.tensors,
            data,
        })
    }

    /// The shape and the bytes of numbers of a kind.
    fn tensor(&self, name: &str, kind: &str) -> Result<(&[usize], &'static [u8])> {
        let tensor = self.tensors.get(name);
        let tensor = tensor.with_context(|| format!("the model has no {name}"))?;
        let (first, last) = tensor.data_offsets;
        let bytes = self.data.get(first..last);
        let bytes = bytes.with_context(|| format!("{name} is cut off"))?;
        let size = if kind == BYTES { 1 } else { 4 };
        let count: usize = tensor.shape.iter().product();
        ensure!(
            tensor.dtype == kind && bytes.len() == count * size,
            "{name} has another form"
        );
        Ok((&tensor.shape, bytes))
    }

    fn layer(&self, at: usize) -> Result<Layer> {
        let name = |part: &str| format!("encoder.layer.{at}.{part}");
        let mut attention = Vec::new();
        let mut bias = Vec::new();
        for part in ["query", "key", "value"] {
            let name = name(&format!("attention.self.{part}"));
            // A score is divided by it; so are the queries that make it, once and for all.
            let factor = match part {
                "query" => 1.0 / (HEAD as f32).sqrt(),
                _ => 1.0,
            };
            let scaled = |numbers: Vec<f32>| numbers.into_iter().map(move |x| x * factor);
            attention.extend(scaled(self.rows(&format!("{name}.weight"))?));
            bias.extend(scaled(self.numbers(&format!("{name}.bias"))?));
        }
        Ok(Layer {
            attention: Dense {
                weight: transposed(&attention, DIMENSIONS),
                bias,
            },
            attended: self.dense(&name("attention.output.dense"), DIMENSIONS, DIMENSIONS)?,
            attended_norm: self.norm(&name("attention.output.LayerNorm"))?,
            inner: self.dense(&name("intermediate.dense"), DIMENSIONS, INNER)?,
            outer: self.dense(&name("output.dense"), INNER, DIMENSIONS)?,
            outer_norm: self.norm(&name("output.LayerNorm"))?,
        })
    }

    fn dense(&self, name: &str, from: usize, to: usize) -> Result<Dense> {
        let weight = transposed(&self.rows(&format!("{name}.weight"))?, from);
        let bias = self.numbers(&format!("{name}.bias"))?;
        ensure!(
            weight.len() == from * to && bias.len() == to,
            "{name} has another size"
        );
        Ok(Dense { weight, bias })
    }

    fn norm(&self, name: &str) -> Result<Norm> {
        Ok(Norm {
            weight: self.numbers(&format!("{name}.weight"))?,
            bias: self.numbers(&format!("{name}.bias"))?,
        })
    }

    /// A matrix, row by row.
    fn rows(&self, name: &str) -> Result<Vec<f32>> {
        let scales = self.numbers(&format!("{name}.scale"))?;
        let (shape, bytes) = self.tensor(name, BYTES)?;
        ensure!(
            shape.len() == 2 && shape[0] == scales.len(),
            "{name} has another form"
        );
        let rows = bytes.chunks_exact(shape[1]).zip(&scales);
        let numbers = rows
            .flat_map(|(row, scale)| row.iter().map(move |x| f32::from(x.cast_signed()) * scale));
        Ok(numbers.collect())
    }

    fn numbers(&self, name: &str) -> Result<Vec<f32>> {
        let (_, bytes) = self.tensor(name, FLOATS)?;
        let (numbers, _) = bytes.as_chunks::<4>();
        Ok(numbers
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect())
    }
}

fn transposed(matrix: &[f32], columns: usize) -> Vec<f32> {
    let rows = matrix.len() / columns;
    let mut other = vec![0.0; matrix.len()];
    for (at, row) in matrix.chunks_exact(columns).enumerate() {
        for (column, x) in row.iter().enumerate() {
            other[column * rows + at] = *x;
        }
    }
    other
}
