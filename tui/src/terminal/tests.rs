use std::{
    fs::{File, OpenOptions},
    io::Read as _,
    process::Command,
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, tcgetattr},
};

use super::*;

/// Set for the program that panics, which is this one once more.
const PANICS: &str = "STREAMSPACE_TEST_PANICS";
const THIS: &str = "terminal::tests::a_panic_gives_the_terminal_back_before_it_is_told";

#[test]
fn a_panic_gives_the_terminal_back_before_it_is_told() {
    if std::env::var_os(PANICS).is_some() {
        let _screen = Screen::open(true).unwrap();
        panic!("as if something were wrong");
    }
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).and_then(|()| unlockpt(&ours)).unwrap();
    let path = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
    // Held open, so that it is there to be looked at when the program is gone.
    let end = || OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let held = end();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", THIS, "--nocapture", "--test-threads=1"])
        .env(PANICS, "1")
        .env("TERM", "xterm-256color")
        .stdin(end())
        .stdout(end())
        .stderr(end())
        .spawn()
        .unwrap();
    let mut terminal = File::from(ours);
    let reader = std::thread::spawn(move || {
        let mut written = Vec::new();
        // Linux ends a terminal that nobody holds any more with an error.
        let _ = terminal.read_to_end(&mut written);
        String::from_utf8_lossy(&written).into_owned()
    });
    assert!(!child.wait().unwrap().success());
    let modes = tcgetattr(&held).unwrap().local_modes;
    assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO), "it is raw: {modes:?}");
    drop(held);
    let written = reader.join().unwrap();
    let place =
        |part: &str| written.find(part).unwrap_or_else(|| panic!("{part:?} in {written:?}"));
    let left = place("\u{1b}[?1049l");
    assert!(place("\u{1b}[?1049h") < left, "the other screen was taken and given back");
    assert!(left < place("as if something were wrong"), "what is told must not be wiped away");
    for undone in ["\u{1b}[?25h", "\u{1b}[?2004l", "\u{1b}[?1006l"] {
        place(undone);
    }
}
