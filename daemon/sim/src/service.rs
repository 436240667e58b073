//! The HTTP side: paths, verbs and answers, as a tower service.

use std::{
    convert::Infallible,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use kube::client::Body;
use serde_json::{Map, Value, json};

use crate::{
    apply::Writer,
    faults::Faults,
    namespaces::{self, Outcome},
    options::{Continuation, ListRequest, Query, delete_options, patch_options},
    schema::{Misfit, NAMESPACES, Object, metadata_text, misfits},
    status::Failure,
    store::Store,
    watch,
};

/// How long a read waits for a version that is not there yet.
const FUTURE_VERSION_WAIT: Duration = Duration::from_secs(3);

type ResponseBody = UnsyncBoxBody<Bytes, io::Error>;

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// One object is read.
    Get,
    /// A collection is read.
    List,
    /// A collection is watched.
    Watch,
    /// An object is made by POST.
    Create,
    /// An object is replaced by PUT.
    Update,
    /// An object is patched or applied.
    Patch,
    /// An object is deleted.
    Delete,
}

/// Requests received, by verb.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    verbs: [(AtomicU64, AtomicU64); 7],
}

impl Counts {
    fn slot(&self, verb: Verb) -> &(AtomicU64, AtomicU64) {
        let [get, list, watch, create, update, patch, delete] = &self.verbs;
        match verb {
            Verb::Get => get,
            Verb::List => list,
            Verb::Watch => watch,
            Verb::Create => create,
            Verb::Update => update,
            Verb::Patch => patch,
            Verb::Delete => delete,
        }
    }

