//! What is a command, and whose command counts.

use super::facts_table::*;
use super::reasons;
use crate::github::{CommandFacts, Facts, Role};
use crate::outcome::Reason;
use crate::policy::Policy;
use crate::policy::signal::{CommandVerb, Signal, decide, gatekeeper, parse_command};

fn by_command(name: &str) -> Signal {
    Signal::Command { by: login(name) }
}

fn judged(facts: &Facts, policy: &Policy, role: Option<Role>) -> Result<Signal, Vec<Reason>> {
    decide(facts, policy, &project(), role).map_err(|refusals| reasons(&refusals))
}

#[test]
fn a_command_is_the_whole_text() {
    let plain = policy(&[]);
    let named = policy(&[]).with(|bot| bot.command_namespace = Some(" #SQLMesh ".into()));
    let rows = [
        (&plain, "/deploy", Some(CommandVerb::Deploy)),
        (&plain, "  /deploy\r\n", Some(CommandVerb::Deploy)),
        (&plain, "/gate", Some(CommandVerb::Gate)),
        (&plain, "/gate 0123456789012345678901234567890123456789", Some(CommandVerb::Gate)),
        (&plain, "/gate 0123456", None),
        (&plain, "x /gate 0123456789012345678901234567890123456789", None),
        (&plain, "/deploy 0123456789012345678901234567890123456789", None),
        (&plain, "please /deploy", None),
        (&plain, "/deploy now", None),
        (&plain, "/deploy\n/deploy", None),
        (&plain, "> /deploy", None),
        (&plain, "/DEPLOY", None),
        (&plain, "/deployment", None),
        (&plain, "", None),
        (&plain, "#SQLMesh/deploy", None),
        (&named, "#SQLMesh/deploy", Some(CommandVerb::Deploy)),
        (&named, "#SQLMesh/gate", Some(CommandVerb::Gate)),
        (&named, "/gate 0123456789012345678901234567890123456789", None),
        (&named, "/deploy", None),
        (&named, "#SQLMesh /deploy", None),
    ];
    for (policy, body, expected) in rows {
        assert_eq!(parse_command(body, policy), expected, "{body:?}");
    }
    assert_eq!(CommandVerb::Deploy.written(&named), "#SQLMesh/deploy");
}

#[test]
fn an_approval_is_a_signal_on_a_production_branch() {
    let named = policy(&["carol"]);
    assert_eq!(judged(&facts().approved(), &named, None), Ok(Signal::Automatic));
    assert_eq!(judged(&facts(), &named, None), Err(vec![Reason::NoSignal]));
    let elsewhere = facts().approved().with(|facts| facts.base_branch = "develop".into());
    assert_eq!(judged(&elsewhere, &named, None), Err(vec![Reason::NotProduction]));
}

#[test]
fn without_approvers_only_a_command_is_a_signal() {
    for enabled in [true, false] {
        let nobody = policy(&[]).with(|bot| bot.enable_deploy_command = enabled);
        assert_eq!(judged(&facts().approved(), &nobody, None), Err(vec![Reason::NoSignal]));
    }
}

#[test]
fn an_approver_commands_whatever_their_role() {
    let named = policy(&["carol"]);
    assert_eq!(judged(&facts().deploy_by("Carol"), &named, None), Ok(by_command("carol")));
    let as_author = facts().with(|facts| facts.author = Some(login("carol"))).deploy_by("carol");
    assert_eq!(judged(&as_author, &named, None), Ok(by_command("carol")));
}

#[test]
fn a_stranger_does_not_command_whatever_their_role() {
    let named = policy(&["carol"]);
    for who in ["mallory", "alice", "ghost"] {
        let facts = facts().approved().deploy_by(who);
        let expected = Err(vec![Reason::MayNotDeploy]);
        assert_eq!(judged(&facts, &named, Some(Role::Admin)), expected, "{who}");
    }
}

#[test]
fn without_approvers_the_role_counts() {
    let rows = [
        (None, false),
        (Some(Role::None), false),
        (Some(Role::Read), false),
        (Some(Role::Triage), false),
        (Some(Role::Write), false),
        (Some(Role::Maintain), true),
        (Some(Role::Admin), true),
    ];
    for (role, may) in rows {
        let judged = judged(&facts().deploy_by("erin"), &policy(&[]), role);
        let expected = if may { Ok(by_command("erin")) } else { Err(vec![Reason::MayNotDeploy]) };
        assert_eq!(judged, expected, "{role:?}");
    }
    let ghost = judged(&facts().deploy_by("ghost"), &policy(&[]), Some(Role::Admin));
    assert_eq!(ghost, Err(vec![Reason::MayNotDeploy]));
}

