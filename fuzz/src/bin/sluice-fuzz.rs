//! What libFuzzer drives: the target that `SLUICE_FUZZ_TARGET` names.
#![no_main]
#![allow(unsafe_code, reason = "libFuzzer's entry point is a C symbol")]
#![allow(clippy::expect_used, reason = "without a target there is nothing to do")]

use std::sync::LazyLock;

use sluice_fuzz::{Target, target};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("SLUICE_FUZZ_TARGET").unwrap_or_default();
    target(&name).expect("SLUICE_FUZZ_TARGET names a target")
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| (TARGET.run)(data));
