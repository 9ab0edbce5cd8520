//! The map of sizes of a layer: a bar for each of its directories, drawn to the scale of the other side's layer, so that two
//! cells beside each other can be compared by eye. Which layers stand beside each other is `html_layers.rs`'s affair.

use std::collections::BTreeMap;

use maud::{Markup, html};
use samebuild_compare::LayerShape;

use super::escape::visible;
use super::html_layers::human;

/// Bars of a layer; what is smaller is one more.
const BARS: usize = 10;
/// Of a bar with the space below it, in pixels.
const HEIGHT: usize = 17;

/// The bars of `layer`; nothing for a layer that was not opened.
pub(super) fn map(layer: &LayerShape, other: Option<&LayerShape>) -> Markup {
    let nothing = BTreeMap::new();
    let other = other.map_or(&nothing, |other| &other.directories);
    let widest = layer.directories.values().chain(other.values()).copied().max().unwrap_or(0).max(1);
    let bars = bars(&layer.directories);
    html! {
        @if !bars.is_empty() {
            svg.sizes width="100%" height=(bars.len() * HEIGHT) role="img" aria-label="sizes by directory" {
                @for (number, (name, bytes)) in bars.iter().enumerate() {
                    @let differs = name.as_ref().is_some_and(|name| other.get(name) != Some(bytes));
                    @let (label, size) = (label(name.as_deref()), human(*bytes));
                    g {
                        title { (visible(&label)) " " (bytes) " bytes" }
                        rect.differs[differs] x="0" y=(number * HEIGHT) rx="2" height=(HEIGHT - 2)
                            width={ (percent(*bytes, widest)) "%" } {}
                        text x="4" y=(number * HEIGHT + 11) { (visible(&label)) " " (size) }
                    }
                }
            }
        }
    }
}

/// A directory, or the rest, and its bytes.
type Bar = (Option<Vec<u8>>, u64);

/// The greatest first, the rest as one.
fn bars(directories: &BTreeMap<Vec<u8>, u64>) -> Vec<Bar> {
    let filled = directories.iter().filter(|(_, bytes)| **bytes > 0);
    let mut bars: Vec<Bar> = filled.map(|(name, bytes)| (Some(name.clone()), *bytes)).collect();
    bars.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let rest: u64 = bars.iter().skip(BARS).map(|(_, bytes)| bytes).sum();
    bars.truncate(BARS);
    if rest > 0 {
        bars.push((None, rest));
    }
    bars
}

fn label(name: Option<&[u8]>) -> String {
    name.map_or_else(|| "elsewhere".to_owned(), |name| format!("/{}", String::from_utf8_lossy(name)))
}

/// Of the widest, in percent with one digit, so that nothing that is there is invisible.
fn percent(bytes: u64, widest: u64) -> String {
    let tenths = (u128::from(bytes) * 1000 / u128::from(widest)).max(5);
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_directories_have_a_bar_each_and_the_rest_one() {
        let many: BTreeMap<Vec<u8>, u64> =
            (1..=15u64).map(|n| (format!("d{n:02}").into_bytes(), n)).collect();
        let told = bars(&many);
        assert_eq!(told.len(), BARS + 1);
        assert_eq!(told[0], (Some(b"d15".to_vec()), 15));
        assert_eq!(told[BARS], (None, 15), "1 to 5");
        assert_eq!(told.iter().map(|(_, bytes)| bytes).sum::<u64>(), many.values().sum::<u64>());
        assert!(bars(&BTreeMap::from([(b"empty".to_vec(), 0)])).is_empty());
        assert_eq!((percent(1, 3), percent(1, 1_000_000)), ("33.3".to_owned(), "0.5".to_owned()));
    }
}
