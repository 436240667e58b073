//! `ssctl cert`: the certificates that the region issued.

use std::time::Duration;

use clap::Subcommand;
use jiff::Timestamp;
use streamspace_client::Connection;
use streamspace_proto::{
    json::to_value,
    v1::{Certificate, CertificateKind, CertificateState, Consequence, ListCertificatesRequest},
};

use super::whoami::reach;
use crate::{
    change::{Action, ChangeArgs, Given, Loss, Reply, act, send},
    confirm::{ConfirmArgs, Question},
    errors::{Doing as _, Failure, Outcome},
    output::{Cell, Column, Tone, print_one},
    resource::{ListArgs, Noun, call, list, short, word},
    shell::Shell,
    time::{local, parse_duration, proto_duration, until},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List certificates, newest first
    List {
        #[command(flatten)]
        list: ListArgs,
        /// Only those that end within this time and are good until then, for example 30d
        #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
        expiring: Option<Duration>,
    },
    /// Show a certificate
    #[command(visible_aliases = ["get", "describe"])]
    Show {
        /// Its serial number, in hexadecimal
        serial: String,
    },
    /// Revoke a certificate; for a device, all that descend from its enrolment
    Revoke(RevokeArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct RevokeArgs {
    /// Its serial number, in hexadecimal
    serial: String,
    /// Revoke all that descend from the same enrolment, also for a client certificate
    #[arg(long)]
    family: bool,
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    confirm: ConfirmArgs,
}

pub(crate) async fn run(shell: &Shell, command: Command) -> Outcome {
    match command {
        Command::List { list: args, expiring } => {
            let within = proto_duration(expiring)?;
            let certificates = shell.read(async |connection| {
                list!(connection, args.limit, access.list_certificates,
                    ListCertificatesRequest {
                        filter: args.filter.clone(),
                        expiring_within: within
                    } => certificates)
            });
            certificates.await?.print_all(shell)
        }
        Command::Show { serial } => {
            let name = full_name(&serial);
            let found = shell.read(async |connection| find(connection, &name, "show").await);
            found.await?.print_one(shell)
        }
        Command::Revoke(args) => revoke(shell, &shell.connect()?, &args).await,
    }
}

/// The full name of a serial number as people copy it, with colons or in capitals.
fn full_name(typed: &str) -> String {
    let serial = short(Certificate::PREFIX, typed);
    format!("{}{}", Certificate::PREFIX, serial.replace(':', "").to_ascii_lowercase())
}

/// One certificate, by the list: the contract has no call for one.
async fn find(connection: &Connection, name: &str, verb: &str) -> Outcome<Certificate> {
    let serial = short(Certificate::PREFIX, name);
    if serial.is_empty() || !serial.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Failure::Usage {
            message: format!("{serial:?} is no serial number"),
            next: "write it in hexadecimal, as `ssctl cert list` shows it".into(),
        });
    }
    let request = ListCertificatesRequest {
        page_size: 1,
        filter: format!("name = \"{name}\""),
        ..ListCertificatesRequest::default()
    };
    let reply =
        call!(connection, access.list_certificates(request)).doing(|| format!("{verb} {name}"))?;
    reply.certificates.into_iter().next().ok_or_else(|| Failure::not_found(name))
}

impl Reply for Certificate {
    fn consequences(&self) -> &[Consequence] {
        &self.consequences
    }
}

async fn revoke(shell: &Shell, connection: &Connection, args: &RevokeArgs) -> Outcome {
    let name = full_name(&args.serial);
    let serial = short(Certificate::PREFIX, &name);
    let found = find(connection, &name, "revoke").await?;
    let whole = args.family || found.kind() == CertificateKind::Device;
    let what = format!(
        "The {} certificate {serial} of {} ({}, {}) will be revoked{}. Open streams end.",
        kind(&found),
        found.operator,
        found.role_name,
        reach(&found.tenants),
        if whole { " with all that descend from the same enrolment" } else { "" },
    );
    let question =
        Question { what: &what, name: serial, protected: connection.context().protected };
    let action = Action {
        method: "AccessService.RevokeCertificate",
        doing: format!("revoke {name}"),
        name: name.clone(),
        loss: Some(Loss { args: &args.confirm, question }),
        ..Action::default()
    };
    let before = async || Ok(to_value(&found)?);
    let send = async |given: &Given| {
        send!(
            connection,
            given,
            access.revoke_certificate,
            RevokeCertificateRequest { family: args.family }
        )
    };
    let done = |certificate: &Certificate| {
        format!("{} of {} is revoked", certificate.name, certificate.operator)
    };
    print_one(shell, &act(shell, &args.change, action, before, send, done).await?)
}

impl Noun for Certificate {
    const PLURAL: &'static str = "certificates";
    const PREFIX: &'static str = "certificates/";

    fn resource_name(&self) -> &str {
        &self.name
    }

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("SERIAL", |one: &Self, _| short(Self::PREFIX, &one.name).into()),
            Column::new("KIND", |one, _| kind(one).into()),
            Column::new("OPERATOR", |one, _| one.operator.clone().into()),
            Column::new("ROLE", |one, _| one.role_name.clone().into()),
            Column::new("STATE", |one, _| state(one)),
            Column::new("ENDS", |one, _| local(one.expire_time.as_ref()).into()),
            Column::new("DEVICE", |one, _| one.device_name.clone().into()),
            Column::wide("REACH", |one, _| reach(&one.tenants).into()),
            Column::wide("ISSUED", |one, _| local(one.issue_time.as_ref()).into()),
            Column::wide("FAMILY", |one, _| one.family.clone().into()),
            Column::wide("REVOKED BECAUSE", |one, _| one.revoke_reason.clone().into()),
        ]
    }

    fn details(&self, now: Timestamp) -> Vec<(&'static str, Cell)> {
        vec![
            ("Serial", short(Self::PREFIX, &self.name).into()),
            ("Kind", kind(self).into()),
            ("Operator", self.operator.clone().into()),
            ("Role", self.role_name.clone().into()),
            ("Reach", reach(&self.tenants).into()),
            ("State", state(self)),
            ("Device", self.device_name.clone().into()),
            ("Family", self.family.clone().into()),
            ("Issued", local(self.issue_time.as_ref()).into()),
            ("Good", until(self.expire_time.as_ref(), now).into()),
            ("Revoked", local(self.revoke_time.as_ref()).into()),
            ("Revoked because", self.revoke_reason.clone().into()),
        ]
    }
}

fn kind(certificate: &Certificate) -> String {
    word("CERTIFICATE_KIND_", certificate.kind().as_str_name())
}

fn state(certificate: &Certificate) -> Cell {
    let tone = match certificate.state() {
        CertificateState::Valid => Tone::Good,
        CertificateState::Revoked => Tone::Bad,
        CertificateState::Superseded
        | CertificateState::Expired
        | CertificateState::Unspecified => Tone::Plain,
    };
    Cell::toned(word("CERTIFICATE_STATE_", certificate.state().as_str_name()), tone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_are_taken_as_people_copy_them() {
        assert_eq!(full_name("0A:1b:2C"), "certificates/0a1b2c");
        assert_eq!(full_name("certificates/0a1b2c"), "certificates/0a1b2c");
    }
}
