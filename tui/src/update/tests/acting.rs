//! What can be done, by whom, and the way there.

use super::*;

#[test]
fn a_viewer_can_pick_nothing_and_is_told_why() {
    for (role, tenants, missing) in [
        (streamspace_proto::v1::Role::Viewer, 0, "needs the role operator"),
        (streamspace_proto::v1::Role::Auditor, 0, "needs the role operator"),
        (streamspace_proto::v1::Role::Operator, 1, "needs a certificate for the whole region"),
    ] {
        let mut state = inhabited();
        feed(&mut state, NOW, who(role, tenants));
        press_all(&mut state, "Sa");
        let Some(Overlay::Menu(menu)) = &state.overlay else { panic!("no menu") };
        for item in &menu.items {
            assert_eq!(item.missing.as_deref(), Some(missing), "{:?}", item.verb);
        }
        assert!(press_all(&mut state, "hwx").is_empty());
        assert!(feed(&mut state, NOW, key(KeyCode::Enter)).is_empty());
        assert!(matches!(state.overlay, Some(Overlay::Menu(_))), "nothing was begun");
    }
}

#[test]
fn read_only_is_read_only_for_an_admin_too() {
    let mut state = inhabited();
    state.locked = Some("this was opened with --read-only".into());
    feed(&mut state, NOW, who(streamspace_proto::v1::Role::Admin, 0));
    press_all(&mut state, "ta");
    assert!(press_all(&mut state, "cusrpqdx").is_empty());
    assert!(matches!(state.overlay, Some(Overlay::Menu(_))));
}

#[test]
fn a_change_is_rehearsed_confirmed_and_sent_once_with_one_id() {
    let mut state = inhabited();
    feed(&mut state, NOW, who(streamspace_proto::v1::Role::Operator, 0));
    press_all(&mut state, "Sa");
    let effects = press_all(&mut state, "h");
    let [Effect::Work(rehearsal)] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(rehearsal.rehearse);
    assert_eq!(rehearsal.subject.name, "tenants/acme-corp/sessions/ada-1");
    let told = News::Worked(rehearsal.clone(), Ok(vec!["1 session: 1 changed".into()]));
    feed(&mut state, NOW, here(told));

    press_all(&mut state, "long weekend");
    assert!(feed(&mut state, NOW, key(KeyCode::Enter)).is_empty(), "to the next field");
    press_all(&mut state, "ada");
    assert!(feed(&mut state, NOW, key(KeyCode::Enter)).is_empty());
    let wrong = crate::actions::Stage::Editing(Some("type ada-1 to confirm".into()));
    assert_eq!(dialog(&state).stage, wrong);
    press_all(&mut state, "-1");
    let effects = feed(&mut state, NOW, key(KeyCode::Enter));
    let [Effect::Work(work)] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(!work.rehearse);
    assert_eq!(work.reason, "long weekend");
    assert!(feed(&mut state, NOW, key(KeyCode::Enter)).is_empty(), "it is under way");

    let lost = Trouble::new("no");
    feed(&mut state, NOW, here(News::Worked(work.clone(), Err(lost))));
    let effects = feed(&mut state, NOW, key(KeyCode::Enter));
    let [Effect::Work(again)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(again.request_id, work.request_id, "a retry is not a second change");
    feed(&mut state, NOW, here(News::Worked(again.clone(), Ok(vec!["operation 7".into()]))));
    assert!(state.overlay.is_none());
    assert_eq!(state.notice(), Some("hibernate acme-corp/ada-1: accepted, operation 7"));

    press_all(&mut state, "ah");
    let next = dialog(&state).clone();
    assert!(!next.is_of(work), "another change has another id");
}

#[test]
fn an_amount_is_rehearsed_once_it_is_there() {
    let mut state = inhabited();
    feed(&mut state, NOW, who(streamspace_proto::v1::Role::Admin, 0));
    press_all(&mut state, "ta");
    assert!(press_all(&mut state, "q").is_empty(), "there is no amount yet");
    press_all(&mut state, "cpu=+40");
    let effects = feed(&mut state, NOW, key(KeyCode::Tab));
    assert!(matches!(effects.as_slice(), [Effect::Work(work)] if work.rehearse), "{effects:?}");
    press_all(&mut state, "soon");
    feed(&mut state, NOW, key(KeyCode::Tab));
    press_all(&mut state, "more");
    feed(&mut state, NOW, key(KeyCode::Tab));
    press_all(&mut state, "acme-corp");
    assert!(feed(&mut state, NOW, key(KeyCode::Enter)).is_empty());
    let shown = format!("{:?}", dialog(&state).stage);
    assert!(shown.contains("is no duration: write 90s"), "{shown}");
    assert_eq!(
        dialog(&state).command(),
        "ssctl quota set acme-corp cpu=+40 --for soon --reason more"
    );
}

#[test]
fn nothing_is_sent_before_it_was_told_what_just_that_would_do() {
    let mut state = inhabited();
    feed(&mut state, NOW, who(streamspace_proto::v1::Role::Operator, 0));
    press_all(&mut state, "Sa");
    let effects = press_all(&mut state, "h");
    let [Effect::Work(rehearsal)] = effects.as_slice() else { panic!("{effects:?}") };
    feed(&mut state, NOW, key(KeyCode::Enter));
    press_all(&mut state, "ada-1");
    assert!(feed(&mut state, NOW, key(KeyCode::Enter)).is_empty(), "it was only asked");
    assert!(format!("{:?}", dialog(&state).stage).contains("again once it is"));

    // Refused, it is asked again and not sent.
    let refused = Err(Trouble::new("no"));
    feed(&mut state, NOW, here(News::Worked(rehearsal.clone(), refused)));
    let untold = crate::actions::Stage::Editing(None);
    assert_eq!(dialog(&state).stage, untold, "that it is not known is over");
    let effects = feed(&mut state, NOW, key(KeyCode::Enter));
    assert!(matches!(effects.as_slice(), [Effect::Work(work)] if work.rehearse), "{effects:?}");
    feed(&mut state, NOW, here(News::Worked(rehearsal.clone(), Ok(vec!["1 session".into()]))));
    let effects = feed(&mut state, NOW, key(KeyCode::Enter));
    assert!(matches!(effects.as_slice(), [Effect::Work(work)] if !work.rehearse), "{effects:?}");
}
