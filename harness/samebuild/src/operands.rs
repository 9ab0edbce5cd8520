//! What `samebuild diff` is given: images wherever they are, a layer alone, a directory. Opens them as far as a comparison
//! needs; what they differ in is `samebuild-compare`'s question.

use std::path::Path;

use anyhow::Result;
use samebuild_compare::{Comparison, Options, compare_stored};
use samebuild_image::Stored;

use crate::stored::find_image;

/// Something to compare.
pub(crate) struct Operand {
    /// As it was named.
    pub(crate) name: String,
    pub(crate) stored: Stored,
}

/// Opens what `name` names.
///
/// # Errors
/// There is no such thing, or it is damaged; the text says what is accepted.
pub(crate) fn open(name: &str) -> Result<Operand> {
    let stored = find_image(Path::new(name))?;
    Ok(Operand { name: name.to_owned(), stored })
}

/// Compares two of them.
pub(crate) fn compare(left: &Operand, right: &Operand, options: &Options) -> Result<Comparison> {
    Ok(compare_stored(&left.stored, &right.stored, options)?)
}
