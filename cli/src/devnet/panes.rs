//! What stands on the live view: a frame from the board alone.
//!
//! Two columns where there is room for them, else one. Panes that get no lines are left out by the
//! layout, so any size is drawn.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

use super::board::{BatchFacts, Board, EpochFacts, OpenBatch, Stage};
use super::tape::{Event, Kind, quote};

/// Two columns from here on.
const WIDE: u16 = 100;
/// Batches that stand in a pane at most.
const BATCHES: usize = 4;
/// Cells of a bar.
const BAR: u64 = 20;

pub fn draw(frame: &mut Frame, board: &Board) {
    let area = frame.area();
    let [top, middle, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(title(board)), top);
    frame.render_widget(Paragraph::new(keys()), foot);
    let height = |lines: usize| Constraint::Length(lines as u16 + 2);
    let (health, proofs, l1) = (health(board), proofs(board), l1(board));
    let marks = board.marks.len().max(1);
    if area.width < WIDE {
        let heights = [
            height(health.len()),
            Constraint::Min(5),
            height(proofs.len()),
            height(l1.len()),
        ];
        let [first, second, third, fourth] = Layout::vertical(heights).areas(middle);
        pane(frame, first, "sequencer", health);
        pane(frame, second, "epochs", epochs(board, second));
        pane(frame, third, "proofs", proofs);
        pane(frame, fourth, "L1", l1);
        return;
    }
    let [left, right] = Layout::horizontal([Constraint::Percentage(50); 2]).areas(middle);
    let heights = [
        height(health.len()),
        height(marks),
        Constraint::Min(5),
        Constraint::Length(9),
    ];
    let [first, second, third, fourth] = Layout::vertical(heights).areas(left);
    pane(frame, first, "sequencer", health);
    pane(frame, second, "marks", prices(board));
    pane(frame, third, "epochs", epochs(board, third));
    pane(frame, fourth, "log", log(board, fourth));
    let heights = [Constraint::Min(5), height(proofs.len()), height(l1.len())];
    let [first, second, third] = Layout::vertical(heights).areas(right);
    pane(frame, first, "tape", tape(board, first));
    pane(frame, second, "proofs", proofs);
    pane(frame, third, "L1", l1);
}

fn pane(frame: &mut Frame, area: Rect, name: &'static str, lines: Vec<Line<'_>>) {
    let block = Block::bordered().title(name);
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// Lines inside of a pane's border.
fn room(area: Rect) -> usize {
    area.height.saturating_sub(2).into()
}

fn title(board: &Board) -> Line<'_> {
    let seconds = board.seconds() as u64;
    let time = format!("  {}:{:02}", seconds / 60, seconds % 60);
    let [l1, verifier] = board.kinds;
    let kinds = match l1 {
        "" => String::new(),
        _ => format!("  L1: {l1}, verifier: {verifier}"),
    };
    let api = match board.api.as_str() {
        "" => String::new(),
        at => format!("  API {at}/v1"),
    };
    let name = Span::styled("tally devnet", Style::new().add_modifier(Modifier::BOLD));
    Line::from(vec![name, time.into(), api.into(), kinds.into()])
}

fn keys() -> Line<'static> {
    Line::from("q or Ctrl-C stops; the same command goes on where it was").style(dim())
}

fn dim() -> Style {
    Style::new().fg(Color::DarkGray)
}

fn health(board: &Board) -> Vec<Line<'_>> {
    let it = &board.health;
    let phase = match it.phase.as_str() {
        "" => Span::styled("not there yet", Style::new().fg(Color::Yellow)),
        "open" => Span::styled("open", Style::new().fg(Color::Green)),
        other => Span::styled(other, Style::new().fg(Color::Yellow)),
    };
    let at = format!(
        "   epoch {}   round {}   log at {}",
        it.epoch, it.round, it.position
    );
    let refused: u64 = board.refused.values().sum();
    let [orders, first] = it.waiting;
    let settled = board.executed();
    let closed = u64::from(board.closed());
    let behind = |done: u64| format!("{done} (-{})", closed.saturating_sub(done));
    let proven = match board.proving.starts {
        0 => "nothing proven".to_owned(),
        _ => format!("proven {}", behind(board.proving.proven_through.into())),
    };
    let lead = format!("closed {closed}   {proven}   on L1 {}", behind(settled));
    let held = match it.held_back {
        None => Line::from("no backpressure"),
        Some(epochs) => Line::from(format!("reporters wait: {epochs} epochs await their proof"))
            .style(Style::new().fg(Color::Yellow)),
    };
    vec![
        Line::from(vec![phase, at.into()]),
        Line::from(format!(
            "commands {} durable, {refused} refused",
            board.acked
        )),
        Line::from(format!(
            "waiting: {orders} orders, {first} in the lane of cancels, {} L1 items",
            it.items
        )),
        Line::from(lead),
        held,
    ]
}

