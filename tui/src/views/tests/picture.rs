//! What a terminal would show, as text.

use std::{fmt::Write as _, fs, path::Path};

use ratatui::{
    Terminal,
    backend::TestBackend,
    style::{Color, Modifier},
    widgets::Widget,
};

use super::*;

/// Draws a ready-made buffer, so that what a terminal would show is looked at.
struct Frame(Buffer);

impl Widget for Frame {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        assert_eq!(area, self.0.area);
        buffer.clone_from(&self.0);
    }
}

/// The screen's text, and below it for each row the looks that are not plain:
/// `12-20 bold red`.
pub(super) fn picture(state: &State) -> String {
    let buffer = draw(state);
    let mut terminal =
        Terminal::new(TestBackend::new(state.size.width, state.size.height)).unwrap();
    terminal.draw(|frame| frame.render_widget(Frame(buffer), frame.area())).unwrap();
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    let mut looks = String::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        let mut spans: Vec<(u16, u16, String)> = Vec::new();
        let mut covered = 0;
        for x in 0..buffer.area.width {
            let cell = &buffer[(x, y)];
            if covered > 0 {
                covered -= 1;
            } else {
                line.push_str(cell.symbol());
                covered = crate::pen::cells(cell.symbol()).saturating_sub(1);
            }
            let mut look = Vec::new();
            if cell.fg != Color::Reset {
                look.push(cell.fg.to_string().to_lowercase());
            }
            if cell.bg != Color::Reset {
                look.push(format!("on {}", cell.bg.to_string().to_lowercase()));
            }
            if cell.modifier != Modifier::empty() {
                look.push(format!("{:?}", cell.modifier).to_lowercase());
            }
            let look = look.join(" ");
            match spans.last_mut() {
                Some((_, end, last)) if *last == look => *end = x,
                _ => spans.push((x, x, look)),
            }
        }
        writeln!(text, "{}", line.trim_end()).unwrap();
        spans.retain(|(_, _, look)| !look.is_empty());
        if !spans.is_empty() {
            let spans = spans.iter().map(|(a, b, look)| format!("{a}-{b} {look}"));
            writeln!(looks, "{y:>2}: {}", spans.collect::<Vec<_>>().join(", ")).unwrap();
        }
    }
    format!("{text}\n{looks}")
}

pub(super) fn check(name: &str, state: &State) {
    let size = state.size;
    let file = format!("{name}-{}x{}.txt", size.width, size.height);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/views/snapshots").join(file);
    let frame = picture(state);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &frame).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == frame, "{} is not what is drawn now:\n{frame}", path.display());
}
