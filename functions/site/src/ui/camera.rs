//! Codes that cameras read (QR codes).

use fast_qr::QRBuilder;
use maud::{Markup, html};

/// The empty modules around a code, without which cameras don't find it.
const MARGIN: usize = 4;

/// A text as a code for cameras, dark on light in every theme. Nothing if the text is too long for one. `label` says
/// what it is.
pub fn camera_code(text: &str, label: &str) -> Markup {
    let Ok(code) = QRBuilder::new(text).build() else {
        return html! {};
    };
    let size = code.size + 2 * MARGIN;
    let mut path = String::new();
    for row in 0..code.size {
        for (column, module) in code[row].iter().enumerate() {
            if module.value() {
                path += &format!("M{} {}h1v1h-1z", column + MARGIN, row + MARGIN);
            }
        }
    }
    html! {
        svg.camera-code viewBox=(format!("0 0 {size} {size}")) role="img" aria-label=(label) shape-rendering="crispEdges" {
            path d=(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_a_margin_and_its_three_corners() {
        let code = camera_code("otpauth://totp/Gather:grace?secret=ABC", "The key").into_string();
        // The upper left corner's outer square is seven modules wide.
        for column in 4..11 {
            assert!(code.contains(&format!("M{column} 4h1v1h-1z")), "{code}");
        }
        assert!(!code.contains("M3 ") && !code.contains(" 3h"), "{code}");
        assert!(
            camera_code(&"x".repeat(10_000), "Too long")
                .into_string()
                .is_empty()
        );
    }
}
