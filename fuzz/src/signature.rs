//! The signature of a webhook: a line with the secret, one with the header, then the body.
//!
//! Judged by HMAC as RFC 2104 writes it down, over the bare hash.

use axum::http::{HeaderMap, HeaderValue};
use sha2::{Digest as _, Sha256};
use sluice::config::Secret;
use sluice_producer::Signature;

use crate::words::first_line;

const HEADER: &str = "x-hub-signature-256";

pub(crate) fn run(data: &[u8]) {
    let (secret, rest) = first_line(data);
    let (header, body) = first_line(rest);
    let secret = String::from_utf8_lossy(secret).into_owned();
    let right = format!("sha256={}", hex::encode(hmac(secret.as_bytes(), body)));
    let secrets = [Secret::new(secret.as_str())];

    if let Some(signature) = signature(header) {
        let is_right = header.eq_ignore_ascii_case(right.as_bytes());
        assert_eq!(signature.is_of(body, &secrets), is_right, "{right}");
        assert!(!signature.is_of(body, &[]), "without a secret nothing is signed");
    }
    let signed = signature(right.as_bytes()).expect("a signature is one");
    assert!(signed.is_of(body, &secrets));
    assert!(!signed.is_of(&[body, b"."].concat(), &secrets), "of another body");
    let other = [Secret::new(format!("{secret}."))];
    assert!(!signed.is_of(body, &other), "by another secret");
}

fn signature(header: &[u8]) -> Option<Signature> {
    let mut headers = HeaderMap::new();
    headers.append(HEADER, HeaderValue::from_bytes(header).ok()?);
    Signature::of(&headers)
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    match key.len() {
        0..=64 => block[..key.len()].copy_from_slice(key),
        _ => block[..32].copy_from_slice(&Sha256::digest(key)),
    }
    let hash = |pad: u8, message: &[u8]| {
        let mut hash = Sha256::new();
        hash.update(block.map(|b| b ^ pad));
        hash.update(message);
        <[u8; 32]>::from(hash.finalize())
    };
    hash(0x5c, &hash(0x36, message))
}
