//! Which thread runs on which CPU. No thread leaves the mask that the process inherited.

use std::fmt;

use crate::config::Cores;

/// Where the threads go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placement {
    /// One shard on each.
    pub(super) shards: Vec<usize>,
    /// Ingest and control run on any of these: the allowed CPUs without a shard, or all when there is none.
    pub(super) ingest: Vec<usize>,
}

/// A CPU was chosen that this process may not use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreNotAllowed {
    core: usize,
    allowed: Vec<usize>,
}

impl fmt::Display for CoreNotAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "CPU {} is not among those this process may use ({}); choose from them with --cores, or start it \
             with another mask (taskset, cpuset)",
            self.core,
            list(&self.allowed)
        )
    }
}

impl Placement {
    /// Chooses among `allowed` (ascending, not empty).
    pub(super) fn choose(cores: &Cores, allowed: &[usize]) -> Result<Self, CoreNotAllowed> {
        let shards = match cores {
            Cores::Auto => allowed.to_vec(),
            Cores::List(cores) => cores.clone(),
        };
        if let Some(&core) = shards.iter().find(|core| !allowed.contains(core)) {
            return Err(CoreNotAllowed {
                core,
                allowed: allowed.to_vec(),
            });
        }
        let spare: Vec<usize> = allowed
            .iter()
            .copied()
            .filter(|core| !shards.contains(core))
            .collect();
        let ingest = if spare.is_empty() {
            allowed.to_vec()
        } else {
            spare
        };
        Ok(Self { shards, ingest })
    }

    /// Whether ingest shares no CPU with a shard.
    pub(super) fn ingest_is_apart(&self) -> bool {
        self.ingest.iter().all(|core| !self.shards.contains(core))
    }
}

/// `0,2,3` for people.
pub(super) fn list(cores: &[usize]) -> String {
    cores
        .iter()
        .map(usize::to_string)
        .collect::<Vec<_>>()
        .join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_takes_every_allowed_cpu_and_ingest_floats_among_them() {
        let placement = Placement::choose(&Cores::Auto, &[1, 3]).unwrap();
        assert_eq!(
            (placement.shards.as_slice(), placement.ingest.as_slice()),
            (&[1, 3][..], &[1, 3][..])
        );
        assert!(!placement.ingest_is_apart());
    }

    #[test]
    fn ingest_goes_where_no_shard_is() {
        let placement = Placement::choose(&Cores::List(vec![0, 2]), &[0, 1, 2, 3]).unwrap();
        assert_eq!(placement.ingest, [1, 3]);
        assert!(placement.ingest_is_apart());
    }

    #[test]
    fn a_cpu_outside_the_inherited_mask_is_refused_with_the_remedy() {
        let error = Placement::choose(&Cores::List(vec![0]), &[1]).unwrap_err();
        assert!(error.to_string().contains("--cores"));
    }
}
