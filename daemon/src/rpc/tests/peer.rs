//! Who is who, with certificates of all kinds.

use rcgen::{CustomExtension, ExtendedKeyUsagePurpose, SanType, string::Ia5String};
use streamspace_core::access::Audience;
use uuid::Uuid;

use super::*;
use crate::{
    db::Scope,
    rpc::peer::{Identity, PeerError, PeerJudge, TENANTS_OID, TrustBundle},
};

fn judge(region: &Region) -> (PeerJudge, Arc<KnownStatus>) {
    let status = Arc::<KnownStatus>::default();
    (PeerJudge::new(region.authority.trust_bundle().unwrap(), status.clone()), status)
}

fn verdict(
    judge: &PeerJudge,
    certificates: Vec<CertificateDer<'static>>,
) -> Result<Identity, PeerError> {
    judge.judge(&connection(certificates), now()).map(|identity| (*identity).clone())
}

fn uri(text: &str) -> SanType {
    SanType::URI(Ia5String::try_from(text).unwrap())
}

#[test]
fn an_operator_is_who_the_certificate_names() {
    let region = Region::new();
    let (judge, _) = judge(&region);
    let (issued, _) = region.client("admin", &[]);
    let identity = verdict(&judge, vec![issued.certificate]).unwrap();
    let expected = Identity {
        audience: Audience::Operator,
        operator: "ada".into(),
        role_name: "admin".into(),
        scope: Scope::Region,
        serial: issued.serial,
        not_before: now() - hours(1) - SignedDuration::from_mins(5),
        not_after: now() + hours(12),
    };
    assert_eq!(identity, expected);

    let (device, _) = region.device();
    let device = verdict(&judge, vec![device.certificate]).unwrap();
    assert_eq!((device.audience, device.operator.as_str()), (Audience::Device, "ada"));
}

#[test]
fn an_unknown_role_is_kept_as_it_is_spelled() {
    let region = Region::new();
    let (judge, _) = judge(&region);
    let (issued, _) = region.client("archivist", &[]);
    let identity = verdict(&judge, vec![issued.certificate]).unwrap();
    assert_eq!(identity.role_name, "archivist");
    assert_eq!(identity.audience, Audience::Operator);
}

#[test]
fn a_list_of_tenants_of_any_length_comes_back() {
    let region = Region::new();
    let (judge, _) = judge(&region);
    for count in [1, 7, 8, 14, 15, 3000] {
        let tenants: Vec<TenantUid> = (0..count).map(|_| TenantUid(Uuid::new_v4())).collect();
        let (issued, _) = region.client("viewer", &tenants);
        let identity = verdict(&judge, vec![issued.certificate]).unwrap();
        assert_eq!(identity.scope, Scope::Tenants(tenants), "{count}");
    }
}

