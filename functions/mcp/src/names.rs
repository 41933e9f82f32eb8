//! The names of skills' tools: `<skill>__<tool>`, shortened where that is longer than clients accept.

use sha2::{Digest, Sha256};

/// The length of the longest name. Clients pass names on to models' interfaces, which refuse longer ones.
pub const MAX_LENGTH: usize = 64;
/// Separates a skill's name from its tool's; neither of them contains an underscore.
const SEPARATOR: &str = "__";
/// The number of characters that a shortened name keeps of the skill's name.
const SKILL_LENGTH: usize = 16;
/// The number of characters that a shortened name keeps of the tool's name. With the separators and the digest this
/// makes [`MAX_LENGTH`].
const TOOL_LENGTH: usize = 20;
/// The number of base 36 digits that 128 bits take.
const DIGEST_LENGTH: usize = 25;

/// A tool of a skill, as a client names it.
#[derive(Debug, PartialEq, Eq)]
pub enum Name<'a> {
    /// The whole names of skill and tool.
    Whole { skill: &'a str, tool: &'a str },
    /// The beginnings of both names, and the digest of the whole name.
    Shortened {
        skill: &'a str,
        tool: &'a str,
        digest: [u8; 16],
    },
}

/// The whole name of a tool.
pub fn whole(skill: &str, tool: &str) -> String {
    format!("{skill}{SEPARATOR}{tool}")
}

/// The name that is listed: the whole one or, where that is too long, `<skill's beginning>__<tool's
/// beginning>_<digest>`. It follows from the whole name alone, so it never changes; 128 bits of SHA-256 keep two tools
/// from sharing one, and the single underscore keeps it apart from all whole names.
pub fn listed(skill: &str, tool: &str) -> String {
    let whole = whole(skill, tool);
    if whole.len() <= MAX_LENGTH {
        return whole;
    }
    let (skill, tool) = (beginning(skill, SKILL_LENGTH), beginning(tool, TOOL_LENGTH));
    format!("{skill}{SEPARATOR}{tool}_{}", digits(digest(&whole)))
}

/// Reads a name; `None` if it can't be the name of a skill's tool.
pub fn read(name: &str) -> Option<Name<'_>> {
    let (skill, tool) = name.split_once(SEPARATOR)?;
    let is_plain = !skill.is_empty()
        && skill
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !is_plain {
        return None;
    }
    match tool.rsplit_once('_') {
        None => Some(Name::Whole { skill, tool }),
        Some((tool, digits)) => {
            let digest = u128::from_str_radix(digits, 36).ok()?.to_be_bytes();
            Some(Name::Shortened {
                skill,
                tool,
                digest,
            })
        }
    }
}

/// The first 128 bits of the SHA-256.
fn digest(whole: &str) -> [u8; 16] {
    let hash: [u8; 32] = Sha256::digest(whole).into();
    std::array::from_fn(|at| hash[at])
}

fn digits(digest: [u8; 16]) -> String {
    let mut number = u128::from_be_bytes(digest);
    let mut digits = ['0'; DIGEST_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = char::from_digit((number % 36) as u32, 36).unwrap_or('0');
        number /= 36;
    }
    digits.iter().collect()
}

fn beginning(text: &str, length: usize) -> &str {
    text.get(..length).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_that_fits_stays_whole() {
        let skill = "a".repeat(60);
        assert_eq!(listed("adder", "add"), "adder__add");
        assert_eq!(listed(&skill, "ab").len(), MAX_LENGTH);
        assert_eq!(listed(&skill, "ab"), whole(&skill, "ab"));
        let expected = Name::Whole {
            skill: "adder",
            tool: "add",
        };
        assert_eq!(read("adder__add"), Some(expected));
    }

    #[test]
    fn a_longer_one_is_shortened_for_good() {
        let name = listed(
            "text-statistics-for-many-languages",
            "count-the-words-of-a-long-text",
        );
        assert_eq!(
            name,
            "text-statistics-__count-the-words-of-a_f429894yh6snv9q88tdaipprf"
        );
        assert!(name.len() <= MAX_LENGTH);
    }

    #[test]
    fn what_is_no_name_of_a_skills_tool_is_none() {
        for other in [
            "search_skills",
            "../x__y",
            "__add",
            "A__add",
            "a_b__add",
            "a__b_ä",
            "a__b_",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn a_shortened_name_says_what_it_was_made_of(
            skill in "[a-z0-9]{2,10}(-[a-z0-9]{1,10}){0,4}", tool in "[a-z]{1,20}([-.][a-z0-9]{1,20}){0,8}",
        ) {
            let name = listed(&skill, &tool);
            prop_assert!(name.len() <= MAX_LENGTH, "{}", name);
            let whole = whole(&skill, &tool);
            match read(&name) {
                Some(Name::Whole { skill: s, tool: t }) => {
                    prop_assert_eq!((s, t), (skill.as_str(), tool.as_str()));
                }
                Some(Name::Shortened { skill: s, tool: t, digest: d }) => {
                    prop_assert!(whole.len() > MAX_LENGTH);
                    prop_assert!(skill.starts_with(s) && tool.starts_with(t));
                    prop_assert_eq!(d, digest(&whole));
                }
                None => prop_assert!(false, "{}", name),
            }
        }

        #[test]
        fn any_name_is_read_or_refused(name in ".*") {
            let _ = read(&name);
        }
    }
}