    fn add(&self, verb: Verb, dry_run: bool) {
        let (all, dry) = self.slot(verb);
        all.fetch_add(1, Ordering::Relaxed);
        if dry_run {
            dry.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn of(&self, verb: Verb) -> u64 {
        self.slot(verb).0.load(Ordering::Relaxed)
    }

    pub(crate) fn writes(&self) -> u64 {
        [Verb::Create, Verb::Update, Verb::Patch, Verb::Delete]
            .into_iter()
            .map(|verb| self.slot(verb))
            .map(|(all, dry)| {
                all.load(Ordering::Relaxed)
                    .saturating_sub(dry.load(Ordering::Relaxed))
            })
            .sum()
    }
}

/// The service; clones share the cluster.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    store: Arc<Store>,
    faults: Faults,
    counts: Arc<Counts>,
    termination: Duration,
    resumed: Arc<AtomicBool>,
}

/// A request whose body has arrived.
struct Call {
    method: Method,
    query: Query,
    content_type: String,
    user_agent: String,
    body: Bytes,
}

/// An answer that is one object.
struct Reply {
    code: StatusCode,
    object: Value,
    warnings: Vec<String>,
}

impl Service {
    pub(crate) fn new(store: Arc<Store>, faults: Faults, termination: Duration) -> Self {
        Self {
            store,
            faults,
            counts: Arc::default(),
            termination,
            resumed: Arc::default(),
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

    /// Goes on ending the namespaces that were terminating when the data was
    /// opened; once.
    pub(crate) fn resume_terminations(&self) {
        if self.resumed.swap(true, Ordering::SeqCst) {
            return;
        }
        let (objects, _) = self
            .store
            .list(&NAMESPACES.prefix(), None)
            .unwrap_or_default();
        for object in objects
            .iter()
            .filter(|object| namespaces::is_terminating(object))
        {
            self.terminate(object);
        }
    }

    /// Ends a terminating namespace after a while, as the namespace controller does.
    fn terminate(&self, object: &Object) {
        let service = self.clone();
        let (name, uid) = (
            metadata_text(object, "name").to_owned(),
            metadata_text(object, "uid").to_owned(),
        );
        tokio::spawn(async move {
            service.faults.settle(service.termination).await;
            let store = Arc::clone(&service.store);
            let ended = service
                .run(move || namespaces::finalize(&store, &name, &uid))
                .await;
            if let Err(failure) = ended {
                tracing::warn!(failure = %failure.message, "a simulated namespace could not be ended");
            }
        });
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
            Err(error) => Err(Failure::internal(format!(
                "the simulator's writer ended: {error}"
            ))),
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
            user_agent: text(header::USER_AGENT)
                .split('/')
                .next()
                .unwrap_or_default()
                .to_owned(),
            method: parts.method,
            body,
        };
        let path: Vec<&str> = parts
            .uri
            .path()
            .split('/')
            .filter(|step| !step.is_empty())
            .collect();
        let answered = match path.as_slice() {
            ["readyz" | "livez" | "healthz"] if call.method == Method::GET => {
                return Ok(plain(StatusCode::OK, "ok"));
            }
            ["version"] if call.method == Method::GET => Ok(Reply::ok(version())),
            ["api"] if call.method == Method::GET => Ok(Reply::ok(
                json!({ "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [] }),
            )),
            ["apis"] if call.method == Method::GET => Ok(Reply::ok(
                json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": [] }),
            )),
            ["api", "v1"] if call.method == Method::GET => Ok(Reply::ok(resources())),
            ["version" | "api" | "apis" | "readyz" | "livez" | "healthz"] | ["api", "v1"] => {
                Err(Failure::method_not_allowed())
            }
            ["api", "v1", "namespaces"]
                if call.method == Method::GET && call.query.flag("watch") =>
            {
                self.counts.add(Verb::Watch, false);
                match self.watch(&call.query) {
                    Ok(response) => return Ok(response),
                    Err(failure) => Err(failure),
                }
            }
            ["api", "v1", "namespaces"] => self.collection(call).await,
            ["api", "v1", "namespaces", name] => self.single(call, name).await,
            ["api", ..] => Err(Failure::unknown_path()),
            _ => return Ok(plain(StatusCode::NOT_FOUND, "404 page not found\n")),
        };
        Ok(match answered {
            Ok(reply) => reply.into_response(),
            Err(failure) => Reply {
                code: failure.code,
                object: failure.to_json(),
                warnings: Vec::new(),
            }
            .into_response(),
        })
    }

    async fn collection(&self, call: Call) -> Result<Reply, Failure> {
        match call.method {
            Method::GET => {
                self.counts.add(Verb::List, false);
                let request = call.query.list()?;
                self.list(request).await.map(Reply::ok)
            }
            Method::POST => {
                let dry_run = call.query.dry_run("CreateOptions")?;
                self.counts.add(Verb::Create, dry_run);
                let writer = call.writer(call.query.field_manager("CreateOptions")?);
                let (object, warnings) = call.object()?;
                let store = Arc::clone(&self.store);
                let object = self
                    .run(move || namespaces::create(&store, object, &writer, dry_run))
                    .await?;
                Ok(Reply {
                    code: StatusCode::CREATED,
                    object: object.into(),
                    warnings,
                })
            }
            _ => Err(Failure::method_not_allowed()),
        }
    }

    async fn single(&self, call: Call, name: &str) -> Result<Reply, Failure> {
        match call.method {
            Method::GET => {
                self.counts.add(Verb::Get, false);
                self.wait_for(call.query.least_version()?).await?;
                let object = self.store.get(&NAMESPACES.key(name));
                let object = object.ok_or_else(|| Failure::not_found(&NAMESPACES, name))?;
                Ok(Reply::ok(Value::Object(Object::clone(&object))))
            }
            Method::PUT => self.replace(call, name.to_owned()).await,
            Method::PATCH => self.patch(call, name.to_owned()).await,
            Method::DELETE => {
                let (preconditions, dry_run) = delete_options(&call.query, &call.body)?;
                self.counts.add(Verb::Delete, dry_run);
                let (store, name) = (Arc::clone(&self.store), name.to_owned());
                let object = self
                    .run(move || namespaces::delete(&store, &name, &preconditions, dry_run))
                    .await?;
                if !dry_run {
                    self.terminate(&object);
                }
                Ok(Reply::ok(object.into()))
            }
            _ => Err(Failure::method_not_allowed()),
        }
    }

    async fn replace(&self, call: Call, name: String) -> Result<Reply, Failure> {
        let dry_run = call.query.dry_run("UpdateOptions")?;
        self.counts.add(Verb::Update, dry_run);
        let writer = call.writer(call.query.field_manager("UpdateOptions")?);
        let (new, warnings) = call.object()?;
        check_name(&new, &name)?;
        let store = Arc::clone(&self.store);
        let object = self
            .run(move || namespaces::update(&store, &name, &writer, dry_run, |_| Ok(new)))
            .await?;
        Ok(Reply {
            warnings,
            ..Reply::ok(object.into())
        })
    }

    async fn patch(&self, call: Call, name: String) -> Result<Reply, Failure> {
        let is_apply = match call.content_type.as_str() {
            "application/apply-patch+yaml" => true,
            "application/merge-patch+json" => false,
            _ => return Err(Failure::unsupported_media_type()),
        };
        let dry_run = call.query.dry_run("PatchOptions")?;
        self.counts.add(Verb::Patch, dry_run);
        let (manager, force) = patch_options(&call.query, is_apply)?;
        let writer = call.writer(manager);
        let store = Arc::clone(&self.store);
        if is_apply {
            let configuration = call.configuration(&name)?;
            let apply =
                move || namespaces::apply(&store, &name, &configuration, &writer, force, dry_run);
            let (object, created): Outcome = self.run(apply).await?;
            let code = if created {
                StatusCode::CREATED
            } else {
                StatusCode::OK
            };
            return Ok(Reply {
                code,
                ..Reply::ok(object.into())
            });
        }
        let patch = match serde_json::from_slice(&call.body) {
            Ok(Value::Object(patch)) => patch,
            Ok(_) => {
                return Err(Failure::bad_request(
                    "error decoding patch: json: cannot unmarshal this value into Go value of type map[string]interface {}",
                ));
            }
            Err(error) => {
                return Err(Failure::bad_request(format!(
                    "error decoding patch: {error}"
                )));
            }
        };
        let merge = move || {
            let mut warnings = Vec::new();
            let object = namespaces::update(&store, &name, &writer, dry_run, |live| {
                let mut object = live.clone();
                merge_patch(&mut object, &patch);
                warnings = check_decoded(&object).map_err(|why| {
                    let text = Value::Object(object.clone()).to_string();
                    let fault = crate::status::Fault::invalid("patch", &text, &why);
                    Failure::invalid("", "", "", &[fault])
                })?;
                check_name(&object, &name)?;
                Ok(object)
            })?;
            Ok((object, warnings))
        };
        let (object, warnings) = self.run(merge).await?;
        Ok(Reply {
            warnings,
            ..Reply::ok(object.into())
        })
    }

    async fn list(&self, request: ListRequest) -> Result<Value, Failure> {
        self.wait_for(request.version).await?;
        let at = match &request.continuation {
            Some(continuation) => Some(continuation.revision),
            None if request.exact => Some(request.version),
            None => None,
        };
        let (objects, revision) = self.store.list(&NAMESPACES.prefix(), at).map_err(|_| {
            Failure::expired(if request.continuation.is_some() {
                "The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter."
            } else {
                "The resourceVersion for the provided list is too old."
            })
        })?;
        let after = request
            .continuation
            .map(|continuation| continuation.after)
            .unwrap_or_default();
        let mut rest = objects
            .iter()
            .filter(|object| metadata_text(object, "name") > after.as_str())
            .filter(|object| request.selector.matches(object));
        let page: Vec<_> = rest
            .by_ref()
            .take(request.limit.unwrap_or(usize::MAX))
            .collect();
        let remaining = rest.count();
        let mut metadata = json!({ "resourceVersion": revision.to_string() });
        if let (Value::Object(metadata), Some(last), true) =
            (&mut metadata, page.last(), remaining > 0)
        {
            let next = Continuation {
                revision,
                after: metadata_text(last, "name").to_owned(),
            };
            metadata.insert("continue".to_owned(), next.token().into());
            // The API server cannot count what a selector will leave either.
            if request.selector.is_everything() {
                metadata.insert("remainingItemCount".to_owned(), remaining.into());
            }
        }
        let items: Vec<Value> = page
            .into_iter()
            .map(|object| {
                let mut item = Object::clone(object);
                item.remove("kind");
                item.remove("apiVersion");
                Value::Object(item)
            })
            .collect();
        Ok(json!({
            "kind": NAMESPACES.list_kind,
            "apiVersion": NAMESPACES.api_version,
            "metadata": metadata,
            "items": items,
        }))
    }

    fn watch(&self, query: &Query) -> Result<Response<ResponseBody>, Failure> {
        let events = watch::events(
            Arc::clone(&self.store),
            &self.faults,
            &NAMESPACES,
            query.watch()?,
        );
        Ok(json_response(
            StatusCode::OK,
            StreamBody::new(events).boxed_unsync(),
        ))
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

impl Call {
    /// The named manager, else what the user agent is called, as the API server does.
    fn writer(&self, manager: &str) -> Writer {
        let manager = [manager, &self.user_agent, "unknown"]
            .into_iter()
            .find(|name| !name.is_empty());
        Writer {
            manager: manager.unwrap_or_default().to_owned(),
            time: namespaces::now(),
        }
    }

    /// The body as a whole object, and warnings about fields that do not exist.
    fn object(&self) -> Result<(Object, Vec<String>), Failure> {
        let object: Object = serde_json::from_slice(&self.body).map_err(|error| {
            let kind = NAMESPACES.kind;
            Failure::bad_request(format!(
                "the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; json parse error: {error}"
            ))
        })?;
        let cannot = |version: &str, kind: &str, why: &str| {
            Failure::bad_request(format!(
                "{kind} in version {version:?} cannot be handled as a Namespace: {why}"
            ))
        };
        let text = |field: &str| {
            object
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let (version, kind) = (text("apiVersion"), text("kind"));
        if !matches!((version, kind), ("" | "v1", "" | "Namespace")) {
            let why =
                format!("converting ({version}.{kind}) to (core.Namespace): unknown conversion");
            return Err(cannot(version, kind, &why));
        }
        let warnings = check_decoded(&object).map_err(|why| cannot("v1", "Namespace", &why))?;
        Ok((object, warnings))
    }

    /// The body as an applied configuration of the object of this name.
    fn configuration(&self, name: &str) -> Result<Object, Failure> {
        let mut object: Object = serde_json::from_slice(&self.body).map_err(|error| {
            Failure::bad_request(format!(
                "error decoding YAML: error converting YAML to JSON: {error}"
            ))
        })?;
        let text = |field: &str| {
            object
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let (version, kind) = (text("apiVersion"), text("kind"));
        if (version, kind) != (NAMESPACES.api_version, NAMESPACES.kind) {
            let version = if version.is_empty() {
                "/"
            } else {
                &format!("/{version}")
            };
            return Err(Failure::bad_request(format!(
                "invalid object type: {version}, Kind={kind}"
            )));
        }
        check_name(&object, name)?;
        if object
            .get("metadata")
            .and_then(|metadata| metadata.get("managedFields"))
            .is_some()
        {
            return Err(Failure::bad_request("metadata.managedFields must be nil"));
        }
        if let Some(misfit) = misfits(&object, &NAMESPACES.schema).first() {
            let why = match misfit {
                Misfit::Undeclared(path) => format!(".{path}: field not declared in schema"),
                Misfit::Mistyped {
                    path,
                    wanted,
                    found,
                    ..
                } => {
                    format!(
                        ".{path}: expected {wanted}, got &value.valueUnstructured{{Value:{found}}}"
                    )
                }
            };
            return Err(Failure::internal(format!(
                "failed to create typed patch object (/{name}; /v1, Kind=Namespace): {why}"
            )));
        }
        drop_nulls(&mut object);
        Ok(object)
    }
}

/// Warnings about fields that do not exist; the error is a value of a wrong type.
fn check_decoded(object: &Object) -> Result<Vec<String>, String> {
    let mut warnings = Vec::new();
    for misfit in misfits(object, &NAMESPACES.schema) {
        match misfit {
            Misfit::Undeclared(path) => warnings.push(format!("unknown field \"{path}\"")),
            Misfit::Mistyped {
                field,
                wanted,
                found,
                ..
            } => {
                let found = match found {
                    Value::Bool(_) => "bool",
                    Value::Number(_) => "number",
                    Value::String(_) => "string",
                    Value::Array(_) => "array",
                    Value::Object(_) | Value::Null => "object",
                };
                let holder = if field.starts_with("metadata.") {
                    "ObjectMeta"
                } else {
                    "Namespace"
                };
                return Err(format!(
                    "json: cannot unmarshal {found} into Go struct field {holder}.{field} of type {wanted}"
                ));
            }
        }
    }
    Ok(warnings)
}

fn check_name(object: &Object, name: &str) -> Result<(), Failure> {
    match metadata_text(object, "name") {
        given if given == name => Ok(()),
        given => Err(Failure::bad_request(format!(
            "the name of the object ({given}) does not match the name on the URL ({name})"
        ))),
    }
}

/// RFC 7386.
fn merge_patch(object: &mut Object, patch: &Object) {
    for (key, value) in patch {
        match value {
            Value::Null => {
                object.remove(key);
            }
            Value::Object(inner) => {
                let slot = object.entry(key.as_str()).or_insert(Value::Null);
                let mut section = match slot.take() {
                    Value::Object(section) => section,
                    _ => Map::new(),
                };
                merge_patch(&mut section, inner);
                *slot = Value::Object(section);
            }
            other => {
                object.insert(key.clone(), other.clone());
            }
        }
    }
}

fn drop_nulls(object: &mut Object) {
    object.retain(|_, value| !value.is_null());
    for value in object.values_mut() {
        if let Value::Object(inner) = value {
            drop_nulls(inner);
        }
    }
}

impl Reply {
    fn ok(object: Value) -> Self {
        Self {
            code: StatusCode::OK,
            object,
            warnings: Vec::new(),
        }
    }

    fn into_response(self) -> Response<ResponseBody> {
        let mut response = json_response(self.code, whole(self.object.to_string()));
        for warning in self.warnings {
            if let Ok(value) = HeaderValue::from_str(&format!("299 - {warning:?}")) {
                response.headers_mut().append(header::WARNING, value);
            }
        }
        if self.code == StatusCode::GATEWAY_TIMEOUT {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

fn whole(text: impl Into<Bytes>) -> ResponseBody {
    Full::new(text.into())
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

fn json_response(code: StatusCode, body: ResponseBody) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

fn plain(code: StatusCode, text: &'static str) -> Response<ResponseBody> {
    let mut response = json_response(code, whole(text));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

fn version() -> Value {
    json!({
        "major": "1",
        "minor": "36",
        "gitVersion": "v1.36.3+streamspace-sim",
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}

fn resources() -> Value {
    json!({
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [{
            "name": NAMESPACES.plural,
            "singularName": "namespace",
            "namespaced": false,
            "kind": NAMESPACES.kind,
            "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
            "shortNames": ["ns"],
        }],
    })
}
