//! The functions of `wit/skill.wit`.

wit_bindgen::generate!({ path: "wit" });

/// The most dice of a roll, and the most sides of a die.
const MOST: (usize, u32) = (100, 1000);

struct Skill;
export!(Skill);

impl Guest for Skill {
    fn roll(dice: String) -> Result<Outcome, String> {
        let seed = getrandom::u64().map_err(|error| format!("there is no chance here: {error}"))?;
        Dice::read(&dice)?.outcome(seed)
    }

    fn repeat(dice: String, seed: String) -> Result<Outcome, String> {
        let number = u64::from_str_radix(&seed, 16).ok().filter(|_| seed.len() == 16);
        Dice::read(&dice)?.outcome(number.ok_or("a seed has 16 hexadecimal digits")?)
    }
}

/// `<number>d<sides>+<added>`.
struct Dice {
    number: usize,
    sides: u32,
    added: i32,
}

impl Dice {
    fn read(text: &str) -> Result<Self, String> {
        let wrong = || "dice are written like d20, 2d6 or 3d8+2".to_owned();
        let text = text.trim().to_ascii_lowercase();
        let (number, rest) = text.split_once('d').ok_or_else(wrong)?;
        let end = rest.find(['+', '-']).unwrap_or(rest.len());
        let (sides, added) = rest.split_at(end);
        let dice = Self {
            number: if number.is_empty() { 1 } else { number.parse().map_err(|_| wrong())? },
            sides: sides.parse().map_err(|_| wrong())?,
            added: if added.is_empty() { 0 } else { added.parse().map_err(|_| wrong())? },
        };
        if !(1..=MOST.0).contains(&dice.number) || !(2..=MOST.1).contains(&dice.sides) || dice.added.abs() > 1_000_000 {
            return Err("a roll has 1 to 100 dice of 2 to 1000 sides".to_owned());
        }
        Ok(dice)
    }

    /// What follows from a seed: each die is the next number of SplitMix64 that favours no side.
    fn outcome(&self, seed: u64) -> Result<Outcome, String> {
        let (mut state, sides) = (seed, u64::from(self.sides));
        let fair = u64::MAX - u64::MAX % sides;
        let mut rolls = Vec::with_capacity(self.number);
        while rolls.len() < self.number {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^= mixed >> 31;
            if mixed < fair {
                rolls.push((mixed % sides) as u32 + 1);
            }
        }
        let total = rolls.iter().sum::<u32>() as i32 + self.added;
        Ok(Outcome { rolls, total, seed: format!("{seed:016x}") })
    }
}
