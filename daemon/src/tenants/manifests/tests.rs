use std::{fmt::Write as _, net::IpAddr, path::Path, sync::Arc};

use serde_json::json;
use streamspace_core::{
    ids::PlanId,
    plan::{Bytes, Millicores, Plan, seeded},
    quantity::{Unit, observed},
    quota,
    tenant::{Subject, SubjectKind, TenantState},
};

use super::*;
use crate::tenants::store::testing::a_tenant;

fn plans() -> Vec<Plan> {
    seeded().unwrap()
}

/// An active tenant of a plan, with two administrators.
fn tenant_of(plan: &str) -> TenantRecord {
    let mut tenant = a_tenant();
    tenant.spec.plan = PlanId::parse(plan).unwrap();
    tenant.plan = Arc::new(plans().into_iter().find(|p| p.id.as_str() == plan).unwrap());
    tenant.spec.admin_subjects = vec![
        Subject { kind: SubjectKind::User, name: "a@acme.com".to_owned() },
        Subject { kind: SubjectKind::Group, name: "acme:admins".to_owned() },
    ];
    tenant.state = TenantState::Active;
    tenant
}

fn surroundings() -> Surroundings {
    Surroundings {
        instance: "streamspace".to_owned(),
        control_namespace: "streamspace-system".to_owned(),
        network: NetworkConfig {
            node_local_dns: vec!["169.254.20.10/32".parse().unwrap()],
            cluster_ranges: vec![
                "203.0.114.0/24".parse().unwrap(),
                "10.0.0.0/8".parse().unwrap(),
                "2600:1f18::/32".parse().unwrap(),
            ],
            ..NetworkConfig::default()
        },
        sessions_counted: true,
    }
}

fn with_ipv6() -> Surroundings {
    let mut surroundings = surroundings();
    surroundings.network.ipv6 = true;
    surroundings
}

fn made(tenant: &TenantRecord, surroundings: &Surroundings) -> Vec<TenantObject> {
    objects(tenant, &tenant.plan.quota, surroundings)
}

/// Every case that has a committed picture.
fn cases() -> Vec<(&'static str, Vec<TenantObject>)> {
    let state = |state| TenantRecord { state, ..tenant_of("business") };
    let mut no_administrators = tenant_of("business");
    no_administrators.spec.admin_subjects.clear();
    let mut cases: Vec<_> = ["free", "professional", "business", "enterprise"]
        .map(|plan| (plan, made(&tenant_of(plan), &surroundings())))
        .into();
    cases.extend([
        ("cordoned", made(&state(TenantState::Cordoned), &surroundings())),
        ("suspended", made(&state(TenantState::Suspended), &surroundings())),
        ("archived", made(&state(TenantState::Archived), &surroundings())),
        ("no-administrators", made(&no_administrators, &surroundings())),
        ("ipv6", made(&tenant_of("business"), &with_ipv6())),
    ]);
    cases
}

/// The committed pictures of what tenants become. `UPDATE_SNAPSHOTS=1` writes them anew;
/// the change then shows in review.
#[test]
fn the_objects_are_as_committed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tenants/snapshots");
    for (name, objects) in cases() {
        let mut now = String::new();
        for object in &objects {
            let yaml = serde_saphyr::to_string(&object.to_json()).unwrap();
            writeln!(now, "---\n{}", yaml.trim_end()).unwrap();
        }
        let path = folder.join(format!("{name}.yaml"));
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            std::fs::write(&path, &now).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), now, "{name}");
    }
}

#[test]
fn each_object_says_what_it_is_and_whose() {
    for (case, objects) in cases() {
        for object in &objects {
            let value = object.to_json();
            assert_eq!(value["kind"], object.kind().as_str(), "{case}");
            assert_eq!(value["apiVersion"], object.kind().api_resource().api_version.as_str());
            let metadata = &value["metadata"];
            assert_eq!(metadata["labels"]["app.kubernetes.io/managed-by"], "streamspaced");
            assert_eq!(metadata["labels"]["control.stream.space/instance"], "streamspace");
            let uid = a_tenant().uid.0.to_string();
            assert_eq!(metadata["labels"]["control.stream.space/tenant-uid"], uid.as_str());
            match object.kind() {
                Kind::Namespace => assert_eq!(metadata["name"], "tenant-acme-corp"),
                _ => assert_eq!(metadata["namespace"], "tenant-acme-corp"),
            }
            assert!(!object.name().is_empty());
        }
        let kinds: Vec<Kind> = objects.iter().map(TenantObject::kind).collect();
        assert!(kinds.is_sorted(), "{case}: in the order in which they are written");
        let mut names: Vec<_> = objects.iter().map(|o| (o.kind(), o.name())).collect();
        names.dedup();
        assert_eq!(names.len(), objects.len(), "{case}: none twice");
    }
}

