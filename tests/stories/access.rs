//! Who is let in, who is not, and what each is told.

use std::{fs, path::Path};

use rcgen::ExtendedKeyUsagePurpose;
use serde_json::Value;
use streamspace_proto::{
    token::{EnrolmentToken, Secret},
    v1::{
        CreateTenantRequest, ListTenantsRequest, ListTenantsResponse, Tenant,
        tenant_service_client::TenantServiceClient,
    },
};
use streamspace_tests::{
    authority::{Authority, Wish},
    life,
    region::Region,
    rpc::{self, Identity},
    runtime::story,
    ssctl::Ssctl,
    wait::{holds, until},
};
use tonic::{Code, Status, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

/// What somebody shows, and what they are told.
struct Refusal {
    who: &'static str,
    shows: Option<Identity>,
    code: Code,
    reason: &'static str,
    words: &'static str,
}

#[test]
fn each_wrong_certificate_is_refused_with_its_own_explanation() {
    story(async {
        let region = Region::start().await;
        let authority = region.authority();
        let good = || Wish::client("admin");
        let issued = |wish: Wish| Some(authority.issue(&wish));
        let refusals = [
            Refusal {
                who: "nobody",
                shows: None,
                code: Code::Unauthenticated,
                reason: "NO_CERTIFICATE",
                words: "no client certificate was presented: log in with `ssctl login",
            },
            Refusal {
                who: "another authority's admin",
                shows: Some(Authority::stranger().issue(&good())),
                code: Code::Unauthenticated,
                reason: "UNKNOWN_AUTHORITY",
                words: "signed by another authority than this region's",
            },
            Refusal {
                who: "yesterday's admin",
                shows: issued(Wish { from: -7200, until: -3600, ..good() }),
                code: Code::Unauthenticated,
                reason: "CERTIFICATE_EXPIRED",
                words: "the certificate expired at 20",
            },
            Refusal {
                who: "tomorrow's admin",
                shows: issued(Wish { from: 3600, until: 7200, ..good() }),
                code: Code::Unauthenticated,
                reason: "CERTIFICATE_NOT_YET_VALID",
                words: "check the clocks of both machines",
            },
            Refusal {
                who: "a server",
                shows: issued(Wish { purpose: ExtendedKeyUsagePurpose::ServerAuth, ..good() }),
                code: Code::Unauthenticated,
                reason: "CERTIFICATE_WRONG_PURPOSE",
                words: "not one for clients",
            },
            Refusal {
                who: "another region's admin",
                shows: issued(Wish { domain: "story-2".into(), ..good() }),
                code: Code::Unauthenticated,
                reason: "WRONG_TRUST_DOMAIN",
                words: "for the trust domain story-2, and this region is of story-1",
            },
            Refusal {
                who: "a name that no region writes",
                shows: issued(Wish { operator: "a b".into(), ..good() }),
                code: Code::Unauthenticated,
                reason: "CERTIFICATE_MALFORMED",
                words: "cannot be used here",
            },
            Refusal {
                who: "an unknown role",
                shows: issued(Wish::client("wizard")),
                code: Code::PermissionDenied,
                reason: "ROLE_UNKNOWN",
                words: "role `wizard`, which this daemon does not know",
            },
            Refusal {
                who: "a device",
                shows: Some(device_of(region.admin())),
                code: Code::PermissionDenied,
                reason: "WRONG_CREDENTIAL",
                words: "a device certificate was shown, which may only renew",
            },
        ];
        for Refusal { who, shows, code, reason, words } in refusals {
            let channel = region.channel(shows.as_ref()).await;
            let refused = |status: &Status| {
                assert_eq!(status.code(), code, "{who}: {status:?}");
                assert_eq!(rpc::reason(status), reason, "{who}: {status:?}");
                assert!(status.message().contains(words), "{who}: {}", status.message());
            };
            refused(&list(channel.clone()).await.unwrap_err());
            refused(&create(channel).await.unwrap_err());
            // One after the other: many at once from one address would be summed up.
            let denials = denials_of(&region, words, 2).await;
            let methods: Vec<_> = denials.iter().map(|denial| denial["method"].clone()).collect();
            assert!(
                methods.iter().any(|m| m.as_str().unwrap().ends_with("/CreateTenant")),
                "{methods:?}"
            );

            // The same from the command line, by the variables that serve scripts.
            if let Some(identity) = shows {
                let exit = if code == Code::PermissionDenied { 5 } else { 4 };
                let person = with_certificate(&region, reason, &identity);
                person.run(&["tenant", "list"]).await.exits(exit).says(words);
                denials_of(&region, words, 3).await;
            }
        }

        // A role that is too low reads, and changes nothing.
        let viewer = authority.issue(&Wish::client("viewer"));
        let channel = region.channel(Some(&viewer)).await;
        list(channel.clone()).await.unwrap();
        let status = create(channel).await.unwrap_err();
        assert_eq!(
            (status.code(), rpc::reason(&status).as_str()),
            (Code::PermissionDenied, "ROLE_TOO_LOW")
        );
        let words = "this needs role operator; your certificate says viewer";
        assert!(status.message().contains(words), "{}", status.message());
        denials_of(&region, words, 1).await;
        let person = with_certificate(&region, "viewer", &viewer);
        let arguments = ["tenant", "create", "by-viewer", "--plan", "free", "--seats", "1"];
        person.run(&arguments).await.exits(5).says(words);
        let why = person.json(&["access", "why", "TenantService.CreateTenant"]).await;
        assert!(why["message"].as_str().unwrap().contains("needs role operator"), "{why}");
        // An auditor reads what a viewer does not, and writes nothing.
        let auditor =
            with_certificate(&region, "auditor", &authority.issue(&Wish::client("auditor")));
        auditor.ok(&["audit", "list"]).await;
        auditor.run(&arguments).await.exits(5);
        person.run(&["audit", "list"]).await.exits(5);

        // Only the right one gets in, so what was refused was refused for its fault.
        let admin = region.channel(issued(good()).as_ref()).await;
        assert_eq!(list(admin.clone()).await.unwrap().tenants, [], "nothing was created");
        create(admin).await.unwrap();
    });
}

#[test]
fn enrolment_works_once() {
    story(async {
        let region = Region::start().await;
        let address = region.grpc().to_string();
        let log_in = |token: String, machine: &'static str| {
            let (machine, address) = (region.machine(machine), address.clone());
            async move { machine.run(&["login", &address, "--token", &token]).await }
        };

        // Of two that try at the same moment one gets in.
        let token = region.token("ada", "operator").await;
        let (first, second) =
            tokio::join!(log_in(token.clone(), "one"), log_in(token.clone(), "two"));
        let (winner, loser, name) =
            if first.code == 0 { (first, second, "one") } else { (second, first, "two") };
        winner.exits(0).says("logged in to region story-1 as ada (operator");
        loser.exits(4).says("this token was used at");
        log_in(token, "three").await.exits(4).says("a token works once");
        let ada = region.machine(name);
        let who = ada.json(&["whoami"]).await;
        assert_eq!((&who["operator"], &who["role"]), (&"ada".into(), &"ROLE_OPERATOR".into()));
        for key in files_below(ada.home()) {
            let mode =
                std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&key).unwrap().permissions());
            let text = fs::read_to_string(&key).unwrap();
            assert!(
                !text.contains("PRIVATE KEY") || mode % 0o100 == 0,
                "{}: {mode:o}",
                key.display()
            );
        }

        // A token that is over.
        let config = region.config().display().to_string();
        let arguments =
            ["token", "create", "--config", &config, "--operator", "late", "--for", "1s"];
        let token = region.host(&arguments).await.trim().to_owned();
        until("the token is over", async || {
            let over: bool = sqlx::query_scalar(
                "SELECT expire_time < now() FROM enrolment_tokens WHERE operator = 'late'",
            )
            .fetch_one(&region.pool())
            .await
            .unwrap();
            holds(over, || "not yet".into())
        })
        .await;
        log_in(token.clone(), "late").await.exits(4).says("this token expired at");

        // A token of this region that nobody made, one of another region, and half a one.
        let real = EnrolmentToken::parse(&token).unwrap();
        let invented = EnrolmentToken { secret: Secret::new([7; 32]), ..real.clone() };
        log_in(invented.encode(), "guesser").await.exits(4).says("made no such token");
        let other = EnrolmentToken { authority: [7; 32], ..real };
        log_in(other.encode(), "elsewhere").await.exits(4).says("cannot prove to be the daemon");
        let half = token.get(..40).unwrap().to_owned();
        log_in(half, "clipped").await.exits(2).says("cut off");
        let machines: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM certificates WHERE operator <> 'root' AND kind = 'client'",
        )
        .fetch_one(&region.pool())
        .await
        .unwrap();
        assert_eq!(machines, 1, "one machine was enrolled beside the first");

        // An admin makes tokens from afar; nobody else does.
        let make = ["token", "create", "--operator", "eve", "--role", "admin"];
        ada.run(&make).await.exits(5).says("needs role admin");
        let invitation = region
            .admin()
            .json(&["token", "create", "--operator", "bob", "--role", "viewer"])
            .await;
        let token = invitation["token"].as_str().unwrap().to_owned();
        log_in(token, "bob").await.exits(0).says("as bob (viewer");
        // The secret of a token is nowhere but with its owner.
        let log = region.log();
        assert!(!log.contains("sst1_"), "a token is in the daemon's log");
    });
}

