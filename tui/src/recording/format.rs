//! How events are written down: protocol buffer messages of this file, each after its length.
//! A field is never used again for something else; who does not know one leaves it out.

use jiff::Timestamp;
use prost::Message;
use ratatui::layout::{Position, Size};
use streamspace_client::text::escape;
use streamspace_proto::v1;
use uuid::Uuid;

use crate::{
    events::{Event, EventKind, News},
    keys::{Key, KeyMap},
    state::{RegionIndex, Target},
    trouble::Trouble,
};

mod answer;
mod key;
mod watch;
mod work;

use answer::{AnswerRecord, LastAnswers};
use key::KeyRecord;
use watch::{WatchRecord, WatchedRecord};
use work::WorkedRecord;

/// What a recording begins with.
pub(super) const MAGIC: &[u8] = b"streamspace ui recording 1\n";

/// What the dashboard began with.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Header {
    #[prost(message, repeated, tag = "1")]
    targets: Vec<TargetRecord>,
    #[prost(int64, tag = "2")]
    begin_nanos: i64,
    #[prost(message, required, tag = "3")]
    size: Pair,
    #[prost(string, optional, tag = "4")]
    lock: Option<String>,
    #[prost(bytes = "vec", tag = "5")]
    ids: Vec<u8>,
    #[prost(string, tag = "6")]
    ssctl_version: String,
    #[prost(message, repeated, tag = "7")]
    bindings: Vec<BindingRecord>,
}

/// The keys of an action, where they are not those that it comes with.
#[derive(Clone, PartialEq, Eq, Message)]
struct BindingRecord {
    #[prost(string, tag = "1")]
    action: String,
    #[prost(string, repeated, tag = "2")]
    keys: Vec<String>,
}

impl Header {
    pub(crate) fn new(
        targets: &[Target],
        begin: Timestamp,
        size: Size,
        locked: Option<&str>,
        ids: Uuid,
        keys: &KeyMap,
    ) -> Self {
        let target = |target: &Target| TargetRecord {
            context: target.context.clone(),
            region: target.region.clone(),
            endpoint: target.endpoint.clone(),
            protected: target.protected,
        };
        Self {
            targets: targets.iter().map(target).collect(),
            begin_nanos: nanos(begin),
            size: Pair { x: size.width.into(), y: size.height.into() },
            lock: locked.map(str::to_owned),
            ids: ids.as_bytes().to_vec(),
            ssctl_version: env!("CARGO_PKG_VERSION").into(),
            bindings: keys
                .customs()
                .into_iter()
                .map(|(action, keys)| BindingRecord {
                    action: action.to_owned(),
                    keys: keys.iter().map(ToString::to_string).collect(),
                })
                .collect(),
        }
    }

    /// Which key did what. What this version does not know is as it comes.
    pub(crate) fn keys(&self) -> KeyMap {
        let mut map = KeyMap::standard();
        for BindingRecord { action, keys } in &self.bindings {
            let keys: Vec<Key> = keys.iter().filter_map(|key| key.parse().ok()).collect();
            // An action that is not there any more had a key that does nothing now.
            let _ = map.rebind(action, &keys);
        }
        map
    }

    /// Which daemons were looked at.
    pub(crate) fn targets(&self) -> Vec<Target> {
        let safe = |text: &str| escape(text).into_owned();
        let target = |target: &TargetRecord| Target {
            context: safe(&target.context),
            region: safe(&target.region),
            endpoint: safe(&target.endpoint),
            protected: target.protected,
        };
        self.targets.iter().map(target).collect()
    }

    pub(crate) fn begin(&self) -> Timestamp {
        instant(self.begin_nanos)
    }

    pub(crate) fn size(&self) -> Size {
        Size { width: narrow(self.size.x), height: narrow(self.size.y) }
    }

    /// Why nothing could be changed, where nothing could.
    pub(crate) fn locked(&self) -> Option<String> {
        self.lock.as_deref().map(|text| escape(text).into_owned())
    }

    pub(crate) fn ids(&self) -> Uuid {
        Uuid::from_slice(&self.ids).unwrap_or_default()
    }
}

