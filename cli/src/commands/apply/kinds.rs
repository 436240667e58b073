//! The kinds, one file each.

pub(super) mod plan;
pub(super) mod quota;
pub(super) mod tenant;
