//! The bare limit of a burst of tenants: a loop that applies the very objects that the
//! daemon applies, under an installation of its own that has no daemon. The API server
//! checks its writes just as the daemon's.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use streamspace_tests::{
    region::Region,
    wait::{holds, within},
};
use streamspaced::{
    config::Config,
    kube::{Cluster, ClusterConfig, INSTANCE_LABEL, Kind, index::is_counted},
    tenants::{
        TenantRecord,
        decide::Wish,
        manifests::{Surroundings, objects},
    },
};
use tempfile::TempDir;
use tokio::task::JoinSet;
use uuid::Uuid;

/// How many tenants the daemon works on at a time.
pub(crate) const AT_A_TIME: usize = 16;

/// The objects of one tenant, in the order in which they are applied.
#[derive(Debug)]
pub(crate) struct Objects {
    namespace: String,
    wishes: Vec<Wish>,
}

/// An installation without a daemon.
pub(crate) struct Bare {
    instance: String,
    surroundings: Surroundings,
    cluster: Cluster,
    acting: Cluster,
    _folder: TempDir,
}

impl Bare {
    /// Installs it beside the region's own, in the same cluster.
    pub(crate) async fn install(region: &Region) -> Self {
        let instance = format!("bare{}", std::process::id());
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let text = std::fs::read_to_string(region.config()).unwrap();
        let mut table: toml::Table = toml::from_str(&text).unwrap();
        let section = table.get_mut("cluster").and_then(toml::Value::as_table_mut).unwrap();
        section.insert("instance".into(), instance.clone().into());
        std::fs::write(path("streamspaced.toml"), table.to_string()).unwrap();
        let config = path("streamspaced.toml").display().to_string();
        let administrator = region.cluster().kubeconfig().display().to_string();
        let arguments = ["cluster", "install", "--config", &config, "--kubeconfig", &administrator];
        region.host(&arguments).await;
        let account = region.cluster().service_account(&instance).await.unwrap();
        std::fs::write(path("kubeconfig"), account).unwrap();
        let config = ClusterConfig {
            kubeconfig: Some(path("kubeconfig")),
            instance: instance.clone(),
            ..ClusterConfig::default()
        };
        let cluster = Cluster::open(&config).await.unwrap();
        let surroundings = Surroundings {
            instance: instance.clone(),
            control_namespace: format!("{instance}-system"),
            network: Config::read(&region.config()).unwrap().tenants.network,
            // The definitions are installed.
            sessions_counted: true,
        };
        let acting = cluster.acting(1).unwrap();
        Self { instance, surroundings, cluster, acting, _folder: folder }
    }

    /// Who applies, to the API server.
    pub(crate) fn user(&self) -> String {
        format!("{}:daemon", self.instance)
    }

    /// What the namespaces of these begin with.
    pub(crate) fn prefix(&self) -> String {
        format!("{}-", self.instance)
    }

    /// The objects of these tenants, under this installation's name.
    pub(crate) fn objects(&self, tenants: &[TenantRecord]) -> Vec<Objects> {
        let of = |tenant: &TenantRecord| {
            let mut tenant = tenant.clone();
            tenant.uid.0 = Uuid::now_v7();
            tenant.namespace = format!("{}{}", self.prefix(), tenant.spec.id.as_str());
            let wishes = objects(&tenant, &tenant.quota(), &self.surroundings);
            let wishes =
                wishes.iter().map(|object| Wish::new(object.to_json()).expect("a managed kind"));
            Objects { wishes: wishes.collect(), namespace: tenant.namespace.clone() }
        };
        tenants.iter().map(of).collect()
    }

    /// Applies them: as many tenants at a time as the daemon, each in order.
    pub(crate) async fn apply(&self, tenants: Vec<Objects>) {
        let waiting = Arc::new(Mutex::new(tenants.into_iter()));
        let mut workers = JoinSet::new();
        for _ in 0..AT_A_TIME {
            let (waiting, acting) = (Arc::clone(&waiting), self.acting.clone());
            workers.spawn(async move {
                loop {
                    let next = waiting.lock().unwrap().next();
                    let Some(Objects { namespace, wishes }) = next else { return };
                    for Wish { kind, name, value, .. } in &wishes {
                        acting.apply(*kind, &namespace, name, value).await.unwrap();
                    }
                }
            });
        }
        while let Some(ended) = workers.join_next().await {
            ended.unwrap();
        }
    }

    /// Waits until the cluster counts against every quota of so many tenants.
    pub(crate) async fn counted(&self, tenants: usize) {
        let selector = format!("{INSTANCE_LABEL}={}", self.instance);
        within(Duration::from_mins(10), "every quota is counted", async || {
            let quotas = self.cluster.list(Kind::ResourceQuota, None, &selector).await;
            let quotas = quotas.map_err(|error| error.to_string())?;
            let counted = quotas.iter().filter(|quota| is_counted(quota)).count();
            holds(counted >= tenants, || format!("{counted} of {tenants} are"))
        })
        .await;
    }
}
