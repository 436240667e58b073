//! Pages of a list that is sorted already.

use streamspace_core::page::{PageToken, Query};

use super::errors::{RpcError, RpcResult};

const DEFAULT_PAGE: usize = 100;
const LONGEST_PAGE: usize = 1000;

/// What a request says of the page that it wants.
pub struct Paging<'a> {
    /// `page_size` of the request.
    pub size: i32,
    /// `page_token` of the request.
    pub token: &'a str,
    /// All that must be the same from page to page.
    pub query: Query<'a>,
}

impl Paging<'_> {
    /// Cuts the page out of the whole list, and gives the token of the next one, which
    /// is empty on the last. `key` tells the items apart.
    pub fn cut<T>(
        &self,
        mut items: Vec<T>,
        key: impl Fn(&T) -> String,
    ) -> RpcResult<(Vec<T>, String)> {
        let size = page_size(self.size)?;
        let token = PageToken::decode(self.token, &self.query)
            .map_err(|error| RpcError::field("page_token", error.to_string()))?;
        if let Some(token) = token {
            let last = items.iter().position(|item| key(item) == token.offset_key());
            let last = last.ok_or_else(|| {
                let gone = "its place in the list is gone; list again from the start";
                RpcError::field("page_token", gone)
            })?;
            items.drain(..=last);
        }
        let more = items.len() > size;
        items.truncate(size);
        let next = items
            .last()
            .filter(|_| more)
            .map_or_else(String::new, |last| PageToken::new(&self.query, key(last)).encode());
        Ok((items, next))
    }
}

/// The size of a page from what a request asks for.
pub fn page_size(asked: i32) -> RpcResult<usize> {
    match usize::try_from(asked) {
        Ok(0) => Ok(DEFAULT_PAGE),
        Ok(size) => Ok(size.min(LONGEST_PAGE)),
        Err(_) => Err(RpcError::field("page_size", "must be 0 (the default) to 1000")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUERY: Query<'static> =
        Query { method: "List", filter: "", order_by: "", show_deleted: false };

    fn cut(items: Vec<i32>, size: i32, token: &str) -> RpcResult<(Vec<i32>, String)> {
        Paging { size, token, query: QUERY }.cut(items, ToString::to_string)
    }

    #[test]
    fn pages_join_to_the_whole() {
        let all: Vec<i32> = (0..10).collect();
        let mut seen = Vec::new();
        let mut token = String::new();
        loop {
            let (items, next) = cut(all.clone(), 3, &token).unwrap();
            assert!(items.len() <= 3);
            seen.extend(items);
            token = next;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(seen, all);
    }

    #[test]
    fn a_token_of_an_item_that_is_gone_is_refused() {
        let (_, token) = cut(vec![1, 2, 3], 1, "").unwrap();
        assert!(cut(vec![2, 3], 1, &token).is_err());
        assert!(cut(vec![1], -1, "").is_err());
    }
}
