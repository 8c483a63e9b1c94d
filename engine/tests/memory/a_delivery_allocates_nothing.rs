//! Of everything between an update and its last client, nothing is allocated per client.

use allocation_counter::measure;

use crate::bare_driver::BareDriver;

const CONNECTIONS: u32 = 1_000;

/// Allocations of a turn that sends to all clients, once everything has been warm.
fn allocations_of_a_turn(mut driver: BareDriver) -> u64 {
    for _ in 0..3 {
        driver.mail();
        driver.run();
    }
    driver.mail();
    let before = driver.sends();
    let turn = measure(|| driver.run());
    assert!(
        driver.sends() - before >= u64::from(CONNECTIONS),
        "they were served"
    );
    turn.count_total
}

#[test]
fn to_clients_with_one_set() {
    let mut driver = BareDriver::new(CONNECTIONS, 1);
    for _ in 0..CONNECTIONS {
        driver.subscriber(&[0]);
    }
    assert_eq!(allocations_of_a_turn(driver), 0);
}

#[test]
fn to_clients_with_sets_of_their_own() {
    let channels = CONNECTIONS as usize + 1;
    let mut driver = BareDriver::new(CONNECTIONS, channels);
    for client in 0..CONNECTIONS as usize {
        driver.subscriber(&[0, client + 1]);
    }
    assert_eq!(allocations_of_a_turn(driver), 0);
}
