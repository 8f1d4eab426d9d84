//! What GitHub's documentation says of the file, as a table, and what has to hold of any of it.
#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;

use super::*;

/// Whom a path belongs to, as written.
fn of(file: &str, path: &str) -> String {
    let owners = CodeOwners::parse(file);
    let names: Vec<String> = owners.of(path).iter().map(ToString::to_string).collect();
    names.join(" ")
}

fn matches(pattern: &str, path: &str) -> bool {
    let parsed = Pattern::parse(pattern).unwrap_or_else(|| panic!("no pattern: {pattern}"));
    parsed.matches(&Path::of(path))
}

/// A file of the shape of the example in GitHub's documentation.
const DOCUMENTED: &str = "\
# A comment, and an empty line.

*       @everywhere1 @everywhere2
*.js    @scripts #and a comment behind it
*.go docs@example.com
*.txt @acme/writers
/build/logs/ @builders
docs/*  docs@example.com
apps/ @octo
/docs/ @doc
/scripts/ @doc @octo
**/logs @octo
/apps/ @octo
/apps/github
/apps/github/inner @doc
";

#[test]
fn the_documented_examples_hold() {
    let rows = [
        ("README.md", "@everywhere1 @everywhere2"),
        ("deep/er/README.md", "@everywhere1 @everywhere2"),
        ("main.js", "@scripts"),
        ("a/b/main.js", "@scripts"),
        ("a/main.JS", "@everywhere1 @everywhere2"),
        ("a/main.go", "docs@example.com"),
        ("a/notes.txt", "@acme/writers"),
        ("docs/getting-started.md", "@doc"),
        ("docs/build-app/troubleshooting.md", "@doc"),
        ("a/docs/x.md", "@everywhere1 @everywhere2"),
        ("scripts/run", "@doc @octo"),
        ("build/logs/x", "@octo"),
        ("scripts/logs/x", "@octo"),
        ("deeply/nested/logs", "@octo"),
        ("apps/main.js", "@octo"),
        ("a/apps/main.js", "@octo"),
        ("apps/github/main.js", ""),
        ("apps/github/inner/main.js", "@doc"),
    ];
    for (path, owners) in rows {
        assert_eq!(of(DOCUMENTED, path), owners, "{path}");
    }
    assert_eq!(CodeOwners::parse(DOCUMENTED).skipped(), [0; 0]);
}

#[test]
fn patterns_match_as_githubs_do() {
    let rows: [(&str, &[&str], &[&str]); 22] = [
        ("*", &["a", "a/b/c"], &[]),
        ("/*", &["a"], &["a/b"]),
        ("docs/*", &["docs/a"], &["docs/a/b", "x/docs/a", "docs"]),
        ("/docs/*", &["docs/a"], &["docs/a/b", "x/docs/a"]),
        ("docs", &["docs", "docs/a", "x/docs/a/b"], &["docsx", "xdocs/a"]),
        ("docs/", &["docs/a", "x/docs/a/b"], &["docs", "x/docs"]),
        ("/docs", &["docs", "docs/a/b"], &["x/docs"]),
        ("/docs/", &["docs/a/b"], &["docs", "x/docs/a"]),
        ("a/b", &["a/b", "a/b/c"], &["x/a/b", "a/bc"]),
        ("a/b/", &["a/b/c"], &["a/b", "x/a/b/c"]),
        ("*.js", &["x.js", "a/x.js", ".js", "a/x.js/y"], &["x.jsx", "xjs"]),
        ("/a/*.js", &["a/x.js"], &["a/b/x.js", "x/a/x.js"]),
        ("**/logs", &["logs", "logs/a", "a/b/logs/c"], &["alogs"]),
        ("a/**/b", &["a/b", "a/x/b", "a/x/y/b/c"], &["a/xb", "x/a/b"]),
        ("a/**", &["a/b", "a/b/c"], &["a", "x/a/b"]),
        ("**", &["a", "a/b"], &[]),
        ("**/", &["a/b", "a/b/c"], &["a"]),
        ("/a/*/", &["a/b/c"], &["a/b", "a"]),
        ("/a/*/c", &["a/b/c", "a/b/c/d"], &["a/c", "a/b/x/c"]),
        ("a?c", &["abc", "x/aéc"], &["ac", "a/c", "abbc"]),
        ("a\\ b.txt", &["a b.txt"], &["a", "ab.txt"]),
        ("/", &[], &["a", "a/b"]),
    ];
    for (pattern, yes, no) in rows {
        for path in yes {
            assert!(matches(pattern, path), "{pattern} and {path}");
        }
        for path in no {
            assert!(!matches(pattern, path), "{pattern} and {path}");
        }
    }
}

