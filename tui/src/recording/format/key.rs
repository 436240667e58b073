//! A key, written down.

use crossterm::event::KeyCode;
use prost::Message;

use crate::keys::Key;

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct KeyRecord {
    /// The character, where it is one.
    #[prost(uint32, optional, tag = "1")]
    character: Option<u32>,
    /// Its place in [`NAMED`].
    #[prost(uint32, tag = "2")]
    named: u32,
    /// The number of a function key.
    #[prost(uint32, tag = "3")]
    function: u32,
    #[prost(bool, tag = "4")]
    control: bool,
}

/// New ones are put at the end.
const NAMED: [KeyCode; 15] = [
    KeyCode::Up,
    KeyCode::Down,
    KeyCode::Left,
    KeyCode::Right,
    KeyCode::Enter,
    KeyCode::Esc,
    KeyCode::PageUp,
    KeyCode::PageDown,
    KeyCode::Home,
    KeyCode::End,
    KeyCode::Backspace,
    KeyCode::Tab,
    KeyCode::BackTab,
    KeyCode::Delete,
    KeyCode::Insert,
];

impl KeyRecord {
    /// None for a key that does nothing anywhere.
    pub(super) fn write(key: Key) -> Option<Self> {
        let mut record = Self { control: key.control, ..Self::default() };
        match key.code {
            KeyCode::Char(c) => record.character = Some(c.into()),
            KeyCode::F(number) => record.function = number.into(),
            code => {
                let place = NAMED.iter().position(|named| *named == code)?;
                record.named = u32::try_from(place).ok()?;
            }
        }
        Some(record)
    }

    pub(super) fn read(self) -> Option<Key> {
        let code = match (self.character, self.function) {
            (Some(character), _) => KeyCode::Char(char::from_u32(character)?),
            (None, 0) => *NAMED.get(usize::try_from(self.named).ok()?)?,
            (None, number) => KeyCode::F(u8::try_from(number).ok()?),
        };
        Some(Key { code, control: self.control })
    }
}
