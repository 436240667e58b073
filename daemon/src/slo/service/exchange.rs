//! SLOs as text: from `OpenSLO`, and to it and to rules of Prometheus.

use std::fmt::Write as _;

use streamspace_core::{
    slo::{Minute, Slo, openslo, promql},
    violation::Violation,
};
use streamspace_proto::v1::{self, SloFormat};

use super::{Slos, missing, shown, slo_id};
use crate::{
    db::DbError,
    rpc::{
        Caller,
        errors::{RpcError, RpcResult},
        once::Once,
    },
    slo::store,
};

const TEXT_MAXIMUM: usize = 1 << 20;

impl Slos {
    pub(in crate::slo) async fn import(
        &self,
        caller: &Caller,
        request: &v1::ImportSlosRequest,
    ) -> RpcResult<v1::ImportSlosResponse> {
        let read = read(&request.openslo)?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let once = Once::of(caller, "ImportSlos", &request.request_id, request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let mut slos = Vec::with_capacity(read.slos.len());
        let mut all: Vec<&Slo> = read.slos.iter().collect();
        // One order for all who lock several.
        all.sort_by(|a, b| a.id.cmp(&b.id));
        for slo in all {
            slos.push(self.put(&mut tx, slo).await?);
        }
        let count = |outcome: &str| slos.iter().filter(|slo| slo.outcome == outcome).count();
        let (created, changed) = (count("created"), count("changed"));
        let reply = v1::ImportSlosResponse { slos, notes: read.notes };
        if request.validate_only {
            return Ok(reply);
        }
        once.remember(&mut tx, &reply).await?;
        caller.notes.changes(format!("{created} created, {changed} changed"));
        tx.commit().await.map_err(DbError::from)?;
        Ok(reply)
    }

    async fn put(&self, tx: &mut sqlx::PgConnection, slo: &Slo) -> RpcResult<v1::ImportedSlo> {
        let (record, outcome) = match store::lock(tx, &slo.id).await? {
            Some(current) if current.slo == *slo => (current, "unchanged"),
            Some(current) => (self.write(tx, &current, slo).await?, "changed"),
            None => {
                let first = Minute::holding(self.now());
                let made = store::insert(tx, slo, false, first).await?;
                (made.ok_or_else(|| RpcError::AlreadyExists(slo.id.to_name()))?, "created")
            }
        };
        Ok(v1::ImportedSlo { slo: Some(shown(&record, 0)), outcome: outcome.to_owned() })
    }

    pub(in crate::slo) async fn export(
        &self,
        caller: &Caller,
        request: &v1::ExportSlosRequest,
    ) -> RpcResult<v1::ExportSlosResponse> {
        let mut tx = self.db.begin(&caller.scope).await?;
        let records = if request.slos.is_empty() {
            store::list(&mut tx).await?
        } else {
            let mut records = Vec::new();
            for name in &request.slos {
                let id = slo_id("slos", name)?;
                records.push(store::get(&mut tx, &id).await?.ok_or_else(|| missing(&id))?);
            }
            records
        };
        drop(tx);
        let slos: Vec<Slo> = records.into_iter().map(|record| record.slo).collect();
        let text = match request.format() {
            SloFormat::Openslo => documents(&slos),
            SloFormat::Prometheus => rules(&slos, !request.slos.is_empty()),
            SloFormat::Unspecified => {
                return Err(RpcError::field("format", "must be OPENSLO or PROMETHEUS"));
            }
        };
        Ok(v1::ExportSlosResponse { text: text? })
    }
}

fn read(text: &str) -> RpcResult<openslo::Read> {
    if text.len() > TEXT_MAXIMUM {
        return Err(RpcError::field("openslo", "is larger than 1 MiB: split it"));
    }
    let documents: Vec<serde_json::Value> = serde_saphyr::from_multiple(text)
        .map_err(|error| RpcError::field("openslo", format!("is no YAML: {error}")))?;
    openslo::read(&documents).map_err(RpcError::Invalid)
}

fn documents(slos: &[Slo]) -> RpcResult<String> {
    let mut text = String::new();
    for slo in slos {
        text.push_str("---\n");
        text.push_str(&yaml(&openslo::write(slo))?);
    }
    Ok(text)
}

fn rules(slos: &[Slo], are_named: bool) -> RpcResult<String> {
    let mut groups = Vec::new();
    let mut left_out = String::new();
    let mut faults = Vec::new();
    for slo in slos {
        match promql::rules(slo) {
            Ok(group) => groups.push(group),
            Err(why) if are_named => faults.push(Violation {
                field: "slos".into(),
                description: format!("{} cannot be exported: {why}", slo.id.to_name()),
            }),
            Err(why) => {
                // Writing into a string does not fail.
                let _written = writeln!(left_out, "# {} is left out: {why}.", slo.id.as_str());
            }
        }
    }
    if !faults.is_empty() {
        return Err(RpcError::Invalid(faults));
    }
    Ok(format!(
        "# Rules of the region's service level objectives, by `ssctl slo export --format \
         prometheus`.\n{left_out}{}",
        yaml(&promql::RuleFile { groups })?
    ))
}

fn yaml(value: &impl serde::Serialize) -> RpcResult<String> {
    serde_saphyr::to_string(value).map_err(|error| RpcError::Internal(error.to_string()))
}
