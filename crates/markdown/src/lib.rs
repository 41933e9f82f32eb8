//! Users' Markdown, rendered once, when it is written: sanitised HTML, the plain text, and the mentioned names. Also how
//! the words of a text are found again.
//!
//! The HTML has no attributes that steer a page (`id`, `class`, `style`, `data-*`, `hx-*`), loads nothing, and nests at
//! most [`MAX_DEPTH`] deep, because later readers have small stacks.

use std::fmt;
use std::sync::LazyLock;

use ammonia::{Builder, UrlRelative};
use pulldown_cmark::html::write_html_fmt;
use pulldown_cmark::{CowStr, Event, LinkType, Options, Parser, Tag, TagEnd, TextMergeStream};

mod mention;
mod message;
mod raw;
mod words;

pub use message::{cut, message};
pub use words::{folded, patterns, steers};

/// The largest source that is rendered, in bytes.
pub const MAX_SOURCE_BYTES: usize = 128 * 1024;
/// The largest HTML that a text may become, in bytes.
pub const MAX_HTML_BYTES: usize = 512 * 1024;
/// The deepest nesting of elements.
pub const MAX_DEPTH: usize = 32;
/// The largest number of different names that are reported as mentioned.
pub const MAX_MENTIONS: usize = 50;

/// A rendered text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Sanitised HTML.
    pub html: String,
    /// The text without markup, for search and previews.
    pub plain: String,
    /// The names after `@`, in lower case, each once, in order. Names in code are ignored.
    pub mentions: Vec<String>,
}

/// The reason why a text is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The elements nest deeper than [`MAX_DEPTH`].
    TooDeep,
    /// The text, or its HTML, is too large.
    TooLarge,
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::TooDeep => "nests too deeply: 32 levels are allowed",
            Self::TooLarge => "is too large",
        })
    }
}

impl std::error::Error for Refused {}

/// Renders a text.
///
/// Images become links, so that reading a text requests nothing from other sites. HTML in the text keeps the elements
/// that Markdown has too. Text that merely looks like a tag, such as `Vec<T>`, stays text.
///
/// # Errors
/// The text is too large or nests too deeply.
pub fn render(text: &str) -> Result<Rendered, Refused> {
    if text.len() > MAX_SOURCE_BYTES {
        return Err(Refused::TooLarge);
    }
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let parser = TextMergeStream::new(Parser::new_ext(text, options));
    let mut reader = Reader::default();
    let mut html = Limited(String::with_capacity(text.len() * 3 / 2));
    let events = parser.filter_map(|event| reader.take(event));
    // The writer refuses output that is too large; no other failure is possible here.
    let written = write_html_fmt(&mut html, events);
    if reader.too_deep {
        return Err(Refused::TooDeep);
    }
    written.map_err(|_| Refused::TooLarge)?;
    let html = SANITISER.clean(&html.0).to_string();
    if html.len() > MAX_HTML_BYTES {
        return Err(Refused::TooLarge);
    }
    let plain = reader.plain.trim_end().to_owned();
    let mentions = reader.mentions;
    Ok(Rendered {
        html,
        plain,
        mentions,
    })
}

/// A text with a size limit. Without it, tables could become huge, since the cells that a row lacks are written out.
struct Limited(String);

impl fmt::Write for Limited {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        if self.0.len() + more.len() > MAX_HTML_BYTES {
            return Err(fmt::Error);
        }
        self.0.push_str(more);
        Ok(())
    }
}

/// Reads the events once: tracks their nesting, turns images into links, and collects text and mentions.
#[derive(Default)]
struct Reader {
    depth: usize,
    raw: raw::Depth,
    too_deep: bool,
    /// The number of open links and images. Nested ones become plain text.
    links: usize,
    in_code: bool,
    plain: String,
    mentions: Vec<String>,
}

impl Reader {
    /// Returns the event to write instead of one, if any. After a refusal it returns none.
    fn take<'a>(&mut self, event: Event<'a>) -> Option<Event<'a>> {
        if self.too_deep {
            return None;
        }
        let event = match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Html(tag) | Event::InlineHtml(tag) => Some(self.html(tag)),
            Event::Text(text) => {
                self.text(&text);
                Some(Event::Text(text))
            }
            Event::Code(code) => {
                self.plain.push_str(&code);
                Some(Event::Code(code))
            }
            Event::SoftBreak | Event::HardBreak => {
                self.plain.push('\n');
                Some(event)
            }
            other => Some(other),
        };
        self.too_deep |= self.depth + self.raw.levels() > MAX_DEPTH;
        event.filter(|_| !self.too_deep)
    }

    fn start<'a>(&mut self, tag: Tag<'a>) -> Option<Event<'a>> {
        self.depth += 1;
        match tag {
            Tag::Image {
                dest_url, title, ..
            } => self.open_link(Tag::Link {
                link_type: LinkType::Inline,
                dest_url,
                title,
                id: CowStr::Borrowed(""),
            }),
            link @ Tag::Link { .. } => self.open_link(link),
            Tag::CodeBlock(kind) => {
                self.in_code = true;
                Some(Event::Start(Tag::CodeBlock(kind)))
            }
            other => Some(Event::Start(other)),
        }
    }

    fn open_link<'a>(&mut self, link: Tag<'a>) -> Option<Event<'a>> {
        self.links += 1;
        (self.links == 1).then_some(Event::Start(link))
    }

    fn end<'a>(&mut self, tag: TagEnd) -> Option<Event<'a>> {
        self.depth = self.depth.saturating_sub(1);
        match tag {
            TagEnd::Link | TagEnd::Image => {
                self.links = self.links.saturating_sub(1);
                (self.links == 0).then_some(Event::End(TagEnd::Link))
            }
            TagEnd::CodeBlock => {
                self.in_code = false;
                self.end_block();
                Some(Event::End(tag))
            }
            TagEnd::TableCell => {
                self.plain.push(' ');
                Some(Event::End(tag))
            }
            TagEnd::Paragraph
            | TagEnd::Heading(_)
            | TagEnd::Item
            | TagEnd::TableHead
            | TagEnd::TableRow
            | TagEnd::HtmlBlock => {
                self.end_block();
                Some(Event::End(tag))
            }
            other => Some(Event::End(other)),
        }
    }

    fn end_block(&mut self) {
        if !self.plain.is_empty() && !self.plain.ends_with('\n') {
            self.plain.push('\n');
        }
    }

    /// Keeps tags of HTML for the sanitiser to judge; other tags are text.
    fn html<'a>(&mut self, tag: CowStr<'a>) -> Event<'a> {
        if raw::is_html(&tag) {
            raw::push_text(&tag, &mut self.plain);
            self.raw.count(&tag);
            return Event::InlineHtml(tag);
        }
        self.text(&tag);
        Event::Text(tag)
    }

    fn text(&mut self, text: &str) {
        if !self.in_code {
            mention::collect(text, &mut self.mentions);
        }
        self.plain.push_str(text);
    }
}

/// The elements that remain. Their only attributes are those of links, and the start of an ordered list.
static SANITISER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let tags = [
        "a",
        "b",
        "blockquote",
        "br",
        "code",
        "del",
        "em",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "i",
        "kbd",
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
    let mut builder = Builder::default();
    builder
        .tags(tags.into())
        .generic_attributes([].into())
        .tag_attributes([("a", ["href", "title"].into()), ("ol", ["start"].into())].into())
        .url_schemes(["http", "https", "mailto"].into())
        .url_relative(UrlRelative::PassThrough)
        .link_rel(Some("nofollow noopener ugc"));
    builder
});

#[cfg(test)]
mod tests;
