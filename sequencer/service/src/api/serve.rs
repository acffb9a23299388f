//! The listener: connections are bounded in number and in how long they may take to say something.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt;

use super::extract::Peer;
use crate::service::held;

#[derive(Clone, Copy, Debug)]
pub struct ServeOptions {
    pub most_connections: usize,
    /// Of one peer.
    pub most_of_peer: usize,
    /// From a request's first byte to the end of its head.
    pub head: Duration,
    /// For requests under way when the service stops.
    pub grace: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            most_connections: 20_000,
            most_of_peer: 20_000,
            head: Duration::from_secs(10),
            grace: Duration::from_secs(10),
        }
    }
}

/// Connections by peer.
type Peers = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// One of a peer's connections.
struct Place {
    peers: Peers,
    peer: IpAddr,
}

impl Place {
    fn of(peers: &Peers, peer: IpAddr, most: usize) -> Option<Self> {
        let mut counts = held(peers);
        let count = counts.entry(peer).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(Self {
            peers: peers.clone(),
            peer,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = held(&self.peers);
        if let Some(count) = counts.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.peer);
            }
        }
    }
}

/// Serves until `stop` resolves, then lets requests under way end.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    options: ServeOptions,
    stop: impl Future<Output = ()>,
) {
    let (stopping, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    let places = Arc::new(Semaphore::new(options.most_connections));
    let peers = Peers::default();
    tokio::pin!(stop);
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, or the peer is gone: others may still be served.
                    tracing::warn!(%error, "a connection is not accepted");
                    tokio::task::yield_now().await;
                    continue;
                }
            },
            () = &mut stop => break,
            Some(_) = connections.join_next() => continue,
        };
        let Ok(permit) = places.clone().try_acquire_owned() else {
            continue;
        };
        let Some(place) = Place::of(&peers, peer.ip(), options.most_of_peer) else {
            continue;
        };
        let connection = connection(stream, peer, router.clone(), options.head, stopped.clone());
        connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ends");
            }
            drop((permit, place));
        });
    }
    drop(listener);
    stopping.send_replace(());
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(options.grace, ended).await.is_err() {
        tracing::warn!("requests under way are cut off");
    }
}

/// One connection: when the service stops, the request under way is its last.
async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    head: Duration,
    mut stopped: watch::Receiver<()>,
) -> Result<(), hyper::Error> {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps its delay");
    }
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer.ip()));
        router.clone().oneshot(request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    tokio::select! {
        ended = &mut connection => return ended,
        _ = stopped.changed() => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}
