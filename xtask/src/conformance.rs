//! GitHub's own descriptions: the slice of them that is committed, and what of it tests covered.
//!
//! Owns which packages are sliced, where the slice is, and where test processes write down what
//! they covered. What is sliced and what counts as covered is in the crate sluice-conformance.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use crate::shell;

/// Folder, package and version, and what npm says of the archive (SHA-512).
const PACKAGES: [(&str, &str, &str); 4] = [
    (
        "openapi",
        "@octokit/openapi@23.0.2",
        "sha512-pV8M7L9GY23AybNvTmo2nyjmpmnt6+2sRE/tqr0ZLQcPS4lnw7u5eZGNmwRNkBC3D7gZXbFx5AHzLUVRB\
         XGDhg==",
    ),
    (
        "openapi-webhooks",
        "@octokit/openapi-webhooks@12.1.0",
        "sha512-Z5eDsLCUNbx1zHpZb1LNQirADqdMTvWJQ/deahi0ws+tWWnwHXB+Pr4jfmM9OrETS9Y5iW8ZRu1fdbudO\
         bhLrg==",
    ),
    (
        "graphql-schema",
        "@octokit/graphql-schema@15.26.1",
        "sha512-RFDC2MpRBd4AxSRvUeBIVeBU7ojN/SxDfALUd7iVYOSeEK3gZaqR2MGOysj4Zh2xj2RY5fQAUT+Oqq7hW\
         TraMA==",
    ),
    (
        "webhooks-examples",
        "@octokit/webhooks-examples@7.6.1",
        "sha512-De6U3XB6O3DtCa7bKgCMzTHdeopqqZ6SNivMYJnK65ierKL1AnNIA0tkRYCRS7lwGT792d+Ps1WbfHlso\
         6MynQ==",
    ),
];

/// For one package, on a slow network.
const FETCH_WITHIN: Duration = Duration::from_secs(300);

/// Which tests talk to the stand-in and need no service beside it: enough to cover everything.
pub(crate) const TESTS: [&str; 13] = [
    "contracts::github",
    "coverage",
    "doctor",
    "faults",
    "git",
    "graphql",
    "merge",
    "reading",
    "recorded",
    "reporting",
    "rest",
    "stories",
    "webhooks",
];

/// Makes the slice anew: fetches the packages, checks them, and writes the descriptions.
pub(crate) fn describe() -> anyhow::Result<()> {
    let folder = shell::target_folder().join("descriptions");
    let descriptions = shell::root().join("conformance/descriptions");
    for (name, package, integrity) in PACKAGES {
        fetch(&folder, (name, package, integrity))
            .with_context(|| format!("cannot fetch {package}"))?;
    }
    shell::show(told("slice").arg(&folder).arg(descriptions))
}

fn fetch(folder: &Path, (name, package, integrity): (&str, &str, &str)) -> anyhow::Result<()> {
    let unpacked = folder.join(name);
    std::fs::create_dir_all(&unpacked)?;
    let mut pack = Command::new("npm");
    pack.args(["pack", "--json", package]).current_dir(folder);
    println!("==> {}", shell::describe(&pack));
    let packed = shell::capture(&mut pack, FETCH_WITHIN)?;
    anyhow::ensure!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
    let said = String::from_utf8(packed.stdout)?;
    anyhow::ensure!(text(&said, "integrity")? == integrity, "it is not what was pinned:\n{said}");
    let archive = folder.join(text(&said, "filename")?);
    let mut unpack = Command::new("tar");
    unpack.arg("-xzf").arg(archive).args(["--strip-components=1", "-C"]).arg(unpacked);
    shell::show(&mut unpack)
}

/// The value of a name in what npm prints, where names are followed by texts without escapes.
fn text<'a>(said: &'a str, name: &str) -> anyhow::Result<&'a str> {
    let (_, after) = said.split_once(&format!("\"{name}\": \"")).context("npm says too little")?;
    Ok(after.split('"').next().unwrap_or_default())
}

/// Where the processes of one test run write down what they covered.
pub(crate) struct Covered(PathBuf);

impl Covered {
    /// An empty folder.
    pub(crate) fn nothing_yet() -> anyhow::Result<Self> {
        let folder = shell::root().join(shell::target_folder()).join("conformance");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    /// What to add to the environment of the tests.
    pub(crate) fn environment(&self) -> (&'static str, &Path) {
        ("SLUICE_CONFORMANCE_DIR", &self.0)
    }

    /// Prints the table.
    ///
    /// # Errors
    /// Something that is ours was not covered.
    pub(crate) fn tell(&self) -> anyhow::Result<()> {
        shell::show(told("table").arg(&self.0))
    }
}

fn told(verb: &str) -> Command {
    shell::cargo(&["run", "--quiet", "--package", "sluice-conformance", "--", verb])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn a_text_is_found_in_what_npm_prints() {
        let said =
            "[\n  {\n    \"filename\": \"a-1.tgz\",\n    \"integrity\": \"sha512-x==\"\n  }\n]";
        assert_eq!(text(said, "integrity").unwrap(), "sha512-x==");
        assert_eq!(text(said, "filename").unwrap(), "a-1.tgz");
        text(said, "version").unwrap_err();
    }
}
