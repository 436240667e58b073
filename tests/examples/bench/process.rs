//! What a process has used, by the kernel's own count.

use std::{fs, time::Duration};

/// The kernel counts in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// The processor time of a process and its threads so far.
pub(crate) fn processor_time(id: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).expect("the process runs");
    // The name of the program, in parentheses, may hold spaces.
    let (_, rest) = text.rsplit_once(") ").expect("the usual form");
    // User and system time are the 14th and 15th field; this begins with the 3rd.
    let ticks: u32 =
        rest.split(' ').skip(11).take(2).map(|field| field.parse::<u32>().expect("ticks")).sum();
    TICK * ticks
}

/// How much memory a process holds, and the most that it held, in MiB.
pub(crate) fn memory(id: u32) -> (u64, u64) {
    let text = fs::read_to_string(format!("/proc/{id}/status")).expect("the process runs");
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("it is told");
        line.trim().split(' ').next().expect("a number").parse::<u64>().expect("kB") / 1024
    };
    (field("VmRSS:"), field("VmHWM:"))
}
