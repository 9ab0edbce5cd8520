//! The values a `case.toml` is made of: octal modes, moments, bytes. Each says in its error what is accepted.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// Permission bits, written in quotes as `chmod` takes them: `"0640"`, `"4755"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Octal(pub(crate) u32);

/// Bytes as pairs of hexadecimal digits; white space between them is for the reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hex(pub(crate) Vec<u8>);

/// A device's numbers, `"1:3"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Device {
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

/// A moment with its offset, unquoted: `2001-02-03T04:05:06Z`, fractions of a second allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Since 1970.
    pub(crate) secs: i64,
    pub(crate) nanos: u32,
}

const OCTAL: &str = "three or four octal digits in quotes, such as \"0640\"";
const HEX: &str = "pairs of hexadecimal digits in quotes, such as \"68 69 0a\"";
const DEVICE: &str = "two numbers in quotes, such as \"1:3\"";
const STAMP: &str = "a time with its offset and without quotes, such as 2001-02-03T04:05:06Z";

impl<'de> Deserialize<'de> for Octal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, OCTAL, |text| {
            let digits = (3..=4).contains(&text.len()) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
            digits.then(|| u32::from_str_radix(text, 8).ok()).flatten().map(Octal)
        })
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, HEX, |text| {
            let digits: String = text.split_whitespace().collect();
            hex::decode(digits).ok().map(Hex)
        })
    }
}

impl<'de> Deserialize<'de> for Device {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, DEVICE, |text| {
            let (major, minor) = text.split_once(':')?;
            Some(Device { major: major.parse().ok()?, minor: minor.parse().ok()? })
        })
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = toml::value::Datetime::deserialize(deserializer)
            .map_err(|_| D::Error::custom(format!("a value that is no time, expected {STAMP}")))?;
        let text = found.to_string();
        let moment = time::OffsetDateTime::parse(&text, &time::format_description::well_known::Rfc3339)
            .map_err(|_| D::Error::custom(format!("`{text}` is not {STAMP}")))?;
        Ok(Stamp { secs: moment.unix_timestamp(), nanos: moment.nanosecond() })
    }
}

/// A string that `parse` understands; `accepted` is what the error says otherwise.
fn text<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    accepted: &'static str,
    parse: fn(&str) -> Option<T>,
) -> Result<T, D::Error> {
    struct Text<T>(&'static str, fn(&str) -> Option<T>);
    impl<T> Visitor<'_> for Text<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            (self.1)(text).ok_or_else(|| E::custom(format!("`{text}` is not {}", self.0)))
        }
    }
    deserializer.deserialize_str(Text(accepted, parse))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Of<T> {
        v: T,
    }

    fn read<T: serde::de::DeserializeOwned>(value: &str) -> Result<T, String> {
        toml::from_str::<Of<T>>(&format!("v = {value}")).map(|of| of.v).map_err(|e| e.message().to_owned())
    }

    #[test]
    fn each_value_is_read_in_its_documented_form() {
        assert_eq!(read::<Octal>("\"4755\""), Ok(Octal(0o4755)));
        assert_eq!(read::<Hex>("\"68 69\\n0a\""), Ok(Hex(b"hi\n".to_vec())));
        assert_eq!(read::<Device>("\"1:3\""), Ok(Device { major: 1, minor: 3 }));
        assert_eq!(read::<Stamp>("1970-01-01T00:00:05.000000007Z"), Ok(Stamp { secs: 5, nanos: 7 }));
        assert_eq!(read::<Stamp>("1970-01-01T01:00:05+01:00"), Ok(Stamp { secs: 5, nanos: 0 }));
    }

    #[test]
    fn anything_else_is_an_error_that_says_what_is_accepted() {
        for bad in ["\"8\"", "\"0888\"", "640", "\"64\"", "\"00644\""] {
            assert!(read::<Octal>(bad).unwrap_err().contains("octal digits in quotes"), "{bad}");
        }
        assert!(read::<Hex>("\"6\"").unwrap_err().contains("hexadecimal"));
        assert!(read::<Device>("\"1\"").unwrap_err().contains("1:3"));
        for bad in ["\"2001-02-03\"", "2001-02-03", "2001-02-03T04:05:06", "5"] {
            assert!(read::<Stamp>(bad).unwrap_err().contains("without quotes"), "{bad}");
        }
    }
}
