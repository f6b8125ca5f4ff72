//! Tests of the trainer's public interface: one program, so that the kernels are compiled for them once.

mod allocations;
mod check;
mod gradients;
mod network;
mod same_bits;
mod theory;
mod threads;
