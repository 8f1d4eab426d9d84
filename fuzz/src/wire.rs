//! What a bridge says: lines of JSON, on a job's connection and on the server's own.

use futures_util::FutureExt as _;
use serde_json::Value;
use sluice::engine::EngineError;
use sluice_worker::sqlmesh::wire::{Event, Greeting, Line, Notice, line};

pub(crate) fn run(data: &[u8]) {
    let mut lines = 0;
    let mut rest = data;
    loop {
        let before = rest;
        // A slice is always ready.
        let read = line::<Line, _>(&mut rest).now_or_never().expect("nothing is waited for");
        let said = &before[..before.len() - rest.len()];
        match read {
            Ok(None) => break assert!(rest.is_empty(), "the end is the end"),
            Ok(Some(read)) => judge(read, said),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
            Err(_) => {}
        }
        lines += 1;
    }
    assert!(lines <= data.iter().filter(|b| **b == b'\n').count() + 1);
    let (mut greeting, mut notice) = (data, data);
    let _ = line::<Greeting, _>(&mut greeting).now_or_never().expect("nothing is waited for");
    let _ = line::<Notice, _>(&mut notice).now_or_never().expect("nothing is waited for");
    assert_eq!(greeting.len(), notice.len(), "both take one line");
}

/// What was understood is what stands there.
fn judge(read: Line, said: &[u8]) {
    // Where a key stands twice, and for numbers beyond 2^63, generic JSON is another language.
    let Ok(value) = serde_json::from_slice::<Value>(said) else { return };
    match read {
        Line::Done { id, ok, warnings } => {
            assert!(value.get("err").is_none(), "an error was taken for a success: {value}");
            assert_eq!((Some(id), Some(&ok)), (value["id"].as_u64(), value.get("ok")), "{value}");
            assert!(warnings.len() <= said.len());
        }
        Line::Failed { id, err, .. } => {
            assert_eq!(Some(id), value["id"].as_u64(), "{value}");
            let class = value["err"]["class"].as_str().unwrap_or_default().to_owned();
            let error = EngineError::from(err);
            assert_eq!(class == "conflict", matches!(error, EngineError::Conflict(_)), "{value}");
            assert_eq!(class == "busy", matches!(error, EngineError::Busy(_)), "{value}");
            assert_eq!(class == "halted", matches!(error, EngineError::Halted(_)), "{value}");
        }
        Line::Event(Event::Fence { stage, n }) => {
            assert_eq!(Some(n), value["n"].as_u64(), "{value}");
            assert_eq!(Some(stage.as_str()), value["stage"].as_str(), "{value}");
        }
        Line::Event(Event::Progress(_)) => assert_eq!(value["event"], "progress", "{value}"),
    }
}
