//! Files that describe a region: applied again and again, compared, pruned, hostile,
//! and applied by a client that is killed.

use std::fs;

use streamspace_tests::{
    region::Region,
    runtime::story,
    ssctl::Ssctl,
    wait::{holds, until},
};
use tempfile::TempDir;

const PLAN: &str = "\
kind: Plan
name: studio
spec:
  displayName: Studio
  rank: 9
  seatPriceMicros: 12500000
  userSessions: 2
  userMemoryBytes: 4Gi
  recordingRetentionDays: 7
  features: [core]
  availabilityPpm: 990000
  quota: {cpuMillicores: 40000, memoryBytes: 80Gi, storageBytes: 400Gi, pods: 200}
";

const TENANTS: &str = "\
kind: Quota          # comes after its tenant, wherever it stands
name: acme-corp
spec: {cpu: 60, pods: 300}
---
kind: Tenant
name: acme-corp
spec:
  plan: studio
  seats: 3
  displayName: ''    # the name, as the daemon has it
  labels: {tier: gold, zone: 'no'}
  adminSubjects:
    - {kind: user, name: a@acme.com}
---
kind: Tenant
name: beta-inc
spec: {plan: free, seats: 1}
";

fn tenant(id: &str) -> String {
    format!("kind: Tenant\nname: {id}\nspec: {{plan: free, seats: 1}}\n")
}

struct Files {
    folder: TempDir,
}

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = TempDir::with_prefix("streamspace-apply-").unwrap();
        let new = Self { folder };
        for (name, text) in files {
            new.write(name, text);
        }
        new
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.folder.path().join(name)).unwrap();
    }

    fn path(&self) -> &str {
        self.folder.path().to_str().unwrap()
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
}

/// How much the daemon has written: changes, audit entries, versions of plans.
async fn written(region: &Region) -> Vec<i64> {
    let mut counts = Vec::new();
    for query in [
        "SELECT count(*) FROM changes WHERE actor <> 'streamspaced'",
        "SELECT count(*) FROM audit_entries",
        "SELECT count(*) FROM plans",
        "SELECT count(*) FROM quota_overrides",
    ] {
        counts.push(sqlx::query_scalar(query).fetch_one(&region.pool()).await.unwrap());
    }
    counts
}

async fn tenants(region: &Region) -> i64 {
    let query = "SELECT count(*) FROM tenants";
    sqlx::query_scalar(query).fetch_one(&region.pool()).await.unwrap()
}

