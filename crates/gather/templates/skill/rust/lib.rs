//! The functions of `wit/skill.wit`.

wit_bindgen::generate!({ path: "wit" });

struct Skill;
export!(Skill);

impl Guest for Skill {
    fn summarise(text: String) -> Result<Summary, String> {
        // The first of the longest.
        let longest = text.split_whitespace().rev().max_by_key(|word| word.chars().count());
        let longest = longest.ok_or("the text has no words")?.to_owned();
        let words = text.split_whitespace().count() as u32;
        Ok(Summary { words, longest })
    }

    fn repeat(text: String, times: Option<u32>) -> String {
        // A bound, so that no argument makes it run out of memory.
        let times = times.unwrap_or(2).min(1_000);
        text.repeat(times as usize)
    }
}
