//! Creates, replacements, patches and deletes.

use std::sync::Arc;

use http::StatusCode;

use super::{Service, reading::listed};
use crate::{
    admission::Gate,
    body::{Call, check_decoded, check_name},
    controllers,
    counts::Verb,
    events,
    kinds::{EXTENSIONS, Kinds, View},
    objects::{self, Deletion, Manner, Outcome, Place},
    options::{delete_options, patch_options},
    patching::Patch,
    reply::Reply,
    reviews, scale,
    schema::Object,
    status::{Failure, Fault},
    store::{Store, Stored},
};

impl Service {
    /// Where the objects are written to: events of core/v1 are kept in their newer shape.
    fn kept(&self, place: &Place) -> Place {
        let newer = self.kinds.builtin("events.k8s.io", "events");
        match newer.filter(|_| place.resource.is_core_event()) {
            Some(resource) => Place { resource: resource.clone(), ..place.clone() },
            None => place.clone(),
        }
    }

    fn manner(&self, call: &Call, manager: &str, dry_run: bool, view: View) -> Manner {
        let gate = Gate {
            store: Arc::clone(&self.store),
            kinds: Arc::clone(&self.kinds),
            policies: Arc::clone(&self.policies),
            user: Arc::clone(&call.user),
        };
        Manner { writer: call.writer(manager, view), dry_run, gate: Some(Arc::new(gate)) }
    }

    pub(super) async fn create(&self, call: Call, place: Place) -> Result<Reply, Failure> {
        let dry_run = call.query.dry_run("CreateOptions")?;
        self.counts.add(Verb::Create, dry_run);
        let manager = call.query.field_manager("CreateOptions")?;
        let manner = self.manner(&call, manager, dry_run, View::Whole);
        let (object, warnings) = call.object(&place, View::Whole)?;
        let (store, site) = (Arc::clone(&self.store), self.kept(&place));
        let object = self.run(move || objects::create(&store, &site, object, &manner)).await?;
        if !dry_run {
            self.written(&place, &object);
        }
        let object = objects::served(&place.resource, object);
        Ok(Reply { code: StatusCode::CREATED, warnings, ..Reply::ok(object) })
    }

    pub(super) async fn delete(
        &self,
        call: &Call,
        place: Place,
        name: String,
    ) -> Result<Reply, Failure> {
        let (deletion, dry_run) = delete_options(&call.query, &call.body)?;
        self.counts.add(Verb::Delete, dry_run);
        let manner = self.manner(call, "", dry_run, View::Whole);
        let (store, kinds, site) =
            (Arc::clone(&self.store), Arc::clone(&self.kinds), place.clone());
        let delete = move || delete(&store, &kinds, &site, &name, &deletion, &manner);
        let (object, gone) = self.run(delete).await?;
        if !dry_run {
            self.after_delete(&place, &object);
        }
        Ok(Reply::ok(if gone {
            objects::deleted(&place.resource, &object)
        } else {
            objects::served(&place.resource, object)
        }))
    }

    fn after_delete(&self, place: &Place, object: &Object) {
        if place.resource.is("", "namespaces") {
            self.terminate(object);
        } else if place.resource.namespaced {
            self.written(place, object);
        }
    }

    /// Deletes what is selected, one by one as the API server does, and answers with what
    /// that was.
    pub(super) async fn delete_collection(
        &self,
        call: &Call,
        place: Place,
    ) -> Result<String, Failure> {
        let (deletion, dry_run) = delete_options(&call.query, &call.body)?;
        self.counts.add(Verb::DeleteCollection, dry_run);
        let request = call.query.list(&place.resource)?;
        let manner = self.manner(call, "", dry_run, View::Whole);
        let limit = request.limit.unwrap_or(usize::MAX);
        let fits = |object: &Stored| request.selector.matches(object);
        let page = self.store.list(&place.prefix(), "", None, limit, fits).unwrap_or_default();
        let names: Vec<String> = page.objects.iter().map(|it| it.name.to_string()).collect();
        let (store, kinds, site) =
            (Arc::clone(&self.store), Arc::clone(&self.kinds), place.clone());
        let deleted = self
            .run(move || {
                let mut deleted = Vec::new();
                for name in names {
                    match delete(&store, &kinds, &site, &name, &deletion, &manner) {
                        Ok((object, _)) => deleted.push(object),
                        Err(failure) if failure.code == StatusCode::NOT_FOUND => {}
                        Err(failure) => return Err(failure),
                    }
                }
                Ok(deleted)
            })
            .await?;
        if let (false, Some(object)) = (dry_run, deleted.first()) {
            self.after_delete(&place, object);
        }
        Ok(listed(&place, &page, request.selector.is_everything()))
    }

    pub(super) fn review(&self, call: &Call, place: &Place) -> Result<Reply, Failure> {
        let (object, warnings) = call.object(place, View::Whole)?;
        let writer = call.writer(call.query.field_manager("CreateOptions")?, View::Whole);
        let answer = reviews::answer(&self.store, &call.user, place, object, &writer)?;
        Ok(Reply { code: StatusCode::CREATED, warnings, ..Reply::ok(answer) })
    }

