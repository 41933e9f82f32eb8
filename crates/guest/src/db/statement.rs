//! Wraps a handler's statement so that each of its rows arrives as one `jsonb` value.

/// Wraps `select …` as `with gather_row as (select …) select to_jsonb(gather_row) from gather_row`. A column of that name
/// would hide the row, so the name is one that no statement of ours uses.
///
/// If a statement has a `with` list of its own, its last part is wrapped instead, since PostgreSQL requires statements
/// that change data at the top level of that list.
pub(super) fn as_json(sql: &str) -> String {
    let sql = sql.trim().trim_end_matches(';');
    let tail = "select to_jsonb(gather_row) from gather_row";
    match after_with_list(sql) {
        Some(at) => {
            let (list, last) = sql.split_at(at);
            format!("{}, gather_row as ({last}\n) {tail}", list.trim_end())
        }
        None => format!("with gather_row as ({sql}\n) {tail}"),
    }
}

/// The position where the `with` list ends and the statement proper begins; `None` without such a list.
fn after_with_list(sql: &str) -> Option<usize> {
    if !word_at(sql, 0).eq_ignore_ascii_case("with") {
        return None;
    }
    let mut depth = 0;
    let mut at = 0;
    while at < sql.len() {
        let rest = &sql[at..];
        if let Some(length) = opaque(rest) {
            at += length;
            continue;
        }
        let word = word_at(sql, at);
        let starts = ["select", "insert", "update", "delete", "merge", "values"];
        if depth == 0 && starts.iter().any(|start| word.eq_ignore_ascii_case(start)) {
            return Some(at);
        }
        match rest.as_bytes()[0] {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        at += word
            .len()
            .max(rest.chars().next().map_or(1, char::len_utf8));
    }
    None
}

/// The length of a string, a quoted name or a comment that starts here.
fn opaque(rest: &str) -> Option<usize> {
    let until = |from: usize, end: &str| {
        rest[from..]
            .find(end)
            .map_or(rest.len(), |at| from + at + end.len())
    };
    match rest.as_bytes() {
        [b'\'', ..] => Some(until(1, "'")),
        [b'"', ..] => Some(until(1, "\"")),
        [b'-', b'-', ..] => Some(until(2, "\n")),
        [b'/', b'*', ..] => Some(until(2, "*/")),
        [b'$', b'$', ..] => Some(until(2, "$$")),
        _ => None,
    }
}

fn word_at(sql: &str, at: usize) -> &str {
    let rest = &sql[at..];
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '$');
    &rest[..end.unwrap_or(rest.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_statements_are_wrapped_whole() {
        assert_eq!(
            as_json(" select 1 as a; "),
            "with gather_row as (select 1 as a\n) select to_jsonb(gather_row) from gather_row"
        );
    }

    #[test]
    fn a_with_list_is_continued() {
        let sql = "with a as (insert into t select ')' returning *), -- select\n b as (select 1) \
                   select a.* from a, b";
        let expected = "with a as (insert into t select ')' returning *), -- select\n b as \
                        (select 1), gather_row as (select a.* from a, b\n) select to_jsonb(gather_row) \
                        from gather_row";
        assert_eq!(as_json(sql), expected);
    }

    #[test]
    fn names_that_begin_like_a_keyword_are_names() {
        let sql = "with selected as (select 1) delete from t returning *";
        assert!(as_json(sql).starts_with("with selected as (select 1), gather_row as (delete"));
    }

    proptest! {
        #[test]
        fn nothing_panics(sql in ".*") {
            as_json(&sql);
            as_json(&format!("with {sql}"));
        }
    }
}
