//! The platform's XML, read within bounds: elements and text, and nothing that could do harm.

use super::Error;
use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};
use std::collections::HashMap;

/// The longest push that is read, in bytes. The longest text (2,048 bytes), encrypted and beside
/// its plain form, has a tenth of that.
pub const MAX_BYTES: usize = 64 << 10;

/// Elements in elements. The deepest push is `xml/SendPicsInfo/PicList/item/PicMd5Sum`: five.
pub const MAX_DEPTH: usize = 8;

/// A reason holds what was sent, which may be long.
const MAX_REASON: usize = 200;

/// What an element holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Text(String),
    Group(Fields),
    /// Elements of one name under one parent.
    List(Vec<Content>),
}

/// Elements by name, in the order of their first appearance.
pub(super) type Fields = Vec<(String, Content)>;

/// The elements under `<xml>`.
///
/// Bytes that are not UTF-8 become U+FFFD. Comments are passed over, attributes too; a document
/// type, an instruction, an entity of its own, text beside elements are refused.
pub(super) fn parse(xml: &[u8]) -> Result<Fields, Error> {
    if xml.len() > MAX_BYTES {
        return Err(Error::TooLong { bytes: xml.len(), max: MAX_BYTES });
    }
    let text = String::from_utf8_lossy(xml);
    let text = text.trim_start_matches('\u{FEFF}');
    let mut reader = Reader::from_str(text);
    let mut tree = Tree::default();
    loop {
        let at = reader.buffer_position();
        let event =
            reader.read_event().map_err(|error| not_xml(reader.error_position(), &error.to_string()))?;
        match event {
            Event::Start(start) => tree.open(&start, at)?,
            Event::End(_) => tree.close(at)?,
            Event::Empty(start) => {
                tree.open(&start, at)?;
                tree.close(at)?;
            }
            Event::Text(text) => tree.text(&text.into_inner(), at)?,
            Event::CData(text) => tree.cdata(&text.into_inner(), at)?,
            Event::GeneralRef(reference) => {
                let char = match reference.resolve_char_ref() {
                    Ok(Some(char)) => Some(char).filter(|char| !is_forbidden(*char)),
                    Ok(None) => predefined(&reference),
                    Err(error) => return Err(not_xml(at, &error.to_string())),
                };
                let Some(char) = char else { return Err(Error::Entity { name: cut(&reference) }) };
                tree.text(char.encode_utf8(&mut [0; 4]), at)?;
            }
            Event::Decl(_) if at == 0 => {}
            Event::Decl(_) | Event::PI(_) => {
                return Err(Error::Forbidden { what: "a processing instruction" });
            }
            Event::DocType(_) => return Err(Error::Forbidden { what: "a document type" }),
            Event::Comment(_) => {}
            Event::Eof => return tree.end(at),
        }
    }
}

/// What XML 1.0 cannot carry, escaped or not.
fn is_forbidden(char: char) -> bool {
    matches!(char, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{FFFE}' | '\u{FFFF}')
}

/// Text without what XML 1.0 cannot carry. The platform pushes such characters as a follower typed them, so a reply that
/// repeats a message has them too.
pub(super) fn without_forbidden(text: &str) -> String {
    text.replace(is_forbidden, "")
}

/// Text as a CDATA section, which XML takes letter by letter; `]]>` in it is cut in two, each half in a
/// section of its own.
#[must_use]
pub fn cdata(text: &str) -> String {
    format!("<![CDATA[{}]]>", text.replace("]]>", "]]]]><![CDATA[>"))
}

fn predefined(name: &str) -> Option<char> {
    Some(match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "apos" => '\'',
        "quot" => '"',
        _ => return None,
    })
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_REASON).collect()
}

fn not_xml(at: u64, reason: &str) -> Error {
    Error::NotXml { at, reason: cut(reason) }
}

