//! The one message of a unary request, read ahead of its handler.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::{Buf, Bytes};
use http_body_util::{BodyExt as _, Full, Limited};
use prost_reflect::{DynamicMessage, MessageDescriptor, Value};
use tokio::time::timeout;
use tonic::{Code, Status, body::Body};

use super::status::status;

/// The largest request of a method that mutates, in bytes.
pub(super) const LARGEST_REQUEST: usize = 4 << 20;
/// The largest one of a peer that proved nothing; an enrolment has less than two
/// kilobytes.
pub(super) const LARGEST_OF_ANYONE: usize = 64 << 10;
/// How long a request may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);
const PREFIX: usize = 5;

/// A request message that was read whole.
#[derive(Clone, Debug)]
pub(super) struct UnaryRequest {
    /// SHA-256 of the message.
    pub(super) sha256: [u8; 32],
    message: DynamicMessage,
}

impl UnaryRequest {
    /// Reads the body, of at most `largest` bytes, and gives it back for the handler.
    pub(super) async fn read(
        body: Body,
        descriptor: &MessageDescriptor,
        largest: usize,
    ) -> Result<(Self, Body), Status> {
        let whole = timeout(ARRIVAL, Limited::new(body, largest).collect())
            .await
            .map_err(|_| Status::deadline_exceeded("the request took too long to arrive"))?
            .map_err(|error| unreadable(error.as_ref(), largest))?
            .to_bytes();
        let payload = payload(whole.clone())?;
        let sha256 = digest(&SHA256, &payload)
            .as_ref()
            .try_into()
            .map_err(|_| Status::internal("SHA-256 has 32 bytes"))?;
        let message = DynamicMessage::decode(descriptor.clone(), payload).map_err(|error| {
            let text = format!("the request is not a {}: {error}", descriptor.full_name());
            status(Code::InvalidArgument, "MALFORMED_REQUEST", text, &[])
        })?;
        Ok((Self { sha256, message }, Body::new(Full::new(whole))))
    }

    /// Whether the request asks for a preview.
    pub(super) fn validate_only(&self) -> bool {
        let value = self.message.get_field_by_name("validate_only");
        value.and_then(|v| v.as_bool()).unwrap_or_default()
    }

    /// The reason that the caller gives, for the audit log.
    pub(super) fn reason(&self) -> String {
        text(&self.message, "reason").unwrap_or_default()
    }

    /// What the request is about: the name in it, or what it will be called.
    pub(super) fn resource(&self) -> String {
        let message = &self.message;
        if let Some(name) = text(message, "name") {
            return name;
        }
        for (field, prefix) in [("tenant_id", "tenants"), ("plan_id", "plans")] {
            if let Some(id) = text(message, field) {
                return format!("{prefix}/{id}");
            }
        }
        // A quota is named by its tenant.
        if let Some(tenant) = text(message, "tenant") {
            return tenant;
        }
        for field in ["tenant", "plan"] {
            // What is updated has its name within.
            let whole = message.get_field_by_name(field);
            let name = whole.and_then(|it| it.as_message().and_then(|it| text(it, "name")));
            if let Some(name) = name {
                return name;
            }
        }
        text(message, "operator").map(|name| format!("operators/{name}")).unwrap_or_default()
    }
}

fn text(message: &DynamicMessage, field: &str) -> Option<String> {
    match message.get_field_by_name(field).as_deref() {
        Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
        _ => None,
    }
}

