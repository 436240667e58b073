//! A stand-in for what runs sessions in a cluster: nodes, and where there are none of a
//! cluster's own, the controllers that make pods of Deployments.
//!
//! Nothing runs. A pod is said to be on a node and ready, and what is deleted goes at once.
//! A pod of an image that is called broken, or with the tag `does-not-exist`, says that its
//! image cannot be pulled.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::StreamExt as _;
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::Deployment,
        core::v1::{PersistentVolumeClaim, Pod},
    },
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt as _, watcher},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::kube::queue::WorkQueue;

/// The labels of what is looked after.
const SESSION_LABEL: &str = "control.stream.space/session";
const HOME_LABEL: &str = "control.stream.space/home";
/// Holds a claim that a pod mounts.
const CLAIM_PROTECTION: &str = "kubernetes.io/pvc-protection";
const HASH_LABEL: &str = "pod-template-hash";
/// How many nodes there are said to be.
const NODES: u32 = 3;
const WORKERS: usize = 4;
/// The tag of an image that is nowhere.
const MISSING_TAG: &str = ":does-not-exist";

/// What the stand-in does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Whether it also makes pods of Deployments: in a cluster without controllers.
    pub controllers: bool,
    /// How long a pod takes to be ready.
    pub latency: Duration,
}

/// Plays nodes and, if asked, controllers until it is stopped. The client must be one that
/// may change managed objects: behind fences that is a member of `system:nodes`.
pub async fn run(client: Client, options: Options, stop: CancellationToken) {
    let kubelet = Arc::new(Kubelet {
        client,
        options,
        queue: WorkQueue::default(),
        pods: Mutex::default(),
        deployments: Mutex::default(),
        claims: Mutex::default(),
    });
    let mut tasks = JoinSet::new();
    tasks.spawn(Arc::clone(&kubelet).follow(SESSION_LABEL, |it| &it.pods, Kubelet::saw_pod));
    tasks.spawn(Arc::clone(&kubelet).follow(
        HOME_LABEL,
        |it| &it.claims,
        |it, key, _| it.queue.add(Work::Claim(key)),
    ));
    if options.controllers {
        tasks.spawn(Arc::clone(&kubelet).follow(
            SESSION_LABEL,
            |it| &it.deployments,
            |it, key, _| it.queue.add(Work::Deployment(key)),
        ));
    }
    for _ in 0..WORKERS {
        tasks.spawn(Arc::clone(&kubelet).work());
    }
    // Dropping the tasks ends them.
    stop.cancelled().await;
}

/// Namespace and name.
type Key = (String, String);
type Store<K> = Mutex<BTreeMap<Key, K>>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Work {
    Pod(Key),
    Deployment(Key),
    Claim(Key),
}

struct Kubelet {
    client: Client,
    options: Options,
    queue: WorkQueue<Work>,
    pods: Store<Pod>,
    deployments: Store<Deployment>,
    claims: Store<PersistentVolumeClaim>,
}

