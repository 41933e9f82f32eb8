use super::*;
use proptest::prelude::*;
use serde_json::Number;

#[test]
fn every_endpoint_is_in_the_document_with_words_and_a_schema() {
    for endpoint in &ENDPOINTS {
        let listed = endpoint.listed();
        assert!(
            listed["description"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{}",
            endpoint.name
        );
        assert_eq!(listed["inputSchema"]["type"], "object", "{}", endpoint.name);
        assert!(!listed.to_string().contains("$ref"), "{}", endpoint.name);
        let reads = endpoint.method == Method::GET;
        assert_eq!(
            listed["annotations"]["readOnlyHint"], reads,
            "{}",
            endpoint.name
        );
    }
    let search = ENDPOINTS[0].listed();
    assert!(
        search["inputSchema"]["properties"]["query"].is_object(),
        "{search:#}"
    );
    let rate = ENDPOINTS[2].listed();
    assert_eq!(
        rate["inputSchema"]["required"],
        json!(["name", "rating"]),
        "{rate:#}"
    );
}

#[test]
fn only_the_answers_to_ones_own_words_are_ones_own() {
    for name in OWN_WORDS.iter().chain(&MARKED_WORDS) {
        assert!(ENDPOINTS.iter().any(|one| one.name == *name), "{name}");
    }
    for endpoint in ENDPOINTS.iter().filter(|one| one.reads()) {
        assert!(
            endpoint.words() != Words::Own || endpoint.name == "who_am_i",
            "{}",
            endpoint.name
        );
    }
}

#[test]
fn arguments_stay_in_their_place() {
    let read = &ENDPOINTS[1];
    let call = |arguments: Value| read.request(arguments.as_object().cloned().unwrap_or_default());
    assert_eq!(
        call(json!({"name": "a/../../x?y#z"})),
        Ok(("/api/skills/a%2F..%2F..%2Fx%3Fy%23z".into(), None))
    );
    assert_eq!(
        call(json!({"name": ".."})),
        Ok(("/api/skills/%2E%2E".into(), None))
    );
    assert!(call(json!({})).is_err());
    assert!(call(json!({"name": "a", "other": 1})).is_err());
    let (path, _) = ENDPOINTS[0]
        .request(
            json!({"query": "a b&c", "limit": 5})
                .as_object()
                .cloned()
                .unwrap_or_default(),
        )
        .expect("a request");
    assert!(
        path.contains("limit=5") && path.contains("query=a+b%26c"),
        "{path}"
    );
    let (path, body) = ENDPOINTS[2]
        .request(
            json!({"name": "a", "rating": 5})
                .as_object()
                .cloned()
                .unwrap_or_default(),
        )
        .expect("a request");
    assert_eq!(
        (path.as_str(), body),
        ("/api/skills/a/reviews", Some(json!({"rating": 5})))
    );
    let (path, _) = ENDPOINTS[0]
        .request(
            json!({"limit": 5.0})
                .as_object()
                .cloned()
                .unwrap_or_default(),
        )
        .expect("a request");
    assert_eq!(path, "/api/skills?limit=5", "5.0 is an integer");
}

#[test]
fn whole_numbers_are_written_plainly_in_a_query() {
    let written = |json: &str| -> String {
        let arguments = serde_json::from_str(&format!("{{\"limit\": {json}}}"));
        let (path, _) = ENDPOINTS[0]
            .request(arguments.expect("JSON"))
            .expect("a request");
        path.replace("/api/skills?limit=", "")
    };
    for five in ["5", "5.0", "5e0", "0.5e1", "50E-1"] {
        assert_eq!(written(five), "5", "{five}");
    }
    for (json, text) in [
        ("1e3", "1000"),
        ("-4.0", "-4"),
        ("5.5", "5.5"),
        ("\"5.0\"", "5.0"),
        ("18446744073709551615", "18446744073709551615"),
    ] {
        assert_eq!(written(json), text, "{json}");
    }
}

proptest! {
    #[test]
    fn no_number_changes_its_value(number: f64) {
        let written = Number::from_f64(number).map(|number| plain(&number));
        let read = written.map(|text| text.parse::<f64>());
        prop_assert_eq!(read, Number::from_f64(number).map(|_| Ok(number)));
    }
}
