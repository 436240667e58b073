//! Users' homes: claims of volumes that outlive sessions.

use kube::core::DynamicObject;
use serde_json::Value;
use streamspace_core::{
    quantity::{self, Bytes, Unit},
    quota::BYTES_MAXIMUM,
};

use super::{
    AMOUNT_KEPT, NAME_KEPT, SeenMetadata, read_metadata,
    reading::{clipped, optional_text},
};

/// The label of a home, with its user.
pub const HOME_LABEL: &str = "control.stream.space/home";

/// A user's home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenHome {
    /// What it tells of itself.
    pub metadata: SeenMetadata,
    /// Whose it is.
    pub user: String,
    /// How large it is, or is to be while it is not bound; 0 where neither is told.
    pub size: Bytes,
}

/// Reads a claim that carries [`HOME_LABEL`].
pub fn read_home(object: &DynamicObject) -> SeenHome {
    let user = object.metadata.labels.as_ref().and_then(|labels| labels.get(HOME_LABEL));
    let storage = |path: &[&str]| {
        let mut place = &object.data;
        for step in path {
            place = place.get(*step)?;
        }
        amount(place)
    };
    let size = storage(&["status", "capacity"])
        .or_else(|| storage(&["spec", "resources", "requests"]))
        .unwrap_or_default();
    SeenHome {
        metadata: read_metadata(&object.metadata),
        user: clipped(user.map_or("", String::as_str), NAME_KEPT),
        size: Bytes(size),
    }
}

fn amount(parent: &Value) -> Option<i64> {
    let text = optional_text(parent, "storage", AMOUNT_KEPT)?;
    let amount = quantity::observed(Unit::Bytes, &text).ok()?;
    (0..=BYTES_MAXIMUM.0).contains(&amount).then_some(amount)
}
