//! The forward pass. The tokens of a batch stand one below the other, whatever text they belong to: only attention
//! looks at other tokens, and goes text by text. So nothing is padded.

use crate::DIMENSIONS;
use crate::mathematics::{self, Matrix, gelu, multiply, normalise, softmax};
use crate::weights::{Dense, HEAD, HEADS, INNER, Layer, Norm, Weights};

/// The width of queries, keys and values beside each other.
const ATTENTION: usize = 3 * DIMENSIONS;

/// The distance of rows of the inner width. At a distance of a multiple of half a page of memory, processors take a number of
/// one row for the number that was just written to another one, and wait.
const INNER_ROW: usize = INNER + 64;

/// The vectors of texts, given as their tokens.
pub fn forward(weights: &Weights, texts: &[Vec<u32>]) -> Vec<Vec<f32>> {
    let total: usize = texts.iter().map(Vec::len).sum();
    let mut states = vec![0.0; total * DIMENSIONS];
    let placed = texts
        .iter()
        .flat_map(|text| text.iter().copied().enumerate());
    for (state, (place, token)) in states.chunks_exact_mut(DIMENSIONS).zip(placed) {
        weights.look_up(token, place, state);
    }
    level(&weights.norm, &mut states);
    let mut room = Room::new(total);
    for layer in &weights.layers {
        pass(layer, texts, &mut states, &mut room);
    }
    let mut rest = states.as_slice();
    let vectors = texts.iter().map(|text| {
        let (own, others) = rest.split_at(text.len() * DIMENSIONS);
        rest = others;
        mean(own)
    });
    vectors.collect()
}

/// What a layer writes to, used by one after the other.
struct Room {
    attention: Vec<f32>,
    scores: Vec<f32>,
    attended: Vec<f32>,
    inner: Vec<f32>,
    outer: Vec<f32>,
}

impl Room {
    fn new(total: usize) -> Self {
        Self {
            attention: vec![0.0; total * ATTENTION],
            scores: Vec::new(),
            attended: vec![0.0; total * DIMENSIONS],
            inner: vec![0.0; total * INNER_ROW],
            outer: vec![0.0; total * DIMENSIONS],
        }
    }
}

fn pass(layer: &Layer, texts: &[Vec<u32>], states: &mut [f32], room: &mut Room) {
    apply(
        &layer.attention,
        &Rows(states, DIMENSIONS),
        &mut room.attention,
        ATTENTION,
    );
    let mut first = 0;
    for text in texts {
        attend(first, text.len(), room);
        first += text.len();
    }
    apply(
        &layer.attended,
        &Rows(&room.attended, DIMENSIONS),
        &mut room.outer,
        DIMENSIONS,
    );
    add(states, &room.outer);
    level(&layer.attended_norm, states);
    apply(
        &layer.inner,
        &Rows(states, DIMENSIONS),
        &mut room.inner,
        INNER_ROW,
    );
    gelu(&mut room.inner);
    apply(
        &layer.outer,
        &Rows(&room.inner, INNER_ROW),
        &mut room.outer,
        DIMENSIONS,
    );
    add(states, &room.outer);
    level(&layer.outer_norm, states);
}

/// Lets the tokens of one text look at each other.
fn attend(first: usize, length: usize, room: &mut Room) {
    let own = &room.attention[first * ATTENTION..][..length * ATTENTION];
    let into = &mut room.attended[first * DIMENSIONS..][..length * DIMENSIONS];
    room.scores.resize(length * length, 0.0);
    for head in 0..HEADS {
        let part = |kind: usize| {
            let data = &own[kind * DIMENSIONS + head * HEAD..];
            Matrix::by_rows(data, length, HEAD, ATTENTION)
        };
        multiply(
            &mut room.scores,
            length,
            false,
            part(0),
            part(1).transposed(),
        );
        softmax(&mut room.scores, length);
        let scores = Matrix::by_rows(&room.scores, length, length, length);
        multiply(&mut into[head * HEAD..], DIMENSIONS, false, scores, part(2));
    }
}

/// Rows of numbers, and the distance from one to the next.
struct Rows<'a>(&'a [f32], usize);

fn apply(dense: &Dense, from: &Rows<'_>, into: &mut [f32], to_row: usize) {
    let columns = dense.bias.len();
    for row in into.chunks_exact_mut(to_row) {
        row[..columns].copy_from_slice(&dense.bias);
    }
    let Rows(data, from_row) = *from;
    let width = dense.weight.len() / columns;
    let left = Matrix::by_rows(data, data.len() / from_row, width, from_row);
    let right = Matrix::by_rows(&dense.weight, width, columns, columns);
    multiply(into, to_row, true, left, right);
}

fn add(states: &mut [f32], more: &[f32]) {
    for (state, more) in states.iter_mut().zip(more) {
        *state += more;
    }
}

fn level(norm: &Norm, states: &mut [f32]) {
    mathematics::level(states, &norm.weight, &norm.bias);
}

/// The mean of a text's states, of length 1. A factor would change nothing, so the sum serves.
fn mean(states: &[f32]) -> Vec<f32> {
    let mut vector = vec![0.0; DIMENSIONS];
    for state in states.chunks_exact(DIMENSIONS) {
        add(&mut vector, state);
    }
    normalise(&mut vector);
    vector
}
