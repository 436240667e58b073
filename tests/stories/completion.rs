//! Completion with live names, in real shells.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    process::{Child, Command},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use streamspace_tests::{
    daemon::program,
    pty::Pty,
    region::Region,
    runtime::story,
    ssctl::{Ran, Ssctl},
    wait::{holds, until},
};

/// Where an interactive bash cuts words.
const BREAKS: &str = " \t\n\"'@><=;|&(:";

/// A shell on a terminal of its own, in which somebody types.
struct Shell {
    child: Child,
    keys: File,
    screen: Arc<Mutex<String>>,
}

impl Shell {
    /// The shell as it is without anybody's files, with the completion of this person.
    async fn start(name: &str, arguments: &[&str], person: &Ssctl, load: &str) -> Self {
        let terminal = Pty::open();
        let folder = program("ssctl").parent().unwrap().display().to_string();
        let variables = person.all_variables();
        let child = Command::new(name)
            .args(arguments)
            .env_clear()
            .envs(variables)
            .env("PATH", format!("{folder}:/usr/local/bin:/usr/bin:/bin"))
            .env("PS1", "> ")
            .stdin(terminal.end())
            .stdout(terminal.end())
            .stderr(terminal.end())
            .spawn()
            .unwrap();
        let screen = Arc::new(Mutex::new(String::new()));
        let mut reader = terminal.ours();
        let shown = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // Linux ends a terminal that nobody holds any more with an error.
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                shown.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
        });
        let mut shell = Self { child, keys: terminal.ours(), screen };
        shell.keys("echo it is rea''dy\n");
        shell.shows("it is ready").await;
        shell.keys(&format!("{load}; echo it is load''ed\n"));
        shell.shows("it is loaded").await;
        shell
    }

    fn keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    fn screen(&self) -> String {
        self.screen.lock().unwrap().clone()
    }

    async fn shows(&self, words: &str) {
        until(&format!("the terminal shows {words:?}"), async || {
            let screen = self.screen();
            holds(screen.contains(words), || screen.escape_debug().to_string())
        })
        .await;
    }

    /// What a line becomes with TAB behind it. The line is not run: a word is put before
    /// it that prints it.
    async fn completed(&mut self, typed: &str, mark: &str) -> String {
        // ^A and ^E are the ends of the line in every shell's default keys.
        self.keys(&format!("{typed}\t\u{1}echo {mark}'' \u{5}'<'\n"));
        let begin = format!("{mark} ");
        let line = until(&format!("{typed:?} is completed"), async || {
            let screen = self.screen();
            let told = screen.lines().rev().find_map(|line| {
                let rest = line.trim_end().split_once(&begin)?.1;
                rest.strip_suffix('<').map(str::to_owned)
            });
            told.ok_or_else(|| screen.escape_debug().to_string())
        })
        .await;
        line.trim_end().to_owned()
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// What bash is told for a line.
async fn asked(person: &Ssctl, line: &str) -> Ran {
    let ran = person.run(&["__complete", "bash", line, BREAKS]).await.exits(0);
    assert_eq!(ran.stderr, "", "{line}");
    ran
}

/// The same, as soon as the daemon answers in time.
async fn offered(person: &Ssctl, line: &str, words: &[&str]) {
    until(&format!("{line:?} offers {words:?}"), async || {
        let ran = asked(person, line).await;
        let found: Vec<&str> = ran.stdout.lines().collect();
        holds(found == words, || format!("{found:?}"))
    })
    .await;
}

async fn with_tenants(region: &Region) {
    for id in ["acme-corp", "acme-labs", "beta-inc"] {
        let create = ["tenant", "create", id, "--plan", "free", "--seats", "1", "--admin", "a@b.c"];
        region.admin().ok(&create).await;
    }
}

#[test]
fn bash_completes_live_names() {
    story(async {
        let region = Region::start().await;
        with_tenants(&region).await;
        let admin = region.admin();
        // What was told once is offered also where the machine is too busy to ask in time.
        offered(admin, "ssctl tenant show ", &["acme-corp", "acme-labs", "beta-inc"]).await;
        let arguments = ["--norc", "--noprofile", "-i"];
        let load = "source <(ssctl completion bash)";
        let mut bash = Shell::start("bash", &arguments, admin, load).await;
        let mut complete = async |typed: &str, mark: &str| bash.completed(typed, mark).await;
        assert_eq!(complete("ssctl tena", "one").await, "ssctl tenant");
        assert_eq!(complete("ssctl tenant show be", "two").await, "ssctl tenant show beta-inc");
        // What is common to two.
        assert_eq!(complete("ssctl tenant show ac", "three").await, "ssctl tenant show acme-");
        assert_eq!(complete("ssctl tenant list -o ya", "four").await, "ssctl tenant list -o yaml");
        assert_eq!(
            complete("ssctl tenant list --output=ya", "five").await,
            "ssctl tenant list --output=yaml"
        );
        assert_eq!(complete("ssctl --context=sto", "six").await, "ssctl --context=story-1");
        // Nobody is called so.
        assert_eq!(complete("ssctl tenant show zz", "seven").await, "ssctl tenant show zz");
    });
}

#[test]
fn other_shells_complete_live_names_where_they_are() {
    story(async {
        let there = |shell: &str| {
            let found = Command::new(shell).arg("--version").output();
            if found.is_err() {
                eprintln!("{shell} is not on this machine");
            }
            found.is_ok()
        };
        let region = Region::start().await;
        with_tenants(&region).await;
        let admin = region.admin();
        offered(admin, "ssctl tenant show ", &["acme-corp", "acme-labs", "beta-inc"]).await;
        if there("zsh") {
            let load = "autoload -U compinit; compinit -u -D; source <(ssctl completion zsh)";
            let mut zsh = Shell::start("zsh", &["-f", "-i"], admin, load).await;
            zsh.keys("ssctl tenant show be\t");
            zsh.shows("beta-inc").await;
        }
        if there("fish") {
            let folder = program("ssctl").parent().unwrap().display().to_string();
            let ask = "ssctl completion fish | source; complete -C 'ssctl tenant show be'";
            until("fish offers the tenant", async || {
                let output = Command::new("fish")
                    .args(["--no-config", "-c", ask])
                    .env_clear()
                    .envs(admin.all_variables())
                    .env("PATH", format!("{folder}:/usr/bin:/bin"))
                    .output()
                    .unwrap();
                let said = String::from_utf8_lossy(&output.stdout).into_owned();
                holds(said.starts_with("beta-inc\t"), || format!("{output:?}"))
            })
            .await;
        }
    });
}

#[test]
fn every_kind_of_name_is_offered() {
    story(async {
        let region = Region::start().await;
        with_tenants(&region).await;
        let admin = region.admin();
        offered(admin, "ssctl tenant show ac", &["acme-corp", "acme-labs"]).await;
        offered(admin, "ssctl tenant show tenants/b", &["tenants/beta-inc"]).await;
        offered(admin, "ssctl quota show be", &["beta-inc"]).await;
        offered(admin, "ssctl --context=story-1 tenant show be", &["beta-inc"]).await;
        offered(admin, "ssctl --context nobody tenant show be", &[]).await;
        offered(admin, "ssctl plan show bu", &["business"]).await;
        offered(admin, "ssctl tenant set beta-inc --plan bu", &["business"]).await;
        offered(admin, "ssctl context use st", &["story-1"]).await;
        offered(admin, "ssctl region show st", &["story-1"]).await;
        offered(admin, "ssctl operator lock ro", &["root"]).await;
        let token = ["token", "create", "--operator", "ada@acme.com", "--role", "viewer"];
        admin.ok(&token).await;
        let tokens = admin.json(&["token", "list"]).await;
        let token = tokens[0]["name"].as_str().unwrap().trim_start_matches("tokens/").to_owned();
        offered(admin, &format!("ssctl token revoke {}", &token[..8]), &[&token]).await;
        let certificates = admin.json(&["cert", "list", "--filter", "kind = \"client\""]).await;
        let serial = certificates[0]["name"].as_str().unwrap();
        let serial = serial.trim_start_matches("certificates/").to_owned();
        offered(admin, &format!("ssctl cert revoke {}", &serial[..12]), &[&serial]).await;
        // Bash puts the part before an @ there by itself.
        admin.ok(&["operator", "lock", "ada@acme.com", "--reason", "test", "--yes"]).await;
        offered(admin, "ssctl operator unlock ada@ac", &["acme.com"]).await;
        // A new name is nobody's.
        offered(admin, "ssctl tenant create ac", &[]).await;
        // Who may not read it is offered nothing, and told nothing.
        let viewer = region.person("vera", "viewer").await;
        offered(&viewer, "ssctl tenant show be", &["beta-inc"]).await;
        assert_eq!(asked(&viewer, "ssctl token revoke ").await.stdout, "");
        let stranger = region.machine("stranger");
        assert_eq!(asked(&stranger, "ssctl tenant show ").await.stdout, "");
    });
}

#[test]
fn a_daemon_that_is_away_or_stopped_is_not_waited_for() {
    story(async {
        let region = Region::start().await;
        with_tenants(&region).await;
        let admin = region.admin();
        offered(admin, "ssctl tenant show be", &["beta-inc"]).await;
        let kept: Vec<_> = std::fs::read_dir(admin.home().join(".cache/streamspace/completion"))
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.path().extension().is_some_and(|ending| ending == "json"))
            .map(|entry| entry.metadata().unwrap().permissions().mode() & 0o777)
            .collect();
        assert_eq!(kept, [0o600], "nobody else reads what was told");

        // It takes connections and never answers. The client itself would wait 5 s for the
        // handshake; completion ends long before, with nothing of what was never told.
        region.signal(Signal::STOP).await;
        let begin = Instant::now();
        assert_eq!(asked(admin, "ssctl plan show ").await.stdout, "");
        assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
        // What was told a moment ago is better than nothing, for as long as it may only
        // be slow. Who asks it on in the background forgets the names once it gives up.
        assert_eq!(asked(admin, "ssctl tenant show be").await.stdout, "beta-inc\n");
        offered(admin, "ssctl tenant show be", &[]).await;
        region.signal(Signal::CONT).await;
        offered(admin, "ssctl tenant show be", &["beta-inc"]).await;

        region.kill().await;
        offered(admin, "ssctl tenant show be", &[]).await;
        assert_eq!(asked(admin, "ssctl plan show ").await.stdout, "");
        // Flags ask nobody.
        offered(admin, "ssctl tenant show --outp", &["--output"]).await;
    });
}