#[test]
fn each_failure_has_its_own_word_and_explanation() {
    let region = Region::new();
    let elsewhere = Region::new();
    let (judge, status) = judge(&region);

    let (foreign, _) = elsewhere.client("admin", &[]);
    let key = key().1;
    let grant = Grant { operator: "ada".into(), role: Role::Admin, tenants: Vec::new() };
    let timed = |from: Timestamp, to: Timestamp, region: &Region| {
        region.authority.issue(&key, Kind::Client, &grant, from, to).unwrap().certificate
    };
    let expired = timed(now() - hours(24), now() - hours(12), &region);
    let foreign_expired = timed(now() - hours(24), now() - hours(12), &elsewhere);
    let early = timed(now() + hours(1), now() + hours(2), &region);
    let server = region.authority.issue_server(&["localhost".into()], now()).unwrap();
    let (revoked, _) = region.client("admin", &[]);
    status.revoke(&revoked.serial);
    let elsewhere_named =
        region.odd(|p| p.subject_alt_names = vec![uri("spiffe://other.example/admin/ada")]);

    let cases: [(&str, Vec<CertificateDer<'static>>, &str, &str); 10] = [
        ("none", vec![], "NO_CERTIFICATE", "ssctl login"),
        ("another authority", vec![foreign.certificate], "UNKNOWN_AUTHORITY", "another authority"),
        (
            "another authority, and expired",
            vec![foreign_expired],
            "UNKNOWN_AUTHORITY",
            "another authority",
        ),
        ("expired", vec![expired], "CERTIFICATE_EXPIRED", "expired at 2029-12-31T12:00:00Z"),
        ("early", vec![early], "CERTIFICATE_NOT_YET_VALID", "check the clocks"),
        ("a server's", server.chain.clone(), "CERTIFICATE_WRONG_PURPOSE", "for clients"),
        (
            "the authority's own",
            region.authority.certificates().to_vec(),
            "CERTIFICATE_WRONG_PURPOSE",
            "for clients",
        ),
        (
            "garbage",
            vec![CertificateDer::from(vec![7; 99])],
            "CERTIFICATE_MALFORMED",
            "log in again",
        ),
        ("revoked", vec![revoked.certificate], "CERTIFICATE_REVOKED", "lost laptop"),
        ("another trust domain", vec![elsewhere_named], "WRONG_TRUST_DOMAIN", "other.example"),
    ];
    for (name, certificates, reason, words) in cases {
        let error = verdict(&judge, certificates).unwrap_err();
        assert_eq!(error.reason(), reason, "{name}: {error}");
        assert!(error.to_string().contains(words), "{name}: {error}");
    }
}

#[test]
fn names_that_no_region_writes_are_malformed() {
    let region = Region::new();
    let (judge, _) = judge(&region);
    let names = |names: &[&str]| {
        let names = names.iter().map(|n| uri(n)).collect();
        region.odd(|p| p.subject_alt_names = names)
    };
    let list = |content: &[u8]| {
        let content = content.to_vec();
        region.odd(|p| {
            p.subject_alt_names = vec![uri("spiffe://test.example/viewer/ada")];
            p.custom_extensions = vec![CustomExtension::from_oid_content(TENANTS_OID, content)];
        })
    };
    let cases = [
        names(&[]),
        names(&["https://test.example/admin/ada"]),
        names(&["spiffe://test.example/admin"]),
        names(&["spiffe://test.example/admin/ada/more"]),
        names(&["spiffe://test.example/admin/"]),
        names(&["spiffe://test.example/Admin/ada"]),
        names(&["spiffe://test.example/admin/ada", "spiffe://test.example/viewer/ada"]),
        list(&[]),
        list(&[0x30, 0]),
        list(&[0x30, 3, 4, 1, 9]),
        list(&[0x30, 3, 2, 1, 9]),
        list(b"not der"),
    ];
    for (at, certificate) in cases.into_iter().enumerate() {
        let error = verdict(&judge, vec![certificate]).unwrap_err();
        assert!(matches!(error, PeerError::Malformed(_)), "{at}: {error}");
    }
}

#[test]
fn expiry_and_revocation_count_on_an_open_connection() {
    let region = Region::new();
    let (judge, status) = judge(&region);
    let (issued, _) = region.client("viewer", &[]);
    let peer = connection(vec![issued.certificate]);
    assert!(judge.judge(&peer, now()).is_ok());
    let late = judge.judge(&peer, now() + hours(13)).unwrap_err();
    assert_eq!(late.reason(), "CERTIFICATE_EXPIRED");
    assert!(judge.judge(&peer, now()).is_ok());
    status.revoke(&issued.serial);
    assert_eq!(judge.judge(&peer, now()).unwrap_err().reason(), "CERTIFICATE_REVOKED");
}

#[test]
fn two_authorities_overlap_and_one_goes() {
    let (old, new) = (Region::new(), Region::new());
    let (judge, _) = judge(&old);
    let with_old = connection(vec![old.client("viewer", &[]).0.certificate]);
    let with_new = connection(vec![new.client("viewer", &[]).0.certificate]);
    assert!(judge.judge(&with_new, now()).is_err());

    let bundle = |regions: &[&Region]| {
        let certificates: Vec<_> =
            regions.iter().flat_map(|r| r.authority.certificates().to_vec()).collect();
        TrustBundle::new("test.example", &certificates).unwrap()
    };
    judge.replace_bundle(bundle(&[&old, &new]));
    assert!(judge.judge(&with_old, now()).is_ok());
    assert!(judge.judge(&with_new, now()).is_ok(), "on the same connection");
    judge.replace_bundle(bundle(&[&new]));
    assert_eq!(judge.judge(&with_old, now()).unwrap_err().reason(), "UNKNOWN_AUTHORITY");
    assert!(judge.judge(&with_new, now()).is_ok());
}

#[test]
fn nothing_outlives_its_authority() {
    let region = Region::of("test.example", now() - hours(24 * 3653) + hours(1));
    let (judge, _) = judge(&region);
    let (issued, _) = region.client("viewer", &[]);
    let peer = connection(vec![issued.certificate]);
    assert!(judge.judge(&peer, now()).is_ok());
    let error = judge.judge(&peer, now() + hours(2)).unwrap_err();
    assert_eq!(error.reason(), "CERTIFICATE_EXPIRED");
}

#[test]
fn a_server_certificate_is_told_apart_by_its_purpose_alone() {
    let region = Region::new();
    let (judge, _) = judge(&region);
    let purposes = |purposes: Vec<ExtendedKeyUsagePurpose>| {
        region.odd(|p| {
            p.subject_alt_names = vec![uri("spiffe://test.example/viewer/ada")];
            p.extended_key_usages = purposes;
        })
    };
    assert!(verdict(&judge, vec![purposes(vec![ExtendedKeyUsagePurpose::ClientAuth])]).is_ok());
    for wrong in [vec![], vec![ExtendedKeyUsagePurpose::ServerAuth]] {
        let error = verdict(&judge, vec![purposes(wrong)]).unwrap_err();
        assert_eq!(error, PeerError::WrongPurpose);
    }
}
