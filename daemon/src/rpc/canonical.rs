//! The digest of a request that is the same however it was encoded.
//!
//! An encoded map has its entries in any order, so the encoding itself is no identity of
//! a request. Here fields come in the order of their numbers, entries in the order of
//! their keys, and each value with its kind and length before it.

use aws_lc_rs::digest::{Context, SHA256};
use prost::{Message, Name};
use prost_reflect::{DynamicMessage, MapKey, Value};
use streamspace_proto::policy;

use super::errors::{RpcError, RpcResult};

/// SHA-256 over a method and its request without the named fields.
pub fn digest_without<M: Message + Name>(
    method: &str,
    request: &M,
    without: &[&str],
) -> RpcResult<Vec<u8>> {
    let unknown = || RpcError::Internal(format!("the contract has no message {}", M::full_name()));
    let descriptor = policy::pool()
        .and_then(|pool| pool.get_message_by_name(&M::full_name()))
        .ok_or_else(unknown)?;
    let mut message = DynamicMessage::decode(descriptor, request.encode_to_vec().as_slice())
        .map_err(|error| RpcError::Internal(error.to_string()))?;
    for field in without {
        message.clear_field_by_name(field);
    }
    let mut digest = Digest(Context::new(&SHA256));
    digest.bytes(b'm', method.as_bytes());
    digest.message(&message);
    Ok(digest.0.finish().as_ref().to_vec())
}

/// Bytes as people compare them.
pub fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

struct Digest(Context);

impl Digest {
    fn number(&mut self, kind: u8, number: u64) {
        self.0.update(&[kind]);
        self.0.update(&number.to_be_bytes());
    }

    fn bytes(&mut self, kind: u8, bytes: &[u8]) {
        self.number(kind, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.0.update(bytes);
    }

    fn message(&mut self, message: &DynamicMessage) {
        for (field, value) in message.fields() {
            self.number(b'f', u64::from(field.number()));
            self.value(value);
        }
        self.0.update(b".");
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Bool(value) => self.number(b'b', u64::from(*value)),
            Value::I32(value) | Value::EnumNumber(value) => {
                self.number(b'i', i64::from(*value).cast_unsigned());
            }
            Value::I64(value) => self.number(b'i', value.cast_unsigned()),
            Value::U32(value) => self.number(b'u', u64::from(*value)),
            Value::U64(value) => self.number(b'u', *value),
            Value::F32(value) => self.number(b'd', f64::from(*value).to_bits()),
            Value::F64(value) => self.number(b'd', value.to_bits()),
            Value::String(text) => self.bytes(b's', text.as_bytes()),
            Value::Bytes(bytes) => self.bytes(b'y', bytes),
            Value::Message(message) => {
                self.0.update(b"{");
                self.message(message);
            }
            Value::List(values) => {
                self.number(b'[', u64::try_from(values.len()).unwrap_or(u64::MAX));
                for value in values {
                    self.value(value);
                }
            }
            Value::Map(entries) => {
                self.number(b'(', u64::try_from(entries.len()).unwrap_or(u64::MAX));
                let mut entries: Vec<_> = entries.iter().collect();
                entries.sort_by(|a, b| a.0.cmp(b.0));
                for (key, value) in entries {
                    self.key(key);
                    self.value(value);
                }
            }
        }
    }

    fn key(&mut self, key: &MapKey) {
        match key {
            MapKey::Bool(value) => self.number(b'b', u64::from(*value)),
            MapKey::I32(value) => self.number(b'i', i64::from(*value).cast_unsigned()),
            MapKey::I64(value) => self.number(b'i', value.cast_unsigned()),
            MapKey::U32(value) => self.number(b'u', u64::from(*value)),
            MapKey::U64(value) => self.number(b'u', *value),
            MapKey::String(text) => self.bytes(b's', text.as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use streamspace_proto::v1::{CreateTenantRequest, DeleteTenantRequest, Tenant};

    use super::*;

    fn of(request: &DeleteTenantRequest) -> Vec<u8> {
        digest_without("TenantService.DeleteTenant", request, &["request_id", "validate_only"])
            .unwrap()
    }

    #[test]
    fn what_is_left_out_makes_no_difference_and_everything_else_does() {
        let request = DeleteTenantRequest {
            name: "tenants/acme".into(),
            etag: "7".into(),
            reason: "left".into(),
            ..Default::default()
        };
        let again = DeleteTenantRequest {
            request_id: "44bd1cf2-9fbf-4c5a-8a3f-6a1b8f5be1a0".into(),
            validate_only: true,
            ..request.clone()
        };
        assert_eq!(of(&request), of(&again));
        let others = [
            DeleteTenantRequest { name: "tenants/acm".into(), ..request.clone() },
            DeleteTenantRequest { etag: "8".into(), ..request.clone() },
            DeleteTenantRequest { reason: "left ".into(), ..request.clone() },
            DeleteTenantRequest { reason: String::new(), ..request.clone() },
            // The same bytes in a row, over another border.
            DeleteTenantRequest { etag: String::new(), reason: "7left".into(), ..request.clone() },
        ];
        let mut digests: HashSet<Vec<u8>> = others.iter().map(of).collect();
        digests.insert(of(&request));
        digests.insert(digest_without("TenantService.ArchiveTenant", &request, &[]).unwrap());
        assert_eq!(digests.len(), 7);
    }

    #[test]
    fn the_order_of_a_map_makes_no_difference() {
        let create = || {
            let labels: HashMap<String, String> =
                (0..20).map(|n| (format!("key-{n}"), n.to_string())).collect();
            let tenant = Tenant { labels, ..Default::default() };
            CreateTenantRequest { tenant: Some(tenant), ..Default::default() }
        };
        let encodings: HashSet<Vec<u8>> = (0..20).map(|_| create().encode_to_vec()).collect();
        assert!(encodings.len() > 1, "or this shows nothing");
        let digests: HashSet<Vec<u8>> =
            (0..20).map(|_| digest_without("CreateTenant", &create(), &[]).unwrap()).collect();
        assert_eq!(digests.len(), 1);
    }
}
