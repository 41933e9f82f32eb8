use super::*;
use proptest::prelude::*;
use std::time::{Duration, Instant};

fn html(text: &str) -> String {
    render(text).expect("rendered").html
}

#[test]
fn markdown_becomes_html() {
    assert_eq!(
        html("# Hi\n\n*a* **b** ~~c~~ `d`"),
        "<h1>Hi</h1>\n<p><em>a</em> <strong>b</strong> <del>c</del> <code>d</code></p>\n"
    );
    assert_eq!(
        html("[a](https://example.org/?a=1&b=2 \"t\")"),
        "<p><a href=\"https://example.org/?a=1&amp;b=2\" title=\"t\" rel=\"nofollow noopener ugc\">a</a></p>\n"
    );
    assert!(html("| a |\n|:-:|\n| b |").contains("<td>b</td>"));
    assert_eq!(html("3. a"), "<ol start=\"3\">\n<li>a</li>\n</ol>\n");
    assert_eq!(
        html("```rust\n<b>\n```"),
        "<pre><code>&lt;b&gt;\n</code></pre>\n"
    );
}

#[test]
fn what_only_looks_like_a_tag_is_text() {
    assert_eq!(
        html("Vec<String> and <T>\n\n<Foo>\nbar"),
        "<p>Vec&lt;String&gt; and &lt;T&gt;</p>\n&lt;Foo&gt;\nbar"
    );
    assert_eq!(html("a <b>bold</b> c"), "<p>a <b>bold</b> c</p>\n");
    assert_eq!(html("a < b > c"), "<p>a &lt; b &gt; c</p>\n");
}

#[test]
fn images_become_links_and_links_never_nest() {
    assert_eq!(
        html("![alt](https://example.org/a.png)"),
        "<p><a href=\"https://example.org/a.png\" rel=\"nofollow noopener ugc\">alt</a></p>\n"
    );
    let nested = html("[![alt](https://a.example/i.png)](https://b.example)");
    assert_eq!(nested.matches("<a ").count(), 1, "{nested}");
    let nested = html("![a [b](https://b.example) c](https://a.example)");
    assert_eq!(nested.matches("<a ").count(), 1, "{nested}");
}

#[test]
fn plain_text_is_what_one_reads() {
    let rendered = render(
        "# Title\n\nA *word*, `code` &amp; [link](https://x.example)\nnext\n\n- one\n- two\n\n<div>in</div>",
    )
    .expect("rendered");
    assert_eq!(
        rendered.plain,
        "Title\nA word, code & link\nnext\none\ntwo\nin"
    );
}

#[test]
fn code_mentions_nobody() {
    let text = "@ada *@bob* \\@eve `@in-code`\n\n    @indented\n\n```\n@fenced\n```\n[@linked](https://x.example/@url)";
    let rendered = render(text).expect("rendered");
    assert_eq!(rendered.mentions, ["ada", "bob", "eve", "linked"]);
}

/// Published ways around sanitisers, and attributes that steer this platform's pages.
const ATTACKS: &[&str] = &[
    "<script>alert(1)</script>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=alert(1)&gt;\">",
    "<math><annotation-xml encoding=\"text/html\"><style><img src=x onerror=alert(1)>",
    "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
    "<iframe srcdoc=\"<script>alert(1)</script>\"></iframe>",
    "<iframe src=javascript:alert(1)>",
    "<object data=javascript:alert(1)>",
    "<embed src=javascript:alert(1)>",
    "<form action=javascript:alert(1)><button>x</button></form>",
    "<button formaction=javascript:alert(1)>x",
    "<a href=\"javascript:alert(1)\">x</a>",
    "<a href=\" java\nscript:alert(1)\">x</a>",
    "<a href=\"&#106;avascript:alert(1)\">x</a>",
    "[x](javascript:alert(1))",
    "[x](java&#10;script:alert(1))",
    "[x](&#x6A;avascript:alert(1))",
    "[x](data:text/html,<script>alert(1)</script>)",
    "[x](vbscript:msgbox(1))",
    "<javascript:alert(1)>",
    "![x](javascript:alert(1))",
    "[a]: javascript:alert(1)\n\n[a]",
    "<base href=//evil.example>",
    "<link rel=stylesheet href=//evil.example>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<style>*{background:url(//evil.example)}</style>",
    "<p style=\"position:fixed\" class=\"modal\" id=\"main\">x</p>",
    "<div hx-get=/api/users/me hx-trigger=load data-hx-on=x>x</div>",
    "<b data-hx-post=/x HX-ON:click=alert(1) onclick=alert(1)>x</b>",
    "<a href=/x hx-boost=true target=_top ping=//evil.example download>x</a>",
    "<table background=//evil.example><td background=javascript:alert(1)>",
    "<video poster=//evil.example><source onerror=alert(1)></video>",
    "<input autofocus onfocus=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<template><script>alert(1)</script></template>",
    "<textarea></textarea><script>alert(1)</script>",
    "<title></title><script>alert(1)</script>",
    "<xmp><script>alert(1)</script></xmp>",
    "<plaintext><script>alert(1)</script>",
    "<!--><script>alert(1)</script>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml version=\"1.0\"?><script>alert(1)</script>",
    "`<script>alert(1)</script>`",
    "```\"><script>alert(1)</script>\n```",
    "``` x\" onmouseover=\"alert(1)\n```",
    "[x](https://e.example \"\\\" onmouseover=\\\"alert(1)\")",
    "| a |\n|---|\n| <script>alert(1)</script> |",
    "<a name=x id=x>y</a><a href=\"#x\">z</a>",
    "<T onclick=alert(1)>x</T>",
];