#[derive(Clone, PartialEq, Message)]
struct TargetRecord {
    #[prost(string, tag = "1")]
    context: String,
    #[prost(string, tag = "2")]
    region: String,
    #[prost(string, tag = "3")]
    endpoint: String,
    #[prost(bool, tag = "4")]
    protected: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
struct Pair {
    #[prost(uint32, tag = "1")]
    x: u32,
    #[prost(uint32, tag = "2")]
    y: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
struct Nothing {}

/// An event.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Entry {
    /// Since the begin of the recording.
    #[prost(int64, tag = "1")]
    nanos: i64,
    #[prost(oneof = "What", tags = "2, 3, 4, 5, 6, 7, 8")]
    what: Option<What>,
}

#[allow(clippy::large_enum_variant, reason = "one is there at a time, and it is written at once")]
#[derive(Clone, PartialEq, prost::Oneof)]
enum What {
    #[prost(message, tag = "2")]
    Tick(Nothing),
    #[prost(message, tag = "3")]
    Resize(Pair),
    #[prost(message, tag = "4")]
    Key(KeyRecord),
    #[prost(string, tag = "5")]
    Paste(String),
    #[prost(sint64, tag = "6")]
    Wheel(i64),
    #[prost(message, tag = "7")]
    Click(Pair),
    #[prost(message, tag = "8")]
    News(NewsRecord),
}

#[derive(Clone, PartialEq, Message)]
struct NewsRecord {
    #[prost(uint32, tag = "1")]
    region: u32,
    #[prost(oneof = "NewsWhat", tags = "2, 3, 4, 5, 6, 7, 8, 9")]
    what: Option<NewsWhat>,
}

#[allow(clippy::large_enum_variant, reason = "one is there at a time, and it is written at once")]
#[derive(Clone, PartialEq, prost::Oneof)]
enum NewsWhat {
    #[prost(message, tag = "2")]
    Watch(WatchRecord),
    #[prost(message, tag = "3")]
    Region(v1::Region),
    /// As the last time.
    #[prost(message, tag = "4")]
    SameRegion(Nothing),
    #[prost(message, tag = "5")]
    NoRegion(TroubleRecord),
    #[prost(message, tag = "6")]
    Identity(v1::WhoAmIResponse),
    #[prost(message, tag = "7")]
    NoIdentity(TroubleRecord),
    #[prost(message, tag = "8")]
    Answer(AnswerRecord),
    #[prost(message, tag = "9")]
    Worked(WorkedRecord),
}

#[derive(Clone, PartialEq, Eq, Message)]
struct TroubleRecord {
    #[prost(string, tag = "1")]
    words: String,
    #[prost(bool, tag = "2")]
    refused: bool,
}

impl TroubleRecord {
    fn write(trouble: &Trouble) -> Self {
        Self { words: trouble.words.clone(), refused: trouble.refused }
    }

    fn read(self) -> Trouble {
        Trouble { refused: self.refused, ..Trouble::new(&self.words) }
    }
}

/// Writes events down, one after another.
#[derive(Debug)]
pub(crate) struct Encoder {
    begin: i64,
    /// What each region said last, so that it is not written twice a second all day.
    reports: Vec<Option<v1::Region>>,
    answers: LastAnswers,
}

impl Encoder {
    /// The encoder, and how a recording begins.
    pub(crate) fn new(header: &Header) -> (Self, Vec<u8>) {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(header.encode_length_delimited_to_vec());
        let reports = vec![None; header.targets.len()];
        let answers = LastAnswers::default();
        (Self { begin: header.begin_nanos, reports, answers }, bytes)
    }

    /// An event; nothing of a key that does nothing anywhere.
    pub(crate) fn encode(&mut self, event: &Event) -> Vec<u8> {
        let pair = |x: u16, y: u16| Pair { x: x.into(), y: y.into() };
        let what = match &event.kind {
            EventKind::Tick => What::Tick(Nothing {}),
            EventKind::Resize(size) => What::Resize(pair(size.width, size.height)),
            EventKind::Key(key) => match KeyRecord::write(*key) {
                Some(key) => What::Key(key),
                None => return Vec::new(),
            },
            EventKind::Paste(text) => What::Paste(text.clone()),
            EventKind::Wheel(rows) => What::Wheel(i64::try_from(*rows).unwrap_or(0)),
            EventKind::Click(at) => What::Click(pair(at.x, at.y)),
            EventKind::News(region, news) => {
                let what = Some(self.news(*region, news));
                What::News(NewsRecord { region: region.0.into(), what })
            }
        };
        let nanos = nanos(event.at).saturating_sub(self.begin);
        Entry { nanos, what: Some(what) }.encode_length_delimited_to_vec()
    }

