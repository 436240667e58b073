//! Which fields of a resource are sent.

use prost_types::FieldMask;
use streamspace_core::{suggest, text};
use streamspace_proto::v1::{self, resource::Resource as AnyResource};

use crate::db::ChangeKind;

/// The fields that are sent beside the name and the uid, which always are. The default is
/// all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mask(Option<Vec<&'static str>>);

/// A resource whose fields can be left out.
trait Maskable {
    /// All its fields, by their names in the contract.
    const FIELDS: &'static [&'static str];

    /// Clears what is not among these and not always sent.
    fn keep_only(&mut self, kept: &[&'static str]);
}

/// The fields of a resource: those that are always sent, then those that can be left out.
/// A test holds it to the contract.
macro_rules! maskable {
    ($message:ident: $($always:ident),+; $($field:ident),+ $(,)?) => {
        impl Maskable for v1::$message {
            const FIELDS: &'static [&'static str] =
                &[$(stringify!($always),)+ $(stringify!($field)),+];

            fn keep_only(&mut self, kept: &[&'static str]) {
                $(
                    if !kept.contains(&stringify!($field)) {
                        self.$field = Default::default();
                    }
                )+
            }
        }
    };
}

maskable! {
    Tenant: name, uid;
    display_name, plan, plan_version, seats, home_region, allowed_regions, billing_account,
    admin_subjects, isolation, labels, protected, state, conditions, namespace, generation,
    observed_generation, etag, create_time, update_time, quota, quota_overrides, pause,
    cordon_expire_time, cordon_reason, archive_time, retention_end_time, adopt, consequences,
}

maskable! {
    Operation: name;
    kind, target, done, error, progress, actor, create_time, end_time, consequences, counts,
    cancelled, reason,
}

maskable! {
    Session: name, uid;
    user, template, state, phase, cpu, memory, without_home, idle_timeout,
    max_session_duration, tags, max_replicas, pod_name, node, url, last_activity_time,
    conditions, create_time, awake_time, message, deleting, generation,
}

impl Mask {
    /// Reads the mask of a kind; an absent or empty one keeps everything. The error says what
    /// there is.
    pub(super) fn read(kind: ChangeKind, mask: Option<&FieldMask>) -> Result<Self, String> {
        let paths = mask.map_or(&[][..], |mask| mask.paths.as_slice());
        if paths.is_empty() {
            return Ok(Self::default());
        }
        let fields = fields(kind);
        let mut kept: Vec<&'static str> = Vec::new();
        for path in paths {
            let known = fields.iter().find(|field| **field == path.as_str());
            let field = known.ok_or_else(|| unknown(path, fields))?;
            if !kept.contains(field) {
                kept.push(*field);
            }
        }
        Ok(Self(Some(kept)))
    }

    /// Keeps the name and the uid alone.
    pub(super) fn identity() -> Self {
        Self(Some(Vec::new()))
    }

    /// Clears what is not sent.
    pub(super) fn apply(&self, resource: &mut AnyResource) {
        let Some(kept) = &self.0 else { return };
        match resource {
            AnyResource::Tenant(tenant) => tenant.keep_only(kept),
            AnyResource::Operation(operation) => operation.keep_only(kept),
            AnyResource::Session(session) => session.keep_only(kept),
        }
    }
}

fn fields(kind: ChangeKind) -> &'static [&'static str] {
    match kind {
        ChangeKind::Tenant => v1::Tenant::FIELDS,
        ChangeKind::Operation => v1::Operation::FIELDS,
        ChangeKind::Session => v1::Session::FIELDS,
    }
}