#[test]
fn a_certificate_for_one_tenant_sees_that_one_alone() {
    story(async {
        let region = Region::start().await;
        let admin = region.admin();
        life::trial_plan(admin).await;
        for id in ["own-inc", "other-inc"] {
            admin.ok(&["tenant", "create", id, "--plan", "trial", "--seats", "1", "--wait"]).await;
        }
        let arguments =
            ["token", "create", "--operator", "tess", "--role", "admin", "--tenant", "own-inc"];
        let token = admin.json(&arguments).await["token"].as_str().unwrap().to_owned();
        let tess = region.machine("tess");
        tess.ok(&["login", &region.grpc().to_string(), "--token", &token]).await;
        assert_eq!(tess.json(&["whoami"]).await["tenants"][0], "tenants/own-inc");

        let names = |list: &Value| -> Vec<String> {
            list.as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap().into()).collect()
        };
        assert_eq!(names(&tess.json(&["tenant", "list"]).await), ["tenants/own-inc"]);
        assert_eq!(names(&admin.json(&["tenant", "list"]).await).len(), 2);
        tess.ok(&["tenant", "show", "own-inc"]).await;
        tess.run(&["tenant", "show", "other-inc"]).await.exits(6);
        tess.run(&["tenant", "set", "other-inc", "--seats", "9"]).await.exits(6);
        let delete = ["--reason", "x", "--confirm", "other-inc"];
        tess.run(&[&["tenant", "delete", "other-inc"][..], &delete].concat()).await.exits(6);
        // What reaches the region is refused, whatever the role.
        let create = ["tenant", "create", "third-inc", "--plan", "free", "--seats", "1"];
        tess.run(&create).await.exits(5).says("your certificate names tenants only");
        tess.run(&["audit", "list"]).await.exits(5).says("names tenants only");
        tess.run(&["token", "create", "--operator", "x", "--role", "admin"]).await.exits(5);
        tess.ok(&["region", "show"]).await;

        // Its watch shows its own tenant, and nothing of the change in between.
        let mut watch = tess.start(&["tenant", "watch", "-o", "json"]);
        let mut seen = vec![watch.line().await];
        admin.ok(&["tenant", "set", "other-inc", "--seats", "2", "--wait"]).await;
        tess.ok(&["tenant", "set", "own-inc", "--seats", "3", "--wait"]).await;
        seen.push(watch.line_with(|line| line.contains("\"seats\":3")).await);
        admin.ok(&["tenant", "set", "other-inc", "--seats", "4", "--wait"]).await;
        tess.ok(&["tenant", "set", "own-inc", "--seats", "5", "--wait"]).await;
        loop {
            let line = watch.line().await;
            seen.push(line);
            if seen.last().unwrap().contains("\"seats\":5") {
                break;
            }
        }
        assert!(seen.iter().all(|line| line.contains("own-inc")), "{seen:?}");
        assert!(!seen.iter().any(|line| line.contains("other-inc")), "{seen:?}");

        // The operations of its tenant alone.
        life::bury(admin, "other-inc").await;
        assert_eq!(tess.json(&["operation", "list"]).await, Value::Array(vec![]));
        life::bury(&tess, "own-inc").await;
        assert_eq!(tess.json(&["operation", "list"]).await.as_array().unwrap().len(), 1);

        // A new tenant of the same name is another one, and not its own.
        admin
            .ok(&["tenant", "create", "own-inc", "--plan", "free", "--seats", "1", "--wait"])
            .await;
        tess.run(&["tenant", "show", "own-inc"]).await.exits(6);
    });
}

