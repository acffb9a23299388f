//! The loop of the whole system through the binary, without proofs: deposits made on the chain are
//! traded over the API, batched, settled, and withdrawals are pulled; a second start goes on.

use std::path::Path;

use serde_json::Value;

use crate::binary::{number, result, tally};

fn devnet(dir: &Path) -> Value {
    let dir = dir.to_str().unwrap();
    let args = [
        "devnet",
        "--plain",
        "--json",
        "--mock-prover",
        "--until-settled",
        "--data",
        dir,
        "--l1",
        "embedded",
        "--listen",
        "127.0.0.1:0",
        "--bots",
        "8",
        "--round-ms",
        "1000",
        "--bot-ms",
        "150",
        "--epochs-per-batch",
        "12",
        "--seconds",
        "300",
    ];
    result(&tally(&args)).unwrap()
}

/// [C1], [C2] Every root is that of the state rebuilt from the chain; nothing is done twice.
#[test]
fn c1_c2_the_loop_settles_trades_and_liquidations_and_starts_again() {
    let dir = tempfile::tempdir().unwrap();
    let first = devnet(dir.path());
    assert_eq!(first["verifier"], "mock");
    assert!(first["traded_and_liquidated"].is_array(), "{first}");
    assert_eq!(first["settled_root"], first["rebuilt_root"]);
    // Two listings and eight accounts, each opened by its own deposit.
    assert_eq!(number(&first, "l1_items"), 10);
    assert_eq!(number(&first, "rebuilt_accounts"), 8);
    for counter in ["fills", "flags", "liquidations", "withdrawals", "pulled"] {
        assert!(number(&first, counter) > 0, "{counter} in {first}");
    }
    let second = devnet(dir.path());
    assert_eq!(second["settled_root"], second["rebuilt_root"]);
    for counter in ["l1_items", "rebuilt_accounts"] {
        assert_eq!(second[counter], first[counter], "{counter}");
    }
    for counter in ["epochs", "executed_epoch", "fills", "liquidations"] {
        assert!(
            number(&second, counter) >= number(&first, counter),
            "{counter}"
        );
    }
}
