use super::*;
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::{Duration, Instant};

const VALUE: &str = "sk-Canary/42+\"x\\%&";

fn whole(value: &str, text: &[u8]) -> Vec<u8> {
    Mask::new(value.as_bytes())
        .whole(text)
        .unwrap_or_else(|| text.to_vec())
}

/// The ways in which services write a value.
fn forms(value: &str) -> Vec<String> {
    let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
    let percent = |byte: u8| format!("%{byte:02x}");
    let json = serde_json::to_string(value).unwrap();
    let mut forms = vec![
        value.to_owned(),
        value.to_uppercase(),
        hex.clone(),
        hex.to_uppercase(),
        value.bytes().map(percent).collect(),
        value
            .bytes()
            .map(|byte| percent(byte).to_uppercase())
            .collect(),
        value
            .bytes()
            .map(|byte| format!("\\u00{byte:02X}"))
            .collect(),
        value.bytes().map(|byte| format!("\\x{byte:02x}")).collect(),
        value.bytes().map(|byte| format!("&#{byte};")).collect(),
        value.bytes().map(|byte| format!("&#x{byte:x};")).collect(),
        json[1..json.len() - 1].to_owned(),
        value
            .replace('\\', "\\\\")
            .replace('/', "\\/")
            .replace('"', "\\\""),
        value.replace('&', "&amp;").replace('"', "&quot;"),
        value
            .replace('%', "%25")
            .replace('/', "%2F")
            .replace('+', "%2B")
            .replace('"', "%22"),
    ];
    for before in ["", "x", "xy"] {
        for after in ["", "z", "zz"] {
            let text = format!("{before}{value}{after}");
            forms.push(BASE64_STANDARD.encode(&text));
            forms.push(BASE64_URL_SAFE_NO_PAD.encode(&text));
            forms.push(
                BASE64_STANDARD
                    .encode(&text)
                    .replace('/', "\\/")
                    .replace('+', "%2B"),
            );
        }
    }
    forms
}

#[test]
fn every_form_is_taken_out() {
    for form in forms(VALUE) {
        let text = format!("before {form} after");
        let masked = String::from_utf8(whole(VALUE, text.as_bytes())).unwrap();
        assert!(
            masked.starts_with("before ") && masked.ends_with(" after"),
            "{form}: {masked}"
        );
        let left = masked["before ".len()..masked.len() - " after".len()].replace("***", "");
        // Beside the value, base64 has bits of its neighbours, and signs that fill it up.
        assert!(left.len() <= 8, "{form}: {masked}");
    }
}

#[test]
fn a_stream_cut_anywhere_is_masked_as_the_whole() {
    for form in forms(VALUE) {
        let text = format!("data: {{\"a\":\"{form}\"}}\n\n{form}");
        let expected = whole(VALUE, text.as_bytes());
        let mask = Arc::new(Mask::new(VALUE.as_bytes()));
        for cut in 0..text.len() {
            let mut masking = Masking::new(mask.clone());
            let (first, second) = text.as_bytes().split_at(cut);
            let parts = [masking.push(first), masking.push(second), masking.finish()];
            assert_eq!(parts.concat(), expected, "{form} at {cut}");
        }
        let mut masking = Masking::new(mask);
        let mut parts: Vec<_> = text.bytes().map(|byte| masking.push(&[byte])).collect();
        parts.push(masking.finish());
        assert_eq!(parts.concat(), expected, "{form}, a byte at a time");
    }
}

#[test]
fn what_cannot_be_the_value_does_not_wait() {
    let mut masking = Masking::new(Arc::new(Mask::new(b"sk-canary-1234")));
    let event = b"data: {\"delta\":\"s\"}\n\n";
    assert_eq!(masking.push(event), &event[..]);
    assert_eq!(masking.push(b"data: sk-can"), "data: ");
    assert_eq!(masking.push(b"dle"), "sk-candle");
}

