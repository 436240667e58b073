//! The screens in the documentation are those that the dashboard shows of its demonstration,
//! as text and as pictures.
//!
//! `make screens` writes them anew.

use std::{collections::BTreeMap, fs, time::Duration};

use streamspace_tests::{
    pty::Drawing,
    runtime::story,
    ssctl::Ssctl,
    svg::{self, Ground},
    wait::PATIENCE,
};

use crate::{reference::hold, world::root};

const FOLDER: &str = "docs/screens/";
/// A screen that is not the one of the documentation is taken for whole when nothing comes for
/// so long.
const QUIET: Duration = Duration::from_secs(2);
const LARGE: (u16, u16) = (120, 40);
const SIZES: [(u16, u16); 3] = [(80, 24), LARGE, (200, 50)];
const ENTER: &str = "\r";
/// When a region is slow and an operation under way.
const BUSY: &str = "75s";

/// What is pressed, and what then is on the screen.
type Step = (&'static str, &'static str);

/// How to come to a screen.
struct Shot {
    name: &'static str,
    /// When in the demonstration.
    at: &'static str,
    more: &'static [&'static str],
    sizes: &'static [(u16, u16)],
    steps: &'static [Step],
    ground: Ground,
}

impl Shot {
    const fn of(name: &'static str, steps: &'static [Step]) -> Self {
        Self { name, at: BUSY, more: &[], sizes: &[LARGE], steps, ground: Ground::DARK }
    }

    const fn at_each_size(mut self) -> Self {
        self.sizes = &SIZES;
        self
    }

    const fn at(mut self, at: &'static str) -> Self {
        self.at = at;
        self
    }

    const fn with(mut self, more: &'static [&'static str], ground: Ground) -> Self {
        (self.more, self.ground) = (more, ground);
        self
    }
}

const OVERVIEW: &[Step] = &[("", "UNDER WAY")];
const TENANTS: Step = ("t", "TENANTS 73");
const ACME: Step = ("/acme-corp\r", "with \"acme-corp\"");
const ISLAND: Step = ("/island-air\r", "with \"island-air\"");
const SESSIONS: Step = ("s", "SESSIONS of island-air");

const SHOTS: &[Shot] = &[
    Shot::of("overview", OVERVIEW).at_each_size(),
    Shot::of("overview-cut-off", &[("", "no answer")]).at("170s"),
    Shot::of("overview-ascii", OVERVIEW).with(&["--ascii"], Ground::DARK),
    Shot::of("overview-light", OVERVIEW).with(&["--theme", "light"], Ground::LIGHT),
    Shot::of("tenants", &[TENANTS]).at_each_size(),
    Shot::of("tenants-colour-blind", &[TENANTS]).with(&["--theme", "colour-blind"], Ground::DARK),
    Shot::of("tenant", &[TENANTS, ACME, (ENTER, "12 of 12")]).at_each_size(),
    Shot::of(
        "sessions",
        &[TENANTS, ISLAND, SESSIONS, ("/phase = \"Running\" AND idle > 600", "where phase")],
    ),
    Shot::of("session", &[TENANTS, ISLAND, SESSIONS, (ENTER, "EVENTS")]),
    Shot::of("menu", &[TENANTS, ISLAND, SESSIONS, ("a", "hibernate:")]),
    Shot::of(
        "change",
        &[
            TENANTS,
            ISLAND,
            SESSIONS,
            ("a", "hibernate:"),
            ("h", "1 changed"),
            ("INC-214 nodes are full", "reason    INC-214 nodes are full"),
        ],
    ),
    Shot::of("usage", &[TENANTS, ACME, ("u", "CPU requested")]).at_each_size(),
    Shot::of("usage-all", &[("U", "TENANTS that take most")]),
    Shot::of("operation", &[("p", "OPERATIONS"), (ENTER, "waiting 21")]),
    Shot::of("alerts", &[("A", "ALERTS that fire 3")]),
    Shot::of("alert", &[("A", "ALERTS that fire 3"), (ENTER, "WHAT TO DO")]),
    Shot::of("acknowledge", &[("A", "ALERTS that fire 3"), ("K", "it would be: ops-1 has it")]),
    Shot::of("incidents", &[("i", "INCIDENTS 2")]),
    Shot::of("incident", &[("i", "INCIDENTS 2"), (ENTER, "TIMELINE")]),
    Shot::of("incident-menu", &[("i", "INCIDENTS 2"), (ENTER, "TIMELINE"), ("a", "triage:")]),
    Shot::of("post-mortem", &[("i", "INCIDENTS 2"), ("M", "## What happened")]),
    Shot::of("declare", &[("A", "ALERTS that fire 3"), ("jD", "it would be: P2 declared")]),
    Shot::of("slos", &[("b", "ERROR BUDGETS 21")]).at_each_size(),
    Shot::of("slo", &[("b", "ERROR BUDGETS 21"), (ENTER, "burn-3d")]),
    Shot::of("audit", &[("l", "AUDIT LOG, its end 27")]),
    Shot::of("certificates", &[("x", "CERTIFICATES that are valid 18")]),
    Shot::of("regions", &[("r", "you are")]),
    Shot::of("yaml", &[TENANTS, ACME, ("Y", "createTime")]),
    Shot::of("help", &[("?", "KEYS")]),
];

#[test]
fn the_screens_are_as_the_dashboard_shows_them() {
    let home = tempfile::tempdir().unwrap();
    let person = Ssctl::new(home.path().to_owned());
    let mut made = BTreeMap::new();
    story(async {
        for shot in SHOTS {
            for size in shot.sizes {
                let name = format!("{FOLDER}{}-{}x{}", shot.name, size.0, size.1);
                let screen = shown(&person, shot, *size, &format!("{name}.txt")).await;
                made.insert(format!("{name}.txt"), text(&screen));
                made.insert(format!("{name}.svg"), svg::picture(&screen, &shot.ground));
            }
        }
    });
    hold(FOLDER, &made, "make screens");
}

/// Goes to a screen, and takes it when it is whole.
async fn shown(
    person: &Ssctl,
    shot: &Shot,
    (columns, rows): (u16, u16),
    file: &str,
) -> vt100::Screen {
    let demo = ["ui", "--demo", "--stopped", "--at", shot.at];
    let mut drawing = Drawing::start(person, &[&demo, shot.more].concat(), columns, rows);
    drawing.shows(PATIENCE, "stopped").await;
    for (keys, words) in shot.steps {
        drawing.press(keys);
        drawing.shows(PATIENCE, words).await;
    }
    let committed = fs::read_to_string(root().join(file)).unwrap_or_default();
    drawing.is_quiet(QUIET, |screen| text(screen) == committed).await;
    drawing.screen()
}

/// What is on a screen, without blanks at the ends of its lines.
fn text(screen: &vt100::Screen) -> String {
    let (_, columns) = screen.size();
    let rows: Vec<String> = screen.rows(0, columns).map(|row| row.trim_end().to_owned()).collect();
    rows.join("\n") + "\n"
}
