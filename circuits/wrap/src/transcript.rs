//! The Fiat-Shamir transcript as constraints: twin of Plonky2's `Challenger` over
//! `hash::Transcript`.

use halo2_base::QuantumCell;
use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::halo2curves::ff::Field as _;
use plonky2::field::types::Field;
use plonky2::fri::FriParams;
use tally_circuits::F;

use crate::chip::{Cell, Chip, Ext, Int};
use crate::hash::{DIGEST_WIDTHS, PACKED, RATE, TRANSCRIPT};
use crate::poseidon::to_halo;

/// Words of an element of the state that are challenges; the last two bits are not.
const STATE_WIDTHS: [usize; 4] = [64, 64, 64, 62];

/// State and buffers.
#[derive(Debug)]
pub struct Challenger {
    state: [QuantumCell<Fr>; 3],
    input: Vec<Int>,
    /// Challenges that are left, the next one last; refilled by halves of the state.
    output: Vec<Int>,
    halves: Vec<Cell>,
}

impl Default for Challenger {
    fn default() -> Self {
        let zero = QuantumCell::Constant(Fr::ZERO);
        let tag = QuantumCell::Constant(to_halo(TRANSCRIPT.into()));
        Self {
            state: [tag, zero, zero],
            input: Vec::new(),
            output: Vec::new(),
            halves: Vec::new(),
        }
    }
}

impl Challenger {
    pub fn observe(&mut self, chip: &mut Chip<'_>, word: Int) {
        self.output.clear();
        self.halves.clear();
        self.input.push(word);
        if self.input.len() == RATE {
            self.permute(chip);
        }
    }

    pub fn observe_constant(&mut self, chip: &mut Chip<'_>, word: F) {
        let word = chip.constant(word);
        self.observe(chip, word);
    }

    /// Both parts must be words.
    pub fn observe_ext(&mut self, chip: &mut Chip<'_>, x: &Ext) {
        self.observe(chip, x.low);
        match x.high {
            Some(high) => self.observe(chip, high),
            None => self.observe_constant(chip, F::ZERO),
        }
    }

    pub fn observe_digests(&mut self, chip: &mut Chip<'_>, digests: &[Cell]) {
        for digest in digests {
            for part in chip.split(*digest, &DIGEST_WIDTHS, PACKED) {
                self.observe(chip, part);
            }
        }
    }

    /// What `FriParams::observe` does.
    pub fn observe_params(&mut self, chip: &mut Chip<'_>, params: &FriParams) {
        let config = &params.config;
        let mut words = vec![
            F::from_canonical_usize(config.rate_bits),
            F::from_canonical_usize(config.cap_height),
            F::from_canonical_u32(config.proof_of_work_bits),
        ];
        words.extend(config.reduction_strategy.serialize::<F>());
        words.push(F::from_canonical_usize(config.num_query_rounds));
        words.push(F::from_bool(params.hiding));
        words.push(F::from_canonical_usize(params.degree_bits));
        let arities = params.reduction_arity_bits.iter();
        words.extend(arities.map(|bits| F::from_canonical_usize(*bits)));
        for word in words {
            self.observe_constant(chip, word);
        }
    }

    pub fn challenge(&mut self, chip: &mut Chip<'_>) -> Int {
        if !self.input.is_empty() || (self.output.is_empty() && self.halves.is_empty()) {
            self.permute(chip);
        }
        if self.output.is_empty() {
            let half = self.halves.pop().expect("a permutation gives two");
            self.output = chip.split(half, &STATE_WIDTHS, 2);
            self.output.truncate(PACKED);
        }
        self.output.pop().expect("a half gives three")
    }

    pub fn challenges(&mut self, chip: &mut Chip<'_>, count: usize) -> Vec<Int> {
        (0..count).map(|_| self.challenge(chip)).collect()
    }

    pub fn ext_challenge(&mut self, chip: &mut Chip<'_>) -> Ext {
        let low = self.challenge(chip);
        let high = self.challenge(chip);
        Ext::new(low, high)
    }

    fn permute(&mut self, chip: &mut Chip<'_>) {
        for (half, words) in self.input.chunks(PACKED).enumerate() {
            self.state[1 + half] = chip.pack(words);
        }
        self.input.clear();
        let output = chip.side.permute(chip.ctx, self.state);
        self.state = output.map(QuantumCell::Existing);
        self.output.clear();
        self.halves = vec![output[1], output[2]];
    }
}
