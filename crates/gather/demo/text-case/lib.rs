//! The functions of `wit/skill.wit`.

wit_bindgen::generate!({ path: "wit" });

struct Skill;
export!(Skill);

impl Guest for Skill {
    fn slug(text: String) -> Result<String, String> {
        let words: Vec<_> = text
            .split(|character: char| !character.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        if words.is_empty() {
            return Err("the text has no letters or digits".to_owned());
        }
        Ok(words.join("-"))
    }

    fn headline(text: String) -> String {
        let words = text.split_whitespace().map(|word| {
            let mut letters = word.chars();
            let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
            first + letters.as_str()
        });
        words.collect::<Vec<_>>().join(" ")
    }
}