#[test]
fn a_command_speaks_about_the_head_it_was_written_for() {
    type Change = fn(&mut CommandFacts);
    let rows: [(&str, Change, Option<&str>); 6] = [
        ("pushed before", |command| command.head_pushed_ms = Some(1_999), None),
        ("pushed after", |command| command.head_pushed_ms = Some(2_001), Some("pushed after")),
        ("no record of the push", |command| command.head_pushed_ms = None, Some("no record")),
        ("edited", |command| command.edited = true, Some("was edited")),
        ("another text now", |command| command.body = "no".into(), Some("was edited")),
        ("another command", |command| command.body = "/gate".into(), Some("was edited")),
    ];
    for (row, change, expected) in rows {
        let facts =
            facts().deploy_by("carol").with(|facts| change(facts.command.as_mut().unwrap()));
        let judged = decide(&facts, &policy(&["carol"]), &project(), None);
        match expected {
            None => assert_eq!(judged, Ok(by_command("carol")), "{row}"),
            Some(words) => {
                let refusals = judged.unwrap_err();
                assert_eq!(reasons(&refusals), [Reason::CommandStale], "{row}");
                assert!(refusals[0].sentence.contains(words), "{row}: {}", refusals[0].sentence);
                assert!(refusals[0].sentence.contains("`/deploy` again"), "{row}: what to do");
            }
        }
    }
}

#[test]
fn everything_that_is_wrong_with_a_command_is_said() {
    let off = policy(&["carol"]).with(|bot| bot.enable_deploy_command = false);
    assert_eq!(
        judged(&facts().deploy_by("carol"), &off, None),
        Err(vec![Reason::CommandDisabled]),
        "an approver's too"
    );
    let facts = facts().deploy_by("mallory").with(|f| f.command.as_mut().unwrap().edited = true);
    assert_eq!(
        judged(&facts, &off, None),
        Err(vec![Reason::CommandDisabled, Reason::CommandStale, Reason::MayNotDeploy])
    );
}

#[test]
fn who_may_deploy_may_have_a_forks_code_run() {
    let (named, nobody) = (policy(&["carol"]), policy(&[]));
    let head = facts().head;
    let command = format!("/gate {head}");
    let by = |who: &str| facts().deploy_by(who).with(|facts| say(facts, &command));
    let of = |body: &str| facts().deploy_by("carol").with(|facts| say(facts, body));
    let short = format!("/gate {}", head.short());
    let other = format!("/gate {}", "d".repeat(40));
    let edited = by("carol").with(|facts| facts.command.as_mut().unwrap().edited = true);
    let stale = Reason::CommandStale;
    let rows = [
        (by("carol"), &named, None, Ok("carol")),
        (by("Carol"), &named, None, Ok("carol")),
        (by("mallory"), &named, Some(Role::Admin), Err(vec![Reason::MayNotGate])),
        (by("ghost"), &named, None, Err(vec![Reason::MayNotGate])),
        (by("dave"), &nobody, Some(Role::Maintain), Ok("dave")),
        (by("dave"), &nobody, Some(Role::Write), Err(vec![Reason::MayNotGate])),
        (by("dave"), &nobody, None, Err(vec![Reason::MayNotGate])),
        (of("/gate"), &named, None, Err(vec![stale])),
        (of(&short), &named, None, Err(vec![stale])),
        (of(&other), &named, None, Err(vec![stale])),
        (edited, &named, None, Err(vec![stale])),
        (facts().deploy_by("carol"), &named, None, Err(vec![stale])),
        (facts(), &named, None, Err(vec![stale])),
        (
            by("mallory").with(|facts| say(facts, "/gate")),
            &named,
            None,
            Err(vec![stale, Reason::MayNotGate]),
        ),
    ];
    for (facts, policy, role, expected) in rows {
        let found = gatekeeper(&facts, policy, role);
        let found = found.map_err(|refusals| reasons(&refusals));
        assert_eq!(found, expected.map(login), "{:?}", facts.command);
    }
}

fn say(facts: &mut Facts, body: &str) {
    facts.command.as_mut().unwrap().body = body.into();
}
