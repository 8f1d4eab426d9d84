//! No secret gets through, and ordinary text does.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

#[test]
fn ordinary_text_is_borrowed_as_it_is() {
    let redactor = Redactor::new(["hunter2-hunter2", "", "short"]);
    let rows = [
        "relation \"db.orders\" does not exist",
        "see https://github.com/acme/monorepo/pull/7#discussion",
        "mail carol@example.org about a short wait",
        "git@github.com:acme/monorepo.git",
        "SELECT token, secret FROM passwords",
        "password policy: see the handbook",
        "eyJ is how they start",
        "",
    ];
    for text in rows {
        assert!(matches!(redactor.redact(text), Cow::Borrowed(same) if same == text), "{text}");
    }
}

#[test]
fn what_looks_like_a_secret_is_gone() {
    let rows = [
        ("postgres://sluice:s3c/r@t@db:5432/prod?x=1", "s3c"),
        ("amqp://guest:guest@127.0.0.1:5672/%2f", "guest"),
        ("https://x-access-token:ghx@github.com/a/b", "ghx"),
        ("redis://:topsecret@cache/0", "topsecret"),
        ("push with ghp_0123456789abcdefghijABCDEFGHIJ012345", "ghp_"),
        ("gho_0123456789abcdefghij", "0123456789"),
        ("ghs_0123456789abcdefghij.a-b", "0123456789"),
        ("github_pat_11AAAAAAA0_abcdefghijklmnop", "11AAAAAAA0"),
        ("key AKIAIOSFODNN7EXAMPLE used", "AKIA"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "eyJ"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.", "eyJ"),
        ("Authorization: Bearer abc.def", "abc"),
        ("authorization: token abcdef", "abcdef"),
        ("connect(user='u', password='a b c')", "a b c"),
        ("password=hunter2 host=db", "hunter2"),
        ("PGPASSWORD=hunter2", "hunter2"),
        ("{\"password\": \"hunter2\"}", "hunter2"),
        ("{'aws_secret_access_key': 'hunter2'}", "hunter2"),
        ("api_key = hunter2", "hunter2"),
        ("?token=hunter2&x=1", "hunter2"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "MIIE"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE and the rest is cut", "MIIE"),
    ];
    let redactor = Redactor::default();
    for (text, secret) in rows {
        let left = redactor.redact(text);
        assert!(!left.contains(secret), "{text} became {left}");
        assert!(left.contains(REDACTED), "{text} became {left}");
    }
    assert_eq!(
        redactor.redact("postgres://u:p@db/x failed, password=x1 ok"),
        "postgres://[redacted]@db/x failed, password=[redacted] ok"
    );
}

#[test]
fn a_secret_is_gone_in_every_spelling() {
    let secret = "p@ss/w\"rd+1 2";
    let redactor = Redactor::new([secret]);
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("me:{secret}"));
    let spellings = [
        secret.to_owned(),
        "p%40ss%2Fw%22rd%2B1%202".to_owned(),
        "p@ss/w\\\"rd+1 2".to_owned(),
        base64::engine::general_purpose::STANDARD.encode(secret),
    ];
    for spelling in spellings {
        let left = redactor.redact(&spelling).into_owned();
        assert!(left.starts_with(REDACTED) && left.len() < REDACTED.len() + 4, "{left}");
    }
    let left = redactor.redact(&basic);
    assert!(left.len() < basic.len() && left.contains(REDACTED), "{basic} became {left}");
}

#[test]
fn lines_of_a_secret_are_secrets_and_the_longest_goes_first() {
    let redactor = Redactor::new(["first-line\nsecond-line", "second"]);
    assert_eq!(redactor.redact("at second-line."), "at [redacted].");
    assert_eq!(format!("{redactor:?}").matches("second").count(), 0);
}

proptest! {
    #[test]
    fn no_told_secret_gets_through(
        secret in "[!-~]{6,40}", before in "[ -~]{0,3}", after in "[ -~]{0,40}",
    ) {
        let redactor = Redactor::new([&secret]);
        let standard = base64::engine::general_purpose::STANDARD;
        let url_safe = base64::engine::general_purpose::URL_SAFE;
        for text in [
            format!("{before}{secret}{after}"),
            standard.encode(format!("{before}{secret}{after}")),
            url_safe.encode(format!("{before}{secret}{after}")),
        ] {
            let left = redactor.redact(&text);
            prop_assert!(!left.contains(&secret) || REDACTED.contains(&secret), "{}", left);
            // What is left in base64 does not say it either: at most its ends, a few bits each.
            let runs = left.split(REDACTED).count();
            prop_assert!(runs > 1, "{} became {}", text, left);
        }
    }
}
