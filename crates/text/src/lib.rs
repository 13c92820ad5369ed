//! What the command line and the dashboard write for people in the same way: lengths and points of
//! time, and texts of other roles. It knows neither a terminal nor a page.
//!
//! ```
//! use pgasync_core::Span;
//! use pgasync_text::{duration, short_span, visible};
//!
//! assert_eq!(duration::span("2h30m"), Ok(Span::seconds(9_000)));
//! assert_eq!(short_span(Span::millis(2_340)), "2.3 s");
//! assert_eq!(visible::line("a\nb"), "a\\nb");
//! ```

pub mod duration;
mod shown;
pub mod visible;

pub use shown::{rfc3339, short_span};