#[test]
fn health_is_for_everybody_and_reflection_for_operators() {
    story(async {
        let region = Region::start().await;
        let nobody = region.channel(None).await;
        let request = HealthCheckRequest { service: String::new() };
        let health = HealthClient::new(nobody.clone()).check(request).await.unwrap().into_inner();
        assert_eq!(health.status(), ServingStatus::Serving);

        let refused = reflect(nobody).await.unwrap_err();
        assert_eq!(rpc::reason(&refused), "NO_CERTIFICATE", "{refused:?}");
        let viewer = region.authority().issue(&Wish::client("viewer"));
        let services = reflect(region.channel(Some(&viewer)).await).await.unwrap();
        for service in ["TenantService", "WatchService", "AccessService"] {
            let full = format!("streamspace.admin.v1.{service}");
            assert!(services.contains(&full), "{full} is not among {services:?}");
        }

        // A method that is not there is told from one that is refused.
        let mut grpc = tonic::client::Grpc::new(region.channel(Some(&viewer)).await);
        grpc.ready().await.unwrap();
        let path =
            http::uri::PathAndQuery::from_static("/streamspace.admin.v1.TenantService/Steal");
        let codec = tonic_prost::ProstCodec::<ListTenantsRequest, ListTenantsResponse>::default();
        let call = tonic::Request::new(ListTenantsRequest::default());
        let unknown = grpc.unary(call, path, codec).await.unwrap_err();
        assert_eq!(unknown.code(), Code::Unimplemented, "{unknown:?}");
    });
}

