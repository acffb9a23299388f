//! Signatures against published vectors, a slow model and forgers.

mod forgeries;
mod model;
mod vectors;
