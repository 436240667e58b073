//! What is shown of a tenant's objects in the cluster.

use jiff::Timestamp;
use streamspace_proto::v1::{TenantObject, TenantObjectState};

use crate::{
    output::{Cell, Column, Tone},
    resource::{Noun, word},
};

impl Noun for TenantObject {
    const PLURAL: &'static str = "objects";
    const PREFIX: &'static str = "";

    fn resource_name(&self) -> &str {
        &self.name
    }

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("KIND", |object: &Self, _| object.kind.clone().into()),
            Column::new("NAME", |object, _| object.name.clone().into()),
            Column::new("STATE", |object, _| state(object.state())),
            Column::new("MESSAGE", |object, _| object.message.clone().into()),
            Column::wide("NAMESPACE", |object, _| object.namespace.clone().into()),
        ]
    }

    fn details(&self, now: Timestamp) -> Vec<(&'static str, Cell)> {
        let columns = Self::columns();
        columns.iter().map(|column| (column.title, (column.cell)(self, now))).collect()
    }
}

fn state(state: TenantObjectState) -> Cell {
    let tone = match state {
        TenantObjectState::InSync => Tone::Good,
        TenantObjectState::Drifted | TenantObjectState::Missing => Tone::Bad,
        TenantObjectState::Extra | TenantObjectState::Unknown | TenantObjectState::Unspecified => {
            Tone::Doubtful
        }
    };
    Cell::toned(word("TENANT_OBJECT_STATE_", state.as_str_name()), tone)
}
