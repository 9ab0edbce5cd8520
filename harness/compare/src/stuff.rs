//! A file's content as the rules see it: bytes of an image, or what a golden keeps of them. Equal digests are never opened.

use std::borrow::Cow;
use std::io::{self, Read};

use samebuild_image::golden::{Body, is_printable};
use samebuild_image::{At, Content};

/// A file's content.
#[derive(Clone, Copy, Debug)]
pub enum Stuff<'a> {
    Content(&'a Content),
    Body(&'a Body),
    /// Equal to this file of a base that is at hand.
    Base(&'a At, &'a Content),
}

impl Stuff<'_> {
    /// As goldens show it, without reading more than a short text: a digest only if it is known already.
    pub fn show(&self) -> String {
        let content = match self {
            Self::Body(body) => return body.to_string(),
            Self::Base(at, _) => return Body::Base((*at).clone()).to_string(),
            Self::Content(content) => content,
        };
        if let Some(text) = short_text(content) {
            return Body::Text(text).to_string();
        }
        match content.known_digest() {
            Some(digest) => Body::Sha256 { size: content.size(), digest }.to_string(),
            None => format!("{} bytes", content.size()),
        }
    }

    /// Whether both are the same content. Equal digests are never opened, nor is one place, nor different sizes; what is left is
    /// read in lock-step to the first difference, or digested where only one side has bytes.
    pub fn same(&self, other: &Stuff<'_>) -> io::Result<bool> {
        let (left, right) = match (Known::of(self), Known::of(other)) {
            (Known::Anything, _) | (_, Known::Anything) => return Ok(true),
            (Known::Base(left), Known::Base(right)) => return Ok(left == right),
            (Known::Base(_), _) | (_, Known::Base(_)) => return Ok(false),
            (Known::Bytes(left), Known::Bytes(right)) => (left, right),
        };
        if left.size() != right.size() {
            return Ok(false);
        }
        if left.is_same_place(&right) {
            return Ok(true);
        }
        if let (Some(left), Some(right)) = (left.known_digest(), right.known_digest()) {
            return Ok(left == right);
        }
        if left.has_bytes() && right.has_bytes() {
            lock_step(&left, &right)
        } else {
            Ok(left.digest()? == right.digest()?)
        }
    }
}

/// What is known about a content.
enum Known<'a> {
    /// Declared to depend on the run: equal to everything.
    Anything,
    Base(&'a At),
    Bytes(Cow<'a, Content>),
}

impl<'a> Known<'a> {
    fn of(stuff: &Stuff<'a>) -> Self {
        match stuff {
            Stuff::Content(content) | Stuff::Base(_, content) => Self::Bytes(Cow::Borrowed(content)),
            Stuff::Body(Body::Text(text)) => Self::Bytes(Cow::Owned(Content::inline(text.as_bytes()))),
            Stuff::Body(Body::Sha256 { size, digest }) => {
                Self::Bytes(Cow::Owned(Content::known(*digest, *size)))
            }
            Stuff::Body(Body::Base(at)) => Self::Base(at),
            Stuff::Body(Body::Volatile) => Self::Anything,
        }
    }
}

fn short_text(content: &Content) -> Option<String> {
    let bytes = content.has_bytes().then(|| content.read_up_to(Body::TEXT_MAX))?.ok()??;
    String::from_utf8(bytes).ok().filter(|text| is_printable(text))
}

/// Reads both to the first difference. A side that ends before its size is an error, not a difference.
pub(crate) fn lock_step(left: &Content, right: &Content) -> io::Result<bool> {
    const CHUNK: usize = 64 * 1024;
    let (mut left_reader, mut right_reader) = (left.open()?, right.open()?);
    let (mut left_chunk, mut right_chunk) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut rest = left.size();
    while rest > 0 {
        let n = usize::try_from(rest).unwrap_or(CHUNK).min(CHUNK);
        left_reader.read_exact(&mut left_chunk[..n])?;
        right_reader.read_exact(&mut right_chunk[..n])?;
        if left_chunk[..n] != right_chunk[..n] {
            return Ok(false);
        }
        rest -= n as u64;
    }
    Ok(true)
}