fn prices(board: &Board) -> Vec<Line<'_>> {
    let marks = board.marks.iter();
    let lines = marks.map(|(id, mark)| {
        let start = board.starts.get(id).copied().unwrap_or(*mark).max(1);
        // Basis points since the start; marks are below 2^55.
        let change = (i128::from(*mark) - i128::from(start)) * 10_000 / i128::from(start);
        let sign = if change < 0 { '-' } else { '+' };
        let (whole, parts) = (change.unsigned_abs() / 100, change.unsigned_abs() % 100);
        let color = if change < 0 { Color::Red } else { Color::Green };
        let change = format!("{:>10}", format!("{sign}{whole}.{parts:02} %"));
        Line::from(vec![
            format!("instrument {id:<4} {:>14}", quote((*mark).into())).into(),
            Span::styled(change, Style::new().fg(color)),
        ])
    });
    lines.collect()
}

/// The newest first, below their heads.
fn epochs(board: &Board, area: Rect) -> Vec<Line<'_>> {
    let head = "epoch   fills  flags   liq.  abs.  withdr.  items";
    let line = |it: &EpochFacts| {
        let text = format!(
            "{:>5} {:>7} {:>6} {:>6} {:>5} {:>8} {:>6}",
            it.epoch, it.fills, it.flags, it.liquidations, it.absorptions, it.withdrawals, it.items
        );
        let style = match it.liquidations + it.absorptions {
            0 => Style::new(),
            _ => Style::new().fg(Color::Red),
        };
        Line::from(text).style(style)
    };
    let newest = board.epochs.values().rev().map(line);
    let head = Line::from(head).style(dim());
    std::iter::once(head)
        .chain(newest)
        .take(room(area))
        .collect()
}

/// The newest first.
fn tape(board: &Board, area: Rect) -> Vec<Line<'_>> {
    board
        .tape
        .iter()
        .rev()
        .take(room(area))
        .map(event)
        .collect()
}

fn event(it: &Event) -> Line<'_> {
    let (name, color) = match it.kind {
        Kind::Fill => ("fill", Color::Reset),
        Kind::Flag => ("flag", Color::Yellow),
        Kind::Liquidation => ("liquidation", Color::Red),
        Kind::Absorption => ("insurance", Color::Magenta),
        Kind::Withdrawal => ("withdrawal", Color::Cyan),
        Kind::Item => ("L1 item", Color::Blue),
    };
    Line::from(vec![
        Span::styled(format!("{:>5} ", it.epoch), dim()),
        Span::styled(format!("{name:<12}"), Style::new().fg(color)),
        it.text.as_str().into(),
    ])
}

fn proofs(board: &Board) -> Vec<Line<'_>> {
    let it = &board.proving;
    if it.starts == 0 {
        return vec![Line::from("no prover runs").style(dim())];
    }
    let queue = &it.queue;
    let mut lines = vec![Line::from(format!(
        "through epoch {}   at work {}   ready {}   waiting {}   failed {}   starts {}",
        it.proven_through, queue.leased, queue.ready, queue.waiting, queue.failed, it.starts
    ))];
    lines.extend(it.batches.iter().take(BATCHES).map(open_batch));
    lines.extend(board.wrapping.as_deref().map(|step| {
        Line::from(format!("wrap for L1: {step}")).style(Style::new().fg(Color::Cyan))
    }));
    lines
}

fn open_batch(it: &OpenBatch) -> Line<'static> {
    let filled = (it.done * BAR).checked_div(it.jobs).unwrap_or(0).min(BAR);
    let bar = "#".repeat(filled as usize) + &".".repeat((BAR - filled) as usize);
    let name = format!("batch {}-{}", it.first_epoch, it.last_epoch);
    Line::from(format!(
        "{name:<14} [{bar}] {:>4} of {:>4} proofs",
        it.done, it.jobs
    ))
}

fn l1(board: &Board) -> Vec<Line<'_>> {
    let mut lines = vec![Line::from(format!(
        "block {}   {} items in   {} withdrawals pulled, {}",
        board.block,
        board.items,
        board.pulls,
        quote(board.pulled.into())
    ))];
    lines.extend(board.batches.values().rev().take(BATCHES).map(batch));
    lines
}

fn batch(it: &BatchFacts) -> Line<'static> {
    let color = match it.stage {
        Stage::Executed => Color::Green,
        _ => Color::Yellow,
    };
    let name = format!("batch {}-{}", it.first_epoch, it.last_epoch);
    let kilobytes = it.bytes.div_ceil(1_000);
    Line::from(vec![
        format!("{name:<14} ").into(),
        Span::styled(format!("{:<13}", it.stage.word()), Style::new().fg(color)),
        format!("{kilobytes:>4} kB {:>4} withdrawals", it.withdrawals).into(),
    ])
}

/// The last lines, cut by the pane's border.
fn log(board: &Board, area: Rect) -> Vec<Line<'_>> {
    let skipped = board.lines.len().saturating_sub(room(area));
    let lines = board.lines.iter().skip(skipped);
    lines.map(|line| Line::from(line.as_str())).collect()
}

#[cfg(test)]
mod tests;