#[test]
fn the_same_tenant_gives_the_same_values() {
    for ((case, one), (_, other)) in cases().into_iter().zip(cases()) {
        let texts = |objects: &[TenantObject]| {
            objects.iter().map(|o| o.to_json().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(texts(&one), texts(&other), "{case}");
    }
}

fn find(objects: &[TenantObject], kind: Kind, name: &str) -> Value {
    let found = objects.iter().find(|object| object.kind() == kind && object.name() == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}")).to_json()
}

fn network_policies(objects: &[TenantObject]) -> Vec<Value> {
    let of_kind = objects.iter().filter(|object| object.kind() == Kind::NetworkPolicy);
    of_kind.map(TenantObject::to_json).collect()
}

/// The peers of all rules of one direction.
fn peers(policies: &[Value], direction: &str, field: &str) -> Vec<Value> {
    let rules = policies.iter().filter_map(|policy| policy["spec"][direction].as_array()).flatten();
    rules
        .flat_map(|rule| {
            let peers = rule[field].as_array().cloned().unwrap_or_default();
            assert!(!peers.is_empty(), "a rule without peers is open to all: {rule}");
            peers
        })
        .collect()
}

#[test]
fn all_is_denied_both_ways_before_anything_is_opened() {
    for (case, objects) in cases() {
        let deny = find(&objects, Kind::NetworkPolicy, DEFAULT_DENY);
        assert_eq!(
            deny["spec"],
            json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}),
            "{case}"
        );
        assert_eq!(network_policies(&objects).len(), 4);
    }
}

#[test]
fn no_rule_opens_every_namespace() {
    for (case, objects) in cases() {
        let policies = network_policies(&objects);
        for peer in [peers(&policies, "egress", "to"), peers(&policies, "ingress", "from")].concat()
        {
            let Some(selector) = peer.get("namespaceSelector") else {
                let is_own = peer == json!({"podSelector": {}});
                assert!(is_own || peer.get("ipBlock").is_some(), "{case}: {peer}");
                continue;
            };
            let labels = selector["matchLabels"].as_object().expect("a selector by labels");
            let keys: Vec<_> = labels.keys().collect();
            assert_eq!(keys, ["kubernetes.io/metadata.name"], "{case}: {peer}");
        }
    }
}

#[test]
fn who_reaches_a_tenants_pods() {
    let policies = network_policies(&made(&tenant_of("free"), &surroundings()));
    let named = |name: &str| json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}});
    assert_eq!(
        peers(&policies, "ingress", "from"),
        [json!({"podSelector": {}}), named("streamspace-system"), named("ingress-nginx")]
    );
}

#[test]
fn names_are_asked_by_udp_and_tcp_with_the_protocol_written() {
    let objects = made(&tenant_of("free"), &surroundings());
    let dns = find(&objects, Kind::NetworkPolicy, DNS);
    assert_eq!(
        dns["spec"]["egress"],
        json!([{
            "to": [
                {
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
                    "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
                },
                {"ipBlock": {"cidr": "169.254.20.10/32"}},
            ],
            "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
        }])
    );
}

/// The ranges of one `ipBlock` of the internet policy: what is open and what is excepted.
fn internet(objects: &[TenantObject], cidr: &str) -> Option<Vec<Cidr>> {
    let policy = find(objects, Kind::NetworkPolicy, INTERNET);
    let peers = policy["spec"]["egress"][0]["to"].as_array()?.clone();
    let block = peers.iter().find(|peer| peer["ipBlock"]["cidr"] == cidr)?;
    let except = block["ipBlock"]["except"].as_array().expect("exceptions");
    Some(except.iter().map(|range| range.as_str().unwrap().parse().unwrap()).collect())
}

