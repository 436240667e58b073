//! Whatever ends the dashboard, the terminal is as it was before.

use rustix::process::Signal;
use streamspace_tests::{pty::Drawing, region::Region, runtime::story};

use super::PATIENCE;

#[test]
fn a_signal_ends_it_and_the_terminal_is_restored() {
    story(async {
        let region = Region::start().await;
        for signal in [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT] {
            let mut screen = Drawing::start(region.admin(), &["ui", "--mouse"], 100, 30);
            screen.shows(PATIENCE, "● live").await;
            let taken = screen.screen();
            assert!(screen.is_raw() && taken.alternate_screen() && taken.hide_cursor());
            screen.signal(signal);
            let ended = screen.ends(PATIENCE).await;
            assert!(ended.success(), "{signal:?}: {ended}");
            assert!(!screen.is_raw(), "{signal:?}: keys are not shown");
            // What it wrote last may still be on its way.
            screen
                .until(PATIENCE, "the screen is the one before", |text| text.trim().is_empty())
                .await;
            let left = screen.screen();
            assert!(!left.alternate_screen(), "{signal:?}: it is on the other screen");
            assert!(!left.hide_cursor(), "{signal:?}: there is no cursor");
            assert!(!left.bracketed_paste(), "{signal:?}: pastes are bracketed");
            let mouse = left.mouse_protocol_mode();
            assert_eq!(mouse, vt100::MouseProtocolMode::None, "{signal:?}: the mouse is taken");
        }
    });
}
