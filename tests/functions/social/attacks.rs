//! Texts that attack a page.

use crate::functions::social::town::{Town, text};
use anyhow::Result;

/// Ways around sanitisers, and attributes that steer a page.
const ATTACKS: [&str; 14] = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<iframe srcdoc=\"<script>alert(1)</script>\"></iframe>",
    "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=alert(1)&gt;\">",
    "<a href=\"javascript:alert(1)\">x</a>",
    "[x](javascript:alert(1))",
    "[x](data:text/html,<script>alert(1)</script>)",
    "![x](javascript:alert(1))",
    "<div hx-get=/api/users/me hx-trigger=load data-hx-on=x>x</div>",
    "<p style=\"position:fixed\" class=\"modal\" id=\"main\">x</p>",
    "<form action=javascript:alert(1)><button>x</button></form>",
    "<base href=//evil.example><meta http-equiv=refresh content=0>",
    "[x](https://e.example \"\\\" onmouseover=\\\"alert(1)\")",
];

#[tokio::test]
async fn no_text_of_a_post_or_comment_acts_on_a_page() -> Result<()> {
    let town = Town::new().await?;
    let allowed = [
        "a",
        "b",
        "blockquote",
        "br",
        "code",
        "del",
        "em",
        "h1",
        "hr",
        "i",
        "li",
        "ol",
        "p",
        "pre",
        "s",
        "strong",
        "sub",
        "sup",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "tr",
        "ul",
    ];
    for attack in ATTACKS {
        let title = attack.replace('\n', " ");
        let (path, post) = town.post(&town.ada, &title, attack).await?;
        let comment = town.comment(&town.bob, &path, attack, None).await?;
        for html in [text(&post, "html")?, text(&comment, "html")?] {
            for tag in html.split('<').skip(1) {
                let tag = tag
                    .trim_start_matches('/')
                    .split('>')
                    .next()
                    .unwrap_or_default();
                let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
                assert!(allowed.contains(&name), "{name} in {html}");
                for bad in [
                    "javascript:",
                    "data:",
                    "hx-",
                    "style=",
                    "class=",
                    "id=",
                    " on",
                ] {
                    let values: Vec<_> = attributes.split('"').step_by(2).collect();
                    let is_url = bad.ends_with(':');
                    let found = match is_url {
                        true => attributes.contains(&format!("href=\"{bad}")),
                        false => values.concat().contains(bad),
                    };
                    assert!(!found, "{bad} in {html}");
                }
            }
        }
    }
    Ok(())
}
