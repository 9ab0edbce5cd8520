//! Comma separated fields as Go's `encoding/csv` reads them: `RUN --mount` is written so.

/// The fields of one record, or Go's complaint.
pub(crate) fn fields(text: &str) -> Result<Vec<String>, &'static str> {
    if text.is_empty() {
        return Err("EOF");
    }
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                if rest[..end].contains('"') {
                    return Err("bare \" in non-quoted-field");
                }
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None => return Ok(fields),
        }
    }
}

/// After an opening quote: the field, and what follows its closing quote.
fn quoted_field(text: &str) -> Result<(String, &str), &'static str> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let at = rest.find('"').ok_or("extraneous or missing \" in quoted-field")?;
        field.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('"') {
            field.push('"');
            rest = after;
        } else if rest.is_empty() || rest.starts_with(',') {
            return Ok((field, rest));
        } else {
            return Err("extraneous or missing \" in quoted-field");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_may_be_quoted_as_a_whole_only() {
        assert_eq!(fields("a,b=c,"), Ok(vec!["a".to_owned(), "b=c".to_owned(), String::new()]));
        assert_eq!(fields("\"a,\"\"b\"\"\",c"), Ok(vec!["a,\"b\"".to_owned(), "c".to_owned()]));
        assert_eq!(fields("a\"b\""), Err("bare \" in non-quoted-field"));
        assert_eq!(fields("\"a"), Err("extraneous or missing \" in quoted-field"));
        assert_eq!(fields("\"a\"b"), Err("extraneous or missing \" in quoted-field"));
        assert_eq!(fields(""), Err("EOF"));
    }
}
