//! Where what happens is not what GitHub's description says, and why that is right. The whole
//! list: what is not here and not described is a violation.

/// A status of an answer that an operation's description leaves out.
pub(crate) struct Undescribed {
    /// The status.
    pub(crate) status: u16,
    /// The operation, as `GET /path`; every operation when empty.
    pub(crate) operation: &'static str,
    /// Why the answer is one of GitHub's all the same.
    pub(crate) why: &'static str,
}

const fn any(status: u16, why: &'static str) -> Undescribed {
    Undescribed { status, operation: "", why }
}

/// Statuses that the descriptions of operations leave out. Their bodies are GitHub's basic error.
pub(crate) const STATUSES: &[Undescribed] = &[
    any(301, "GitHub sends whoever uses a repository's old name to its id, whatever is read"),
    any(304, "GitHub says so of what did not change, whatever is read"),
    any(307, "GitHub sends whoever uses a repository's old name to its id, whatever is written"),
    any(400, "GitHub says so of a body that is not JSON, whatever the operation"),
    any(401, "GitHub says so of a token that it does not know, whatever the operation"),
    any(403, "GitHub says so of a limit, and of what a token may not, whatever the operation"),
    any(404, "GitHub says so of what a token may not see, whatever the operation"),
    Undescribed {
        status: 422,
        operation: "POST /repos/{owner}/{repo}/check-runs",
        why: "GitHub refuses an unknown commit, a text that is too long, too many annotations",
    },
    Undescribed {
        status: 422,
        operation: "PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}",
        why: "GitHub refuses the same in a change, and an end without a conclusion",
    },
    Undescribed {
        status: 422,
        operation: "POST /repos/{owner}/{repo}/statuses/{sha}",
        why: "GitHub refuses an unknown commit, a description or address that it does not take, \
              and more than 1,000 statuses of one commit and context",
    },
    any(429, "GitHub says so of a secondary limit, whatever the operation"),
    any(500, "GitHub has trouble now and then, and says so with no word in its description"),
    any(502, "GitHub's edge answers when what is behind it does not"),
    any(503, "GitHub's edge answers when what is behind it is gone"),
    any(504, "GitHub's edge answers when what is behind it takes too long"),
];

/// What GitHub writes for an address that nobody gave, such as that of a deployment's log: the
/// default of such fields, by their descriptions, whose form it has not.
pub(crate) const NO_ADDRESS: &str = "";

/// Why an undescribed status is right for that operation; `None` when it is not.
pub(crate) fn why_undescribed(operation: &str, status: u16) -> Option<&'static str> {
    let fits = |one: &&Undescribed| {
        one.status == status && (one.operation.is_empty() || one.operation == operation)
    };
    STATUSES.iter().find(fits).map(|one| one.why)
}
