//! Sessions as people treat them, through the cluster alone: nobody else need live.

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Error,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use streamspace_tests::{
    sessions::{create, object},
    wait::{holds, within},
};
use tokio::time::sleep;

use super::{
    PATIENCE,
    script::{Course, Request, Step},
};

/// Where the sessions of a seed are.
pub(super) struct Stage {
    pub(super) sessions: Api<DynamicObject>,
    /// As nodes see them.
    pub(super) pods: Api<Pod>,
}

impl Stage {
    /// All steps of a session.
    pub(super) async fn play(&self, course: &Course) {
        let Course { name, .. } = course;
        for step in &course.steps {
            sleep(step.pause).await;
            match step.what {
                Step::Run => {
                    if !self.wish(name, &json!({"state": "running"})).await {
                        self.create(course).await;
                    }
                }
                Step::Sleep => {
                    self.wish(name, &json!({"state": "hibernated"})).await;
                }
                Step::Resize(request) => {
                    self.wish(name, &json!({"resources": resources(request)})).await;
                }
                Step::Crash => self.crash(name).await,
                Step::Renew => {
                    self.delete(name).await;
                    within(PATIENCE, &format!("{name} is gone"), async || {
                        let live = self.sessions.get_opt(name).await;
                        holds(matches!(live, Ok(None)), || format!("{live:?}"))
                    })
                    .await;
                    self.create(course).await;
                }
            }
        }
        if course.goes {
            self.delete(name).await;
        } else {
            self.wish(name, &json!({"state": "hibernated"})).await;
        }
    }

    async fn create(&self, course: &Course) {
        let session = session(&course.name, course.request);
        create(&self.sessions, &session).await;
    }

    /// Changes what is wished of a session. Whether there is one.
    async fn wish(&self, name: &str, spec: &Value) -> bool {
        let patch = Patch::Merge(json!({"spec": spec}));
        there(self.sessions.patch(name, &PatchParams::default(), &patch).await)
    }

    async fn delete(&self, name: &str) {
        there(self.sessions.delete(name, &DeleteParams::default()).await);
    }

    async fn crash(&self, name: &str) {
        let labels = format!("control.stream.space/session={name}");
        for pod in self.pods.list(&ListParams::default().labels(&labels)).await.unwrap() {
            let pod = pod.metadata.name.unwrap_or_default();
            there(self.pods.delete(&pod, &DeleteParams::default()).await);
        }
    }
}

/// Whether there was something to change.
fn there<T>(done: kube::Result<T>) -> bool {
    match done {
        Ok(_) => true,
        Err(Error::Api(status)) if status.code == 404 => false,
        Err(error) => panic!("{error}"),
    }
}

/// A session that is to run. Each is of a user of its own.
pub(super) fn session(name: &str, request: Request) -> DynamicObject {
    object(json!({
        "apiVersion": "stream.space/v1alpha1", "kind": "Session",
        "metadata": {"name": name},
        "spec": {
            "user": format!("user-of-{name}"), "template": "firefox",
            "state": "running", "persistentHome": false, "resources": resources(request),
        },
    }))
}

fn resources(request: Request) -> Value {
    let Request { millicores, mebibytes } = request;
    json!({"cpu": format!("{millicores}m"), "memory": format!("{mebibytes}Mi")})
}
