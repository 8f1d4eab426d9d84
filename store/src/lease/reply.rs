//! Answers of the scripts, read.

use std::time::Duration;

use sluice::lease::{LeaseInfo, LeaseKey, Obstacle, Owner, Release, Standing};
use sluice::names::{JobId, PrNumber, Sha};

use crate::link::Trouble;

/// The fields of an answer, in the order in which the script wrote them.
pub(super) struct Fields {
    fields: std::vec::IntoIter<Option<String>>,
    read: usize,
}

impl Fields {
    pub(super) fn new(fields: Vec<Option<String>>) -> Self {
        Self { fields: fields.into_iter(), read: 0 }
    }

    /// What was read last makes no sense.
    pub(super) fn unreadable(&self) -> Trouble {
        Trouble::Unreadable(format!("field {} of a lease", self.read))
    }

    pub(super) fn text(&mut self) -> Result<String, Trouble> {
        self.read += 1;
        self.fields.next().flatten().ok_or_else(|| self.unreadable())
    }

    pub(super) fn number(&mut self) -> Result<u64, Trouble> {
        self.text()?.parse().map_err(|_| self.unreadable())
    }

    pub(super) fn release(&mut self) -> Result<Release, Trouble> {
        match self.text()?.as_str() {
            "free" => Ok(Release::Free),
            "reserve" => Ok(Release::Reserve),
            _ => Err(self.unreadable()),
        }
    }

    pub(super) fn obstacle(&mut self) -> Result<Obstacle, Trouble> {
        let state = self.text()?;
        let left = duration(&self.text()?)?;
        match state.as_str() {
            "resting" => Ok(Obstacle::LockDelay { left }),
            "reserved" => Ok(Obstacle::Reserved { owner: Box::new(self.owner()?) }),
            _ => Ok(Obstacle::Held { owner: Box::new(self.owner()?), at_most: left }),
        }
    }

    fn owner(&mut self) -> Result<Owner, Trouble> {
        Ok(Owner {
            nonce: self.text()?,
            job: JobId::new(self.text()?).map_err(|_| self.unreadable())?,
            host: self.text()?,
            pr: PrNumber(self.number()?),
            head: self.head()?,
        })
    }

    /// A head; none when there is no such field or it is empty.
    pub(super) fn head(&mut self) -> Result<Option<Sha>, Trouble> {
        self.read += 1;
        let head = self.fields.next().flatten().filter(|head| !head.is_empty());
        head.map(Sha::new).transpose().map_err(|_| self.unreadable())
    }
}

/// What people are shown of a lease.
pub(super) fn told(key: LeaseKey, mut fields: Fields) -> Result<LeaseInfo, Trouble> {
    let state = fields.text()?;
    let give_back = fields.release()?;
    let standing = match (state.as_str(), give_back) {
        ("held", _) => Standing::Held,
        ("resting", Release::Free) => Standing::Resting { left: Duration::ZERO },
        _ => Standing::Reserved,
    };
    let mut info = LeaseInfo {
        key,
        standing,
        give_back,
        owner: fields.owner()?,
        epoch: fields.number()?,
        since_ms: fields.number()?,
        renewed_ms: fields.number()?,
        phase: fields.text()?,
        kept_for: fields.head()?,
    };
    let ends_within = duration(&fields.text()?)?;
    if let Standing::Resting { left } = &mut info.standing {
        *left = ends_within;
    }
    Ok(info)
}

/// A time in milliseconds, as scripts write it.
pub(super) fn duration(text: &str) -> Result<Duration, Trouble> {
    let millis = text.parse().map_err(|_| Trouble::Unreadable("a time".to_owned()))?;
    Ok(Duration::from_millis(millis))
}