fn lock<K>(store: &Store<K>) -> MutexGuard<'_, BTreeMap<Key, K>> {
    // Every critical section leaves the map whole, also when it unwinds.
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key_of(metadata: &ObjectMeta) -> Key {
    (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}

impl Kubelet {
    /// Keeps what is there of a kind, and has each looked at that changes.
    async fn follow<K>(
        self: Arc<Self>,
        label: &'static str,
        store: fn(&Self) -> &Store<K>,
        tell: fn(&Self, Key, &K),
    ) where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + DeserializeOwned
            + Clone
            + std::fmt::Debug
            + Send
            + 'static,
    {
        let api = Api::<K>::all(self.client.clone());
        let config = watcher::Config::default().labels(label);
        let mut events = pin!(watcher(api, config).default_backoff());
        let mut listed = BTreeSet::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Init) => listed.clear(),
                Ok(watcher::Event::InitApply(object)) => {
                    listed.insert(key_of(object.meta()));
                    self.take(&object, store, tell);
                }
                Ok(watcher::Event::Apply(object)) => self.take(&object, store, tell),
                Ok(watcher::Event::Delete(object)) => {
                    let key = key_of(object.meta());
                    lock(store(&self)).remove(&key);
                    self.look_at_claims_of(&key.0);
                    tell(&self, key, &object);
                }
                Ok(watcher::Event::InitDone) => {
                    lock(store(&self)).retain(|key, _| listed.contains(key));
                }
                Err(error) => tracing::debug!(%error, "a watch of the stand-in broke"),
            }
        }
    }

    fn take<K: Resource + Clone>(
        &self,
        object: &K,
        store: fn(&Self) -> &Store<K>,
        tell: fn(&Self, Key, &K),
    ) {
        let key = key_of(object.meta());
        // A worker may look at it at once.
        lock(store(self)).insert(key.clone(), object.clone());
        tell(self, key, object);
    }

    fn saw_pod(&self, key: Key, pod: &Pod) {
        let waits = pod.metadata.deletion_timestamp.is_none() && !is_ready(pod);
        let delay = if waits { self.options.latency } else { Duration::ZERO };
        let owner = pod.owner_references().iter().find(|owner| owner.kind == "Deployment");
        if let Some(owner) = owner.filter(|_| self.options.controllers) {
            self.queue.add(Work::Deployment((key.0.clone(), owner.name.clone())));
        }
        self.queue.add_after(Work::Pod(key), delay);
    }

    async fn work(self: Arc<Self>) {
        loop {
            let work = self.queue.next().await;
            let done = match &work {
                Work::Pod(key) => self.look_at_pod(key).await,
                Work::Deployment(key) => self.look_at_deployment(key).await,
                Work::Claim(key) => self.bind(key).await,
            };
            match done {
                Ok(()) => self.queue.done(&work),
                Err(kube::Error::Api(status)) if status.code == 404 => self.queue.done(&work),
                Err(error) => {
                    tracing::debug!(?work, %error, "the stand-in tries again");
                    self.queue.failed(work, 0);
                }
            }
        }
    }

    /// Places a pod, says that it runs, and lets it go when it is deleted.
    async fn look_at_pod(&self, key: &Key) -> kube::Result<()> {
        let Some(pod) = lock(&self.pods).get(key).cloned() else { return Ok(()) };
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &key.0);
        if pod.metadata.deletion_timestamp.is_some() {
            let uid = pod.uid();
            let parameters = DeleteParams {
                preconditions: Some(kube::api::Preconditions { uid, resource_version: None }),
                ..DeleteParams::default().grace_period(0)
            };
            api.delete(&key.1, &parameters).await?;
            return Ok(());
        }
        let spec = pod.spec.as_ref();
        if spec.and_then(|spec| spec.node_name.as_deref()).is_none_or(str::is_empty) {
            return self.place(key).await;
        }
        let image = spec.and_then(|spec| spec.containers.first()?.image.clone());
        let image = image.unwrap_or_default();
        let is_broken = image.contains("broken") || image.ends_with(MISSING_TAG);
        let phase = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
        if is_ready(&pod) || (is_broken && phase.is_some()) {
            return Ok(());
        }
        let container = spec.and_then(|spec| spec.containers.first()).map(|it| it.name.clone());
        let status = pod_status(&container.unwrap_or_default(), &image, is_broken);
        let patch = Patch::Merge(json!({ "status": status }));
        api.patch_status(&key.1, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// What a scheduler does.
    async fn place(&self, key: &Key) -> kube::Result<()> {
        let (namespace, name) = key;
        let binding = json!({
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": { "name": name, "namespace": namespace },
            "target": { "apiVersion": "v1", "kind": "Node", "name": node_of(name) },
        });
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}/binding");
        let request = http::Request::post(path)
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(binding.to_string().into_bytes())
            .map_err(kube::Error::HttpError)?;
        self.client.request::<Value>(request).await.map(|_answer| ())
    }

    /// What a provisioner of volumes does.
    async fn bind(&self, key: &Key) -> kube::Result<()> {
        let Some(claim) = lock(&self.claims).get(key).cloned() else { return Ok(()) };
        let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref());
        if claim.metadata.deletion_timestamp.is_some() {
            return self.let_claim_go(key, &claim).await;
        }
        if phase == Some("Bound") {
            return Ok(());
        }
        let Some(spec) = &claim.spec else { return Ok(()) };
        let asked = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref());
        let status = json!({
            "phase": "Bound", "accessModes": spec.access_modes, "capacity": asked,
        });
        let api: Api<PersistentVolumeClaim> = Api::namespaced(self.client.clone(), &key.0);
        let patch = Patch::Merge(json!({ "status": status }));
        api.patch_status(&key.1, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// What the controller that protects claims does: one that is deleted goes once no pod
    /// mounts it.
    async fn let_claim_go(&self, key: &Key, claim: &PersistentVolumeClaim) -> kube::Result<()> {
        let finalizers = claim.finalizers();
        let is_held = finalizers.iter().any(|finalizer| finalizer == CLAIM_PROTECTION);
        let mounts = |pod: &Pod| {
            let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
            let mut claims = volumes.filter_map(|volume| volume.persistent_volume_claim.as_ref());
            claims.any(|mounted| mounted.claim_name == key.1)
        };
        let in_use = lock(&self.pods).iter().any(|(pod, it)| pod.0 == key.0 && mounts(it));
        if in_use || !is_held {
            return Ok(());
        }
        let left: Vec<&String> =
            finalizers.iter().filter(|finalizer| *finalizer != CLAIM_PROTECTION).collect();
        let patch = Patch::Merge(json!({ "metadata": {
            "uid": claim.uid(), "resourceVersion": claim.resource_version(), "finalizers": left,
        } }));
        let api: Api<PersistentVolumeClaim> = Api::namespaced(self.client.clone(), &key.0);
        api.patch(&key.1, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// Something of a namespace is gone that may have held a claim.
    fn look_at_claims_of(&self, namespace: &str) {
        let is_leaving =
            |claim: &PersistentVolumeClaim| claim.metadata.deletion_timestamp.is_some();
        for (key, claim) in lock(&self.claims).iter() {
            if key.0 == namespace && is_leaving(claim) {
                self.queue.add(Work::Claim(key.clone()));
            }
        }
    }

    /// What the controllers of Deployments and their replica sets do.
    async fn look_at_deployment(&self, key: &Key) -> kube::Result<()> {
        let Some(deployment) = lock(&self.deployments).get(key).cloned() else { return Ok(()) };
        if deployment.metadata.deletion_timestamp.is_some() {
            return Ok(());
        }
        let uid = deployment.uid().unwrap_or_default();
        let is_ours = |pod: &&Pod| pod.owner_references().iter().any(|owner| owner.uid == uid);
        let pods: Vec<Pod> = {
            let pods = lock(&self.pods);
            pods.values()
                .filter(|pod| pod.namespace().as_ref() == Some(&key.0))
                .filter(is_ours)
                .cloned()
                .collect()
        };
        let hash = template_hash(&deployment);
        let is_current = |pod: &&Pod| pod.labels().get(HASH_LABEL) == Some(&hash);
        let lives = |pod: &&Pod| pod.metadata.deletion_timestamp.is_none();
        let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        let wanted = usize::try_from(wanted).unwrap_or_default();
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &key.0);
        let current: Vec<&Pod> = pods.iter().filter(is_current).filter(lives).collect();
        let surplus = current.iter().skip(wanted).copied();
        let old = pods.iter().filter(|pod| !is_current(pod)).filter(lives);
        for pod in surplus.chain(old) {
            api.delete(&pod.name_any(), &DeleteParams::default()).await?;
        }
        let mut refused = None;
        // The pods of an earlier template go first.
        if pods.iter().all(|pod| is_current(&pod)) {
            for _ in current.len()..wanted {
                match api.create(&PostParams::default(), &pod_of(&deployment, &hash)).await {
                    Ok(pod) => {
                        lock(&self.pods).insert(key_of(&pod.metadata), pod);
                    }
                    Err(kube::Error::Api(status)) => {
                        refused = Some(status.message.clone());
                        break;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        self.tell(key, &deployment, &pods, refused.as_deref()).await?;
        if refused.is_some() {
            // A quota may have room later.
            self.queue.add_after(Work::Deployment(key.clone()), Duration::from_secs(1));
        }
        Ok(())
    }

    /// The status of a Deployment, where it is otherwise.
    async fn tell(
        &self,
        key: &Key,
        deployment: &Deployment,
        pods: &[Pod],
        refused: Option<&str>,
    ) -> kube::Result<()> {
        let ready = pods.iter().filter(|pod| is_ready(pod)).count();
        let mut conditions = vec![json!({
            "type": "Available", "status": if ready > 0 { "True" } else { "False" },
            "reason": "Stated", "message": "",
        })];
        if let Some(message) = refused {
            conditions.push(json!({
                "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
                "message": message,
            }));
        }
        let wished = json!({
            "observedGeneration": deployment.metadata.generation,
            "replicas": pods.len(), "updatedReplicas": pods.len(),
            "readyReplicas": ready, "availableReplicas": ready,
            "conditions": conditions,
        });
        let live = serde_json::to_value(&deployment.status).unwrap_or_default();
        let stands = wished
            .as_object()
            .into_iter()
            .flatten()
            .all(|(field, value)| live.get(field).unwrap_or(&json!(0)) == value);
        if stands {
            return Ok(());
        }
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), &key.0);
        let patch = Patch::Merge(json!({ "status": wished }));
        api.patch_status(&key.1, &PatchParams::default(), &patch).await?;
        Ok(())
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|it| it.type_ == "Ready" && it.status == "True")
}

/// The node of a pod of this name.
fn node_of(name: &str) -> String {
    let sum = name.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    format!("node-{}", sum % NODES + 1)
}

fn template_hash(deployment: &Deployment) -> String {
    let template = deployment.spec.as_ref().map(|spec| &spec.template);
    let text = serde_json::to_string(&template).unwrap_or_default();
    let sum = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{:010x}", sum & 0xff_ffff_ffff)
}

fn pod_of(deployment: &Deployment, hash: &str) -> Pod {
    let template = deployment.spec.as_ref().map(|spec| spec.template.clone()).unwrap_or_default();
    let suffix: String = Uuid::new_v4().simple().to_string().chars().take(5).collect();
    let name = format!("{}-{hash}-{suffix}", deployment.name_any());
    let mut metadata = template.metadata.unwrap_or_default();
    metadata.labels.get_or_insert_default().insert(HASH_LABEL.to_owned(), hash.to_owned());
    metadata.namespace = deployment.namespace();
    metadata.owner_references = Some(vec![OwnerReference {
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        name: deployment.name_any(),
        uid: deployment.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: None,
    }]);
    let mut spec = template.spec.unwrap_or_default();
    spec.node_name = Some(node_of(&name));
    metadata.name = Some(name);
    Pod { metadata, spec: Some(spec), status: None }
}

fn pod_status(container: &str, image: &str, is_broken: bool) -> Value {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let condition = |kind: &str, holds: bool| {
        json!({
            "type": kind, "status": if holds { "True" } else { "False" },
            "lastTransitionTime": now,
        })
    };
    let state = if is_broken {
        json!({ "waiting": {
            "reason": "ImagePullBackOff",
            "message": format!("Back-off pulling image \"{image}\": not found"),
        } })
    } else {
        json!({ "running": { "startedAt": now } })
    };
    json!({
        "phase": if is_broken { "Pending" } else { "Running" },
        "startTime": now,
        "conditions": [
            condition("PodScheduled", true), condition("Initialized", true),
            condition("ContainersReady", !is_broken), condition("Ready", !is_broken),
        ],
        "containerStatuses": [{
            "name": container, "image": image, "imageID": "", "restartCount": 0,
            "ready": !is_broken, "started": !is_broken, "state": state,
        }],
    })
}