/// Each tag of the HTML, without its brackets.
fn tags(html: &str) -> Vec<&str> {
    html.split('<')
        .skip(1)
        .map(|part| part.split('>').next().unwrap_or_default())
        .collect()
}

/// Fails unless all of the HTML is what may be there, also as a browser reads it: one that mends what is not closed.
fn assert_harmless(html: &str) {
    assert_allowed(html);
    assert_allowed(&SANITISER.clean(html).to_string());
}

fn assert_allowed(html: &str) {
    let allowed = SANITISER.clone_tags();
    for tag in tags(html) {
        let tag = tag.trim_start_matches('/');
        let (name, attributes) = tag.split_once([' ', '/']).unwrap_or((tag, ""));
        assert!(allowed.contains(name), "<{tag}> in {html}");
        let mut rest = attributes.trim();
        while let Some((attribute, more)) = rest.split_once("=\"") {
            let (value, more) = more.split_once('"').expect("a quoted value");
            let attribute = attribute.trim();
            assert!(
                matches!(
                    (name, attribute),
                    ("a", "href" | "title" | "rel") | ("ol", "start")
                ),
                "{attribute} of <{tag}>"
            );
            if attribute == "href" {
                let scheme = value.split_once(':').map(|(scheme, _)| scheme);
                let is_known = scheme.is_none_or(|scheme| {
                    ["http", "https", "mailto"].contains(&scheme.to_ascii_lowercase().as_str())
                        // What begins otherwise is no scheme, but a path.
                        || scheme.contains(|c: char| !c.is_ascii_alphanumeric() && !"+.-".contains(c))
                });
                assert!(is_known, "{value}");
            }
            rest = more.trim();
        }
        assert_eq!(rest.trim_end_matches('/').trim(), "", "<{tag}>");
    }
}

#[test]
fn attacks_leave_nothing_that_acts() {
    for attack in ATTACKS {
        assert_harmless(&html(attack));
        for around in ["> ", "- ", "# ", "**", "x <b>"] {
            if let Ok(rendered) = render(&format!("{around}{attack}")) {
                assert_harmless(&rendered.html);
            }
        }
    }
}

#[test]
fn deep_nesting_is_refused() {
    for text in [
        ">".repeat(10_000),
        "- ".repeat(20_000),
        "<div>".repeat(5_000),
        "<p>".repeat(5_000),
        "<b>".repeat(33),
        "[".repeat(50_000),
        format!("{}a{}", "*".repeat(50_000), "*".repeat(50_000)),
        format!("{}x{}", "![".repeat(20_000), "](a)".repeat(20_000)),
    ] {
        let begin = Instant::now();
        if let Ok(rendered) = render(&text) {
            let mut depth = 0_usize;
            for tag in tags(&rendered.html) {
                if tag.starts_with('/') {
                    depth = depth.saturating_sub(1);
                } else if !tag.starts_with("br") && !tag.starts_with("hr") {
                    depth += 1;
                }
                assert!(depth <= MAX_DEPTH, "{depth}");
            }
        }
        assert!(begin.elapsed() < Duration::from_secs(5), "{}", &text[..20]);
    }
    for refused in [
        format!("{}x", ">".repeat(33)),
        "<div>".repeat(5_000),
        format!("{}x", "- ".repeat(40)),
    ] {
        assert!(
            render(&refused) == Err(Refused::TooDeep),
            "{}",
            &refused[..20]
        );
    }
    assert!(render(&">".repeat(15)).is_ok());
}

#[test]
fn what_grows_beyond_measure_is_refused() {
    let cells = "|a".repeat(10_000);
    let table = format!(
        "{cells}|\n{}|\n{}",
        "|-".repeat(10_000),
        "|\n".repeat(10_000)
    );
    assert!(render(&table).is_ok_and(|rendered| rendered.html.len() <= MAX_HTML_BYTES));
    assert!(render(&"&".repeat(MAX_SOURCE_BYTES)) == Err(Refused::TooLarge));
    assert_eq!(
        render(&"a".repeat(MAX_SOURCE_BYTES + 1)),
        Err(Refused::TooLarge)
    );
    assert!(render(&"a".repeat(MAX_SOURCE_BYTES)).is_ok());
}

proptest! {
    #[test]
    fn any_text_is_harmless(text in "\\PC{0,200}") {
        if let Ok(rendered) = render(&text) {
            assert_harmless(&rendered.html);
        }
    }

    #[test]
    fn any_mixture_of_marks_and_attacks_is_harmless(parts in prop::collection::vec(prop_oneof![
        prop::sample::select(ATTACKS).prop_map(str::to_owned),
        "[-*_`~<>!\\[\\]()#|\\\\\"'&;: \n\t/=a-c@]{0,12}",
    ], 0..8)) {
        if let Ok(rendered) = render(&parts.concat()) {
            assert_harmless(&rendered.html);
        }
    }
}
