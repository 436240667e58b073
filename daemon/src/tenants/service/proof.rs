//! What the cluster has of a tenant, and the proof of its isolation. Nothing is written.

use streamspace_proto::v1;

use super::{Tenants, tenant_id};
use crate::{
    db::Scope,
    platform::features,
    rpc::{
        Caller,
        errors::{RpcError, RpcResult},
    },
    tenants::{
        TenantRecord,
        check::{self, Verdict},
        decide::Wish,
        objects::{self, ObjectState, ObjectStatus},
        store,
    },
};

impl Tenants {
    async fn record(&self, caller: &Caller, name: &str) -> RpcResult<TenantRecord> {
        let id = tenant_id("name", name)?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let tenant = store::by_id(&mut tx, &id).await?;
        tenant.ok_or_else(|| RpcError::NotFound(id.to_name()))
    }

    /// What should be there, in a cluster that serves what this one does. One that does
    /// not answer is taken for one that serves nothing beside Kubernetes itself; each
    /// object then says that it cannot be read.
    async fn wishes(&self, tenant: &TenantRecord) -> Vec<Wish> {
        let features = features::look(&self.cluster).await.unwrap_or_default();
        self.wishes.of(tenant, features)
    }

    async fn read_objects(&self, tenant: &TenantRecord) -> Result<Vec<ObjectStatus>, String> {
        let wishes = self.wishes(tenant).await;
        objects::objects_of(&self.cluster, &self.instance, tenant, &wishes)
            .await
            .map_err(|error| error.to_string())
    }

    pub(super) async fn objects(
        &self,
        caller: &Caller,
        name: &str,
    ) -> RpcResult<v1::ListTenantObjectsResponse> {
        let tenant = self.record(caller, name).await?;
        let objects = self.read_objects(&tenant).await.map_err(|message| RpcError::Refused {
            reason: "CLUSTER_UNAVAILABLE",
            message: format!("the cluster does not tell what it has: {message}"),
        })?;
        let objects = objects.into_iter().map(shown).collect();
        Ok(v1::ListTenantObjectsResponse { objects })
    }

    pub(super) async fn prove(
        &self,
        caller: &Caller,
        name: &str,
    ) -> RpcResult<v1::CheckTenantResponse> {
        let tenant = self.record(caller, name).await?;
        let leader_term = self.leadership.borrow().leader_term;
        let mut tx = self.db.begin(&Scope::Region).await?;
        let others = check::namespaces_of_others(&mut tx, tenant.uid).await?;
        drop(tx);
        let objects = async { check::objects(self.read_objects(&tenant).await) };
        let rights = check::rights(&self.cluster, &tenant, &others);
        let trials = check::trials(&self.cluster, leader_term, &tenant);
        let database = check::database(&self.db, &tenant);
        let (objects, rights, trials, database) = tokio::join!(objects, rights, trials, database);
        let mut verdicts = vec![objects];
        verdicts.extend(rights);
        verdicts.extend(trials);
        verdicts.push(database);
        let holds = verdicts.iter().all(|verdict| verdict.holds == Some(true));
        Ok(v1::CheckTenantResponse { rules: verdicts.into_iter().map(rule).collect(), holds })
    }
}

fn rule(verdict: Verdict) -> v1::IsolationRule {
    let status = match verdict.holds {
        Some(true) => v1::ConditionStatus::True,
        Some(false) => v1::ConditionStatus::False,
        None => v1::ConditionStatus::Unknown,
    };
    v1::IsolationRule {
        rule: verdict.rule.into(),
        description: verdict.description.into(),
        status: status.into(),
        message: verdict.message,
    }
}

fn shown(object: ObjectStatus) -> v1::TenantObject {
    let state = match object.state {
        ObjectState::InSync => v1::TenantObjectState::InSync,
        ObjectState::Drifted => v1::TenantObjectState::Drifted,
        ObjectState::Missing => v1::TenantObjectState::Missing,
        ObjectState::Extra => v1::TenantObjectState::Extra,
        ObjectState::Unknown => v1::TenantObjectState::Unknown,
    };
    v1::TenantObject {
        kind: object.kind.as_str().into(),
        name: object.name,
        namespace: object.namespace,
        state: state.into(),
        message: object.message,
    }
}
