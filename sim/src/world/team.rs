//! Teams of organizations: who is in them, and which is below which.

use super::{Identity, World, WorldError};

/// A team.
#[derive(Clone, Debug)]
pub struct Team {
    /// The organization that it belongs to.
    pub organization: String,
    /// Its name in addresses.
    pub slug: String,
    /// The slug of the team that it is below.
    pub parent: Option<String>,
    /// Who is in it, by login.
    pub members: Vec<String>,
}

impl World {
    /// Makes a team, or gives it these members and this place from now on.
    pub fn set_team(&mut self, team: Team) {
        self.teams.retain(|other| !other.is(&team.organization, &team.slug));
        self.teams.push(team);
    }

    /// Whether the App is allowed to read who is in a team. It is, until it is said otherwise.
    pub fn let_app_read_members(&mut self, allowed: bool) {
        self.app_reads_members = allowed;
    }

    /// Whether it is.
    #[must_use]
    pub fn app_reads_members(&self) -> bool {
        self.app_reads_members
    }

    /// The members of a team, with those of the teams below it.
    ///
    /// # Errors
    /// [`WorldError::NotFound`] when there is no such team, [`WorldError::Forbidden`] for an App
    /// that may not read it.
    pub fn members_of(
        &self,
        by: &Identity,
        organization: &str,
        slug: &str,
    ) -> Result<Vec<String>, WorldError> {
        if *by == Identity::App && !self.app_reads_members {
            return Err(WorldError::Forbidden("Resource not accessible by integration".to_owned()));
        }
        let mut members: Vec<String> = Vec::new();
        let mut open = vec![slug.to_owned()];
        let mut found = false;
        while let Some(slug) = open.pop() {
            let Some(team) = self.teams.iter().find(|team| team.is(organization, &slug)) else {
                continue;
            };
            found = true;
            members.extend(
                team.members
                    .iter()
                    .filter(|one| !members.contains(one))
                    .cloned()
                    .collect::<Vec<_>>(),
            );
            let below = self.teams.iter().filter(|other| {
                other.organization.eq_ignore_ascii_case(organization)
                    && other.parent.as_deref() == Some(slug.as_str())
            });
            open.extend(below.map(|team| team.slug.clone()));
        }
        if found { Ok(members) } else { Err(WorldError::NotFound) }
    }
}

impl Team {
    fn is(&self, organization: &str, slug: &str) -> bool {
        self.organization.eq_ignore_ascii_case(organization) && self.slug.eq_ignore_ascii_case(slug)
    }
}
