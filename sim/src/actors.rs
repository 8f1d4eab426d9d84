//! People who act: the words that stories are told in. Each verb changes the world and lets the
//! webhooks follow; `quietly()` gives the same person with the webhooks lost.

mod spec;

pub use spec::PrSpec;

use crate::git::Oid;
use crate::standin::{SimError, Standin};
use crate::world::{
    EnqueueRequest, Files, Identity, MergeRequest, Pr, Push, RepositoryName, ReviewState, Role,
    World, WorldError,
};

/// Someone with an account.
#[derive(Clone, Debug)]
pub struct Actor {
    standin: Standin,
    identity: Identity,
    login: String,
    webhooks: Webhooks,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Webhooks {
    Sent,
    Lost,
}

impl Actor {
    pub(crate) fn new(standin: Standin, login: &str) -> Self {
        let identity = Identity::user(login);
        Self { standin, identity, login: login.to_owned(), webhooks: Webhooks::Sent }
    }

    /// The login.
    #[must_use]
    pub fn login(&self) -> &str {
        &self.login
    }

    /// The same person, whose every webhook is lost.
    #[must_use]
    pub fn quietly(&self) -> Self {
        Self { webhooks: Webhooks::Lost, ..self.clone() }
    }

    async fn act<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut World, &Identity) -> Result<T, WorldError> + Send + 'static,
    ) -> Result<T, SimError> {
        let (identity, webhooks) = (self.identity.clone(), self.webhooks);
        self.standin
            .change(move |world| match webhooks {
                Webhooks::Sent => act(world, &identity),
                Webhooks::Lost => world.quietly(|world| act(world, &identity)),
            })
            .await
    }

    /// Becomes a collaborator of a repository. (An owner's doing; nobody is told.)
    ///
    /// # Errors
    /// As every verb: [`SimError::World`] when GitHub would refuse.
    pub async fn joins(&self, repository: &RepositoryName, role: Role) -> Result<(), SimError> {
        let (repository, login) = (repository.clone(), self.login.clone());
        self.act(move |world, _| world.collaborate(&repository, &login, role)).await
    }

    /// Opens a pull request.
    ///
    /// # Errors
    /// As every verb.
    pub async fn opens_pr(
        &self,
        repository: &RepositoryName,
        spec: PrSpec,
    ) -> Result<Pr, SimError> {
        let repository = repository.clone();
        self.act(move |world, by| world.open_pull(by, &repository, spec.into_pull())).await
    }

    /// Pushes one commit to a pull request's branch.
    ///
    /// # Errors
    /// As every verb.
    pub async fn pushes(&self, pr: &Pr, files: &[(&str, Option<&str>)]) -> Result<Oid, SimError> {
        let (pr, files) = (pr.clone(), owned(files));
        self.act(move |world, by| world.push_to_pull(by, &pr, &files)).await
    }

    /// Pushes one commit to a branch.
    ///
    /// # Errors
    /// As every verb.
    pub async fn pushes_to_branch(
        &self,
        repository: &RepositoryName,
        branch: &str,
        files: &[(&str, Option<&str>)],
    ) -> Result<Oid, SimError> {
        let repository = repository.clone();
        let push = Push {
            branch: branch.to_owned(),
            files: owned(files),
            message: format!("Update {branch}"),
            onto: None,
        };
        self.act(move |world, by| world.push(by, &repository, &push)).await
    }

    /// Approves the present head. Returns the review's id.
    ///
    /// # Errors
    /// As every verb.
    pub async fn approves(&self, pr: &Pr) -> Result<u64, SimError> {
        self.reviews(pr, ReviewState::Approved).await
    }

    /// Requests changes. Returns the review's id.
    ///
    /// # Errors
    /// As every verb.
    pub async fn requests_changes(&self, pr: &Pr) -> Result<u64, SimError> {
        self.reviews(pr, ReviewState::ChangesRequested).await
    }

    /// Reviews with that opinion. Returns the review's id.
    ///
    /// # Errors
    /// As every verb.
    pub async fn reviews(&self, pr: &Pr, state: ReviewState) -> Result<u64, SimError> {
        let pr = pr.clone();
        self.act(move |world, by| world.review(by, &pr, state)).await
    }

    /// Dismisses a review.
    ///
    /// # Errors
    /// As every verb.
    pub async fn dismisses(&self, pr: &Pr, review: u64) -> Result<(), SimError> {
        let pr = pr.clone();
        self.act(move |world, by| world.dismiss(by, &pr, review)).await
    }

    /// Rewrites the words of a review; its opinion stays.
    ///
    /// # Errors
    /// As every verb.
    pub async fn edits_review(&self, pr: &Pr, review: u64, body: &str) -> Result<(), SimError> {
        let (pr, body) = (pr.clone(), body.to_owned());
        self.act(move |world, by| world.edit_review(by, &pr, review, &body)).await
    }

    /// Comments. Returns the comment's id.
    ///
    /// # Errors
    /// As every verb.
    pub async fn comments(&self, pr: &Pr, body: &str) -> Result<u64, SimError> {
        let (pr, body) = (pr.clone(), body.to_owned());
        self.act(move |world, by| world.comment(by, &pr, &body)).await
    }

    /// Rewrites a comment.
    ///
    /// # Errors
    /// As every verb.
    pub async fn edits_comment(&self, pr: &Pr, comment: u64, body: &str) -> Result<(), SimError> {
        let (repository, body) = (pr.repository.clone(), body.to_owned());
        self.act(move |world, by| world.edit_comment(by, &repository, comment, &body)).await
    }

    /// Deletes a comment.
    ///
    /// # Errors
    /// As every verb.
    pub async fn deletes_comment(&self, pr: &Pr, comment: u64) -> Result<(), SimError> {
        let repository = pr.repository.clone();
        self.act(move |world, by| world.delete_comment(by, &repository, comment)).await
    }

    /// Closes a pull request without merging it.
    ///
    /// # Errors
    /// As every verb.
    pub async fn closes(&self, pr: &Pr) -> Result<(), SimError> {
        let pr = pr.clone();
        self.act(move |world, by| world.close(by, &pr)).await
    }

    /// Opens a closed pull request again.
    ///
    /// # Errors
    /// As every verb.
    pub async fn reopens(&self, pr: &Pr) -> Result<(), SimError> {
        let pr = pr.clone();
        self.act(move |world, by| world.reopen(by, &pr)).await
    }

    /// Marks a draft as ready for review.
    ///
    /// # Errors
    /// As every verb.
    pub async fn marks_ready(&self, pr: &Pr) -> Result<(), SimError> {
        let pr = pr.clone();
        self.act(move |world, by| world.mark_ready(by, &pr)).await
    }

    /// Points a pull request at another base.
    ///
    /// # Errors
    /// As every verb.
    pub async fn retargets(&self, pr: &Pr, base: &str) -> Result<(), SimError> {
        let (pr, base) = (pr.clone(), base.to_owned());
        self.act(move |world, by| world.retarget(by, &pr, &base)).await
    }

    /// Presses GitHub's own merge button.
    ///
    /// # Errors
    /// As every verb.
    pub async fn merges_by_hand(&self, pr: &Pr) -> Result<Oid, SimError> {
        let pr = pr.clone();
        self.act(move |world, by| world.merge(by, &pr, &MergeRequest::default())).await
    }

    /// Puts a pull request in the merge queue. Returns the commit of its group.
    ///
    /// # Errors
    /// As every verb.
    pub async fn queues(&self, pr: &Pr) -> Result<Oid, SimError> {
        let pr = pr.clone();
        let request = EnqueueRequest::default();
        self.act(move |world, by| world.enqueue(by, &pr, &request)).await
    }

    /// Takes a pull request out of the merge queue.
    ///
    /// # Errors
    /// As every verb.
    pub async fn takes_out_of_queue(&self, pr: &Pr) -> Result<(), SimError> {
        let pr = pr.clone();
        self.act(move |world, _| world.dequeue(&pr)).await
    }

    /// Presses "re-run all checks".
    ///
    /// # Errors
    /// As every verb.
    pub async fn reruns_checks(&self, pr: &Pr) -> Result<(), SimError> {
        let pr = pr.clone();
        self.act(move |world, by| {
            let head = world.pull(&pr)?.1.head_oid.clone();
            world.rerequest(by, &pr.repository, &head, None)
        })
        .await
    }

    /// Deletes the own account: what it wrote stays, without an author.
    ///
    /// # Errors
    /// As every verb.
    pub async fn leaves_github(&self) -> Result<(), SimError> {
        let login = self.login.clone();
        self.act(move |world, _| world.delete_user(&login)).await
    }
}

fn owned(files: &[(&str, Option<&str>)]) -> Files {
    files.iter().map(|(path, text)| ((*path).to_owned(), text.map(Into::into))).collect()
}