#[test]
fn the_internet_is_neither_the_cluster_nor_a_neighbour() {
    let closed = |except: &[Cidr], address: &str| {
        let address: IpAddr = address.parse().unwrap();
        except.iter().any(|range| range.contains(address))
    };
    for (case, objects) in cases() {
        let except = internet(&objects, "0.0.0.0/0").unwrap();
        for address in [
            // The metadata service of the nodes.
            "169.254.169.254",
            "169.254.170.2",
            "10.96.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            // A configured range of the cluster.
            "203.0.114.7",
        ] {
            assert!(closed(&except, address), "{case}: {address}");
        }
        for address in ["1.1.1.1", "8.8.8.8", "100.128.0.1", "172.32.0.1", "203.0.115.1"] {
            assert!(!closed(&except, address), "{case}: {address}");
        }
        let mut sorted = except.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), except.len(), "{case}: none twice");
    }
    let objects = made(&tenant_of("free"), &with_ipv6());
    let except = internet(&objects, "::/0").unwrap();
    for address in [
        "::1",
        "fd00:ec2::254",
        "fe80::1",
        "ff02::1",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "2600:1f18::1",
    ] {
        assert!(closed(&except, address), "{address}");
    }
    for address in ["2606:4700:4700::1111", "2a00:1450:4001::1", "2600:1f19::1"] {
        assert!(!closed(&except, address), "{address}");
    }
}

#[test]
fn ipv6_is_denied_unless_configured() {
    let objects = made(&tenant_of("free"), &surroundings());
    assert_eq!(internet(&objects, "::/0"), None);
    let text = Value::from(network_policies(&objects)).to_string();
    assert!(!text.contains("::"), "{text}");
}

#[test]
fn ranges_are_read_strictly() {
    for text in ["10.0.0.0/8", "169.254.20.10/32", "2600:1f18::/32", "fd00::1/128"] {
        assert_eq!(text.parse::<Cidr>().unwrap().to_string(), text);
    }
    let said = |text: &str| text.parse::<Cidr>().unwrap_err().to_string();
    assert_eq!(
        said("10.1.2.3/8"),
        "`10.1.2.3/8` is no range of addresses: it begins at `10.0.0.0/8`"
    );
    for text in [
        "",
        "/",
        "10.0.0.0",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/+8",
        "0.0.0.0/0",
        "::/0",
        "::/129",
        "::ffff:10.0.0.0/104",
        "10.0.0/8",
        "010.0.0.0/8",
        "x/8",
        "10.0.0.0/8 ",
        "\u{1b}[2J/8",
    ] {
        assert!(said(text).len() < 200, "{text}");
    }
}

#[test]
fn the_configuration_is_checked() {
    assert_eq!(NetworkConfig::default().check(), Ok(()));
    for name in ["", "Ingress", "-a", "a-", "a.b", &"a".repeat(64)] {
        let config =
            NetworkConfig { ingress_namespace: name.to_owned(), ..NetworkConfig::default() };
        assert!(config.check().unwrap_err().starts_with("ingress_namespace: "), "{name}");
    }
    let read = |text: &str| toml::from_str::<NetworkConfig>(text);
    let config = read("cluster_ranges = ['203.0.114.0/24']\nipv6 = true").unwrap();
    assert_eq!(config.cluster_ranges, surroundings().network.cluster_ranges[..1]);
    assert!(
        read("cluster_ranges = ['203.0.114.1/24']").unwrap_err().to_string().contains("begins at")
    );
    assert!(read("cluster_range = []").is_err());
}

fn hard(objects: &[TenantObject]) -> serde_json::Map<String, Value> {
    find(objects, Kind::ResourceQuota, LIMITS)["spec"]["hard"].as_object().unwrap().clone()
}

#[test]
fn limits_are_twice_the_requests_and_no_door_is_open() {
    for plan in plans() {
        let hard = hard(&made(&tenant_of(plan.id.as_str()), &surroundings()));
        let amount = |unit, key: &str| observed(unit, hard[key].as_str().unwrap()).unwrap();
        assert_eq!(amount(Unit::Millicores, "requests.cpu"), plan.quota.cpu.0);
        assert_eq!(amount(Unit::Millicores, "limits.cpu"), 2 * plan.quota.cpu.0);
        assert_eq!(amount(Unit::Bytes, "requests.memory"), plan.quota.memory.0);
        assert_eq!(amount(Unit::Bytes, "limits.memory"), 2 * plan.quota.memory.0);
        assert_eq!(hard["services.nodeports"], "0");
        assert_eq!(hard["services.loadbalancers"], "0");
    }
}

#[test]
fn sessions_are_counted_only_where_their_kind_is() {
    assert!(hard(&made(&tenant_of("free"), &surroundings())).contains_key(quota::SESSIONS_KEY));
    let before = Surroundings { sessions_counted: false, ..surroundings() };
    assert!(!hard(&made(&tenant_of("free"), &before)).contains_key(quota::SESSIONS_KEY));
}

