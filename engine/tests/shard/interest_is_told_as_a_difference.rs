//! What clients watch, as the shard reports it: whoever adds up all news has the set of channels that have a
//! subscriber, published or not, and a channel that is back where it was is no news.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tickwire_engine::shard::InterestChange;

use crate::world::World;

#[test]
fn first_and_last_subscriber_are_news_and_others_are_not() {
    let mut world = World::new();
    let first = world.subscriber(&["A", "B"]);
    assert_eq!(news(&mut world), [("market:A", true), ("market:B", true)]);
    let second = world.subscriber(&["A"]);
    world.publish(&["market:A"]);
    assert_eq!(news(&mut world), []);
    world.command(first, r#"{"action":"unsubscribe"}"#);
    assert_eq!(news(&mut world), [("market:B", false)]);
    world.driver.client_ends(second, false);
    world.driver.run();
    assert_eq!(news(&mut world), [("market:A", false)]);
}

#[test]
fn a_channel_that_came_and_went_between_two_questions_is_no_news() {
    let mut world = World::new();
    let client = world.subscriber(&["A"]);
    world.command(client, r#"{"action":"unsubscribe"}"#);
    assert_eq!(news(&mut world), []);
    assert!(!world.driver.shard().has_interest_news());
}

proptest! {
    #[test]
    fn news_add_up_to_what_is_watched(
        steps in prop::collection::vec((0..3usize, 0..4usize, 0..6u8), 1..60)
    ) {
        const CHANNELS: [&str; 4] = ["market:A", "market:B", "news:x", "market:C"];
        let mut world = World::new();
        let clients: Vec<_> = (0..3).map(|_| world.client()).collect();
        let mut wanted = [BTreeSet::new(), BTreeSet::new(), BTreeSet::new()];
        let mut told = BTreeSet::new();
        for (client, channel, step) in steps {
            let name = CHANNELS[channel];
            match step {
                0 | 1 => {
                    world.command(clients[client], &format!(r#"{{"action":"subscribe","channels":["{name}"]}}"#));
                    wanted[client].insert(name.to_owned());
                }
                2 => {
                    world.command(clients[client], &format!(r#"{{"action":"unsubscribe","channels":["{name}"]}}"#));
                    wanted[client].remove(name);
                }
                3 => {
                    world.command(clients[client], r#"{"action":"unsubscribe"}"#);
                    wanted[client].clear();
                }
                4 => drop(world.publish(&[name])),
                _ => {
                    for InterestChange { channel, wanted } in world.driver.shard_mut().take_interest() {
                        let changed = if wanted {
                            told.insert(channel.to_string())
                        } else {
                            told.remove(&*channel)
                        };
                        prop_assert!(changed, "{channel} was told as {wanted} twice");
                    }
                    let expected: BTreeSet<_> = wanted.iter().flatten().cloned().collect();
                    prop_assert_eq!(&told, &expected);
                }
            }
        }
    }
}

fn news(world: &mut World) -> Vec<(&'static str, bool)> {
    let mut news: Vec<_> = world
        .driver
        .shard_mut()
        .take_interest()
        .into_iter()
        .map(|change| match &*change.channel {
            "market:A" => ("market:A", change.wanted),
            "market:B" => ("market:B", change.wanted),
            other => panic!("{other}"),
        })
        .collect();
    news.sort_unstable();
    news
}
