//! `X-Hub-Signature-256`: whether GitHub wrote a body.

use axum::http::HeaderMap;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use sluice::config::Secret;

const HEADER: &str = "x-hub-signature-256";

/// A well-formed signature, not yet compared with anything.
pub struct Signature([u8; 32]);

impl Signature {
    /// The signature of a request: exactly one header, `sha256=` and 64 hexadecimal digits.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(HEADER).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        let digits = value.to_str().ok()?.strip_prefix("sha256=")?;
        let mut signature = [0; 32];
        hex::decode_to_slice(digits, &mut signature).ok()?;
        Some(Self(signature))
    }

    /// Whether it is the HMAC-SHA256 of the body under one of the secrets (several while one is
    /// being replaced). Compares in constant time.
    pub fn is_of(&self, body: &[u8], secrets: &[Secret]) -> bool {
        secrets.iter().any(|secret| {
            Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).is_ok_and(|mut mac| {
                mac.update(body);
                mac.verify_slice(&self.0).is_ok()
            })
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The example of GitHub's documentation.
    const SIGNED: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn signature(values: &[&str]) -> Option<Signature> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, value.parse().unwrap());
        }
        Signature::of(&headers)
    }

    #[test]
    fn it_agrees_with_github() {
        let [old, new] = ["old", "It's a Secret to Everybody"].map(Secret::new);
        let signature = signature(&[SIGNED]).unwrap();
        assert!(signature.is_of(b"Hello, World!", &[old.clone(), new.clone()]));
        assert!(!signature.is_of(b"Hello, World?", &[new]));
        assert!(!signature.is_of(b"Hello, World!", &[old]));
        assert!(!signature.is_of(b"Hello, World!", &[]));
    }

    #[test]
    fn what_is_no_signature_is_none() {
        let short = &SIGNED[..SIGNED.len() - 2];
        let long = format!("{SIGNED}00");
        let cases: [&[&str]; 7] = [
            &[],
            &[""],
            &["sha256="],
            &[short],
            &[&long],
            &[&SIGNED.replace("sha256", "sha1")],
            &[SIGNED, SIGNED],
        ];
        for values in cases {
            assert!(signature(values).is_none(), "{values:?}");
        }
    }
}
