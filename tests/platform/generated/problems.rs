//! `static/problems.json`, which the site's pages of problems are made of: from `problems!` in functions, components and
//! the guest library, and from `[package.metadata.gather.problems]` of native crates. Every code in an answer must
//! be stated, and every stated code must be in use.

use super::packages::Packages;
use crate::platform::statements::{literal, sources};
use anyhow::{Result, anyhow, bail, ensure};
use e2e::root;
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    str::FromStr,
};

const GUEST: &str = "crates/guest";
/// The workspace of the edge, whose codes functions/edge states.
const EDGE: &str = "edge";

pub fn page(packages: &Packages) -> Result<String> {
    let mut all = Codes::default();
    // The guest library first: its functions that take a code are everybody's.
    all.read(GUEST)?;
    let folders = packages.all().flat_map(|package| {
        let crates = package.crates.iter().map(String::as_str);
        crates.chain([package.folder.as_str()])
    });
    let natives = packages.native_problems.keys().map(String::as_str);
    let folders: BTreeSet<_> = folders.chain(natives).filter(|f| *f != GUEST).collect();
    for folder in folders {
        all.read(folder)?;
    }
    all.read(EDGE)?;
    for (folder, problems) in &packages.native_problems {
        for (code, text) in problems {
            all.state(folder, code, text)?;
        }
    }
    let answered = all.answered.iter();
    let unstated = answered.filter(|(code, _)| !all.stated.contains_key(*code));
    let unstated: Vec<_> = unstated
        .map(|(code, folder)| format!("{folder} answers with `{code}` and does not state it"))
        .collect();
    let stated = all.stated.iter();
    let unused = stated.filter(|(code, _)| !all.literals.contains(*code));
    let unused: Vec<_> = unused
        .map(|(code, (_, folder))| format!("{folder} states `{code}`, which nobody answers with"))
        .collect();
    let faults = [unstated, unused].concat();
    ensure!(faults.is_empty(), "`problems!`: {}", faults.join("\n"));
    let page: BTreeMap<_, _> = all
        .stated
        .iter()
        .map(|(code, (text, _))| (code, text))
        .collect();
    Ok(serde_json::to_string_pretty(&page)? + "\n")
}

#[derive(Default)]
struct Codes {
    /// Maps each code to its text and the folder of the crate that states it.
    stated: BTreeMap<String, (String, String)>,
    /// Maps each code to the folder of a crate that answers with it.
    answered: BTreeMap<String, String>,
    /// All string literals outside of `problems!`.
    literals: BTreeSet<String>,
    /// Maps the name of each function of the guest library that takes a code to the position of that argument.
    takers: BTreeMap<String, usize>,
}

impl Codes {
    fn read(&mut self, folder: &str) -> Result<()> {
        let mut files = Vec::new();
        for path in sources(&root().join(folder).join("src"))? {
            let text = fs::read_to_string(&path)?;
            // Unit tests stand at the end.
            let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
            let tokens = TokenStream::from_str(text);
            let tokens = tokens.map_err(|error| anyhow!("{}: {error}", path.display()))?;
            files.push(tokens.into_iter().collect::<Vec<_>>());
        }
        let mut takers = self.takers.clone();
        takers.extend([("Refusal".to_owned(), 1)]);
        files.iter().for_each(|file| takers_of(file, &mut takers));
        for file in &files {
            self.tokens(folder, file, &takers)?;
        }
        if folder == GUEST {
            self.takers = takers;
        }
        Ok(())
    }

