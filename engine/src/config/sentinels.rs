//! Redis Sentinel: who is asked for the master, and by which name.

use std::fmt;

/// Where to ask for a master that may become another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentinels {
    /// Hosts and ports, at least one; all are asked, and of equal answers the first counts.
    pub addresses: Vec<(String, u16)>,
    /// What they call the master.
    pub master: String,
}

/// Sentinels listen here unless they are told otherwise.
const PORT: u16 = 26_379;

/// `a:26379,b:26379`; the port may be left out, and an IPv6 address stands in brackets.
pub(super) fn addresses(text: &str) -> Result<Vec<(String, u16)>, String> {
    let parts = text.split(',').map(str::trim);
    let addresses: Vec<_> = parts
        .filter(|part| !part.is_empty())
        .map(address)
        .collect::<Result<_, _>>()?;
    if addresses.is_empty() {
        return Err(refusal(text));
    }
    Ok(addresses)
}

/// What `SENTINEL MONITOR` takes as a name.
pub(super) fn master(text: &str) -> Result<String, String> {
    let is_letter =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_');
    if text.is_empty() || !text.chars().all(is_letter) {
        return Err(format!(
            "`{text}` is no name of a master; give the one in `sentinel monitor NAME …`, such as mymaster"
        ));
    }
    Ok(text.to_owned())
}

fn address(part: &str) -> Result<(String, u16), String> {
    let (host, port) = match part.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':').unwrap_or(port))),
        None => match part.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (part, None),
        },
    };
    let port = match port.map(str::parse) {
        None => Some(PORT),
        Some(Ok(port)) if port != 0 => Some(port),
        _ => None,
    };
    let is_host = !host.is_empty() && !host.contains(['/', '@', ' ']);
    match port.filter(|_| is_host) {
        Some(port) => Ok((host.to_owned(), port)),
        None => Err(refusal(part)),
    }
}

fn refusal(part: &str) -> String {
    format!("`{part}` is no address of a sentinel; give hosts and ports, such as a:26379,b:26379")
}

impl fmt::Display for Sentinels {
    /// As it reads behind "Redis".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "master {} of sentinels ", self.master)?;
        for (index, (host, port)) in self.addresses.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match host.contains(':') {
                true => write!(f, "{comma}[{host}]:{port}")?,
                false => write!(f, "{comma}{host}:{port}")?,
            }
        }
        Ok(())
    }
}
