//! What libFuzzer drives: the target that `--target=` names.
#![no_main]
#![allow(unsafe_code, reason = "libFuzzer's entry point is a C symbol")]
#![allow(clippy::expect_used, reason = "without a target there is nothing to do")]

use std::sync::LazyLock;

use sluice_fuzz::{Target, target};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    // libFuzzer leaves what begins with two dashes to us.
    let name = std::env::args().find_map(|word| Some(word.strip_prefix("--target=")?.to_owned()));
    name.and_then(|name| target(&name)).expect("--target= names a target")
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| (TARGET.run)(data));
