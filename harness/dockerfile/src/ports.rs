//! Ports as EXPOSE takes them, one expanded word at a time. Checked when the build gets there.

use std::net::IpAddr;

use crate::syntax::{Syntax, Wording};

/// A word that names no port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expose {text:?}: {problem}; write 80, 80/udp or 8000-8010/tcp (tcp, udp or sctp)")]
pub struct PortError {
    /// What was given.
    pub text: String,
    /// Our words.
    pub problem: String,
    /// What the builder prints.
    pub builder_message: String,
}

/// The ports of one word, as `port/protocol`, ranges unrolled. `[ip:]host:container` is taken, and the host
/// part is checked and dropped. `syntax` only chooses the words of the builder's message.
pub fn parse_expose(word: &str, syntax: &Syntax) -> Result<Vec<String>, PortError> {
    let error = |problem: String| {
        let builder_message = match syntax.wording {
            Wording::Dashed => problem.clone(),
            Wording::Capitalised | Wording::Lower => capitalised(&problem),
        };
        PortError { text: word.to_owned(), problem, builder_message }
    };
    let mut parts = word.rsplitn(3, ':');
    let container = parts.next().unwrap_or_default();
    let (host, ip) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    // What follows a second slash is passed over.
    let mut of_container = container.split('/');
    let (port, protocol) = (of_container.next().unwrap_or_default(), of_container.next().unwrap_or_default());
    if port.is_empty() {
        return Err(error(format!("no port specified: {container}<empty>")));
    }
    let protocol = match protocol.to_lowercase().as_str() {
        "" => "tcp".to_owned(),
        known @ ("tcp" | "udp" | "sctp") => known.to_owned(),
        other => return Err(error(format!("invalid proto: {other}"))),
    };
    let bare_ip = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip);
    if !bare_ip.is_empty() && bare_ip.parse::<IpAddr>().is_err() {
        let what = if syntax.wording == Wording::Dashed { "IP" } else { "ip" };
        return Err(error(format!("invalid {what} address: {bare_ip}")));
    }
    let (first, last) = range(port).ok_or_else(|| error(format!("invalid containerPort: {port}")))?;
    if !host.is_empty() {
        let (host_first, host_last) =
            range(host).ok_or_else(|| error(format!("invalid hostPort: {host}")))?;
        if last - first != host_last - host_first && last != first {
            return Err(error(format!(
                "invalid ranges specified for container and host Ports: {port} and {host}"
            )));
        }
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

fn range(text: &str) -> Option<(u16, u16)> {
    let number = |text: &str| {
        let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| plain)
    };
    match text.split_once('-') {
        None => number(text).map(|port| (port, port)),
        Some((first, last)) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some((first, last))
        }
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(word: &str) -> Result<String, String> {
        parse_expose(word, &Syntax::BUILDKIT_HEAD)
            .map(|ports| ports.join(" "))
            .map_err(|error| error.builder_message)
    }

    #[test]
    fn the_recorded_forms_are_read() {
        // Recorded case `expose-forms`.
        for (word, expected) in [
            ("80", "80/tcp"),
            ("443/TCP", "443/tcp"),
            ("10-12/udp", "10/udp 11/udp 12/udp"),
            ("1.2.3.4:5:6", "6/tcp"),
            ("[::1]:5:6/sctp", "6/sctp"),
            ("8000-8001:9", "9/tcp"),
        ] {
            assert_eq!(ports(word).as_deref(), Ok(expected), "{word}");
        }
    }

    #[test]
    fn the_message_is_the_builders() {
        assert_eq!(ports("foo").unwrap_err(), "invalid containerPort: foo");
        assert_eq!(ports("80/foo").unwrap_err(), "invalid proto: foo");
        assert_eq!(ports("/tcp").unwrap_err(), "no port specified: /tcp<empty>");
        assert_eq!(ports("2-1").unwrap_err(), "invalid containerPort: 2-1");
        assert_eq!(
            ports("1-2:3-5").unwrap_err(),
            "invalid containerPort: 3-5"
                .replace("containerPort: 3-5", "ranges specified for container and host Ports: 3-5 and 1-2")
        );
        assert_eq!(ports("1.2:3:4").unwrap_err(), "invalid IP address: 1.2");
        let classic = parse_expose("foo", &Syntax::CLASSIC_20_10).unwrap_err();
        assert_eq!(classic.builder_message, "Invalid containerPort: foo");
    }
}
