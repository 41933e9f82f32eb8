//! The form in which permissions name origins.

use super::*;

#[test]
fn an_origin_is_read_as_the_permissions_write_it() {
    let of = |uri: &str| origin(&uri.parse().unwrap());
    assert_eq!(
        of("https://A.example.org:443/x?y").as_deref(),
        Some("https://a.example.org")
    );
    assert_eq!(
        of("http://a.example.org:8080/").as_deref(),
        Some("http://a.example.org:8080")
    );
    assert_eq!(
        of("http://2130706433/").as_deref(),
        Some("http://127.0.0.1")
    );
    assert_eq!(of("http://0x7f.1/").as_deref(), Some("http://127.0.0.1"));
    assert_eq!(of("https://u:p@a.example.org/"), None);
}
