//! One connection through a proxy.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{sleep, timeout};

use super::frames::{Frame, Frames, Opening, Sent, Unit, Units};
use super::script::{Fault, Script};

/// The messages that a client has sent directly after a message have arrived after this time.
const PIPELINED_WITHIN: Duration = Duration::from_millis(10);

/// A client reads the last messages of a server within this time.
const CLOSING_MAX: Duration = Duration::from_secs(1);

const READY_FOR_QUERY: u8 = b'Z';

struct Relay {
    from_client: Frames<OwnedReadHalf>,
    to_client: OwnedWriteHalf,
    from_server: Frames<OwnedReadHalf>,
    to_server: OwnedWriteHalf,
    units: Units,
    /// The number of units that were forwarded and not completely answered.
    open: usize,
    script: Arc<Script>,
}

/// Whether the connection continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    GoOn,
    Close,
}

/// Serves a connection to its end.
pub(super) async fn relay(client: TcpStream, server: TcpStream, script: Arc<Script>) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let relay = Relay {
        from_client: Frames::new(from_client, true),
        to_client,
        from_server: Frames::new(from_server, false),
        to_server,
        units: Units::default(),
        open: 0,
        script,
    };
    relay.run().await
}

impl Relay {
    async fn run(mut self) -> io::Result<()> {
        let opened = loop {
            let Some(frame) = self.from_client.next().await? else { return Ok(()) };
            let sent = match frame.opening() {
                Opening::Encryption => {
                    self.to_client.write_all(b"N").await?;
                    continue;
                }
                Opening::Cancel => Sent::CancelRequest,
                Opening::Session => Sent::Startup,
            };
            self.from_client.is_startup = false;
            break Unit { is_answered: sent == Sent::Startup, sent, bytes: frame.bytes };
        };
        if opened.sent == Sent::CancelRequest {
            return self.cancel(opened).await;
        }
        if self.send(opened).await? == Next::Close {
            return Ok(());
        }
        loop {
            tokio::select! {
                frame = self.from_client.next() => {
                    let Some(frame) = frame? else { return Ok(()) };
                    self.script.pass_on().await;
                    if let Some(unit) = self.units.add_frame(&frame)
                        && self.send(unit).await? == Next::Close
                    {
                        return Ok(());
                    }
                }
                frame = self.from_server.next() => match frame? {
                    Some(frame) => {
                        self.script.pass_on().await;
                        self.pass(frame).await?;
                    }
                    None => return self.close().await,
                },
            }
        }
    }

    /// Closes the connection after the server has closed its side. The client first reads the last
    /// messages.
    async fn close(mut self) -> io::Result<()> {
        self.to_client.shutdown().await?;
        let _ = timeout(CLOSING_MAX, async { while let Ok(Some(_)) = self.from_client.next().await {} }).await;
        Ok(())
    }

    /// The server answers a cancel request by closing the connection.
    async fn cancel(mut self, unit: Unit) -> io::Result<()> {
        match self.script.on(&unit.sent) {
            Some(Fault::CutBefore) => return Ok(()),
            Some(Fault::Silence) => pending().await,
            Some(Fault::Late(by)) => sleep(by).await,
            Some(Fault::Hold) => self.wait_for_release().await,
            Some(Fault::CutAfter | Fault::CutClient) | None => {}
        }
        self.to_server.write_all(&unit.bytes).await?;
        while self.from_server.next().await?.is_some() {}
        Ok(())
    }

    async fn send(&mut self, unit: Unit) -> io::Result<Next> {
        let fault = if unit.is_answered { self.script.on(&unit.sent) } else { None };
        match fault {
            None => self.forward(unit).await?,
            Some(Fault::CutBefore) => {
                self.pass_all_but(0).await?;
                return Ok(Next::Close);
            }
            Some(Fault::Silence) => {
                self.pass_all_but(0).await?;
                pending::<()>().await;
            }
            Some(Fault::Hold) => {
                self.pass_all_but(0).await?;
                self.wait_for_release().await;
                self.forward(unit).await?;
            }
            Some(Fault::CutAfter) => {
                self.forward(unit).await?;
                self.pass_all_but(1).await?;
                self.answer().await?;
                return Ok(Next::Close);
            }
            Some(Fault::CutClient) => {
                self.forward(unit).await?;
                self.pass_all_but(1).await?;
                self.cut_client().await?;
                return Ok(Next::Close);
            }
            Some(Fault::Late(by)) => {
                self.forward(unit).await?;
                self.pass_all_but(1).await?;
                let answer = self.answer().await?;
                sleep(by).await;
                self.to_client.write_all(&answer).await?;
            }
        }
        Ok(Next::GoOn)
    }

    async fn wait_for_release(&self) {
        // The wait fails when the proxy is dropped, and then this connection ends too.
        let _ = self.script.released.subscribe().wait_for(|released| *released).await;
    }

    async fn forward(&mut self, unit: Unit) -> io::Result<()> {
        self.open += usize::from(unit.is_answered);
        self.to_server.write_all(&unit.bytes).await
    }

    async fn pass(&mut self, frame: Frame) -> io::Result<()> {
        if frame.tag == READY_FOR_QUERY {
            self.open = self.open.saturating_sub(1);
            let delay = *self.script.end_delay.borrow();
            sleep(delay).await;
        }
        self.to_client.write_all(&frame.bytes).await
    }

    /// Relays the answers to all units except the last ones.
    async fn pass_all_but(&mut self, last: usize) -> io::Result<()> {
        while self.open > last {
            let Some(frame) = self.from_server.next().await? else { return Err(io::ErrorKind::UnexpectedEof.into()) };
            self.pass(frame).await?;
        }
        Ok(())
    }

    /// Reads the whole answer to the one unit that is open.
    async fn answer(&mut self) -> io::Result<Vec<u8>> {
        let mut answer = Vec::new();
        while self.open > 0 {
            let Some(frame) = self.from_server.next().await? else { return Err(io::ErrorKind::UnexpectedEof.into()) };
            self.open -= usize::from(frame.tag == READY_FOR_QUERY);
            answer.extend(frame.bytes);
        }
        Ok(answer)
    }

    /// Delivers the messages that the client has sent since, closes the client's side, and keeps
    /// the server's side open.
    async fn cut_client(&mut self) -> io::Result<()> {
        while let Ok(Ok(Some(frame))) = timeout(PIPELINED_WITHIN, self.from_client.next()).await {
            if let Some(unit) = self.units.add_frame(&frame) {
                self.to_server.write_all(&unit.bytes).await?;
            }
        }
        self.to_client.shutdown().await?;
        while self.from_server.next().await?.is_some() {}
        Ok(())
    }
}
