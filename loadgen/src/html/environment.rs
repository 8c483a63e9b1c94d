//! Where and how it was measured: what one needs to run it again, and to judge it.

use super::section::{Block, Section};
use crate::result::{LatencyMethod, RunResult};
use crate::units::{Count, Given};

pub(super) fn environment(result: &RunResult) -> Section {
    let (machine, plan, tool) = (&result.machine, &result.plan, &result.tool);
    let cpu = machine.cpu_model.as_deref().unwrap_or("unknown model");
    let mut facts = vec![
        ("Begun at", result.window.run_begun_at.clone()),
        ("Server", plan.url.clone()),
        ("Measured", measured(result)),
        ("Load", load(result)),
        (
            "Machine",
            format!("{cpu}, {} CPUs for loadgen", machine.cpus),
        ),
        ("Kernel", format!("Linux {}", machine.kernel)),
        ("loadgen", version(&tool.version, tool.commit.as_deref())),
        (
            "Command line",
            format!("loadgen {}", command_line(&tool.flags)),
        ),
    ];
    if let Some(publisher) = &result.publisher {
        let mut published = format!("{} values", Count(publisher.published));
        if publisher.unheard > 0 {
            let unheard = Count(publisher.unheard);
            published += &format!("; {unheard} of them while no server was subscribed");
        }
        if publisher.unpublished > 0 {
            let (unpublished, outages) = (Count(publisher.unpublished), publisher.outages);
            published += &format!("; {unpublished} more not, for Redis went {outages} times");
        }
        if publisher.given_up > 0 {
            let given_up = Count(publisher.given_up);
            published += &format!("; given up waiting for them {given_up} times");
        }
        if let Some(why) = &publisher.failure {
            published += &format!("; failed: {why}");
        }
        facts.push(("Published", published));
    }
    Section {
        title: "Environment",
        blocks: vec![Block::Facts(facts)],
    }
}

fn version(version: &str, commit: Option<&str>) -> String {
    match commit {
        Some(commit) => format!("{version}, commit {commit}"),
        None => format!("{version}, commit unknown"),
    }
}

fn measured(result: &RunResult) -> String {
    let plan = &result.plan;
    let seconds = |ms: u64| Given(ms as f64 / 1e3);
    let mut text = format!("{} s", seconds(result.window.measured_ms));
    if let Some(warm_up) = plan.warm_up_ms {
        text += &format!(" after {} s of warm-up", seconds(warm_up));
    }
    if let Some(grace) = plan.grace_ms {
        text += &format!(", {} s of grace", seconds(grace));
    }
    if result.window.interrupted {
        text += "; interrupted";
    }
    text
}

fn load(result: &RunResult) -> String {
    let plan = &result.plan;
    let mut parts = Vec::new();
    match (plan.rate_per_second, plan.window_updates) {
        (Some(rate), _) => parts.push(format!("{} updates/s", Given(rate))),
        (None, Some(updates)) => {
            parts.push(format!("closed loop, {} updates under way", Count(updates)))
        }
        (None, None) => parts.push("the server’s own feed".to_owned()),
    }
    parts.extend(
        plan.burst
            .filter(|&burst| burst > 1)
            .map(|burst| format!("{} at once", Count(burst))),
    );
    parts.extend(
        plan.payload_bytes
            .map(|bytes| format!("{} bytes each", Count(bytes))),
    );
    parts.join(", ")
}

/// As a shell takes it.
fn command_line(flags: &[String]) -> String {
    let quoted = flags.iter().map(|flag| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+*".contains(c);
        if !flag.is_empty() && flag.chars().all(is_plain) && !flag.contains('*') {
            flag.clone()
        } else {
            format!("'{}'", flag.replace('\'', r"'\''"))
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// Five lines, for who has not read the documentation.
pub(super) fn method(result: &RunResult) -> Section {
    let latency = match result.latency_method {
        LatencyMethod::FromIntended => {
            "Latency runs from the time at which the schedule meant a value to be published until its receipt, so a \
             stall anywhere shows in every value that it held up (no coordinated omission)."
        }
        LatencyMethod::FromSent => {
            "Latency runs from the send of a value until its receipt. It is UNCORRECTED: in this closed loop a slow \
             server is sent less."
        }
    };
    let loop_kind = match result.latency_method {
        LatencyMethod::FromIntended => {
            "Open loop: the schedule is made first. A late publisher sends at once, records its lateness, and never \
             moves a time."
        }
        LatencyMethod::FromSent => {
            "Closed loop: so many updates are under way at once, and the next one follows when one has arrived. It \
             finds the most that the server delivers."
        }
    };
    let expected = match &*result.delivery.basis {
        "publisher" => {
            "What should have come is counted at loadgen’s own publisher, by a counter per symbol that travels in the \
             value; the server’s own numbers are a second account."
        }
        _ => {
            "What should have come is taken from the counters in the values of the server’s feed, as far as they have \
             any; the server’s own numbers are a second account."
        }
    };
    let lines = [
        loop_kind,
        latency,
        expected,
        "A value counts when its time lies in the measuring window, which opens after all clients are subscribed and \
         the warm-up is over.",
        "Where loadgen itself was late or short of CPU, it may have caused what it measured, and gives no verdict.",
    ];
    Section {
        title: "Method",
        blocks: vec![Block::List(lines.map(ToOwned::to_owned).to_vec())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_can_be_pasted_into_a_shell() {
        let flags = [
            "--url",
            "ws://h:1/ws",
            "",
            "a b",
            "it's",
            "--symbols=A,B",
            "$HOME",
        ];
        let line = command_line(&flags.map(ToOwned::to_owned));
        assert_eq!(
            line,
            r"--url ws://h:1/ws '' 'a b' 'it'\''s' --symbols=A,B '$HOME'"
        );
    }
}
