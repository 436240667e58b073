//! The terminal: raw mode and the alternate screen, the thread that draws, the
//! task that reads keys, and the way back to what was there before.

use std::{
    io::{self, BufWriter, IsTerminal as _, Stdout, Write as _, stdin, stdout},
    panic,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crossterm::{
    clipboard::CopyToClipboard,
    cursor::{Hide, Show},
    event::{
        DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
        Event, EventStream, KeyCode, KeyEventKind, KeyModifiers, MouseButton, MouseEvent,
        MouseEventKind,
    },
    execute, queue,
    style::force_color_output,
    terminal::{
        BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
        SetTitle, disable_raw_mode, enable_raw_mode,
    },
};
use futures::StreamExt as _;
use ratatui::{
    backend::{Backend as _, CrosstermBackend},
    buffer::Buffer,
    layout::{Position, Size},
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until, timeout},
};

use crate::{UiError, events::EventKind, keys::Key};

/// A whole frame is written at once.
const FRAME_BYTES: usize = 64 * 1024;
/// A terminal that takes nothing for this long is left as it is.
const CLOSING: Duration = Duration::from_secs(1);

/// Refuses what cannot be drawn on.
pub(crate) fn require() -> Result<(), UiError> {
    if !stdout().is_terminal() {
        return Err(UiError::NotATerminal("standard output is none"));
    }
    if !stdin().is_terminal() {
        return Err(UiError::NotATerminal("standard input is none"));
    }
    if std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
        return Err(UiError::NotATerminal("TERM=dumb cannot be drawn on"));
    }
    Ok(())
}

/// How many rows one step of the wheel is.
const WHEEL: isize = 3;

/// How large the terminal is.
pub(crate) fn size() -> io::Result<Size> {
    let (width, height) = crossterm::terminal::size()?;
    Ok(Size { width, height })
}

/// A frame to draw.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) buffer: Buffer,
    /// Draw every cell.
    pub(crate) repaint: bool,
    /// Put this where the terminal's user can paste it from.
    pub(crate) copy: Option<String>,
}

/// The right to hand one frame over.
pub(crate) struct Ready<'a>(mpsc::Permit<'a, Picture>);

impl Ready<'_> {
    pub(crate) fn send(self, picture: Picture) {
        self.0.send(picture);
    }
}

/// The screen, taken over until it is closed or dropped.
pub(crate) struct Screen {
    restorer: Restorer,
    /// None once it closes. One frame may wait while one is drawn: a slow terminal
    /// gets fewer frames, not old ones.
    pictures: Option<mpsc::Sender<Picture>>,
    drawn: Option<oneshot::Receiver<io::Error>>,
}

impl Screen {
    /// Takes the terminal over and starts the thread that draws.
    pub(crate) fn open(mouse: bool) -> Result<Self, UiError> {
        let restorer = Restorer::new();
        enable_raw_mode()?;
        // Whether there are colours is the theme's to say.
        force_color_output(true);
        execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste, SetTitle("ssctl ui"), Hide)?;
        if mouse {
            execute!(stdout(), EnableMouseCapture)?;
        }
        let (pictures, receiver) = mpsc::channel(1);
        let (failed, drawn) = oneshot::channel();
        thread::Builder::new().name("draw".into()).spawn(move || {
            if let Err(error) = draw(receiver) {
                // Nobody listens any more where the screen is closed already.
                let _ = failed.send(error);
            }
        })?;
        Ok(Self { restorer, pictures: Some(pictures), drawn: Some(drawn) })
    }

    /// Waits until the time has come and the terminal takes a frame. Safe to drop
    /// while it waits. An error is why it cannot draw any more.
    pub(crate) async fn ready(&mut self, from: Instant) -> Result<Ready<'_>, UiError> {
        sleep_until(from).await;
        if let Some(pictures) = &self.pictures
            && let Ok(permit) = pictures.reserve().await
        {
            return Ok(Ready(permit));
        }
        let reason = match self.drawn.take() {
            Some(drawn) => drawn.await.ok(),
            None => None,
        };
        let reason = reason.unwrap_or_else(|| io::Error::other("the drawing thread ended"));
        Err(UiError::Terminal(reason))
    }

    /// Lets the last frame be drawn and gives the terminal back.
    pub(crate) async fn close(mut self) {
        self.pictures = None;
        if let Some(drawn) = self.drawn.take() {
            // A drawing thread that is stuck in a write cannot be helped.
            let _ = timeout(CLOSING, drawn).await;
        }
        self.restorer.restore();
    }
}

