//! Pseudo-terminals, and what a program draws on one.

#![allow(clippy::panic, clippy::expect_used, reason = "a panic fails the story, as it should")]

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt as _, fs::OpenOptionsExt as _},
    },
    path::PathBuf,
    process::{Child, Command, ExitStatus},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};

use crate::{
    daemon::program,
    ssctl::Ssctl,
    wait::{PATIENCE, holds, within},
};

/// A program says with these that what it draws between them is one frame.
const UPDATE_BEGINS: &[u8] = b"\x1b[?2026h";
const UPDATE_ENDS: &[u8] = b"\x1b[?2026l";

/// A pseudo-terminal: the end that plays the person.
#[derive(Debug)]
pub struct Pty {
    master: OwnedFd,
    path: PathBuf,
}

impl Pty {
    /// A new one.
    pub fn open() -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("the terminal is ours");
        let path = ptsname(&master, Vec::new()).expect("its name");
        let path = PathBuf::from(std::ffi::OsStr::from_bytes(path.as_bytes()));
        Self { master, path }
    }

    /// The end of the program that runs on it. It becomes nobody's controlling terminal: the
    /// programs of all stories would take its size for their own.
    pub fn end(&self) -> File {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(OpenptFlags::NOCTTY.bits().cast_signed());
        options.open(&self.path).expect("the other end")
    }

    /// What the program writes, read on; and where keys are written to.
    pub fn ours(&self) -> File {
        File::from(rustix::io::dup(&self.master).expect("a copy of our end"))
    }

    /// Tells the program how large it is.
    pub fn resize(&self, columns: u16, rows: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.master, size).expect("the terminal has a size");
    }

    /// Whether keys go to the program as they are pressed, and are not shown by themselves.
    pub fn is_raw(&self) -> bool {
        let modes = tcgetattr(&self.master).expect("a terminal has modes").local_modes;
        !modes.intersects(LocalModes::ICANON | LocalModes::ECHO)
    }
}

/// A program that draws on a terminal of its own.
pub struct Drawing {
    child: Child,
    keys: File,
    screen: Arc<Screen>,
    terminal: Pty,
}

/// What a terminal shows.
struct Screen {
    shown: Mutex<Shown>,
    changed: Condvar,
}

struct Shown {
    terminal: vt100::Parser,
    /// All that the program wrote.
    written: Vec<u8>,
    /// How much of it is on the screen.
    drawn: usize,
}

impl Shown {
    /// Draws what came, but nothing of a frame that has not ended.
    fn draw(&mut self) {
        // One that began where the last look ended, or whose beginning came in two pieces.
        let from = self.drawn.saturating_sub(UPDATE_BEGINS.len());
        let new = self.written.get(from..).unwrap_or_default();
        let last = |mark: &[u8]| new.windows(mark.len()).rposition(|window| window == mark);
        let open =
            last(UPDATE_BEGINS).filter(|begin| last(UPDATE_ENDS).is_none_or(|end| end < *begin));
        self.draw_to(open.map_or(self.written.len(), |begin| from + begin));
    }

    fn draw_to(&mut self, end: usize) {
        self.terminal.process(self.written.get(self.drawn..end).unwrap_or_default());
        self.drawn = self.drawn.max(end);
    }
}

impl Screen {
    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().expect("nobody panics with it")
    }

    fn take(&self, bytes: &[u8]) {
        let mut shown = self.lock();
        shown.written.extend_from_slice(bytes);
        shown.draw();
        self.changed.notify_all();
    }

    /// Nothing more comes.
    fn end(&self) {
        let mut shown = self.lock();
        let all = shown.written.len();
        shown.draw_to(all);
        self.changed.notify_all();
    }
}

impl Drawing {
    /// `ssctl` with these arguments, run from the person's home on a terminal of a size.
    pub fn start(person: &Ssctl, arguments: &[&str], columns: u16, rows: u16) -> Self {
        let mut command = Command::new(program("ssctl"));
        command.args(arguments).env_clear().envs(person.all_variables());
        command.current_dir(person.home());
        Self::run(command, columns, rows)
    }

