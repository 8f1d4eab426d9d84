//! Each rule catches a violation that was planted for it, and leaves alone what is near to one.

use super::dependencies;
use super::rules::{self, RULES};
use super::source::SourceFile;

/// Rule, path, text, and the lines that must be found: none for what is allowed.
type Case = (&'static str, &'static str, &'static str, &'static [usize]);

const TIME: &str = "time comes from the clock port";
const PROCESS: &str = "a process is started in the homes of processes";
const ENVIRONMENT: &str = "an environment variable is read by the configuration";
const SLEEP: &str = "a test does not sleep";
const CFG: &str = "`cfg(test)` stands only on `mod tests`";
const TO_DO: &str = "nothing is left to do";
const IGNORED: &str = "no test is ignored";
const HEAD: &str = "a file begins with `//!`";
const ROLE: &str = "the library names no role";

const CASES: &[Case] = &[
    (HEAD, "src/a.rs", "// a\nfn a() {}\n", &[1]),
    (HEAD, "src/a.rs", "//! a\nfn a() {}\n", &[]),
    (TIME, "src/a.rs", "//!\nlet t = std::time::Instant::now();\n", &[2]),
    (TIME, "worker/src/clock.rs", "//!\nlet t = SystemTime::now();\n", &[2]),
    (TIME, "src/clock.rs", "//!\nlet t = SystemTime::now();\n", &[]),
    (TIME, "src/a.rs", "//! `Instant::now()` is elsewhere.\n", &[]),
    (PROCESS, "src/a.rs", "//!\ntokio::process::Command::new(\"git\");\n", &[2]),
    (PROCESS, "worker/src/github/rest.rs", "//!\nCommand::new(\"curl\");\n", &[2]),
    (PROCESS, "worker/src/checkout/mirror.rs", "//!\nCommand::new(\"git\");\n", &[]),
    (ENVIRONMENT, "producer/src/http.rs", "//!\nstd::env::var(\"PORT\");\n", &[2]),
    (ENVIRONMENT, "src/a.rs", "//!\nfor (k, v) in env::vars_os() {}\n", &[2]),
    (ENVIRONMENT, "src/config/load.rs", "//!\nstd::env::var_os(\"PORT\");\n", &[]),
    (ENVIRONMENT, "src/a.rs", "//!\nenv!(\"CARGO_PKG_VERSION\");\n", &[]),
    (SLEEP, "tests/it/a.rs", "//!\ntokio::time::sleep(SECOND).await;\n", &[2]),
    (SLEEP, "tests/it/a.rs", "//!\nuse std::thread::sleep;\nsleep(SECOND);\n", &[2, 3]),
    (SLEEP, "src/a.rs", "//!\nsleep(A);\nmod tests {\n    sleep(B);\n}\n", &[4]),
    (SLEEP, "src/a/tests.rs", "//!\nsleep(A);\n", &[2]),
    (SLEEP, "tests/it/a.rs", "//!\nasync fn sleep(&self) {}\nclock.sleep(A);\n", &[]),
    (IGNORED, "src/a.rs", "//!\n#[test]\n#[ignore]\nfn a() {}\n", &[3]),
    (IGNORED, "src/a.rs", "//!\n#[ignore = \"slow\"]\nfn a() {}\n", &[2]),
    (CFG, "src/a.rs", "//!\n#[cfg(test)]\nfn only_for_tests() {}\n", &[2]),
    (CFG, "src/a.rs", "//!\n#[cfg(not(test))]\nmod real;\n", &[2]),
    (CFG, "src/a.rs", "//!\nif cfg!(test) { a() }\n", &[2]),
    (CFG, "src/a.rs", "//!\n#[cfg(test)]\n#[path = \"b.rs\"]\nmod tests;\n", &[]),
    (CFG, "src/a.rs", "//!\n#[cfg(test)]\nmod tests {\n}\n#[test]\n", &[]),
    (TO_DO, "src/a.rs", "//!\nfn a() { todo!() }\n", &[2]),
    (TO_DO, "src/a.rs", "//!\nfn a() { unimplemented!(\"later\") }\n", &[2]),
    (ROLE, "src/a.rs", "//!\nuse sluice_worker::Engine;\n", &[2]),
    (ROLE, "tests/it/a.rs", "//!\nuse sluice_worker::Engine;\n", &[]),
];

#[test]
fn each_rule_catches_what_it_is_for() {
    for (rule, path, text, expected) in CASES {
        assert_eq!(lines(rule, path, text), *expected, "{rule}: {path}:\n{text}");
    }
}

#[test]
fn sizes_are_counted_to_the_line_and_the_column() {
    let file = "a file has at most 400 lines";
    assert_eq!(lines(file, "src/a.rs", &"//!\n".repeat(400)), [0; 0]);
    assert_eq!(lines(file, "src/a.rs", &"//!\n".repeat(401)), [1]);
    let line = "a line has at most 100 columns";
    assert_eq!(lines(line, "src/a.rs", &format!("//!\n//{}\n", "é".repeat(98))), [0; 0]);
    assert_eq!(lines(line, "src/a.rs", &format!("//!\n//{}\n", "é".repeat(99))), [2]);
}

#[test]
fn no_rule_is_without_a_planted_violation() {
    let counted = ["a file has at most 400 lines", "a line has at most 100 columns"];
    for rule in RULES {
        let planted =
            CASES.iter().any(|(name, _, _, lines)| *name == rule.name && !lines.is_empty());
        assert!(planted || counted.contains(&rule.name), "nothing is planted for: {}", rule.name);
    }
}

#[test]
fn a_dependency_that_points_the_wrong_way_is_found() {
    let manifest = |package: &str, rest: &str| format!("[package]\nname = \"{package}\"\n{rest}");
    let wrong = [
        manifest("sluice", "[dependencies]\naxum.workspace = true"),
        manifest("sluice-worker", "[dependencies]\nsluice-producer = { path = \"../producer\" }"),
        manifest("sluice-producer", "[target.'cfg(unix)'.dependencies]\nsluice-sim = \"1\""),
        manifest(
            "sluice",
            "[build-dependencies]\ncache = { package = \"redis\", version = \"1\" }",
        ),
        manifest("newcomer", ""),
    ];
    for text in wrong {
        assert_eq!(dependencies::broken_by("Cargo.toml", &text).len(), 1, "{text}");
    }
    let right = [
        manifest("sluice", "[dev-dependencies]\nsluice-worker.workspace = true"),
        manifest("sluice-cli", "[dependencies]\nsluice-worker.workspace = true"),
    ];
    for text in right {
        assert!(dependencies::broken_by("Cargo.toml", &text).is_empty(), "{text}");
    }
}

fn lines(rule: &str, path: &str, text: &str) -> Vec<usize> {
    let broken = rules::broken_by(&SourceFile::new(path, text)).into_iter();
    broken.filter(|violation| violation.rule == rule).map(|violation| violation.line).collect()
}
