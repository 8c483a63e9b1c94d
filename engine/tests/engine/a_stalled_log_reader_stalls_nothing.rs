//! Whoever reads the log may stop reading, or go: values flow on, and the engine ends when it is told to.

use std::io::{PipeWriter, Read};
use std::process::Stdio;

use rustix::process::Signal;

use crate::harness::{Engine, RedisServer, until};

#[test]
fn a_reader_that_stalls() {
    let redis = RedisServer::start();
    let (reader, writer) = std::io::pipe().unwrap();
    rustix::pipe::fcntl_setpipe_size(&writer, 4_096).unwrap();
    let mut engine = engine_logging_to(writer, &redis);
    flood(&engine, &redis);
    engine.signal(Signal::TERM);
    assert_eq!(engine.wait().code(), Some(0));
    drop(reader);
}

#[test]
fn a_reader_that_goes() {
    let redis = RedisServer::start();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut engine = engine_logging_to(writer, &redis);
    let mut first = [0];
    reader.read_exact(&mut first).unwrap();
    drop(reader);
    flood(&engine, &redis);
    engine.signal(Signal::TERM);
    assert_eq!(engine.wait().code(), Some(0));
}

fn engine_logging_to(writer: PipeWriter, redis: &RedisServer) -> Engine {
    let arguments = [
        "--redis-url",
        &redis.url(),
        "--drain-grace=0",
        "--log=debug",
    ];
    Engine::start_without_log(&mut Engine::command(&arguments), Stdio::from(writer))
}

/// Makes it log far more than a pipe holds, and checks that values arrive all the same.
fn flood(engine: &Engine, redis: &RedisServer) {
    let mut client = engine.subscriber(&["LOG"]);
    redis.publish_to_subscriber("garbage");
    for n in 0..200 {
        redis.publish(&format!("garbage {n}"));
        // Each connection that ends is a line at this level.
        drop(engine.client());
        redis.publish(&format!(
            r#"{{"type":"price_update","symbol":"LOG","data":{{"n":{n}}}}}"#
        ));
        assert_eq!(client.json()["data"]["n"], n);
    }
    until("the admin listener answers", || {
        (engine.ready()["status"] == "ready").then_some(())
    });
}
