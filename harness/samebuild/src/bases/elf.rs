//! Whether a program needs nothing but the kernel. Only as much of ELF is read as that takes.

/// `Ok` if `bytes` is a 64-bit little-endian ELF program without an interpreter, that is, statically linked.
///
/// # Errors
/// Why not, in words.
pub(super) fn is_static(bytes: &[u8]) -> Result<(), String> {
    const PT_INTERP: u32 = 3;
    if !bytes.starts_with(b"\x7fELF") {
        return Err("it is no ELF program".to_owned());
    }
    if bytes.get(4..6) != Some(&[2, 1]) {
        return Err("it is not a 64-bit little-endian program".to_owned());
    }
    let half = |at: usize| bytes.get(at..at + 2).map(|b| u64::from(u16::from_le_bytes([b[0], b[1]])));
    let truncated = || "it is truncated".to_owned();
    let table =
        bytes.get(32..40).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes).ok_or_else(truncated)?;
    let (size, count) = (half(54).ok_or_else(truncated)?, half(56).ok_or_else(truncated)?);
    for index in 0..count {
        let start =
            table.checked_add(index * size).and_then(|at| usize::try_from(at).ok()).ok_or_else(truncated)?;
        let end = start.checked_add(4).ok_or_else(truncated)?;
        let kind = bytes.get(start..end).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
        if kind.ok_or_else(truncated)? == PT_INTERP {
            return Err("it is dynamically linked".to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with one program header of this kind.
    fn program(kind: u32) -> Vec<u8> {
        let mut bytes = vec![0; 64 + 56];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = 1;
        bytes[64..68].copy_from_slice(&kind.to_le_bytes());
        bytes
    }

    #[test]
    fn an_interpreter_makes_a_program_dynamic() {
        assert_eq!(is_static(&program(1)), Ok(()));
        assert!(is_static(&program(3)).unwrap_err().contains("dynamically"));
    }

    #[test]
    fn what_is_no_program_or_ends_early_is_refused() {
        assert!(is_static(b"#!/bin/sh\n").is_err());
        assert!(is_static(&program(1)[..60]).unwrap_err().contains("truncated"));
        assert!(is_static(&program(1)[..66]).unwrap_err().contains("truncated"));
        let mut far = program(1);
        far[32..40].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(is_static(&far).is_err());
    }
}
