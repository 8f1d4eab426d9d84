//! Numbers as they are shown.

use std::time::Duration;

/// How many a second.
pub(crate) fn rate(count: usize, took: Duration) -> f64 {
    count_f64(count) / took.as_secs_f64()
}

/// One line: ours, theirs, and the ratio against its aim.
pub(crate) fn ratio(what: &str, (ours, bare): (f64, f64), aim: f64) -> String {
    let ratio = ours / bare;
    let verdict = if ratio >= aim { "met" } else { "missed" };
    format!("{what}: {ours:.0}/s, bare {bare:.0}/s, ratio {ratio:.2} (aim >= {aim}: {verdict})")
}

/// The middle one of a few rounds.
pub(crate) fn median(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds.get(rounds.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The value that so many of a hundred do not exceed.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}

/// For a ratio of counts.
pub(crate) fn count_f64(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}
