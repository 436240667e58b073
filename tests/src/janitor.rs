//! A helper process that outlives the test process and clears up after it, in whatever
//! way that ended.

#![allow(clippy::expect_used, reason = "a panic fails the story, as it should")]
#![allow(clippy::zombie_processes, reason = "it is to outlive this process")]

use std::{
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{ChildStdin, Command, Stdio},
    sync::{LazyLock, Mutex, PoisonError},
};

/// Reads what there is to clear up, and at the end of its input does so: asks the
/// processes to stop, then insists, then removes the folders.
const SCRIPT: &str = r#"
    processes=""
    folders=""
    while read -r verb what; do
        case "$verb" in
            process) processes="$processes $what" ;;
            ended)
                others=""
                for process in $processes; do
                    [ "$process" = "$what" ] || others="$others $process"
                done
                processes=$others
                ;;
            folder) folders="$folders $what" ;;
        esac
    done
    for process in $processes; do kill -TERM "$process"; done
    for process in $processes; do
        tries=0
        while kill -0 "$process" && [ "$tries" -lt 100 ]; do
            sleep 0.1
            tries=$((tries + 1))
        done
        kill -KILL "$process"
    done
    for folder in $folders; do
        tries=0
        while ! rm -rf "$folder" && [ "$tries" -lt 20 ]; do
            sleep 0.5
            tries=$((tries + 1))
        done
    done
"#;

static JANITOR: LazyLock<Mutex<ChildStdin>> = LazyLock::new(|| {
    let mut janitor = Command::new("/bin/sh")
        .args(["-c", SCRIPT, "janitor"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C is for the tests; it clears up after them.
        .process_group(0)
        .spawn()
        .expect("/bin/sh starts");
    Mutex::new(janitor.stdin.take().expect("its input is a pipe"))
});

fn tell(verb: &str, what: &str) {
    let mut input = JANITOR.lock().unwrap_or_else(PoisonError::into_inner);
    writeln!(input, "{verb} {what}").expect("the janitor listens");
}

/// Ends this process when the tests end.
pub fn process(id: u32) {
    tell("process", &id.to_string());
}

/// The process has ended by itself: its number may be somebody else's soon.
pub fn ended(id: u32) {
    tell("ended", &id.to_string());
}

/// Removes this folder when the tests end.
pub fn folder(path: &Path) {
    tell("folder", &path.display().to_string());
}
