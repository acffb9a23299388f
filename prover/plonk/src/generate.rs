//! Completes a witness: runs the circuit's generators, each once what it reads is known.
//!
//! Plonky2 polls a generator whenever one of the targets that it watches gets its value, for a
//! Poseidon gate thirteen times. Here each generator counts what it still lacks and runs at zero;
//! Poseidon gates wait until nothing else is ready and then fill their rows side by side. What a
//! generator computes depends on its inputs alone, so the order makes no difference to the values.
//! A fault here could cost a proof, not soundness: the constraints judge the witness.

mod poseidon;

use std::mem;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use plonky2::field::types::Field;
use plonky2::iop::generator::{GeneratedValues, WitnessGeneratorRef};
use plonky2::iop::target::Target;
use plonky2::iop::witness::{PartialWitness, PartitionWitness};
use plonky2::plonk::circuit_data::{CommonCircuitData, ProverOnlyCircuitData};
use plonky2::plonk::config::GenericConfig;
use tally_kernels::simd::Kernel;

use crate::{D, Error, F};

/// Plonky2's `generate_partial_witness`, but for what its generators draw at random.
pub(crate) fn generate<'a, C: GenericConfig<D, F = F>>(
    kernel: Kernel,
    circuit: &'a ProverOnlyCircuitData<F, C, D>,
    common: &CommonCircuitData<F, D>,
    inputs: PartialWitness<F>,
) -> Result<PartitionWitness<'a, F>, Error> {
    let generators = &circuit.generators[..];
    let (watches, missing) = Watches::new(circuit);
    let (wires, rows) = (common.config.num_wires, common.degree());
    let mut run = Run {
        kernel,
        generators,
        rows: poseidon::rows(generators),
        watches,
        missing,
        finished: vec![false; generators.len()],
        unfinished: generators.len(),
        ready: Vec::new(),
        permutations: Vec::new(),
        values: GeneratedValues::empty(),
        witness: PartitionWitness::new(wires, rows, &circuit.representative_map),
    };
    run.start(inputs)?;
    run.finish()
}

/// Which generators watch a target, by its representative.
struct Watches {
    /// One more than the place in `starts`, or zero where nobody watches, as almost everywhere.
    places: Vec<u32>,
    /// Where each place's watchers start, and after the last their number.
    starts: Vec<u32>,
    watchers: Vec<u32>,
}

impl Watches {
    /// Also counts how many representatives each generator watches.
    fn new<C: GenericConfig<D, F = F>>(
        circuit: &ProverOnlyCircuitData<F, C, D>,
    ) -> (Self, Vec<u32>) {
        let map = &circuit.generator_indices_by_watches;
        let mut counts = vec![0; circuit.generators.len()];
        let mut watches = Self {
            places: vec![0; circuit.representative_map.len()],
            starts: Vec::with_capacity(map.len() + 1),
            watchers: Vec::new(),
        };
        watches.starts.push(0);
        for (representative, watchers) in map {
            watches.places[*representative] = watches.starts.len() as u32;
            for watcher in watchers {
                counts[*watcher] += 1;
                watches.watchers.push(*watcher as u32);
            }
            watches.starts.push(watches.watchers.len() as u32);
        }
        (watches, counts)
    }

    /// Where the representative's watchers stand.
    fn of(&self, representative: usize) -> Range<usize> {
        match self.places[representative] as usize {
            0 => 0..0,
            place => self.starts[place - 1] as usize..self.starts[place] as usize,
        }
    }
}

/// A witness on its way.
struct Run<'a, 'g> {
    kernel: Kernel,
    generators: &'g [WitnessGeneratorRef<F, D>],
    /// Rows of the generators that fill a Poseidon gate.
    rows: Vec<Option<u32>>,
    watches: Watches,
    /// How many of the representatives that it watches each generator still lacks.
    missing: Vec<u32>,
    finished: Vec<bool>,
    unfinished: usize,
    /// Generators that lack nothing and have not run since.
    ready: Vec<u32>,
    /// Rows of Poseidon gates whose inputs are known.
    permutations: Vec<u32>,
    /// What a generator has made; kept for its memory.
    values: GeneratedValues<F>,
    witness: PartitionWitness<'a, F>,
}

