//! Running a script, and making one that fails short.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use tickwire_engine::shard::Shard;

use crate::coverage::Coverage;
use crate::script::{Action, Channel, Script, Step};
use crate::world::World;

thread_local! {
    /// `Some` while a run's panic is caught: its text.
    static CAUGHT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Executes a script against the oracle.
///
/// # Errors
/// What was violated.
pub(crate) fn run(script: &Script, prepare: fn(&mut Shard)) -> Result<Coverage, String> {
    catch_quietly();
    CAUGHT.set(Some(String::new()));
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(script.setup, prepare);
        world.execute(script);
        world.quiesce();
        world.end();
        world.count_losses();
        world.coverage
    }));
    let text = CAUGHT.take().unwrap_or_default();
    outcome.map_err(|_| text)
}

/// Keeps the text of a run's panic instead of printing it: shrinking has thousands of them.
fn catch_quietly() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let is_run = CAUGHT.with_borrow_mut(|caught| match caught {
                Some(text) => {
                    *text = info.to_string();
                    true
                }
                None => false,
            });
            if !is_run {
                print(info);
            }
        }));
    });
}

/// Leaves out and simplifies steps as long as the script fails, in at most `runs` attempts.
pub(crate) fn shrink(
    script: &Script,
    prepare: fn(&mut Shard),
    mut runs: usize,
) -> (Script, String) {
    let mut shortest = script.clone();
    let mut text = run(script, prepare).err().unwrap_or_default();
    let mut fails = |steps: Vec<Step>, shortest: &mut Script| {
        if runs == 0 {
            return false;
        }
        runs -= 1;
        let candidate = Script {
            setup: script.setup,
            steps,
        };
        let failure = run(&candidate, prepare).err();
        let is_failure = failure.is_some();
        if let Some(failure) = failure {
            text = failure;
            *shortest = candidate;
        }
        is_failure
    };
    loop {
        let before = shortest.steps.len();
        let mut chunk = before.div_ceil(2);
        while chunk > 0 {
            let mut from = 0;
            while from < shortest.steps.len() {
                let mut steps = shortest.steps.clone();
                steps.drain(from..(from + chunk).min(steps.len()));
                if !fails(steps, &mut shortest) {
                    from += chunk;
                }
            }
            chunk /= 2;
        }
        for place in 0..shortest.steps.len() {
            for simpler in simpler(&shortest.steps[place]) {
                let mut steps = shortest.steps.clone();
                steps[place] = simpler;
                if fails(steps, &mut shortest) {
                    break;
                }
            }
        }
        if shortest.steps.len() == before {
            return (shortest, text);
        }
    }
}

/// Simpler forms of a step, the simplest first.
fn simpler(step: &Step) -> Vec<Step> {
    let with = |action: Action| Step {
        action,
        with_next: step.with_next,
    };
    let mut forms = Vec::new();
    match &step.action {
        Action::Publish(channels) => {
            forms.extend(
                fewer(channels)
                    .into_iter()
                    .map(|channels| with(Action::Publish(channels))),
            );
        }
        Action::Subscribe {
            client,
            channels,
            throttle_ms,
            snapshot,
        } => {
            let subscribe = |channels: Vec<Channel>, throttle_ms| {
                with(Action::Subscribe {
                    client: *client,
                    channels,
                    throttle_ms,
                    snapshot: *snapshot,
                })
            };
            if *throttle_ms > 0 {
                forms.push(subscribe(channels.clone(), 0));
            }
            forms.extend(
                fewer(channels)
                    .into_iter()
                    .map(|channels| subscribe(channels, *throttle_ms)),
            );
        }
        Action::Pass { ms } => {
            forms.extend(
                [1, ms / 2]
                    .iter()
                    .filter(|less| *less < ms)
                    .map(|ms| with(Action::Pass { ms: *ms })),
            );
        }
        Action::Room {
            client,
            bytes: Some(1..),
        } => forms.push(with(Action::Room {
            client: *client,
            bytes: Some(0),
        })),
        _ => {}
    }
    if step.with_next {
        forms.push(Step {
            with_next: false,
            ..step.clone()
        });
    }
    forms
}

fn fewer(channels: &[Channel]) -> Vec<Vec<Channel>> {
    let mut fewer = Vec::new();
    if channels.len() > 1 {
        let (front, back) = channels.split_at(channels.len() / 2);
        fewer.extend([front.to_vec(), back.to_vec(), channels[1..].to_vec()]);
        let mut sorted = channels.to_vec();
        sorted.dedup();
        if sorted.len() < channels.len() {
            fewer.push(sorted);
        }
    }
    fewer
}
