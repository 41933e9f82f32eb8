//! The bounds of numbers in the OpenAPI document.

use super::{openapi::document, statements::sources};
use anyhow::Result;
use e2e::root;
use serde_json::Value;

/// The document is written where integers have 32 bits.
#[test]
fn bounds_are_those_of_the_code() -> Result<()> {
    fn check(at: &str, value: &Value, count: &mut usize) {
        let bound = |name: &str| value[name].as_f64();
        if let (Some(least), Some(most)) = (bound("minimum"), bound("maximum")) {
            *count += 1;
            assert!(least <= most, "{at}: {value}");
        }
        let items = value
            .as_array()
            .into_iter()
            .flatten()
            .map(|item| ("", item));
        let members = value.as_object().into_iter().flatten();
        for (name, value) in members
            .map(|(name, value)| (name.as_str(), value))
            .chain(items)
        {
            check(&format!("{at}/{name}"), value, count);
        }
    }
    let mut count = 0;
    check("", &document()?, &mut count);
    assert!(count > 100, "{count}");
    for file in sources(&root().join("functions"))? {
        let text = std::fs::read_to_string(&file)?;
        for number in text.split("maximum = ").skip(1) {
            let number = number.split([',', ')', ']']).next().unwrap_or_default();
            let digits = number.trim_end_matches("_f64").replace('_', "");
            let fits = digits.parse::<i32>().is_ok() || number.ends_with("_f64");
            assert!(
                fits,
                "{}: maximum = {number}: end it with _f64",
                file.display()
            );
        }
    }
    Ok(())
}