/// An element whose end has not come yet.
#[derive(Default)]
struct Open {
    name: String,
    text: String,
    /// Its text is in a CDATA section, so that bare space around it is layout.
    has_cdata: bool,
    fields: Fields,
    /// Where a name is in `fields`.
    index: HashMap<String, usize>,
}

impl Open {
    fn has_text(&self) -> bool {
        self.has_cdata || !self.text.trim().is_empty()
    }

    fn add(&mut self, name: String, content: Content) {
        if let Some((_, before)) = self.index.get(&name).and_then(|at| self.fields.get_mut(*at)) {
            if let Content::List(list) = before {
                list.push(content);
            } else {
                let first = std::mem::replace(before, Content::List(Vec::new()));
                *before = Content::List(vec![first, content]);
            }
            return;
        }
        self.index.insert(name.clone(), self.fields.len());
        self.fields.push((name, content));
    }
}

/// The document as far as it is read.
#[derive(Default)]
struct Tree {
    open: Vec<Open>,
    root: Option<Fields>,
}

impl Tree {
    fn open(&mut self, start: &BytesStart, at: u64) -> Result<(), Error> {
        let name = start.name().0;
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)) {
            return Err(not_xml(at, &format!("`{name}` is no name of an element")));
        }
        if self.open.len() == MAX_DEPTH {
            return Err(Error::TooDeep { max: MAX_DEPTH });
        }
        match self.open.last_mut() {
            None if self.root.is_some() => return Err(not_xml(at, "something follows the end of `xml`")),
            None if name != "xml" => {
                return Err(not_xml(at, &format!("the outermost element is `{name}`, not `xml`")));
            }
            None => {}
            Some(parent) if parent.has_text() => {
                return Err(not_xml(at, &format!("`{}` has text beside elements", parent.name)));
            }
            // What was before its first element is layout, and is looked at once only.
            Some(parent) => parent.text.clear(),
        }
        self.open.push(Open { name: name.to_owned(), ..Open::default() });
        Ok(())
    }

    fn close(&mut self, at: u64) -> Result<(), Error> {
        // The reader has compared the names.
        let Some(closed) = self.open.pop() else { return Err(not_xml(at, "nothing is open here")) };
        let content = if closed.fields.is_empty() {
            Content::Text(closed.text)
        } else if closed.has_text() {
            return Err(not_xml(at, &format!("`{}` has text beside elements", closed.name)));
        } else {
            Content::Group(closed.fields)
        };
        match (self.open.last_mut(), content) {
            (Some(parent), content) => parent.add(closed.name, content),
            (None, Content::Group(fields)) => self.root = Some(fields),
            (None, Content::Text(text)) if text.trim().is_empty() => self.root = Some(Vec::new()),
            (None, _) => return Err(not_xml(at, "`xml` has no elements")),
        }
        Ok(())
    }

    fn text(&mut self, text: &str, at: u64) -> Result<(), Error> {
        let is_layout = text.trim().is_empty();
        match self.open.last_mut() {
            Some(element) if is_layout && (element.has_cdata || !element.fields.is_empty()) => {}
            Some(element) => element.text.push_str(text),
            None if is_layout => {}
            None => return Err(not_xml(at, "there is text outside of `xml`")),
        }
        Ok(())
    }

    fn cdata(&mut self, text: &str, at: u64) -> Result<(), Error> {
        let Some(element) = self.open.last_mut() else {
            return Err(not_xml(at, "there is text outside of `xml`"));
        };
        if !element.has_text() {
            element.text.clear();
        }
        element.has_cdata = true;
        element.text.push_str(text);
        Ok(())
    }

    fn end(self, at: u64) -> Result<Fields, Error> {
        match (self.open.last(), self.root) {
            (Some(open), _) => Err(not_xml(at, &format!("`{}` has no end", open.name))),
            (None, Some(fields)) => Ok(fields),
            (None, None) => Err(not_xml(at, "there is no `xml` in it")),
        }
    }
}
