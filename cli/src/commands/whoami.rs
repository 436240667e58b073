//! `ssctl whoami`.

use streamspace_client::Connection;
use streamspace_proto::{
    json::to_value,
    v1::{Role, WhoAmIRequest, WhoAmIResponse},
};

use crate::{
    errors::{Doing as _, Outcome},
    output::{Cell, Tone},
    resource::{call, short, word},
    shell::Shell,
    time::{local, remaining, until},
};

/// Asks the daemon who the caller is.
pub(crate) async fn run(shell: &Shell) -> Outcome {
    let who = shell.read(async |connection| {
        let who = ask(connection).await.doing(|| "tell who you are".into())?;
        Ok((connection.context().name.clone(), who))
    });
    let who = who.await?;
    who.print_answer(
        shell,
        |(context, who)| pairs(shell, context, who),
        |(_, who)| Ok(to_value(who)?),
    )
}

fn pairs(shell: &Shell, context: &str, who: &WhoAmIResponse) -> Vec<(&'static str, Cell)> {
    let ends = match who.expire_time.as_ref() {
        Some(end) => format!("{} (in {})", local(Some(end)), remaining(Some(end), shell.now)),
        None => String::new(),
    };
    let broken = until(who.break_glass_expire_time.as_ref(), shell.now);
    let broken = if broken.is_empty() { broken } else { format!("admin {broken}") };
    let mut pairs: Vec<(&'static str, Cell)> = vec![
        ("Operator", who.operator.clone().into()),
        ("Role", who.role_name.clone().into()),
        ("Break-glass", Cell::toned(broken, Tone::Doubtful)),
        ("Reach", reach(&who.tenants).into()),
        ("Region", short("regions/", &who.region).into()),
    ];
    if !shell.several() {
        pairs.push(("Context", context.into()));
    }
    pairs.push(("Certificate", who.certificate_serial.clone().into()));
    pairs.push(("Ends", ends.into()));
    pairs
}

/// Who the caller is.
pub(crate) async fn ask(
    connection: &Connection,
) -> Result<WhoAmIResponse, streamspace_client::ClientError> {
    call!(connection, access.who_am_i(WhoAmIRequest {}))
}

/// The tenants that somebody may reach, in words.
pub(crate) fn reach(tenants: &[String]) -> String {
    if tenants.is_empty() {
        return "the whole region".into();
    }
    let names: Vec<_> = tenants.iter().map(|name| short("tenants/", name)).collect();
    names.join(", ")
}

/// A role in words.
pub(crate) fn role_word(role: i32) -> String {
    let role = Role::try_from(role).unwrap_or(Role::Unspecified);
    word("ROLE_", role.as_str_name())
}
