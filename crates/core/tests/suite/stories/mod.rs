//! Single situations, step by step.

mod ahead;
mod clock;
mod deadlines;
mod ended;
mod groups;
mod locked;
mod moves;
mod offers;
mod pauses;
mod refused;
mod requests;
mod returns;
mod sessions;
mod strays;
mod times;
mod unconfirmed;
mod upkeep;
