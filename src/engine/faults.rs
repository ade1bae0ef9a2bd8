//! Steps of a commit at which tests make it fail, or end the process. Nothing in the program does.

/// A step of the writer, in the order of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A group is about to be appended.
    Append,
    /// The group is durable.
    Appended,
    /// It is applied.
    Applied,
    /// Its rows are with the store.
    Written,
    /// Readers see it; nobody was answered yet. What fails here fails nothing.
    Published,
    /// A slice of a second world is about to be made.
    Building,
    /// A batch of the log is about to be forgotten; also when the last one is.
    TrimmingLog,
    /// A slice of the audit trail is about to be removed; also when the last one is.
    TrimmingAudit,
}

/// Decides what becomes of a step.
pub trait Faults: Send {
    /// Lets the step pass, or makes the commit fail at it.
    ///
    /// # Errors
    /// What the disk would say.
    fn at(&mut self, step: Step) -> Result<(), String>;
}

/// Every step passes.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFaults;

impl Faults for NoFaults {
    fn at(&mut self, _: Step) -> Result<(), String> {
        Ok(())
    }
}
