//! Proves what is in `deploy/` with the programs that it is made for.
//!
//! `tests/setup.sh chart` brings those of the chart. What needs an image or packages first is ignored here and run by
//! `make test-image` and `make test-packages`.

mod chart;
mod compose;
mod image;
mod packages;
