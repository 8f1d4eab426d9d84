//! I3: what is merged is what was applied, and nobody comes between the two.

use std::collections::BTreeMap;

use super::Found;
use crate::history::{ApplyLine, Happened, Line};

impl Found<'_> {
    /// I3: what is merged is the head and the tree that prod was brought to, and in the end main
    /// and prod are the same.
    pub(super) fn merged_is_what_was_applied(&mut self) {
        let record = self.record;
        let [mut last, mut begun] = [(); 2].map(|()| BTreeMap::<u64, &ApplyLine>::new());
        for line in &record.lines {
            let (applies, apply) = match &line.what {
                Happened::Promoted { apply, .. } => (&mut last, apply),
                Happened::ApplyBegan(apply) => (&mut begun, apply),
                _ => continue,
            };
            if apply.environment == "prod" {
                applies.insert(apply.pr, apply);
            }
        }
        for pull in &record.pulls {
            let Some(tree) = &pull.merged_tree else {
                if last.contains_key(&pull.number) {
                    self.of("I3", pull.number, "prod was brought to it, main lacks it".to_owned());
                }
                continue;
            };
            // A bridge that is killed between its promotion and the record of it leaves only the
            // beginning; whether prod has it shows below.
            let applied = last.get(&pull.number).or(begun.get(&pull.number));
            if !applied.is_some_and(|apply| apply.head == pull.head && apply.tree == *tree) {
                let what =
                    format!("{} with tree {tree} was merged, {applied:?} applied", pull.head);
                self.of("I3", pull.number, what);
            }
        }
        if record.main != record.prod {
            let what = format!("main has {:?}, prod runs {:?}", record.main, record.prod);
            self.at("I3", record.lines.len(), what);
        }
    }

    /// I3: apply and merge are one critical section. From a promotion of prod until main has it
    /// (as GitHub says: whoever merged may have been killed before it said so), nobody else
    /// promotes. A store that was emptied in between knew of no reservation: then the next one's
    /// plan says that it takes back what prod runs, and people approve that or do not.
    pub(super) fn nobody_between_apply_and_merge(&mut self) {
        let record = self.record;
        let merged: BTreeMap<u64, u64> =
            record.pulls.iter().filter_map(|pull| Some((pull.number, pull.merged_ms?))).collect();
        let mut stands: Option<u64> = None;
        for (index, line) in record.lines.iter().enumerate() {
            if forgets(line) {
                stands = None;
            }
            let Happened::Promoted { apply, .. } = &line.what else { continue };
            if apply.environment != "prod" {
                continue;
            }
            if let Some(before) = stands.filter(|before| *before != apply.pr)
                && merged.get(&before).is_none_or(|merged_ms| *merged_ms > line.at_ms)
            {
                let what = format!("#{} was promoted while main lacked #{before}", apply.pr);
                self.at("I3", index, what);
            }
            stands = Some(apply.pr);
        }
    }
}

/// The store lost what it knew.
fn forgets(line: &Line) -> bool {
    matches!(&line.what, Happened::Fault { what } if what.contains("emptied"))
}
