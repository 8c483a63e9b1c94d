//! The built-in feed: random walks with realistic decimals, so that a fresh engine has something to show.
//!
//! Each `data` carries `n`, which counts the symbol's updates from 1, and `sentUs`, when the update was
//! made, so that a client can tell loss and latency by itself.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use tickwire_protocol::timestamp::Timestamp;

use super::{Pipeline, Source};
use crate::clock::Clock;
use crate::config::SimulateConfig;
use crate::random::Random;

/// The names of the first symbols; further ones are `SYM00051` and so on.
pub const SYMBOLS: [&str; 50] = [
    "RELIANCE",
    "TCS",
    "HDFCBANK",
    "ICICIBANK",
    "INFY",
    "HINDUNILVR",
    "ITC",
    "SBIN",
    "BHARTIARTL",
    "KOTAKBANK",
    "LT",
    "AXISBANK",
    "ASIANPAINT",
    "MARUTI",
    "SUNPHARMA",
    "TITAN",
    "BAJFINANCE",
    "ULTRACEMCO",
    "NESTLEIND",
    "WIPRO",
    "AAPL",
    "MSFT",
    "GOOGL",
    "AMZN",
    "META",
    "NVDA",
    "TSLA",
    "NFLX",
    "AMD",
    "INTC",
    "ORCL",
    "CRM",
    "ADBE",
    "CSCO",
    "QCOM",
    "IBM",
    "TXN",
    "AVGO",
    "JPM",
    "BAC",
    "WFC",
    "GS",
    "MS",
    "V",
    "MA",
    "PYPL",
    "DIS",
    "KO",
    "PEP",
    "WMT",
];

/// Publishes until it is dropped, on a fixed schedule: update `k` is due `k / rate` after the start. What
/// is due leaves together, so a timer that fires late delays updates but loses none.
pub async fn run(config: SimulateConfig, clock: Clock, pipeline: Rc<RefCell<Pipeline>>) {
    /// After a stall of the whole machine, updates older than this are not made up for.
    const CATCH_UP_MAX: Duration = Duration::from_secs(1);
    let mut feed = SimulatedFeed::new(config);
    let period = Duration::from_secs_f64(1.0 / config.rate_per_second);
    let mut due = clock.elapsed();
    loop {
        tokio::time::sleep(due.saturating_sub(clock.elapsed())).await;
        let now = clock.elapsed();
        due = due.max(now.saturating_sub(CATCH_UP_MAX));
        let mut pipeline = pipeline.borrow_mut();
        // What leaves together is of one moment: a time stamp each would be a tenth of an update's cost.
        feed.set_time(Clock::wall());
        while due <= now {
            due += period;
            let payload = feed.next_update();
            pipeline.publish(Source::Simulated, payload.as_bytes(), None);
        }
        pipeline.flush();
    }
}

/// The state of all random walks.
#[derive(Debug)]
struct SimulatedFeed {
    walks: Vec<Walk>,
    next: usize,
    random: Random,
    payload: String,
    /// The end of every payload, since it holds the time.
    end: String,
}

/// One symbol.
#[derive(Debug)]
struct Walk {
    symbol: String,
    opening_cents: u64,
    price_cents: u64,
    volume: u64,
    updates: u64,
}

impl SimulatedFeed {
    fn new(config: SimulateConfig) -> Self {
        let mut random = Random::new(config.seed);
        let walks = (0..config.symbols as usize)
            .map(|index| {
                let symbol = SYMBOLS
                    .get(index)
                    .map_or_else(|| format!("SYM{:05}", index + 1), |name| (*name).to_owned());
                // Between 20.00 and 4020.00.
                let price_cents = 2_000 + random.below(400_000) as u64;
                Walk {
                    symbol,
                    opening_cents: price_cents,
                    price_cents,
                    volume: 0,
                    updates: 0,
                }
            })
            .collect();
        Self {
            walks,
            next: 0,
            random,
            payload: String::new(),
            end: String::new(),
        }
    }

