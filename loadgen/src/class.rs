//! The kinds of clients, kept apart from the dialer to the report: what slow ones do to themselves, or
//! those that come and go, must not pass for what the server does to the others.

/// How a client reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// At once.
    Healthy,
    /// As [`crate::plan::Slow`] says.
    Slow,
    /// At once, but not for long: as [`crate::plan::Churn`] says.
    Churning,
}

impl Class {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Healthy, Self::Slow, Self::Churning];
}

/// One of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerClass<T> {
    /// Of the healthy clients.
    pub healthy: T,
    /// Of the slow ones.
    pub slow: T,
    /// Of those that come and go.
    pub churning: T,
}

impl<T> PerClass<T> {
    /// What belongs to `class`.
    pub fn get(&self, class: Class) -> &T {
        match class {
            Class::Healthy => &self.healthy,
            Class::Slow => &self.slow,
            Class::Churning => &self.churning,
        }
    }

    /// What belongs to `class`.
    pub fn get_mut(&mut self, class: Class) -> &mut T {
        match class {
            Class::Healthy => &mut self.healthy,
            Class::Slow => &mut self.slow,
            Class::Churning => &mut self.churning,
        }
    }
}
