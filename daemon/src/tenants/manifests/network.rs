//! Who may talk to whom.
//!
//! Policies only ever add, so one denies all and the others open what a tenant needs. An
//! egress rule names namespaces or addresses, and never every namespace: that would open
//! the other tenants.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use k8s_openapi::{
    api::networking::v1::{
        IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule,
        NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use schemars::JsonSchema;
use serde::Deserialize;
use streamspace_core::text;
use thiserror::Error;

use super::{DEFAULT_DENY, DNS, INGRESS, INTERNET, Place};

/// The label that the API server itself sets on every namespace; tenants cannot forge it.
const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// What of IPv4 is not the internet.
const NOT_INTERNET_IPV4: [&str; 15] = [
    // This network, private, shared by carriers, loopback.
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    // Link-local, with the metadata service of the nodes.
    "169.254.0.0/16",
    "172.16.0.0/12",
    // Protocol assignments, documentation, relays, private, benchmarks.
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    // Multicast, reserved and broadcast.
    "224.0.0.0/4",
    "240.0.0.0/4",
];
/// What of IPv6 is not the internet.
const NOT_INTERNET_IPV6: [&str; 13] = [
    // Unspecified, loopback.
    "::/128",
    "::1/128",
    // Translations, behind which stand addresses of IPv4, private ones among them.
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    // Discard, protocol assignments and tunnels, documentation, tunnels.
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    // Unique local, link-local, site-local, multicast.
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];

/// What the cluster's network is like.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkConfig {
    /// The namespace of the ingress controller that brings users to their sessions.
    pub ingress_namespace: String,
    /// Addresses of a DNS cache on the nodes, for example `["169.254.20.10/32"]`. The
    /// cluster's own DNS is always open.
    #[schemars(with = "Vec<String>")]
    pub node_local_dns: Vec<Cidr>,
    /// Ranges of nodes, pods and services that are not private ones, for example
    /// `["203.0.114.0/24"]`. Private ranges are never open to tenants. A range must begin
    /// where it says: `10.1.0.0/8` is refused.
    #[schemars(with = "Vec<String>")]
    pub cluster_ranges: Vec<Cidr>,
    /// Whether tenants reach the internet by IPv6 too.
    pub ipv6: bool,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            ingress_namespace: "ingress-nginx".to_owned(),
            node_local_dns: Vec::new(),
            cluster_ranges: Vec::new(),
            ipv6: false,
        }
    }
}

impl NetworkConfig {
    /// What is wrong with it, in words that begin with the name of the setting.
    pub fn check(&self) -> Result<(), String> {
        let name = &self.ingress_namespace;
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let is_label = (1..=63).contains(&name.len())
            && name.bytes().all(|byte| inner(byte) || byte == b'-')
            && !name.starts_with('-')
            && !name.ends_with('-');
        if !is_label {
            let shown = text::excerpt(name);
            return Err(format!(
                "ingress_namespace: `{shown}` is no name of a namespace: write for example \
                 `ingress-nginx`"
            ));
        }
        Ok(())
    }
}

/// A range of addresses, for example `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is no range of addresses.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{value}` is no range of addresses: {remedy}")]
pub struct CidrError {
    /// The text, escaped and shortened.
    pub value: String,
    /// What to write instead.
    pub remedy: String,
}

impl Cidr {
    /// Whether it is of IPv6.
    pub fn is_ipv6(&self) -> bool {
        self.address.is_ipv6()
    }

    /// Whether an address is in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4()
            && first_address(address, self.prefix) == self.address
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(value: &str) -> Result<Self, CidrError> {
        let wrong = |remedy: String| CidrError { value: text::excerpt(value), remedy };
        let example = || wrong("write for example `10.0.0.0/8`".to_owned());
        let (address, prefix) = value.split_once('/').ok_or_else(example)?;
        let address: IpAddr = address.parse().map_err(|_| example())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let is_number = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix: u8 = prefix.parse().map_err(|_| example())?;
        if !is_number || !(1..=longest).contains(&prefix) {
            return Err(wrong(format!("its length must be 1 to {longest}")));
        }
        if matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some()) {
            return Err(wrong("write the range of IPv4 itself".to_owned()));
        }
        let first = first_address(address, prefix);
        if first != address {
            return Err(wrong(format!("it begins at `{first}/{prefix}`")));
        }
        Ok(Self { address, prefix })
    }
}

impl TryFrom<String> for Cidr {
    type Error = CidrError;

    fn try_from(value: String) -> Result<Self, CidrError> {
        value.parse()
    }
}

