//! Credentials, recognised by their form. Whatever is noted may be shown to any model later, so they are refused.

/// The beginnings of tokens, each with the smallest number of characters that follow.
const PREFIXES: [(&str, usize); 31] = [
    ("sk-", 17),
    ("sk_live_", 16),
    ("sk_test_", 16),
    ("rk_live_", 16),
    ("whsec_", 16),
    ("ghp_", 30),
    ("gho_", 30),
    ("ghu_", 30),
    ("ghs_", 30),
    ("ghr_", 30),
    ("github_pat_", 30),
    ("glpat-", 16),
    ("xoxb-", 16),
    ("xoxp-", 16),
    ("xoxa-", 16),
    ("xoxs-", 16),
    ("xapp-", 16),
    ("AKIA", 16),
    ("ASIA", 16),
    ("AIza", 30),
    ("ya29.", 20),
    ("npm_", 30),
    ("pypi-", 30),
    ("hf_", 24),
    ("dop_v1_", 32),
    ("shpat_", 30),
    ("SG.", 30),
    ("gsk_", 30),
    ("xai-", 30),
    ("AGE-SECRET-KEY-", 30),
    (guest::API_KEY_PREFIX, 20),
];

/// Words that name a credential, before its value.
const NAMES: [&str; 17] = [
    "password",
    "passwd",
    "passphrase",
    "passwort",
    "kennwort",
    "contraseña",
    "パスワード",
    "密码",
    "secret",
    "token",
    "api_key",
    "api-key",
    "apikey",
    "api key",
    "access_key",
    "secret_key",
    "pwd",
];

/// Whether a text holds something of the form of a credential.
pub fn is_in(text: &str) -> bool {
    text.contains("PRIVATE KEY-----")
        || text.split(|c: char| !is_part(c)).any(is_token)
        || has_login(text)
        || has_bearer(text)
        || has_named_value(text)
}

/// Whether a character may be within a token.
fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.+/%~".contains(c)
}

fn is_token(word: &str) -> bool {
    let follows = |(prefix, least): &(&str, usize)| {
        let rest = word.strip_prefix(prefix);
        rest.is_some_and(|rest| rest.len() >= *least && is_random(rest))
    };
    PREFIXES.iter().any(follows) || is_web_token(word)
}

/// Whether a word mixes digits or capital letters into its letters, as no written word does.
fn is_random(word: &str) -> bool {
    let inner = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    inner.bytes().any(|byte| byte.is_ascii_digit())
        || inner.bytes().skip(1).any(|byte| byte.is_ascii_uppercase())
            && inner.bytes().any(|byte| byte.is_ascii_lowercase())
}

/// Whether a word is a JSON Web Token: three parts, of which two are JSON objects in base64.
fn is_web_token(word: &str) -> bool {
    let parts: Vec<_> = word.split('.').collect();
    matches!(parts[..], [head, body, sign] if head.starts_with("eyJ") && body.starts_with("eyJ") && sign.len() >= 16)
}

/// Whether an address holds a password: `scheme://name:password@host`.
fn has_login(text: &str) -> bool {
    text.match_indices("://").any(|(at, found)| {
        let rest = &text[at + found.len()..];
        let authority = rest
            .split(|c: char| c.is_whitespace() || "/?#\"'<>".contains(c))
            .next()
            .unwrap_or_default();
        let login = authority.rsplit_once('@').map(|(login, _)| login);
        let password = login.and_then(|login| login.split_once(':'));
        password.is_some_and(|(_, password)| password.len() >= 4 && !is_placeholder(password))
    })
}

/// Whether a text holds credentials as HTTP's header `Authorization` has them.
fn has_bearer(text: &str) -> bool {
    let mut words = text.split(|c: char| c.is_whitespace() || "\"',;`".contains(c));
    let mut former = "";
    words.any(|word| {
        let scheme = former.eq_ignore_ascii_case("bearer") || former.eq_ignore_ascii_case("basic");
        if !word.is_empty() {
            former = word;
        }
        scheme
            && word.len() >= 16
            && word.chars().all(|c| is_part(c) || c == '=')
            && is_random(word)
    })
}

