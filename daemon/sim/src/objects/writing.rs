//! Creation, replacement and server-side apply.

use uuid::Uuid;

use super::{
    Manner, Outcome, Place, is_terminating,
    settling::{fill_defaults, finish_new, forget_server_fields, set_namespace, settle_update},
};
use crate::{
    admission::{self, Operation},
    apply, checks,
    kinds::View,
    schema::{Object, edit, metadata_text, normalize},
    status::{Failure, Fault},
    store::Store,
};

/// Creates from a whole object.
pub(crate) fn create(
    store: &Store,
    place: &Place,
    mut object: Object,
    manner: &Manner,
) -> Result<Object, Failure> {
    let resource = &*place.resource;
    if !metadata_text(&object, "resourceVersion").is_empty() {
        return Err(Failure::internal(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    let generate = metadata_text(&object, "generateName").to_owned();
    set_namespace(&mut object, place);
    forget_server_fields(&mut object, resource);
    fill_defaults(resource, &mut object);
    apply::update(resource, None, &mut object, &manner.writer);
    if metadata_text(&object, "name").is_empty() && !generate.is_empty() {
        let name = format!("{generate}{}", random_suffix());
        edit(&mut object, "metadata", |metadata| metadata.insert("name".to_owned(), name.into()));
    }
    let name = metadata_text(&object, "name").to_owned();
    store.commit(&place.key(&name), |present| {
        begin(store, place, &mut object, &name, manner)?;
        match present {
            Some(present) => Err(Failure::already_exists(resource, &name, is_terminating(present))),
            None => Ok(manner.put(object)),
        }
    })
}

/// Server-side apply, which creates what is not there.
pub(crate) fn apply(
    store: &Store,
    place: &Place,
    name: &str,
    configuration: &Object,
    manner: &Manner,
    force: bool,
) -> Result<Outcome, Failure> {
    let mut created = false;
    let resource = &*place.resource;
    let object = store.commit(&place.key(name), |live| {
        created = live.is_none();
        let Some(live) = live else {
            let mut base = Object::new();
            edit(&mut base, "metadata", |metadata| metadata.insert("name".to_owned(), name.into()));
            set_namespace(&mut base, place);
            if manner.writer.view != View::Whole {
                return Err(Failure::not_found(resource, name));
            }
            let mut object = apply::apply(resource, &base, configuration, &manner.writer, force)?;
            let wanted = metadata_text(configuration, "uid");
            if !wanted.is_empty() {
                return Err(checks::immutable_uid(resource, name, wanted));
            }
            begin(store, place, &mut object, name, manner)?;
            return Ok(manner.put(object));
        };
        let object = apply::apply(resource, live, configuration, &manner.writer, force)?;
        checks::versions(resource, live, configuration, name)?;
        settle_update(store, place, live, object, name, manner)
    })?;
    Ok((object, created))
}

/// Replaces the object by what `change` makes of it.
pub(crate) fn update(
    store: &Store,
    place: &Place,
    name: &str,
    manner: &Manner,
    change: impl FnOnce(&Object) -> Result<Object, Failure>,
) -> Result<Object, Failure> {
    let resource = &*place.resource;
    store.commit(&place.key(name), |live| {
        let live = live.ok_or_else(|| Failure::not_found(resource, name))?;
        let mut object = change(live)?;
        for told_by_path in ["kind", "apiVersion"] {
            object.remove(told_by_path);
        }
        if resource.wants_version() && metadata_text(&object, "resourceVersion").is_empty() {
            let why = "must be specified for an update";
            let fault = Fault::invalid_value("metadata.resourceVersion", "0", why);
            return Err(Failure::invalid(&resource.group, &resource.plural, name, &[fault]));
        }
        checks::versions(resource, live, &object, name)?;
        normalize(&mut object, resource.schema_of(manner.writer.view), resource.builtin);
        set_namespace(&mut object, place);
        fill_defaults(resource, &mut object);
        apply::update(resource, Some(live), &mut object, &manner.writer);
        settle_update(store, place, live, object, name, manner)
    })
}

/// What a new object must pass before it is stored, however it is made.
fn begin(
    store: &Store,
    place: &Place,
    object: &mut Object,
    name: &str,
    manner: &Manner,
) -> Result<(), Failure> {
    let resource = &*place.resource;
    checks::namespace(store, place, name)?;
    if manner.gate.is_some() {
        admission::prepare(store, place, object);
    }
    finish_new(resource, object, &manner.writer.time);
    checks::object(resource, View::Whole, object, None, name)?;
    if let Some(gate) = &manner.gate {
        gate.admit(store, &place.act(Operation::Create, name, manner).with(object, None))?;
    }
    Ok(())
}

/// Five letters and digits without those that are easily mistaken or make words.
fn random_suffix() -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let random = Uuid::new_v4();
    let letters = random.as_bytes().iter().take(5);
    letters
        .filter_map(|byte| LETTERS.get(usize::from(*byte) % LETTERS.len()))
        .copied()
        .map(char::from)
        .collect()
}
