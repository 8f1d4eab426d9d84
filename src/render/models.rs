//! The models of a plan, as a list.
//!
//! Owns their order and wording. Refuses to know SQL.

use super::markdown::{code, plain};
use crate::engine::{Change, ModelChange, Plan};

/// The most models that are listed of one sort; the rest is counted.
const MOST_OF_A_SORT: usize = 100;

const SORTS: [(Change, &str); 5] = [
    (Change::Added, "Added"),
    (Change::Removed, "Removed"),
    (Change::DirectlyModified, "Directly modified"),
    (Change::IndirectlyModified, "Indirectly modified"),
    (Change::MetadataUpdated, "Metadata updated"),
];

/// All models of the plan by what happens to them, with kind, category and dates.
pub(super) fn listed(plan: &Plan) -> String {
    let sorts = SORTS.iter().filter_map(|(change, heading)| {
        let models: Vec<&ModelChange> =
            plan.models.iter().filter(|model| model.change == *change).collect();
        (!models.is_empty()).then(|| of_a_sort(heading, &models))
    });
    sorts.collect::<Vec<_>>().join("\n\n")
}

fn of_a_sort(heading: &str, models: &[&ModelChange]) -> String {
    let mut lines = vec![format!("**{heading}**"), String::new()];
    lines.extend(models.iter().take(MOST_OF_A_SORT).map(|model| line(model)));
    if models.len() > MOST_OF_A_SORT {
        lines.push(format!("- and {} more", models.len() - MOST_OF_A_SORT));
    }
    lines.join("\n")
}

fn line(model: &ModelChange) -> String {
    let traits: Vec<String> = [Some(model.kind.as_str()), model.category.as_deref()]
        .into_iter()
        .flatten()
        .map(plain)
        .collect();
    let mut line = format!("- {} ({})", code(&model.name), traits.join(", "));
    if let Some(dates) = &model.loaded {
        line.push_str(&format!("; loaded: {}", plain(dates)));
    }
    if let Some(dates) = &model.missing {
        line.push_str(&format!("; not loaded: {}", plain(dates)));
    }
    line
}