fn draw(mut pictures: mpsc::Receiver<Picture>) -> io::Result<()> {
    let mut backend: CrosstermBackend<BufWriter<Stdout>> =
        CrosstermBackend::new(BufWriter::with_capacity(FRAME_BYTES, stdout()));
    let mut shown = Buffer::default();
    while let Some(Picture { buffer, repaint, copy }) = pictures.blocking_recv() {
        if let Some(text) = copy {
            execute!(backend, CopyToClipboard::to_clipboard_from(text))?;
        }
        let anew = repaint || buffer.area != shown.area;
        if anew {
            shown = Buffer::empty(buffer.area);
        }
        let cells = shown.diff(&buffer);
        if cells.is_empty() && !anew {
            continue;
        }
        queue!(backend, BeginSynchronizedUpdate)?;
        if anew {
            // Not the backend's `clear`, which flushes: the screen would be empty
            // for a moment.
            queue!(backend, crossterm::terminal::Clear(crossterm::terminal::ClearType::All))?;
        }
        backend.draw(cells.into_iter())?;
        queue!(backend, EndSynchronizedUpdate)?;
        io::Write::flush(&mut backend)?;
        shown = buffer;
    }
    Ok(())
}

/// Gives the terminal back: when asked, when dropped, and when something panics.
struct Restorer {
    taken: Arc<AtomicBool>,
    before: Arc<PanicHook>,
}

type PanicHook = Box<dyn Fn(&panic::PanicHookInfo<'_>) + Send + Sync>;

impl Restorer {
    fn new() -> Self {
        let taken = Arc::new(AtomicBool::new(true));
        let before: Arc<PanicHook> = Arc::new(panic::take_hook());
        let (hook_taken, hook_before) = (Arc::clone(&taken), Arc::clone(&before));
        // The message must come after the restoration, or it is wiped away.
        panic::set_hook(Box::new(move |info| {
            restore(&hook_taken);
            hook_before(info);
        }));
        Self { taken, before }
    }

    fn restore(&self) {
        restore(&self.taken);
    }
}

impl Drop for Restorer {
    fn drop(&mut self) {
        self.restore();
        // While panicking the hook cannot be changed, and has done its work.
        if !thread::panicking() {
            let before = Arc::clone(&self.before);
            panic::set_hook(Box::new(move |info| before(info)));
        }
    }
}

fn restore(taken: &AtomicBool) {
    if taken.swap(false, Ordering::SeqCst) {
        // The terminal may be gone: then nothing is left to restore.
        let _ = execute!(
            stdout(),
            EndSynchronizedUpdate,
            DisableMouseCapture,
            DisableBracketedPaste,
            LeaveAlternateScreen,
            Show
        );
        let _ = disable_raw_mode();
        let _ = stdout().flush();
    }
}

/// Reads keys until the loop no longer listens.
pub(crate) async fn read_input(input: mpsc::Sender<io::Result<EventKind>>) {
    let mut events = EventStream::new();
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(Event::Key(key)) if key.kind != KeyEventKind::Release => {
                // A terminal sends escape and a letter for a letter with alt, so that the two
                // pressed quickly, or over a slow line, cannot be told from it.
                let was_escaped = key.modifiers.contains(KeyModifiers::ALT)
                    && matches!(key.code, KeyCode::Char(_));
                let escape = EventKind::Key(Key::plain(KeyCode::Esc));
                if was_escaped && input.send(Ok(escape)).await.is_err() {
                    return;
                }
                Ok(EventKind::Key(key.into()))
            }
            Ok(Event::Paste(text)) => Ok(EventKind::Paste(text)),
            Ok(Event::Resize(width, height)) => Ok(EventKind::Resize(Size { width, height })),
            Ok(Event::Mouse(mouse)) => match pointed(mouse) {
                Some(kind) => Ok(kind),
                None => continue,
            },
            Ok(_) => continue,
            Err(error) => Err(error),
        };
        let over = event.is_err();
        if input.send(event).await.is_err() || over {
            return;
        }
    }
}

fn pointed(mouse: MouseEvent) -> Option<EventKind> {
    match mouse.kind {
        MouseEventKind::ScrollDown => Some(EventKind::Wheel(WHEEL)),
        MouseEventKind::ScrollUp => Some(EventKind::Wheel(-WHEEL)),
        MouseEventKind::Down(MouseButton::Left) => {
            Some(EventKind::Click(Position { x: mouse.column, y: mouse.row }))
        }
        _ => None,
    }
}

/// The signals that end the dashboard.
pub(crate) struct Signals([Signal; 4]);

impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
            signal(SignalKind::quit())?,
        ]))
    }

    /// Waits for one of them. Safe to drop while it waits.
    pub(crate) async fn next(&mut self) {
        let [interrupt, terminate, hangup, quit] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            _ = quit.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests;