#[test]
fn nothing_new_starts_where_nothing_should() {
    for state in [TenantState::Cordoned, TenantState::Suspended, TenantState::Archived] {
        let tenant = TenantRecord { state, ..tenant_of("business") };
        let hard = hard(&made(&tenant, &surroundings()));
        assert_eq!((&hard["pods"], &hard[quota::SESSIONS_KEY]), (&json!("0"), &json!("0")));
        assert_eq!(hard["requests.storage"], "1Ti", "data stays: {state}");
        let compute = if state == TenantState::Archived { "0" } else { "100" };
        assert_eq!(hard["requests.cpu"], compute, "{state}");
    }
}

#[test]
fn a_container_gets_no_more_than_the_whole_quota() {
    let tiny =
        Quota { cpu: Millicores(100), memory: Bytes(64 << 20), storage: Bytes(1 << 20), pods: 1 };
    let enterprise = plans().remove(3).quota;
    for quota in [tiny, enterprise] {
        let objects = objects(&tenant_of("free"), &quota, &surroundings());
        let limits = find(&objects, Kind::LimitRange, LIMITS)["spec"]["limits"].clone();
        let container = &limits[0];
        for (key, unit, most) in [
            ("cpu", Unit::Millicores, quota.cpu.0),
            ("memory", Unit::Bytes, quota.memory.0),
            ("ephemeral-storage", Unit::Bytes, 10 << 30),
        ] {
            let amount =
                |field: &str| observed(unit, container[field][key].as_str().unwrap()).unwrap();
            assert!(amount("defaultRequest") > 0);
            assert!(amount("defaultRequest") <= amount("default"), "{key}");
            assert!(amount("default") <= amount("max"), "{key}");
            assert!(amount("max") <= most, "{key}");
        }
        assert_eq!(limits[1]["type"], "PersistentVolumeClaim");
        assert_eq!(limits[1]["max"]["storage"], quota.storage.canonical().as_str());
    }
}

#[test]
fn a_container_with_defaults_fits_into_every_plan() {
    for plan in plans() {
        let objects = made(&tenant_of(plan.id.as_str()), &surroundings());
        let limits = find(&objects, Kind::LimitRange, LIMITS)["spec"]["limits"][0].clone();
        let hard = hard(&objects);
        for (field, prefix) in [("defaultRequest", "requests"), ("default", "limits")] {
            for (key, unit) in [("cpu", Unit::Millicores), ("memory", Unit::Bytes)] {
                let read = |value: &Value| observed(unit, value.as_str().unwrap()).unwrap();
                assert!(read(&limits[field][key]) <= read(&hard[&format!("{prefix}.{key}")]));
            }
        }
    }
}

#[test]
fn administrators_may_manage_sessions_and_nothing_else() {
    let objects = made(&tenant_of("business"), &surroundings());
    let role = find(&objects, Kind::Role, ADMINISTRATORS);
    for rule in role["rules"].as_array().unwrap() {
        assert!(!rule.to_string().contains('*'), "{rule}");
        let writes = rule["verbs"]
            .as_array()
            .unwrap()
            .iter()
            .any(|verb| !["get", "list", "watch"].contains(&verb.as_str().unwrap()));
        let of_sessions = rule["apiGroups"] == json!(["stream.space"])
            && rule["resources"] == json!(["sessions"]);
        assert_eq!(writes, of_sessions, "{rule}");
    }
    let binding = find(&objects, Kind::RoleBinding, ADMINISTRATORS);
    assert_eq!(
        binding["roleRef"],
        json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ADMINISTRATORS})
    );
    assert_eq!(
        binding["subjects"],
        json!([
            {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "a@acme.com"},
            {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "acme:admins"},
        ])
    );
}

#[test]
fn without_administrators_there_is_no_role_at_all() {
    let mut tenant = tenant_of("business");
    tenant.spec.admin_subjects.clear();
    let kinds: Vec<Kind> = made(&tenant, &surroundings()).iter().map(TenantObject::kind).collect();
    assert!(!kinds.contains(&Kind::Role) && !kinds.contains(&Kind::RoleBinding));
}

#[test]
fn live_sessions_are_not_evicted() {
    let budget =
        find(&made(&tenant_of("free"), &surroundings()), Kind::PodDisruptionBudget, LIVE_SESSIONS);
    assert_eq!(budget["spec"]["maxUnavailable"], 0);
    assert_eq!(budget["spec"]["selector"], json!({"matchLabels": {"stream.space/live": "true"}}));
}

#[test]
fn an_account_that_is_not_named_leaves_no_annotation() {
    let mut tenant = tenant_of("free");
    tenant.spec.billing_account.clear();
    let namespace = find(&made(&tenant, &surroundings()), Kind::Namespace, &tenant.namespace);
    assert_eq!(namespace["metadata"].get("annotations"), None);
}
