//! What operators did: who, what, why and when, for whoever comes next.
//!
//! Owns a short list. Nothing is decided by it.

use std::sync::Arc;

use deadpool_redis::redis;
use serde::{Deserialize, Serialize};

use crate::link::Trouble;
use crate::{Shared, StoreError};

/// How many are kept.
const KEPT: isize = 50;

/// Something that an operator did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Who: account and host.
    pub by: String,
    /// What, in words.
    pub what: String,
    /// Why, in the operator's words; `None` where no reason is asked for.
    pub reason: Option<String>,
}

/// What operators did.
#[derive(Clone)]
pub struct Actions {
    shared: Arc<Shared>,
}

impl Actions {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Writes one down. The oldest is forgotten when there are more than 50.
    ///
    /// # Errors
    /// When Redis cannot be told.
    pub async fn note(&self, action: &Action) -> Result<(), StoreError> {
        let unreadable = |error: serde_json::Error| Trouble::Unreadable(error.to_string());
        let text = serde_json::to_string(action).map_err(unreadable)?;
        let key = self.shared.keys.actions();
        let mut both = redis::pipe();
        both.atomic().cmd("LPUSH").arg(&key).arg(text).ignore();
        both.cmd("LTRIM").arg(&key).arg(0).arg(KEPT - 1).ignore();
        let call = async |connection: &mut _| both.query_async::<()>(connection).await;
        Ok(self.shared.link.call(call).await?)
    }

    /// The last ones, the newest first: 50 at most.
    ///
    /// # Errors
    /// When Redis cannot say.
    pub async fn last(&self) -> Result<Vec<Action>, StoreError> {
        let mut command = redis::cmd("LRANGE");
        command.arg(self.shared.keys.actions()).arg(0).arg(KEPT - 1);
        let call = async |connection: &mut _| command.query_async(connection).await;
        let actions: Vec<String> = self.shared.link.call(call).await?;
        let unreadable = |error: serde_json::Error| Trouble::Unreadable(error.to_string());
        let read = |text: &String| serde_json::from_str(text).map_err(unreadable);
        Ok(actions.iter().map(read).collect::<Result<_, _>>()?)
    }
}
