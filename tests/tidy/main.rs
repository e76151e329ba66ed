//! Rules of the repository that no compiler keeps. Each is a function from a file to its complaints, and each is shown a file
//! that breaks it.

mod documented;
mod kernel_side;
mod pages;
mod purity;
mod repository;
mod tree;
mod workflows;
