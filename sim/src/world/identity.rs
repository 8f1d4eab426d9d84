//! Who acts: people and the application, their tokens, and what they may do in a repository.

use super::{Repository, World, WorldError};

/// A person's account.
#[derive(Clone, Debug)]
pub struct User {
    /// Database id.
    pub id: u64,
    /// The login, in the letter case it was registered with.
    pub login: String,
    /// Whether the account was deleted: what it wrote stays, its author becomes null.
    pub deleted: bool,
}

/// The GitHub App that sluice runs as. Only an App may write check runs.
#[derive(Clone, Debug)]
pub struct App {
    /// The App's id.
    pub id: u64,
    /// Its slug; its account is `slug[bot]`.
    pub slug: String,
    /// Its display name.
    pub name: String,
    /// The id of its installation, as in every webhook.
    pub installation: u64,
    /// An installation token that never ends.
    pub token: String,
}

/// Who a request or an act is by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// The application.
    App,
    /// The user with that login.
    User(String),
}

impl Identity {
    /// A user's identity.
    pub fn user(login: impl Into<String>) -> Self {
        Self::User(login.into())
    }
}

/// What a collaborator may do, in ascending order; GitHub's `role_name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Nothing, in a public repository not more than looking.
    None,
    /// Look and comment.
    Read,
    /// Manage issues and pull requests.
    Triage,
    /// Push and merge.
    Write,
    /// Manage the repository without destructive rights.
    Maintain,
    /// Everything.
    Admin,
}

impl Role {
    /// The coarse `permission` of GitHub's collaborator endpoint: maintain is folded into write
    /// and triage into read, which is why it must not decide anything.
    #[must_use]
    pub fn coarse(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read | Self::Triage => "read",
            Self::Write | Self::Maintain => "write",
            Self::Admin => "admin",
        }
    }
}

impl World {
    /// Registers a user whose token is `token`; an existing one only gets the token as well.
    pub fn add_user(&mut self, login: &str, token: &str) {
        let key = login.to_lowercase();
        if !self.users.contains_key(&key) {
            let id = self.fresh_id();
            self.users.insert(key, User { id, login: login.to_owned(), deleted: false });
        }
        self.tokens.insert(token.to_owned(), Identity::user(login));
    }

    /// Deletes an account: its reviews and comments stay, with a null author.
    ///
    /// # Errors
    /// [`WorldError::NotFound`] when there is no such user.
    pub fn delete_user(&mut self, login: &str) -> Result<(), WorldError> {
        let key = login.to_lowercase();
        let user = self.users.get_mut(&key).ok_or(WorldError::NotFound)?;
        user.deleted = true;
        let name = user.login.clone();
        self.tokens.retain(|_, identity| *identity != Identity::User(name.clone()));
        Ok(())
    }

    /// The user of that login, in any letter case, if there is one and it was not deleted.
    #[must_use]
    pub fn user(&self, login: &str) -> Option<&User> {
        self.users.get(&login.to_lowercase()).filter(|user| !user.deleted)
    }

    /// Whose token that is, if it has not ended.
    #[must_use]
    pub fn identify(&self, token: &str) -> Option<&Identity> {
        let has_ended = self.token_ends.get(token).is_some_and(|ends| *ends <= self.now());
        self.tokens.get(token).filter(|_| !has_ended)
    }

    /// Makes another token valid for an identity, or an old one invalid with `None`.
    pub fn set_token(&mut self, token: &str, identity: Option<Identity>) {
        match identity {
            Some(identity) => self.tokens.insert(token.to_owned(), identity),
            None => self.tokens.remove(token),
        };
    }

    /// The login that REST and webhooks show: an App's ends in `[bot]`.
    #[must_use]
    pub fn login(&self, identity: &Identity) -> String {
        match identity {
            Identity::App => format!("{}[bot]", self.app.slug),
            Identity::User(login) => login.clone(),
        }
    }

    /// What the identity may do in the repository. The App's installation permissions allow what
    /// sluice needs: contents and pull requests to write.
    #[must_use]
    pub fn role(&self, repository: &Repository, identity: &Identity) -> Role {
        match identity {
            Identity::App => Role::Write,
            Identity::User(login) => repository.role_of(login),
        }
    }

    pub(crate) fn require(
        &self,
        repository: &Repository,
        identity: &Identity,
        least: Role,
    ) -> Result<(), WorldError> {
        if self.role(repository, identity) >= least {
            return Ok(());
        }
        let message = match identity {
            Identity::App => "Resource not accessible by integration",
            Identity::User(_) => "Must have push access to repository",
        };
        Err(WorldError::Forbidden(message.to_owned()))
    }
}
