//! Keeps what happens in a file, without ever making somebody wait for the disk.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{
    film::RecordingError,
    format::{Encoder, Header},
};
use crate::events::Event;

/// How many events may wait for the disk.
const QUEUE: usize = 1024;
/// What a crash takes of a recording at most.
const FLUSH: Duration = Duration::from_secs(1);

/// A recording that is being made.
#[derive(Debug)]
pub(crate) struct Recorder {
    encoder: Encoder,
    /// None once it is over.
    queue: Option<SyncSender<Vec<u8>>>,
    writer: Option<JoinHandle<io::Result<()>>>,
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
        let writer = thread::Builder::new().name("record".into());
        let writer = writer.spawn(move || write(&events, file)).map_err(failed)?;
        Ok(Self { encoder, queue: Some(queue), writer: Some(writer) })
    }

    /// Keeps an event. An error is why the recording has ended.
    pub(crate) fn keep(&mut self, event: &Event) -> Result<(), String> {
        let Some(queue) = &self.queue else { return Ok(()) };
        if queue.try_send(self.encoder.encode(event)).is_ok() {
            return Ok(());
        }
        // It is full, or nobody writes any more.
        let why = match self.writer.take().filter(JoinHandle::is_finished).map(JoinHandle::join) {
            Some(Ok(Err(error))) => error.to_string(),
            _ => "the disk is too slow".to_owned(),
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
        self.queue = None;
        match self.writer.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            _ => Ok(()),
        }
    }
}

fn write(events: &Receiver<Vec<u8>>, file: File) -> io::Result<()> {
    let mut file = BufWriter::new(file);
    loop {
        match events.recv_timeout(FLUSH) {
            Ok(bytes) => file.write_all(&bytes)?,
            Err(RecvTimeoutError::Timeout) => file.flush()?,
            Err(RecvTimeoutError::Disconnected) => return file.flush(),
        }
    }
}
