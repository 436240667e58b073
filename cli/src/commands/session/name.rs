//! How sessions are named on a command line: `acme-corp/desk-1`, which is
//! `tenants/acme-corp/sessions/desk-1` to the contract.

use streamspace_proto::v1::Tenant;

use crate::{
    errors::{Failure, Outcome},
    resource::{Noun as _, full_name},
};

/// What stands between a tenant's name and a session's.
const COLLECTION: &str = "/sessions/";

/// All tenants, as a parent.
pub(super) const EVERY_TENANT: &str = "tenants/-";

/// The parent that a tenant's name stands for; all tenants where none is given.
pub(super) fn parent(tenant: Option<&str>) -> String {
    tenant.map_or_else(|| EVERY_TENANT.to_owned(), full_name::<Tenant>)
}

/// The full name of what was typed: `TENANT/SESSION`, or the full name itself.
pub(super) fn full(typed: &str) -> Outcome<String> {
    let (tenant, session) = parts(typed)?;
    Ok(format!("{}{tenant}{COLLECTION}{session}", Tenant::PREFIX))
}

/// The tenant's full name and the session's own.
pub(super) fn split(typed: &str) -> Outcome<(String, String)> {
    let (tenant, session) = parts(typed)?;
    Ok((full_name::<Tenant>(tenant), session.to_owned()))
}

fn parts(typed: &str) -> Outcome<(&str, &str)> {
    let found = match typed.strip_prefix(Tenant::PREFIX) {
        Some(rest) => rest.split_once(COLLECTION),
        None => typed.split_once('/'),
    };
    match found {
        Some((tenant, session))
            if !tenant.is_empty() && !session.is_empty() && !session.contains('/') =>
        {
            Ok((tenant, session))
        }
        _ => Err(Failure::Usage {
            message: format!("{typed:?} names no session"),
            next: "write TENANT/SESSION as in acme-corp/desk-1; `ssctl session list` shows them"
                .into(),
        }),
    }
}

/// A full name as people write it: `acme-corp/desk-1`.
pub(crate) fn brief(name: &str) -> String {
    let short = name.strip_prefix(Tenant::PREFIX).and_then(|rest| rest.split_once(COLLECTION));
    short.map_or_else(|| name.to_owned(), |(tenant, session)| format!("{tenant}/{session}"))
}

/// The tenant of a session's full name, without its collection.
pub(crate) fn tenant(name: &str) -> &str {
    let rest = name.strip_prefix(Tenant::PREFIX).unwrap_or(name);
    rest.split_once('/').map_or(rest, |(tenant, _)| tenant)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn both_forms_are_the_same_session() {
        let name = "tenants/acme/sessions/desk-1";
        assert_eq!(full("acme/desk-1").unwrap(), name);
        assert_eq!(full(name).unwrap(), name);
        assert_eq!(brief(name), "acme/desk-1");
        assert_eq!(tenant(name), "acme");
        let (tenant, session) = split("acme/desk-1").unwrap();
        assert_eq!((tenant.as_str(), session.as_str()), ("tenants/acme", "desk-1"));
        assert_eq!(parent(None), "tenants/-");
        assert_eq!(parent(Some("acme")), "tenants/acme");
    }

    #[test]
    fn what_names_no_session_is_refused() {
        for typed in
            ["", "desk-1", "acme/", "/desk-1", "acme/a/b", "tenants/acme", "tenants/acme/x"]
        {
            assert_eq!(full(typed).unwrap_err().exit(), Exit::Usage, "{typed}");
        }
        // What a daemon says is shown as it is.
        assert_eq!(brief("odd"), "odd");
    }
}
