//! When tasks of pools with a limit on starts have started, so that the next one waits for its time.

use std::collections::BTreeMap;

use super::context::Context;
use super::timers::Timer;
use crate::names::PoolName;
use crate::time::MonotonicTime;

/// The last start of each pool whose starts are limited.
///
/// Invariant: each has a timer at the time of the next start, unless that has passed.
#[derive(Debug, Default)]
pub(super) struct Starts {
    last: BTreeMap<PoolName, MonotonicTime>,
}

impl Starts {
    /// A task of the pool starts now.
    pub(super) fn note(&mut self, pool: &PoolName, cx: &mut Context) {
        if let Some(spacing) = cx.settings().spacings.get(pool).copied() {
            self.last.insert(pool.clone(), cx.monotonic());
            cx.at(cx.monotonic() + spacing, Timer::Start(pool.clone()));
        }
    }

    /// A leadership begins. The last leader may have started a task a moment ago.
    pub(super) fn begin(&mut self, cx: &mut Context) {
        let pools: Vec<PoolName> = cx.settings().spacings.keys().cloned().collect();
        for pool in pools {
            self.note(&pool, cx);
        }
    }

    /// The limits may have changed: a new one counts from the last start.
    pub(super) fn configured(&mut self, cx: &mut Context) {
        self.last.retain(|pool, _| cx.settings().spacings.contains_key(pool));
        for pool in self.last.keys() {
            if let Some(next) = self.next(pool, cx) {
                cx.at(next, Timer::Start(pool.clone()));
            }
        }
    }

    /// Whether the time of the next start has come.
    pub(super) fn is_due(&self, pool: &PoolName, cx: &Context) -> bool {
        self.next(pool, cx).is_none_or(|next| next <= cx.monotonic())
    }

    fn next(&self, pool: &PoolName, cx: &Context) -> Option<MonotonicTime> {
        Some(*self.last.get(pool)? + *cx.settings().spacings.get(pool)?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::settings::Settings;
    use super::*;
    use crate::time::{Now, Span};

    fn limited(spacing: Span) -> Settings {
        let spacings = BTreeMap::from([(PoolName::new("p").unwrap(), spacing)]);
        Settings { spacings, ..Settings::default() }
    }

    #[test]
    fn a_start_is_due_after_the_spacing_and_a_pool_without_a_limit_never_waits() {
        let (pool, free) = (PoolName::new("p").unwrap(), PoolName::new("q").unwrap());
        let mut cx = Context::new(limited(Span::millis(10)), 1);
        let mut starts = Starts::default();
        assert!(starts.is_due(&pool, &cx), "none has started");
        starts.begin(&mut cx);
        starts.note(&free, &mut cx);
        assert_eq!((starts.is_due(&pool, &cx), starts.is_due(&free, &cx)), (false, true));
        let due = cx.monotonic() + Span::millis(10);
        assert_eq!(cx.timers.first(), Some(due));
        cx.advance(Now { monotonic: due, ..cx.now() });
        assert!(starts.is_due(&pool, &cx));
    }

    #[test]
    fn a_changed_limit_counts_from_the_last_start() {
        let pool = PoolName::new("p").unwrap();
        let mut cx = Context::new(limited(Span::seconds(86_400)), 1);
        let mut starts = Starts::default();
        starts.note(&pool, &mut cx);
        cx.configure(limited(Span::millis(1)));
        starts.configured(&mut cx);
        assert_eq!(cx.timers.first(), Some(cx.monotonic() + Span::millis(1)));
        cx.configure(Settings::default());
        starts.configured(&mut cx);
        assert!(starts.is_due(&pool, &cx));
    }
}
