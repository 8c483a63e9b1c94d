//! Tells the operator about rejected payloads, at a bounded rate.

use std::cell::RefCell;
use std::time::Duration;

use tickwire_protocol::publication::RejectReason;
use tracing::warn;

/// One line per reason and second at most.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Bytes of a rejected payload that are shown; more would let a publisher fill the log.
const EXCERPT_BYTES: usize = 96;

/// What was rejected since the last report.
#[derive(Debug, Default)]
pub(super) struct Rejections {
    by_reason: RefCell<[Rejected; RejectReason::ALL.len()]>,
}

#[derive(Debug, Default)]
struct Rejected {
    count: u64,
    /// The first of them.
    excerpt: String,
}

impl Rejections {
    pub(super) fn note(&self, rejected: &[(usize, RejectReason)], payload: &[u8]) {
        for (_, reason) in rejected {
            let of_reason = &mut self.by_reason.borrow_mut()[*reason as usize];
            if of_reason.count == 0 {
                of_reason.excerpt = excerpt(payload);
            }
            of_reason.count += 1;
        }
    }

    /// Writes what was noted to the log, for ever.
    pub(super) async fn report(&self) {
        loop {
            tokio::time::sleep(REPORT_INTERVAL).await;
            for (reason, count, excerpt) in self.take() {
                warn!(
                    reason = reason.as_str(),
                    count,
                    first = excerpt,
                    "updates from Redis were rejected"
                );
            }
        }
    }

    fn take(&self) -> Vec<(RejectReason, u64, String)> {
        let mut by_reason = self.by_reason.borrow_mut();
        RejectReason::ALL
            .iter()
            .filter_map(|&reason| {
                let rejected = std::mem::take(&mut by_reason[reason as usize]);
                (rejected.count > 0).then_some((reason, rejected.count, rejected.excerpt))
            })
            .collect()
    }
}

/// The beginning, with everything escaped that is not printable ASCII.
fn excerpt(payload: &[u8]) -> String {
    payload[..payload.len().min(EXCERPT_BYTES)]
        .escape_ascii()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_one_line_per_reason_with_the_count_and_the_first_payload() {
        let rejections = Rejections::default();
        rejections.note(&[(0, RejectReason::NotJson)], b"{\x1b[31m\n");
        rejections.note(&[(0, RejectReason::NotJson)], b"second");
        rejections.note(
            &[
                (1, RejectReason::MissingSymbol),
                (2, RejectReason::MissingSymbol),
            ],
            b"{}",
        );
        let expected = vec![
            (RejectReason::NotJson, 2, r"{\x1b[31m\n".to_owned()),
            (RejectReason::MissingSymbol, 2, "{}".to_owned()),
        ];
        assert_eq!(rejections.take(), expected);
        assert_eq!(rejections.take(), vec![]);
    }

    #[test]
    fn an_excerpt_is_short() {
        assert_eq!(excerpt(&[b'a'; 10_000]).len(), EXCERPT_BYTES);
    }
}
