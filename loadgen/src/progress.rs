//! One live line on the terminal; nothing where standard error is no terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::class::PerClass;
use crate::control::Figures;

/// The line.
#[derive(Debug)]
pub struct ProgressLine {
    bar: ProgressBar,
}

/// What the run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Clients connect.
    Connecting,
    /// Load without measuring.
    WarmUp,
    /// The window is open.
    Measuring,
    /// Late values are waited for.
    Grace,
}

impl ProgressLine {
    /// A line on standard error, or none; drawn a few times a second whatever is asked.
    #[must_use]
    pub fn on_terminal() -> Self {
        /// Drawing costs CPU that receive threads may want.
        const DRAWS_PER_SECOND: u8 = 5;
        let bar = ProgressBar::new(0);
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND));
        let style = ProgressStyle::with_template("{prefix:>10} [{bar:30}] {msg}");
        bar.set_style(
            style
                .expect("the template is constant")
                .progress_chars("=> "),
        );
        Self { bar }
    }

    /// Shows how far a phase is: so much of so much, in any unit.
    pub fn show(&self, phase: Phase, (done, whole): (u64, u64), figures: PerClass<Figures>) {
        if self.bar.is_hidden() {
            return;
        }
        self.bar.set_prefix(match phase {
            Phase::Connecting => "connecting",
            Phase::WarmUp => "warm-up",
            Phase::Measuring => "measuring",
            Phase::Grace => "grace",
        });
        self.bar.set_length(whole);
        self.bar.set_position(done.min(whole));
        self.bar.set_message(message(figures));
    }

    /// Takes the line away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn message(figures: PerClass<Figures>) -> String {
    let PerClass {
        healthy,
        slow,
        churning,
    } = figures;
    let mut message = format!(
        "{} up, {} failed, {} lost, {} delivered",
        healthy.up(),
        healthy.failed,
        healthy.lost,
        healthy.delivered
    );
    if slow != Figures::default() {
        message += &format!(
            "; slow: {} up, {} failed, {} lost",
            slow.up(),
            slow.failed,
            slow.lost
        );
    }
    if churning != Figures::default() {
        message += &format!(
            "; come and go: {} so far, {} failed",
            churning.established, churning.failed
        );
    }
    if healthy.left > 0 {
        message += &format!("; {} away", healthy.left);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_clients_are_shown_apart_and_only_if_there_are_some() {
        let healthy = Figures {
            established: 8,
            lost: 1,
            delivered: 70,
            ..Figures::default()
        };
        let none = Figures::default();
        let figures = |slow| PerClass {
            healthy,
            slow,
            churning: none,
        };
        let alone = message(figures(none));
        assert_eq!(alone, "7 up, 0 failed, 1 lost, 70 delivered");
        let slow = Figures {
            established: 2,
            ..none
        };
        let both = message(figures(slow));
        assert_eq!(both, format!("{alone}; slow: 2 up, 0 failed, 0 lost"));
    }
}
