//! The whole terminal for one command: keys arrive without Enter, nothing scrolls. The terminal is as
//! before when the value is dropped, after a signal and after a panic.

use std::io::{Write, stdout};
use std::panic;

use anyhow::Context;
use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{Event, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::queue;
use crossterm::style::Print;
use crossterm::terminal::{
    Clear, ClearType, DisableLineWrap, EnableLineWrap, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode, size,
};
use futures_util::StreamExt;
use tokio::signal::unix::{Signal, SignalKind, signal};

pub(crate) struct Fullscreen {
    keys: EventStream,
    ends: [Signal; 3],
}

/// What the person at the terminal wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Key(KeyEvent),
    /// The terminal has another size.
    Redraw,
    /// Ctrl-C, a signal, or the terminal is gone.
    End,
}

impl Fullscreen {
    pub(crate) fn enter() -> anyhow::Result<Self> {
        let fails = "cannot take the whole terminal";
        let ends = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        let [interrupt, terminate, hangup] = ends;
        let ends = [interrupt?, terminate?, hangup?];
        enable_raw_mode().context(fails)?;
        let entered = Self { keys: EventStream::new(), ends };
        let prior = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            restore();
            prior(panic);
        }));
        let mut out = stdout().lock();
        queue!(out, EnterAlternateScreen, DisableLineWrap, Hide, Clear(ClearType::All)).context(fails)?;
        out.flush().context(fails)?;
        Ok(entered)
    }

    pub(crate) async fn wish(&mut self) -> Wish {
        loop {
            let [interrupt, terminate, hangup] = &mut self.ends;
            let event = tokio::select! {
                _ = interrupt.recv() => return Wish::End,
                _ = terminate.recv() => return Wish::End,
                _ = hangup.recv() => return Wish::End,
                event = self.keys.next() => event,
            };
            match event {
                Some(Ok(Event::Key(key))) if key.kind == KeyEventKind::Release => {}
                Some(Ok(Event::Key(key))) if is_ctrl_c(&key) => return Wish::End,
                Some(Ok(Event::Key(key))) => return Wish::Key(key),
                Some(Ok(Event::Resize(..))) => return Wish::Redraw,
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Wish::End,
            }
        }
    }

    /// Draws a text over the last one, in one write, so that nothing flickers. Lines below the end of the
    /// terminal are counted instead.
    pub(crate) fn draw(&mut self, text: &str) -> anyhow::Result<()> {
        let height = size().map_or(24, |(_, rows)| usize::from(rows)).max(1);
        let all: Vec<&str> = text.lines().collect();
        let mut shown: Vec<String> = all.iter().take(height).map(ToString::to_string).collect();
        if all.len() > height {
            let left_out = all.len() - height + 1;
            shown[height - 1] = format!("and {left_out} more lines below");
        }
        let mut frame = Vec::new();
        for (row, line) in (0..).zip(&shown) {
            queue!(frame, MoveTo(0, row), Print(line), Clear(ClearType::UntilNewLine))?;
        }
        if shown.len() < height {
            queue!(frame, MoveTo(0, u16::try_from(shown.len()).unwrap_or(u16::MAX)), Clear(ClearType::FromCursorDown))?;
        }
        let mut out = stdout().lock();
        out.write_all(&frame).and_then(|()| out.flush()).context("cannot draw on the terminal")
    }
}

impl Drop for Fullscreen {
    fn drop(&mut self) {
        // Else the hook would be that of every later panic, too.
        let _ = panic::take_hook();
        restore();
    }
}

/// The terminal may be gone.
fn restore() {
    let mut out = stdout();
    let _ = queue!(out, Show, EnableLineWrap, LeaveAlternateScreen);
    let _ = out.flush();
    let _ = disable_raw_mode();
}

fn is_ctrl_c(key: &KeyEvent) -> bool {
    key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL)
}
