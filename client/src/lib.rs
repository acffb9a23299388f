//! Client of the sequencer.
