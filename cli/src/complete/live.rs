//! Asks daemons within the time that a person waits for TAB.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use futures::future::join_all;
use streamspace_client::{Connection, Context, Contexts, Environment, Options, files::Lock};
use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};

use super::{
    WORD,
    cache::{Age, Cache, Told},
    names::{Kind, ask},
};

/// How long the whole may take, so that what is offered is there within 150 ms.
const DEADLINE: Duration = Duration::from_millis(120);
/// How long a region that was too slow is asked afterwards, with nobody waiting.
const PATIENCE: Duration = Duration::from_secs(5);
/// More contexts than these are not asked for one TAB.
const CONTEXTS_MAXIMUM: usize = 8;

/// Who finds what belongs to a command line.
pub(super) struct Asker {
    /// The words before the cursor.
    words: Vec<String>,
    environment: Environment,
    /// Where names are kept; nowhere without a home.
    folder: Option<PathBuf>,
    begin: Instant,
}

/// What came of asking one region.
enum Answer {
    Told(Told),
    /// It did not answer in time.
    Slow,
    /// It is not there, or says no.
    Nothing,
}

impl Asker {
    pub(super) fn new(words: Vec<String>, begin: Instant) -> Self {
        Self { words, environment: Environment::from_process(), folder: cache_folder(), begin }
    }

    /// Names of a kind in the contexts that the line names, with a few words each.
    /// Nothing where nobody answers.
    pub(super) fn live(&self, kind: Kind, typed: &str) -> Vec<(String, String)> {
        // Whoever types the full name gets full names.
        let (collection, prefix) = match typed.strip_prefix(kind.collection()) {
            Some(prefix) => (kind.collection(), prefix),
            None => ("", typed),
        };
        let contexts = self.named_contexts();
        let Some(told) = self.ask_all(&contexts, kind, prefix) else { return Vec::new() };
        let mut names: Vec<_> = told.into_iter().flat_map(|told| told.names).collect();
        names.sort();
        names.dedup_by(|one, other| one.name == other.name);
        names.into_iter().map(|name| (format!("{collection}{}", name.name), name.about)).collect()
    }

    fn ask_all(&self, contexts: &[Context], kind: Kind, prefix: &str) -> Option<Vec<Told>> {
        let caches: Vec<Option<Cache>> =
            contexts.iter().map(|context| self.cache(context, kind)).collect();
        let kept = |cache: &Option<Cache>, age| cache.as_ref()?.load(prefix, age);
        let mut told: Vec<Option<Told>> =
            caches.iter().map(|cache| kept(cache, Age::Fresh)).collect();
        if told.iter().all(Option::is_some) {
            return Some(told.into_iter().flatten().collect());
        }
        let runtime = runtime()?;
        let left = DEADLINE.saturating_sub(self.begin.elapsed());
        // Who told all that there is is asked for all again, so that the next word is
        // answered too.
        let wide: Vec<String> = caches
            .iter()
            .map(|cache| match kept(cache, Age::Stale) {
                Some(told) if told.whole => told.prefix,
                _ => kind.asked(prefix).to_owned(),
            })
            .collect();
        let asked = contexts.iter().zip(&told).zip(&wide).map(|((context, told), prefix)| async {
            match told {
                Some(told) => Answer::Told(told.clone()),
                None => self.ask_one(context, kind, prefix, left).await,
            }
        });
        let answers = runtime.block_on(join_all(asked));
        // A keyring or a name server that still waits holds nobody up.
        runtime.shutdown_background();
        for ((((answer, told), cache), context), wide) in
            answers.into_iter().zip(&mut told).zip(&caches).zip(contexts).zip(&wide)
        {
            *told = match (answer, cache) {
                (Answer::Told(new), cache) => {
                    if let (None, Some(cache)) = (&told, cache) {
                        // Where it cannot be kept, the next TAB asks again.
                        let _ = cache.store(&new);
                    }
                    Some(new)
                }
                (Answer::Nothing, cache) => {
                    if let Some(cache) = cache {
                        cache.forget();
                    }
                    None
                }
                (Answer::Slow, Some(cache)) => {
                    refresh_later(context, kind, wide);
                    cache.load(prefix, Age::Stale)
                }
                (Answer::Slow, None) => None,
            };
        }
        Some(told.into_iter().flatten().collect())
    }

    async fn ask_one(
        &self,
        context: &Context,
        kind: Kind,
        prefix: &str,
        patience: Duration,
    ) -> Answer {
        let Ok(connection) = self.open(context, patience) else { return Answer::Nothing };
        match timeout(patience, ask(&connection, kind, prefix)).await {
            Ok(Ok(told)) => Answer::Told(told),
            Ok(Err(status)) => {
                // Our own deadlines below come as an error too.
                let error = streamspace_client::ClientError::from(status);
                if is_slow(&error) { Answer::Slow } else { Answer::Nothing }
            }
            Err(_) => Answer::Slow,
        }
    }

