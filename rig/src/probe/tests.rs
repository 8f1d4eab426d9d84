//! The greetings, against servers that say what the real ones were seen to say.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::io::Cursor;
use std::net::TcpListener;

use super::*;

/// A server that says `script` whatever it is told.
struct Scripted {
    script: Cursor<Vec<u8>>,
    heard: Vec<u8>,
}

impl Scripted {
    fn saying(parts: &[&[u8]]) -> Self {
        Self { script: Cursor::new(parts.concat()), heard: Vec::new() }
    }
}

impl Read for Scripted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.script.read(buffer)
    }
}

impl Write for Scripted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.heard.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const START: &[u8] = b"\x01\x00\x00\x00\x00\x00\x06\x00\x0a\x00\x0a\x00\x09\xce";
const TUNE: &[u8] = b"\x01\x00\x00\x00\x00\x00\x04\x00\x0a\x00\x1e\xce";
const CLOSE: &[u8] = b"\x01\x00\x00\x00\x00\x00\x04\x00\x0a\x00\x32\xce";

#[test]
fn rabbitmq_that_lets_guest_in_is_ready() {
    let mut server = Scripted::saying(&[START, TUNE]);
    greet_rabbitmq(&mut server).unwrap();
    assert!(server.heard.starts_with(b"AMQP\x00\x00\x09\x01\x01\x00\x00"));
}

#[test]
fn rabbitmq_that_refuses_guest_is_not() {
    for refusal in [CLOSE, b""] {
        let error = greet_rabbitmq(&mut Scripted::saying(&[START, refusal])).unwrap_err();
        assert!(error.to_string().contains("does not let guest in"), "{error}");
    }
}

#[test]
fn a_redis_behind_a_password_is_not_ready() {
    greet_redis(&mut Scripted::saying(&[b"+PONG\r\n"])).unwrap();
    let mut locked = Scripted::saying(&[b"-NOAUTH Authentication required.\r\n"]);
    let error = greet_redis(&mut locked).unwrap_err();
    assert_eq!(error.to_string(), "is Redis, but wants a password");
}

#[test]
fn postgres_is_ready_only_when_it_takes_queries() {
    let trusted = b"R\x00\x00\x00\x08\x00\x00\x00\x00";
    let ready = b"Z\x00\x00\x00\x05I";
    greet_postgres(&mut Scripted::saying(&[trusted, ready])).unwrap();

    let scram = b"R\x00\x00\x00\x17\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00";
    let error = greet_postgres(&mut Scripted::saying(&[scram])).unwrap_err();
    assert!(error.to_string().contains("wants a password"), "{error}");

    let starting = b"E\x00\x00\x00\x15SFATAL\x00Mstarting\x00\x00";
    let error = greet_postgres(&mut Scripted::saying(&[trusted, starting])).unwrap_err();
    assert!(error.to_string().contains("starting"), "{error}");
}

#[test]
fn another_protocol_at_the_port_is_refused_without_reading_it_all() {
    let web = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    for greeting in [greet_rabbitmq, greet_redis, greet_postgres] {
        greeting(&mut Scripted::saying(&[web])).unwrap_err();
    }
}

#[test]
fn nobody_there_is_refused() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(matches!(ask(Service::Redis, free), Answer::Refused(_)));
}
