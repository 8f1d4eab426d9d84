//! The rules for a source file, each with its reason and, where it has some, its homes.

use super::Violation;
use super::source::SourceFile;

/// A rule for one source file.
pub(super) struct Rule {
    /// What must hold, as the complaint says it.
    pub(super) name: &'static str,
    why: &'static str,
    /// The lines that break it.
    broken_at: fn(&SourceFile) -> Vec<usize>,
}

const MOST_LINES: usize = 400;
const MOST_COLUMNS: usize = 100;

/// Where time comes from. The stand-in does not depend on the library, so it has a clock too.
const CLOCK_HOMES: &[&str] = &["src/clock", "sim/src/world/time", "rig/", "xtask/"];

/// Who starts programs: each of these owns their end as well.
const PROCESS_HOMES: &[&str] = &[
    "bench/",
    "worker/src/bridge",
    "worker/src/checkout",
    "worker/src/sqlmesh",
    "worker/src/venv",
    "worker/tests/checkout",
    "worker/tests/sqlmesh",
    "sim/src/git",
    "cli/src/demo",
    "chaos/",
    "cli/src/verbs/doctor",
    "cli/tests",
    "rig/",
    "tests/",
    "xtask/",
];

/// Who reads settings. Homes of processes read what they pass on to a program, too.
const ENVIRONMENT_HOMES: &[&str] = &["src/config", "conformance/src/coverage"];

/// Every rule.
pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "a file has at most 400 lines",
        why: "a file that needs scrolling holds two subjects: give the second one its own",
        broken_at: |file| at_first_line(file.text.lines().count() > MOST_LINES),
    },
    Rule {
        name: "a file begins with `//!`",
        why: "the head says what the file owns and what it refuses to know",
        broken_at: |file| {
            at_first_line(!file.text.trim().is_empty() && !file.text.starts_with("//!"))
        },
    },
    Rule {
        name: "a line has at most 100 columns",
        why: "rustfmt breaks code, but not comments and literals; two files fit side by side",
        broken_at: long_lines,
    },
    Rule {
        name: "time comes from the clock port",
        why: "a test must be able to own time: take it from `Clock` (src/clock.rs)",
        broken_at: |file| outside(file, &[CLOCK_HOMES], &["Instant::now(", "SystemTime::now("]),
    },
    Rule {
        name: "a process is started in the homes of processes",
        why: "whoever starts a program owns its end, its environment and its bounds: see \
              PROCESS_HOMES in tests/it/tidy/rules.rs",
        broken_at: |file| outside(file, &[PROCESS_HOMES], &["Command::new("]),
    },
    Rule {
        name: "an environment variable is read by the configuration",
        why: "a setting that is read elsewhere is missing from `--print-config` and from the list \
              of all errors at start",
        broken_at: |file| {
            let reads = ["env::var", "env::set_var", "env::remove_var"];
            outside(file, &[ENVIRONMENT_HOMES, PROCESS_HOMES], &reads)
        },
    },
    Rule {
        name: "a test does not sleep",
        why: "a sleep is too short on a busy machine and too long on all others: await the event, \
              or look again at each tick of an interval, under a timeout",
        broken_at: sleeps_in_tests,
    },
    Rule {
        name: "no test is ignored",
        why: "a test that nobody runs proves nothing and still has to be read",
        broken_at: |file| file.lines_where(|line| line.contains("#[ignore")),
    },
    Rule {
        name: "`cfg(test)` stands only on `mod tests`",
        why: "what is tested is what runs: a branch for tests is a second program",
        broken_at: conditions_on_test,
    },
    Rule {
        name: "nothing is left to do",
        why: "a feature is there or it is not: a stub that panics looks like one that is",
        broken_at: |file| {
            file.lines_where(|line| line.contains("todo!") || line.contains("unimplemented!"))
        },
    },
    Rule {
        name: "the library names no role",
        why: "`sluice` is what the roles agree on; its unit tests would also see a second copy of \
              it. Tests that need a role go to tests/it",
        broken_at: |file| {
            let roles = ["sluice_worker", "sluice_producer", "sluice_sim", "sluice_cli"];
            let named = file.lines_where(|line| roles.iter().any(|role| line.contains(role)));
            if file.path.starts_with("src/") { named } else { Vec::new() }
        },
    },
];

/// Every place of `file` that breaks a rule.
pub(super) fn broken_by(file: &SourceFile) -> Vec<Violation> {
    let places = RULES.iter().flat_map(|rule| {
        let lines = (rule.broken_at)(file).into_iter();
        lines.map(move |line| (rule, line))
    });
    let violation = |(rule, line): (&Rule, usize)| Violation {
        path: file.path.clone(),
        line,
        rule: rule.name.to_owned(),
        why: rule.why,
    };
    places.map(violation).collect()
}

fn at_first_line(broken: bool) -> Vec<usize> {
    if broken { vec![1] } else { Vec::new() }
}

fn long_lines(file: &SourceFile) -> Vec<usize> {
    let lines = file.text.lines().enumerate();
    lines
        .filter(|(_, line)| line.chars().count() > MOST_COLUMNS)
        .map(|(index, _)| index + 1)
        .collect()
}

fn outside(file: &SourceFile, homes: &[&[&str]], needles: &[&str]) -> Vec<usize> {
    if file.lives_in(&homes.concat()) {
        return Vec::new();
    }
    file.lines_where(|line| needles.iter().any(|needle| line.contains(needle)))
}

fn sleeps_in_tests(file: &SourceFile) -> Vec<usize> {
    let Some(first) = file.first_test_line() else { return Vec::new() };
    let mut lines = file.lines_where(sleeps);
    lines.retain(|line| *line >= first);
    lines
}

/// A call of a sleep, or its import; not a method of that name: a test's own clock has one.
fn sleeps(line: &str) -> bool {
    let calls = |(index, _): (usize, &str)| {
        let before = line[..index].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '.')
            && !line[..index].trim_end().ends_with("fn")
    };
    let paths = ["time::sleep", "thread::sleep"];
    paths.iter().any(|path| line.contains(path)) || line.match_indices("sleep(").any(calls)
}

fn conditions_on_test(file: &SourceFile) -> Vec<usize> {
    let lines: Vec<&str> = file.code.lines().map(str::trim).collect();
    let names_test = |line: &str| {
        line.contains("cfg") && line.split(|c: char| !c.is_alphanumeric()).any(|w| w == "test")
    };
    let on_mod_tests = |index: usize| {
        let mut following = lines[index + 1..].iter().filter(|line| !line.starts_with('#'));
        lines[index] == "#[cfg(test)]"
            && following.next().is_some_and(|line| ["mod tests {", "mod tests;"].contains(line))
    };
    let indices = 0..lines.len();
    indices.filter(|&i| names_test(lines[i]) && !on_mod_tests(i)).map(|i| i + 1).collect()
}