    fn open(
        &self,
        context: &Context,
        patience: Duration,
    ) -> Result<Connection, streamspace_client::ClientError> {
        let mut options = Options::new(self.environment.clone());
        options.user_agent = concat!("ssctl-completion/", env!("CARGO_PKG_VERSION")).into();
        options.connect_timeout = patience;
        options.request_timeout = patience;
        // It is cut off at the deadline, and a renewal must not be.
        options.renews = false;
        Connection::open(context, &options)
    }

    fn cache(&self, context: &Context, kind: Kind) -> Option<Cache> {
        Some(Cache::new(self.folder.as_ref()?, context, kind))
    }

    /// Whether a word that is no flag stands behind this one.
    pub(super) fn has_word_behind(&self, verb: &str) -> bool {
        let mut words = self.words.iter().skip_while(|word| *word != verb).skip(1);
        words.any(|word| !word.starts_with('-'))
    }

    /// The contexts of this machine.
    pub(super) fn contexts(&self) -> Vec<(String, String)> {
        let Ok(contexts) = Contexts::load(&self.environment) else { return Vec::new() };
        contexts
            .iter()
            .map(|context| (context.name.clone(), context.endpoint.to_string()))
            .collect()
    }

    /// The regions of the contexts that the line names.
    pub(super) fn regions(&self) -> Vec<(String, String)> {
        let contexts = self.named_contexts().into_iter();
        let regions = contexts.filter(|context| !context.region.is_empty());
        regions.map(|context| (context.region, context.endpoint.to_string())).collect()
    }

    fn named_contexts(&self) -> Vec<Context> {
        let Ok(contexts) = Contexts::load(&self.environment) else { return Vec::new() };
        let named = match named_contexts(&self.words) {
            Named::All => contexts.iter().cloned().collect(),
            Named::None => contexts.resolve(None, &self.environment).into_iter().collect(),
            Named::These(names) => {
                names.iter().filter_map(|name| contexts.get(name).ok().cloned()).collect::<Vec<_>>()
            }
        };
        named.into_iter().take(CONTEXTS_MAXIMUM).collect()
    }
}

/// Whether an error only says that the time was over.
fn is_slow(error: &streamspace_client::ClientError) -> bool {
    use streamspace_client::{ClientError, ConnectFault};
    matches!(
        error,
        ClientError::TimedOut(_) | ClientError::Connect { fault: ConnectFault::TimedOut(_), .. }
    )
}

#[derive(Debug, PartialEq, Eq)]
enum Named {
    None,
    All,
    These(Vec<String>),
}

fn named_contexts(words: &[String]) -> Named {
    if words.iter().any(|word| word == "--all-contexts") {
        return Named::All;
    }
    let mut named = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let value = match word.strip_prefix("--context") {
            Some("") => words.next().map(String::as_str),
            Some(rest) => rest.strip_prefix('='),
            None => None,
        };
        named.extend(value.into_iter().flat_map(|value| value.split(',')).map(str::to_owned));
    }
    if named.is_empty() { Named::None } else { Named::These(named) }
}

fn runtime() -> Option<Runtime> {
    Builder::new_current_thread().enable_all().build().ok()
}

fn cache_folder() -> Option<PathBuf> {
    let absolute =
        |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(base.join("streamspace/completion"))
}

/// Lets a process of its own ask a slow region to the end, so that the next TAB has its
/// names. It has no part in the shell's job, its input or its output.
fn refresh_later(context: &Context, kind: Kind, prefix: &str) {
    let Ok(program) = std::env::current_exe() else { return };
    let mut command = Command::new(program);
    command
        .args([WORD, "refresh", &context.name, kind.word(), prefix])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    // It ends by itself; where it does not start, nothing is lost but the names.
    let _ = command.spawn();
}

/// What [`refresh_later`] started: asks one region with patience, and keeps or forgets.
pub(super) fn refresh(context: &str, kind: &str, prefix: &str) -> Option<()> {
    let kind = Kind::ALL.into_iter().find(|known| known.word() == kind)?;
    let words = match context {
        // The context that variables make has no name of the file.
        "environment" => Vec::new(),
        name => vec![format!("--context={name}")],
    };
    let asker = Asker::new(words, Instant::now());
    let context = asker.named_contexts().into_iter().next()?;
    let cache = asker.cache(&context, kind)?;
    // Somebody else asks already.
    let _lock = Lock::take(&cache.lock(), Duration::ZERO).ok()?;
    let runtime = runtime()?;
    match runtime.block_on(asker.ask_one(&context, kind, prefix, PATIENCE)) {
        Answer::Told(told) => {
            let _ = cache.store(&told);
        }
        Answer::Slow | Answer::Nothing => cache.forget(),
    }
    runtime.shutdown_background();
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_its_contexts() {
        let named =
            |line: &str| named_contexts(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(named("ssctl tenant show"), Named::None);
        assert_eq!(named("ssctl --all-contexts tenant"), Named::All);
        let these = |names: &[&str]| Named::These(names.iter().map(|&n| n.to_owned()).collect());
        assert_eq!(named("ssctl --context dev tenant"), these(&["dev"]));
        assert_eq!(named("ssctl tenant show --context=a,b x"), these(&["a", "b"]));
        assert_eq!(named("ssctl --contexts x --context"), Named::None);
    }
}
