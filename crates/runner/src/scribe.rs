//! The task that has the leader's session: it carries out whatever has come in meanwhile, all at once.

use std::sync::{Arc, Mutex, PoisonError};

use pgasync_store::{Lead, Op};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::clock::Clock;
use crate::events::{Event, Events};

/// Operations taken in at once.
const OPS_MAX: usize = 4_096;

/// The engine's end.
#[derive(Debug)]
pub(crate) struct Scribe {
    orders: UnboundedSender<Op>,
    /// Operations that were not answered yet.
    pub(crate) open: usize,
}

impl Scribe {
    pub(crate) fn hire(lead: Lead, clock: Arc<Mutex<Clock>>, events: Events) -> Self {
        let (ops, orders) = unbounded_channel();
        tokio::spawn(write(lead, clock, orders, events));
        Self { orders: ops, open: 0 }
    }

    pub(crate) fn tell(&mut self, op: Op) {
        // One that has left has said so.
        if self.orders.send(op).is_ok() {
            self.open += 1;
        }
    }
}

async fn write(mut lead: Lead, clock: Arc<Mutex<Clock>>, mut orders: UnboundedReceiver<Op>, events: Events) {
    let reason = loop {
        let mut ops = Vec::new();
        let count = tokio::select! {
            count = orders.recv_many(&mut ops, OPS_MAX) => count,
            () = lead.ended() => break "the connection is closed".to_owned(),
        };
        if count == 0 {
            // The engine is done.
            let _ = lead.step_down().await;
            let _ = events.send(Event::SteppedDown);
            return;
        }
        let now = clock.lock().unwrap_or_else(PoisonError::into_inner).now();
        let mut early = |answers| {
            // Without an engine the next answers fail to be told, too.
            let _ = events.send(Event::Answered { count: 0, answers: Box::new(answers) });
        };
        match lead.carry_out(ops, now, &mut early).await {
            Ok(answers) => {
                if events.send(Event::Answered { count, answers: Box::new(answers) }).is_err() {
                    return;
                }
            }
            Err(error) => break error.to_string(),
        }
    };
    let _ = events.send(Event::LeadLost { lead: Box::new(lead), reason });
}