fn unknown(path: &str, fields: &[&str]) -> String {
    let excerpt = text::excerpt(path);
    let top = path.split('.').next().unwrap_or_default();
    if top != path && fields.contains(&top) {
        return format!("`{excerpt}` lies within a field: name it whole, as `{top}`");
    }
    if let Some(near) = suggest::nearest(path, fields) {
        return format!("there is no field `{excerpt}`: did you mean `{near}`?");
    }
    let names: Vec<String> = fields.iter().map(|field| format!("`{field}`")).collect();
    format!("there is no field `{excerpt}`: there are {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use prost_reflect::{DynamicMessage, Value};

    use super::*;

    fn mask(kind: ChangeKind, paths: &[&str]) -> Result<Mask, String> {
        let paths = paths.iter().map(ToString::to_string).collect();
        Mask::read(kind, Some(&FieldMask { paths }))
    }

    /// A message of this name in which every field is set.
    fn full<M: prost::Message + Default>(name: &str) -> M {
        let pool = streamspace_proto::policy::pool().unwrap();
        let descriptor = pool.get_message_by_name(&format!("streamspace.admin.v1.{name}")).unwrap();
        let mut message = DynamicMessage::new(descriptor.clone());
        for field in descriptor.fields() {
            let one = match field.kind() {
                prost_reflect::Kind::Message(inner) => {
                    Value::Message(DynamicMessage::new(inner.clone()))
                }
                prost_reflect::Kind::Enum(_) => Value::EnumNumber(1),
                prost_reflect::Kind::Bool => Value::Bool(true),
                prost_reflect::Kind::Int32 => Value::I32(7),
                prost_reflect::Kind::Int64 => Value::I64(7),
                prost_reflect::Kind::String => Value::String("x".into()),
                other => panic!("{other:?}"),
            };
            let value = if field.is_map() {
                let key = prost_reflect::MapKey::String("x".into());
                Value::Map([(key, Value::String("x".into()))].into())
            } else if field.is_list() {
                Value::List(vec![one])
            } else {
                one
            };
            message.set_field(&field, value);
        }
        M::decode(message.encode_to_vec().as_slice()).unwrap()
    }

    fn set<M: prost::Message>(name: &str, message: &M) -> Vec<String> {
        let pool = streamspace_proto::policy::pool().unwrap();
        let descriptor = pool.get_message_by_name(&format!("streamspace.admin.v1.{name}")).unwrap();
        let message =
            DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice()).unwrap();
        message.fields().map(|(field, _)| field.name().to_owned()).collect()
    }

    /// Every field of the contract can be asked for, each alone, and nothing else comes.
    fn every_field<M: prost::Message + Default + Clone>(
        name: &str,
        kind: ChangeKind,
        always: &[&str],
        wrap: impl Fn(M) -> AnyResource,
        unwrap: impl Fn(AnyResource) -> M,
    ) {
        let whole: M = full(name);
        let all = set(name, &whole);
        assert_eq!(all, fields(kind), "{name}");
        let masked = |mask: Mask| {
            let mut resource = wrap(whole.clone());
            mask.apply(&mut resource);
            set(name, &unwrap(resource))
        };
        assert_eq!(masked(Mask::read(kind, None).unwrap()), all);
        assert_eq!(masked(mask(kind, &[]).unwrap()), all);
        assert_eq!(masked(Mask::identity()), always);
        for field in &all {
            let expected: Vec<&String> =
                all.iter().filter(|it| always.contains(&it.as_str()) || *it == field).collect();
            assert_eq!(
                masked(mask(kind, &[field, field]).unwrap()).iter().collect::<Vec<_>>(),
                expected
            );
        }
    }

    #[test]
    fn each_field_of_the_contract_can_be_left_out() {
        every_field("Tenant", ChangeKind::Tenant, &["name", "uid"], AnyResource::Tenant, |it| {
            match it {
                AnyResource::Tenant(tenant) => tenant,
                other => panic!("{other:?}"),
            }
        });
        every_field("Operation", ChangeKind::Operation, &["name"], AnyResource::Operation, |it| {
            match it {
                AnyResource::Operation(operation) => operation,
                other => panic!("{other:?}"),
            }
        });
        every_field("Session", ChangeKind::Session, &["name", "uid"], AnyResource::Session, |it| {
            match it {
                AnyResource::Session(session) => session,
                other => panic!("{other:?}"),
            }
        });
    }

    #[test]
    fn what_there_is_not_is_named_with_what_there_is() {
        for (kind, path, words) in [
            (ChangeKind::Tenant, "seat", "there is no field `seat`: did you mean `seats`?"),
            (
                ChangeKind::Tenant,
                "quota.pods",
                "`quota.pods` lies within a field: name it whole, as `quota`",
            ),
            (
                ChangeKind::Operation,
                "uid",
                "there is no field `uid`: there are `name`, `kind`, `target`, `done`, `error`, \
                 `progress`, `actor`, `create_time`, `end_time`, `consequences`, `counts`, \
                 `cancelled`, `reason`",
            ),
        ] {
            assert_eq!(mask(kind, &["name", path]).unwrap_err(), words);
        }
        assert!(mask(ChangeKind::Session, &["*"]).is_err());
        assert!(mask(ChangeKind::Session, &[""]).is_err());
    }
}
