//! The dashboard over several regions, one of which is dead for a while.

use streamspace_tests::{pty::Drawing, region::Region, runtime::story, ssctl::Ssctl};

use super::{PATIENCE, row};

async fn log_in(person: &Ssctl, context: &str, region: &Region) {
    let token = region.token("ada", "operator").await;
    let address = region.grpc().to_string();
    person.ok(&["login", &address, "--token", &token, "--context", context]).await;
}

async fn tenant(region: &Region, id: &str) {
    let create = ["tenant", "create", id, "--plan", "free", "--seats", "1", "--wait"];
    region.admin().ok(&create).await;
}

#[test]
fn a_dead_region_is_marked_and_the_others_stay_live() {
    story(async {
        let (us, eu, ap) = tokio::join!(Region::start(), Region::start(), Region::start());
        let regions = [("ap-south-1", &ap), ("eu-west-1", &eu), ("us-east-1", &us)];
        let ada = us.machine("ada");
        for (context, region) in regions {
            log_in(&ada, context, region).await;
        }
        tokio::join!(tenant(&us, "acme"), tenant(&eu, "beta"), tenant(&ap, "cola"));
        let chosen = ["ui", "--context", "ap-south-1,eu-west-1,us-east-1"];
        let mut screen = Drawing::start(&ada, &chosen, 140, 30);
        screen.shows(PATIENCE, "● live").await;
        screen.press("t");
        screen.shows(PATIENCE, "TENANTS 3  active 3").await;

        eu.kill().await;
        screen.shows(PATIENCE, "2 of 3 live").await;
        screen.until(PATIENCE, "its row is doubted", |text| row(text, "beta").contains('?')).await;
        let text = screen.text();
        for id in ["acme", "cola"] {
            assert!(!row(&text, id).contains('?'), "{id} is well:\n{text}");
        }
        assert!(text.contains("TENANTS 3 "), "{text}");

        // The others go on, each by itself.
        ada.ok(&["tenant", "set", "acme", "--seats", "4", "--context", "us-east-1"]).await;
        let has =
            |text: &str, seats: &str| row(text, "acme").split_whitespace().any(|it| it == seats);
        screen.until(PATIENCE, "the change is shown", |text| has(text, "4")).await;
        tenant(&ap, "delta").await;
        screen.shows(PATIENCE, "TENANTS 4 ").await;
        let text = screen.text();
        assert!(text.contains("2 of 3 live") && row(&text, "beta").contains('?'), "{text}");
        assert!(!row(&text, "acme").contains('?') && !row(&text, "delta").contains('?'), "{text}");

        eu.launch().await;
        eu.is_well().await;
        screen.shows(PATIENCE, "● live").await;
        screen.shows(PATIENCE, "TENANTS 4  active 4").await;
        let text = screen.text();
        for id in ["acme", "beta", "cola", "delta"] {
            assert!(!row(&text, id).contains('?'), "{id}:\n{text}");
        }
        screen.press("q");
        assert!(screen.ends(PATIENCE).await.success());

        // One that is opened while a region is dead shows the others.
        us.kill().await;
        let mut late = Drawing::start(&ada, &["ui", "--all-contexts"], 140, 30);
        late.shows(PATIENCE, "2 of 3 live").await;
        late.press("t");
        late.shows(PATIENCE, "TENANTS 3 ").await;
        us.launch().await;
        late.shows(PATIENCE, "TENANTS 4 ").await;
        late.shows(PATIENCE, "● live").await;
    });
}
