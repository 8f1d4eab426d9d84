//! Tables of what is accepted, what is refused, and in which words.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use super::*;
use crate::project::{Approvals, OldHead, OwnersApproval, Python, SharesRepository};

const BOTH: &[Role] = &[Role::Producer, Role::Worker];
const SECRETS: [(&str, &str); 2] = [("SLUICE_WEBHOOK_SECRET", "hush"), ("GITHUB_TOKEN", "ghp_x")];
const PROJECT: &str = "[[project]]\nname = \"w\"\nrepository = \"a/b\"\npython = \"python3\"\n";
const EXAMPLE: &str = include_str!("../../sluice.example.toml");

fn read(text: &str, variables: &[(&str, &str)], roles: &[Role]) -> Result<Config, ConfigErrors> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let variables = SECRETS.iter().chain(variables).map(own).collect();
    Config::read(text, &Surroundings { variables: &variables, roles, folder: "/etc/s".into() })
}

fn accepted(text: &str, variables: &[(&str, &str)]) -> Config {
    read(text, variables, BOTH).unwrap_or_else(|errors| panic!("{errors}"))
}

#[track_caller]
fn refused(text: &str, variables: &[(&str, &str)]) -> String {
    read(text, variables, BOTH).expect_err("a refusal").to_string()
}

#[test]
fn the_example_says_the_defaults() {
    let example = accepted(EXAMPLE, &[]);
    let defaults = accepted(
        "[[project]]\nname = \"warehouse\"\nrepository = \"acme/monorepo\"\npath = \"warehouse\"\n\
         python = \".venv/bin/python\"",
        &[],
    );
    assert_eq!(example, defaults);
    assert_eq!(example.projects[0].python, Python::Interpreter("/etc/s/.venv/bin/python".into()));
    assert_eq!(example.github.git_url, "https://github.com/{repository}.git");
    assert_eq!(example.lease.timings.fence_after(), Duration::from_secs(60));
}

#[test]
fn each_key_is_read() {
    let config = accepted(
        r#"
        [github]
        api_url = "https://ghe.example.com/api/v3/"
        status_url = "https://sluice.example.com/"
        checks = "statuses"
        webhook_secret_env = ["NEW_SECRET", "SLUICE_WEBHOOK_SECRET"]
        [lease]
        ttl = "12s"
        renew_every = "1s"
        fence_after = "6s"
        lock_delay = "3s"
        [retry]
        delays = ["1s", "2m"]
        [producer]
        listen = "0.0.0.0:80"
        max_body = "1MB"
        linger = "7s"
        [worker]
        gate_slots = 9
        data_dir = "/var/lib/sluice"
        gate_timeout = "5m"
        [[project]]
        name = "one"
        repository = "acme/mono"
        path = "./data/one/"
        requirements = "one.txt"
        gateway = "prod"
        pass_env = ["PGPASSWORD"]
        max_sessions = 4
        approvals = "all"
        approval_on_old_head = "accept"
        code_owners = true
        [[project]]
        name = "two"
        repository = "Acme/Mono"
        path = "."
        python = "python3"
        approvals = 2
        "#,
        &[("NEW_SECRET", "new")],
    );
    assert_eq!(config.github.git_url, "https://ghe.example.com/{repository}.git");
    assert_eq!(config.github.status_url.as_deref(), Some("https://sluice.example.com"));
    assert_eq!(config.github.checks, ChecksAs::Statuses);
    let secrets: Vec<_> = config.github.webhook_secrets.iter().map(Secret::expose).collect();
    assert_eq!(secrets, ["new", "hush"]);
    assert_eq!(config.retry.delays, [1, 120].map(Duration::from_secs));
    assert_eq!(config.producer.max_body, 1_000_000);
    assert_eq!(config.worker.gate_slots, 9);
    let [one, two] = &config.projects[..] else { panic!("two projects") };
    assert_eq!((one.path.as_str(), two.path.as_str()), ("data/one", ""));
    assert_eq!(one.python, Python::Requirements("/etc/s/one.txt".into()));
    assert_eq!(two.python, Python::Interpreter("python3".into()));
    assert_eq!((one.approvals, two.approvals), (Approvals::All, Approvals::AtLeast(2)));
    assert_eq!(one.approval_on_old_head, OldHead::Accept);
    let owners = [one.code_owners, two.code_owners];
    assert_eq!(owners, [OwnersApproval::Required, OwnersApproval::NotAsked]);
    assert_eq!(one.shares_repository, SharesRepository::Yes);
    assert_eq!(two.shares_repository, SharesRepository::Yes);
}

