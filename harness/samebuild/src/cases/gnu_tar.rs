//! Tar as GNU tar writes it with `--format=gnu --numeric-owner`: the base image's layer and the archives of ADD cases
//! must come out byte for byte as that program makes them. What an image builder writes is `samebuild-image`'s.

/// One member, its path verbatim (`./bin/`).
pub(crate) struct Member<'a> {
    pub(crate) path: &'a [u8],
    pub(crate) what: What<'a>,
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    /// Seconds since 1970.
    pub(crate) mtime: i64,
}

pub(crate) enum What<'a> {
    File(&'a [u8]),
    Dir,
    Symlink(&'a [u8]),
    Hardlink(&'a [u8]),
    Char(u32, u32),
    Block(u32, u32),
    Fifo,
}

/// Collects an archive in memory.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

const BLOCK: usize = 512;
/// GNU tar fills up to a record of twenty blocks.
const RECORD: usize = 20 * BLOCK;

impl Writer {
    /// Adds a member.
    ///
    /// # Errors
    /// A name over 100 bytes or a number that its field cannot hold, in words: GNU tar has extensions for these, which
    /// nothing here has needed.
    pub(crate) fn append(&mut self, member: &Member) -> Result<(), String> {
        let (flag, link, content): (u8, &[u8], &[u8]) = match &member.what {
            What::File(content) => (b'0', b"", content),
            What::Hardlink(target) => (b'1', target, b""),
            What::Symlink(target) => (b'2', target, b""),
            What::Char(..) => (b'3', b"", b""),
            What::Block(..) => (b'4', b"", b""),
            What::Dir => (b'5', b"", b""),
            What::Fifo => (b'6', b"", b""),
        };
        let mut header = [0; BLOCK];
        text(&mut header[..100], "path", member.path)?;
        octal(&mut header[100..108], "mode", u64::from(member.mode))?;
        octal(&mut header[108..116], "uid", member.uid)?;
        octal(&mut header[116..124], "gid", member.gid)?;
        octal(&mut header[124..136], "size", content.len() as u64)?;
        let mtime = u64::try_from(member.mtime).map_err(|_| "mtime before 1970 does not fit a GNU header")?;
        octal(&mut header[136..148], "mtime", mtime)?;
        header[156] = flag;
        text(&mut header[157..257], "link", link)?;
        header[257..265].copy_from_slice(b"ustar  \0");
        if let What::Char(major, minor) | What::Block(major, minor) = member.what {
            octal(&mut header[329..337], "major", u64::from(major))?;
            octal(&mut header[337..345], "minor", u64::from(minor))?;
        }
        header[148..156].fill(b' ');
        let sum: u64 = header.iter().map(|b| u64::from(*b)).sum();
        octal(&mut header[148..155], "checksum", sum)?;
        self.0.extend_from_slice(&header);
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
        Ok(())
    }

    /// The archive, ended and filled up to a whole record.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.0.resize((self.0.len() + 2 * BLOCK).next_multiple_of(RECORD), 0);
        self.0
    }
}

fn text(field: &mut [u8], what: &str, value: &[u8]) -> Result<(), String> {
    if value.len() > field.len() {
        return Err(format!(
            "{what} of {} bytes does not fit the {} of a GNU header",
            value.len(),
            field.len()
        ));
    }
    field[..value.len()].copy_from_slice(value);
    Ok(())
}

/// Zero-padded octal digits and a NUL.
fn octal(field: &mut [u8], what: &str, value: u64) -> Result<(), String> {
    let digits = field.len() - 1;
    let text = format!("{value:0digits$o}");
    if text.len() > digits {
        return Err(format!("{what} {value} does not fit the {digits} octal digits of a GNU header"));
    }
    field[..digits].copy_from_slice(text.as_bytes());
    field[digits] = 0;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member<'a>(path: &'a str, what: What<'a>) -> Member<'a> {
        Member { path: path.as_bytes(), what, mode: 0o750, uid: 7, gid: 8, mtime: 1_262_304_000 }
    }

    #[test]
    fn another_reader_sees_what_was_written() {
        let mut writer = Writer::default();
        writer.append(&member("q/", What::Dir)).unwrap();
        writer.append(&member("q/f", What::File(b"f\n"))).unwrap();
        writer.append(&member("q/h", What::Hardlink(b"q/f"))).unwrap();
        writer.append(&member("q/n", What::Char(1, 3))).unwrap();
        let bytes = writer.finish();
        assert_eq!(bytes.len(), RECORD);
        let mut archive = tar::Archive::new(&bytes[..]);
        let seen: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                let link = header.link_name().unwrap().unwrap_or_default().display().to_string();
                format!(
                    "{} {:?} {:o} {}:{} {} {} {link}",
                    header.path().unwrap().display(),
                    header.entry_type(),
                    header.mode().unwrap(),
                    header.uid().unwrap(),
                    header.gid().unwrap(),
                    header.size().unwrap(),
                    header.mtime().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                "q/ Directory 750 7:8 0 1262304000 ",
                "q/f Regular 750 7:8 2 1262304000 ",
                "q/h Link 750 7:8 0 1262304000 q/f",
                "q/n Char 750 7:8 0 1262304000 ",
            ]
        );
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let long = "n".repeat(101);
        assert!(Writer::default().append(&member(&long, What::Dir)).unwrap_err().contains("101 bytes"));
        let far = Member { uid: 1 << 21, ..member("a", What::Fifo) };
        assert!(Writer::default().append(&far).unwrap_err().contains("uid"));
    }
}