    fn tokens(
        &mut self,
        folder: &str,
        tokens: &[TokenTree],
        takers: &BTreeMap<String, usize>,
    ) -> Result<()> {
        for (at, token) in tokens.iter().enumerate() {
            self.literals.extend(literal(token));
            let TokenTree::Group(group) = token else {
                continue;
            };
            let inner: Vec<_> = group.stream().into_iter().collect();
            let before: Vec<_> = tokens[at.saturating_sub(4)..at].iter().map(text).collect();
            if before.ends_with(&["problems".into(), "!".into()]) {
                for pair in inner.split(is_comma).filter(|pair| !pair.is_empty()) {
                    match (
                        pair.first().and_then(literal),
                        pair.last().and_then(literal),
                    ) {
                        (Some(code), Some(text)) => self.state(folder, &code, &text)?,
                        _ => bail!("{folder}: `problems!` takes \"code\" => \"text\""),
                    }
                }
                continue;
            }
            if let Some(position) = code_argument(&before, group.delimiter(), takers)
                && let Some(argument) = inner.split(is_comma).nth(position)
                && let [argument] = argument
                && let Some(code) = literal(argument).filter(|text| is_code(text))
            {
                self.answered.insert(code, folder.to_owned());
            }
            self.tokens(folder, &inner, takers)?;
        }
        Ok(())
    }

    fn state(&mut self, folder: &str, code: &str, text: &str) -> Result<()> {
        let stated = (text.to_owned(), folder.to_owned());
        if let Some((_, other)) = self.stated.insert(code.to_owned(), stated) {
            bail!(
                "`{code}` stands in {other} and in {folder}; what several answer stands in {GUEST}"
            );
        }
        Ok(())
    }
}

/// Checks the form of a literal, since functions with the same name may take other texts.
fn is_code(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

fn text(token: &TokenTree) -> String {
    match token {
        TokenTree::Group(_) => String::new(),
        other => other.to_string(),
    }
}

fn is_comma(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',')
}

/// Finds the argument that is a problem's code by the tokens before the parenthesis.
fn code_argument(
    before: &[String],
    delimiter: Delimiter,
    takers: &BTreeMap<String, usize>,
) -> Option<usize> {
    let name = before
        .last()
        .filter(|_| delimiter == Delimiter::Parenthesis)?;
    if name != "new" {
        return takers.get(name).copied();
    }
    let of = before.first().map(String::as_str);
    (before.len() == 4 && matches!(of, Some("Problem" | "Self"))).then_some(1)
}

/// Finds the functions with a parameter `code: &'static str`.
fn takers_of(tokens: &[TokenTree], takers: &mut BTreeMap<String, usize>) {
    for (at, token) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = token {
            let inner: Vec<_> = group.stream().into_iter().collect();
            takers_of(&inner, takers);
            let is_function = at >= 2 && text(&tokens[at - 2]) == "fn";
            let is_code = |parameter: &[TokenTree]| {
                let words: Vec<_> = parameter.iter().map(text).collect();
                words.concat() == "code:&'staticstr"
            };
            if is_function
                && text(&tokens[at - 1]) != "new"
                && let Some(position) = inner.split(is_comma).position(is_code)
            {
                takers.insert(text(&tokens[at - 1]), position);
            }
        }
    }
}

#[test]
fn codes_are_found_where_they_are_answered_and_stated() -> Result<()> {
    let source: TokenStream = r#"
        fn limited(seconds: u32, code: &'static str) -> Problem { Problem::new(STATUS, code, "words") }
        fn f() -> Problem { match x { 1 => limited(3, "slow-mode"), _ => Problem::new(STATUS, "gone-by", "") } }
        guest::problems! { "slow-mode" => "Wait.", }
    "#
    .parse()
    .map_err(|error| anyhow!("{error}"))?;
    let tokens: Vec<_> = source.into_iter().collect();
    let (mut codes, mut takers) = (Codes::default(), BTreeMap::new());
    takers_of(&tokens, &mut takers);
    codes.tokens("here", &tokens, &takers)?;
    assert_eq!(
        codes.answered.keys().collect::<Vec<_>>(),
        ["gone-by", "slow-mode"]
    );
    assert_eq!(codes.stated["slow-mode"].0, "Wait.");
    assert!(codes.state("there", "slow-mode", "Wait.").is_err());
    Ok(())
}