#[test]
fn a_variable_overrides_each_sort_of_key() {
    let config = accepted(
        PROJECT,
        &[
            ("SLUICE_LEASE__TTL", "5m"),
            ("SLUICE_WORKER__GATE_SLOTS", "7"),
            ("SLUICE_RETRY__DELAYS", "1s, 2s"),
            ("SLUICE_PRODUCER__LISTEN", ""),
            ("SLUICE_PROJECT__0__PATH", "models"),
            ("SLUICE_PROJECT__0__PASS_ENV", "A,B"),
            ("SLUICE_PROJECT__1__NAME", "x"),
            ("SLUICE_PROJECT__1__REPOSITORY", "a/x"),
            ("SLUICE_PROJECT__1__REQUIREMENTS", "r.txt"),
        ],
    );
    assert_eq!(config.lease.timings.ttl(), Duration::from_secs(300));
    assert_eq!(config.worker.gate_slots, 7);
    assert_eq!(config.retry.delays.len(), 2);
    assert_eq!(config.projects[0].path, "models");
    assert_eq!(config.projects[0].pass_env, ["A", "B"]);
    assert_eq!(config.projects[1].shares_repository, SharesRepository::No);
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_what_is_expected() {
    let cases: &[(&str, &str)] = &[
        ("[github]\nchecks = \"runs\"", "github.checks (line 2): expected \"auto\" or"),
        ("[lease]\nttl = \"soon\"", "lease.ttl (line 2): expected a duration"),
        ("[lease]\nttl = \"0s\"", "lease.ttl (line 2): expected a duration"),
        ("[lease]\nttl = 120", "lease.ttl (line 2): expected a duration"),
        ("[lease]\nfence_after = \"29s\"", "lease.renew_every (line 1): must be at most a third"),
        ("[lease]\nttl = \"60s\"", "lease.fence_after (line 1): must be less than ttl"),
        ("[queue]\nurl = \"redis://h\"", "queue.url (line 2): expected \"memory:\""),
        ("[queue]\nurl_env = \"NOT_SET\"", "the environment variable NOT_SET is not set"),
        ("[queue]\nurl = \"memory:\"\nurl_env = \"GITHUB_TOKEN\"", "only one of url, url_env"),
        ("[lease]\nkey_prefix = \"a*\"", "lease.key_prefix (line 2): expected 1 to 64"),
        ("[lease]\nurl = \"amqp://h\"", "lease.url (line 2): expected \"memory:\""),
        ("[producer]\nmax_body = \"25XB\"", "producer.max_body (line 2): expected a size"),
        ("[producer]\nmax_body = \"9999999999999999999GiB\"", "expected a size"),
        ("[producer]\nlisten = \"localhost\"", "producer.listen (line 2): expected an address"),
        ("[worker]\ngate_slots = 0", "worker.gate_slots (line 2): expected a number from 1 to 256"),
        ("[worker]\nsweep_every = \"59s\"", "worker.sweep_every (line 2): expected \"0s\", or a"),
        ("[retry]\ndelays = []", "retry.delays (line 1): expected 1 to 20 durations"),
        ("[github]\ntoken = \"t\"", "github.token (line 2): a secret does not belong into this"),
        ("[github]\nwebhook_secret = \"s\"", "put it into an environment variable"),
        ("[github]\ntoken_env = \"A\"\ntoken_file = \"b\"", "there is token_env too"),
        ("[github]\napi_url = \"https://u:p@h\"", "github.api_url (line 2): expected an address"),
        ("[github]\ngit_url = \"https://h/x.git\"", "with {repository} in it"),
        ("[github]\ngit_url = \"https://t@h/{repository}\"", "without credentials"),
        ("[github]\ntoken_env = \"UNSET\"", "the environment variable UNSET is not set"),
        ("[github]\ntoken_file = \"nowhere\"", "/etc/s/nowhere cannot be read"),
        ("[github]\nprivate_key = \"k\"", "github.private_key (line 2): a secret does not belong"),
        ("[github]\napp_id = 7", "an App needs private_key_file or private_key_env"),
        ("[github]\nprivate_key_env = \"GITHUB_TOKEN\"", "needs the app_id that it is of"),
        (
            "[github]\napp_id = 7\nprivate_key_file = \"k\"\ntoken_env = \"GITHUB_TOKEN\"",
            "github.app_id (line 1): there is a token too: an App makes its own",
        ),
        ("[github]\napp_id = 0\n", "github.app_id (line 2): expected a number from 1"),
        (
            "[github]\napp_id = 7\nprivate_key_file = \"nowhere\"",
            "github.private_key_file (line 1): /etc/s/nowhere cannot be read",
        ),
        ("[github]\nwebhook_secret_env = []", "github.webhook_secret_env (line 2): expected"),
        ("[leese]\nttl = \"1s\"", "leese (line 1): unknown key; did you mean \"lease\"?"),
        ("[lease]\nrenew_evry = \"1s\"", "did you mean \"renew_every\"?"),
        ("[worker]\nzzz = 1", "worker.zzz (line 2): unknown key; known are: data_dir"),
        ("lease = 1", "lease (line 1): expected a section: [lease]"),
        ("[lease]\nttl = \"1s", "the file (line 2): not TOML"),
    ];
    for (text, expected) in cases {
        let text = format!("{text}\n{PROJECT}");
        let errors = refused(&text, &[]);
        assert!(errors.contains(expected), "{text}\n→ {errors}");
    }
}

#[test]
fn a_project_is_complete_and_stays_inside_its_repository() {
    let cases: &[(&str, &str)] = &[
        ("name = \"W\"", "project[0].name (line 2): expected 1 to 64 of a-z"),
        ("name = \"w\"", "project[0].repository (line 1): missing"),
        ("repository = \"acme\"", "project[0].repository (line 2): expected owner/name"),
        ("path = \"/w\"", "project[0].path (line 2): expected a folder"),
        ("path = \"/\"", "project[0].path (line 2): expected a folder"),
        ("path = \"a/../../b\"", "project[0].path (line 2): expected a folder"),
        ("path = \"a\\\\b\"", "project[0].path (line 2): expected a folder"),
        ("name = \"w\"", "project[0].python (line 1): missing: an interpreter"),
        ("python = \"p\"\nrequirements = \"r\"", "there is requirements too"),
        ("approvals = 0", "or \"all\": how many approvers"),
        ("approval_on_old_head = \"yes\"", "expected \"refuse\" or \"accept\""),
        ("code_owners = \"true\"", "project[0].code_owners (line 2): expected true or false"),
        ("pass_env = \"A\"", "project[0].pass_env (line 2): expected a list"),
        ("token = \"t\"", "project[0].token (line 2): unknown key"),
    ];
    for (keys, expected) in cases {
        let errors = refused(&format!("[[project]]\n{keys}"), &[]);
        assert!(errors.contains(expected), "{keys}\n→ {errors}");
    }
    assert!(refused("", &[]).contains("project: missing"));
    assert!(refused(&format!("{PROJECT}{PROJECT}"), &[]).contains("have the name w"));
}

#[test]
fn a_variable_that_names_nothing_is_told() {
    let cases = [
        ("SLUICE_LEASE__TTTL", "lease.tttl (SLUICE_LEASE__TTTL): unknown key; did you mean"),
        ("SLUICE_PROJECT__5__PATH", "names entry 5, but there are 1; the next one is 1"),
        ("SLUICE_LEASE__TTL__X", "names the key \"x\" of something without keys"),
        ("SLUICE_GITHUB__TOKEN", "github.token (SLUICE_GITHUB__TOKEN): a secret does not belong"),
    ];
    let text = format!("[lease]\nttl = \"120s\"\n{PROJECT}");
    for (name, expected) in cases {
        let errors = refused(&text, &[(name, "v")]);
        assert!(errors.contains(expected), "{name}\n→ {errors}");
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let text = "[lease]\nttl = 1\nttk = 2\n[worker]\ngate_slots = 0\n[[project]]\nname = \"w\"";
    let errors = read(text, &[("GITHUB_TOKEN", "")], BOTH).unwrap_err();
    let keys: Vec<_> = errors.problems().iter().map(Problem::key).collect();
    assert_eq!(
        keys,
        [
            "github.token_env",
            "lease.ttl",
            "lease.ttk",
            "worker.gate_slots",
            "project[0].repository",
            "project[0].python",
        ]
    );
    assert!(errors.to_string().starts_with("the configuration has 6 problems:\n  github.token"));
}

#[test]
fn a_role_needs_only_its_own_secrets() {
    let without = [("GITHUB_TOKEN", ""), ("SLUICE_WEBHOOK_SECRET", "")];
    let keys = |roles| {
        let errors = read(PROJECT, &without, roles).unwrap_err();
        errors.problems().iter().map(|p| p.key().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(keys(&[Role::Producer]), ["github.webhook_secret_env"]);
    let both = ["github.webhook_secret_env", "github.token_env"];
    assert_eq!(keys(&[Role::Worker]), both, "it seals with the first webhook secret");
    assert!(read(PROJECT, &without, &[]).is_ok());
    let producer = read(PROJECT, &[], &[Role::Producer]).unwrap();
    assert_eq!(producer.github.account, None);
}

#[test]
fn no_secret_is_shown() {
    let config =
        accepted(PROJECT, &[("SLUICE_WEBHOOK_SECRET", "s3cr3t"), ("GITHUB_TOKEN", "s3cr3t")]);
    assert!(!format!("{config:?}{}", config.redacted()).contains("s3cr3t"));
    assert!(!Secret::new("s3cr3t").to_string().contains("s3cr3t"));
    let misplaced = [
        "[github]\ntoken = \"s3cr3t\"",
        "[github]\ntoken_env = \"s3cr3t\"",
        "[github]\ntoken = \"s3cr3t",
        "[github]\napi_url = \"https://s3cr3t@h\"",
        "[queue]\nurl = \"ampq://u:s3cr3t@h\"",
    ];
    for text in misplaced {
        let errors = refused(&format!("{text}\n{PROJECT}"), &[]);
        assert!(!errors.contains("s3cr3t"), "{text}\n→ {errors}");
    }
}

#[test]
fn what_is_printed_loads_again() {
    let text = EXAMPLE.replace("approvals = 1", "approvals = \"all\"\ngateway = \"prod\"");
    let config = accepted(&text, &[("SLUICE_GITHUB__STATUS_URL", "https://s.example.com")]);
    assert_eq!(accepted(&config.redacted(), &[]), config);
    let app = "app_id = 7\nprivate_key_env = \"KEY\"";
    let text = EXAMPLE.replace("token_env = \"GITHUB_TOKEN\"", app);
    let config = accepted(&text, &[("KEY", "s3cr3t")]);
    let account = Account::App { id: 7, private_key: Secret::new("s3cr3t") };
    assert_eq!(config.github.account, Some(account));
    assert!(!config.redacted().contains("s3cr3t"));
    assert_eq!(accepted(&config.redacted(), &[("KEY", "s3cr3t")]), config);
}

#[test]
fn files_are_read_with_their_secrets() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "ghp_file\n").unwrap();
    let file = folder.path().join("sluice.toml");
    std::fs::write(&file, format!("[github]\ntoken_file = \"token\"\n{PROJECT}")).unwrap();
    let secret = [("SLUICE_WEBHOOK_SECRET".to_owned(), "hush".to_owned())].into();
    let config = Config::load(Some(&file), &secret, &[Role::Worker]).unwrap();
    assert_eq!(config.github.account, Some(Account::Token(Secret::new("ghp_file"))));
    assert_eq!(config.worker.data_dir, folder.path().join(".sluice"));

    let missing = Config::load(Some(&folder.path().join("no.toml")), &Variables::new(), &[]);
    assert!(missing.unwrap_err().to_string().contains("no.toml: cannot be read"));
}

#[test]
fn the_stores_are_found_in_the_file_or_where_it_says() {
    let secret = ("BROKER", "amqps://u:pw@broker/%2f");
    let config = accepted(
        &format!(
            "[queue]\nurl_env = \"BROKER\"\n[lease]\nurl = \"redis://u:pw@h:1/2?x=pw\"\n\
             key_prefix = \"team-a\"\nca_file = \"/ca.pem\"\n{PROJECT}"
        ),
        &[secret],
    );
    assert_eq!(config.queue.url, QueueStore::Amqp(Secret::new(secret.1)));
    assert_eq!(config.lease.url, LeaseStore::Redis(Secret::new("redis://u:pw@h:1/2?x=pw")));
    assert_eq!(config.lease.key_prefix, "team-a");
    assert_eq!(config.lease.ca_file.as_deref(), Some(Path::new("/ca.pem")));
    let shown = config.redacted();
    assert!(shown.contains("url_env = \"BROKER\""), "{shown}");
    assert!(shown.contains("ca_file = \"/ca.pem\""), "{shown}");
    assert!(shown.contains("url = \"redis://[redacted]@h:1/2\""), "{shown}");
    assert!(!shown.contains("pw"), "{shown}");
}
