//! `streamspaced`: arguments, then configuration, then the region.

fn main() {}
