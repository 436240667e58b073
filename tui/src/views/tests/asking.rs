//! Where somebody types or chooses.

use super::*;

#[test]
fn the_palette_offers_and_says_what_is_wrong() {
    for (width, height) in SIZES {
        let mut state = one_region(width, height);
        for c in ":tenant be".chars() {
            key(&mut state, KeyCode::Char(c));
        }
        check("palette", &state);
        for c in "x".chars() {
            key(&mut state, KeyCode::Char(c));
        }
        key(&mut state, KeyCode::Enter);
        check("palette-wrong", &state);
    }
}

#[test]
fn what_can_be_done_and_the_way_to_it() {
    for (width, height) in SIZES {
        let mut state = one_region(width, height);
        for c in "Sa".chars() {
            key(&mut state, KeyCode::Char(c));
        }
        check("menu", &state);
        let effects = feed(&mut state, NOW, EventKind::Key(Key::plain(KeyCode::Char('x'))));
        let [Effect::Work(work)] = effects.as_slice() else { panic!("{effects:?}") };
        let told = News::Worked(work.clone(), Ok(vec!["would change: 1 session".into()]));
        feed(&mut state, NOW, here(told));
        for c in "it never starts".chars() {
            key(&mut state, KeyCode::Char(c));
        }
        check("dialog", &state);
        let refused = Trouble::new("your role, viewer, may not");
        feed(&mut state, NOW, here(News::Worked(work.clone(), Err(refused))));
        check("dialog-refused", &state);
    }
}

#[test]
fn a_viewer_sees_what_is_missing() {
    let mut state = one_region(120, 40);
    let reply = streamspace_proto::v1::WhoAmIResponse {
        operator: "eve".into(),
        role: streamspace_proto::v1::Role::Viewer.into(),
        ..Default::default()
    };
    feed(&mut state, NOW, here(News::Identity(Ok(Box::new(reply)))));
    for c in "ta".chars() {
        key(&mut state, KeyCode::Char(c));
    }
    check("menu-denied", &state);
}
