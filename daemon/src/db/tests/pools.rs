//! How full the pools are can be seen.

use crate::db::Scope;
use crate::db::testing::TestDatabase;

use super::eventually;

#[tokio::test]
async fn a_connection_is_used_until_its_transaction_ends() {
    let test = TestDatabase::create().await;
    let operator = || {
        let states = test.database().pool_states();
        states.into_iter().find(|state| state.pool == "operator").unwrap()
    };
    let before = operator().used;
    let one = test.database().begin(&Scope::Region).await.unwrap();
    let other = test.database().begin(&Scope::Region).await.unwrap();
    let held = operator();
    assert_eq!(held.used, before + 2, "{held:?}");
    assert!(held.used + held.idle <= held.maximum, "{held:?}");
    drop((one, other));
    eventually("they rest", async || operator().used == 0).await;
    assert!(operator().idle >= 2, "{:?}", operator());
}
