//! One parser per kind of value. Each message names what was given and what would be right.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tickwire_protocol::channel::is_private;
use tickwire_protocol::handshake::AllowedOrigins;

use super::{Cores, DriverChoice, LogFormat};
use crate::policy::OverflowPolicy;

/// What `listen` says.
pub(super) enum Listen {
    Address(SocketAddr),
    /// `:8081`, the port alone; the address comes from the next weaker source.
    Port(u16),
}

/// What `simulate` says; `None` is left to the defaults.
#[derive(Default)]
pub(super) struct Simulate {
    pub(super) symbols: Option<u32>,
    pub(super) rate_per_second: Option<f64>,
    pub(super) seed: Option<u64>,
}

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("`{text}` is no address; give an IP address and a port, such as 127.0.0.1:8082 or [::]:8082")
    })
}

pub(super) fn listen(text: &str) -> Result<Listen, String> {
    match text.strip_prefix(':').map(str::parse) {
        Some(Ok(port)) => Ok(Listen::Port(port)),
        _ => address(text).map(Listen::Address),
    }
}

/// Large enough for any machine, small enough for slot numbers and memory sums.
const COUNT_MAX: u32 = 10_000_000;

pub(super) fn count(text: &str) -> Result<u32, String> {
    match text.replace('_', "").parse() {
        Ok(count) if (1..=COUNT_MAX).contains(&count) => Ok(count),
        _ => Err(format!(
            "`{text}` is out of range; give a whole number from 1 to {COUNT_MAX}"
        )),
    }
}

pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(format!("`{text}` is neither; give true or false")),
    }
}

/// `2ms`, `1.5s`, `500us`, `1m`; `0` needs no unit.
pub(super) fn duration(text: &str, max: Duration) -> Result<Duration, String> {
    let refuse = |what: &str| {
        Err(format!(
            "`{text}` {what}; give a number and us, ms, s or m, from 0 to {max:?}, such as 2ms"
        ))
    };
    let digits = text.find(|character: char| !character.is_ascii_digit() && character != '.');
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let nanoseconds_per_unit = match unit.trim() {
        "us" | "µs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        "" if number.parse() == Ok(0.0) => 1.0,
        "" => return refuse("has no unit"),
        _ => return refuse("is no duration"),
    };
    match number.parse::<f64>() {
        Ok(number) => match Duration::try_from_secs_f64(number * nanoseconds_per_unit / 1e9) {
            Ok(duration) if duration <= max => Ok(duration),
            _ => refuse("is too long"),
        },
        Err(_) => refuse("is no duration"),
    }
}

pub(super) fn driver(text: &str) -> Result<DriverChoice, String> {
    match text {
        "auto" => Ok(DriverChoice::Auto),
        "uring" => Ok(DriverChoice::Uring),
        #[cfg(feature = "glommio")]
        "glommio" => Ok(DriverChoice::Glommio),
        #[cfg(not(feature = "glommio"))]
        "glommio" => Err(
            "this build has no glommio; give auto or uring, or build with `--features glommio`"
                .to_owned(),
        ),
        _ => Err(format!(
            "`{text}` is no driver; give auto, uring or glommio"
        )),
    }
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("`{text}` is no format; give text or json")),
    }
}

/// Checks what `EnvFilter` accepts, and what it would misread: a misspelt level is a module to it.
pub(super) fn log_filter(text: &str) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let is_level = |text: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(text));
    let is_plain = text
        .split(',')
        .map(str::trim)
        .all(|part| part.contains('=') || is_level(part));
    if is_plain && tracing_subscriber::EnvFilter::try_new(text).is_ok() {
        return Ok(text.to_owned());
    }
    Err(format!(
        "`{text}` is no log level; give off, error, warn, info, debug or trace, also per module: \
         info,tickwire_engine::ingest=debug"
    ))
}

pub(super) fn redis_channel(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(char::is_whitespace) || text.contains(char::is_control) {
        return Err(format!(
            "`{text}` is no channel name; give one without spaces, such as market-data:updates"
        ));
    }
    Ok(text.to_owned())
}

/// `256KiB`, `1MiB`, `4096`.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    /// More than a client is worth; beyond it the number is a mistake.
    const BYTES_MAX: u64 = 1 << 30;
    let digits = text.find(|character: char| !character.is_ascii_digit() && character != '_');
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let factor = match unit.trim() {
        "" | "B" => Some(1),
        "KiB" | "K" => Some(1024),
        "MiB" | "M" => Some(1024 * 1024),
        _ => None,
    };
    let number: Option<u64> = number.replace('_', "").parse().ok();
    let bytes = number
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(factor));
    match bytes {
        Some(bytes) if (1..=BYTES_MAX).contains(&bytes) => Ok(bytes),
        _ => Err(format!(
            "`{text}` is no size; give bytes, KiB or MiB, from 1 to 1024MiB, such as 256KiB"
        )),
    }
}

