//! The dashboard of a daemon that comes back with another certificate.

use streamspace_tests::{pty::Drawing, region::Region, rpc::server_certificate, runtime::story};

use super::{PATIENCE, row};

async fn comes_back(region: &Region) {
    region.launch().await;
    region.is_well().await;
}

#[test]
fn a_new_certificate_is_taken_and_a_foreign_one_is_refused_until_the_right_one_is_back() {
    story(async {
        let (region, other) = tokio::join!(Region::start(), Region::start());
        let create = ["tenant", "create", "acme", "--plan", "free", "--seats", "1", "--wait"];
        region.admin().ok(&create).await;
        let mut screen = Drawing::start(region.admin(), &["ui"], 240, 30);
        screen.shows(PATIENCE, "● live").await;
        screen.press("t");
        screen.shows(PATIENCE, "TENANTS 1 ").await;
        let healthy = row(&screen.text(), "acme").to_owned();
        assert!(!healthy.contains('?'), "{healthy}");

        // The same authority made another one.
        let authority = region.authority().certificate();
        let first = server_certificate(region.grpc(), &authority).await;
        region.kill().await;
        screen.shows(PATIENCE, "not live").await;
        comes_back(&region).await;
        assert_ne!(server_certificate(region.grpc(), &authority).await, first);
        screen.shows(PATIENCE, "● live").await;

        // Somebody else's daemon is at its address.
        let folder = |region: &Region| region.config().with_file_name("access");
        region.stop().await;
        let own = folder(&region).display().to_string();
        region.set("access", "directory", folder(&other).display().to_string());
        region.launch().await;
        screen.shows(PATIENCE, "an authority that this context does not trust").await;
        screen.shows(PATIENCE, "refused").await;
        screen.until(PATIENCE, "the row is doubted", |text| row(text, "acme").contains('?')).await;
        screen.shows(PATIENCE, "TENANTS 1 ").await;
        // What to do is told, whole where the terminal is wide enough.
        screen.shows(PATIENCE, "do not go on before you know why").await;
        assert!(!screen.text().contains("● live"), "{}", screen.text());

        region.stop().await;
        region.set("access", "directory", own);
        comes_back(&region).await;
        screen.shows(PATIENCE, "● live").await;
        screen
            .until(PATIENCE, "the row is believed", |text| {
                text.contains("TENANTS 1 ") && !row(text, "acme").contains('?')
            })
            .await;
        screen.press("c");
        screen.shows(PATIENCE, "live again").await;
        let refusals = screen.text().matches("ended the watch").count();
        assert!(refusals <= 1, "told once:\n{}", screen.text());
        screen.press("q");
        assert!(screen.ends(PATIENCE).await.success());
    });
}
