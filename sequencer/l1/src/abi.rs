//! Typed bindings, from the artifacts that `scripts/contracts.sh` compares with their sources.
//!
//! The mocks are for development chains alone: `deploy` refuses them anywhere else.

#![allow(missing_debug_implementations, clippy::too_many_arguments)]

mod settlement {
    alloy::sol!(
        #[sol(rpc, all_derives)]
        Settlement,
        "../../contracts/artifacts/Settlement.json"
    );
}

mod verifier {
    alloy::sol!(
        #[sol(rpc, all_derives)]
        WrapVerifier,
        "../../contracts/artifacts/WrapVerifier.json"
    );
}

mod mock_verifier {
    alloy::sol!(
        #[sol(rpc, all_derives)]
        MockVerifier,
        "../../contracts/artifacts/MockVerifier.json"
    );
}

mod mock_token {
    alloy::sol!(
        #[sol(rpc, all_derives)]
        MockToken,
        "../../contracts/artifacts/MockToken.json"
    );
}

pub use mock_token::MockToken;
pub use mock_verifier::MockVerifier;
pub use settlement::ISettlement::{Asset, Batch, Genesis};
pub use settlement::Settlement;
pub use verifier::WrapVerifier;
