//! The chain inside the process over restarts: what changes it is written to a file before it is
//! answered, and done again when the file is opened. The chain has no clock of its own, so the same
//! requests make the same blocks, hashes and all.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use alloy::providers::{DynProvider, Provider, ProviderBuilder};
use alloy::rpc::client::RpcClient;
use alloy::rpc::json_rpc::{RequestPacket, ResponsePacket, SerializedRequest};
use alloy::transports::{TransportError, TransportErrorKind, TransportFut};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tower::Service;

use super::{EmbeddedChain, answer};

/// A request that changes the chain.
#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    method: String,
    params: Value,
}

/// A handle: clones are the same chain and the same file.
#[derive(Clone, Debug)]
pub struct RecordedChain {
    chain: EmbeddedChain,
    file: Arc<Mutex<File>>,
}

impl RecordedChain {
    /// The chain that the file's requests make; a new one where there is none. A last line that a
    /// crash cut short was never answered, and is dropped.
    pub fn open(path: &Path) -> io::Result<Self> {
        let chain = EmbeddedChain::new();
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(path)?;
        let (mut whole, mut line) = (0, String::new());
        let mut reader = BufReader::new(&mut file);
        while reader.read_line(&mut line)? > 0 && line.ends_with('\n') {
            let asked: Asked = serde_json::from_str(&line)?;
            chain.again(&asked);
            whole += line.len() as u64;
            line.clear();
        }
        file.set_len(whole)?;
        Ok(Self {
            chain,
            file: Arc::new(Mutex::new(file)),
        })
    }

    pub fn provider(&self) -> DynProvider {
        ProviderBuilder::new()
            .disable_recommended_fillers()
            .connect_client(RpcClient::new(self.clone(), true))
            .erased()
    }

    fn packet(&self, packet: RequestPacket) -> Result<ResponsePacket, TransportError> {
        // Held until it is answered: the file has the chain's order.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let requests = match &packet {
            RequestPacket::Single(request) => std::slice::from_ref(request),
            RequestPacket::Batch(requests) => requests.as_slice(),
        };
        for request in requests.iter().filter(|it| changes(it.method())) {
            record(&mut file, request).map_err(TransportErrorKind::custom)?;
        }
        self.chain.packet(packet)
    }
}

impl EmbeddedChain {
    /// An error is an answer too: it was the same the first time.
    fn again(&self, asked: &Asked) {
        let mut chain = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = answer::answer(&mut chain, &asked.method, &asked.params);
    }
}

fn changes(method: &str) -> bool {
    method.starts_with("eth_send") || method.starts_with("evm_") || method.starts_with("anvil_")
}

fn record(file: &mut File, request: &SerializedRequest) -> io::Result<()> {
    let params = request.params().map(|raw| serde_json::from_str(raw.get()));
    let asked = Asked {
        method: request.method().to_owned(),
        params: params.transpose()?.unwrap_or_default(),
    };
    let mut line = serde_json::to_vec(&asked)?;
    line.push(b'\n');
    file.write_all(&line)
}

impl Service<RequestPacket> for RecordedChain {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let chain = self.clone();
        Box::pin(async move { chain.packet(packet) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::DevChain;
    use alloy::eips::BlockId;
    use alloy::primitives::B256;

    async fn head(chain: &RecordedChain) -> (u64, B256) {
        let head = chain.provider().get_block(BlockId::latest()).await;
        let header = head.unwrap().unwrap().header;
        (header.number, header.hash)
    }

    #[tokio::test]
    async fn what_changed_the_chain_makes_it_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("chain.log");
        let chain = RecordedChain::open(&path).unwrap();
        let dev = DevChain::open(chain.provider()).await.unwrap();
        dev.set_time(1_000).await.unwrap();
        let last = head(&chain).await;
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"method\":\"evm_mine\",").unwrap();
        let again = RecordedChain::open(&path).unwrap();
        assert_eq!(head(&again).await, last);
        // Nothing follows the line that was cut short.
        let dev = DevChain::open(again.provider()).await.unwrap();
        dev.set_time(2_000).await.unwrap();
        let last = head(&again).await;
        assert_eq!(head(&RecordedChain::open(&path).unwrap()).await, last);
        assert!(last.0 > 1);
    }
}
