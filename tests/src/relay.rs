//! The network between a client and a daemon, which can be made to fail. It carries bytes
//! and looks into none of them: the connection's TLS is the two ends' own.

#![allow(clippy::expect_used, reason = "a panic fails the story, as it should")]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// How the network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// All comes through.
    Open,
    /// What the daemon sends comes this much later.
    Slow(Duration),
    /// Nothing comes through, and nobody is told. Once it is mended what was on the way
    /// arrives, as what is sent again does.
    Lost,
    /// Connections are closed, also those that are made.
    Closed,
}

/// The way to one daemon. It ends when this is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    passage: watch::Sender<Passage>,
    arrived: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl Relay {
    /// An open way to this address.
    pub async fn before(daemon: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let passage = watch::Sender::new(Passage::Open);
        let arrived = Arc::default();
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, daemon, passage.subscribe(), Arc::clone(&arrived)));
        Self { address, passage, arrived, _serving: serving }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on it is so.
    pub fn set(&self, passage: Passage) {
        self.passage.send_replace(passage);
    }

    /// How many pieces of what the daemon sent have arrived.
    pub fn arrived(&self) -> usize {
        self.arrived.load(Ordering::Relaxed)
    }
}

async fn accept(
    listener: TcpListener,
    daemon: SocketAddr,
    passage: watch::Receiver<Passage>,
    arrived: Arc<AtomicUsize>,
) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(serve(client, daemon, passage.clone(), Arc::clone(&arrived)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(
    client: TcpStream,
    daemon: SocketAddr,
    passage: watch::Receiver<Passage>,
    arrived: Arc<AtomicUsize>,
) {
    // Where nobody listens the client is told so by the end of its own connection.
    let Ok(daemon) = TcpStream::connect(daemon).await else { return };
    // Small messages must not wait for more of their kind.
    for stream in [&client, &daemon] {
        stream.set_nodelay(true).expect("a connection");
    }
    let ((from_client, to_client), (from_daemon, to_daemon)) =
        (client.into_split(), daemon.into_split());
    let mut closed = passage.clone();
    let requests = Way { passage: passage.clone(), arrived: None };
    let replies = Way { passage, arrived: Some(arrived) };
    let both = async {
        tokio::join!(requests.carry(from_client, to_daemon), replies.carry(from_daemon, to_client))
    };
    tokio::select! {
        _ = both => {}
        // An error: the relay is gone, and so is the network.
        _ = closed.wait_for(|passage| *passage == Passage::Closed) => {}
    }
}

/// One direction of a connection.
struct Way {
    passage: watch::Receiver<Passage>,
    /// Counts what arrives, of replies.
    arrived: Option<Arc<AtomicUsize>>,
}

impl Way {
    async fn carry(mut self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let (sender, mut pieces) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
        let read = async move {
            let mut buffer = vec![0; 16 * 1024];
            while let Ok(count @ 1..) = from.read(&mut buffer).await {
                let piece = buffer.get(..count).unwrap_or_default().to_vec();
                if sender.send((Instant::now(), piece)).is_err() {
                    return;
                }
            }
        };
        let write = async move {
            while let Some((sent, piece)) = pieces.recv().await {
                self.pass(sent).await;
                if to.write_all(&piece).await.is_err() {
                    return;
                }
                if let Some(arrived) = &self.arrived {
                    arrived.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        tokio::join!(read, write);
    }

    /// Waits until what was sent then has come through.
    async fn pass(&mut self, sent: Instant) {
        loop {
            let passage = *self.passage.borrow_and_update();
            let due = match passage {
                Passage::Slow(delay) if self.arrived.is_some() => sent + delay,
                Passage::Open | Passage::Slow(_) => return,
                // Until it is mended.
                Passage::Lost | Passage::Closed => {
                    if self.passage.changed().await.is_err() {
                        std::future::pending::<()>().await;
                    }
                    continue;
                }
            };
            tokio::select! {
                () = sleep_until(due) => return,
                _ = self.passage.changed() => {}
            }
        }
    }
}
