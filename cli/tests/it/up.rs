//! `sluice up` as a process: ready, told to stop, ended.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cluster::{Cluster, PATIENCE};

/// Starts it and returns its address, which it logs.
fn start(cluster: &Cluster) -> (Child, String) {
    let mut command = cluster.command(&["up", "--log-format", "json"]);
    command.stderr(Stdio::piped()).env_remove("RUST_LOG");
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = loop {
        let line = lines.next().expect("it says where it listens").unwrap();
        let line: serde_json::Value = serde_json::from_str(&line).expect("each line is JSON");
        if let Some(address) = line["address"].as_str() {
            break address.to_owned();
        }
    };
    // Nobody reads the rest, and nobody may wait for that.
    std::thread::spawn(move || lines.for_each(drop));
    (child, address)
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test]
async fn it_is_ready_when_the_stores_are_and_ends_in_order() {
    let cluster = Cluster::new();
    let (child, address) = start(&cluster);
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let ended = tokio::task::spawn_blocking(move || {
        let mut child = child;
        child.wait().unwrap()
    });
    let ready = async {
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(100));
        loop {
            let address = address.clone();
            let answer = tokio::task::spawn_blocking(move || get(&address, "/readyz")).await;
            if answer.unwrap().starts_with("HTTP/1.1 200") {
                return;
            }
            ticks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, ready).await.expect("it becomes ready");
    assert!(get(&address, "/metrics").contains("sluice_build_info"));
    kill(pid, Signal::SIGTERM).unwrap();
    let status = tokio::time::timeout(PATIENCE, ended).await.expect("it ends").unwrap();
    assert_eq!(status.code(), Some(0));
    cluster.finish().await;
}