async fn state(ssctl: &Ssctl, id: &str) -> String {
    let shown = ssctl.json(&["tenant", "show", id]).await;
    shown["state"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn what_is_applied_twice_changes_nothing_the_second_time() {
    story(async {
        let region = Region::start().await;
        let ssctl = region.admin();
        let files = Files::new(&[("plans/studio.yml", PLAN), ("tenants.yaml", TENANTS)]);
        let apply = ["apply", "-f", files.path()];
        let diff = ["diff", "-f", files.path()];

        // What is not there yet is shown, as far as the daemon can judge it.
        let before = written(&region).await;
        for preview in [&diff[..], &[&apply[..], &["--dry-run"]].concat()] {
            ssctl
                .run(preview)
                .await
                .exits(3)
                .prints("+ plans/studio")
                .prints("+ tenants/acme-corp")
                .prints("+   plan: \"plans/free\"")
                .prints("+ quotas/acme-corp")
                .says("tenants/acme-corp is shown from the files");
        }
        assert_eq!(written(&region).await, before, "a preview changes nothing");
        assert_eq!(tenants(&region).await, 0);

        let all = ["plans/studio", "tenants/acme-corp", "tenants/beta-inc", "quotas/acme-corp"];
        let told = |word: &[&str]| -> String {
            let lines = all.iter().zip(word).map(|(name, word)| [name, " ", word, "\n"].concat());
            lines.collect()
        };
        let wait = [&apply[..], &["--wait"]].concat();
        let first = ssctl.ok(&wait).await;
        assert_eq!(first.stdout, told(&["created", "created", "created", "changed"]));
        let shown = ssctl.json(&["tenant", "show", "acme-corp"]).await;
        assert_eq!(shown["state"], "TENANT_STATE_ACTIVE", "{shown}");
        assert_eq!(shown["displayName"], "acme-corp");
        assert_eq!(shown["labels"]["zone"], "no");
        assert_eq!(shown["quota"]["cpuMillicores"], "60000", "{shown}");

        let before = written(&region).await;
        let second = ssctl.ok(&apply).await;
        assert_eq!(second.stdout, told(&["unchanged"; 4]));
        ssctl.ok(&diff).await.says("nothing would change");
        ssctl.ok(&[&apply[..], &["--dry-run"]].concat()).await.says("nothing would change");
        assert_eq!(written(&region).await, before, "no change, no audit entry, no version");
        let rows = ssctl.json(&apply).await;
        assert_eq!(rows[0]["name"], "plans/studio", "{rows}");
        assert_eq!(rows[3]["result"], "unchanged", "{rows}");
        let names = ssctl.ok(&[&apply[..], &["-o", "name"]].concat()).await;
        assert_eq!(names.stdout, all.map(|name| format!("{name}\n")).concat());

        // Only what a file says is changed: a label by hand stays where the file has none.
        ssctl.ok(&["tenant", "set", "beta-inc", "--label", "by=hand"]).await;
        // A raise for a night stands above what the file says, and stays.
        ssctl.ok(&["quota", "set", "acme-corp", "cpu=70", "--for", "1h"]).await;
        ssctl.ok(&diff).await;
        assert_eq!(ssctl.ok(&apply).await.stdout, told(&["unchanged"; 4]));
        let raised = ssctl.json(&["tenant", "show", "acme-corp"]).await;
        assert_eq!(raised["quota"]["cpuMillicores"], "70000", "{raised}");

        // A change of each kind: shown by the daemon, then made.
        files.write("plans/studio.yml", PLAN.replace("pods: 200", "pods: 250"));
        let edited = TENANTS.replace("seats: 3", "seats: 4").replace("cpu: 60, ", "cpu: plan, ");
        files.write("tenants.yaml", edited);
        ssctl
            .run(&diff)
            .await
            .exits(3)
            .prints("~ plans/studio\n-   quota.pods: 200\n+   quota.pods: 250\n")
            .prints("~ tenants/acme-corp\n-   seats: 3\n+   seats: 4\n")
            .prints("~ quotas/acme-corp\n");
        let changed = ssctl.ok(&apply).await.says("tenants keep theirs");
        assert_eq!(changed.stdout, told(&["changed", "changed", "unchanged", "changed"]));
        assert_eq!(ssctl.ok(&apply).await.stdout, told(&["unchanged"; 4]));
        let versions = ssctl.json(&["plan", "show", "studio", "--versions"]).await;
        assert_eq!(versions.as_array().unwrap().len(), 2, "{versions}");
        assert_eq!(versions[0]["displayName"], "Studio");
        let beta = ssctl.json(&["tenant", "show", "beta-inc"]).await;
        assert_eq!(beta["labels"]["by"], "hand", "{beta}");
    });
}

#[test]
fn diff_tells_a_change_from_what_it_cannot_tell() {
    story(async {
        let region = Region::start().await;
        let ssctl = region.admin();
        let files = Files::new(&[("a.yaml", &tenant("acme"))]);
        let file = files.file("a.yaml");
        ssctl.run(&["diff", "-f", &file]).await.exits(3).prints("+ tenants/acme");
        ssctl.ok(&["apply", "-f", &file]).await;
        ssctl.ok(&["diff", "-f", &file]).await;
        let absent = files.file("absent.yaml");
        ssctl.run(&["diff", "-f", &absent]).await.exits(1).says("cannot read");
        ssctl.run(&["diff", "-f", &file, "-f", &absent]).await.exits(1);
        files.write("b.yaml", "kind: Tenant\nname: bad-plan\nspec: {plan: none-such, seats: 1}\n");
        // One that would change and one that is refused: it is not known what would be.
        files.write("a.yaml", tenant("acme").replace("seats: 1", "seats: 2"));
        let run = ssctl.run(&["diff", "-f", files.path()]).await.exits(2);
        run.prints("seats: 2").says("there is no plan none-such");
        let viewer = region.person("vera", "viewer").await;
        viewer.run(&["diff", "-f", &file]).await.exits(5);
        region.stop().await;
        ssctl.run(&["diff", "-f", &file]).await.exits(8);
    });
}

#[test]
fn hostile_files_are_refused_with_their_place_and_change_nothing() {
    story(async {
        let region = Region::start().await;
        let ssctl = region.admin();
        let mut bomb = String::from("kind: Tenant\nname: a\nspec:\n  labels:\n    a: &a [x, x]\n");
        for (name, of) in ('b'..='z').zip('a'..='y') {
            let line = format!("    {name}: &{name} [*{of}, *{of}, *{of}, *{of}]\n");
            bomb.push_str(&line);
        }
        let spec = |spec: &str| format!("kind: Tenant\nname: acme\nspec:\n  {spec}\n");
        let cases: Vec<(&str, Vec<u8>, &str)> = vec![
            ("duplicate", spec("seats: 1\n  seats: 2").into(), "5: \"seats\" is given twice"),
            ("bomb", bomb.into(), "aliases (*name) stand for too much"),
            ("cycle", spec("labels: &a {x: *a}").into(), "aliases (*name) stand for too much"),
            ("deep", "[".repeat(200_000).into(), "1: lists and maps stand in each other deeper"),
            ("huge", vec![b' '; (16 << 20) + 1], "larger than 16 MiB"),
            ("unknown", spec("seast: 1").into(), "4: spec.seast is not known; did you mean seats?"),
            ("type", spec("seats: many").into(), "4: spec.seats must be a whole number"),
            ("boolean", spec("protected: no").into(), "4: spec.protected must be true or false"),
            ("date", spec("seats: 2026-11-24").into(), "4: spec.seats must be a whole number"),
            ("integer", spec("seats: 99999999999999999999").into(), "4: spec.seats must be"),
            ("merge", spec("<<: {plan: free}").into(), "4: merge keys (<<) are not taken"),
            ("key", spec("labels: {1: a}").into(), "4: a key must be text"),
            ("tag", spec("plan: !!python/object:os.system x").into(), "4: the tag"),
            ("tab", "kind: Tenant\nspec:\n\tplan: x\n".into(), "3: this is no YAML: tabs"),
            ("nul", b"kind: Tenant\nname: a\0b\n".to_vec(), "2: the control character U+0000"),
            ("latin1", b"kind: Tenant\nname: caf\xe9\n".to_vec(), "2: this is not UTF-8"),
            ("escape", spec("\"\\e[2J\": 1").into(), "is not known"),
            ("kind", "kind: Tennant\nname: a\n".into(), "1: kind \"Tennant\" is not known; did"),
            (
                "second",
                format!("{}---\n{}", tenant("good"), spec("plan: [free]")).into(),
                "8: spec.plan must be text",
            ),
        ];
        for (name, bytes, told) in cases {
            // A good one beside it is not applied either.
            let files = Files::new(&[("a-good.yaml", &tenant("good-one"))]);
            files.write(&format!("{name}.yaml"), &bytes);
            for verb in ["apply", "diff"] {
                let run = ssctl.run(&[verb, "-f", files.path()]).await.exits(2);
                let run = run.says(&format!("{name}.yaml:")).says(told);
                assert!(run.stderr.len() < 1000 && !run.stderr.contains('\u{1b}'), "{run:?}");
                assert_eq!(run.stdout, "", "{name}");
            }
        }
        assert_eq!(tenants(&region).await, 0);
        // Loops of links end, and lead to nothing twice.
        let files = Files::new(&[("deep/a.yaml", &tenant("looped"))]);
        std::os::unix::fs::symlink("..", files.folder.path().join("deep/up")).unwrap();
        assert_eq!(
            ssctl.ok(&["apply", "-f", files.path()]).await.stdout,
            "tenants/looped created\n"
        );
    });
}

#[test]
fn what_show_prints_is_edited_and_applied() {
    story(async {
        let region = Region::start().await;
        let ssctl = region.admin();
        let input = format!("{}---\n{}", tenant("acme"), tenant("beta"));
        let fed = ssctl.feed(&["apply", "-f", "-"], &input).await.exits(0);
        assert_eq!(fed.stdout, "tenants/acme created\ntenants/beta created\n");

        let shown = ssctl.ok(&["tenant", "show", "acme", "-o", "yaml"]).await.stdout;
        let apply = ["apply", "-f", "-"];
        ssctl.feed(&apply, &shown).await.exits(0).prints("unchanged");
        let edited = shown.replace("seats: 1", "seats: 2");
        assert_ne!(shown, edited);
        ssctl.feed(&apply, &edited).await.exits(0).prints("tenants/acme changed");
        // Somebody else was faster: the etag that was shown is not the current one.
        let late = shown.replace("seats: 1", "seats: 3");
        ssctl.feed(&apply, &late).await.exits(7);
        assert_eq!(ssctl.json(&["tenant", "show", "acme"]).await["seats"], 2);
        let nobody = late.replace("tenants/acme", "tenants/nobody");
        ssctl.feed(&apply, &nobody).await.exits(7).says("there is no tenants/nobody any more");
        // What only the daemon writes is passed over, and that is told.
        let quota = edited.lines().filter(|line| !line.starts_with("etag:"));
        let quota = quota.collect::<Vec<_>>().join("\n").replace("pods: 20", "pods: 4000");
        ssctl.feed(&apply, &quota).await.exits(0).says("only the daemon writes quota; passed over");

        let list = ssctl.ok(&["tenant", "list", "-o", "yaml"]).await.stdout;
        ssctl.feed(&apply, &list).await.exits(0).prints("tenants/beta unchanged");
        let json = ssctl.ok(&["tenant", "list", "-o", "json"]).await.stdout;
        ssctl.feed(&apply, &json).await.exits(0).prints("tenants/acme unchanged");
        let plans = ssctl.ok(&["plan", "list", "-o", "yaml"]).await.stdout;
        ssctl.feed(&apply, &plans).await.exits(0).prints("plans/free unchanged");
        // The version of a plan guards like an etag.
        let plan = ssctl.ok(&["plan", "show", "free", "-o", "yaml"]).await.stdout;
        ssctl.feed(&apply, &plan.replace("pods: 20", "pods: 21")).await.exits(0);
        ssctl.feed(&apply, &plan.replace("pods: 20", "pods: 22")).await.exits(7);
    });
}

#[test]
fn one_document_fails_and_the_others_are_applied() {
    story(async {
        let region = Region::start().await;
        let ssctl = region.admin();
        let bad_plan = PLAN.replace("rank: 9", "rank: 9999");
        let files = Files::new(&[
            ("a.yaml", &bad_plan),
            ("b.yaml", &tenant("fine")),
            ("c.yaml", "kind: Tenant\nname: waits\nspec: {plan: studio, seats: 1}\n"),
            ("d.yaml", "kind: Tenant\nname: none\nspec: {plan: free, seats: 0}\n"),
            ("e.yaml", "kind: Quota\nname: none\nspec: {cpu: 5}\n"),
        ]);
        let apply = ["apply", "-f", files.path()];
        let run = ssctl.run(&apply).await.exits(14);
        assert_eq!(run.stdout, "tenants/fine created\n");
        let run = run.says("a.yaml:1").says("plan.rank").says("1 done, 4 not");
        let run = run.says("tenants/waits was not tried: plans/studio, which it stands on, failed");
        run.says("d.yaml:1").says("tenant.seats").says("quotas/none was not tried");
        let rows = ssctl.run(&[&apply[..], &["-o", "json"]].concat()).await.exits(14).json();
        assert_eq!(rows[0]["result"], "failed", "{rows}");
        assert_eq!(rows[1]["result"], "unchanged", "{rows}");
        // Mended, the same files go through.
        files.write("a.yaml", PLAN);
        files.write("d.yaml", tenant("none"));
        ssctl.ok(&apply).await.prints("tenants/waits created").prints("quotas/none changed");
        ssctl.ok(&["diff", "-f", files.path()]).await;
        // Where all of it fails, the reason is the exit code.
        let viewer = region.person("vera", "viewer").await;
        files.write("d.yaml", tenant("none").replace("seats: 1", "seats: 2"));
        viewer.run(&["apply", "-f", &files.file("d.yaml")]).await.exits(5);
    });
}

#[test]
fn what_is_in_no_file_any_more_is_archived_and_nothing_else() {
    story(async {
        let region = Region::start().await;
        let ssctl = region.admin();
        let files = Files::new(&[]);
        for id in ["one", "two", "three"] {
            files.write(&format!("{id}.yaml"), tenant(id));
        }
        let eu = ["apply", "-f", files.path(), "--set", "eu"];
        // Only what the cluster has can be archived.
        ssctl.ok(&[&eu[..], &["--wait"]].concat()).await;
        // One of another set, and one that a hand made.
        ssctl.feed(&["apply", "-f", "-", "--set", "us", "--wait"], &tenant("other")).await.exits(0);
        ssctl
            .ok(&["tenant", "create", "foreign", "--plan", "free", "--seats", "1", "--wait"])
            .await;
        ssctl.ok(&[&eu[..], &["--prune"]].concat()).await.prints("tenants/one unchanged");

        files.remove("three.yaml");
        ssctl.ok(&eu).await;
        assert_eq!(tenants(&region).await, 5, "without --prune nothing goes");
        let prune = [&eu[..], &["--prune"]].concat();
        let before = written(&region).await;
        let diff = ["diff", "-f", files.path(), "--set", "eu", "--prune"];
        let shown = ssctl.run(&diff).await.exits(3).prints("~ tenants/three");
        let shown = shown.prints("TENANT_STATE_ARCHIVED").prints("! ");
        assert!(!shown.stdout.contains("foreign") && !shown.stdout.contains("other"), "{shown:?}");
        ssctl.run(&[&prune[..], &["--dry-run"]].concat()).await.exits(3).prints("tenants/three");
        // The end needs a reason and a confirmation, each told apart.
        ssctl.run(&prune).await.exits(2).says("a reason is needed");
        let reason = ["--reason", "contract ended"];
        ssctl.run(&[&prune[..], &reason].concat()).await.exits(2).says("--confirm eu");
        let wrong = [&prune[..], &reason, &["--confirm", "three"]].concat();
        ssctl.run(&wrong).await.exits(2).says("this is eu");
        assert_eq!(written(&region).await, before, "nothing of these changed anything");
        let sure = [&prune[..], &reason, &["--confirm", "eu"]].concat();
        let pruned = ssctl.ok(&[&sure[..], &["--wait"]].concat()).await;
        pruned.prints("tenants/three archived").prints("tenants/one unchanged");
        assert_eq!(state(ssctl, "three").await, "TENANT_STATE_ARCHIVED");
        let after = written(&region).await;
        let again = ssctl.ok(&sure).await;
        assert_eq!(again.stdout, "tenants/one unchanged\ntenants/two unchanged\n");
        ssctl.ok(&diff).await;
        assert_eq!(written(&region).await, after, "a second prune changes nothing");

        // It comes back only by a person's will.
        files.write("three.yaml", tenant("three"));
        ssctl.ok(&prune).await.says("tenants/three is archived, and stays so");
        files.remove("three.yaml");

        // A document of another set is not taken over.
        files.write("other.yaml", tenant("other"));
        ssctl.run(&prune).await.exits(14).says("tenants/other is in the set us");
        files.remove("other.yaml");

        // Too many, and all of them, need to be meant.
        ssctl.ok(&["tenant", "set", "two", "--protected=true"]).await;
        files.remove("one.yaml");
        files.remove("two.yaml");
        let none = ssctl.run(&sure).await.exits(2);
        none.says("no document");
        files.write("plan.yaml", PLAN);
        let none = ssctl.run(&sure).await.exits(2);
        none.says("would archive every tenant of the set eu: one, two").says("--allow-empty");
        let all = [&sure[..], &["--allow-empty"]].concat();
        let few = [&all[..], &["--prune-limit", "1"]].concat();
        ssctl.run(&few).await.exits(2).says("--prune-limit 2");
        assert_eq!(state(ssctl, "one").await, "TENANT_STATE_ACTIVE");
        let run = ssctl.run(&all).await.exits(14).prints("tenants/one archived");
        let run = run.says("note: tenants/one: nothing starts until");
        let run = run.says("cannot archive tenants/two").says("a second person must agree first");
        assert_eq!(state(ssctl, "two").await, "TENANT_STATE_ACTIVE");
        let mut words = run.stderr.split([' ', ':', '`', '\n']);
        let approval = words.find(|word| word.starts_with("approvals/")).unwrap();
        let olga = region.person("olga", "admin").await;
        olga.ok(&["approval", "approve", approval]).await;
        let again = ssctl.ok(&all).await;
        assert_eq!(again.stdout, "plans/studio unchanged\ntenants/two archived\n");
        for id in ["foreign", "other"] {
            assert_eq!(state(ssctl, id).await, "TENANT_STATE_ACTIVE", "{id} is not of the set");
        }
    });
}

#[test]
fn a_killed_apply_is_repeated_and_nothing_is_double() {
    const MANY: i64 = 150;
    story(async {
        let region = Region::start().await;
        let ssctl = region.admin();
        let documents: Vec<_> = (0..MANY).map(|number| tenant(&format!("many-{number}"))).collect();
        let all = documents.join("---\n");
        let files = Files::new(&[("all.yaml", &all)]);
        let apply = ["apply", "-f", files.path(), "--set", "many"];
        let running = ssctl.start(&apply);
        until("it is in the middle", async || {
            let there = tenants(&region).await;
            holds(there > 5, || format!("{there} are there"))
        })
        .await;
        drop(running);
        let there = tenants(&region).await;
        assert!(there < MANY, "it was killed too late: {there}");
        let again = ssctl.ok(&apply).await;
        let counted = |word: &str| again.stdout.lines().filter(|l| l.ends_with(word)).count();
        let (created, unchanged) = (counted(" created"), counted(" unchanged"));
        assert_eq!(created + unchanged, usize::try_from(MANY).unwrap(), "{again:?}");
        assert!(created > 0 && unchanged > 0, "{created} created, {unchanged} unchanged");
        // In the order of the file, though some were asked for at once.
        let names: Vec<_> =
            again.stdout.lines().filter_map(|line| line.split(' ').next()).collect();
        let wished: Vec<_> = (0..MANY).map(|number| format!("tenants/many-{number}")).collect();
        assert_eq!(names, wished);
        assert_eq!(tenants(&region).await, MANY);
        let query = "SELECT count(*) FROM changes WHERE actor = 'root' AND type = 'created'";
        let made: i64 = sqlx::query_scalar(query).fetch_one(&region.pool()).await.unwrap();
        assert_eq!(made, MANY, "each was made once");
        ssctl.ok(&["diff", "-f", files.path(), "--set", "many", "--prune"]).await;
    });
}
