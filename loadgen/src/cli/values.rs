//! Single values of the command line.

use std::net::ToSocketAddrs;

use tickwire_ring::placement::allowed_cpus;

use super::Unusable;
use crate::plan::{Dialect, SLOW_SHARE_MAX, Server, Share};

pub(super) fn check_cores(cores: &[usize]) -> Result<(), Unusable> {
    // Where the mask can't be read, pinning itself will tell.
    let Ok(allowed) = allowed_cpus() else {
        return Ok(());
    };
    match cores.iter().find(|core| !allowed.contains(core)) {
        Some(core) => Err(Unusable::new(
            format!("--cores: CPU {core} does not exist or is not permitted here"),
            format!("choose from {allowed:?}"),
        )),
        None => Ok(()),
    }
}

pub(super) fn percent(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').parse() {
        Ok(share) if 0.0 < share && share < 1.0 => Err(format!(
            "less than one percent; write {} for a share of {share}",
            share * 100.0
        )),
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err("a number from 0 to 100".to_owned()),
    }
}

/// `ws://host[:port][/path]`.
pub(super) fn parse_url(url: &str) -> Result<Server, Unusable> {
    let wrong = |what: &str| {
        Unusable::new(
            format!("--url {url}: {what}"),
            "use ws://HOST:PORT/PATH, such as ws://127.0.0.1:8081/ws",
        )
    };
    if url.starts_with("wss://") {
        return Err(wrong("TLS is not supported"));
    }
    let rest = url
        .strip_prefix("ws://")
        .ok_or_else(|| wrong("not a ws:// address"))?;
    let (host, path) = match rest.find(['/', '?']) {
        Some(at) if rest[at..].starts_with('/') => (&rest[..at], rest[at..].to_owned()),
        Some(at) => (&rest[..at], format!("/{}", &rest[at..])),
        None => (rest, "/".to_owned()),
    };
    if host.is_empty()
        || url.contains(|c: char| c.is_ascii_control() || c == ' ' || c == '#' || !c.is_ascii())
    {
        return Err(wrong("no host, or a character that no address has"));
    }
    // An IPv6 address has its own colons, within brackets.
    let has_port = host
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.ends_with(']'));
    let with_port = if has_port {
        host.to_owned()
    } else {
        format!("{host}:80")
    };
    let mut addresses = with_port
        .to_socket_addrs()
        .map_err(|error| wrong(&error.to_string()))?;
    let address = addresses
        .next()
        .ok_or_else(|| wrong("the name has no address"))?;
    Ok(Server {
        url: url.to_owned(),
        address,
        host: host.to_owned(),
        path,
        dialect: Dialect::default(),
        pids: Vec::new(),
    })
}

/// `10%`, `2.5%` or a bare number of percent.
pub(super) fn slow_share(text: &str) -> Result<Share, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim_end();
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let hundredths = format!("{fraction:0<2}");
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !whole.is_empty() && hundredths.len() == 2 && is_digits(whole) && is_digits(&hundredths) {
        let share = format!("{whole}{hundredths}").parse().map(Share);
        if let Some(share) = share.ok().filter(|&share| share <= SLOW_SHARE_MAX) {
            return Ok(share);
        }
    }
    let max = SLOW_SHARE_MAX.percent();
    Err(format!("a share from 0% to {max}%, such as 10%"))
}

/// `0`, `1500`, `1KB`, `2MB`: per second.
pub(super) fn byte_rate(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => Some(1u64),
        "kb" => Some(1_000),
        "kib" => Some(1 << 10),
        "mb" => Some(1_000_000),
        "mib" => Some(1 << 20),
        _ => None,
    };
    let rate = number.parse().ok().zip(factor);
    rate.and_then(|(number, factor): (u64, u64)| number.checked_mul(factor))
        .ok_or_else(|| "bytes per second, such as 0, 500, 1KB or 1MiB".to_owned())
}

/// `512`, `4KB`, `1MiB`.
pub(super) fn byte_count(text: &str) -> Result<u64, String> {
    byte_rate(text).map_err(|_| "a number of bytes, such as 512, 4KB or 1MiB".to_owned())
}

/// Above 1, so that a ramp rises.
pub(super) fn ramp_factor(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(factor) if (1.01..=100.0).contains(&factor) => Ok(factor),
        _ => Err("a number from 1.01 to 100".to_owned()),
    }
}

/// Beyond 10 everybody wants the same.
pub(super) fn zipf_exponent(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(exponent) if (0.0..=10.0).contains(&exponent) => Ok(exponent),
        _ => Err("a number from 0 to 10".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_not_taken_for_percent() {
        assert_eq!(percent("99"), Ok(99.0));
        assert_eq!(percent("99.5%"), Ok(99.5));
        assert!(percent("0.99").is_err_and(|why| why.contains("write 99")));
        assert!(percent("101").is_err());
    }

    #[test]
    fn shares_are_taken_to_the_hundredth_of_a_percent() {
        for (text, hundredths) in [("10%", 1_000), ("0", 0), ("2.5%", 250), ("90 %", 9_000)] {
            assert_eq!(slow_share(text), Ok(Share(hundredths)), "{text}");
        }
        for text in ["", "-1%", "91%", "1.234%", "ten", "99999999999%"] {
            assert!(slow_share(text).unwrap_err().contains("10%"), "{text}");
        }
    }

    #[test]
    fn rates_have_units() {
        for (text, bytes) in [("0", 0), ("1KB", 1_000), ("2 MiB", 2 << 20), ("7b", 7)] {
            assert_eq!(byte_rate(text), Ok(bytes), "{text}");
        }
        for text in ["", "KB", "1GB", "-1", "99999999999999999999"] {
            assert!(byte_rate(text).unwrap_err().contains("1KB"), "{text}");
        }
    }
}
