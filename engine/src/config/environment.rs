//! Environment variables: our own, and the plain ones that other servers of the kind are deployed with.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::error::ConfigError;
use super::file::closest;
use super::key;
use super::layers::{Layers, Origin};

const PREFIX: &str = "TICKWIRE_";

/// The variable of a setting: `TICKWIRE_COALESCE_MAX` for `coalesce-max`.
pub(super) fn name_of(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase().replace('-', "_"))
}

/// Takes what the environment says. An empty variable says nothing: compose files and charts write
/// `NAME=` for that. An unknown `TICKWIRE_…` only warns, since Kubernetes invents some
/// (`TICKWIRE_PORT=tcp://…` for a service of that name).
pub(super) fn read(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    layers: &mut Layers,
    warnings: &mut Vec<String>,
) -> Result<(), ConfigError> {
    let mut variables = relevant(environment)?;
    for key in key::ALL.into_iter().chain([key::CONFIG]) {
        let name = name_of(key);
        if let Some(text) = variables.remove(&name) {
            layers.add(key, text, Origin::Environment(name));
        }
    }
    read_plain(&mut variables, layers, warnings)?;
    for name in variables.keys().filter(|name| name.starts_with(PREFIX)) {
        let known = name_of(closest(
            &name[PREFIX.len()..].to_ascii_lowercase().replace('_', "-"),
        ));
        warnings.push(format!(
            "environment variable {name} is unknown and ignored; the closest is {known}"
        ));
    }
    Ok(())
}

const PLAIN: [&str; 4] = [
    "WS_PORT",
    "REDIS_HOST",
    "REDIS_PORT",
    "REDIS_CHANNEL_UPDATES",
];

fn relevant(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<BTreeMap<String, String>, ConfigError> {
    let named = environment
        .into_iter()
        .filter_map(|(name, text)| Some((name.into_string().ok()?, text)));
    let mut variables = BTreeMap::new();
    for (name, text) in named {
        if !name.starts_with(PREFIX) && !PLAIN.contains(&name.as_str()) {
            continue;
        }
        match text.into_string() {
            Ok(text) if text.trim().is_empty() => {}
            Ok(text) => {
                variables.insert(name, text);
            }
            Err(_) => {
                let reason = "not UTF-8; write it anew or unset it".to_owned();
                return Err(Origin::Environment(name).refuse(reason));
            }
        }
    }
    Ok(variables)
}

fn read_plain(
    variables: &mut BTreeMap<String, String>,
    layers: &mut Layers,
    warnings: &mut Vec<String>,
) -> Result<(), ConfigError> {
    if let Some(port) = take_port("WS_PORT", variables, warnings)? {
        // An address without host: see `values::listen`.
        layers.add(
            key::LISTEN,
            format!(":{port}"),
            Origin::Environment("WS_PORT".to_owned()),
        );
    }
    let host = variables.remove("REDIS_HOST");
    let port = take_port("REDIS_PORT", variables, warnings)?;
    if host.is_some() || port.is_some() {
        let origin = match (&host, port) {
            (Some(_), Some(_)) => "REDIS_HOST and REDIS_PORT",
            (Some(_), None) => "REDIS_HOST",
            (None, _) => "REDIS_PORT",
        };
        let host = host.map_or_else(|| "127.0.0.1".to_owned(), |host| host.trim().to_owned());
        let origin = Origin::Environment(origin.to_owned());
        if !is_host(&host) {
            let remedy = "REDIS_HOST is a host name or an address alone; a full URL goes into TICKWIRE_REDIS_URL";
            return Err(origin.refuse(remedy.to_owned()));
        }
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host
        };
        layers.add(
            key::REDIS_URL,
            format!("redis://{host}:{}", port.unwrap_or(6379)),
            origin,
        );
    }
    if let Some(channel) = variables.remove("REDIS_CHANNEL_UPDATES") {
        let origin = Origin::Environment("REDIS_CHANNEL_UPDATES".to_owned());
        layers.add(key::REDIS_CHANNEL_UPDATES, channel, origin);
    }
    Ok(())
}

/// A URL, user or path must not slip in: it would change what the URL means.
fn is_host(host: &str) -> bool {
    host.parse::<std::net::Ipv6Addr>().is_ok()
        || host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

/// Kubernetes sets `REDIS_PORT=tcp://10.0.0.1:6379` in every pod beside a service named `redis`.
fn take_port(
    name: &str,
    variables: &mut BTreeMap<String, String>,
    warnings: &mut Vec<String>,
) -> Result<Option<u16>, ConfigError> {
    let Some(text) = variables.remove(name) else {
        return Ok(None);
    };
    if text.contains("://") {
        warnings.push(format!(
            "environment variable {name} is an address as Kubernetes sets it for a service of that name, and \
             ignored"
        ));
        return Ok(None);
    }
    match text.trim().parse() {
        Ok(port) => Ok(Some(port)),
        Err(_) => Err(Origin::Environment(name.to_owned()).refuse(format!(
            "`{text}` is no port; give a number from 0 to 65535"
        ))),
    }
}
