//! Why somebody may or may not.

use super::*;

#[tokio::test]
async fn access_is_explained_by_the_rule_that_decides() {
    let world = World::new().await;
    let operator = world.caller(&world.enrolled().await.client_certificate);
    let explain = |method: &str| {
        world.access.explain_access(by(&operator, ExplainAccessRequest { method: method.into() }))
    };
    for name in [
        "TenantService.DeleteTenant",
        "DeleteTenant",
        "streamspace.admin.v1.TenantService/DeleteTenant",
        "/streamspace.admin.v1.TenantService/DeleteTenant",
    ] {
        let explained = explain(name).await.unwrap().into_inner();
        assert_eq!(explained.method, "streamspace.admin.v1.TenantService/DeleteTenant");
        assert!(!explained.allowed);
        assert_eq!(explained.rule, "least-role");
        assert!(explained.message.contains("admin"), "{}", explained.message);
        assert!(explained.policy.unwrap().needs_reason);
    }
    assert!(explain("TenantService.CreateTenant").await.unwrap().into_inner().allowed);
    let refusal = explain("TenantService.DeleteTennant").await.unwrap_err();
    assert!(refusal.message().contains("did you mean TenantService.DeleteTenant?"), "{refusal}");
    assert!(explain("").await.is_err());
}

#[tokio::test]
async fn a_method_name_that_is_almost_right_gets_a_suggestion() {
    let world = World::new().await;
    let admin = world.person("root", Role::Admin).await;
    let explain = |method: &str| {
        world.access.explain_access(by(&admin, ExplainAccessRequest { method: method.into() }))
    };
    for (asked, meant) in [
        ("DeleteTennant", "TenantService.DeleteTenant"),
        ("deletetenant", "TenantService.DeleteTenant"),
        ("TenantServce.DeleteTenant", "TenantService.DeleteTenant"),
        ("TenantsService.DeleteTenent", "TenantService.DeleteTenant"),
        ("streamspace.admin.v1.TenantService/DeletTenant", "TenantService.DeleteTenant"),
        ("RevokeCertificat", "AccessService.RevokeCertificate"),
    ] {
        let refusal = explain(asked).await.unwrap_err();
        let expected = format!("did you mean {meant}?");
        assert!(refusal.message().contains(&expected), "{asked}: {}", refusal.message());
    }
    let refusal = explain("MakeCoffee").await.unwrap_err();
    assert!(refusal.message().contains("Service.Method"), "{refusal}");

    let explained = explain("TenantService.DeleteTenant").await.unwrap().into_inner();
    assert!(explained.allowed);
    assert!(explained.message.contains("second person"), "{}", explained.message);
}
