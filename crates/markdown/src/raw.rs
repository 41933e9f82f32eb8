//! HTML in Markdown, before the sanitiser processes it.

/// The elements of HTML that a text may contain, or try to. Tags with other names are not HTML.
const ELEMENTS: &str = " a abbr address applet area article aside audio b base bdi bdo blockquote body br button \
    canvas caption center cite code col colgroup data datalist dd del details dfn dialog dir div dl dt em embed \
    fieldset figcaption figure font footer form frame frameset h1 h2 h3 h4 h5 h6 head header hr html i iframe img \
    input ins kbd label legend li link main map mark marquee math menu meta meter nav noframes noscript object ol \
    optgroup option output p param picture plaintext pre progress q rp rt ruby s samp script search section select \
    slot small source span strike strong style sub summary sup svg table tbody td template textarea tfoot th thead \
    time title tr track tt u ul var video wbr xmp ";
/// The elements without an end tag.
const VOID: &str = " area base br col embed hr img input link meta param source track wbr ";

/// Whether the text begins with an HTML tag, or with something else between `<` and `>` that is never shown.
pub(crate) fn is_html(text: &str) -> bool {
    let text = text.trim_start();
    match text.strip_prefix('<') {
        // The middle of a block that began with a tag.
        None => true,
        Some(rest) if rest.starts_with(['!', '?']) => true,
        Some(rest) => is_one_of(ELEMENTS, name(rest.strip_prefix('/').unwrap_or(rest))),
    }
}

/// Adds the text between the tags.
pub(crate) fn push_text(html: &str, plain: &mut String) {
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        plain.push_str(&rest[..start]);
        let Some(end) = rest[start..].find('>') else {
            return;
        };
        rest = &rest[start + end + 1..];
    }
    plain.push_str(rest);
}

/// The upper bound of open elements: everything that begins with `<` and a name opens one, unless it is a void element.
#[derive(Default)]
pub(crate) struct Depth(usize);

impl Depth {
    pub(crate) fn levels(&self) -> usize {
        self.0
    }

    /// Counts the tags of a text. It stops when the nesting exceeds the limit.
    pub(crate) fn count(&mut self, html: &str) {
        for part in html.split('<').skip(1) {
            if part.starts_with('/') {
                self.0 = self.0.saturating_sub(1);
            } else if part.starts_with(|c: char| c.is_ascii_alphabetic())
                && !is_one_of(VOID, name(part))
            {
                self.0 += 1;
            }
            if self.0 > crate::MAX_DEPTH {
                return;
            }
        }
    }
}

fn name(tag: &str) -> &str {
    let end = tag.find(|c: char| !c.is_ascii_alphanumeric());
    &tag[..end.unwrap_or(tag.len())]
}

fn is_one_of(list: &str, name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !name.is_empty() && list.split(' ').any(|listed| listed == name)
}