impl<'a> Run<'a, '_> {
    fn start(&mut self, inputs: PartialWitness<F>) -> Result<(), Error> {
        for generator in 0..self.generators.len() {
            if self.missing[generator] == 0 {
                self.enqueue(generator);
            }
        }
        for (target, value) in inputs.target_values {
            self.set(target, value)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<PartitionWitness<'a, F>, Error> {
        loop {
            if let Some(generator) = self.ready.pop() {
                self.run(generator as usize)?;
            } else if !self.permutations.is_empty() {
                self.permute()?;
            } else if self.unfinished == 0 {
                return Ok(self.witness);
            } else if !self.poll()? {
                return Err(self.stuck());
            }
        }
    }

    fn enqueue(&mut self, generator: usize) {
        match self.rows[generator] {
            Some(row) => {
                self.permutations.push(row);
                self.mark_finished(generator);
            }
            None => self.ready.push(generator as u32),
        }
    }

    fn mark_finished(&mut self, generator: usize) {
        self.finished[generator] = true;
        self.unfinished -= 1;
    }

    /// Whether there was progress: the generator finished, or made a value that was not there.
    fn run(&mut self, generator: usize) -> Result<bool, Error> {
        if self.finished[generator] {
            return Ok(false);
        }
        let (run, values) = (&self.generators[generator].0, &mut self.values);
        // A generator may panic on values out of its range; then it made nothing.
        let ran = catch_unwind(AssertUnwindSafe(|| run.run(&self.witness, values)));
        let finished = ran.unwrap_or_else(|_| {
            self.values.target_values.clear();
            false
        });
        if finished {
            self.mark_finished(generator);
        }
        let mut progress = finished;
        let mut values = mem::take(&mut self.values.target_values);
        for (target, value) in values.drain(..) {
            progress |= self.set(target, value)?;
        }
        self.values.target_values = values;
        Ok(progress)
    }

    /// Fills the rows of all Poseidon gates whose inputs are known.
    fn permute(&mut self) -> Result<(), Error> {
        let rows = mem::take(&mut self.permutations);
        let mut wires = [[0; poseidon::ROWS]; poseidon::WIRES];
        for rows in rows.chunks(poseidon::ROWS) {
            poseidon::fill(self.kernel, &self.witness, rows, &mut wires);
            for (lane, row) in rows.iter().enumerate() {
                for wire in poseidon::made() {
                    let value = F::from_canonical_u64(wires[wire][lane]);
                    self.set(Target::wire(*row as usize, wire), value)?;
                }
            }
        }
        Ok(())
    }

    /// Runs what is left as Plonky2 does, with whatever there is: generators that act on part of
    /// what they watch, or that did not finish. False if that led nowhere: there are none in any
    /// circuit of ours, so that this is the way to an error.
    fn poll(&mut self) -> Result<bool, Error> {
        let mut progress = false;
        for generator in 0..self.generators.len() {
            progress |= self.run(generator)?;
        }
        Ok(progress)
    }

    /// Sets a target, once; false if it had the value, an error if it had another.
    fn set(&mut self, target: Target, value: F) -> Result<bool, Error> {
        let set = self.witness.set_target_returning_rep(target, value);
        let set = set.map_err(|conflict| Error::Witness(conflict.to_string()))?;
        let Some(representative) = set else {
            return Ok(false);
        };
        for at in self.watches.of(representative) {
            let watcher = self.watches.watchers[at] as usize;
            self.missing[watcher] -= 1;
            if self.missing[watcher] == 0 {
                self.enqueue(watcher);
            }
        }
        Ok(true)
    }

    /// What to say of a witness that nothing completes.
    fn stuck(&self) -> Error {
        let mut left = self.finished.iter().zip(self.generators);
        let first = left.find(|(finished, _)| !**finished);
        let first = first.map_or_else(String::new, |(_, generator)| generator.0.id());
        Error::Witness(format!(
            "{} generators weren't run, among them {first}",
            self.unfinished
        ))
    }
}
