//! The manual page.
#![cfg(unix)]

use std::process::Command;

use crate::support::{Directory, run, swim};

/// As groff sees it, where it is installed; without a warning.
#[test]
fn the_manual_page_is_sound() {
    let page = swim(&["man"]);
    assert_eq!((page.code, &*page.stderr), (Some(0), ""));
    assert!(page.stdout.starts_with(".TH SWIM 1 "), "{}", page.stdout);
    if Command::new("groff").arg("--version").output().is_err() {
        eprintln!("not checked: there is no groff");
        return;
    }
    let directory = Directory::new("man");
    let path = directory.write("swim.1", &page.stdout);
    let mut command = Command::new("groff");
    command.args(["-man", "-ww", "-Tascii", "-P-cbou", &path]);
    let shown = run(command);
    assert_eq!((shown.code, &*shown.stderr), (Some(0), ""));
    for text in ["\nNAME\n", "swim force-leave [options] name\n", "-retry-join=addr\n", "\nEXIT STATUS\n"] {
        assert!(shown.stdout.contains(text), "no {text:?} in:\n{}", shown.stdout);
    }
}
