//! A packed field of one symbol, through which a gate tells how its constraints are computed.
//!
//! Gates are generic over the packed field, and nothing in them can depend on its values. So a
//! gate is run once on symbols; each operation is written down, and `tape` makes of that what the
//! kernels then do at every point.
#![allow(unsafe_code)]

use core::iter::{Product, Sum};
use core::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};
use std::cell::RefCell;
use std::collections::HashMap;

use plonky2::field::packed::PackedField;
use plonky2::field::types::{Field, PrimeField64};

use crate::F;
use crate::fft::canonical;

/// How a value comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Node {
    /// A wire or constant of the gate, by its place.
    Input(usize),
    /// Canonical.
    Literal(u64),
    Add(usize, usize),
    Sub(usize, usize),
    Mul(usize, usize),
}

/// What has been written down: nodes in the order of their making, each once.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    pub list: Vec<Node>,
    places: HashMap<Node, usize>,
}

impl Nodes {
    /// Zero and one are there from the beginning, since a packed field has them as constants.
    fn new() -> Self {
        let mut nodes = Self::default();
        nodes.put(Node::Literal(0));
        nodes.put(Node::Literal(1));
        nodes
    }

    fn put(&mut self, node: Node) -> usize {
        *self.places.entry(node).or_insert_with(|| {
            self.list.push(node);
            self.list.len() - 1
        })
    }

    fn literal(&mut self, x: F) -> usize {
        self.put(Node::Literal(canonical(x).0))
    }

    /// The node of an operation, or of what it comes to where that is known.
    fn operation(&mut self, node: Node) -> usize {
        let (Node::Add(a, b) | Node::Sub(a, b) | Node::Mul(a, b)) = node else {
            return self.put(node);
        };
        let known = |i: usize| match self.list[i] {
            Node::Literal(x) => Some(x),
            _ => None,
        };
        let of = |by: fn(F, F) -> F, x, y| by(F::from_canonical_u64(x), F::from_canonical_u64(y));
        match (node, known(a), known(b)) {
            (Node::Add(..), Some(x), Some(y)) => self.literal(of(|x, y| x + y, x, y)),
            (Node::Sub(..), Some(x), Some(y)) => self.literal(of(|x, y| x - y, x, y)),
            (Node::Mul(..), Some(x), Some(y)) => self.literal(of(|x, y| x * y, x, y)),
            (Node::Add(..) | Node::Sub(..), _, Some(0)) | (Node::Mul(..), _, Some(1)) => a,
            (Node::Add(..), Some(0), _) | (Node::Mul(..), Some(1), _) => b,
            (Node::Mul(..), _, Some(0)) => b,
            (Node::Mul(..), Some(0), _) => a,
            // Either order is the same value; literals come second.
            (Node::Add(..), x, y) if x.is_some() || y.is_none() && a > b => {
                self.put(Node::Add(b, a))
            }
            (Node::Mul(..), x, y) if x.is_some() || y.is_none() && a > b => {
                self.put(Node::Mul(b, a))
            }
            _ => self.put(node),
        }
    }
}

thread_local! {
    static NODES: RefCell<Nodes> = RefCell::new(Nodes::new());
}

/// Runs a gate on symbols of so many inputs, the element of each being its symbol's; what was
/// written down, and what `run` returned.
pub(super) fn record<T>(inputs: usize, run: impl FnOnce(&[F]) -> T) -> (Nodes, T) {
    NODES.with(|nodes| *nodes.borrow_mut() = Nodes::new());
    let symbols: Vec<F> = (0..inputs).map(|i| Symbol::put(Node::Input(i)).0).collect();
    let result = run(&symbols);
    (NODES.with(|nodes| nodes.take()), result)
}

/// The place of an element that a gate has written as a symbol.
pub(super) fn place(element: F) -> usize {
    element.to_canonical_u64() as usize
}

/// A value by its node's place.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(super) struct Symbol(F);

impl Symbol {
    fn put(node: Node) -> Self {
        let place = NODES.with(|nodes| nodes.borrow_mut().operation(node));
        Self(F::from_canonical_usize(place))
    }
}

impl Default for Symbol {
    fn default() -> Self {
        Self::ZEROS
    }
}

impl From<F> for Symbol {
    fn from(x: F) -> Self {
        Self::put(Node::Literal(canonical(x).0))
    }
}

/// An operation between symbols, and between a symbol and a literal.
macro_rules! operation {
    ($trait:ident, $method:ident, $assign:ident, $method_assign:ident) => {
        impl $trait for Symbol {
            type Output = Self;

            fn $method(self, other: Self) -> Self {
                Self::put(Node::$trait(place(self.0), place(other.0)))
            }
        }

        impl $trait<F> for Symbol {
            type Output = Self;

            fn $method(self, x: F) -> Self {
                self.$method(Self::from(x))
            }
        }

        impl $trait<Symbol> for F {
            type Output = Symbol;

            fn $method(self, other: Symbol) -> Symbol {
                Symbol::from(self).$method(other)
            }
        }

        impl $assign for Symbol {
            fn $method_assign(&mut self, other: Self) {
                *self = self.$method(other);
            }
        }

        impl $assign<F> for Symbol {
            fn $method_assign(&mut self, x: F) {
                *self = self.$method(x);
            }
        }
    };
}

operation!(Add, add, AddAssign, add_assign);
operation!(Sub, sub, SubAssign, sub_assign);
operation!(Mul, mul, MulAssign, mul_assign);

impl Div<F> for Symbol {
    type Output = Self;

    fn div(self, x: F) -> Self {
        self * x.inverse()
    }
}

impl Neg for Symbol {
    type Output = Self;

    fn neg(self) -> Self {
        Self::ZEROS - self
    }
}

impl Sum for Symbol {
    fn sum<I: Iterator<Item = Self>>(symbols: I) -> Self {
        symbols.fold(Self::ZEROS, Add::add)
    }
}

impl Product for Symbol {
    fn product<I: Iterator<Item = Self>>(symbols: I) -> Self {
        symbols.fold(Self::ONES, Mul::mul)
    }
}

// SAFETY: a `Symbol` is an element and nothing else, of which the width is 1.
unsafe impl PackedField for Symbol {
    type Scalar = F;

    const WIDTH: usize = 1;
    const ZEROS: Self = Self(F::ZERO);
    const ONES: Self = Self(F::ONE);

    fn from_slice(slice: &[F]) -> &Self {
        // SAFETY: as above; the index checks that there is one.
        unsafe { &*(&raw const slice[0]).cast() }
    }

    fn from_slice_mut(slice: &mut [F]) -> &mut Self {
        // SAFETY: as above, and the exclusive borrow is handed on.
        unsafe { &mut *(&raw mut slice[0]).cast() }
    }

    fn as_slice(&self) -> &[F] {
        std::slice::from_ref(&self.0)
    }

    fn as_slice_mut(&mut self) -> &mut [F] {
        std::slice::from_mut(&mut self.0)
    }

    fn interleave(&self, other: Self, block_len: usize) -> (Self, Self) {
        assert_eq!(block_len, 1, "one element has no blocks");
        (*self, other)
    }

    fn doubles(&self) -> Self {
        *self + *self
    }
}
