//! The text form of an enrolment token.
//!
//! A token is pasted from one terminal into another, so it is one word without
//! characters that a shell minds, and it notices when an end was cut off. It
//! carries the fingerprint of the region's certificate authority: the first
//! connection that it makes is already authenticated.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use thiserror::Error;

/// How every token begins; the digit is the version of the form.
const PREFIX: &str = "sst1_";
const HALF: usize = 32;
const CHECKED: usize = 2 * HALF;
const WHOLE: usize = CHECKED + 2;

/// The secret half of a token. It does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; HALF]);

impl Secret {
    /// Wraps 32 random bytes.
    pub const fn new(bytes: [u8; HALF]) -> Self {
        Self(bytes)
    }

    /// The bytes, for the wire or to be hashed.
    pub const fn expose(&self) -> &[u8; HALF] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// What `ssctl login --token` takes: whom to trust, and proof of being invited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolmentToken {
    /// SHA-256 of the DER of the region's CA certificate.
    pub authority: [u8; HALF],
    /// What the daemon knows the token by.
    pub secret: Secret,
}

/// Why a text is not an enrolment token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// It does not begin as a token does.
    #[error("an enrolment token begins with `{PREFIX}`; this is something else")]
    Prefix,
    /// It holds a character that no token has.
    #[error("the enrolment token holds a character that does not belong there; copy it again")]
    Alphabet,
    /// A part of it is missing.
    #[error("the enrolment token is cut off: {found} of {WHOLE} bytes; copy it whole")]
    Truncated {
        /// How many bytes there are.
        found: usize,
    },
    /// Something follows it.
    #[error("the enrolment token is too long: {found} bytes instead of {WHOLE}; copy it alone")]
    TooLong {
        /// How many bytes there are.
        found: usize,
    },
    /// A character was changed on the way.
    #[error("the enrolment token has a wrong character (its check failed); copy it again")]
    Check,
}

impl EnrolmentToken {
    /// The token as text. It holds the secret: show it once, log it never.
    pub fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(WHOLE);
        bytes.extend_from_slice(&self.authority);
        bytes.extend_from_slice(self.secret.expose());
        bytes.extend_from_slice(&crc16(&bytes).to_be_bytes());
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads a token; white space around it is ignored.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let body = text.trim().strip_prefix(PREFIX).ok_or(TokenError::Prefix)?;
        // A cut leaves a number of characters that base64 itself refuses.
        let found = body.len() * 3 / 4;
        if body.bytes().any(|b| !(b.is_ascii_alphanumeric() || b == b'-' || b == b'_')) {
            return Err(TokenError::Alphabet);
        }
        if found < WHOLE {
            return Err(TokenError::Truncated { found });
        }
        if found > WHOLE {
            return Err(TokenError::TooLong { found });
        }
        let bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| TokenError::Check)?;
        let (checked, check) = bytes.split_at_checked(CHECKED).ok_or(TokenError::Check)?;
        if check != crc16(checked).to_be_bytes() {
            return Err(TokenError::Check);
        }
        let (authority, secret) = checked.split_at_checked(HALF).ok_or(TokenError::Check)?;
        Ok(Self {
            authority: authority.try_into().map_err(|_| TokenError::Check)?,
            secret: Secret(secret.try_into().map_err(|_| TokenError::Check)?),
        })
    }
}

impl FromStr for EnrolmentToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        Self::parse(text)
    }
}

/// CRC-16/IBM-3740 (polynomial 0x1021, begun with ones). It catches slips of the
/// hand; forgery is caught by the secret.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> EnrolmentToken {
        let secret = Secret::new(std::array::from_fn(|i| u8::try_from(200 - i).unwrap()));
        EnrolmentToken { authority: std::array::from_fn(|i| u8::try_from(i).unwrap()), secret }
    }

    #[test]
    fn the_check_is_the_published_one() {
        assert_eq!(crc16(b"123456789"), 0x29B1);
    }

    #[test]
    fn a_token_survives_the_way_to_text_and_back() {
        let text = token().encode();
        assert!(text.starts_with("sst1_"), "{text}");
        assert_eq!(text.len(), 5 + 88);
        assert_eq!(format!(" {text}\n").parse(), Ok(token()));
    }

    #[test]
    fn every_cut_is_seen_as_one() {
        let text = token().encode();
        for length in 5..text.len() {
            let cut = text.get(..length).unwrap();
            assert!(
                matches!(EnrolmentToken::parse(cut), Err(TokenError::Truncated { .. })),
                "{length}"
            );
        }
        assert_eq!(EnrolmentToken::parse("sst"), Err(TokenError::Prefix));
    }

    #[test]
    fn every_changed_character_is_seen() {
        let text = token().encode();
        for at in 5..text.len() {
            let mut other = text.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).unwrap();
            assert_eq!(EnrolmentToken::parse(&other), Err(TokenError::Check), "{at}");
        }
    }

    #[test]
    fn other_words_are_refused_with_what_is_wrong() {
        assert_eq!(EnrolmentToken::parse(""), Err(TokenError::Prefix));
        assert_eq!(EnrolmentToken::parse("sst1_a b"), Err(TokenError::Alphabet));
        let long = format!("{}AAAA", token().encode());
        assert_eq!(EnrolmentToken::parse(&long), Err(TokenError::TooLong { found: 69 }));
    }

    #[test]
    fn the_secret_does_not_print() {
        let printed = format!("{:?}", token());
        assert!(printed.contains("Secret(hidden)"), "{printed}");
        assert!(!printed.contains("200"), "{printed}");
    }
}
