//! The HTTP side: paths, verbs and answers, as a tower service.

use std::{
    io,
    sync::{
        Arc,
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
    body::{Call, check_decoded, check_name, json_kind, merge_patch},
    counts::{Counts, Verb},
    faults::Faults,
    namespaces::{self, Outcome},
    options::{Continuation, ListRequest, Query, delete_options, patch_options},
    reply::{Reply, ResponseBody, json_response, plain, resources, version},
    schema::{NAMESPACES, Object, metadata_text},
    status::{Failure, Fault},
    store::Store,
    watch,
};

/// How long a read waits for a version that is not there yet.
const FUTURE_VERSION_WAIT: Duration = Duration::from_secs(3);

/// The service; clones share the cluster.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    store: Arc<Store>,
    faults: Faults,
    counts: Arc<Counts>,
    termination: Duration,
    resumed: Arc<AtomicBool>,
}

impl Service {
    pub(crate) fn new(store: Arc<Store>, faults: Faults, termination: Duration) -> Self {
        Self { store, faults, counts: Arc::default(), termination, resumed: Arc::default() }
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
        let (objects, _) = self.store.list(&NAMESPACES.prefix(), None).unwrap_or_default();
        for object in objects.iter().filter(|object| namespaces::is_terminating(object)) {
            self.terminate(object);
        }
    }

    /// Ends a terminating namespace after a while, as the namespace controller does.
    fn terminate(&self, object: &Object) {
        let service = self.clone();
        let (name, uid) =
            (metadata_text(object, "name").to_owned(), metadata_text(object, "uid").to_owned());
        tokio::spawn(async move {
            service.faults.settle(service.termination).await;
            let store = Arc::clone(&service.store);
            let ended = service.run(move || namespaces::finalize(&store, &name, &uid)).await;
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
        let answered = match path.as_slice() {
            ["readyz" | "livez" | "healthz"] if call.method == Method::GET => {
                return Ok(plain(StatusCode::OK, "ok"));
            }
            ["version"] if call.method == Method::GET => Ok(Reply::ok(version())),
            ["api"] if call.method == Method::GET => Ok(Reply::ok(
                json!({ "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [] }),
            )),
            ["apis"] if call.method == Method::GET => {
                Ok(Reply::ok(json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": [] })))
            }
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
            Err(failure) => {
                Reply { code: failure.code, object: failure.to_json(), warnings: Vec::new() }
                    .into_response()
            }
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
                let object =
                    self.run(move || namespaces::create(&store, object, &writer, dry_run)).await?;
                Ok(Reply { code: StatusCode::CREATED, object: object.into(), warnings })
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
        Ok(Reply { warnings, ..Reply::ok(object.into()) })
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
            let code = if created { StatusCode::CREATED } else { StatusCode::OK };
            return Ok(Reply { code, ..Reply::ok(object.into()) });
        }
        let patch = match serde_json::from_slice(&call.body) {
            Ok(Value::Object(patch)) => patch,
            Ok(other) => {
                return Err(Failure::bad_request(format!(
                    "error decoding patch: json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
                    json_kind(&other)
                )));
            }
            Err(error) => {
                return Err(Failure::bad_request(format!("error decoding patch: {error}")));
            }
        };
        let merge = move || {
            let mut warnings = Vec::new();
            let object = namespaces::update(&store, &name, &writer, dry_run, |live| {
                let mut object = live.clone();
                merge_patch(&mut object, &patch);
                warnings = check_decoded(&object).map_err(|why| {
                    let text = Value::Object(object.clone()).to_string();
                    let fault = Fault::invalid("patch", &text, &why);
                    Failure::invalid("", "", "", &[fault])
                })?;
                check_name(&object, &name)?;
                Ok(object)
            })?;
            Ok((object, warnings))
        };
        let (object, warnings) = self.run(merge).await?;
        Ok(Reply { warnings, ..Reply::ok(object.into()) })
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
        let after = request.continuation.map(|continuation| continuation.after).unwrap_or_default();
        let mut rest = objects
            .iter()
            .filter(|object| metadata_text(object, "name") > after.as_str())
            .filter(|object| request.selector.matches(object));
        let page: Vec<_> = rest.by_ref().take(request.limit.unwrap_or(usize::MAX)).collect();
        let remaining = rest.count();
        let mut metadata = json!({ "resourceVersion": revision.to_string() });
        if let (Value::Object(metadata), Some(last), true) =
            (&mut metadata, page.last(), remaining > 0)
        {
            let next = Continuation { revision, after: metadata_text(last, "name").to_owned() };
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
        let events =
            watch::events(Arc::clone(&self.store), &self.faults, &NAMESPACES, query.watch()?);
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
