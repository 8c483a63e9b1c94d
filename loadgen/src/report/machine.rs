//! The machine that a result is of.

use serde::Serialize;
use tickwire_ring::placement::allowed_cpus;

/// What of a machine moves a latency most.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Machine {
    /// Linux release.
    pub kernel: String,
    /// CPUs that this process may use.
    pub cpus: usize,
    /// As /proc/cpuinfo names it.
    pub cpu_model: Option<String>,
}

impl Machine {
    pub(super) fn read(kernel: String) -> Self {
        let cpus = allowed_cpus().map_or(0, |cpus| cpus.len());
        let cpu_model = std::fs::read_to_string("/proc/cpuinfo")
            .ok()
            .and_then(|text| model(&text));
        Self {
            kernel,
            cpus,
            cpu_model,
        }
    }
}

fn model(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo
        .lines()
        .find(|line| line.starts_with("model name"))?;
    line.split_once(':')
        .map(|(_, model)| model.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_read_from_its_line() {
        let text = "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t: x\n";
        assert_eq!(model(text).as_deref(), Some("AMD EPYC"));
        assert_eq!(model("processor\t: 0\n"), None);
    }
}