fn unreadable(error: &(dyn std::error::Error + Send + Sync + 'static), largest: usize) -> Status {
    if error.is::<http_body_util::LengthLimitError>() {
        let text = format!("the request is larger than {largest} bytes");
        return status(Code::ResourceExhausted, "REQUEST_TOO_LARGE", text, &[]);
    }
    Status::cancelled(format!("the request did not arrive whole: {error}"))
}

/// Takes the message out of its frame: a flag, the length, the message.
fn payload(mut frame: Bytes) -> Result<Bytes, Status> {
    let malformed = |text: &str| status(Code::InvalidArgument, "MALFORMED_REQUEST", text, &[]);
    if frame.len() < PREFIX {
        return Err(malformed("the request holds no message"));
    }
    let compressed = frame.get_u8() != 0;
    let length = frame.get_u32();
    if compressed {
        let text = "compressed requests are not taken: send this one as it is";
        return Err(status(Code::Unimplemented, "COMPRESSION_UNSUPPORTED", text, &[]));
    }
    if usize::try_from(length) != Ok(frame.len()) {
        return Err(malformed("the request must hold one message and nothing else"));
    }
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use streamspace_proto::v1::{
        CreateEnrolmentTokenRequest, CreatePlanRequest, CreateTenantRequest, DeleteTenantRequest,
        Plan, SetQuotaRequest, Tenant, UpdatePlanRequest, UpdateTenantRequest,
    };

    use super::*;

    fn framed(message: &[u8]) -> Vec<u8> {
        let mut frame = vec![0];
        frame.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
        frame.extend_from_slice(message);
        frame
    }

    async fn read(name: &str, frame: Vec<u8>) -> Result<UnaryRequest, Status> {
        let descriptor = streamspace_proto::policy::pool()
            .and_then(|p| p.get_message_by_name(&format!("streamspace.admin.v1.{name}")))
            .unwrap();
        let (request, body) = UnaryRequest::read(
            Body::new(Full::new(Bytes::from(frame.clone()))),
            &descriptor,
            LARGEST_REQUEST,
        )
        .await?;
        assert_eq!(body.collect().await.unwrap().to_bytes(), frame, "the handler's copy");
        Ok(request)
    }

    #[tokio::test]
    async fn the_resource_is_found_in_each_shape_of_request() {
        let create = CreateTenantRequest { tenant_id: "acme".into(), ..Default::default() };
        let update = UpdateTenantRequest {
            tenant: Some(Tenant { name: "tenants/acme".into(), ..Default::default() }),
            ..Default::default()
        };
        let delete = DeleteTenantRequest {
            name: "tenants/acme".into(),
            reason: "gone".into(),
            validate_only: true,
            ..Default::default()
        };
        let quota = SetQuotaRequest { tenant: "tenants/acme".into(), ..Default::default() };
        let plan = CreatePlanRequest { plan_id: "gold".into(), ..Default::default() };
        let next = UpdatePlanRequest {
            plan: Some(Plan { name: "plans/gold".into(), ..Default::default() }),
            ..Default::default()
        };
        let token = CreateEnrolmentTokenRequest { operator: "ada".into(), ..Default::default() };
        for (name, bytes, resource) in [
            ("CreateTenantRequest", create.encode_to_vec(), "tenants/acme"),
            ("UpdateTenantRequest", update.encode_to_vec(), "tenants/acme"),
            ("DeleteTenantRequest", delete.encode_to_vec(), "tenants/acme"),
            ("SetQuotaRequest", quota.encode_to_vec(), "tenants/acme"),
            ("CreatePlanRequest", plan.encode_to_vec(), "plans/gold"),
            ("UpdatePlanRequest", next.encode_to_vec(), "plans/gold"),
            ("CreateEnrolmentTokenRequest", token.encode_to_vec(), "operators/ada"),
            ("RenewCredentialRequest", Vec::new(), ""),
        ] {
            let request = read(name, framed(&bytes)).await.unwrap();
            assert_eq!(request.resource(), resource, "{name}");
            assert_eq!(request.sha256, digest(&SHA256, &bytes).as_ref(), "{name}");
            assert_eq!(request.validate_only(), name == "DeleteTenantRequest", "{name}");
        }
        let request = read("DeleteTenantRequest", framed(&delete.encode_to_vec())).await.unwrap();
        assert_eq!(request.reason(), "gone");
    }

    #[tokio::test]
    async fn what_is_not_one_message_is_refused() {
        let mut compressed = framed(b"");
        compressed[0] = 1;
        let mut twice = framed(b"");
        twice.extend_from_slice(&framed(b""));
        for (frame, code) in [
            (Vec::new(), Code::InvalidArgument),
            (vec![0, 0, 0, 0, 9], Code::InvalidArgument),
            (framed(&[0xff]), Code::InvalidArgument),
            (twice, Code::InvalidArgument),
            (compressed, Code::Unimplemented),
            (vec![0; LARGEST_REQUEST + 1], Code::ResourceExhausted),
        ] {
            let error = read("DeleteTenantRequest", frame).await.unwrap_err();
            assert_eq!(error.code(), code, "{error}");
        }
    }
}
