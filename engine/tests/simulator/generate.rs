//! From a seed to a script.

use tickwire_engine::driver::simulated::FaultRates;
use tickwire_engine::random::Random;

use crate::script::{Action, Channel, Label, Leaving, Opening, PUBLISHED, Script, Setup, Step};

pub(crate) fn script(seed: u64) -> Script {
    let mut generator = Generator {
        // Seeds next to each other must not give runs that resemble each other.
        random: Random::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d)),
        next_client: 0,
        sets: Vec::new(),
    };
    let setup = generator.setup(seed);
    let mut steps = Vec::new();
    generator.populate(&mut steps);
    let count = 120 + generator.random.below(200);
    while steps.len() < count {
        if generator.random.happens(130) {
            generator.scene(&mut steps);
        }
        let action = generator.action();
        let with_next = generator.random.happens(350);
        steps.push(Step { action, with_next });
    }
    Script { setup, steps }
}

struct Generator {
    random: Random,
    next_client: Label,
    /// What several clients subscribe to, so that they share groups.
    sets: Vec<(Vec<Channel>, u32)>,
}

impl Generator {
    fn setup(&mut self, seed: u64) -> Setup {
        // Large ones are more than one batch holds.
        let payload = self.one_of(&[
            (80, 90),
            (80, 300),
            (80, 1_500),
            (80, 300),
            (20_000, 60_000),
        ]);
        let frames_max = self.one_of(&[4, 6, 8, 16, 32]);
        let bytes_max = self.one_of(&[1_000, 4_000, 20_000, 1_000_000]);
        let setup = Setup {
            seed,
            frames_max,
            bytes_max,
            age_max_ms: self.one_of(&[10, 100, 1_000, 60_000]),
            stall_timeout_ms: self.one_of(&[100, 500, 3_000, 60_000]),
            mailbox: (self.one_of(&[4, 8, 32, 128]), self.one_of(&[2, 8, 64])),
            mailbox_budget: self.one_of(&[1, 4, 256]),
            chunk_operations: self.one_of(&[1, 2, 5, 64]),
            operation_cost_ns: self.one_of(&[0, 0, 10_000, 400_000]),
            coalesce_max_ms: self.one_of(&[0, 2]),
            is_eager: self.random.happens(500),
            payload,
        };
        for _ in 0..3 {
            let channels = self.channels();
            let throttle_ms = self.throttle_ms();
            self.sets.push((channels, throttle_ms));
        }
        setup
    }

    /// A few clients that are subscribed from the beginning.
    fn populate(&mut self, steps: &mut Vec<Step>) {
        for client in 0..3 + self.random.below(4) {
            let client = Label::try_from(client).unwrap();
            for action in [self.connect(Opening::Session), self.subscribe(client)] {
                steps.push(Step {
                    action,
                    with_next: false,
                });
            }
        }
    }

    /// Steps that lead somewhere together, where chance alone seldom gets.
    fn scene(&mut self, steps: &mut Vec<Step>) {
        let client = self.client();
        let (set, throttle_ms) = self.sets[self.random.below(self.sets.len())].clone();
        let of_set = |generator: &mut Self, count: usize| {
            let channels = set.iter().copied().filter(|channel| channel.0 < PUBLISHED);
            let mut channels: Vec<_> = channels.collect();
            if channels.is_empty() {
                channels.push(Channel(0));
            }
            (0..count).map(|_| generator.one_of(&channels)).collect()
        };
        let room = |bytes| Action::Room { client, bytes };
        let subscribe = |client, throttle_ms, snapshot| Action::Subscribe {
            client,
            channels: set.clone(),
            throttle_ms,
            snapshot,
        };
        let actions = match self.random.below(13) {
            // Two snapshots, of which the first can't be sent.
            0 | 8 => vec![
                Action::Publish(of_set(self, 3)),
                room(Some(self.random.below(2) * 200)),
                subscribe(client, throttle_ms, true),
                Action::Publish(of_set(self, 3)),
                subscribe(client, throttle_ms, true),
            ],
            // Somebody joins while a value is held.
            1 | 9 => {
                let joining = self.next_client;
                vec![
                    subscribe(client, 200, true),
                    Action::Publish(of_set(self, 4)),
                    self.connect(Opening::Session),
                    subscribe(joining, 200, self.random.happens(500)),
                    Action::Publish(of_set(self, 2)),
                ]
            }
            // Much is missed, and the notice of it meets a socket that takes little.
            2 => {
                let ms = 800 + self.random.below(500) as u64;
                let bytes = self.random.below(1_500);
                vec![
                    room(Some(0)),
                    subscribe(client, 0, false),
                    Action::Publish(of_set(self, 20)),
                    Action::Publish(of_set(self, 40)),
                    Action::Pass { ms },
                    room(Some(bytes)),
                    Action::Pass { ms: 300 },
                    room(Some(self.random.below(100))),
                ]
            }
            // Much is missed, all the rest arrives, and the notice is cut.
            3..5 => vec![
                Action::Faults(FaultRates::default()),
                room(Some(0)),
                subscribe(client, 0, false),
                Action::Publish(of_set(self, 20)),
                Action::Publish(of_set(self, 40)),
                room(None),
                Action::Pass { ms: 20 },
                room(Some(1 + self.random.below(40))),
                Action::Pass { ms: 1_100 },
                room(None),
            ],
            // A send of many frames meets a socket that takes some.
            5..7 | 11 | 12 => {
                let faults = FaultRates {
                    short: 700,
                    ..FaultRates::default()
                };
                vec![
                    room(None),
                    Action::Pass { ms: 60 },
                    Action::Faults(faults),
                    Action::Publish(of_set(self, 20)),
                    Action::Pass { ms: 1 },
                    Action::Faults(FaultRates::default()),
                    Action::Pass { ms: 20 },
                ]
            }
            // Nothing is heard of a client, which takes what it gets.
            7 => vec![
                Action::Faults(FaultRates::default()),
                room(None),
                Action::FallSilent(client),
                Action::Pass { ms: 95_000 },
            ],
            // Answers are not read.
            _ => vec![
                room(Some(self.random.below(100))),
                Action::Ping { client, count: 300 },
                subscribe(client, throttle_ms, true),
                Action::Publish(of_set(self, 5)),
                room(None),
            ],
        };
        steps.extend(actions.into_iter().map(|action| Step {
            action,
            with_next: false,
        }));
    }

