//! When live flows have to get their labels anew because workloads have numbers that they did not have.

/// What was known the last time.
#[derive(Debug, Default)]
pub(super) struct Anew {
    given: u64,
    unresolved: u64,
    given_lately: bool,
}

impl Anew {
    /// Whether to do so now. `given` counts the cgroups that were given a number so far, `unresolved` the times that something was counted
    /// before that. Whoever asked just before a number was there counts a moment later: so the next time looks again.
    pub(super) const fn is_due(&mut self, given: u64, unresolved: u64) -> bool {
        let given_now = given != self.given;
        let is_due = (given_now || self.given_lately) && unresolved != self.unresolved;
        self.given = given;
        self.given_lately = given_now;
        if is_due {
            self.unresolved = unresolved;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_are_labelled_anew_once_after_a_number_came_late() {
        let mut anew = Anew::default();
        let mut is_due = |given, unresolved| anew.is_due(given, unresolved);
        // Numbers that came in time.
        assert!(!is_due(3, 0));
        assert!(!is_due(3, 0));
        // Something was counted too early, and nobody knows more yet.
        assert!(!is_due(3, 5));
        assert!(!is_due(3, 5));
        // Now somebody does.
        assert!(is_due(4, 5));
        assert!(!is_due(4, 5));
        // Counted a moment after the number was given.
        assert!(!is_due(5, 5));
        assert!(is_due(5, 6));
        assert!(!is_due(5, 7));
    }
}
