//! A certificate that names three tenants sees just these, and one that was revoked sees
//! nothing more, on every replica.

use std::time::{Duration, Instant};

use serde_json::Value;
use streamspace_tests::{
    region::Region,
    replica::Replica,
    runtime::story,
    ssctl::{Following, Ssctl},
    wait::{holds, until},
};

const ENDS_WITHIN: Duration = Duration::from_secs(1);

async fn tenants(region: &Region, ids: &[&str]) {
    for id in ids {
        let create = ["tenant", "create", id, "--plan", "free", "--seats", "1", "--label", "s=1"];
        region.admin().ok(&[&create[..], &["--wait"]].concat()).await;
    }
}

async fn scoped(region: &Region, name: &str, role: &str, ids: &[&str]) -> Ssctl {
    let mut create = vec!["token", "create", "--operator", name, "--role", role];
    for id in ids {
        create.extend(["--tenant", id]);
    }
    let token = region.admin().json(&create).await;
    let token = token["token"].as_str().unwrap().to_owned();
    let machine = region.machine(name);
    machine.ok(&["login", &region.grpc().to_string(), "--token", &token]).await;
    machine
}

#[test]
fn a_certificate_of_three_tenants_sees_just_these() {
    story(async {
        let region = Region::start().await;
        let (own, others) = (["own-a", "own-b", "own-c"], ["other-a", "other-b"]);
        tenants(&region, &own).await;
        tenants(&region, &others).await;
        let person = scoped(&region, "tess", "operator", &own).await;

        // List, filters and counts.
        let ids = async |filter: &str| {
            let listed = person.json(&["tenant", "list", "--filter", filter]).await;
            let mut ids: Vec<String> = listed
                .as_array()
                .unwrap()
                .iter()
                .map(|t| t["name"].as_str().unwrap().replace("tenants/", ""))
                .collect();
            ids.sort();
            ids
        };
        assert_eq!(ids("").await, own);
        assert_eq!(ids("labels.s = 1").await, own);
        assert_eq!(ids("name = tenants/other-a").await, [""; 0]);
        let connection = person.connection();
        let reply = connection
            .tenants()
            .list_tenants(streamspace_proto::v1::ListTenantsRequest {
                page_size: 2,
                ..<_>::default()
            })
            .await
            .unwrap()
            .into_inner();
        assert_eq!(reply.total_size, 3, "the count tells of others");

        // A name outside the scope and one that never was are told alike, by every verb.
        for command in [
            vec!["tenant", "show", "NAME"],
            vec!["tenant", "set", "NAME", "--seats", "2"],
            vec!["tenant", "cordon", "NAME"],
            vec!["tenant", "pause", "NAME", "--reason", "x"],
            vec!["tenant", "check", "NAME"],
            vec!["tenant", "show", "NAME", "--objects"],
            vec!["quota", "show", "NAME"],
            vec!["quota", "set", "NAME", "cpu=+1"],
        ] {
            let said = async |name: &str| {
                let command: Vec<&str> =
                    command.iter().map(|word| if *word == "NAME" { name } else { word }).collect();
                let ran = person.run(&command).await.exits(6);
                // The request id differs from call to call.
                let lines = ran.stderr.lines().filter(|line| !line.contains("request"));
                lines.collect::<Vec<_>>().join("\n").replace(name, "NAME")
            };
            assert_eq!(said("other-a").await, said("never-was").await, "{command:?}");
        }
        // The name of another's tenant is not told by trying to create it either.
        person
            .run(&["tenant", "create", "other-a", "--plan", "free", "--seats", "1"])
            .await
            .exits(5);
        // Nor the region's orphans, approvals and the rest.
        let approvals = person.json(&["approval", "list"]).await;
        assert!(!approvals.to_string().contains("other-"), "{approvals}");
        let operations = person.json(&["operation", "list"]).await;
        assert!(!operations.to_string().contains("other-"), "{operations}");
        person.run(&["region", "cordon", "--reason", "x"]).await.exits(5);

        // The watch: changes of others do not come, and the revision tells of none lost.
        let mut watch = person.start(&["tenant", "watch", "-o", "json"]);
        synced(&mut watch, &own).await;
        region.admin().ok(&["tenant", "set", "other-a", "--seats", "3"]).await;
        region.admin().ok(&["tenant", "set", "own-a", "--seats", "3"]).await;
        let line =
            watch.line_with(|line| line.contains("\"seats\":3") || line.contains("other-")).await;
        assert!(line.contains("own-a") && !line.contains("other-"), "{line}");
        assert_eq!(watch.interrupt().await, 130);
    });
}

async fn synced(watch: &mut Following, ids: &[&str]) {
    let mut missing: Vec<&str> = ids.to_vec();
    while !missing.is_empty() {
        let line = watch.line().await;
        assert!(!line.contains("other-"), "{line}");
        missing.retain(|id| !line.contains(&format!("tenants/{id}")));
    }
}

#[test]
fn a_revoked_certificates_watch_ends_within_a_second_on_both_replicas() {
    story(async {
        let region = Region::start().await;
        tenants(&region, &["seen"]).await;
        let second = Replica::of(&region, "second").await;
        for (name, how) in [("rex", "revoke"), ("lou", "lock")] {
            let person = region.person(name, "viewer").await;
            let here = person.clone();
            let there = person.at(second.grpc());
            let mut watches = [
                here.start(&["tenant", "watch", "-o", "json"]),
                there.start(&["tenant", "watch", "-o", "json"]),
            ];
            for watch in &mut watches {
                synced(watch, &["seen"]).await;
            }
            if how == "revoke" {
                let filter = format!("operator = {name} AND kind = client");
                let listed = region.admin().json(&["cert", "list", "--filter", &filter]).await;
                let serial = listed[0]["name"].as_str().unwrap().replace("certificates/", "");
                let revoke = ["cert", "revoke", &serial, "--family", "--reason", "lost laptop"];
                region.admin().ok(&[&revoke[..], &["--confirm", &serial]].concat()).await;
            } else {
                let lock = ["operator", "lock", name, "--reason", "left the company"];
                region.admin().ok(&[&lock[..], &["--confirm", name]].concat()).await;
            }
            let begin = Instant::now();
            for watch in watches {
                let code = watch.ends().await;
                assert!(code == 4 || code == 5, "{how}: it ended with {code}");
            }
            let took = begin.elapsed();
            assert!(took < ENDS_WITHIN, "{how}: the watches went on for {took:?}");
            until("nothing more is answered", async || {
                let ran = here.run(&["tenant", "list"]).await;
                holds(ran.code == 4 || ran.code == 5, || format!("{}: {}", ran.code, ran.stdout))
            })
            .await;
        }
        let locks = region.admin().json(&["operator", "list"]).await;
        assert!(matches!(&locks, Value::Array(all) if all.len() == 1), "{locks}");
        region.admin().ok(&["operator", "unlock", "lou"]).await;
    });
}
