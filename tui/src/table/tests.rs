use proptest::prelude::*;
use streamspace_proto::v1::{self, TenantState};

use super::*;
use crate::{rows::Tenant, testing};

const HERE: RegionIndex = RegionIndex(0);
const THERE: RegionIndex = RegionIndex(1);

fn row(region: RegionIndex, id: &str, state: TenantState, seats: i32) -> Tenant {
    Tenant::new(
        region,
        &v1::Tenant {
            name: format!("tenants/{id}"),
            uid: format!("uid-{id}"),
            plan: "plans/free".into(),
            state: state.into(),
            seats,
            ..v1::Tenant::default()
        },
    )
}

fn tenant(id: &str, state: TenantState, seats: i32) -> Tenant {
    row(HERE, id, state, seats)
}

fn ids(table: &Table<Tenant>) -> Vec<&str> {
    table.window().map(|(tenant, _)| tenant.id.as_str()).collect()
}

fn empty() -> Table<Tenant> {
    let mut table = Table::new(Timestamp::from_second(testing::NOW).unwrap());
    table.set_height(10);
    table
}

fn table() -> Table<Tenant> {
    let mut table = empty();
    table.put(tenant("b", TenantState::Active, 1));
    table.put(tenant("a", TenantState::Active, 2));
    table.put(tenant("c", TenantState::Provisioning, 3));
    table.settle();
    table
}

#[test]
fn the_worst_is_first_and_names_decide_between_equals() {
    assert_eq!(ids(&table()), ["c", "a", "b"]);
}

#[test]
fn sorting_goes_through_the_columns_and_turns_round() {
    let mut table = table();
    table.sort_by_next();
    assert_eq!(ids(&table), ["a", "b", "c"]);
    table.reverse();
    assert_eq!(ids(&table), ["c", "b", "a"]);
    assert!(table.sort_by("seats", false));
    assert_eq!(ids(&table), ["c", "a", "b"], "the most first");
    assert!(table.sort_by("Worst", false));
    assert_eq!(ids(&table), ["c", "a", "b"]);
    assert!(!table.sort_by("nonsense", false));
}

#[test]
fn sorting_by_each_column_comes_back_to_the_worst() {
    let mut table = table();
    for _ in 0..table.orders().len() {
        table.sort_by_next();
    }
    assert_eq!(table.sort(), Sort::default());
}

#[test]
fn the_selection_follows_its_row_once_somebody_chose_it() {
    let mut table = table();
    table.put(tenant("0", TenantState::Provisioning, 1));
    table.settle();
    assert_eq!(table.selected().unwrap().id, "0", "nobody chose");
    table.select_by(2);
    assert_eq!(table.selected().unwrap().id, "a");
    table.put(tenant("a", TenantState::Provisioning, 1));
    table.settle();
    assert_eq!(table.selected().unwrap().id, "a");
    table.remove(&tenant("a", TenantState::Active, 1).key().clone());
    table.settle();
    assert_eq!(table.selected().unwrap().id, "c", "the next takes its place");
}

#[test]
fn a_snapshot_drops_what_it_does_not_hold_in_its_region_alone() {
    let mut table = table();
    table.put(row(THERE, "d", TenantState::Active, 1));
    table.begin_snapshot(HERE);
    table.put(tenant("b", TenantState::Active, 1));
    table.settle();
    assert_eq!((table.total(), table.loaded(HERE)), (4, 1), "old data stay until the end");
    table.end_snapshot(HERE);
    table.settle();
    assert_eq!(ids(&table), ["b", "d"]);
    assert_eq!(table.tally_of(HERE).unwrap().total, 1);
}

#[test]
fn the_window_has_only_what_fits() {
    let mut table = table();
    table.set_height(2);
    assert_eq!(ids(&table), ["c", "a"]);
    table.select_last();
    assert_eq!(ids(&table), ["a", "b"]);
    table.select_by(-1);
    assert_eq!(ids(&table), ["a", "b"], "it moves only where it must");
    table.set_filter("PROV").unwrap();
    assert_eq!(ids(&table), ["c"]);
    table.set_filter("seats >= 2").unwrap();
    assert_eq!(ids(&table), ["c", "a"]);
    assert!(table.set_filter("seats >=").is_err());
    assert_eq!(ids(&table), ["c", "a"], "what was shown is shown");
}

/// What may be done to a table.
#[derive(Clone, Copy, Debug)]
enum Step {
    Put(u8, i32, i32),
    Remove(u8),
    Begin,
    End,
    Settle,
    Filter(&'static str),
    Sort,
    Reverse,
    Move(isize),
}

fn any_step() -> impl Strategy<Value = Step> {
    let put = (0..12_u8, 1..7_i32, 0..4_i32);
    prop_oneof![
        8 => put.prop_map(|(id, state, seats)| Step::Put(id, state, seats)),
        3 => (0..12_u8).prop_map(Step::Remove),
        1 => Just(Step::Begin),
        1 => Just(Step::End),
        4 => Just(Step::Settle),
        1 => proptest::sample::select(vec!["", "1", "11", "seats > 1", "a", "act"]).prop_map(Step::Filter),
        1 => Just(Step::Sort),
        1 => Just(Step::Reverse),
        2 => (-5..5_isize).prop_map(Step::Move),
    ]
}

fn take(table: &mut Table<Tenant>, step: Step) {
    match step {
        Step::Put(id, state, seats) => {
            let state = TenantState::try_from(state).unwrap();
            table.put(tenant(&id.to_string(), state, seats));
        }
        Step::Remove(id) => {
            let key = tenant(&id.to_string(), TenantState::Active, 1).key().clone();
            table.remove(&key);
        }
        Step::Begin => table.begin_snapshot(HERE),
        Step::End => table.end_snapshot(HERE),
        Step::Settle => table.settle(),
        Step::Filter(text) => table.set_filter(text).unwrap(),
        Step::Sort => table.sort_by_next(),
        Step::Reverse => table.reverse(),
        Step::Move(rows) => table.select_by(rows),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn an_order_that_is_mended_is_the_one_that_would_be_made_anew(
        steps in proptest::collection::vec(any_step(), 0..80),
    ) {
        let mut table = empty();
        for step in steps {
            take(&mut table, step);
            let mut mended = table.clone();
            mended.settle();
            let mut anew = table.clone();
            anew.arrange();
            prop_assert_eq!(&mended.order, &anew.order);
            prop_assert_eq!(mended.selected, anew.selected);
            prop_assert_eq!(table.total(), table.iter().count());
            let sick = table.iter().filter(|row| row.wellness().needs_attention()).count();
            prop_assert_eq!(table.tally().attention, sick);
            prop_assert_eq!(table.needy().count(), sick);
            prop_assert_eq!(table.tally().states.iter().sum::<usize>(), table.total());
        }
    }
}
