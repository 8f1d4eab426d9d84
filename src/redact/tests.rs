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
        "problem  webhook secret: missing",
        "eyJ is how they start",
        "",
        "commit 1234567890abcdef1234567890abcdef12345678 of main",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "SELECT highs_lows_something1234, o.amount % 20 FROM \"db\".\"orders\" AS o",
        "WHERE name LIKE '%20%' AND note = 'a\\nb' AND gap > INTERVAL '1 day'",
        "Invalid expression / Unexpected token. Line 3, Col: 5.",
        "global-some-long-kebab-case-name-here, glass-and-other-things-that-are-long",
        "{\"target\":\"sluice::bridge\",\"message\":\"SQLMesh warns: nothing\"}",
        "password_hash, tokens, secretary: all of them columns",
        "a\u{200b}b \u{1b}[1mbold\u{1b}[0m &amp; 100%",
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
        ("snowflake://u:p%40ss%2Fw@account/db", "p%40ss"),
        ("push with ghp_0123456789abcdefghijABCDEFGHIJ012345", "ghp_"),
        ("gho_0123456789abcdefghij", "0123456789"),
        ("ghs_0123456789abcdefghij.a-b", "0123456789"),
        ("github_pat_11AAAAAAA0_abcdefghijklmnop", "11AAAAAAA0"),
        ("key AKIAIOSFODNN7EXAMPLE used", "AKIA"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "eyJ"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.", "eyJ"),
        ("token: glpat-0123456789abcdefghij", "glpat"),
        ("xoxb-0123456789-abcdefghij", "abcdefghij"),
        ("https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXX", "XXXXXX"),
        ("AIzaSyA0123456789abcdefghijklmnopqrstuv", "AIza"),
        ("ya29.a0AfH6SMBx0123456789abcdef", "a0Af"),
        ("dapi0123456789abcdef0123456789abcdef", "dapi0123"),
        ("ghs_1234567_eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxIn0.c2lnbmF0dXJl-_x", "c2ln"),
        ("INSTALL_ghs_0123456789abcdefghij", "0123456789"),
        ("Authorization: Bearer abc.def", "abc"),
        ("Authorization: Negotiate abc.def", "abc"),
        ("sent with Bearer abcdef0123456789", "abcdef"),
        ("connect(account='x', private_key=\"abc\")", "abc"),
        ("DefaultEndpointsProtocol=https;AccountKey=a+b/c==;EndpointSuffix=x", "a+b"),
        ("Driver={ODBC};UID=u;PWD={a;b}", "a;b"),
        ("https://x.blob.core.windows.net/c?sv=1&sig=abc%2Bdef", "abc"),
        ("s3://x?X-Amz-Signature=0123abcd&y=1", "0123abcd"),
        ("gateway:\n  password: hunter2\n  host: db", "hunter2"),
        (r#"{\"password\": \"hunter2\"}"#, "hunter2"),
        (r#"{"message":"{\\\"password\\\":\\\"hunter2\\\"}"}"#, "hunter2"),
        ("password%3Dhunter2%26x=1", "hunter2"),
        ("\u{1b}[3mpassword\u{1b}[0m\u{1b}[2m=\u{1b}[0mhunter2", "hunter2"),
        ("ghs_012345\u{1b}[1;36m6789\u{1b}[0mabcdefghij", "abcdef"),
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
        (r"-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----", "MIIE"),
        ("cut: abcdef\nghijkl==\n-----END PRIVATE KEY-----", "ghijkl"),
        ("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj", "MIIE"),
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
fn a_secret_is_gone_however_it_was_quoted_coloured_or_broken() {
    let secret = "s3cr&t_w\"th\\all*0123";
    let redactor = Redactor::new([secret]);
    let json = serde_json::Value::from(secret).to_string();
    let rows = [
        json.clone(),
        serde_json::Value::from(json).to_string(),
        format!("{secret:?}"),
        crate::render::markdown::plain(secret),
        crate::render::markdown::foreign(secret),
        secret.replace('&', "%26").replace('"', "%22").replace('\\', "%5c"),
        format!("{}\u{1b}[31m{}\u{1b}[0m", &secret[..7], &secret[7..]),
        format!("{}\\u001b[31m{}", &secret[..7], &secret[7..]),
        format!("\u{200b}{}\u{200b}{}", &secret[..7], &secret[7..]),
        format!("{}\n{}", &secret[..9], &secret[9..]),
        format!("│ {}  │\n│   {} │", &secret[..9], &secret[9..]),
        format!("{}\\n{}", &secret[..9], &secret[9..]),
    ];
    for row in rows {
        let left = redactor.redact(&row);
        assert!(left.contains(REDACTED) && left.len() < REDACTED.len() + 16, "{row} became {left}");
        assert!(!left.contains("0123") && !left.contains("s3cr"), "{row} became {left}");
    }
}

#[test]
fn base64_that_is_broken_over_lines_is_found() {
    let redactor = Redactor::new(["a-long-secret-of-forty-characters-or-so!"]);
    let text = STANDARD_NO_PAD.encode("me:a-long-secret-of-forty-characters-or-so!");
    let broken = format!("{}\n  {}", &text[..20], &text[20..]);
    assert!(redactor.redact(&broken).contains(REDACTED), "{broken}");
}

#[test]
fn words_do_not_add_up_to_a_short_secret() {
    let redactor = Redactor::new(["inform"]);
    assert_eq!(redactor.redact("written in\nform"), "written in\nform");
}

#[test]
fn an_address_tells_its_password_but_not_a_word() {
    let redactor = Redactor::new([
        "redis://:top%2Fsecret@cache/0",
        "postgres://postgres:postgres@db:5432/prod",
    ]);
    for said in ["top%2Fsecret", "top/secret"] {
        assert_eq!(redactor.redact(&format!("WRONGPASS {said} for")), "WRONGPASS [redacted] for");
    }
    assert_eq!(redactor.redact("postgres is down"), "postgres is down");
}

#[test]
fn what_is_left_keeps_its_form() {
    let redactor = Redactor::new(["hush-hush"]);
    let line = r#"{"why":"{\"password\": \"hush-hush\", \"n\": 1}","token":"abc","n":1}"#;
    let left = redactor.redact(line);
    let value: serde_json::Value = serde_json::from_str(&left).unwrap();
    assert_eq!(value["token"], REDACTED);
    assert_eq!(value["why"], r#"{"password": "[redacted]", "n": 1}"#);
    let cut = "```\n-----BEGIN PRIVATE KEY-----\nabc\n```\n<!-- sluice:plan-end -->";
    assert_eq!(redactor.redact(cut), "```\n[redacted]```\n<!-- sluice:plan-end -->");
}

#[test]
fn a_few_lines_of_a_key_are_not_said() {
    let lines = ["MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "7VJTUt9Us8cKjMzEfYyjiWA4R4/M2bS1", "Fg=="];
    for end in ["\n", "\\n"] {
        let key = format!(
            "-----BEGIN PRIVATE KEY-----{end}{}{end}-----END PRIVATE KEY-----",
            lines.join(end)
        );
        let redactor = Redactor::new([key]);
        let said = format!("at line 2: {}, unexpected", lines[1]);
        assert_eq!(redactor.redact(&said), "at line 2: [redacted], unexpected");
        assert_eq!(redactor.redact("-----BEGIN CERTIFICATE-----"), "-----BEGIN CERTIFICATE-----");
    }
}

#[test]
fn the_time_is_in_proportion_to_the_text() {
    let redactor = Redactor::new(["hush-hush", "-----BEGIN X-----\nabcdefgh\nijklmnop"]);
    let rows = [
        "-----BEGIN PRIVATE KEY-----\"",
        "a://b:c@",
        "a://b:c",
        "password=",
        "\\",
        "\u{1b}[",
        "&#",
        "%4",
        "MIIE",
        "\n│",
        "eyJaaaaa.",
        "-----END PRIVATE KEY-----",
        "hush-hush",
    ];
    for row in rows {
        let text = row.repeat(20_000 / row.len());
        // Quadratic would be minutes.
        assert!(redactor.redact(&text).len() <= text.len() * 2, "{row}");
    }
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
            let again = redactor.redact(&left);
            prop_assert!(again.contains(REDACTED), "{}", again);
        }
    }
}

#[test]
fn a_secret_of_which_little_is_left_when_it_is_read_is_found_as_it_is_written() {
    let redactor = Redactor::new([r#"a"b\%e"#]);
    let rows = [r#"a"b\%e"#, "a%22b%5C%25e", "a%22b%5c%25e", r#"a\"b\\%e"#];
    for written in rows {
        let text = format!("it says {written} here");
        assert_eq!(redactor.redact(&text), format!("it says {REDACTED} here"), "{written}");
    }
    assert_eq!(redactor.redact("a\"b%e"), "a\"b%e", "too short to be one");
}
