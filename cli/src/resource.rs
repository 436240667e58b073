//! The verbs that every noun shares. A noun describes itself; listing, paging
//! and showing come from here.

use clap::Args;
use jiff::Timestamp;
use prost::{Message, Name};
use streamspace_client::{ClientError, Connection};

use crate::{
    errors::Outcome,
    output::{Cell, Column},
};

/// The most that a page may hold.
const PAGE: usize = 1000;

/// A kind of resource.
pub(crate) trait Noun: Message + Name + Default {
    /// As in "no tenants".
    const PLURAL: &'static str;
    /// What its names begin with, `tenants/` for example; empty where it has no
    /// names.
    const PREFIX: &'static str;

    /// Its full name.
    fn resource_name(&self) -> &str;

    /// What a list shows of it.
    fn columns() -> Vec<Column<Self>>;

    /// What a page about it shows.
    fn details(&self, now: Timestamp) -> Vec<(&'static str, Cell)>;
}

/// The full name of what was typed: `acme-corp` or `tenants/acme-corp`.
pub(crate) fn full_name<N: Noun>(typed: &str) -> String {
    if typed.starts_with(N::PREFIX) { typed.to_owned() } else { format!("{}{typed}", N::PREFIX) }
}

/// A full name without its prefix.
pub(crate) fn short<'a>(prefix: &str, name: &'a str) -> &'a str {
    name.strip_prefix(prefix).unwrap_or(name)
}

/// The word of an enum value: `TENANT_STATE_ACTIVE` is `active`.
pub(crate) fn word(prefix: &str, value: &str) -> String {
    let word = value.strip_prefix(prefix).unwrap_or(value);
    word.to_ascii_lowercase().replace('_', "-")
}

/// The flag of a list that has no others.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct LimitArgs {
    /// At most so many; of each region where several are asked
    #[arg(long, value_name = "NUMBER")]
    pub(crate) limit: Option<usize>,
}

/// Flags of every list.
#[derive(Args, Clone, Debug)]
pub(crate) struct ListArgs {
    /// Which ones, for example 'plan = "business" AND seats > 10'
    #[arg(long, default_value = "", hide_default_value = true, value_name = "EXPRESSION")]
    pub(crate) filter: String,
    /// At most so many; of each region where several are asked
    #[arg(long, value_name = "NUMBER")]
    pub(crate) limit: Option<usize>,
}

/// Makes a call that may be repeated: a read, or a change whose request has an id.
macro_rules! call {
    ($connection:expr, $service:ident.$method:ident($request:expr)) => {{
        let connection: &streamspace_client::Connection = $connection;
        let request = $request;
        connection
            .call(|| {
                let (mut client, request) = (connection.$service(), request.clone());
                async move { client.$method(request).await }
            })
            .await
    }};
}
pub(crate) use call;

/// Reads all pages of a list, or as many as make the limit.
macro_rules! list {
    (
        $connection:expr, $limit:expr, $service:ident.$method:ident,
        $request:ident { $($field:ident: $value:expr),* } => $items:ident
    ) => {
        $crate::resource::pages(
            $connection,
            $limit,
            async |connection, page_size, page_token| {
                let request = $request { page_size, page_token, $($field: $value),* };
                let reply = $crate::resource::call!(connection, $service.$method(request))?;
                Ok((reply.$items, reply.next_page_token))
            },
        )
        .await
    };
}
pub(crate) use list;

/// What one page brought: its items, and the token of the next or nothing.
pub(crate) type Page<T> = (Vec<T>, String);

/// Reads pages until there is no more, or enough.
pub(crate) async fn pages<T>(
    connection: &Connection,
    limit: Option<usize>,
    page: impl AsyncFn(&Connection, i32, String) -> Result<Page<T>, ClientError>,
) -> Outcome<Vec<T>> {
    let limit = limit.unwrap_or(usize::MAX);
    let mut all = Vec::new();
    let mut token = String::new();
    while all.len() < limit {
        let size = i32::try_from(PAGE.min(limit - all.len())).unwrap_or(i32::MAX);
        let (items, next) = page(connection, size, token).await?;
        all.extend(items);
        if next.is_empty() {
            break;
        }
        token = next;
    }
    all.truncate(limit);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use streamspace_proto::v1::Tenant;

    use super::*;

    #[test]
    fn both_forms_of_a_name_are_taken() {
        assert_eq!(full_name::<Tenant>("acme"), "tenants/acme");
        assert_eq!(full_name::<Tenant>("tenants/acme"), "tenants/acme");
        assert_eq!(short("tenants/", "tenants/acme"), "acme");
    }

    #[test]
    fn enum_values_become_words() {
        assert_eq!(word("TENANT_STATE_", "TENANT_STATE_ACTIVE"), "active");
        assert_eq!(word("HEALTH_", "OTHER_THING"), "other-thing");
    }
}
