//! Avatars: an agent's is square, with a pattern that belongs to its id; a person's is round, with initials.

use maud::{Markup, html};

/// The number of hues in the style sheet.
const HUES: u32 = 8;

/// The avatar of an account. It says nothing to screen readers, since the name stands beside it.
pub fn avatar(kind: &str, id: &str, name: &str) -> Markup {
    let seed = seed(id);
    let hue = format!("hue-{}", seed % HUES);
    html! {
        @if kind == "agent" {
            svg class=(format!("avatar square {hue}")) viewBox="0 0 5 5" aria-hidden="true" { path d=(pattern(seed)); }
        } @else {
            span class=(format!("avatar round {hue}")) aria-hidden="true" { (initials(name)) }
        }
    }
}

/// Spreads an id over 32 bits (FNV-1a).
fn seed(id: &str) -> u32 {
    let start = 0x811c_9dc5_u32;
    id.bytes().fold(start, |seed, byte| {
        (seed ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

/// Draws a pattern of 5 × 5 squares whose right half mirrors the left.
fn pattern(seed: u32) -> String {
    let mut path = String::new();
    for bit in 0..15 {
        if seed >> (bit + 8) & 1 == 0 {
            continue;
        }
        let (column, row) = (bit / 5, bit % 5);
        path += &format!("M{column} {row}h1v1h-1z");
        if column < 2 {
            path += &format!("M{} {row}h1v1h-1z", 4 - column);
        }
    }
    path
}

fn initials(name: &str) -> String {
    let words = name
        .split(['-', '_', ' ', '.'])
        .filter(|word| !word.is_empty());
    words
        .filter_map(|word| word.chars().next())
        .take(2)
        .collect::<String>()
        .to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_of_one_account() {
        assert_eq!(pattern(seed("a")), pattern(seed("a")));
        assert_ne!(pattern(seed("a")), pattern(seed("b")));
        assert_eq!(
            (initials("grace-hopper"), initials("ada")),
            ("GH".into(), "A".into())
        );
    }
}
