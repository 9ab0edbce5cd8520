//! `security.capability`, read: which capabilities a program gets, in the words of getcap. Whether that matters is not asked.

/// `cap_net_raw+ep`, or `cap_net_raw+ep[rootid=1000]`; `None` where the bytes are no capabilities of any version.
pub(crate) fn decode(value: &[u8]) -> Option<String> {
    let word = |at: usize| -> Option<u32> {
        Some(u32::from_le_bytes(value.get(4 * at..4 * at + 4)?.try_into().ok()?))
    };
    let head = word(0)?;
    let (sets, root) = match (head >> 24, value.len()) {
        (1, 12) => (1, None),
        (2, 20) => (2, None),
        (3, 24) => (2, Some(word(5)?)),
        _ => return None,
    };
    let effective = head & 1 == 1;
    let set = |first: usize| -> Option<u64> {
        let low = u64::from(word(first)?);
        let high = if sets == 2 { u64::from(word(first + 2)?) } else { 0 };
        Some(low | high << 32)
    };
    let (permitted, inheritable) = (set(1)?, set(2)?);
    let flags = |bit: u64| {
        let (p, i) = (permitted >> bit & 1 == 1, inheritable >> bit & 1 == 1);
        let e = effective && (p || i);
        [(e, 'e'), (i, 'i'), (p, 'p')]
            .into_iter()
            .filter(|(is, _)| *is)
            .map(|(_, flag)| flag)
            .collect::<String>()
    };
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for bit in (0..64).filter(|bit| (permitted | inheritable) >> bit & 1 == 1) {
        let name = NAMES.get(bit as usize).map_or_else(|| bit.to_string(), |name| format!("cap_{name}"));
        let flags = flags(bit);
        match groups.iter_mut().find(|(other, _)| *other == flags) {
            Some((_, names)) => names.push(name),
            None => groups.push((flags, vec![name])),
        }
    }
    let groups: Vec<String> =
        groups.into_iter().map(|(flags, names)| format!("{}+{flags}", names.join(","))).collect();
    let text = if groups.is_empty() { "none".to_owned() } else { groups.join(";") };
    Some(root.map_or_else(|| text.clone(), |root| format!("{text}[rootid={root}]")))
}

/// In the order of the kernel's numbers.
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_read_as_getcap_writes_them() {
        let bytes = |digits: &str| -> Vec<u8> {
            (0..digits.len() / 2)
                .map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap())
                .collect()
        };
        for (digits, text) in [
            ("0100000200200000000000000000000000000000", Some("cap_net_raw+ep")),
            ("0000000200240000000000000000000000000000", Some("cap_net_bind_service,cap_net_raw+p")),
            ("0100000300200000000000000000000000000000e8030000", Some("cap_net_raw+ep[rootid=1000]")),
            ("0000000200000000000000004000000000000000", Some("cap_perfmon+p")),
            ("0000000200000000000000000000000000000000", Some("none")),
            ("00", None),
        ] {
            assert_eq!(decode(&bytes(digits)).as_deref(), text, "{digits}");
        }
        assert_eq!(decode(b"0123456789abcdefghij"), None);
    }
}
