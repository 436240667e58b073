#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic fails the test, as it should")]

use clap::{Arg, ArgAction, Command};

use super::*;

fn program() -> Command {
    Command::new("tool")
        .about("Do what tools do")
        .arg(Arg::new("where").long("where").global(true).help_heading("Global options"))
        .subcommand(
            Command::new("cut")
                .about("Cut it")
                .long_about("Cut it\n\nWith `care`; a\nline goes on.")
                .after_help(
                    "Examples:\n  tool cut a -n 3\n  tool cut 'b'\n\nA note on it:\n  .as it is\n",
                )
                .arg(Arg::new("NAME").required(true).help("What is cut"))
                .arg(
                    Arg::new("number")
                        .short('n')
                        .long("number")
                        .visible_alias("count")
                        .value_name("COUNT")
                        .default_value("7")
                        .env("TOOL_COUNT")
                        .help("How often"),
                )
                .arg(Arg::new("kind").long("kind").value_parser(["fine", "coarse"]))
                .arg(
                    Arg::new("dry").long("dry-run").action(ArgAction::SetTrue).help("Cut nothing"),
                ),
        )
        .subcommand(Command::new("secret").hide(true))
}

fn pages() -> Vec<Page> {
    let manual = Manual {
        section: 1,
        source: "Tools 1.0",
        exit_status: "`0`\n: done\n`1`\n: not done\n",
        beside: &[("tool-cut", "# FILES\n`/etc/tool`\n: Its file.\n\n# SEE ALSO\n`cut`(1)\n")],
    };
    let mut pages = manual.pages(program());
    for page in &mut pages {
        assert!(page.text.contains("\\%\\fBtool"), "{}", page.text);
        // What keeps words whole would make the rest hard to read.
        page.text = page.text.replace("\\%", "");
    }
    pages
}

#[test]
fn each_shown_command_has_a_page() {
    let names: Vec<String> = pages().into_iter().map(|page| page.file).collect();
    assert_eq!(names, ["tool.1", "tool-cut.1"]);
    assert!(pages()[0].text.contains(".SH \"COMMANDS\"\n.TP\n\\fBtool\\-cut\\fR(1)\nCut it.\n"));
}

#[test]
fn a_page_says_what_the_arguments_say_and_what_stands_beside() {
    let text = &pages()[1].text;
    for part in [
        ".TH \"TOOL\\-CUT\" 1 \"\" \"Tools 1.0\" \"StreamSpace\"\n",
        ".SH \"NAME\"\ntool\\-cut \\- Cut it\n",
        "\\fBtool\\fR \\fBcut\\fR [\\fIOPTIONS\\fR] <\\fINAME\\fR>\n",
        ".SH \"DESCRIPTION\"\nCut it.\n.PP\nWith \\fBcare\\fR; a line goes on.\n",
        ".SH \"ARGUMENTS\"\n.TP\n<\\fINAME\\fR>\nWhat is cut.\n",
        "\\fB\\-n\\fR, \\fB\\-\\-number\\fR <\\fICOUNT\\fR>\nHow often.\n.IP\nAlso \\fB\\-\\-count\\fR.\nDefault: \\fB7\\fR.\nVariable: \\fBTOOL_COUNT\\fR.\n",
        "One of \\fBfine\\fR, \\fBcoarse\\fR.\n",
        "\\fB\\-\\-dry\\-run\\fR\nCut nothing.\n.TP",
        ".SS \"Global options\"\n.TP\n\\fB\\-\\-where\\fR",
        ".SH \"EXIT STATUS\"\n.TP\n\\fB0\\fR\ndone\n.PD 0\n.TP\n\\fB1\\fR\nnot done\n.PD\n.SH \"FILES\"\n.TP\n\\fB/etc/tool\\fR\nIts file.\n",
        ".SH \"NOTES\"\nA note on it:\n.PP\n.RS 4\n.EX\n\\&.as it is\n.EE\n.RE\n",
        ".SH \"EXAMPLES\"\n.RS 4\n.EX\ntool cut a \\-n 3\ntool cut \\(aqb\\(aq\n.EE\n.RE\n",
        ".SH \"SEE ALSO\"\n\\fBtool\\fR(1), \\fBcut\\fR(1)\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert!(text.lines().all(|line| line.len() <= 80 && !line.ends_with(' ')), "{text}");
}

#[test]
fn prose_knows_a_few_signs() {
    let words = "# NAME\ntool.conf - its file\n# KEYS\nTwo.\nThey are:\n\n`a` (text)\n: One, and\n  more.\n\n\
                 - a bullet\n- 'another'\n\n    x = 1\n\n    y = 2\n\n## Below\n.dot\n";
    let page = prose_page("tool.conf", 5, "Tools 1.0", words);
    assert_eq!(page.file, "tool.conf.5");
    let text = page.text.replace("\\%", "");
    let body = text.split_once(".ad l\n").unwrap().1;
    assert_eq!(
        body,
        ".SH \"NAME\"\ntool.conf \\- its file\n.SH \"KEYS\"\nTwo.\nThey are:\n.TP\n\\fBa\\fR (text)\n\
         One, and more.\n.IP \\(bu 2\na bullet\n.IP \\(bu 2\n\\&\\(aqanother\\(aq\n.PP\n.RS 4\n.EX\nx = 1\n\n\
         y = 2\n.EE\n.RE\n.SS \"Below\"\n\\&.dot\n"
    );
}
