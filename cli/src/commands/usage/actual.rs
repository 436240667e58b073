//! What pods took, beside what was requested.

use jiff::Timestamp;
use streamspace_proto::v1::{ActualUse, ActualUseSource};

use super::amounts::{GIB_HOUR, HOUR, VCPU_HOUR, rounded, whole};
use crate::{
    errors::Outcome,
    output::{Cell, Tone},
    time::age,
};

/// Bytes of a GiB.
const GIB: i128 = 1 << 30;
/// What people read of what nobody measured. A 0 would say that nothing was used.
const NOT_MEASURED: &str = "not measured";

/// What was used, in whole units; nothing where it was not measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Actual {
    cpu: Option<i128>,
    memory: Option<i128>,
    egress: Option<i128>,
    recordings: Option<i128>,
    cpu_covered: i128,
    memory_covered: i128,
    /// The larger of request and use, of CPU and memory.
    shown: Option<(i128, i128)>,
}

impl Actual {
    /// As the contract writes it.
    pub(super) fn read(actual: Option<&ActualUse>) -> Outcome<Self> {
        let Some(actual) = actual else { return Ok(Self::default()) };
        let known = |field: &str, text: Option<&String>| -> Outcome<Option<i128>> {
            text.map(|text| whole(field, text)).transpose()
        };
        Ok(Self {
            cpu: known("cpu_millicore_seconds", actual.cpu_millicore_seconds.as_ref())?,
            memory: known("memory_byte_seconds", actual.memory_byte_seconds.as_ref())?,
            egress: known("egress_bytes", actual.egress_bytes.as_ref())?,
            recordings: known("recording_byte_seconds", actual.recording_byte_seconds.as_ref())?,
            cpu_covered: whole("cpu_covered_seconds", &actual.cpu_covered_seconds)?,
            memory_covered: whole("memory_covered_seconds", &actual.memory_covered_seconds)?,
            shown: Some((
                whole("showback_cpu_millicore_seconds", &actual.showback_cpu_millicore_seconds)?,
                whole("showback_memory_byte_seconds", &actual.showback_memory_byte_seconds)?,
            )),
        })
    }

    pub(super) fn cpu_cell(&self) -> Cell {
        cell(self.cpu, VCPU_HOUR)
    }

    pub(super) fn memory_cell(&self) -> Cell {
        cell(self.memory, GIB_HOUR)
    }

    pub(super) fn egress_cell(&self) -> Cell {
        cell(self.egress, GIB)
    }

    pub(super) fn recordings_cell(&self) -> Cell {
        cell(self.recordings, GIB_HOUR)
    }

    /// What was used, in a line for people, and of how many hours of pods that is known.
    pub(super) fn used(&self) -> Cell {
        if *self == Self::default() {
            return NOT_MEASURED.into();
        }
        let part = |known: Option<i128>, per: i128, unit: &str, of: &str| match known {
            Some(amount) => format!("{} {unit}", rounded(amount, per)),
            None => format!("{of} {NOT_MEASURED}"),
        };
        let covered = |known: Option<i128>, seconds: i128| match known {
            Some(_) => format!(" (measured for {} h)", rounded(seconds, HOUR)),
            None => String::new(),
        };
        format!(
            "{}{}, {}{}, {}, {}",
            part(self.cpu, VCPU_HOUR, "vCPU-h", "CPU"),
            covered(self.cpu, self.cpu_covered),
            part(self.memory, GIB_HOUR, "GiB-h of memory", "memory"),
            covered(self.memory, self.memory_covered),
            part(self.egress, GIB, "GiB sent", "egress"),
            part(self.recordings, GIB_HOUR, "GiB-h of recordings", "recordings"),
        )
        .into()
    }

    /// The larger of request and use in each hour; nothing where neither CPU nor memory was
    /// measured.
    pub(super) fn showback(&self) -> Option<String> {
        let (cpu, memory) = self.shown?;
        (self.cpu.is_some() || self.memory.is_some()).then(|| {
            format!(
                "{} vCPU-h, {} GiB-h of memory: in each hour the larger of request and use; \
                 never billed",
                rounded(cpu, VCPU_HOUR),
                rounded(memory, GIB_HOUR)
            )
        })
    }
}

fn cell(known: Option<i128>, per: i128) -> Cell {
    known.map(|amount| rounded(amount, per)).unwrap_or_default().into()
}

/// Where each metric of the use comes from.
pub(super) fn sources(sources: &[ActualUseSource], now: Timestamp) -> Vec<(&'static str, Cell)> {
    let titled = |(at, source): (usize, &ActualUseSource)| {
        let title = if at == 0 { "Actual use" } else { "" };
        (title, told(source, now))
    };
    sources.iter().enumerate().map(titled).collect()
}

fn told(source: &ActualUseSource, now: Timestamp) -> Cell {
    let ActualUseSource { metric, source: name, last_read_time, problem } = source;
    let read = match last_read_time {
        Some(_) => format!("read {} ago", age(last_read_time.as_ref(), now)),
        None => "never read".to_owned(),
    };
    match (name.is_empty(), problem.is_empty()) {
        (true, _) => format!("{metric}: {NOT_MEASURED}; {problem}").into(),
        (false, true) => format!("{metric}: by {name}, {read}").into(),
        (false, false) => {
            Cell::toned(format!("{metric}: by {name}, {read}; {problem}"), Tone::Doubtful)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_is_never_a_zero() {
        assert_eq!(Actual::read(None).unwrap().showback(), None);
        let part = ActualUse {
            cpu_millicore_seconds: Some("0".into()),
            cpu_covered_seconds: "7200".into(),
            egress_bytes: Some((3_i128 << 30).to_string()),
            showback_cpu_millicore_seconds: "3600000".into(),
            ..ActualUse::default()
        };
        let read = Actual::read(Some(&part)).unwrap();
        let used: String = read.used().text;
        assert_eq!(
            used,
            "0.000 vCPU-h (measured for 2.000 h), memory not measured, 3.000 GiB sent, recordings not measured"
        );
        assert!(read.showback().unwrap().starts_with("1.000 vCPU-h, 0.000 GiB-h"));
        let odd = ActualUse { memory_byte_seconds: Some("much".into()), ..ActualUse::default() };
        assert!(Actual::read(Some(&odd)).is_err());
    }
}
