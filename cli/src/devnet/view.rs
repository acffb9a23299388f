//! The live view on a terminal: what the parts say scrolls by, below it stands how far they are.

use std::thread;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Stop;
use super::board::{BatchFacts, Board, EpochFacts, Shown, Stage};

const FRAME: Duration = Duration::from_millis(250);
/// Epochs that stand below.
const EPOCHS: usize = 6;
const BATCHES: usize = 4;

/// Draws until the devnet stops. On a thread of its own: a terminal blocks.
pub fn run(shown: &Shown, stop: &Stop) {
    let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| plain());
    let line = || all.add(ProgressBar::new(0).with_style(style.clone()));
    let rows: Vec<ProgressBar> = (0..3 + EPOCHS + BATCHES).map(|_| line()).collect();
    let mut said = 0;
    while !stop.is_set() {
        let (fresh, texts) = {
            let board = shown.lock();
            (board.said_since(&mut said), texts(&board))
        };
        for line in fresh {
            // A terminal that is gone has no reader.
            let _ = all.println(line);
        }
        for (row, text) in rows.iter().zip(texts) {
            row.set_message(text);
        }
        thread::sleep(FRAME);
    }
    rows.iter().for_each(ProgressBar::finish);
}

fn plain() -> ProgressStyle {
    ProgressStyle::default_bar()
}

fn texts(board: &Board) -> Vec<String> {
    let marks = board.marks.iter().map(|(id, mark)| {
        let (whole, cents) = (mark / 1_000_000, mark % 1_000_000 / 10_000);
        format!("{id} at {whole}.{cents:02}")
    });
    let refused: u64 = board.refused.values().sum();
    let proving = &board.proving;
    let mut texts = vec![
        format!(
            "API {}/v1   {}   marks {}",
            board.api,
            board.phase,
            marks.collect::<Vec<_>>().join(", ")
        ),
        format!("orders {} acknowledged, {refused} refused", board.acked),
        format!(
            "proofs through epoch {}, {} of {} jobs   L1 block {}, {} items in, {} pulls out",
            proving.proven_through,
            proving.done,
            proving.jobs,
            board.block,
            board.items,
            board.pulls
        ),
    ];
    let epochs = board.epochs.values().rev().take(EPOCHS).map(epoch);
    texts.extend(padded(epochs, EPOCHS));
    let batches = board.batches.values().rev().take(BATCHES).map(batch);
    texts.extend(padded(batches, BATCHES));
    texts
}

fn padded(lines: impl Iterator<Item = String>, most: usize) -> impl Iterator<Item = String> {
    lines.chain(std::iter::repeat(String::new())).take(most)
}

fn epoch(it: &EpochFacts) -> String {
    format!(
        "  epoch {:>5}   fills {:>4}   flags {:>3}   liquidations {:>3}   absorptions {:>3}   \
         items {:>3}",
        it.epoch, it.fills, it.flags, it.liquidations, it.absorptions, it.items
    )
}

fn batch(it: &BatchFacts) -> String {
    let steps = [
        Stage::Ready,
        Stage::Committed,
        Stage::Proven,
        Stage::Executed,
    ];
    let done = steps.map(|step| if it.stage >= step { '#' } else { '.' });
    let bar: String = done.iter().collect();
    let stage = format!("{:?}", it.stage).to_lowercase();
    format!(
        "  batch {:>5} to {:>5}   [{bar}] {stage:<9}   {:>4} kB   {:>3} withdrawals",
        it.first_epoch,
        it.last_epoch,
        it.bytes.div_ceil(1_000),
        it.withdrawals
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_view_has_a_line_for_each_row_from_the_first_frame_on() {
        assert_eq!(texts(&Board::default()).len(), 3 + EPOCHS + BATCHES);
    }
}
