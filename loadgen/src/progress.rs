//! One live line on the terminal; nothing where standard error is no terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::control::Snapshot;

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
    pub fn show(&self, phase: Phase, (done, whole): (u64, u64), figures: Snapshot) {
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
        self.bar.set_message(format!(
            "{} up, {} failed, {} lost, {} delivered",
            // Read one after the other from threads that go on: for a moment they may not agree.
            figures.established.saturating_sub(figures.lost),
            figures.failed,
            figures.lost,
            figures.delivered
        ));
    }

    /// Takes the line away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