#[test]
fn headers_are_masked_and_names_dropped() {
    let mut headers = HeaderMap::new();
    headers.insert(
        "location",
        "https://x/?key=sk-canary-1234&y".parse().unwrap(),
    );
    headers.insert("x-sk-canary-1234", "1".parse().unwrap());
    headers.insert("etag", "\"1\"".parse().unwrap());
    Mask::new(b"sk-Canary-1234").headers(&mut headers);
    assert_eq!(headers["location"], "https://x/?key=***&y");
    assert_eq!(headers["etag"], "\"1\"");
    assert_eq!(headers.len(), 2);
}

#[test]
fn a_value_that_repeats_itself_costs_no_more_than_another() {
    let value = "a".repeat(64 << 10);
    let mask = Arc::new(Mask::new(value.as_bytes()));
    let nearly = format!("{}b", &value[1..]);
    let begin = Instant::now();
    let mut masking = Masking::new(mask);
    let mut out = Vec::new();
    // In small parts, of which none may wait for the whole value.
    for part in nearly.repeat(8).as_bytes().chunks(8) {
        out.extend(masking.push(part));
    }
    out.extend(masking.push(value.as_bytes()));
    out.extend(masking.finish());
    assert_eq!(out, format!("{}***", "***b".repeat(8)).as_bytes());
    // Comparing each place with all of the value takes minutes.
    assert!(begin.elapsed() < Duration::from_secs(60));
}

/// Checks that a value which begins so is masked to its end where a part of it, in the same writing, stands before it.
fn behind_its_beginning(
    begin: &str,
    percent: usize,
    form: prop::sample::Index,
    cut: prop::sample::Index,
) {
    let value = format!("{begin}QRSTUVWXYZ0123456789QRSTUVWXYZ9876543210");
    let forms = forms(&value);
    let written = form.get(&forms);
    let text = format!("{}{written}\n", &written[..written.len() * percent / 100]);
    let mask = Arc::new(Mask::new(value.as_bytes()));
    let mut masking = Masking::new(mask.clone());
    let (first, second) = text.as_bytes().split_at(cut.index(text.len()));
    let parts = [masking.push(first), masking.push(second), masking.finish()];
    let out = String::from_utf8(parts.concat()).unwrap();
    assert_eq!(
        out.as_bytes(),
        mask.whole(text.as_bytes()).unwrap_or_default()
    );
    let end = &written[written.len() - 24..written.len() - 4];
    assert!(!out.contains(end), "{end} in {out}");
}

proptest! {
    #[test]
    fn a_value_behind_its_own_beginning_is_taken_out(
        unit in "[a-z%&\\\\]{1,3}", times in 20_usize..60, more in 0_usize..90, form in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
    ) {
        behind_its_beginning(&unit.repeat(times), more, form, cut);
    }

    #[test]
    fn other_text_passes_unchanged(text in any::<Vec<u8>>(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4)) {
        let mask = Arc::new(Mask::new(VALUE.as_bytes()));
        let mut masking = Masking::new(mask);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.sort_unstable();
        let (mut out, mut from) = (Vec::new(), 0);
        for cut in cuts.into_iter().chain([text.len()]) {
            out.extend(masking.push(&text[from..cut]));
            from = cut;
        }
        out.extend(masking.finish());
        prop_assert_eq!(out, text);
    }

    #[test]
    fn any_value_is_taken_out_of_any_text(value in "[ -~]{8,40}", before in "[ -~]{0,9}", form in any::<prop::sample::Index>()) {
        let forms = forms(&value);
        let text = format!("{before}\n{}\n", form.get(&forms));
        let masked = whole(&value, text.as_bytes());
        let masked = String::from_utf8(masked).unwrap();
        let line = masked.rsplit('\n').nth(1).unwrap_or_default();
        prop_assert!(line.contains("***"), "{} in {}", value, masked);
    }
}