fn first_address(address: IpAddr, prefix: u8) -> IpAddr {
    let prefix = u32::from(prefix);
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

/// The policies of a tenant.
pub(super) fn policies(place: &Place<'_>) -> [NetworkPolicy; 4] {
    [default_deny(place), ingress(place), dns(place), internet(place)]
}

/// Nothing comes in and nothing goes out but by what the others open.
fn default_deny(place: &Place<'_>) -> NetworkPolicy {
    policy(place, DEFAULT_DENY, None, None)
}

/// The tenant's own pods, the control plane and the ingress controller reach its pods.
/// To reach one another, pods of the tenant must be let out to each other as well.
fn ingress(place: &Place<'_>) -> NetworkPolicy {
    let surroundings = place.surroundings;
    let from = vec![
        same_namespace(),
        namespace(&surroundings.control_namespace),
        namespace(&surroundings.network.ingress_namespace),
    ];
    let ingress = NetworkPolicyIngressRule { from: Some(from), ports: None };
    let egress = NetworkPolicyEgressRule { to: Some(vec![same_namespace()]), ports: None };
    policy(place, INGRESS, Some(ingress), Some(egress))
}

/// Names are asked of the cluster's DNS and of caches on the nodes; by TCP where an
/// answer is long.
fn dns(place: &Place<'_>) -> NetworkPolicy {
    let mut to = vec![NetworkPolicyPeer {
        pod_selector: Some(labelled("k8s-app", "kube-dns")),
        ..namespace("kube-system")
    }];
    let caches: BTreeSet<Cidr> =
        place.surroundings.network.node_local_dns.iter().copied().collect();
    to.extend(caches.iter().map(|range| addresses(range.to_string(), Vec::new())));
    let port = |protocol: &str| NetworkPolicyPort {
        port: Some(IntOrString::Int(53)),
        protocol: Some(protocol.to_owned()),
        end_port: None,
    };
    let ports = Some(vec![port("UDP"), port("TCP")]);
    policy(place, DNS, None, Some(NetworkPolicyEgressRule { to: Some(to), ports }))
}

/// Every address but those that are not of the internet, and those of the cluster.
fn internet(place: &Place<'_>) -> NetworkPolicy {
    let network = &place.surroundings.network;
    let except = |known: &[&str], ipv6: bool| {
        let ours: BTreeSet<Cidr> = network
            .cluster_ranges
            .iter()
            .filter(|range| range.is_ipv6() == ipv6)
            .copied()
            .collect();
        let ours = ours.iter().map(ToString::to_string);
        let more: Vec<String> = ours.filter(|range| !known.contains(&range.as_str())).collect();
        known.iter().map(ToString::to_string).chain(more).collect::<Vec<_>>()
    };
    let mut to = vec![addresses("0.0.0.0/0".to_owned(), except(&NOT_INTERNET_IPV4, false))];
    if network.ipv6 {
        to.push(addresses("::/0".to_owned(), except(&NOT_INTERNET_IPV6, true)));
    }
    policy(place, INTERNET, None, Some(NetworkPolicyEgressRule { to: Some(to), ports: None }))
}

/// A policy over every pod of the tenant. Without any rule it denies both ways.
fn policy(
    place: &Place<'_>,
    name: &str,
    ingress: Option<NetworkPolicyIngressRule>,
    egress: Option<NetworkPolicyEgressRule>,
) -> NetworkPolicy {
    let denies = ingress.is_none() && egress.is_none();
    let directions =
        [("Ingress", denies || ingress.is_some()), ("Egress", denies || egress.is_some())];
    let directions = directions.into_iter().filter(|(_, is_meant)| *is_meant);
    NetworkPolicy {
        metadata: place.metadata(name),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector::default()),
            policy_types: Some(directions.map(|(direction, _)| direction.to_owned()).collect()),
            ingress: ingress.map(|rule| vec![rule]),
            egress: egress.map(|rule| vec![rule]),
        }),
    }
}

fn same_namespace() -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        pod_selector: Some(LabelSelector::default()),
        ..NetworkPolicyPeer::default()
    }
}

fn namespace(name: &str) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        namespace_selector: Some(labelled(NAMESPACE_NAME_LABEL, name)),
        ..NetworkPolicyPeer::default()
    }
}

fn addresses(cidr: String, except: Vec<String>) -> NetworkPolicyPeer {
    let except = (!except.is_empty()).then_some(except);
    NetworkPolicyPeer { ip_block: Some(IPBlock { cidr, except }), ..NetworkPolicyPeer::default() }
}

fn labelled(key: &str, value: &str) -> LabelSelector {
    LabelSelector {
        match_labels: Some(BTreeMap::from([(key.to_owned(), value.to_owned())])),
        ..LabelSelector::default()
    }
}
