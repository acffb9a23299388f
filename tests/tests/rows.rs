//! What a fill costs, and that every circuit of the release fits its shape.

use serde_json::Value;
use tally_circuits::uniform::Shape;
use tally_prover::release::Sizes;
use tally_prover::rows::rows;

/// What `tally bench rows` prints.
const PINNED: &str = include_str!("../vectors/rows.json");
/// Public inputs, constants and a row of each gate that a circuit does not use itself.
const SPARE: usize = 64;

#[test]
fn production_circuits_fill_their_rows() {
    let most = Shape::PRODUCTION.rows();
    for segment in Sizes::production().types() {
        let rows = segment.open().0.rows();
        assert!(rows + SPARE <= most, "{}: {rows} rows", segment.name);
        assert!(rows > most * 3 / 4, "{}: only {rows} rows", segment.name);
    }
}

#[test]
fn rows_a_fill_are_pinned() {
    let costs = rows();
    assert!(
        costs.fresh <= 450.0 && costs.ten_per_account <= 150.0,
        "{costs:?}"
    );
    let pinned: Value = serde_json::from_str(PINNED).unwrap();
    // Through text, as the vector: reading a number may round it.
    let counted = serde_json::to_string(&costs).unwrap();
    let counted: Value = serde_json::from_str(&counted).unwrap();
    assert_eq!(counted, pinned, "{counted:#}");
}
