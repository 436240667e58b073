//! Several regions at once: one is dead, one is stopped in its tracks, and what there is
//! comes in time all the same.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use streamspace_tests::{region::Region, runtime::story, ssctl::Ssctl};

/// What a read may take longer than the time that was given: to start, to print, and on a
/// busy machine.
const ROOM: Duration = Duration::from_secs(4);

async fn log_in(person: &Ssctl, context: &str, region: &Region) {
    let token = region.token("ada", "operator").await;
    let address = region.grpc().to_string();
    person.ok(&["login", &address, "--token", &token, "--context", context]).await;
}

async fn tenant(region: &Region, id: &str, seats: &str) {
    let create = ["tenant", "create", id, "--plan", "business", "--seats", seats];
    region.admin().ok(&[&create[..], &["--admin", "a@acme.com"]].concat()).await;
}

/// The contexts of a list's items, or of what is not read.
fn contexts(read: &Value, list: &str) -> Vec<String> {
    let list = read[list].as_array().unwrap_or_else(|| panic!("no {list}: {read}"));
    list.iter().map(|one| one["context"].as_str().expect("a context").to_owned()).collect()
}

#[test]
fn a_dead_and_a_slow_region_hide_no_other() {
    story(async {
        let (us, eu, ap) = tokio::join!(Region::start(), Region::start(), Region::start());
        let regions = [("ap-south-1", &ap), ("eu-west-1", &eu), ("us-east-1", &us)];
        let ada = us.machine("ada");
        for (context, region) in regions {
            log_in(&ada, context, region).await;
        }
        tokio::join!(tenant(&us, "acme", "10"), tenant(&eu, "beta", "3"), tenant(&ap, "acme", "7"));

        // All are well: one table, in the order of the contexts.
        let all = ada.ok(&["tenant", "list", "--all-contexts"]).await;
        assert!(all.stdout.starts_with("REGION"), "{}", all.stdout);
        let firsts: Vec<_> =
            all.stdout.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(firsts, ["ap-south-1", "eu-west-1", "us-east-1"], "{}", all.stdout);
        let read = ada.ok(&["tenant", "list", "--all-contexts", "-o", "json"]).await.json();
        assert_eq!(contexts(&read, "items"), ["ap-south-1", "eu-west-1", "us-east-1"]);
        assert_eq!(contexts(&read, "unread"), Vec::<String>::new());
        // Where is it? In two regions, and in the one that was asked for alone.
        let found = ada.ok(&["tenant", "find", "acme", "-o", "json"]).await.json();
        assert_eq!(contexts(&found, "items"), ["ap-south-1", "us-east-1"]);
        let few = ada.ok(&["tenant", "find", "seats < 5"]).await.prints("eu-west-1   beta");
        assert!(!few.stdout.contains("acme"), "{}", few.stdout);
        ada.run(&["tenant", "find", "nobody"]).await.exits(6).says("nobody");
        // A change is for one region.
        let cordon = ["tenant", "cordon", "acme", "--for", "1h", "--reason", "story"];
        let both = [&cordon[..], &["--context", "ap-south-1,us-east-1"]].concat();
        ada.run(&both).await.exits(2).says("speaks to one region").says("--context NAME");
        for region in [&us, &ap] {
            let shown = region.admin().json(&["tenant", "show", "acme"]).await;
            assert!(shown.get("cordonExpireTime").is_none(), "{shown}");
        }

        // One dies, one is stopped in its tracks.
        eu.kill().await;
        ap.signal(Signal::STOP).await;
        for (arguments, limit) in [
            (&["tenant", "list", "--all-contexts"][..], Duration::from_secs(5)),
            (&["tenant", "list", "--all-contexts", "--timeout", "2s"], Duration::from_secs(2)),
        ] {
            let begin = Instant::now();
            let some = ada.run(arguments).await.exits(10);
            let took = begin.elapsed();
            assert!(took < limit + ROOM, "{took:?} of {limit:?}");
            let some = some.prints("us-east-1   acme").prints("ap-south-1  not read: ");
            some.prints("eu-west-1   not read: ")
                .says("error: eu-west-1: ")
                .says("nobody listens there")
                .says("error: ap-south-1: ")
                .says("no answer within")
                .says("2 of 3 regions are not read");
        }
        let some = [&["tenant", "list", "--all-contexts", "--timeout", "2s"][..], &["-o", "json"]];
        let read = ada.run(&some.concat()).await.exits(10).json();
        assert_eq!(contexts(&read, "items"), ["us-east-1"]);
        assert_eq!(contexts(&read, "unread"), ["ap-south-1", "eu-west-1"]);
        assert_eq!(read["unread"][0]["exitCode"], 9, "{read}");
        assert_eq!(read["unread"][1]["exitCode"], 8, "{read}");
        // A tenant that is not where one can look is not proved to be nowhere.
        let find = ["tenant", "find", "beta", "--timeout", "2s"];
        ada.run(&find).await.exits(10).prints("eu-west-1   not read");
        // Other reads are no different.
        let who = ["whoami", "--all-contexts", "--timeout", "2s"];
        ada.run(&who).await.exits(10).prints("us-east-1").prints("Not read:");
        let show = ["region", "show", "--context", "eu-west-1,us-east-1", "-o", "jsonl"];
        let lines = ada.run(&show).await.exits(10).stdout;
        assert_eq!(lines.lines().count(), 2, "{lines}");
        // Nothing is left: then it ends as the first of them did.
        let dead = ["tenant", "list", "--context", "eu-west-1,ap-south-1", "--timeout", "2s"];
        ada.run(&dead).await.exits(8);

        // They come back, and with them what they have.
        ap.signal(Signal::CONT).await;
        eu.launch().await;
        eu.is_well().await;
        let read = ada.ok(&["tenant", "list", "--all-contexts", "-o", "json"]).await.json();
        assert_eq!(contexts(&read, "items"), ["ap-south-1", "eu-west-1", "us-east-1"]);
    });
}