    /// Any program, on a terminal of a size.
    pub fn run(mut command: Command, columns: u16, rows: u16) -> Self {
        let terminal = Pty::open();
        terminal.resize(columns, rows);
        let child = command
            .env("TERM", "xterm-256color")
            .env("LANG", "C.UTF-8")
            .stdin(terminal.end())
            .stdout(terminal.end())
            .stderr(terminal.end())
            .spawn()
            .expect("the program starts");
        let screen = Arc::new(Screen {
            shown: Mutex::new(Shown {
                terminal: vt100::Parser::new(rows, columns, 0),
                written: Vec::new(),
                drawn: 0,
            }),
            changed: Condvar::new(),
        });
        let (mut reader, drawn) = (terminal.ours(), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            // Linux ends a terminal that nobody holds any more with an error.
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                drawn.take(buffer.get(..count).unwrap_or_default());
            }
            drawn.end();
        });
        Self { child, keys: terminal.ours(), screen, terminal }
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Types.
    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// What is on the screen.
    pub fn text(&self) -> String {
        self.screen.lock().terminal.screen().contents()
    }

    /// The screen with how each cell looks.
    pub fn screen(&self) -> vt100::Screen {
        self.screen.lock().terminal.screen().clone()
    }

    /// Whether the program has taken the terminal over, and is read from as it likes.
    pub fn is_raw(&self) -> bool {
        self.terminal.is_raw()
    }

    /// How many bytes it wrote so far.
    pub fn written(&self) -> usize {
        self.screen.lock().written.len()
    }

    /// All that it wrote so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.screen.lock().written.clone()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(id.expect("a process number"), signal).expect("it is our child");
    }

    /// Blocks until something is so of the screen, and looks at each thing that comes: for
    /// what is measured.
    pub fn blocks_until(&self, patience: Duration, what: &str, is_so: impl Fn(&str) -> bool) {
        let end = Instant::now() + patience;
        let mut shown = self.screen.lock();
        loop {
            let text = shown.terminal.screen().contents();
            if is_so(&text) {
                return;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited until {what}; the screen is\n{text}");
            let woken = self.screen.changed.wait_timeout(shown, left);
            shown = woken.expect("nobody panics with it").0;
        }
    }

    /// Waits until something is so of the screen. Returns how long that took.
    pub async fn until(
        &self,
        patience: Duration,
        what: &str,
        is_so: impl Fn(&str) -> bool,
    ) -> Duration {
        let begin = Instant::now();
        within(patience, what, async || {
            let text = self.text();
            holds(is_so(&text), || format!("the screen is\n{text}"))
        })
        .await;
        begin.elapsed()
    }

    /// Waits until the screen shows some words.
    pub async fn shows(&self, patience: Duration, words: &str) -> Duration {
        self.until(patience, &format!("the screen shows {words:?}"), |text| text.contains(words))
            .await
    }

    /// Waits until the screen is as it should be, or nothing is written for so long.
    pub async fn is_quiet(&self, long: Duration, is_so: impl Fn(&vt100::Screen) -> bool) {
        let (mut since, mut written) = (Instant::now(), self.written());
        within(PATIENCE, "the screen is quiet", async || {
            if self.written() != written {
                (since, written) = (Instant::now(), self.written());
            }
            holds(is_so(&self.screen()) || since.elapsed() >= long, || self.text())
        })
        .await;
    }

    /// How it ended, where it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is our child")
    }

    /// Waits for its end.
    pub async fn ends(&mut self, patience: Duration) -> ExitStatus {
        let child = Mutex::new(&mut self.child);
        within(patience, "the program ends", async || {
            let mut child = child.lock().expect("nobody panics with it");
            child.try_wait().expect("it is our child").ok_or("it runs")
        })
        .await
    }
}

impl Drop for Drawing {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::story;

    #[test]
    fn half_a_frame_is_on_no_screen() {
        story(async {
            let mut command = Command::new("sh");
            // The marks come in pieces as well.
            command.arg("-c").arg(
                r"stty -echo; printf 'one\033[?20'; read go; printf '26h-two'; read go
                  printf -- '-three\033[?202'; read go; printf '6l'; read go; printf '\033[?2026hend'",
            );
            let mut screen = Drawing::run(command, 80, 24);
            let mut shows = async |written: usize, text: &str| {
                within(PATIENCE, "the program writes", async || {
                    let so_far = screen.written();
                    holds(so_far >= written, || format!("{so_far} bytes"))
                })
                .await;
                assert_eq!(screen.text(), text);
                screen.press("\n");
            };
            shows(8, "one").await;
            shows(15, "one").await;
            shows(27, "one").await;
            shows(29, "one-two-three").await;
            // One that never ends is shown once the program is gone.
            screen.shows(PATIENCE, "one-two-threeend").await;
        });
    }
}