    fn action(&mut self) -> Action {
        let client = self.client();
        match self.random.below(100) {
            0..30 => self.publish(),
            30..44 => {
                let bytes = match self.random.below(10) {
                    0..3 => None,
                    3..5 => Some(0),
                    5..7 => Some(self.random.below(12)),
                    7..9 => Some(self.random.below(400)),
                    _ => Some(self.random.below(5_000)),
                };
                Action::Room { client, bytes }
            }
            44..52 => self.subscribe(client),
            52..55 => {
                let channels = (self.random.below(3) > 0).then(|| self.channels());
                Action::Unsubscribe { client, channels }
            }
            55..60 => {
                let opening = match self.random.below(10) {
                    0..6 => Opening::Session,
                    6 => Opening::SymbolPath,
                    7 => Opening::Page,
                    8 => Opening::Mute,
                    _ => Opening::Refused,
                };
                self.connect(opening)
            }
            60..64 => Action::Faults(self.faults()),
            64..66 => Action::Ping {
                client,
                count: self.one_of(&[1, 1, 3, 300]),
            },
            66 => Action::WebSocketPing(client),
            67..73 => Action::Leave {
                client,
                how: match self.random.below(16) {
                    0..4 => Leaving::CloseFrame,
                    4..7 => Leaving::Fin,
                    7..10 => Leaving::Failure,
                    10..13 => Leaving::Garbage,
                    _ => Leaving::Flood,
                },
            },
            73..76 => Action::LateEvent {
                client,
                what: self.random.below(4),
            },
            76..92 => {
                let ms = match self.random.below(40) {
                    0..16 => self.random.below(20),
                    16..26 => self.random.below(200),
                    26..36 => self.random.below(1_500),
                    36..38 => 2_500,
                    38 => 11_000,
                    _ => 95_000,
                };
                Action::Pass { ms: ms as u64 }
            }
            92..94 => Action::Scrape,
            94 => Action::Broadcast,
            95 => Action::Disconnect(client),
            96 => Action::FallSilent(client),
            // Rare: not much happens after them.
            97 if self.random.happens(400) => Action::Drain {
                pace_ms: self.one_of(&[0, 10, 1_000]),
            },
            98 if self.random.happens(200) => Action::Shutdown,
            _ => self.publish(),
        }
    }

    fn connect(&mut self, opening: Opening) -> Action {
        let client = self.next_client;
        self.next_client += 1;
        Action::Connect {
            client,
            opening,
            is_polite: self.random.happens(700),
        }
    }

    fn subscribe(&mut self, client: Label) -> Action {
        let (channels, throttle_ms) = if self.random.happens(650) {
            self.sets[self.random.below(self.sets.len())].clone()
        } else {
            (self.channels(), self.throttle_ms())
        };
        Action::Subscribe {
            client,
            channels,
            throttle_ms,
            snapshot: self.random.happens(750),
        }
    }

    fn publish(&mut self) -> Action {
        let count = match self.random.below(10) {
            0..4 => 1 + self.random.below(3),
            4..8 => 1 + self.random.below(20),
            _ => 1 + self.random.below(100),
        };
        let kinds = 1 + self.random.below(PUBLISHED);
        let channels = (0..count).map(|_| Channel(self.random.below(kinds)));
        let mut channels: Vec<_> = channels.collect();
        if self.random.happens(500) {
            for channel in &mut channels {
                *channel = Channel(PUBLISHED - 1 - channel.0);
            }
        }
        Action::Publish(channels)
    }

    fn channels(&mut self) -> Vec<Channel> {
        let all: Vec<_> = Channel::all().collect();
        let count = 1 + self.random.below(5);
        // With repetitions, which the engine must bear.
        (0..count).map(|_| self.one_of(&all)).collect()
    }

    fn throttle_ms(&mut self) -> u32 {
        self.one_of(&[0, 0, 0, 10, 50, 200, 1_500])
    }

    fn faults(&mut self) -> FaultRates {
        let mut rate = |per_mille: usize| {
            let rate = if self.random.happens(500) {
                0
            } else {
                self.random.below(per_mille)
            };
            u32::try_from(rate).unwrap()
        };
        FaultRates {
            short: rate(400),
            would_block: rate(200),
            no_buffers: rate(200),
            failed: rate(10),
        }
    }

    /// One of those that there were; the newest more often.
    fn client(&mut self) -> Label {
        let back = self
            .random
            .below(7)
            .min(self.next_client.saturating_sub(1) as usize);
        self.next_client
            .saturating_sub(1 + u32::try_from(back).unwrap())
    }

    fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.random.below(choices.len())].clone()
    }
}
