//! The work that a task costs, as Postgres counts it: statements, row versions, WAL, transaction
//! ids, commits and buffers. No test asserts a time.
//!
//! A [`load::Load`] is pushed before the engine starts, and the [`counters`] are read before its
//! start and after its end, because a leader that is one `CALL` reports its statistics at its end.
//! The cluster is that of the test, and without autovacuum, because WAL and transaction ids are
//! counted for a whole cluster.
//!
//! How many tasks share a statement or a commit depends a little on the machine. Measured were a
//! quiet machine with two cores, and one with six busy loops beside the test: the second needed up
//! to 1.4 times the statements. So the bounds are about twice the numbers of a quiet machine.

mod counters;
mod horizon;
mod idle;
mod load;
mod per_task;
mod scale;