    fn news(&mut self, region: RegionIndex, news: &News) -> NewsWhat {
        match news {
            News::Watch(events) => {
                let events = events.iter().map(WatchedRecord::write).collect();
                NewsWhat::Watch(WatchRecord { events })
            }
            News::Region(Ok(report)) => {
                let last = self.reports.get_mut(usize::from(region.0));
                if last.as_ref().is_some_and(|last| last.as_ref() == Some(&**report)) {
                    return NewsWhat::SameRegion(Nothing {});
                }
                if let Some(last) = last {
                    *last = Some(v1::Region::clone(report));
                }
                NewsWhat::Region(v1::Region::clone(report))
            }
            News::Region(Err(trouble)) => NewsWhat::NoRegion(TroubleRecord::write(trouble)),
            News::Identity(Ok(reply)) => NewsWhat::Identity(v1::WhoAmIResponse::clone(reply)),
            News::Identity(Err(trouble)) => NewsWhat::NoIdentity(TroubleRecord::write(trouble)),
            News::Answer(question, answer) => {
                let record = AnswerRecord::write(question, answer);
                NewsWhat::Answer(self.answers.brief(region.0.into(), record))
            }
            News::Worked(work, result) => NewsWhat::Worked(WorkedRecord::write(work, result)),
        }
    }
}

/// Reads events, one after another.
#[derive(Debug)]
pub(super) struct Decoder {
    begin: i64,
    reports: Vec<Option<v1::Region>>,
    answers: LastAnswers,
}

impl Decoder {
    pub(super) fn new(header: &Header) -> Self {
        let reports = vec![None; header.targets.len()];
        Self { begin: header.begin_nanos, reports, answers: LastAnswers::default() }
    }

    /// When an entry is.
    pub(super) fn time(&self, entry: &Entry) -> Timestamp {
        instant(self.begin.saturating_add(entry.nanos))
    }

    /// None is an event that this version does not know.
    pub(super) fn decode(&mut self, entry: Entry) -> Option<Event> {
        let at = self.time(&entry);
        let kind = match entry.what? {
            What::Tick(_) => EventKind::Tick,
            What::Resize(size) => {
                EventKind::Resize(Size { width: narrow(size.x), height: narrow(size.y) })
            }
            What::Key(key) => EventKind::Key(key.read()?),
            What::Paste(text) => EventKind::Paste(text),
            What::Wheel(rows) => EventKind::Wheel(isize::try_from(rows).ok()?),
            What::Click(at) => EventKind::Click(Position { x: narrow(at.x), y: narrow(at.y) }),
            What::News(record) => {
                let region = RegionIndex(narrow(record.region));
                EventKind::News(region, self.news(region, record.what?)?)
            }
        };
        Some(Event { at, kind })
    }

    fn news(&mut self, region: RegionIndex, what: NewsWhat) -> Option<News> {
        Some(match what {
            NewsWhat::Watch(record) => {
                News::Watch(record.events.into_iter().filter_map(WatchedRecord::read).collect())
            }
            NewsWhat::Region(report) => {
                *self.reports.get_mut(usize::from(region.0))? = Some(report.clone());
                News::Region(Ok(Box::new(report)))
            }
            NewsWhat::SameRegion(_) => {
                let report = self.reports.get(usize::from(region.0))?.clone()?;
                News::Region(Ok(Box::new(report)))
            }
            NewsWhat::NoRegion(trouble) => News::Region(Err(trouble.read())),
            NewsWhat::Identity(reply) => News::Identity(Ok(Box::new(reply))),
            NewsWhat::NoIdentity(trouble) => News::Identity(Err(trouble.read())),
            NewsWhat::Answer(record) => {
                let (question, answer) = self.answers.whole(region.0.into(), record)?.read()?;
                News::Answer(question, answer)
            }
            NewsWhat::Worked(record) => record.read()?,
        })
    }
}

fn nanos(time: Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX)
}

fn instant(nanos: i64) -> Timestamp {
    Timestamp::from_nanosecond(nanos.into()).unwrap_or_default()
}

fn narrow(number: u32) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}