    pub(super) async fn replace(
        &self,
        call: Call,
        place: Place,
        name: String,
        view: View,
    ) -> Result<Reply, Failure> {
        let dry_run = call.query.dry_run("UpdateOptions")?;
        self.counts.add(Verb::Update, dry_run);
        let manager = call.query.field_manager("UpdateOptions")?;
        let manner = self.manner(&call, manager, dry_run, view);
        let (new, warnings) = if view == View::Scale {
            (call.scale()?, Vec::new())
        } else {
            call.object(&place, view)?
        };
        check_name(&new, &name)?;
        let (store, site) = (Arc::clone(&self.store), self.kept(&place));
        let replace = move || {
            objects::update(&store, &site, &name, &manner, |live| match view {
                View::Scale => scale::written(&site.resource, live, &new, &name),
                _ => Ok(new),
            })
        };
        let object = self.run(replace).await?;
        if !dry_run {
            self.written(&place, &object);
        }
        Ok(Reply { warnings, ..Reply::ok(shown(&place, view, object)) })
    }

    pub(super) async fn patch(
        &self,
        call: Call,
        place: Place,
        name: String,
        view: View,
    ) -> Result<Reply, Failure> {
        let is_apply = call.content_type == "application/apply-patch+yaml";
        let patch = if is_apply {
            None
        } else {
            let read = Patch::read(&call, &place.resource);
            Some(read.ok_or_else(|| Failure::unsupported_media_type(&place.resource))?)
        };
        let dry_run = call.query.dry_run("PatchOptions")?;
        self.counts.add(Verb::Patch, dry_run);
        let (manager, force) = patch_options(&call.query, is_apply)?;
        let manner = self.manner(&call, manager, dry_run, view);
        let (store, site) = (Arc::clone(&self.store), self.kept(&place));
        let (object, created, warnings) = if let Some(patch) = patch {
            let (patch, shown) = (patch?, place.clone());
            let unknown = call.query.field_validation()?;
            let patched = move || {
                let mut warnings = Vec::new();
                let object = objects::update(&store, &site, &name, &manner, |live| {
                    let (object, told) = patched(&patch, &shown, view, live, &name)?;
                    warnings = told;
                    Ok(object)
                })?;
                Ok((object, warnings))
            };
            let (object, warnings) = self.run(patched).await?;
            let warnings = match unknown {
                crate::options::Unknown::Ignore => Vec::new(),
                _ => warnings,
            };
            (object, false, warnings)
        } else {
            let configuration = call.configuration(&place, &name, view)?;
            let apply =
                move || objects::apply(&store, &site, &name, &configuration, &manner, force);
            let (object, created): Outcome = self.run(apply).await?;
            (object, created, Vec::new())
        };
        if !dry_run {
            self.written(&place, &object);
        }
        let code = if created { StatusCode::CREATED } else { StatusCode::OK };
        Ok(Reply { code, warnings, ..Reply::ok(shown(&place, view, object)) })
    }
}

/// The object as the path of this view serves it.
fn shown(place: &Place, view: View, object: Object) -> serde_json::Value {
    match view {
        View::Scale => scale::of(&place.resource, &object).into(),
        _ => objects::served(&place.resource, object),
    }
}

/// Patches the object as its path serves it, and warns of unknown fields.
fn patched(
    patch: &Patch,
    place: &Place,
    view: View,
    live: &Object,
    name: &str,
) -> Result<(Object, Vec<String>), Failure> {
    let resource = &*place.resource;
    if view == View::Scale {
        let scale = patch.apply(scale::of(resource, live), resource.schema_of(view))?;
        return Ok((scale::written(resource, live, &scale, name)?, Vec::new()));
    }
    let served = match objects::served(resource, live.clone()) {
        serde_json::Value::Object(object) => object,
        _ => Object::new(),
    };
    let mut object = patch.apply(served, resource.patch_schema())?;
    let warnings = check_decoded(&object, resource, view).map_err(|why| {
        let text = serde_json::Value::Object(object.clone()).to_string();
        Failure::invalid("", "", "", &[Fault::invalid("patch", &text, &why)])
    })?;
    check_name(&object, name)?;
    if resource.is_core_event() {
        events::from_core(&mut object);
    }
    Ok((object, warnings))
}

fn delete(
    store: &Store,
    kinds: &Kinds,
    place: &Place,
    name: &str,
    deletion: &Deletion,
    manner: &Manner,
) -> Result<Outcome, Failure> {
    let (object, gone) = objects::delete(store, place, name, deletion, manner)?;
    if gone && !manner.dry_run && place.resource.is(EXTENSIONS, "customresourcedefinitions") {
        controllers::withdraw(store, kinds, &object, name)?;
    }
    Ok((object, gone))
}
