//! Every exit code of `ssctl`, each by a cause that is real.

use rustix::process::Signal;
use serde_json::Value;
use streamspace_tests::{region::Region, runtime::story};

const TWO_DOCUMENTS: &str = "\
kind: Tenant
name: fine
spec: {plan: business, seats: 1, adminSubjects: [{kind: user, name: a@fine.com}]}
---
kind: Tenant
name: wrong
spec: {plan: no-such-plan, seats: 1, adminSubjects: [{kind: user, name: a@wrong.com}]}
";

#[test]
fn each_exit_code_has_a_real_cause() {
    story(async {
        let region = Region::start().await;
        let ssctl = region.admin();
        let create = |id: &'static str| {
            ["tenant", "create", id, "--plan", "business", "--seats", "2", "--admin", "a@acme.com"]
        };

        // 0: done.
        ssctl.ok(&[&create("acme")[..], &["--wait"]].concat()).await;
        // 1: a failure on this machine.
        let broken = ssctl.home().join("broken.toml");
        std::fs::write(&broken, "contexts = 7").expect("the home is ours");
        let astray = ssctl.clone().with("SSCTL_CONFIG", broken.display().to_string());
        astray.run(&["tenant", "list"]).await.exits(1).says("is broken");
        // 2: a value that is wrong, here and in the daemon.
        ssctl.run(&["tenant", "list", "-o", "jsno"]).await.exits(2).says("json");
        ssctl.run(&["tenant", "list", "--filter", "seatz > 5"]).await.exits(2).says("seats");
        // 3: something would change.
        ssctl.run(&["tenant", "set", "acme", "--seats", "3", "--dry-run"]).await.exits(3);
        // 4: not logged in.
        region.machine("new").run(&["tenant", "list"]).await.exits(4).says("ssctl login");
        // 5: denied.
        let viewer = region.machine("viewer");
        let token = region.token("vic", "viewer").await;
        viewer.ok(&["login", &region.grpc().to_string(), "--token", &token]).await;
        viewer.run(&create("mine")).await.exits(5).says("access why");
        // 6: not found.
        ssctl.run(&["tenant", "show", "nobody"]).await.exits(6);
        // 7: somebody else was faster, and a name that is taken.
        let old = ssctl.json(&["tenant", "show", "acme"]).await["etag"].clone();
        ssctl.ok(&["tenant", "set", "acme", "--seats", "4"]).await;
        let old = old.as_str().expect("an etag");
        let late = ["tenant", "cordon", "acme", "--reason", "story", "--if-match", old];
        ssctl.run(&late).await.exits(7);
        ssctl.run(&create("acme")).await.exits(7);
        // 9: a wait that is over before the work is: nobody writes to the cluster.
        ssctl.ok(&["region", "pause", "--for", "10m", "--reason", "story"]).await;
        let slow = [&create("slow")[..], &["--wait", "--timeout", "2s"]].concat();
        ssctl.run(&slow).await.exits(9);
        ssctl.ok(&["region", "unpause", "--reason", "story"]).await;
        // 11: a check that does not pass.
        ssctl.run(&["quota", "check", "acme", "cpu=1000000"]).await.exits(11);
        // 12: the state forbids it.
        ssctl.ok(&["region", "cordon", "--for", "10m", "--reason", "story"]).await;
        ssctl.run(&create("later")).await.exits(12).says("ssctl region show");
        ssctl.ok(&["region", "uncordon", "--reason", "story"]).await;
        // 13: a second person is needed.
        ssctl.ok(&["tenant", "set", "acme", "--protected=true"]).await;
        let suspend = ["tenant", "suspend", "acme", "--reason", "story", "--confirm", "acme"];
        ssctl.run(&suspend).await.exits(13).says("approval approve");
        // 14: a part is done.
        let file = ssctl.home().join("two.yaml");
        std::fs::write(&file, TWO_DOCUMENTS).expect("the home is ours");
        let file = file.display().to_string();
        ssctl.run(&["apply", "-f", &file]).await.exits(14);
        ssctl.ok(&["tenant", "show", "fine"]).await;
        // 130: Ctrl-C.
        let mut watch = ssctl.start(&["tenant", "watch", "-o", "name"]);
        watch.line().await;
        assert_eq!(watch.interrupt().await, 130);
        // 9 again: a daemon that takes the connection and says nothing. 10: the same
        // among several.
        let second = Region::start().await;
        let token = second.token("ada", "viewer").await;
        let address = second.grpc().to_string();
        ssctl.ok(&["login", &address, "--token", &token, "--context", "second"]).await;
        region.signal(Signal::STOP).await;
        let first = ["--context", "story-1", "--timeout", "2s"];
        let list = [&["tenant", "list"][..], &first];
        ssctl.run(&list.concat()).await.exits(9).says("no answer within 2 s");
        let all = ["region", "show", "--all-contexts", "--timeout", "2s", "-o", "json"];
        let read: Value = ssctl.run(&all).await.exits(10).json();
        assert_eq!(read["items"][0]["context"], "second", "{read}");
        assert_eq!(read["unread"][0]["context"], "story-1", "{read}");
        region.signal(Signal::CONT).await;
        // 8: nobody is there.
        region.kill().await;
        ssctl.run(&list.concat()).await.exits(8).says("nobody listens there");
    });
}
