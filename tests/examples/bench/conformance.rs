//! The conformance suite on the simulator and on a real kube-apiserver.
//!
//! The suite itself takes both times in one run of its own: the start of the server, all
//! behaviours at once, all stories, and a history that is gone. Three seconds of the
//! simulator's time are one behaviour that asks for a watch of three seconds.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::table::{Line, seconds, verdict};

/// How many times faster the simulator is to be.
const TARGET: f64 = 10.0;

/// Runs the suite.
pub(crate) fn measure() -> Line {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["test", "-p", "streamspace-tests", "--test", "conformance"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    command.args(["--", "--exact", "the_kube_apiserver", "--nocapture"]);
    command.env("STREAMSPACE_CONFORMANCE_TIMES", "1").stdin(Stdio::null());
    let output = command.output().expect("cargo starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the suite failed:\n{said}");
    let times = said.lines().find_map(|line| line.split_once("times ")).expect("it tells").1;
    let times: Value = serde_json::from_str(times).expect("JSON");
    let time = |who: &str| {
        Duration::from_millis(times.get(who).and_then(Value::as_u64).expect("milliseconds"))
    };
    let (ours, bare) = (time("simulator"), time("apiserver"));
    let ratio = bare.as_secs_f64() / ours.as_secs_f64();
    Line {
        what: "The conformance suite on the simulator".into(),
        ours: seconds(ours),
        against: "kube-apiserver".into(),
        bare: seconds(bare),
        ratio: format!("{ratio:.1} times faster"),
        remark: verdict(ratio >= TARGET, "≥ 10 times faster"),
    }
}
