//! What the cluster refuses in a tenant's namespace, tried with dry runs: every check of
//! the API server, and nothing is kept.
//!
//! They run under the acting identity, which more is allowed than a tenant: what is
//! refused to it is refused by admission.

use std::time::Duration;

use futures::{FutureExt as _, future::join_all};
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::{Api, api::PostParams};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{Rule, Verdict};
use crate::{
    kube::{Cluster, ClusterError, limited},
    tenants::TenantRecord,
};

/// The name of what is tried.
const NAME: &str = "streamspace-isolation-check";

/// In a refusal of a pod: the cluster has not yet made the namespace's service account,
/// which its controllers do a moment after the namespace, one account after another.
const NO_ACCOUNT: &str = "error looking up service account";
/// So long a trial waits for that account, well within a client's patience.
const ACCOUNT_PATIENCE: Duration = Duration::from_secs(5);
const ACCOUNT_RETRY: Duration = Duration::from_millis(200);

/// One thing that must be refused, and in which words.
struct Trial {
    rule: Rule,
    object: Object,
    /// Any of these in the refusal shows that the right rule refused.
    words: &'static [&'static str],
}

enum Object {
    Pod(Value),
    Service(Value),
}

/// Tries what must be refused.
pub(crate) async fn trials(
    cluster: &Cluster,
    leader_term: i64,
    tenant: &TenantRecord,
) -> Vec<Verdict> {
    let acting = cluster.acting(leader_term);
    let trials = all(tenant).into_iter().map(|trial| {
        let acting = acting.as_ref().map(Clone::clone).map_err(ToString::to_string);
        let namespace = tenant.namespace.clone();
        async move {
            match acting {
                Ok(acting) => trial.run(&acting, &namespace).await,
                Err(error) => trial.rule.verdict(None, error),
            }
        }
        .boxed()
    });
    join_all(trials).await
}

fn all(tenant: &TenantRecord) -> Vec<Trial> {
    const POD_SECURITY: &[&str] = &["violates PodSecurity"];
    const QUOTA: &[&str] = &["exceeded quota"];
    let container = |more: &Value| {
        let mut container = json!({
            "name": "check", "image": "registry.k8s.io/pause",
            "resources": {
                "requests": {"cpu": "1m", "memory": "1Mi"}, "limits": {"cpu": "1m", "memory": "1Mi"},
            },
        });
        if let (Some(container), Some(more)) = (container.as_object_mut(), more.as_object()) {
            container.extend(more.clone());
        }
        container
    };
    let pod = |rule, spec: Value, words| Trial { rule, object: Object::Pod(spec), words };
    let service = |rule, kind: &str| Trial {
        rule,
        object: Object::Service(json!({"type": kind, "ports": [{"port": 80}]})),
        words: QUOTA,
    };
    // As large as a container may be, and three of them: together over the quota.
    let quota = tenant.quota();
    let large = json!({"cpu": quota.cpu.canonical(), "memory": quota.memory.canonical()});
    let large = |name: &str| {
        container(&json!({"name": name, "resources": {"requests": large, "limits": large}}))
    };
    vec![
        pod(
            Rule { id: "no-privileged-pods", description: "No pod of the tenant is privileged." },
            json!({"containers": [container(&json!({"securityContext": {"privileged": true}}))]}),
            POD_SECURITY,
        ),
        pod(
            Rule {
                id: "no-host-paths",
                description: "No pod of the tenant reaches the files of its node.",
            },
            json!({
                "containers": [container(&json!({}))],
                "volumes": [{"name": "root", "hostPath": {"path": "/"}}],
            }),
            POD_SECURITY,
        ),
        pod(
            Rule {
                id: "no-host-network",
                description: "No pod of the tenant is in the network of its node.",
            },
            json!({"hostNetwork": true, "containers": [container(&json!({}))]}),
            POD_SECURITY,
        ),
        pod(
            Rule {
                id: "no-host-processes",
                description: "No pod of the tenant sees the processes of its node.",
            },
            json!({"hostPID": true, "hostIPC": true, "containers": [container(&json!({}))]}),
            POD_SECURITY,
        ),
        service(
            Rule { id: "no-node-ports", description: "The tenant opens no port on the nodes." },
            "NodePort",
        ),
        service(
            Rule {
                id: "no-load-balancers",
                description: "The tenant gets no load balancer of its own.",
            },
            "LoadBalancer",
        ),
        pod(
            Rule {
                id: "no-pods-over-quota",
                description: "No pod of the tenant requests more than its quota.",
            },
            json!({"containers": [large("a"), large("b"), large("c")]}),
            QUOTA,
        ),
    ]
}

impl Trial {
    async fn run(self, acting: &Cluster, namespace: &str) -> Verdict {
        let deadline = Instant::now() + ACCOUNT_PATIENCE;
        let mut result = self.try_once(acting, namespace).await;
        while lacks_account(&result) && Instant::now() < deadline {
            sleep(ACCOUNT_RETRY).await;
            result = self.try_once(acting, namespace).await;
        }
        if lacks_account(&result) {
            let message = format!(
                "the cluster has not made the service account default of {namespace} yet, without \
                 which it takes no pod: check again in a minute"
            );
            return self.rule.verdict(None, message);
        }
        match result {
            Ok(()) => self.rule.verdict(Some(false), "the cluster would have accepted it"),
            Err(ClusterError::Refused { message, .. }) => {
                let expected = self.words.iter().any(|words| message.contains(words));
                // A refusal for another reason shows nothing of this rule.
                self.rule.verdict(expected.then_some(true), message)
            }
            Err(error) => self.rule.verdict(None, error.to_string()),
        }
    }

    async fn try_once(&self, acting: &Cluster, namespace: &str) -> Result<(), ClusterError> {
        match &self.object {
            Object::Pod(spec) => dry_run::<Pod>(acting, namespace, "Pod", spec).await,
            Object::Service(spec) => dry_run::<Service>(acting, namespace, "Service", spec).await,
        }
    }
}

fn lacks_account(result: &Result<(), ClusterError>) -> bool {
    matches!(result, Err(ClusterError::Refused { message, .. }) if message.contains(NO_ACCOUNT))
}

async fn dry_run<K>(
    acting: &Cluster,
    namespace: &str,
    kind: &str,
    spec: &Value,
) -> Result<(), ClusterError>
where
    K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + serde::Serialize
        + DeserializeOwned
        + Clone
        + std::fmt::Debug,
{
    let object = json!({
        "apiVersion": "v1", "kind": kind,
        "metadata": {"name": NAME, "namespace": namespace}, "spec": spec,
    });
    let object: K = serde_json::from_value(object)
        .map_err(|error| ClusterError::Configuration(error.to_string()))?;
    let api: Api<K> = Api::namespaced(acting.client().clone(), namespace);
    let parameters = PostParams { dry_run: true, ..PostParams::default() };
    limited(api.create(&parameters, &object)).await.map(|_| ())
}
