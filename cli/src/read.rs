//! A read of one region or of several: what they answered, and which did not.

use std::time::Duration;

use serde_json::{Value, json};
use streamspace_client::{Connection, regions::ask_all};

use crate::{
    errors::{Failure, Outcome},
    exit::Exit,
    shell::Shell,
};

/// What a call that is over by itself may take longer: it knows best why.
const GRACE: Duration = Duration::from_millis(250);

/// What was read.
#[derive(Debug)]
pub(crate) struct Read<T> {
    /// Whether several contexts were named. Then everything that is printed says
    /// which one it is from.
    pub(crate) several: bool,
    /// The name of each context that answered and its answer, in the order in
    /// which the contexts were named.
    pub(crate) answers: Vec<(String, T)>,
    /// Who did not answer. With one context nobody: its failure is the command's.
    pub(crate) unread: Vec<Unread>,
    /// How many were asked.
    pub(crate) asked: usize,
}

/// A region that was not read.
#[derive(Debug)]
pub(crate) struct Unread {
    pub(crate) context: String,
    pub(crate) failure: Failure,
}

impl Unread {
    /// Why, in one sentence.
    pub(crate) fn why(&self) -> String {
        self.failure.brief()
    }

    /// What JSON and YAML have of it.
    pub(crate) fn value(&self) -> Value {
        let mut value = json!({
            "context": self.context,
            "message": self.why(),
            "exitCode": self.failure.exit() as u8,
        });
        if let (Some(next), Some(object)) = (self.failure.next_step(), value.as_object_mut()) {
            object.insert("next".into(), next.into());
        }
        value
    }
}

impl Shell {
    /// Asks the context, or where several are named each of them at the same time.
    ///
    /// Each has a deadline of its own, so that a dead or slow one holds up
    /// nobody. Where several were asked, one that knows no such thing counts as
    /// an answer without it, unless none knows it.
    pub(crate) async fn read<T>(
        &self,
        ask: impl AsyncFn(&Connection) -> Outcome<T>,
    ) -> Outcome<Read<T>> {
        if !self.several() {
            let connection = self.connect()?;
            let answer = ask(&connection).await?;
            return Ok(Read::of_one(&connection, answer));
        }
        let connections = self.connect_to_all()?;
        let asked = connections.len();
        let mut answers = Vec::new();
        let mut failures = Vec::new();
        for answer in ask_all(&connections, self.deadline(), GRACE, ask).await {
            match answer.result {
                Ok(result) => answers.push((answer.context, result)),
                Err(failure) => failures.push(Unread { context: answer.context, failure }),
            }
        }
        // What is wrong with the command is wrong with it everywhere.
        let all =
            |exit| failures.len() == asked && failures.iter().all(|f| f.failure.exit() == exit);
        if all(Exit::Usage) || all(Exit::NotFound) {
            return Err(failures.swap_remove(0).failure);
        }
        failures.retain(|unread| unread.failure.exit() != Exit::NotFound);
        Ok(Read { several: true, answers, unread: failures, asked })
    }
}

impl<T> Read<T> {
    /// What one region answered.
    pub(crate) fn of_one(connection: &Connection, answer: T) -> Self {
        let answers = vec![(connection.context().name.clone(), answer)];
        Self { several: false, answers, unread: Vec::new(), asked: 1 }
    }

    /// Makes something else of each answer.
    pub(crate) fn map<U>(self, mut into: impl FnMut(&str, T) -> Outcome<U>) -> Outcome<Read<U>> {
        let Self { several, answers, unread, asked } = self;
        let answers = answers.into_iter().map(|(context, answer)| {
            let made = into(&context, answer)?;
            Ok((context, made))
        });
        Ok(Read { several, answers: answers.collect::<Outcome<_>>()?, unread, asked })
    }

    /// The end of the command: done, or what was not read is told on stderr.
    pub(crate) fn end(&self, shell: &Shell) -> Outcome {
        let Some(first) = self.unread.first() else { return Ok(()) };
        for unread in &self.unread {
            shell.report_in(&unread.context, &unread.failure);
        }
        if self.unread.len() == self.asked {
            return Err(Failure::AllFailed(first.failure.exit()));
        }
        Err(Failure::Unread { unread: self.unread.len(), asked: self.asked })
    }
}
