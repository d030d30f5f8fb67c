//! The chapters.

fn main() {}
