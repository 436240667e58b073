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
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::{Value, json};

use crate::{
    admission::Policies,
    body::Call,
    counts::{Counts, Verb},
    faults::{Effect, Faults, Refusal},
    kinds::{EXTENSIONS, Kinds, View},
    objects,
    options::Query,
    reply::{Reply, ResponseBody, groups, json_response, plain, resources, version, whole},
    status::Failure,
    store::Store,
    user::User,
};

mod reactions;
mod reading;
mod route;
mod writing;

use route::Route;

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
    policies: Arc<Policies>,
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
            policies: Arc::default(),
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
        self.collect();
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
            user: Arc::new(User::of(&parts.headers)),
            method: parts.method,
            body,
        };
        let route = Route::of(&self.kinds, parts.uri.path());
        let Some(verb) = route.verb(&call) else {
            return Ok(match route {
                Route::Nothing(..) | Route::Missing(_) => self.inform(&route),
                _ => Reply::failed(&Failure::method_not_allowed()).into_response(),
            });
        };
        if self.faults.is_idle() {
            return Ok(self.serve(route, verb, call, None).await);
        }
        let in_body = if verb == Verb::Create { call.name_in_body() } else { String::new() };
        let strike = self.faults.strike(&route.target(verb, &in_body));
        if !strike.delay.is_zero() {
            tokio::time::sleep(strike.delay).await;
        }
        match strike.end {
            Some(Effect::Drop) => Err(broken("before the request was looked at")),
            Some(Effect::Lose) => {
                self.serve(route, verb, call, None).await;
                Err(broken("before the answer"))
            }
            // A watch opens, and is told in the stream that its version is gone.
            Some(Effect::Refuse { refusal, retry_after_seconds })
                if verb != Verb::Watch || refusal != Refusal::Gone =>
            {
                self.count(&route, verb, &call);
                let mut failure = route.refusal(refusal, route.target(verb, &in_body).name);
                failure.retry_after(retry_after_seconds);
                Ok(Reply::failed(&failure).into_response())
            }
            end => Ok(self.serve(route, verb, call, end).await),
        }
    }

    /// Counts a request that is refused before it is looked at.
    fn count(&self, route: &Route, verb: Verb, call: &Call) {
        if matches!(route, Route::Collection(_) | Route::Object { .. }) {
            self.counts.add(verb, call.query.text("dryRun") == "All");
        }
    }

    /// Answers; `end` is what befalls a watch.
    async fn serve(
        &self,
        route: Route,
        verb: Verb,
        call: Call,
        end: Option<Effect>,
    ) -> Response<ResponseBody> {
        let answered = match route {
            Route::Collection(place) => match verb {
                Verb::Watch => {
                    self.counts.add(Verb::Watch, false);
                    return self
                        .watch(&call.query, place, end)
                        .unwrap_or_else(|failure| Reply::failed(&failure).into_response());
                }
                Verb::List => {
                    self.counts.add(Verb::List, false);
                    match self.list(&call.query, &place).await {
                        Ok(text) => return json_response(StatusCode::OK, whole(text)),
                        Err(failure) => Err(failure),
                    }
                }
                Verb::DeleteCollection => match self.delete_collection(&call, place).await {
                    Ok(text) => return json_response(StatusCode::OK, whole(text)),
                    Err(failure) => Err(failure),
                },
                _ => self.create(call, place).await,
            },
            Route::Object { place, name, subresource } => match verb {
                Verb::Get => self.get(&call, &place, &name, View::of(&subresource)).await,
                Verb::Update => self.replace(call, place, name, View::of(&subresource)).await,
                Verb::Patch => self.patch(call, place, name, View::of(&subresource)).await,
                _ => self.delete(&call, place, name).await,
            },
            Route::Review(place) => self.review(&call, &place),
            route => return self.inform(&route),
        };
        answered.unwrap_or_else(|failure| Reply::failed(&failure)).into_response()
    }

    /// What is no object: health, version, discovery, and nothing.
    fn inform(&self, route: &Route) -> Response<ResponseBody> {
        let answered = match route {
            Route::Health => return plain(StatusCode::OK, "ok"),
            Route::Version => Ok(version()),
            Route::Core => Ok(
                json!({ "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [] }),
            ),
            Route::Groups => Ok(groups(&self.kinds)),
            Route::Kinds(group, version) => {
                resources(&self.kinds, group, version).ok_or_else(Failure::unknown_path)
            }
            Route::Missing(failure) => Err(Failure::clone(failure)),
            Route::Nothing(code, false) => return plain(*code, "404 page not found\n"),
            _ => Err(Failure::unknown_path()),
        };
        let reply: Result<Value, Failure> = answered;
        reply.map_or_else(|failure| Reply::failed(&failure), Reply::ok).into_response()
    }
}

fn broken(when: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::ConnectionReset,
        format!("an injected fault broke the connection {when}"),
    )
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
