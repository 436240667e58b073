//! Keeps what happens in a file, without ever making somebody wait for the disk.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

use super::{
    film::{LONGEST, RecordingError},
    format::{Encoder, Header},
};
use crate::events::Event;

/// How many events may wait for the disk.
const QUEUE: usize = 1024;
/// What a crash takes of a recording at most.
const FLUSH: Duration = Duration::from_secs(1);
/// How long the end of a recording is waited for. Whoever leaves does not wait for a disk.
const CLOSING: Duration = Duration::from_millis(80);

/// A recording that is being made.
#[derive(Debug)]
pub(crate) struct Recorder {
    encoder: Encoder,
    /// None once it is over.
    queue: Option<SyncSender<Vec<u8>>>,
    /// What became of it.
    written: Receiver<io::Result<()>>,
    /// How many bytes it has.
    length: u64,
}

impl Recorder {
    /// Begins a recording. A file that is there stays as it is.
    pub(crate) fn create(path: &Path, header: &Header) -> Result<Self, RecordingError> {
        let failed = |error| RecordingError::Create { path: path.display().to_string(), error };
        // It has what only operators may see.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let mut file = file.map_err(failed)?;
        let (encoder, begin) = Encoder::new(header);
        file.write_all(&begin).map_err(failed)?;
        let (queue, events) = sync_channel(QUEUE);
        let (result, written) = sync_channel(1);
        let thread = thread::Builder::new().name("record".into());
        let write = move || {
            // Nobody may wait for it any more.
            let _ = result.send(write_all(&events, file));
        };
        thread.spawn(write).map_err(failed)?;
        Ok(Self { encoder, queue: Some(queue), written, length: 0 })
    }

    /// Keeps an event. An error is why the recording has ended.
    pub(crate) fn keep(&mut self, event: &Event) -> Result<(), String> {
        let Some(queue) = &self.queue else { return Ok(()) };
        let bytes = self.encoder.encode(event);
        self.length += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let why = if self.length > LONGEST {
            "it has 2 GiB".to_owned()
        } else if queue.try_send(bytes).is_ok() {
            return Ok(());
        } else {
            // It is full, or nobody writes any more.
            match self.written.try_recv() {
                Ok(Err(error)) => error.to_string(),
                _ => "the disk is too slow".to_owned(),
            }
        };
        self.queue = None;
        Err(why)
    }

    /// Keeps an event, and waits for the disk: a test makes an hour in seconds.
    #[cfg(test)]
    pub(super) fn keep_waiting(&mut self, event: &Event) {
        let bytes = self.encoder.encode(event);
        self.queue.as_ref().unwrap().send(bytes).unwrap();
    }

    /// Writes what waits, and ends.
    pub(crate) fn close(mut self) -> io::Result<()> {
        if self.queue.take().is_none() {
            // That it ended was told.
            return Ok(());
        }
        let slow = || Err(io::Error::other("the disk is too slow"));
        self.written.recv_timeout(CLOSING).unwrap_or_else(|_| slow())
    }
}

fn write_all(events: &Receiver<Vec<u8>>, file: File) -> io::Result<()> {
    let mut file = BufWriter::new(file);
    let mut flushed = Instant::now();
    loop {
        match events.recv_timeout(FLUSH) {
            Ok(bytes) => file.write_all(&bytes)?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return file.flush(),
        }
        if flushed.elapsed() >= FLUSH {
            file.flush()?;
            flushed = Instant::now();
        }
    }
}
