//! The conversation of a pull request: comments, and reactions to them.

use std::time::SystemTime;

use super::{Identity, Pr, Repository, RepositoryName, Role, World, WorldError};
use crate::shape;

/// GitHub's limit for a comment, in characters.
const LONGEST_BODY: usize = 65_536;

/// One comment.
#[derive(Clone, Debug)]
pub struct Comment {
    /// Database id.
    pub id: u64,
    /// The pull request it is in.
    pub number: u64,
    /// Who wrote it.
    pub author: Identity,
    /// What it says.
    pub body: String,
    /// When it was written.
    pub created_at: SystemTime,
    /// When it was last changed, if ever.
    pub edited_at: Option<SystemTime>,
    /// Reactions to it.
    pub reactions: Vec<Reaction>,
}

/// One reaction.
#[derive(Clone, Debug)]
pub struct Reaction {
    /// Database id.
    pub id: u64,
    /// Who reacted.
    pub by: Identity,
    /// With what.
    pub content: ReactionContent,
}

/// The reactions that GitHub has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReactionContent {
    /// 👍
    #[serde(rename = "+1")]
    ThumbsUp,
    /// 👎
    #[serde(rename = "-1")]
    ThumbsDown,
    /// 😄
    Laugh,
    /// 😕
    Confused,
    /// ❤️
    Heart,
    /// 🎉
    Hooray,
    /// 🚀
    Rocket,
    /// 👀
    Eyes,
}

/// What a reaction is to.
#[derive(Clone, Debug)]
pub enum ReactionTarget {
    /// The description of a pull request.
    Pull(Pr),
    /// The comment with that database id.
    Comment(RepositoryName, u64),
}

impl World {
    /// Writes a comment. Everyone may.
    ///
    /// # Errors
    /// [`WorldError::Unprocessable`] when it is empty or too long, [`WorldError::NotFound`].
    pub fn comment(&mut self, by: &Identity, pr: &Pr, body: &str) -> Result<u64, WorldError> {
        check_body(body)?;
        self.pull(pr)?;
        let comment = Comment {
            id: self.fresh_id(),
            number: pr.number,
            author: by.clone(),
            body: body.to_owned(),
            created_at: self.now(),
            edited_at: None,
            reactions: Vec::new(),
        };
        let id = comment.id;
        self.repository_mut(&pr.repository)?.comments.insert(id, comment);
        self.emit_comment(by, &pr.repository, id, "created")?;
        Ok(id)
    }

    /// Rewrites a comment.
    ///
    /// # Errors
    /// As [`World::comment`]; [`WorldError::Forbidden`] when it is someone else's.
    pub fn edit_comment(
        &mut self,
        by: &Identity,
        name: &RepositoryName,
        id: u64,
        body: &str,
    ) -> Result<(), WorldError> {
        check_body(body)?;
        self.allow_comment_change(by, name, id)?;
        let now = self.now();
        let comment = self.comment_mut(name, id)?;
        let old = std::mem::replace(&mut comment.body, body.to_owned());
        comment.edited_at = Some(now);
        let mut payload = self.comment_payload(name, id)?;
        payload["changes"] = serde_json::json!({"body": {"from": old}});
        self.emit(by, name, ("issue_comment", Some("edited")), payload)
    }

    /// Deletes a comment.
    ///
    /// # Errors
    /// As [`World::edit_comment`].
    pub fn delete_comment(
        &mut self,
        by: &Identity,
        name: &RepositoryName,
        id: u64,
    ) -> Result<(), WorldError> {
        self.allow_comment_change(by, name, id)?;
        self.emit_comment(by, name, id, "deleted")?;
        self.repository_mut(name)?.comments.remove(&id);
        Ok(())
    }

    /// Reacts; `true` when the reaction is new, `false` when it was there.
    ///
    /// # Errors
    /// [`WorldError::NotFound`].
    pub fn react(
        &mut self,
        by: &Identity,
        target: &ReactionTarget,
        content: ReactionContent,
    ) -> Result<(Reaction, bool), WorldError> {
        let id = self.fresh_id();
        let reactions = match target {
            ReactionTarget::Pull(pr) => &mut self.pull_mut(pr)?.reactions,
            ReactionTarget::Comment(name, id) => &mut self.comment_mut(name, *id)?.reactions,
        };
        let same = |one: &&Reaction| one.by == *by && one.content == content;
        if let Some(existing) = reactions.iter().find(same) {
            return Ok((existing.clone(), false));
        }
        let reaction = Reaction { id, by: by.clone(), content };
        reactions.push(reaction.clone());
        Ok((reaction, true))
    }

    fn allow_comment_change(
        &self,
        by: &Identity,
        name: &RepositoryName,
        id: u64,
    ) -> Result<(), WorldError> {
        let repository = self.repository(name)?;
        let comment = repository.comment(id)?;
        if comment.author == *by {
            return Ok(());
        }
        self.require(repository, by, Role::Write)
    }

    fn comment_mut(&mut self, name: &RepositoryName, id: u64) -> Result<&mut Comment, WorldError> {
        self.repository_mut(name)?.comments.get_mut(&id).ok_or(WorldError::NotFound)
    }

    fn emit_comment(
        &mut self,
        by: &Identity,
        name: &RepositoryName,
        id: u64,
        action: &str,
    ) -> Result<(), WorldError> {
        let payload = self.comment_payload(name, id)?;
        self.emit(by, name, ("issue_comment", Some(action)), payload)
    }

    fn comment_payload(
        &self,
        name: &RepositoryName,
        id: u64,
    ) -> Result<serde_json::Value, WorldError> {
        let repository = self.repository(name)?;
        let comment = repository.comment(id)?;
        let pull = repository.pulls.get(&comment.number).ok_or(WorldError::NotFound)?;
        Ok(shape::comment_event(self, repository, pull, comment))
    }
}

impl Repository {
    /// The comment with that database id.
    ///
    /// # Errors
    /// [`WorldError::NotFound`].
    pub fn comment(&self, id: u64) -> Result<&Comment, WorldError> {
        self.comments.get(&id).ok_or(WorldError::NotFound)
    }

    /// The comments of a pull request, oldest first.
    pub fn comments_of(&self, number: u64) -> impl Iterator<Item = &Comment> {
        self.comments.values().filter(move |comment| comment.number == number)
    }
}

fn check_body(body: &str) -> Result<(), WorldError> {
    if body.trim().is_empty() {
        return Err(WorldError::Unprocessable("Body can't be blank".to_owned()));
    }
    if body.chars().count() > LONGEST_BODY {
        let message = format!("Body is too long (maximum is {LONGEST_BODY} characters)");
        return Err(WorldError::Unprocessable(message));
    }
    Ok(())
}
