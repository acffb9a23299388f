//! Requests and answers.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tally_api::answer::{Ack, BookAnswer, ReportAnswer, ReportRequest, StatusAnswer};
use tally_api::{CommandHash, ErrorBody, SignedReceipt, encoding};
use tally_protocol::account::PublicKey;
use tally_protocol::message::Domain;
use tally_sequencer::command::{Command, Record};

use crate::ClientError;

const BINARY: &str = "application/octet-stream";

/// Of one service, whose key is known.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    domain: Domain,
    receipt_key: PublicKey,
}

/// A durable command, its receipt checked.
#[derive(Clone, Debug)]
pub struct Acked {
    pub receipt: SignedReceipt,
    pub events: Value,
    pub repeated: bool,
}

impl Client {
    /// Asks the service who it is, and believes it: for whoever trusts the address.
    pub async fn connect(base: &str) -> Result<Self, ClientError> {
        let http = client()?;
        let status: StatusAnswer =
            read(http.get(format!("{base}/v1/status")).send().await?).await?;
        let contract = encoding::owner(&status.contract)?;
        let domain = Domain::new(status.chain_id, contract);
        let domain = domain.map_err(|error| ClientError::Answer(error.to_string()))?;
        let receipt_key = encoding::key("receipt key", &status.receipt_key)?;
        Ok(Self {
            http,
            base: base.to_owned(),
            domain,
            receipt_key,
        })
    }

    /// For a deployment and a sequencer that are known.
    pub fn new(base: &str, domain: Domain, receipt_key: PublicKey) -> Result<Self, ClientError> {
        Ok(Self {
            http: client()?,
            base: base.to_owned(),
            domain,
            receipt_key,
        })
    }

    pub fn domain(&self) -> Domain {
        self.domain
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    /// Sends a command in its binary encoding. The receipt has to be the sequencer's, for these
    /// bytes with the time that it put there.
    pub async fn send(&self, command: &Command) -> Result<Acked, ClientError> {
        let record = Record {
            at: 0,
            command: command.clone(),
        };
        let request = self.http.post(format!("{}/v1/commands", self.base));
        let request = request.header(CONTENT_TYPE, BINARY).body(record.to_bytes());
        let ack: Ack = read(request.send().await?).await?;
        ack.receipt.verify(&self.domain, &self.receipt_key)?;
        let stamped = Record {
            at: ack.receipt.receipt.time_ms,
            ..record
        };
        ack.receipt.is_for(&stamped.to_bytes())?;
        Ok(Acked {
            receipt: ack.receipt,
            events: ack.events,
            repeated: ack.repeated,
        })
    }

    /// The same without looking at the receipt or the events: for those who only count.
    pub async fn send_bytes(&self, record: Vec<u8>) -> Result<(), ClientError> {
        let request = self.http.post(format!("{}/v1/commands", self.base));
        let request = request.header(CONTENT_TYPE, BINARY).body(record);
        let response = request.send().await?;
        match response.status().is_success() {
            true => {
                response.bytes().await?;
                Ok(())
            }
            false => Err(refused(response).await),
        }
    }

    pub async fn status(&self) -> Result<StatusAnswer, ClientError> {
        self.get("/v1/status").await
    }

    pub async fn account(&self, account: u32) -> Result<Value, ClientError> {
        self.get(&format!("/v1/accounts/{account}")).await
    }

    pub async fn book(&self, instrument: u32) -> Result<BookAnswer, ClientError> {
        self.get(&format!("/v1/instruments/{instrument}/book"))
            .await
    }

    /// The receipt of a position, checked, and the record that it is for.
    pub async fn receipt(&self, position: u64) -> Result<(SignedReceipt, Vec<u8>), ClientError> {
        let answer: Value = self.get(&format!("/v1/receipts/{position}")).await?;
        let missing = |what: &str| ClientError::Answer(format!("a receipt without {what}"));
        let receipt = answer.get("receipt").cloned().ok_or(missing("a receipt"))?;
        let receipt: SignedReceipt = serde_json::from_value(receipt)
            .map_err(|error| ClientError::Answer(error.to_string()))?;
        receipt.verify(&self.domain, &self.receipt_key)?;
        let record = answer.get("record").and_then(Value::as_str);
        let record = encoding::any_bytes("record", record.ok_or(missing("a record"))?)?;
        receipt.is_for(&record)?;
        if receipt.receipt.command != CommandHash::of(&record) {
            return Err(missing("its record"));
        }
        Ok((receipt, record))
    }

    pub async fn report(&self, report: &ReportRequest) -> Result<ReportAnswer, ClientError> {
        self.post("/v1/oracle/reports", report).await
    }

    /// Any route that is read.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let request: RequestBuilder = self.http.get(format!("{}{path}", self.base));
        read(request.send().await?).await
    }

    /// Any route that takes JSON.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let request = self.http.post(format!("{}{path}", self.base)).json(body);
        read(request.send().await?).await
    }
}

fn client() -> Result<reqwest::Client, ClientError> {
    Ok(reqwest::Client::builder()
        .no_proxy()
        .tcp_nodelay(true)
        .timeout(Duration::from_secs(60))
        .build()?)
}

async fn read<T: DeserializeOwned>(response: Response) -> Result<T, ClientError> {
    if !response.status().is_success() {
        return Err(refused(response).await);
    }
    let bytes = response.bytes().await?;
    serde_json::from_slice(&bytes).map_err(|error| ClientError::Answer(error.to_string()))
}

async fn refused(response: Response) -> ClientError {
    let status = response.status().as_u16();
    match response.bytes().await {
        Ok(bytes) => match serde_json::from_slice::<ErrorBody>(&bytes) {
            Ok(body) => ClientError::Refused { status, body },
            Err(_) => ClientError::Answer(format!("status {status} without a code")),
        },
        Err(error) => error.into(),
    }
}
