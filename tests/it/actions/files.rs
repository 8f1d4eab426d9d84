//! action.yml and the example of a workflow say what the program takes and gives.

use std::collections::BTreeSet;
use std::path::Path;

use sluice::render::checks::CheckKind;

use super::studio::Step;

fn file(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The names of the entries right below a heading at the first column.
fn entries(text: &str, heading: &str) -> BTreeSet<String> {
    let lines = text.lines().skip_while(|line| *line != heading).skip(1);
    let section = lines.take_while(|line| line.is_empty() || line.starts_with(' '));
    let entry = |line: &str| {
        let name = line.strip_prefix("  ")?.strip_suffix(':')?;
        (!name.starts_with(' ')).then(|| name.to_owned())
    };
    section.filter_map(entry).collect()
}

#[test]
fn the_actions_outputs_are_those_of_the_program() {
    let action = file("action.yml");
    let checks = CheckKind::ALL.map(CheckKind::key);
    let others = ["jobs", "created_pr_environment", "pr_environment_name"];
    let all: BTreeSet<String> = checks.into_iter().chain(others).map(str::to_owned).collect();
    assert_eq!(entries(&action, "outputs:"), all);
    for output in &all {
        let value = format!("value: ${{{{ steps.sluice.outputs.{output} }}}}");
        assert!(action.contains(&value), "{output}");
        assert!(file("docs/actions.md").contains(&format!("`{output}`")), "{output}");
    }
}

#[tokio::test]
async fn the_actions_inputs_are_options_of_the_program() {
    let action = file("action.yml");
    let help = Step::new("", &["--help"]).runs().await;
    assert_eq!(help.code, Some(0));
    for input in entries(&action, "inputs:") {
        let variable = format!("ACTION_{}", input.to_uppercase());
        let handed = format!("{variable}: ${{{{ inputs.{input} }}}}");
        assert!(action.contains(&handed), "{input} is handed over as a variable");
        assert!(action.contains(&format!("\"${variable}\"")), "{input} is used, quoted");
        let option = format!("--{input}");
        assert!(input == "binary" || help.said.contains(&option), "{option}: {}", help.said);
        assert!(input == "binary" || action.contains(&option), "{option} is given");
    }
    let script = action.split_once("      run: |").unwrap().1;
    assert!(!script.contains("${{"), "no input is text of the script");
    assert!(help.said.contains("[default: 5h45m]"), "{}", help.said);
    for code in 0..=5 {
        assert!(help.said.contains(&format!("\n  {code}  ")), "{code}: {}", help.said);
        assert!(file("docs/actions.md").contains(&format!("\n| {code} |")), "{code}");
    }
}

#[test]
fn the_example_runs_for_every_event_that_leads_to_a_job_and_demands_no_right() {
    let example = file("deploy/github/workflow.example.yml");
    let events = [
        ("pull_request_target", "opened, synchronize, reopened, ready_for_review, edited, closed"),
        ("pull_request_review", "submitted, edited, dismissed"),
        ("issue_comment", "created"),
        ("check_run", "rerequested, requested_action"),
        ("check_suite", "rerequested"),
    ];
    for (event, types) in events {
        assert!(example.contains(&format!("  {event}:\n    types: [{types}]\n")), "{event}");
    }
    assert!(example.contains("\npermissions: {}\n"));
    assert!(!example.contains("checkout"), "nothing of a pull request is on the runner");
}