#[test]
fn the_last_line_that_matches_wins_and_may_name_nobody() {
    let file = "* @a\n/free/\n/free/not/ @b\n";
    for (path, owners) in [("x", "@a"), ("free/x", ""), ("free/not/x", "@b")] {
        assert_eq!(of(file, path), owners, "{path}");
    }
    assert_eq!(of("/x @b\n* @a\n", "x"), "@a", "not the most exact one");
}

#[test]
fn what_is_no_rule_is_skipped_and_said() {
    let rows = [
        "!/a @b",
        "/[ab]/ @b",
        "\\#a @b",
        "***/a @b",
        "/a docs@",
        "/a docs",
        "/a @acme/one/two",
        "/a @",
        "/a @b @c! @d",
        "/a\\",
        "[Section] @b",
    ];
    for row in rows {
        let file = CodeOwners::parse(&format!("* @all\n{row}\n"));
        assert_eq!(file.skipped(), [2], "{row}");
        let owners = [Owner::User(Login::new("all"))];
        assert_eq!(file.of("a"), owners, "{row}");
    }
}

#[test]
fn lines_end_and_begin_in_many_ways() {
    let file =
        "\u{feff}/a @one\r\n  /b\t@Two\t \r\n#/a @three\r\n/a/b @acme/X me@example.com # and why";
    for (path, owners) in [("a", "@one"), ("b", "@Two"), ("a/b", "@acme/x me@example.com")] {
        assert_eq!(of(file, path), owners, "{path}");
    }
}

#[test]
fn files_with_the_same_owners_are_told_together() {
    let file = CodeOwners::parse("*.sql @a\n/free.sql\n*.py @b @acme/t\n/x.py @b @acme/T\n");
    let files = ["1.sql", "free.sql", "2.py", "other", "x.py", "3.sql"].map(str::to_owned);
    let groups = file.groups(&files).unwrap();
    let told: Vec<_> = groups.iter().map(|group| group.files.join(" ")).collect();
    assert_eq!(told, ["1.sql 3.sql", "2.py x.py"]);
    assert!(file.names_anybody());
    assert!(!CodeOwners::parse("# nobody\n*.sql\n").names_anybody());
}

#[test]
fn what_would_take_too_long_is_not_begun() {
    let file = CodeOwners::parse(&"/a @b\n".repeat(10_000));
    let files = |count| vec!["a".to_owned(); count];
    assert!(file.groups(&files(1)).is_ok());
    assert!(file.groups(&files(2_001)).is_err());
}

/// The same, told in the naive way: each wildcard tries everything.
fn naive(parts: &[&str], names: &[&str]) -> bool {
    fn name(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|n| name(rest, &text[n..])),
            Some(('?', rest)) => !text.is_empty() && name(rest, &text[1..]),
            Some((c, rest)) => text.first() == Some(c) && name(rest, &text[1..]),
        }
    }
    let chars = |text: &str| text.chars().collect::<Vec<_>>();
    match parts.split_first() {
        None => true,
        Some((&"**", [])) => !names.is_empty(),
        Some((&"**", rest)) => (0..=names.len()).any(|n| naive(rest, &names[n..])),
        Some((part, rest)) => {
            let Some((first, others)) = names.split_first() else { return false };
            let ends_right = !rest.is_empty() || *part != "*" || others.is_empty();
            name(&chars(part), &chars(first)) && ends_right && naive(rest, others)
        }
    }
}

/// What stands between the slashes of a pattern, and of a path.
fn parts() -> impl Strategy<Value = Vec<&'static str>> {
    let part = prop::sample::select(vec!["a", "b", "*", "**", "a*", "*b*", "?"]);
    prop::collection::vec(part, 1..6)
}

fn names() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "ab", "aba", "c"]), 1..7)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn it_matches_as_the_naive_way_does(parts in parts(), names in names()) {
        let pattern = format!("/{}", parts.join("/"));
        prop_assert_eq!(matches(&pattern, &names.join("/")), naive(&parts, &names), "{}", pattern);
    }

    #[test]
    fn any_text_is_read_and_each_line_is_one_thing(
        text in "[@#!\\[\\]\\\\/*? \t\r\na-c.é]{0,200}",
        path in "[a-c/]{0,20}",
    ) {
        let file = CodeOwners::parse(&text);
        prop_assert!(file.rules.len() + file.skipped.len() <= text.lines().count());
        prop_assert!(file.of(&path).is_empty() || file.names_anybody());
    }
}
