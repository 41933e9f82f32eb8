//! The model agrees with its published vectors, and takes any text.

use std::sync::LazyLock;

use embedding::{DIMENSIONS, MAX_TOKENS, Model};
use proptest::prelude::*;
use serde::Deserialize;

static MODEL: LazyLock<Model> = LazyLock::new(|| Model::load().expect("the model"));

#[derive(Deserialize)]
struct Example {
    text: String,
    tokens: Vec<u32>,
    embedding: Vec<f32>,
}

fn cosine(one: &[f32], other: &[f32]) -> f32 {
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    product(one, other) / (product(one, one) * product(other, other)).sqrt()
}

#[test]
fn published_vectors_are_met() {
    let examples: Vec<Example> =
        serde_json::from_str(include_str!("vectors.json")).expect("examples");
    assert_eq!(examples.len(), 14);
    for example in examples {
        assert_eq!(
            MODEL.tokens(&example.text),
            example.tokens,
            "{:?}",
            example.text
        );
        let near = cosine(&MODEL.embed(&example.text), &example.embedding);
        assert!(near > 0.999, "{:?}: {near}", example.text);
    }
}

#[test]
fn what_means_the_same_is_near() {
    let near = |one: &str, other: &str| cosine(&MODEL.embed(one), &MODEL.embed(other));
    let same = near("How do I restart the server?", "Rebooting the machine");
    let other = near("How do I restart the server?", "A recipe for apple pie");
    assert!(same > other + 0.2, "{same} {other}");
}

#[test]
fn hostile_texts_are_bounded() {
    for text in [
        "\0".repeat(70_000),
        "a".repeat(70_000),
        "\u{0301}".repeat(35_000),
        "a\u{0315}\u{0301}".repeat(20_000),
        "[CLS][SEP][MASK][PAD]".repeat(3_000),
        "漢".repeat(20_000),
        "﷽".repeat(20_000),
        "\u{202e}\u{feff}\u{200d}".repeat(20_000),
        "! ".repeat(30_000),
    ] {
        let tokens = MODEL.tokens(&text);
        assert!((2..=MAX_TOKENS).contains(&tokens.len()));
        assert!(MODEL.embed(&text).iter().all(|x| x.is_finite()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_text_has_a_vector_of_length_1(text in "(\\PC|[\\x00-\\x20]|\\[MASK\\]|[äöü漢ა🦀]|\\pM|[a-z]{1,9} ){0,120}") {
        let tokens = MODEL.tokens(&text);
        prop_assert!((2..=MAX_TOKENS).contains(&tokens.len()));
        prop_assert_eq!((tokens[0], tokens[tokens.len() - 1]), (101, 102));
        prop_assert!(tokens.iter().all(|token| *token < 30_522));
        let vector = MODEL.embed(&text);
        prop_assert_eq!(vector.len(), DIMENSIONS);
        prop_assert!((vector.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-4);
        prop_assert_eq!(vector, MODEL.embed(&text));
    }

    #[test]
    fn a_longer_text_begins_with_the_same_tokens(text in "([a-z]{1,12} ){1,300}", more in "[a-z ]{1,80}") {
        let (short, long) = (MODEL.tokens(&text), MODEL.tokens(&format!("{text} {more}")));
        prop_assert!(long.starts_with(&short[..short.len() - 1]));
    }
}
