use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::devnet::board::Health;

/// A frame of this size as lines without trailing blanks.
fn shown(board: &Board, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, board)).unwrap();
    let buffer = terminal.backend().buffer();
    let cells: Vec<&str> = buffer.content.iter().map(|cell| cell.symbol()).collect();
    let rows = cells.chunks(width.into());
    rows.map(|row| row.concat().trim_end().to_owned()).collect()
}

fn crash() -> Board {
    let mut board = Board {
        kinds: ["embedded", "generated, insecure setup"],
        api: "http://127.0.0.1:8080".to_owned(),
        acked: 321,
        block: 77,
        items: 10,
        pulls: 2,
        pulled: 1_234_567_890,
        wrapping: Some("proving in halo2".to_owned()),
        health: Health {
            phase: "open".to_owned(),
            epoch: 9,
            round: 11,
            position: 400,
            waiting: [3, 1],
            items: 0,
            held_back: Some(6),
        },
        ..Board::default()
    };
    for epoch in 1..=8 {
        let facts = EpochFacts {
            epoch,
            fills: 10 + epoch as usize,
            liquidations: if epoch == 7 { 5 } else { 0 },
            ..EpochFacts::default()
        };
        board.epochs.insert(epoch, facts);
    }
    board.marks.insert(1, 19_000_000);
    board.starts.insert(1, 20_000_000);
    board.proving.starts = 1;
    board.proving.proven_through = 2;
    board.proving.batches.push(OpenBatch {
        first_epoch: 3,
        last_epoch: 8,
        jobs: 60,
        done: 15,
    });
    let batch = BatchFacts {
        first_epoch: 1,
        last_epoch: 2,
        stage: Stage::Executed,
        bytes: 12_345,
        withdrawals: 2,
    };
    board.batches.insert(1, batch);
    board.tape.push_back(Event {
        epoch: 7,
        kind: Kind::Liquidation,
        text: "1030 loses 5 lots long of 1 to 1025".to_owned(),
    });
    board.lines.push_back("epoch 8: 18 fills".to_owned());
    board
}

#[test]
fn a_wide_view_has_every_pane() {
    let text = shown(&crash(), 160, 44).join("\n");
    for part in [
        "tally devnet  0:00  API http://127.0.0.1:8080/v1  L1: embedded, verifier: generated",
        "open   epoch 9   round 11   log at 400",
        "commands 321 durable, 0 refused",
        "waiting: 3 orders, 1 in the lane of cancels, 0 L1 items",
        "closed 8   proven 2 (-6)   on L1 2 (-6)",
        "reporters wait: 6 epochs await their proof",
        "instrument 1             19.00   -5.00 %",
        "    7      17      0      5     0        0      0",
        "    7 liquidation 1030 loses 5 lots long of 1 to 1025",
        "batch 3-8      [#####...............]   15 of   60 proofs",
        "wrap for L1: proving in halo2",
        "block 77   10 items in   2 withdrawals pulled, 1,234.56",
        "batch 1-2      executed       13 kB    2 withdrawals",
        "epoch 8: 18 fills",
        "q or Ctrl-C stops",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

/// One column, the tape and the log left out; what says how far it is stays.
#[test]
fn a_narrow_view_has_how_far_it_is() {
    let text = shown(&crash(), 80, 24).join("\n");
    for part in [
        "epoch 9   round 11",
        "    8      18",
        "15 of   60 proofs",
        "batch 1-2      executed",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    assert!(!text.contains("epoch 8: 18 fills"), "{text}");
}

#[test]
fn any_size_is_drawn_from_the_first_frame_on() {
    for board in [Board::default(), crash()] {
        for (width, height) in [
            (1, 1),
            (3, 2),
            (20, 5),
            (100, 8),
            (99, 60),
            (250, 3),
            (400, 120),
        ] {
            assert_eq!(shown(&board, width, height).len(), usize::from(height));
        }
    }
    let first = shown(&Board::default(), 120, 40).join("\n");
    for part in ["not there yet", "nothing proven", "no prover runs"] {
        assert!(first.contains(part), "{first}");
    }
}