/// Whether a value stands behind the name of a credential: `password: …`, `token=…`, `the API key is …`.
fn has_named_value(text: &str) -> bool {
    let folded = text.to_lowercase();
    NAMES.iter().any(|name| {
        folded.match_indices(name).any(|(at, found)| {
            let rest = &folded[at + found.len()..];
            // The original's capital letters are not needed: a value that is told by them alone is a word.
            value_of(rest).is_some_and(|value| is_secret_value(&value))
        })
    })
}

/// The value behind a name, if a sign or a word says that there is one.
fn value_of(rest: &str) -> Option<String> {
    let rest = rest.trim_start_matches(['"', '\'', '`', '*']);
    let trimmed = rest.trim_start();
    let signs = ["=>", ":=", ":", "=", "：", "は", "是", "为"];
    let words = ["is ", "ist ", "was ", "lautet ", "es "];
    let by_sign = signs.iter().find_map(|sign| trimmed.strip_prefix(sign));
    let by_word = || {
        let spaced = trimmed.len() < rest.len();
        let word = words.iter().find_map(|word| trimmed.strip_prefix(word));
        word.filter(|_| spaced)
    };
    let value = by_sign.or_else(by_word)?.trim_start();
    let value = value.trim_start_matches(['"', '\'', '`', '*', '「']);
    let end = value.find(|c: char| c.is_whitespace() || "\"'`,;」".contains(c));
    Some(
        value[..end.unwrap_or(value.len())]
            .trim_end_matches(['.', '!', '?', ')', '*'])
            .to_owned(),
    )
}

/// Whether a value behind a name is a secret, and not a word, a number or where to find it.
fn is_secret_value(value: &str) -> bool {
    let letters = value.chars().any(char::is_alphabetic);
    let digits = value.chars().any(|c| c.is_ascii_digit());
    let signs = value
        .chars()
        .any(|c| c.is_ascii_punctuation() && !"-_./:".contains(c));
    (6..=512).contains(&value.len())
        && letters
        && (digits || signs)
        && !is_placeholder(value)
        && !value.contains("://")
}

/// Whether a value stands for another one: `{{vault:name}}`, `$TOKEN`, `<password>`, `***`.
fn is_placeholder(value: &str) -> bool {
    value.starts_with(['$', '{', '<', '%', '[', '('])
        || value
            .chars()
            .all(|c| matches!(c, '*' | 'x' | 'X' | '.' | '•'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_recognised_by_their_form() {
        for text in [
            "use sk-proj-Abc123Def456Ghi789 for it",
            "AKIAIOSFODNN7EXAMPLE",
            "(ghp_0123456789abcdefghijklmnopqrstuvwxyzAB)",
            "-----BEGIN OPENSSH PRIVATE KEY-----\nabc",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlc2lnbmF0dXJl",
            "postgres://ada:hunter2@db/x",
            "Authorization: Bearer abcdef0123456789abcd",
            "My password is hunter2!",
            "Das Passwort lautet geheim99",
            "PASSWORD=correct-horse-7",
            "{\"api_key\": \"a1b2c3d4e5\"}",
            "パスワードは hunter2345",
            "sk-Canary/42+Wing%Tail",
        ] {
            assert!(is_in(text), "{text}");
        }
    }

    #[test]
    fn what_only_speaks_of_credentials_is_none() {
        for text in [
            "The password is in the vault.",
            "password: see the vault",
            "token: $GITHUB_TOKEN",
            "The token is sent in the header.",
            "The secret is to listen.",
            "Use {{vault:github}} as the token",
            "https://example.org:8080/a@b",
            "sk-learn is a library of machine learning tools",
            "Her task-list has 1234567890123456789012345 items",
            "Basic understanding of Bearer tokens",
            "The password has 12 characters.",
            "",
        ] {
            assert!(!is_in(text), "{text}");
        }
    }
}
