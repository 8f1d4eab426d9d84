//! Is that really RabbitMQ, Redis, PostgreSQL, and does it let us in?
//!
//! An open port says neither: each is greeted in its own protocol, up to the point where it has
//! accepted the account of [`Service::url`]. Keeps no connection.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Context as _;

use crate::program::wait_for;
use crate::{Guarded, Service};

/// A local server answers within milliseconds; RabbitMQ takes a second to refuse a password.
const PATIENCE: Duration = Duration::from_secs(3);

/// The largest message that is read; each greeting is a few hundred bytes.
const LARGEST_MESSAGE: u32 = 64 * 1024;

/// The versions and capabilities that PostgreSQL tells after the login; more is not PostgreSQL.
const MOST_MESSAGES: usize = 64;

/// What came of a greeting.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is the service, and a test may use it.
    Ready,
    /// It is not there, is something else, or does not let us in: the reason, for a person.
    Refused(String),
}

/// Greets `service` at `address`. Takes seconds at most.
pub fn ask(service: Service, address: SocketAddr) -> Answer {
    let greeted = connect(address).and_then(|mut stream| match service {
        Service::RabbitMq => greet_rabbitmq(&mut stream),
        Service::Redis => greet_redis(&mut stream),
        Service::Postgres => greet_postgres(&mut stream),
    });
    match greeted {
        Ok(()) => Answer::Ready,
        Err(error) => Answer::Refused(error.to_string()),
    }
}

/// Waits until `service` answers at `port`, as long as `started` has not ended.
pub fn await_ready(
    service: Service,
    port: u16,
    started: &mut Guarded,
    limit: Duration,
) -> anyhow::Result<()> {
    let mut last = String::new();
    let answered = wait_for(limit, || {
        match ask(service, (Ipv4Addr::LOCALHOST, port).into()) {
            Answer::Ready => return Ok(Some(())),
            Answer::Refused(why) => last = why,
        }
        if let Some(status) = started.ended()? {
            anyhow::bail!("{service} ended ({status}) before it answered:\n{}", started.log());
        }
        Ok(None)
    })?;
    answered.with_context(|| {
        let limit = limit.as_secs();
        format!("{service} did not answer within {limit} s ({last}):\n{}", started.log())
    })
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn refused(why: impl Into<String>) -> io::Error {
    io::Error::other(why.into())
}

const AMQP_START: [u16; 2] = [10, 10];
const AMQP_TUNE: [u16; 2] = [10, 30];

/// AMQP 0-9-1: protocol header, `connection.start`, `start-ok` as guest, `connection.tune`.
fn greet_rabbitmq(stream: &mut (impl Read + Write)) -> io::Result<()> {
    stream.write_all(b"AMQP\x00\x00\x09\x01")?;
    if amqp_method(stream)? != AMQP_START {
        return Err(refused("speaks AMQP, but did not begin with connection.start"));
    }
    let mut start_ok = vec![0, 10, 0, 11]; // class connection, method start-ok
    start_ok.extend([0; 4]); // no client properties
    start_ok.extend(b"\x05PLAIN");
    start_ok.extend(b"\x00\x00\x00\x0c\x00guest\x00guest");
    start_ok.extend(b"\x05en_US");
    let length = u32::try_from(start_ok.len()).map_err(io::Error::other)?;
    let mut frame = vec![1, 0, 0]; // a method, on channel 0
    frame.extend(length.to_be_bytes());
    frame.extend(start_ok);
    frame.push(0xce);
    stream.write_all(&frame)?;
    match amqp_method(stream) {
        Ok(AMQP_TUNE) => Ok(()),
        // It says connection.close, or just closes.
        _ => Err(refused("is RabbitMQ, but does not let guest in with the password guest")),
    }
}

/// The class and method of the next frame.
fn amqp_method(stream: &mut impl Read) -> io::Result<[u16; 2]> {
    let mut head = [0; 7];
    stream.read_exact(&mut head)?;
    let [kind, _, _, length @ ..] = head;
    let payload = read_bounded(stream, u32::from_be_bytes(length))?;
    let mut end = [0];
    stream.read_exact(&mut end)?;
    match payload[..] {
        [a, b, c, d, ..] if kind == 1 && end == [0xce] => {
            Ok([u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])])
        }
        _ => Err(refused("is not RabbitMQ: no AMQP 0-9-1 frame came")),
    }
}

fn greet_redis(stream: &mut (impl Read + Write)) -> io::Result<()> {
    stream.write_all(b"PING\r\n")?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer)?;
    match &answer {
        b"+PONG\r\n" => Ok(()),
        b"-NOAUTH" => Err(refused("is Redis, but wants a password")),
        other => Err(refused(format!("is not Redis: {:?}", String::from_utf8_lossy(other)))),
    }
}

/// PostgreSQL's protocol 3.0: a start-up packet, then messages until it is ready for a query.
fn greet_postgres(stream: &mut (impl Read + Write)) -> io::Result<()> {
    let mut packet = 196_608_u32.to_be_bytes().to_vec();
    packet.extend(b"user\0postgres\0database\0postgres\0\0");
    let length = u32::try_from(packet.len() + 4).map_err(io::Error::other)?;
    stream.write_all(&length.to_be_bytes())?;
    stream.write_all(&packet)?;
    for _ in 0..MOST_MESSAGES {
        let mut head = [0; 5];
        stream.read_exact(&mut head)?;
        let [kind, length @ ..] = head;
        let body = read_bounded(stream, u32::from_be_bytes(length).saturating_sub(4))?;
        match kind {
            b'Z' => return stream.write_all(b"X\x00\x00\x00\x04"),
            b'R' if !body.starts_with(&[0; 4]) => {
                return Err(refused("is PostgreSQL, but wants a password of user postgres"));
            }
            b'E' => {
                let fields = String::from_utf8_lossy(&body).replace('\0', " ");
                return Err(refused(format!("is PostgreSQL, but says: {}", fields.trim())));
            }
            b'R' | b'S' | b'K' | b'N' => {}
            _ => break,
        }
    }
    Err(refused("is not PostgreSQL: an answer that its protocol does not have"))
}

fn read_bounded(stream: &mut impl Read, length: u32) -> io::Result<Vec<u8>> {
    if length > LARGEST_MESSAGE {
        return Err(refused(format!("announces a message of {length} bytes: another protocol")));
    }
    let mut payload = Vec::new();
    stream.take(u64::from(length)).read_to_end(&mut payload)?;
    if payload.len() as u64 != u64::from(length) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(payload)
}

#[cfg(test)]
mod tests;
