//! `ssctl session watch`.

use prost_types::Timestamp;
use streamspace_proto::v1::{ResourceKind, Session, Tenant, resource::Resource as Kind};

use super::{
    name::{brief, full, tenant},
    noun::phase_word,
};
use crate::{
    commands::stream::{Seen, Streamed, follow},
    errors::Outcome,
    output::Column,
    resource::{Noun as _, short},
    shell::Shell,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these sessions, as TENANT/SESSION; all without
    names: Vec<String>,
    /// Only those of the tenant
    #[arg(long, value_name = "NAME", conflicts_with = "names")]
    tenant: Option<String>,
    /// Only those of the user
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Only those of the template
    #[arg(long, value_name = "NAME")]
    template: Option<String>,
}

impl Args {
    fn wants(&self, session: &Session) -> bool {
        let is = |wish: &Option<String>, value: &str| {
            wish.as_deref().is_none_or(|wish| short(Tenant::PREFIX, wish) == value)
        };
        is(&self.tenant, tenant(&session.name))
            && is(&self.user, &session.user)
            && is(&self.template, &session.template)
    }
}

impl Streamed for Session {
    const KIND: ResourceKind = ResourceKind::Session;
    const FIELD: &'static str = "session";
    const WIDTHS: &'static [usize] = &[26, 9, 32, 12, 12, 16, 12];

    fn of(resource: Kind) -> Option<Self> {
        match resource {
            Kind::Session(session) => Some(session),
            _ => None,
        }
    }

    fn shown_since(&self) -> Option<Timestamp> {
        self.create_time
    }

    fn lines() -> Vec<Column<Seen<Self>>> {
        vec![
            Column::new("TIME", |seen: &Seen<Self>, _| seen.time()),
            Column::new("CHANGE", |seen, _| seen.what.clone().into()),
            Column::new("NAME", |seen, _| brief(&seen.resource.name).into()),
            Column::new("PHASE", |seen, _| phase_word(&seen.resource).into()),
            Column::new("USER", |seen, _| seen.resource.user.clone().into()),
            Column::new("TEMPLATE", |seen, _| seen.resource.template.clone().into()),
            Column::new("ACTOR", |seen, _| seen.actor.clone().into()),
            Column::new("MESSAGE", |seen, _| seen.resource.message.clone().into()),
        ]
    }
}

/// Prints what is there, then what changes, until it is interrupted.
pub(super) async fn run(shell: &Shell, args: &Args) -> Outcome {
    let names = args.names.iter().map(|name| full(name)).collect::<Outcome<_>>()?;
    follow(shell, names, |session| args.wants(session)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_is_shown() {
        let session = Session {
            name: "tenants/acme/sessions/desk-1".into(),
            user: "ada".into(),
            template: "firefox".into(),
            ..Session::default()
        };
        let args = |tenant: Option<&str>, user: Option<&str>| Args {
            names: Vec::new(),
            tenant: tenant.map(str::to_owned),
            user: user.map(str::to_owned),
            template: None,
        };
        assert!(args(None, None).wants(&session));
        assert!(args(Some("tenants/acme"), Some("ada")).wants(&session));
        assert!(!args(Some("beta"), None).wants(&session));
        assert!(!args(None, Some("bob")).wants(&session));
    }
}