    /// When the updates that follow are made.
    fn set_time(&mut self, now: Timestamp) {
        self.end.clear();
        // Writing into a string does not fail.
        let _ = write!(
            self.end,
            r#","sentUs":{}}},"timestamp":"{now}"}}"#,
            now.unix_micros()
        );
    }

    /// The next symbol's next update, as a publisher would write it.
    fn next_update(&mut self) -> &str {
        let index = self.next;
        self.next = (self.next + 1) % self.walks.len();
        let walk = &mut self.walks[index];
        walk.step(&mut self.random);
        let change = Signed::between(walk.price_cents, walk.opening_cents);
        self.payload.clear();
        // Writing into a string does not fail.
        let _ = write!(
            self.payload,
            r#"{{"type":"price_update","symbol":"{}","data":{{"price":{},"change":{},"volume":{},"n":{}{}"#,
            walk.symbol,
            Signed::between(walk.price_cents, 0),
            change,
            walk.volume,
            walk.updates,
            self.end,
        );
        &self.payload
    }
}

impl Walk {
    fn step(&mut self, random: &mut Random) {
        // Up to 0.1 % either way, at least a cent; prices stay above a cent.
        let step_max = (self.price_cents / 1_000).max(1);
        let step = random.next_bits() % (2 * step_max + 1);
        self.price_cents = (self.price_cents + step).saturating_sub(step_max).max(1);
        self.volume += 1 + random.next_bits() % 500;
        self.updates += 1;
    }
}

/// Cents with a sign, printed with two decimals as prices are: `2450.50`, `-0.05`.
struct Signed {
    negative: bool,
    cents: u64,
}

impl Signed {
    fn between(cents: u64, reference_cents: u64) -> Self {
        Self {
            negative: cents < reference_cents,
            cents: cents.abs_diff(reference_cents),
        }
    }
}

impl std::fmt::Display for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.negative { "-" } else { "" };
        write!(f, "{sign}{}.{:02}", self.cents / 100, self.cents % 100)
    }
}

#[cfg(test)]
mod tests {
    use tickwire_protocol::publication::PublicationDecoder;

    use super::*;

    const CONFIG: SimulateConfig = SimulateConfig {
        symbols: 60,
        rate_per_second: 60.0,
        seed: 7,
    };
    const NOW: Timestamp = Timestamp::from_unix_micros(1_768_041_000_000_000);

    #[test]
    fn every_update_is_canonical_and_counts_up_per_symbol() {
        let mut feed = SimulatedFeed::new(CONFIG);
        feed.set_time(NOW);
        let mut decoder = PublicationDecoder::new();
        for round in 1..=3 {
            for index in 0..60 {
                let payload = feed.next_update().to_owned();
                let value: serde_json::Value = serde_json::from_str(&payload).unwrap();
                assert_eq!(value["data"]["n"], round);
                assert_eq!(value["data"]["sentUs"], NOW.unix_micros());
                let expected = SYMBOLS.get(index).map_or("SYM", |name| name);
                assert!(value["symbol"].as_str().unwrap().starts_with(expected));
                let mut verbatim = false;
                decoder
                    .decode(payload.as_bytes(), None, &mut |_, element| {
                        verbatim = element.unwrap().is_verbatim();
                    })
                    .unwrap();
                assert!(verbatim);
            }
        }
    }

    #[test]
    fn a_seed_repeats_itself() {
        let (mut one, mut two) = (SimulatedFeed::new(CONFIG), SimulatedFeed::new(CONFIG));
        let mut other = SimulatedFeed::new(SimulateConfig { seed: 8, ..CONFIG });
        for feed in [&mut one, &mut two, &mut other] {
            feed.set_time(NOW);
        }
        let mut differs = false;
        for _ in 0..100 {
            let update = one.next_update().to_owned();
            assert_eq!(update, two.next_update());
            differs |= update != other.next_update();
        }
        assert!(differs);
    }

    #[test]
    fn prices_have_two_decimals() {
        assert_eq!(Signed::between(245_050, 0).to_string(), "2450.50");
        assert_eq!(Signed::between(1, 6).to_string(), "-0.05");
    }
}
