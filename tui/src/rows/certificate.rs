//! A certificate that the region issued.

use std::borrow::Cow;

use jiff::Timestamp;
use streamspace_client::text::escape;
use streamspace_core::filter::{FieldValue, vocabulary};
use streamspace_proto::v1::{self, CertificateKind, CertificateState};

use super::{Column, Key, Look, Row, SortKey, Wellness, by_place, short};
use crate::{
    format::{age, instant, many},
    state::{Question, RegionIndex},
};

/// One certificate.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    key: Key,
    /// The serial number, in hexadecimal.
    pub(crate) serial: String,
    pub(crate) operator: String,
    role: String,
    device: String,
    reach: String,
    reason: String,
    ends: Option<Timestamp>,
    /// As the daemon has it: escape what is shown.
    pub(crate) whole: Box<v1::Certificate>,
}

impl Certificate {
    pub(crate) fn new(region: RegionIndex, certificate: &v1::Certificate) -> Self {
        let safe = |text: &str| escape(text).into_owned();
        let reach = match certificate.tenants.as_slice() {
            [] => "the whole region".into(),
            [one] => safe(short(one)),
            several => many(several.len(), "tenant"),
        };
        Self {
            key: Key::new(region, "", &certificate.name),
            serial: safe(short(&certificate.name)),
            operator: safe(&certificate.operator),
            role: safe(&certificate.role_name),
            device: safe(&certificate.device_name),
            reason: safe(&certificate.revoke_reason),
            reach,
            ends: instant(certificate.expire_time.as_ref()),
            whole: Box::new(certificate.clone()),
        }
    }

    fn state_word(&self) -> &'static str {
        Self::STATES.get(self.state()).copied().unwrap_or("unknown")
    }

    fn kind_word(&self) -> &'static str {
        match self.whole.kind() {
            CertificateKind::Unspecified => "unknown",
            CertificateKind::Device => "device",
            CertificateKind::Client => "client",
        }
    }

    /// How long it is good.
    fn left(&self, now: Timestamp) -> Cow<'static, str> {
        match (self.whole.state(), self.ends) {
            (CertificateState::Valid, Some(ends)) => {
                Cow::Owned(age(ends.as_second().saturating_sub(now.as_second()).max(0)))
            }
            _ => Cow::Borrowed(""),
        }
    }
}

impl Row for Certificate {
    const NOUN: &'static str = "certificate";
    const ASKED: Option<Question> = Some(Question::Certificates);
    const FIELDS: &'static [&'static str] = &vocabulary::CERTIFICATE;
    const STATES: &'static [&'static str] =
        &["unknown", "valid", "superseded", "expired", "revoked"];
    const COLUMNS: &'static [Column<Self>] = &[
        Column::<Self>::left("OPERATOR", 9, 32, 0)
            .showing(|one, _| Cow::Borrowed(&one.operator))
            .ordered(|one| SortKey::Text(&one.operator)),
        Column::<Self>::left("KIND", 6, 6, 3)
            .showing(|one, _| Cow::Borrowed(one.kind_word()))
            .ordered(|one| SortKey::Text(one.kind_word())),
        Column::<Self>::left("ROLE", 7, 16, 2)
            .showing(|one, _| Cow::Borrowed(&one.role))
            .ordered(|one| SortKey::Text(&one.role)),
        Column::<Self>::left("STATE", 10, 10, 1)
            .showing(|one, _| Cow::Borrowed(one.state_word()))
            .ordered(|one| by_place(one.state()))
            .looking(Look::Verdict),
        Column::<Self>::right("LEFT", 6, 4)
            .showing(Self::left)
            // The soonest end first.
            .ordered(|one| SortKey::Number(one.ends.map(|ends| -ends.as_microsecond()))),
        Column::<Self>::left("DEVICE", 7, 28, 6)
            .showing(|one, _| Cow::Borrowed(&one.device))
            .ordered(|one| SortKey::Text(&one.device)),
        Column::<Self>::left("REACH", 8, 28, 7).showing(|one, _| Cow::Borrowed(&one.reach)),
        Column::<Self>::left("SERIAL", 12, 40, 5)
            .showing(|one, _| Cow::Borrowed(&one.serial))
            .ordered(|one| SortKey::Text(&one.serial))
            .looking(Look::Aside),
        Column::<Self>::left("REVOKED BECAUSE", 18, u16::MAX, 8)
            .showing(|one, _| Cow::Borrowed(&one.reason))
            .looking(Look::Verdict),
    ];

    fn key(&self) -> &Key {
        &self.key
    }

    fn wellness(&self) -> Wellness {
        match self.whole.state() {
            CertificateState::Valid => Wellness::Well,
            CertificateState::Unspecified => Wellness::Unknown,
            CertificateState::Superseded
            | CertificateState::Expired
            | CertificateState::Revoked => Wellness::Resting,
        }
    }

    fn state(&self) -> usize {
        usize::try_from(i32::from(self.whole.state())).unwrap_or(0)
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        [&*self.operator, &self.role, self.state_word(), &self.device, &self.serial, &self.reason]
            .into_iter()
    }

    fn field(&self, name: &str, _: Timestamp) -> Option<FieldValue> {
        let text = match name {
            "name" => &*self.whole.name,
            "kind" => self.kind_word(),
            "operator" => &self.whole.operator,
            "role" => &self.whole.role_name,
            "state" => self.state_word(),
            "device_name" => &self.whole.device_name,
            "family" => &self.whole.family,
            _ => return None,
        };
        Some(FieldValue::from(text))
    }
}