async fn reflect(channel: Channel) -> Result<Vec<String>, Status> {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(channel);
    let mut answers =
        client.server_reflection_info(tokio_stream::iter([request])).await?.into_inner();
    match answers.message().await?.and_then(|answer| answer.message_response) {
        Some(MessageResponse::ListServicesResponse(list)) => {
            Ok(list.service.into_iter().map(|service| service.name).collect())
        }
        other => panic!("not a list of services: {other:?}"),
    }
}

async fn list(channel: Channel) -> Result<ListTenantsResponse, Status> {
    let request = ListTenantsRequest::default();
    Ok(TenantServiceClient::new(channel).list_tenants(request).await?.into_inner())
}

async fn create(channel: Channel) -> Result<Tenant, Status> {
    let request = CreateTenantRequest {
        tenant_id: "intruder".into(),
        tenant: Some(Tenant { plan: "plans/free".into(), seats: 1, ..Tenant::default() }),
        ..CreateTenantRequest::default()
    };
    Ok(TenantServiceClient::new(channel).create_tenant(request).await?.into_inner())
}

/// The denials in the audit log that say this, once there are so many.
async fn denials_of(region: &Region, words: &str, wanted: usize) -> Vec<Value> {
    let what = format!("the audit log has {wanted} denials that say {words:?}");
    until(&what, async || {
        let entries = region.admin().json(&["audit", "list", "--limit", "1000"]).await;
        let denials: Vec<Value> = entries
            .as_array()
            .unwrap()
            .iter()
            .filter(|entry| entry["phase"] == "AUDIT_PHASE_DENIAL")
            .filter(|entry| entry["statusMessage"].as_str().is_some_and(|m| m.contains(words)))
            .cloned()
            .collect();
        holds(denials.len() == wanted, || format!("{denials:?}"))?;
        Ok::<_, String>(denials)
    })
    .await
}

/// A machine that has its certificate in files.
fn with_certificate(region: &Region, name: &str, identity: &Identity) -> Ssctl {
    let machine = region.machine(name);
    let file = |name: &str, text: &str| {
        let path = machine.home().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        path.display().to_string()
    };
    let access = region.config().with_file_name("access");
    let variables = [
        ("SSCTL_ENDPOINT", region.grpc().to_string()),
        ("SSCTL_CA", file("ca.pem", &Authority::pem(&access))),
        ("SSCTL_CLIENT_CERT", file("client.pem", &identity.pem.0)),
        ("SSCTL_CLIENT_KEY", file("client.key", &identity.pem.1)),
    ];
    variables.into_iter().fold(machine, |machine, (name, value)| machine.with(name, value))
}

/// The device certificate that a login made.
fn device_of(ssctl: &Ssctl) -> Identity {
    let stored = files_below(ssctl.home())
        .into_iter()
        .find_map(|path| {
            let table: toml::Table = toml::from_str(&fs::read_to_string(path).ok()?).ok()?;
            table.contains_key("device_certificate").then_some(table)
        })
        .expect("a file with the credential");
    Identity::from_pem(
        stored["device_certificate"].as_str().unwrap(),
        stored["device_key"].as_str().unwrap(),
    )
}

fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}
