//! Roles: each opens the methods of some services.

use std::fmt;

/// What a caller may be. A role opens its own methods and no others, save that an admin may call all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Asks for scores and slates, reports exposures.
    Scorer,
    /// Writes profiles, facts, violations and rights.
    Ingester,
    /// Reads explanations, searches, forecasts.
    Viewer,
    /// Changes policies and runs programmes.
    Operator,
    /// Runs the server, and may call all methods.
    Admin,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 5] = [Self::Scorer, Self::Ingester, Self::Viewer, Self::Operator, Self::Admin];

    /// The role as it is written in files and claims.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scorer => "scorer",
            Self::Ingester => "ingester",
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// The role of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Every name, for messages.
    #[must_use]
    pub fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

/// A set of roles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles([bool; Role::ALL.len()]);

impl Roles {
    /// Whether this set opens what a role opens.
    #[must_use]
    pub fn open(self, role: Role) -> bool {
        self.has(role) || self.has(Role::Admin)
    }

    /// Whether a role is in the set.
    #[must_use]
    pub fn has(self, role: Role) -> bool {
        self.iter().any(|held| held == role)
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// The roles in the set.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().zip(self.0).filter_map(|(role, is_held)| is_held.then_some(role))
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        let held: Vec<Role> = roles.into_iter().collect();
        Self(Role::ALL.map(|role| held.contains(&role)))
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Role::name).collect();
        f.write_str(&if names.is_empty() { "none".to_owned() } else { names.join(", ") })
    }
}

#[cfg(test)]
mod tests {
    use super::{Role, Roles};

    #[test]
    fn a_role_opens_itself_and_admin_opens_all() {
        for held in Role::ALL {
            for asked in Role::ALL {
                let roles: Roles = [held].into_iter().collect();
                assert_eq!(roles.open(asked), held == asked || held == Role::Admin, "{held:?} {asked:?}");
            }
            assert!(!Roles::default().open(held));
            assert_eq!(Role::named(held.name()), Some(held));
        }
        assert_eq!(Roles::from_iter([Role::Viewer, Role::Scorer]).to_string(), "scorer, viewer");
    }
}
