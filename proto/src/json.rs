//! Messages as the canonical JSON of protocol buffers, by reflection.

use prost::{Message, Name};
use prost_reflect::{
    DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions, prost::DecodeError,
};
use serde_json::Value;
use thiserror::Error;

use crate::policy::pool;

/// Why a message could not be turned into JSON or back.
#[derive(Debug, Error)]
pub enum JsonError {
    /// The contract does not define the message.
    #[error("the contract has no message {0}")]
    UnknownMessage(String),
    /// The encoded message does not fit the contract.
    #[error("the message does not fit the contract: {0}")]
    Decode(#[from] DecodeError),
    /// The JSON does not fit the message.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
}

fn descriptor<M: Name>() -> Result<MessageDescriptor, JsonError> {
    let name = M::full_name();
    pool().and_then(|pool| pool.get_message_by_name(&name)).ok_or(JsonError::UnknownMessage(name))
}

/// A message as a JSON value: `lowerCamelCase` names, 64-bit integers as strings,
/// fields with their default left out.
pub fn to_value<M: Message + Name>(message: &M) -> Result<Value, JsonError> {
    let mut dynamic = DynamicMessage::new(descriptor::<M>()?);
    dynamic.transcode_from(message)?;
    let options = SerializeOptions::new();
    Ok(dynamic.serialize_with_options(serde_json::value::Serializer, &options)?)
}

/// A message from a JSON value. Unknown fields are refused; both `lowerCamelCase`
/// and the proto's own names are taken.
pub fn from_value<M: Message + Name + Default>(value: &Value) -> Result<M, JsonError> {
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let dynamic = DynamicMessage::deserialize_with_options(descriptor::<M>()?, value, &options)?;
    Ok(dynamic.transcode_to()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::{Tenant, TenantState};

    #[test]
    fn a_tenant_survives_the_way_to_json_and_back() {
        let tenant = Tenant {
            name: "tenants/acme-corp".into(),
            generation: i64::MAX,
            state: TenantState::Active.into(),
            ..Tenant::default()
        };
        let value = to_value(&tenant).unwrap();
        assert_eq!(value["state"], "TENANT_STATE_ACTIVE");
        assert_eq!(value["generation"], i64::MAX.to_string());
        assert_eq!(value.get("seats"), None);
        assert_eq!(from_value::<Tenant>(&value).unwrap(), tenant);
    }

    #[test]
    fn an_unknown_field_is_refused_by_name() {
        let error = from_value::<Tenant>(&serde_json::json!({"seatz": 3})).unwrap_err();
        assert!(error.to_string().contains("seatz"), "{error}");
    }
}
