//! A recording in memory, read from its begin to its end.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use jiff::Timestamp;
use prost::Message as _;
use thiserror::Error;

use super::format::{Decoder, Entry, Header, MAGIC};
use crate::events::Event;

/// A recording longer than this is not read into memory.
pub(super) const LONGEST: u64 = 2 << 30;
/// So many entries in a row that nobody knows are no recording any more.
const UNKNOWN: usize = 10_000;

/// Why a recording cannot be made, or not be looked at.
#[derive(Debug, Error)]
pub enum RecordingError {
    /// The file cannot be made.
    #[error("cannot record into {path}: {error}")]
    Create {
        /// The file.
        path: String,
        /// Why not.
        error: io::Error,
    },
    /// The file cannot be read.
    #[error("cannot read the recording {path}: {error}")]
    Read {
        /// The file.
        path: String,
        /// Why not.
        error: io::Error,
    },
    /// It is another file.
    #[error("{0} is no recording of this dashboard")]
    NoRecording(String),
}

/// A recording, and how far it was read.
#[derive(Debug)]
pub(crate) struct Film {
    bytes: Vec<u8>,
    header: Header,
    decoder: Decoder,
    /// Where the entries begin, and where the next one does.
    first: usize,
    at: usize,
    /// Where the last whole entry ends, and when it is.
    end: usize,
    last: Timestamp,
    /// Whether something that cannot be read follows.
    cut: bool,
}

impl Film {
    pub(crate) fn open(path: &Path) -> Result<Self, RecordingError> {
        let name = path.display().to_string();
        let read = || {
            let file = File::open(path)?;
            if !file.metadata()?.is_file() {
                return Err(io::Error::other("it is no file"));
            }
            let mut bytes = Vec::new();
            file.take(LONGEST + 1).read_to_end(&mut bytes)?;
            if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LONGEST {
                return Err(io::Error::other("it has more than 2 GiB"));
            }
            Ok(bytes)
        };
        match read() {
            Ok(bytes) => Self::new(bytes).ok_or(RecordingError::NoRecording(name)),
            Err(error) => Err(RecordingError::Read { path: name, error }),
        }
    }

    /// None where it is no recording. What was cut off, as by a crash, is left out.
    pub(crate) fn new(bytes: Vec<u8>) -> Option<Self> {
        let mut rest = bytes.strip_prefix(MAGIC)?;
        let header = Header::decode_length_delimited(&mut rest).ok()?;
        let first = bytes.len() - rest.len();
        let decoder = Decoder::new(&header);
        let mut last = header.begin();
        let mut end = first;
        while let Ok(entry) = Entry::decode_length_delimited(&mut rest) {
            // A clock that was set back does not make a recording run backwards.
            last = last.max(decoder.time(&entry));
            end = bytes.len() - rest.len();
        }
        let cut = end < bytes.len();
        Some(Self { bytes, header, decoder, first, at: first, end, last, cut })
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// When its last event is.
    pub(crate) fn end(&self) -> Timestamp {
        self.last
    }

    /// Whether its end is missing.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }

    /// To its begin.
    pub(crate) fn rewind(&mut self) {
        self.decoder = Decoder::new(&self.header);
        self.at = self.first;
    }

    /// When the next event is.
    pub(crate) fn next_time(&self) -> Option<Timestamp> {
        let (entry, _) = self.entry()?;
        Some(self.decoder.time(&entry))
    }

    /// The next event. What this version does not know is passed over.
    pub(crate) fn next(&mut self) -> Option<Event> {
        for _ in 0..UNKNOWN {
            let (entry, after) = self.entry()?;
            self.at = after;
            if let Some(event) = self.decoder.decode(entry) {
                return Some(event);
            }
        }
        self.at = self.end;
        None
    }

    fn entry(&self) -> Option<(Entry, usize)> {
        let mut rest = self.bytes.get(self.at..self.end).filter(|rest| !rest.is_empty())?;
        let entry = Entry::decode_length_delimited(&mut rest).ok()?;
        Some((entry, self.end - rest.len()))
    }
}
