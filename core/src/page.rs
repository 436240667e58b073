//! Page tokens: where the next page of a list begins.
//!
//! A token carries a digest of the query that it was made for. With another filter or
//! order the key in it would point nowhere, so it is refused instead of skipping rows
//! silently. A token is no secret and grants nothing: what a caller may see is decided
//! anew for each page.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use thiserror::Error;

/// The form of the token; another one is another version's.
const VERSION: u8 = 1;
/// The longest token that is looked at, in bytes.
const LENGTH_MAXIMUM: usize = 8192;
/// Bytes of the digest, between the version and the key.
const DIGEST_LENGTH: usize = 8;

/// What a list was asked for. A token belongs to one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    /// The method, for example `ListTenants`.
    pub method: &'a str,
    /// The filter as the client wrote it.
    pub filter: &'a str,
    /// The order as the client wrote it.
    pub order_by: &'a str,
    /// Whether tombstones are shown.
    pub show_deleted: bool,
}

impl Query<'_> {
    /// A digest that is the same in every version and replica: FNV-1a over the parts, each
    /// with its length before it, so that no two queries run together.
    fn digest(&self) -> u64 {
        const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        let parts = [self.method, self.filter, self.order_by];
        let lengths = parts.map(|part| part.len().to_string());
        let bytes = parts
            .into_iter()
            .zip(&lengths)
            .flat_map(|(part, length)| length.bytes().chain([b':']).chain(part.bytes()))
            .chain([u8::from(self.show_deleted)]);
        bytes.fold(OFFSET_BASIS, |digest, byte| (digest ^ u64::from(byte)).wrapping_mul(PRIME))
    }
}

/// Why a page token is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PageError {
    /// It is not one of ours, or a part is missing.
    #[error(
        "the page token is damaged: give back the whole `next_page_token` of the page before, or \
         none to begin again"
    )]
    Damaged,
    /// Another version of the daemon made it.
    #[error("the page token is of another version of the daemon: begin again without one")]
    OtherVersion,
    /// It belongs to another query.
    #[error(
        "the page token belongs to another query: give the same filter, order and show_deleted as \
         for the page before, or no token to begin again"
    )]
    OtherQuery,
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageToken {
    filter_digest: u64,
    offset_key: String,
}

impl PageToken {
    /// A token for the page after the row with this key. The key is the list's own
    /// business: whatever finds the place again in its order.
    pub fn new(query: &Query<'_>, offset_key: impl Into<String>) -> Self {
        Self { filter_digest: query.digest(), offset_key: offset_key.into() }
    }

    /// The key of the last row of the page before.
    pub fn offset_key(&self) -> &str {
        &self.offset_key
    }

    /// The token as the client gets it.
    pub fn encode(&self) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(self.filter_digest.to_be_bytes());
        bytes.extend(self.offset_key.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token that a client gave back with a query; `None` for the empty one, which
    /// means the first page.
    pub fn decode(token: &str, query: &Query<'_>) -> Result<Option<Self>, PageError> {
        if token.is_empty() {
            return Ok(None);
        }
        if token.len() > LENGTH_MAXIMUM {
            return Err(PageError::Damaged);
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| PageError::Damaged)?;
        let (version, rest) = bytes.split_first().ok_or(PageError::Damaged)?;
        if *version != VERSION {
            return Err(PageError::OtherVersion);
        }
        let (digest, key) = rest.split_first_chunk::<DIGEST_LENGTH>().ok_or(PageError::Damaged)?;
        let filter_digest = u64::from_be_bytes(*digest);
        let offset_key = std::str::from_utf8(key).map_err(|_| PageError::Damaged)?.to_owned();
        if filter_digest != query.digest() {
            return Err(PageError::OtherQuery);
        }
        Ok(Some(Self { filter_digest, offset_key }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const QUERY: Query<'static> = Query {
        method: "ListTenants",
        filter: "plan = free",
        order_by: "name",
        show_deleted: false,
    };

    #[test]
    fn a_token_comes_back_with_its_query_only() {
        let token = PageToken::new(&QUERY, "acme").encode();
        let read = PageToken::decode(&token, &QUERY).unwrap().unwrap();
        assert_eq!(read.offset_key(), "acme");
        let others = [
            Query { method: "ListOperations", ..QUERY },
            Query { filter: "plan = busy", ..QUERY },
            Query { filter: "plan = freen", order_by: "ame", ..QUERY },
            Query { order_by: "name desc", ..QUERY },
            Query { show_deleted: true, ..QUERY },
        ];
        for other in others {
            assert_eq!(PageToken::decode(&token, &other), Err(PageError::OtherQuery), "{other:?}");
        }
        assert_eq!(PageToken::decode("", &QUERY), Ok(None));
    }

    /// A token outlives an upgrade of the daemon, so its form may not drift.
    #[test]
    fn the_form_is_fixed() {
        assert_eq!(PageToken::new(&QUERY, "acme").encode(), "Ae_4iUoout-JYWNtZQ");
    }

    #[test]
    fn what_is_damaged_is_refused() {
        let token = PageToken::new(&QUERY, "acme").encode();
        for bad in ["!", "AQ", &token[..8], &format!("{token}="), "ü", &"A".repeat(65536)] {
            assert_eq!(PageToken::decode(bad, &QUERY), Err(PageError::Damaged), "{bad}");
        }
        let newer = URL_SAFE_NO_PAD.encode([2; 20]);
        assert_eq!(PageToken::decode(&newer, &QUERY), Err(PageError::OtherVersion));
        let mut no_text = vec![VERSION];
        no_text.extend(QUERY.digest().to_be_bytes());
        no_text.push(0xff);
        let no_text = URL_SAFE_NO_PAD.encode(no_text);
        assert_eq!(PageToken::decode(&no_text, &QUERY), Err(PageError::Damaged));
    }

    proptest! {
        #[test]
        fn any_key_survives(key in any::<String>(), filter in any::<String>(), deleted in any::<bool>()) {
            let query = Query { filter: &filter, show_deleted: deleted, ..QUERY };
            let token = PageToken::new(&query, key.clone());
            if key.len() < 4096 {
                prop_assert_eq!(PageToken::decode(&token.encode(), &query), Ok(Some(token)));
            }
        }

        #[test]
        fn any_text_is_a_token_or_refused(text in any::<String>()) {
            let _ = PageToken::decode(&text, &QUERY);
        }

        #[test]
        fn a_cut_token_finds_no_other_row(cut in 1..18_usize) {
            let token = PageToken::new(&QUERY, "acme-corp").encode();
            if let Ok(Some(read)) = PageToken::decode(&token[..cut], &QUERY) {
                prop_assert!("acme-corp".starts_with(read.offset_key()));
            }
        }
    }
}
