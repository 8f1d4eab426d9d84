//! When the same configuration may be read differently: SQLMesh, or this bridge, is another
//! version.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use sluice::clock::unix_ms;
use sluice::project::Python;

use super::{interpreter, script};

/// Changes when another SQLMesh is installed. What cannot be read is a version of its own: using it
/// will fail with a better message.
pub(super) fn of(python: &Python) -> String {
    let installed = match python {
        Python::Requirements(path) => {
            fs::read(path).map(|text| hex::encode(Sha256::digest(text))).unwrap_or_default()
        }
        Python::Interpreter(path) => format!("{:?}", changed(path)),
    };
    format!("{}/{installed}", script::PROTOCOL)
}

/// When something was last installed beside the interpreter, in milliseconds since 1970.
fn changed(interpreter: &Path) -> Option<u64> {
    let interpreter = interpreter::locate(interpreter).ok()?;
    let home = interpreter.parent()?.parent()?;
    let pythons = fs::read_dir(home.join("lib")).ok()?.flatten();
    let folders = pythons.map(|python| python.path().join("site-packages"));
    let times = folders.filter_map(|folder| folder.metadata().and_then(|m| m.modified()).ok());
    times.map(|time: SystemTime| unix_ms(time)).max()
}
