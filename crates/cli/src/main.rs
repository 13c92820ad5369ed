//! The pgasync binary.

fn main() {}
