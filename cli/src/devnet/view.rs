//! The live view's terminal: taken, drawn on, given back; what stands on it is `panes`.

use std::thread;
use std::time::Duration;

use anyhow::Context;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::Stop;
use super::board::Shown;
use super::panes;

const FRAME: Duration = Duration::from_millis(200);

/// Draws until the devnet stops, or a key says so. On a thread of its own: a terminal blocks.
pub fn spawn(shown: Shown, stop: Stop) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        // Also puts the terminal back where anything panics.
        let ended = ratatui::try_init()
            .context("[devnet.terminal] taking the terminal")
            .and_then(|terminal| run(terminal, &shown, &stop));
        // A terminal that is gone has nobody to tell.
        let _ = ratatui::try_restore();
        shown.print();
        if let Err(error) = ended {
            shown.say(format!("no live view: {error:#}"));
        }
    })
}

fn run(mut terminal: DefaultTerminal, shown: &Shown, stop: &Stop) -> anyhow::Result<()> {
    while !stop.is_set() {
        // The lock is not held while the terminal is written to: the buffer is filled, then drawn.
        terminal.draw(|frame| panes::draw(frame, &shown.lock()))?;
        // Keys and a new size wake it up; the next frame has the new size.
        if event::poll(FRAME)?
            && let Event::Key(key) = event::read()?
            && is_end(&key)
        {
            stop.set();
        }
    }
    Ok(())
}

/// q, or Ctrl-C, which is no signal while the terminal is raw.
fn is_end(key: &KeyEvent) -> bool {
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    let ends = match key.code {
        KeyCode::Char('q') => true,
        KeyCode::Char('c') => is_control,
        _ => false,
    };
    ends && key.kind == KeyEventKind::Press
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q_and_control_c_end_it() {
        let key = |code, modifiers| KeyEvent::new(KeyCode::Char(code), modifiers);
        assert!(is_end(&key('q', KeyModifiers::NONE)));
        assert!(is_end(&key('c', KeyModifiers::CONTROL)));
        assert!(!is_end(&key('c', KeyModifiers::NONE)));
        assert!(!is_end(&key('x', KeyModifiers::CONTROL)));
    }
}
