//! Users' Markdown, rendered once, when it is written: sanitised HTML, the plain text, and who is mentioned. Also how
//! the words of a text are found again.
//!
//! The HTML has none of the attributes that steer a page (`id`, `class`, `style`, `data-*`, `hx-*`), loads nothing, and
//! nests at most [`MAX_DEPTH`] deep: later readers have small stacks.

use std::fmt;
use std::sync::LazyLock;

use ammonia::{Builder, UrlRelative};
use pulldown_cmark::html::write_html_fmt;
use pulldown_cmark::{CowStr, Event, LinkType, Options, Parser, Tag, TagEnd, TextMergeStream};

mod mention;
mod raw;
mod words;

pub use words::{folded, patterns, steers};

/// The largest source that is rendered.
pub const MAX_SOURCE_BYTES: usize = 128 * 1024;
/// The largest HTML that comes of it.
pub const MAX_HTML_BYTES: usize = 512 * 1024;
/// How deep elements may nest.
pub const MAX_DEPTH: usize = 32;
/// How many different names are told as mentioned.
pub const MAX_MENTIONS: usize = 50;

/// A text as pages show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Sanitised HTML.
    pub html: String,
    /// The text without its marks, for search and previews.
    pub plain: String,
    /// The names after `@`, in lower case, each once, in order. Code mentions nobody.
    pub mentions: Vec<String>,
}

/// Why a text is not rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Its elements nest deeper than [`MAX_DEPTH`].
    TooDeep,
    /// It, or the HTML that comes of it, is too large.
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
/// Images become links to them, so that reading a text asks nothing of another site. HTML in the text keeps those
/// elements that Markdown has too; what only looks like a tag, such as `Vec<T>`, is text.
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
    // The writer refuses what is too much, and nothing else fails here.
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

/// A text with a limit: the cells that a table's rows lack are written out, however few characters stand for them.
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

/// Goes over the events once: counts how deep they nest, turns images into links, collects text and mentions.
#[derive(Default)]
struct Reader {
    depth: usize,
    raw: raw::Depth,
    too_deep: bool,
    /// Links and images that are open: of those within another one, only the text is left.
    links: usize,
    in_code: bool,
    plain: String,
    mentions: Vec<String>,
}

impl Reader {
    /// The event to be written in place of one, if any. After a refusal, none: the rest is not looked at.
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

    /// Tags of HTML stay tags, for the sanitiser to judge; what is none of HTML's is the writer's text.
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

/// What remains of HTML. The attributes are those of links, and where an ordered list starts.
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
