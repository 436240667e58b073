//! How long somebody waits for TAB.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use streamspace_tests::{daemon::program, region::Region};

use crate::{
    table::{Line, middle, milliseconds, times, verdict},
    tenants::wish,
};

const TABS: usize = 200;
const TENANTS: usize = 1000;
const AT_A_TIME: usize = 8;
/// So many of them begin with `many-1`.
const OFFERED: usize = 111;
/// How soon live names are to be offered.
const LIMIT: Duration = Duration::from_millis(150);

/// From TAB to the names of tenants, over a new mutual-TLS connection each time, in a
/// region with many of them.
pub(crate) async fn measure(region: &Region) -> Line {
    let admin = region.admin();
    // Nothing else is to want the processors.
    admin.ok(&["region", "pause", "--for", "1h", "--reason", "only wishes are wanted"]).await;
    wish(region, "many-", TENANTS, AT_A_TIME).await;
    let run = |arguments: &[&str]| {
        let begin = Instant::now();
        let output = Command::new(program("ssctl"))
            .args(arguments)
            .env_clear()
            .envs(admin.all_variables())
            // Nothing can be kept there, so that every TAB asks the daemon.
            .env("XDG_CACHE_HOME", "/dev/null/nowhere")
            .stdin(Stdio::null())
            .output()
            .expect("it starts");
        (begin.elapsed(), output.stdout)
    };
    let mut late = 0;
    let mut pairs = Vec::new();
    for _ in 0..TABS {
        // In turns, so that both meet the same machine.
        let line = "ssctl tenant show many-1";
        let (ours, names) = run(&["__complete", "bash", line, " \t\n\"'@><=;|&(:"]);
        let (bare, _) = run(&["version"]);
        // Nothing offered is quick, and not what is measured.
        if String::from_utf8_lossy(&names).lines().count() == OFFERED {
            pairs.push((ours, bare));
        } else {
            late += 1;
        }
    }
    assert!(!pairs.is_empty(), "no TAB was answered in time");
    let slowest = pairs.iter().map(|(ours, _)| *ours).max().expect("at least one");
    let (ours, bare): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let (ours, bare) = (middle(ours), middle(bare));
    let met = verdict(slowest <= LIMIT && late == 0, "≤ 150 ms");
    Line {
        what: format!("TAB with live names, {OFFERED} of {TENANTS} tenants (p50 of {TABS})"),
        ours: milliseconds(ours),
        against: "`ssctl version`".into(),
        bare: milliseconds(bare),
        ratio: times(ours, bare),
        remark: format!("{met}; the slowest {}, {late} not in time", milliseconds(slowest)),
    }
}
