//! The two kinds of clients, kept apart from the dialer to the report: what slow ones do to themselves
//! must not pass for what the server does to the others.

/// How a client reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// At once.
    Healthy,
    /// As [`crate::scenario::Slow`] says.
    Slow,
}

/// One of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerClass<T> {
    /// Of the healthy clients.
    pub healthy: T,
    /// Of the slow ones.
    pub slow: T,
}

impl<T> PerClass<T> {
    /// What belongs to `class`.
    pub fn get(&self, class: Class) -> &T {
        match class {
            Class::Healthy => &self.healthy,
            Class::Slow => &self.slow,
        }
    }

    /// What belongs to `class`.
    pub fn get_mut(&mut self, class: Class) -> &mut T {
        match class {
            Class::Healthy => &mut self.healthy,
            Class::Slow => &mut self.slow,
        }
    }

    /// Both.
    pub fn both(&self) -> [&T; 2] {
        [&self.healthy, &self.slow]
    }
}
