//! The launch marks: how many were sent since the last rotation, and when the next one is due.

/// The launch marks.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Marks sent since the last rotation.
    sent: usize,
    /// The store lost the marks, so a rotation is due.
    lost: bool,
    rotating: bool,
}

impl Marks {
    pub(super) const fn sent(&mut self) {
        self.sent += 1;
    }

    pub(super) const fn lost(&mut self) {
        self.lost = true;
    }

    /// Starts a rotation if one is due; returns whether it did.
    pub(super) const fn start_rotation(&mut self, marks_max: usize) -> bool {
        let starts = (self.sent > marks_max || self.lost) && !self.rotating;
        if starts {
            self.lost = false;
            self.rotating = true;
        }
        starts
    }

    /// The rotation is committed.
    pub(super) const fn rotated(&mut self) {
        self.rotating = false;
        self.sent = 0;
    }

    /// Nothing came of the rotation: the next one carries over what is launched then.
    pub(super) const fn not_rotated(&mut self) {
        self.rotating = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_rotated_after_so_many_and_when_they_are_lost() {
        let mut marks = Marks::default();
        marks.sent();
        assert!(!marks.start_rotation(1));
        marks.sent();
        assert!(marks.start_rotation(1) && !marks.start_rotation(1), "one rotation at a time");
        marks.not_rotated();
        assert!(marks.start_rotation(1), "it is tried again");
        marks.rotated();
        assert!(!marks.start_rotation(1));
        marks.lost();
        assert!(marks.start_rotation(1));
    }
}
