//! The prover's job queue.
