//! The task that has the leader's session: it carries out whatever has come in meanwhile, all at once.

use std::sync::{Arc, Mutex, PoisonError};

use pgasync_store::Lead;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::backlog::{Backlog, Order};
use crate::clock::Clock;
use crate::events::{Event, Events};

/// Orders taken in at once.
const ORDERS_MAX: usize = 4_096;

/// The engine's end.
#[derive(Debug)]
pub(crate) struct Scribe {
    orders: UnboundedSender<Order>,
    /// Operations that were not answered yet.
    pub(crate) open: usize,
}

impl Scribe {
    pub(crate) fn hire(lead: Lead, clock: Arc<Mutex<Clock>>, events: Events) -> Self {
        let (ops, orders) = unbounded_channel();
        tokio::spawn(write(lead, clock, orders, events));
        Self { orders: ops, open: 0 }
    }

    pub(crate) fn tell(&mut self, order: Order) {
        // One that has left has said so.
        if self.orders.send(order).is_ok() {
            self.open += 1;
        }
    }
}

async fn write(mut lead: Lead, clock: Arc<Mutex<Clock>>, mut orders: UnboundedReceiver<Order>, events: Events) {
    let mut backlog = Backlog::default();
    let mut came = Vec::new();
    let reason = loop {
        let (ended, over) = tokio::select! {
            count = orders.recv_many(&mut came, ORDERS_MAX) => (count == 0, false),
            () = backlog.is_due() => (false, true),
            () = lead.ended() => break "the connection is closed".to_owned(),
        };
        if ended && backlog.is_empty() {
            // The engine is done.
            let _ = lead.step_down().await;
            let _ = events.send(Event::SteppedDown);
            return;
        }
        let ops = backlog.take(came.drain(..), ended || over);
        if ops.is_empty() {
            continue;
        }
        let count = ops.len();
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
