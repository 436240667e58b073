//! The HTTP side: paths, verbs and answers, as a tower service.

use std::{
    collections::HashSet,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use kube::client::Body;
use serde_json::{Value, json};

use crate::{
    body::{Call, check_name},
    controllers,
    counts::{Counts, Verb},
    faults::{Faults, Strike},
    kinds::{EXTENSIONS, Kinds},
    merging::{merge, merge_body},
    objects::{self, Manner, Outcome, Place},
    options::{Continuation, ListRequest, Query, delete_options, patch_options},
    reply::{Reply, ResponseBody, groups, json_response, plain, resources, version, whole},
    schema::metadata_text,
    status::Failure,
    store::Store,
    watch,
};

mod reactions;

/// How long a read waits for a version that is not there yet.
const FUTURE_VERSION_WAIT: Duration = Duration::from_secs(3);

/// The service; clones share the cluster.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    store: Arc<Store>,
    kinds: Arc<Kinds>,
    faults: Faults,
    counts: Arc<Counts>,
    termination: Duration,
    resumed: Arc<AtomicBool>,
    /// Namespaces whose quotas are about to be counted.
    counting: Arc<Mutex<HashSet<String>>>,
}

impl Service {
    pub(crate) fn new(
        store: Arc<Store>,
        kinds: Arc<Kinds>,
        faults: Faults,
        termination: Duration,
    ) -> Self {
        Self {
            store,
            kinds,
            faults,
            counts: Arc::default(),
            termination,
            resumed: Arc::default(),
            counting: Arc::default(),
        }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.faults
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Goes on with what the controllers were at when the data was opened; once.
    pub(crate) fn resume(&self) {
        if self.resumed.swap(true, Ordering::SeqCst) {
            return;
        }
        for definition in self.store.all(&format!("customresourcedefinitions.{EXTENSIONS}/")) {
            self.kinds.define(&definition.name, Some(&definition.object()));
            self.establish(&definition.name);
        }
        for namespace in self.store.all("namespaces/") {
            let object = namespace.object();
            if objects::is_terminating(&object) {
                self.terminate(&object);
            }
        }
        for quota in self.store.all("resourcequotas/") {
            self.count_quotas(&quota.namespace);
        }
    }

    /// Runs a write where it may wait for the disk.
    async fn run<R: Send + 'static>(
        &self,
        write: impl FnOnce() -> Result<R, Failure> + Send + 'static,
    ) -> Result<R, Failure> {
        if !self.store.is_persistent() {
            return write();
        }
        match tokio::task::spawn_blocking(write).await {
            Ok(result) => result,
            Err(error) => Err(Failure::internal(format!("the simulator's writer ended: {error}"))),
        }
    }

