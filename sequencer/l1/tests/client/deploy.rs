//! What is not deployed.

use alloy::primitives::B256;
use tally_l1::deploy::{self, VerifierPlan};
use tally_l1::dev::{DevChain, Role, first_address};
use tally_l1::embedded::EmbeddedChain;
use tally_l1::{Policy, Submitter};

use crate::chains::chains;
use crate::scene::plan;

/// On a chain that is no development one, whatever it is: a setup whose secret is known, a mock, a
/// token that mints for everybody.
#[tokio::test]
async fn insecure_setups_and_mocks_stay_on_development_chains() {
    let chain = EmbeddedChain::with_id(1);
    let dir = tempfile::tempdir().unwrap();
    let signer = Role::Operator.signer();
    chain.fund(signer.address());
    let policy = Policy::development();
    let mut by = Submitter::open(chain.provider(), signer, dir.path(), policy)
        .await
        .unwrap();
    let creation = any_code();
    let insecure = VerifierPlan::Generated {
        creation: creation.clone(),
        is_dev: true,
    };
    let error = deploy::verifier(&mut by, &insecure).await.unwrap_err();
    assert_eq!(error.code(), "l1.dev_setup", "{error}");
    let error = deploy::verifier(&mut by, &VerifierPlan::Mock)
        .await
        .unwrap_err();
    assert_eq!(error.code(), "l1.chain", "{error}");
    let error = deploy::test_token(&mut by, "quote", 6).await.unwrap_err();
    assert_eq!(error.code(), "l1.chain", "{error}");
    let error = DevChain::open(chain.provider()).await.unwrap_err();
    assert_eq!(error.code(), "l1.chain", "{error}");

    // One whose setup is sound is taken, and its key is its code's hash.
    let sound = VerifierPlan::Generated {
        creation,
        is_dev: false,
    };
    let (at, key) = deploy::verifier(&mut by, &sound).await.unwrap();
    let existing = VerifierPlan::Existing { at, key };
    assert_eq!(
        deploy::verifier(&mut by, &existing).await.unwrap(),
        (at, key)
    );
    let other = VerifierPlan::Existing {
        at,
        key: B256::repeat_byte(1),
    };
    let error = deploy::verifier(&mut by, &other).await.unwrap_err();
    assert_eq!(error.code(), "l1.key", "{error}");
}

/// A run that died between two contracts finds the first, and the address is as foretold.
#[tokio::test]
async fn a_deployment_goes_on_where_it_stopped() {
    for chain in chains() {
        DevChain::open(chain.provider.clone()).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let open = |role: Role| {
            let provider = chain.provider.clone();
            Submitter::open(provider, role.signer(), dir.path(), Policy::development())
        };
        let mut operator = open(Role::Operator).await.unwrap();
        let first = deploy::verifier(&mut operator, &VerifierPlan::Mock)
            .await
            .unwrap();
        let mut operator = open(Role::Operator).await.unwrap();
        let mut creator = open(Role::Creator).await.unwrap();
        let plan = plan(VerifierPlan::Mock);
        let expected = Some(first_address());
        let made = deploy::deploy(&mut operator, &mut creator, &plan, expected)
            .await
            .unwrap();
        assert_eq!((made.verifier, made.key), first);
        assert_eq!(made.contract.address, first_address());
        // All of it again: nothing new is made.
        let again = deploy::deploy(&mut operator, &mut creator, &plan, None)
            .await
            .unwrap();
        assert_eq!(
            (again.contract.address, again.token),
            (first_address(), made.token)
        );
        // Elsewhere than foretold, so not at all.
        let empty = tempfile::tempdir().unwrap();
        let signer = Role::Creator.signer();
        let policy = Policy::development();
        let creator = Submitter::open(chain.provider.clone(), signer, empty.path(), policy).await;
        let made = deploy::deploy(&mut operator, &mut creator.unwrap(), &plan, expected).await;
        let error = made.unwrap_err();
        assert_eq!(error.code(), "l1.address", "{error}");
    }
}

/// Creates a contract of one byte, which stands for a generated verifier.
fn any_code() -> alloy::primitives::Bytes {
    alloy::hex!("600160005360016000f3").to_vec().into()
}
