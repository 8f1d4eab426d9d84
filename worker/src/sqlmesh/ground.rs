//! Bridges under the engine: a session on a checkout that the engine made.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use sluice::engine::{EngineError, Session};
use sluice::policy::Policy;
use sluice::project::Project;
use tokio_util::sync::CancellationToken;

use super::{Bridges, Site, version};
use crate::engine::{self, Ground};

#[async_trait]
impl engine::Bridges for Bridges {
    async fn open(
        &self,
        project: Arc<Project>,
        ground: Ground,
        cancel: CancellationToken,
    ) -> Result<Box<dyn Session>, EngineError> {
        let apart = ground.apart().map(Path::to_owned);
        let site = Site {
            folder: ground.folder().to_owned(),
            cache: ground.cache().to_owned(),
            checkout: ground.checkout().clone(),
            keep: Some(Box::new(ground)),
        };
        let session = match apart {
            None => self.session(&project, site, cancel).await?,
            Some(checkout) => self.session_apart(&project, site, &checkout, cancel).await?,
        };
        Ok(Box::new(session))
    }

    async fn policy(&self, project: &Project, folder: &Path) -> Result<Policy, EngineError> {
        Self::policy(self, project, folder).await
    }

    fn version(&self, project: &Project) -> String {
        version::of(&project.python)
    }
}
