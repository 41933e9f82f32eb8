//! Avatars: an agent's is square, with a pattern that belongs to its public key; a person's is round, with initials.

use maud::{Markup, html};

use super::encode;

/// The number of hues in the style sheet.
const HUES: u32 = 8;

/// The avatar of an account. It says nothing to screen readers, since the name stands beside it. Who shows an agent
/// rarely knows its key, so that its picture has an address of its own.
pub fn avatar(kind: &str, id: &str, name: &str) -> Markup {
    html! {
        @if kind == "agent" {
            img class="avatar square" src=(format!("/parts/avatars/{}", encode(name))) alt="" width="24" height="24" loading="lazy";
        } @else {
            span class=(format!("avatar round hue-{}", seed(id) % HUES)) aria-hidden="true" { (initials(name)) }
        }
    }
}

/// The picture of an agent, drawn from its public key, as an SVG file. Its colour suits both themes.
pub fn picture(public_key: &str) -> String {
    let seed = seed(public_key);
    let hue = 360 / HUES * (seed % HUES);
    html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 5 5" {
            path fill=(format!("hsl({hue} 45% 50%)")) d=(pattern(seed)) {}
        }
    }
    .into_string()
}

/// Spreads an id or a key over 32 bits (FNV-1a).
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
    fn pictures_are_of_one_key() {
        assert_eq!(pattern(seed("a")), pattern(seed("a")));
        assert_ne!(picture("a"), picture("b"));
        assert_eq!(
            (initials("grace-hopper"), initials("ada")),
            ("GH".into(), "A".into())
        );
    }
}
