//! The service as its clients see it: over HTTP on the loopback interface.

mod api;
mod channels;
mod hostile;
mod incidents;
mod restart;
mod rig;
