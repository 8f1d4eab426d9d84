//! git's configuration, in place of the user's and the system's.
//!
//! Owns what git may do for us: one transport, no hooks, no filters, no submodules, no daemon of
//! its own, and a credential helper that answers from the environment and for one server only.
//! Holds no secret.

use super::process::TOKEN_VARIABLE;
use super::template::UrlTemplate;

/// Faults of old commits that big histories have and GitHub serves: warned of, not refused.
const HISTORIC: [&str; 4] =
    ["zeroPaddedFilemode", "missingSpaceBeforeDate", "badTimezone", "badDateOverflow"];

/// The text of the configuration file.
pub(super) fn text(template: &UrlTemplate) -> String {
    let (scheme, origin) = (template.scheme(), template.origin());
    let historic: String = HISTORIC.iter().map(|name| format!("\t{name} = warn\n")).collect();
    format!(
        r#"[core]
	hooksPath = /dev/null
	attributesFile = /dev/null
	fsmonitor = false
[protocol]
	version = 2
	allow = never
[protocol "{scheme}"]
	allow = always
[transfer]
	fsckObjects = true
[fetch "fsck"]
{historic}[fetch]
	recurseSubmodules = false
[submodule]
	recurse = false
[gc]
	auto = 0
[maintenance]
	auto = false
[index]
	skipHash = true
[http]
	lowSpeedLimit = 1
	lowSpeedTime = 60
[credential "{origin}"]
	helper = "!f() {{ test \"$1\" = get && test -n \"${TOKEN_VARIABLE}\" && \
printf 'username=x-access-token\\npassword=%s\\n' \"${TOKEN_VARIABLE}\"; }}; f"
"#
    )
}