    async fn answer(self, request: Request<Body>) -> io::Result<Response<ResponseBody>> {
        self.faults.check()?;
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let text = |name| {
            parts
                .headers
                .get(name)
                .and_then(|value: &HeaderValue| value.to_str().ok())
                .unwrap_or_default()
        };
        let call = Call {
            query: Query::parse(parts.uri.query().unwrap_or_default()),
            content_type: text(header::CONTENT_TYPE)
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned(),
            user_agent: text(header::USER_AGENT).split('/').next().unwrap_or_default().to_owned(),
            method: parts.method,
            body,
        };
        let path: Vec<&str> = parts.uri.path().split('/').filter(|step| !step.is_empty()).collect();
        let is_get = call.method == Method::GET;
        let answered = match path.as_slice() {
            ["readyz" | "livez" | "healthz"] if is_get => return Ok(plain(StatusCode::OK, "ok")),
            ["version"] if is_get => Ok(Reply::ok(version())),
            ["api"] if is_get => Ok(Reply::ok(
                json!({ "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [] }),
            )),
            ["apis"] if is_get => Ok(Reply::ok(groups(&self.kinds))),
            ["version" | "api" | "apis" | "readyz" | "livez" | "healthz"] => {
                Err(Failure::method_not_allowed())
            }
            ["api", "v1"] => self.discover(&call, "", "v1"),
            ["apis", group, version] => self.discover(&call, group, version),
            ["api", "v1", rest @ ..] => return self.kind(call, "", "v1", rest).await,
            ["apis", group, version, rest @ ..] => {
                return self.kind(call, group, version, rest).await;
            }
            ["api", ..] => Err(Failure::unknown_path()),
            _ => return Ok(plain(StatusCode::NOT_FOUND, "404 page not found\n")),
        };
        Ok(answered.unwrap_or_else(|failure| Reply::failed(&failure)).into_response())
    }

    fn discover(&self, call: &Call, group: &str, version: &str) -> Result<Reply, Failure> {
        if call.method != Method::GET {
            return Err(Failure::method_not_allowed());
        }
        resources(&self.kinds, group, version).map(Reply::ok).ok_or_else(Failure::unknown_path)
    }

    /// Answers below one group and version.
    async fn kind(
        &self,
        call: Call,
        group: &str,
        version: &str,
        path: &[&str],
    ) -> io::Result<Response<ResponseBody>> {
        let (namespace, plural, name) = match *path {
            [plural] => (None, plural, None),
            ["namespaces", name] if group.is_empty() => (None, "namespaces", Some(name)),
            ["namespaces", namespace, plural] => (Some(namespace), plural, None),
            ["namespaces", namespace, plural, name] => (Some(namespace), plural, Some(name)),
            [plural, name] => (None, plural, Some(name)),
            _ => return Ok(Reply::failed(&Failure::unknown_path()).into_response()),
        };
        let known = self.kinds.find(group, version, plural).filter(|resource| {
            // A single object of a namespaced kind has a namespace, and no other has.
            if resource.namespaced {
                namespace.is_some() || name.is_none()
            } else {
                namespace.is_none()
            }
        });
        let Some(resource) = known else {
            if group.is_empty() || resources(&self.kinds, group, version).is_some() {
                return Ok(Reply::failed(&Failure::unknown_path()).into_response());
            }
            return Ok(plain(StatusCode::NOT_FOUND, "404 page not found\n"));
        };
        let place = Place { resource, namespace: namespace.unwrap_or_default().to_owned() };
        let answered = match name {
            Some(name) => self.single(call, place, name).await,
            None if call.method == Method::GET && call.query.flag("watch") => {
                self.counts.add(Verb::Watch, false);
                match self.watch(&call.query, place) {
                    Ok(response) => return Ok(response),
                    Err(failure) => Err(failure),
                }
            }
            None if call.method == Method::GET => {
                self.counts.add(Verb::List, false);
                match self.list(&call.query, &place).await {
                    Ok(text) => return Ok(json_response(StatusCode::OK, whole(text))),
                    Err(failure) => Err(failure),
                }
            }
            None if call.method == Method::POST
                && (!place.resource.namespaced || namespace.is_some()) =>
            {
                self.create(call, place).await
            }
            None => Err(Failure::method_not_allowed()),
        };
        Ok(answered.unwrap_or_else(|failure| Reply::failed(&failure)).into_response())
    }

    /// Where the objects are written to: events of core/v1 are kept in their newer shape.
    fn kept(&self, place: &Place) -> Place {
        let newer = self.kinds.builtin("events.k8s.io", "events");
        match newer.filter(|_| place.resource.is_core_event()) {
            Some(resource) => Place { resource: resource.clone(), ..place.clone() },
            None => place.clone(),
        }
    }

    /// What a test has asked to befall this write.
    async fn struck(&self, place: &Place, name: &str) -> Result<(), Failure> {
        let Strike { delay, refusal } =
            self.faults.strike(&place.resource.plural, &place.namespace, name);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        match refusal {
            Some(refusal) => Err(Failure::injected(refusal.code(), &place.resource, name)),
            None => Ok(()),
        }
    }

    async fn create(&self, call: Call, place: Place) -> Result<Reply, Failure> {
        let dry_run = call.query.dry_run("CreateOptions")?;
        self.counts.add(Verb::Create, dry_run);
        let writer = call.writer(call.query.field_manager("CreateOptions")?);
        let (object, warnings) = call.object(&place)?;
        self.struck(&place, metadata_text(&object, "name")).await?;
        let (store, site) = (Arc::clone(&self.store), self.kept(&place));
        let manner = Manner { writer, dry_run };
        let object = self.run(move || objects::create(&store, &site, object, &manner)).await?;
        if !dry_run {
            self.written(&place, &object);
        }
        let object = objects::served(&place.resource, object);
        Ok(Reply { code: StatusCode::CREATED, object, warnings })
    }

    async fn single(&self, call: Call, place: Place, name: &str) -> Result<Reply, Failure> {
        match call.method {
            Method::GET => {
                self.counts.add(Verb::Get, false);
                self.wait_for(call.query.least_version()?).await?;
                let object = self.store.get(&place.key(name));
                let object = object.ok_or_else(|| Failure::not_found(&place.resource, name))?;
                Ok(Reply::ok(objects::served(&place.resource, object.object())))
            }
            Method::PUT => self.replace(call, place, name.to_owned()).await,
            Method::PATCH => self.patch(call, place, name.to_owned()).await,
            Method::DELETE => self.delete(&call, place, name.to_owned()).await,
            _ => Err(Failure::method_not_allowed()),
        }
    }

    async fn delete(&self, call: &Call, place: Place, name: String) -> Result<Reply, Failure> {
        let (preconditions, dry_run) = delete_options(&call.query, &call.body)?;
        self.counts.add(Verb::Delete, dry_run);
        self.struck(&place, &name).await?;
        let (store, kinds, site) =
            (Arc::clone(&self.store), Arc::clone(&self.kinds), place.clone());
        let delete = move || {
            let (object, gone) = objects::delete(&store, &site, &name, &preconditions, dry_run)?;
            if gone && !dry_run && site.resource.is(EXTENSIONS, "customresourcedefinitions") {
                controllers::withdraw(&store, &kinds, &object, &name)?;
            }
            Ok((object, gone))
        };
        let (object, gone) = self.run(delete).await?;
        let is_namespace = place.resource.is("", "namespaces");
        if !dry_run && is_namespace {
            self.terminate(&object);
        } else if !dry_run && place.resource.namespaced {
            self.written(&place, &object);
        }
        Ok(Reply::ok(if gone {
            objects::deleted(&place.resource, &object)
        } else {
            objects::served(&place.resource, object)
        }))
    }

    async fn replace(&self, call: Call, place: Place, name: String) -> Result<Reply, Failure> {
        let dry_run = call.query.dry_run("UpdateOptions")?;
        self.counts.add(Verb::Update, dry_run);
        let writer = call.writer(call.query.field_manager("UpdateOptions")?);
        let (new, warnings) = call.object(&place)?;
        check_name(&new, &name)?;
        self.struck(&place, &name).await?;
        let (store, site) = (Arc::clone(&self.store), self.kept(&place));
        let manner = Manner { writer, dry_run };
        let replace = move || objects::update(&store, &site, &name, &manner, |_| Ok(new));
        let object = self.run(replace).await?;
        if !dry_run {
            self.written(&place, &object);
        }
        Ok(Reply { warnings, ..Reply::ok(objects::served(&place.resource, object)) })
    }

    async fn patch(&self, call: Call, place: Place, name: String) -> Result<Reply, Failure> {
        let is_apply = match call.content_type.as_str() {
            "application/apply-patch+yaml" => true,
            "application/merge-patch+json" => false,
            _ => return Err(Failure::unsupported_media_type()),
        };
        let dry_run = call.query.dry_run("PatchOptions")?;
        self.counts.add(Verb::Patch, dry_run);
        let (manager, force) = patch_options(&call.query, is_apply)?;
        let manner = Manner { writer: call.writer(manager), dry_run };
        let configuration = if is_apply { Some(call.configuration(&place, &name)?) } else { None };
        self.struck(&place, &name).await?;
        let (store, site) = (Arc::clone(&self.store), self.kept(&place));
        let (object, created, warnings) = if let Some(configuration) = configuration {
            let apply =
                move || objects::apply(&store, &site, &name, &configuration, &manner, force);
            let (object, created): Outcome = self.run(apply).await?;
            (object, created, Vec::new())
        } else {
            let patch = merge_body(&call)?;
            let shown = Arc::clone(&place.resource);
            let merge = move || merge(&store, &site, &shown, &name, &manner, &patch);
            let (object, warnings) = self.run(merge).await?;
            (object, false, warnings)
        };
        if !dry_run {
            self.written(&place, &object);
        }
        let code = if created { StatusCode::CREATED } else { StatusCode::OK };
        Ok(Reply { code, object: objects::served(&place.resource, object), warnings })
    }

    async fn list(&self, query: &Query, place: &Place) -> Result<String, Failure> {
        let request: ListRequest = query.list(&place.resource)?;
        self.wait_for(request.version).await?;
        let at = match &request.continuation {
            Some(continuation) => Some(continuation.revision),
            None if request.exact => Some(request.version),
            None => None,
        };
        let after = request.continuation.as_ref().map_or("", |continuation| &continuation.after);
        let limit = request.limit.unwrap_or(usize::MAX);
        let fits = |object: &crate::store::Stored| request.selector.matches(object);
        let page = self.store.list(&place.prefix(), after, at, limit, fits).map_err(|_| {
            Failure::expired(if request.continuation.is_some() {
                "The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter."
            } else {
                "The resourceVersion for the provided list is too old."
            })
        })?;
        let mut metadata = json!({ "resourceVersion": page.revision.to_string() });
        if let (Value::Object(metadata), true) = (&mut metadata, page.remaining > 0) {
            let next = Continuation { revision: page.revision, after: page.last };
            metadata.insert("continue".to_owned(), next.token().into());
            // The API server cannot count what a selector will leave either.
            if request.selector.is_everything() {
                metadata.insert("remainingItemCount".to_owned(), page.remaining.into());
            }
        }
        let resource = &place.resource;
        // Items of built-in kinds do not name their kind again.
        let items: Vec<String> = page
            .objects
            .iter()
            .map(|object| objects::served_json(resource, object, !resource.builtin))
            .collect();
        Ok(format!(
            "{{\"kind\":\"{}\",\"apiVersion\":\"{}\",\"metadata\":{metadata},\"items\":[{}]}}",
            resource.list_kind,
            resource.api_version(),
            items.join(",")
        ))
    }

    fn watch(&self, query: &Query, place: Place) -> Result<Response<ResponseBody>, Failure> {
        let request = query.watch(&place.resource)?;
        let events = watch::events(Arc::clone(&self.store), &self.faults, place, request);
        Ok(json_response(StatusCode::OK, StreamBody::new(events).boxed_unsync()))
    }

    /// Waits for a version that a client has seen elsewhere.
    async fn wait_for(&self, version: u64) -> Result<(), Failure> {
        let mut revisions = self.store.revisions();
        let reached = revisions.wait_for(|revision| *revision >= version);
        match tokio::time::timeout(FUTURE_VERSION_WAIT, reached).await {
            Ok(_) => Ok(()),
            Err(_) => Err(Failure::version_too_large(version, self.store.revision())),
        }
    }
}

impl tower::Service<Request<Body>> for Service {
    type Response = Response<ResponseBody>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.clone().answer(request).boxed()
    }
}
