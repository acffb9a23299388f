//! Both contracts in an embedded EVM.

use revm::context::TxEnv;
use revm::context::result::{ExecutionResult, Output};
use revm::database::InMemoryDB;
use revm::primitives::{Address, TxKind};
use revm::{Context, ExecuteCommitEvm as _, MainBuilder as _, MainContext as _, MainnetEvm};

use super::{Contracts, EvmError, adapter_calldata, selector};
use crate::keys::Wrapped;

/// What the generated verifier costs, several times over.
const GAS_LIMIT: u64 = 16_000_000;

/// An embedded EVM with both contracts on it.
#[allow(missing_debug_implementations)]
pub struct Machine {
    evm: MainnetEvm<revm::handler::MainnetContext<InMemoryDB>>,
    nonce: u64,
    verifier: Address,
    adapter: Address,
}

impl Machine {
    pub fn deploy(contracts: &Contracts) -> Result<Self, EvmError> {
        let evm = Context::mainnet()
            .with_db(InMemoryDB::default())
            .build_mainnet();
        let mut machine = Self {
            evm,
            nonce: 0,
            verifier: Address::ZERO,
            adapter: Address::ZERO,
        };
        machine.verifier = machine.create(&contracts.verifier.creation)?;
        let mut creation = contracts.adapter.creation.clone();
        creation.extend([0; 12]);
        creation.extend(machine.verifier);
        creation.extend([0; 31]);
        creation.push(contracts.is_development.into());
        machine.adapter = machine.create(&creation)?;
        Ok(machine)
    }

    /// Gas of a transaction that calls the generated verifier.
    pub fn verify(&mut self, calldata: Vec<u8>) -> Result<u64, EvmError> {
        Ok(self.call(self.verifier, calldata)?.0)
    }

    /// What the adapter says, and the gas of a transaction that asks it.
    pub fn adapter_verify(&mut self, wrapped: &Wrapped) -> Result<(bool, u64), EvmError> {
        let (gas, output) = self.call(self.adapter, adapter_calldata(wrapped))?;
        Ok((output.last() == Some(&1), gas))
    }

    pub fn is_development(&mut self) -> Result<bool, EvmError> {
        let selector = selector("devSetup()");
        let (_, output) = self.call(self.adapter, selector.to_vec())?;
        Ok(output.last() == Some(&1))
    }

    /// Refused or not, with any calldata for the adapter.
    pub fn adapter_call(&mut self, calldata: Vec<u8>) -> Result<Vec<u8>, EvmError> {
        Ok(self.call(self.adapter, calldata)?.1)
    }

    pub fn key_digest(&mut self) -> Result<Vec<u8>, EvmError> {
        Ok(self.call(self.adapter, selector("keyDigest()").to_vec())?.1)
    }

    fn create(&mut self, code: &[u8]) -> Result<Address, EvmError> {
        match self.transact(TxKind::Create, code.to_vec())? {
            (_, Output::Create(_, Some(address))) => Ok(address),
            _ => Err(EvmError::Machine("no contract was made".into())),
        }
    }

    fn call(&mut self, to: Address, data: Vec<u8>) -> Result<(u64, Vec<u8>), EvmError> {
        let (gas, output) = self.transact(TxKind::Call(to), data)?;
        Ok((gas, output.into_data().to_vec()))
    }

    fn transact(&mut self, kind: TxKind, data: Vec<u8>) -> Result<(u64, Output), EvmError> {
        let transaction = TxEnv {
            gas_limit: GAS_LIMIT,
            kind,
            data: data.into(),
            nonce: self.nonce,
            ..Default::default()
        };
        let result = self.evm.transact_commit(transaction);
        self.nonce += 1;
        match result.map_err(|error| EvmError::Machine(format!("{error:?}")))? {
            ExecutionResult::Success {
                gas_used, output, ..
            } => Ok((gas_used, output)),
            ExecutionResult::Revert { gas_used, output } => Err(EvmError::Refused {
                gas: gas_used,
                output: output.to_vec(),
            }),
            ExecutionResult::Halt { reason, .. } => Err(EvmError::Machine(format!("{reason:?}"))),
        }
    }
}
