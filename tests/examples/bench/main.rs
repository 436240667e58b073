//! `make bench`: how close the shipped programs come to the bare limit, measured in the
//! same run on the same machine, as a table of ratios.
//!
//! Names of sections as arguments measure those alone: `programs`, `completion`, `calls`,
//! `lists`, `tenants`, `passes`, `admission`, `metering`, `budgets`, `conformance`,
//! `frames`, `dashboard`, `outages`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement that fails says so and ends"
)]

use streamspace_tests::{region::Region, runtime::story};

mod admission;
mod audit_log;
mod bare;
mod budgets;
mod calls;
mod completion;
mod conformance;
mod dashboard;
mod echo;
mod frames;
mod lists;
mod metering;
mod outages;
mod passes;
mod process;
mod programs;
mod round_trips;
mod sessions;
mod table;
mod tenants;

use table::Table;

/// Sections that are measured within this program, without the shipped ones.
const WITHIN: [&str; 3] = ["metering", "budgets", "frames"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, folder] = arguments.as_slice()
        && word == echo::WORD
    {
        return story(echo::serve(folder.as_ref()));
    }
    let wanted = |section: &str| arguments.is_empty() || arguments.iter().any(|a| a == section);
    if arguments.is_empty() || arguments.iter().any(|it| !WITHIN.contains(&it.as_str())) {
        programs::build();
    }
    let mut table = Table::default();
    if wanted("programs") || wanted("lists") {
        table.add(programs::version());
    }
    if wanted("programs") {
        table.add(programs::help());
        table.add(programs::daemon());
        table.add(story(programs::development()));
    }
    if wanted("conformance") {
        table.add(conformance::measure());
    }
    if wanted("frames") {
        frames::measure(&mut table);
    }
    story(async {
        if wanted("calls") {
            let region = region().await;
            calls::measure(&region, &mut table).await;
            table.add(round_trips::of_a_mutation(&region).await);
        }
        if wanted("completion") {
            table.add(completion::measure(&region().await).await);
        }
        if wanted("lists") {
            table.add(lists::measure(&region().await).await);
        }
        if wanted("tenants") {
            let region = region().await;
            table.add(tenants::from_wish_to_active(&region).await);
            tenants::apply_rate(&region, &mut table).await;
        }
        if wanted("passes") {
            passes::measure(&mut table).await;
        }
        if wanted("admission") {
            admission::measure(&mut table).await;
        }
        if wanted("metering") {
            metering::measure(&mut table).await;
        }
        if wanted("budgets") {
            table.add(budgets::measure().await);
        }
        if wanted("dashboard") {
            dashboard::measure(&mut table).await;
        }
        if wanted("outages") {
            outages::measure(&region().await, &mut table).await;
        }
    });
    table.print();
}

/// A region as it is shipped, but for the limit on its writes.
async fn region() -> Region {
    let region = Region::start().await;
    as_shipped(&region).await;
    region
}

/// Puts the settings back that stories change, takes the limit on writes away, and starts
/// the daemon anew.
async fn as_shipped(region: &Region) {
    region.set("log", "filter", "info,kube_client=off");
    region.set("cluster", "writes_per_second", 0);
    region.stop().await;
    region.launch().await;
    region.is_well().await;
}
