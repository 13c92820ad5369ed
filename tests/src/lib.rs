//! The harness of pgasync's suites.
