//! The nearest known name to a mistyped one, by the rule BuildKit uses (edit distance below 3).

/// The nearest of `known` to `given`, if it is close enough; `None` for an exact match. The first of equals
/// wins (BuildKit's own choice among equals is random).
pub(crate) fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut best = None;
    let mut least = 3;
    for name in known {
        let distance = edit_distance(given, name);
        if distance == 0 {
            return None;
        }
        if distance < least {
            least = distance;
            best = Some(name);
        }
    }
    best
}

fn edit_distance(left: &str, right: &str) -> usize {
    if left.len() > 64 {
        return usize::MAX;
    }
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, r) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(l != *r);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_edits_are_near_and_three_are_not() {
        assert_eq!(nearest("foo", ["add", "from", "run"]), Some("from"));
        assert_eq!(nearest("nope", ["from", "chown"]), None);
        assert_eq!(nearest("run", ["add", "run"]), None);
    }
}
