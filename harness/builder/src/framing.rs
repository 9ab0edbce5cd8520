//! Answers: how are bytes written so that they can be told apart again? Each behind its length, in 32 bits, big end first,
//! as all numbers of our own files. What the bytes are is known to who writes them: the cache's `fixes`, the disk's `index`.

/// Appends bytes behind their length.
pub(crate) fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend(bytes);
}

/// What [`put`] appended; none where less is there than its length says.
pub(crate) fn take<'b>(from: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = usize::try_from(u32::from_be_bytes(array(from)?)).ok()?;
    let (taken, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(taken)
}

/// So many bytes; none where fewer are there.
pub(crate) fn array<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(*taken)
}
