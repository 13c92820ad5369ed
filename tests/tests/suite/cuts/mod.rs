//! Every message between an engine and its server or its targets is lost, delayed or withheld, one
//! in each case, while a small workload of every kind of task runs. See docs/testing.md, "Cuts".

mod fixture;
mod judge;
pub(super) mod kinds;
mod lost_commit;
mod messages;
mod outcome;
pub(super) mod restarted_engine;
mod stalls;
mod workload;

use crate::seed;