/// `market=conflate,news=drop-oldest`.
pub(super) fn policies(text: &str) -> Result<BTreeMap<String, OverflowPolicy>, String> {
    let mut policies = BTreeMap::new();
    for part in text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let refuse = |what: &str| {
            format!(
                "`{part}` {what}; give NAMESPACE=POLICY, where the policy is conflate, drop-oldest or \
                 disconnect, such as market=conflate,news=drop-oldest"
            )
        };
        let (name, policy) = part
            .split_once('=')
            .ok_or_else(|| refuse("names no policy"))?;
        let policy = match policy.trim() {
            "conflate" => OverflowPolicy::Conflate,
            "drop-oldest" => OverflowPolicy::DropOldest,
            "disconnect" => OverflowPolicy::Disconnect,
            _ => return Err(refuse("has an unknown policy")),
        };
        let name = namespace(name).map_err(|_| refuse("has no such namespace"))?;
        if policies.insert(name, policy).is_some() {
            return Err(refuse("names a namespace twice"));
        }
    }
    Ok(policies)
}

/// `user,session`.
pub(super) fn namespaces(text: &str) -> Result<Vec<String>, String> {
    let parts = text.split(',').map(str::trim);
    parts
        .filter(|part| !part.is_empty())
        .map(|part| match is_private(part) {
            true => Ok(part.to_owned()),
            false => Err(format!(
                "`{part}` is no private namespace; give user, session or both: user,session"
            )),
        })
        .collect()
}

/// `https://a.example,http://localhost:3000`, or `*`.
pub(super) fn origins(text: &str) -> Result<AllowedOrigins, String> {
    let parts = text.split(',').map(str::trim);
    AllowedOrigins::parse(parts.filter(|part| !part.is_empty())).map_err(|part| {
        format!(
            "`{part}` is no origin; give scheme and host as browsers send them, without a path: https://a.example"
        )
    })
}

fn namespace(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty()
        || text.contains(|character: char| !character.is_ascii_graphic() || character == ':')
    {
        return Err(format!(
            "`{text}` is no namespace; give what stands before the colon of channel names, such as user,session"
        ));
    }
    Ok(text.to_owned())
}

pub(super) fn redis_key_prefix(text: &str) -> Result<String, String> {
    if text.contains(char::is_whitespace) || text.contains(char::is_control) {
        return Err(format!(
            "`{text}` is no prefix of key names; give one without spaces, such as {{md}}:"
        ));
    }
    Ok(text.to_owned())
}

/// Whether all keys that begin so have one slot in a Redis Cluster: something stands between the first `{` and
/// the first `}` behind it.
pub(super) fn has_hash_tag(prefix: &str) -> bool {
    prefix
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'))
        .is_some_and(|(tag, _)| !tag.is_empty())
}

/// CPU numbers that an affinity mask can hold (`CPU_SETSIZE`).
const CORE_MAX: usize = 1023;

pub(super) fn cores(text: &str) -> Result<Cores, String> {
    if text == "auto" {
        return Ok(Cores::Auto);
    }
    let refuse =
        |what: String| format!("{what}; give auto, or core numbers up to {CORE_MAX} such as 0,2-3");
    let number = |text: &str| match text.trim().parse::<usize>() {
        Ok(number) if number <= CORE_MAX => Ok(number),
        _ => Err(refuse(format!("`{text}` is no core"))),
    };
    let mut cores = Vec::new();
    for part in text.split(',') {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(part)?, number(part)?),
        };
        if first > last {
            return Err(refuse(format!("`{part}` runs backwards")));
        }
        cores.extend(first..=last);
    }
    cores.sort_unstable();
    match cores.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(refuse(format!("core {} stands twice", pair[0]))),
        None => Ok(Cores::List(cores)),
    }
}

/// `None` is "off".
pub(super) fn simulate(text: &str) -> Result<Option<Simulate>, String> {
    if text.is_empty() {
        return Ok(Some(Simulate::default()));
    }
    if let Ok(choice) = boolean(text) {
        return Ok(choice.then(Simulate::default));
    }
    let refuse = |part: &str, what: &str| {
        Err(format!(
            "`{part}` {what}; give symbols=50,rate=50,seed=7 (each may be left out), or false"
        ))
    };
    let mut simulate = Simulate::default();
    for part in text.split(',') {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        match name.trim() {
            "symbols" => match count(value.trim()) {
                Ok(symbols) => simulate.symbols = Some(symbols),
                Err(_) => return refuse(part, "is no number of symbols"),
            },
            "rate" => match value.trim().parse() {
                Ok(rate) if rate > 0.0 && rate <= RATE_MAX => simulate.rate_per_second = Some(rate),
                _ => {
                    return refuse(
                        part,
                        "is no rate above 0 and up to 10000000 updates a second",
                    );
                }
            },
            "seed" => match value.trim().parse() {
                Ok(seed) => simulate.seed = Some(seed),
                Err(_) => return refuse(part, "is no seed"),
            },
            _ => return refuse(part, "is no property of the feed"),
        }
    }
    Ok(Some(simulate))
}

/// More than ingest takes; beyond it the number is a mistake.
const RATE_MAX: f64 = 10_000_000.0;
